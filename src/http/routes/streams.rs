//! Events into a stream: a request is taken whole or refused whole.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Path;
use actix_web::web::Payload;
use tokio::time::timeout;

use crate::actors::clock;
use crate::actors::plan::Closed;
use crate::actors::plan::Station;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Schema;
use crate::event::Values;
use crate::http::Api;
use crate::http::body;
use crate::http::documents::Accepted;
use crate::http::parameters;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::mappers::Arrival;
use crate::mappers::Decoder as _;
use crate::mappers::JsonDecoder;
use crate::plan::logical::Origin;
use crate::replica::Sending;

/// Names the sender, beside [`SEQUENCE`].
const PRODUCER: &str = "Twinflow-Producer";
/// The sender's number of a request.
const SEQUENCE: &str = "Twinflow-Sequence";
/// The longest name of a sender.
const PRODUCER_BYTES_MAX: usize = 100;

/// How long a request waits for room in its plan.
pub const ROOM_TIME: Duration = Duration::from_secs(2);

/// Sends events to a stream.
///
/// The body is an object, an array of objects, or an object a line; an event may also stand as
/// `{"event": {…}}`. Every attribute must be there (null is allowed), and no other. All events of
/// the request are taken, in order and as one send, or none is.
#[utoipa::path(post, path = "/api/v1/plans/{plan}/streams/{stream}", tag = "streams",
    params(
        ("plan" = String, Path, description = "The plan"),
        ("stream" = String, Path, description = "The stream"),
        ("ack" = Option<String>, Query, description = "When to answer: `accepted`, once the \
            events wait for the plan in memory; `applied`, once they are as safe as the node's \
            settings say, the plan has applied them and their results can be read. The default is \
            `applied` where plans are kept on disk, else `accepted`"),
        ("Twinflow-Producer" = Option<String>, Header, description = "A name of the sender, at \
            most 100 characters; with it the same request may be sent again safely"),
        ("Twinflow-Sequence" = Option<u64>, Header, description = "The sender's number of this \
            request, above the one before; a request of a number that was taken has no effect"),
        ("timestamp" = Option<String>, Query, description = "The attribute of type long that \
            holds an event's own time, in milliseconds since 1970; without it an event's time is \
            that of its arrival"),
    ),
    request_body(content(
        (Object = "application/json"), (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "The events were applied", body = Accepted),
        (status = 202, description = "The events were accepted", body = Accepted),
        (status = 400, description = "`malformed`, `no-event`, `not-utf-8`, `too-deep`, \
            `bad-parameter`", body = Problem, content_type = problem::MEDIA_TYPE),
        (status = 404, description = "`unknown-plan`, `unknown-stream`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 408, description = "`too-slow`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`plan-not-running`, `not-an-input`, `plan-changed`",
            body = Problem, content_type = problem::MEDIA_TYPE),
        (status = 413, description = "`body-too-large`, `too-many-events`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 415, description = "`unsupported-media-type`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 422, description = "`wrong-type`, `out-of-range`, `missing-attribute`, \
            `unknown-attribute`, `duplicate-attribute`, `poison`; `index` numbers the first bad \
            event", body = Problem, content_type = problem::MEDIA_TYPE),
        (status = 503, description = "`overloaded`, `not-in-time`, `not-ready`, `unsure`: try \
            again after `Retry-After` seconds", body = Problem, content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn send(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    let (plan, stream) = path.into_inner();
    let parameters = Parameters::read(&request, &["ack", "timestamp"])?;
    let ack = parameters.word("ack", api.acks())?;
    let station = api.station(&plan)?;
    let version = station.version();
    let (id, front) = api.stream(&version, &stream)?;
    if !takes_events(version.plan.streams[id].origin) {
        let detail = format!("`{stream}` is fed by the plan itself");
        return Err(Refusal::new(problem::NOT_AN_INPUT, detail));
    }
    let clock = parameters.text("timestamp").map(|name| clock_of(&front.schema, name));
    let clock = clock.transpose()?;
    let sending = sending(&request)?;
    let limits = api.limits();
    api.waiting().check(&plan)?;
    let room = api.body_room(&request).await?;
    let body = body::read(&request, payload, body::EVENTS, limits.body_bytes_max).await?;
    let batch = decode(&front.schema, &body, limits.batch_rows_max, clock)?;
    drop(body);
    let accepted = batch.len();
    let no_room = |_| no_room(&plan, &station, accepted);
    let closed = |Closed| api.not_running(&plan);
    if ack == "accepted" && sending.is_none() {
        let put = timeout(ROOM_TIME, station.put(&version, id, batch)).await;
        put.map_err(no_room)?.map_err(closed)?;
        return Ok(HttpResponse::Accepted().json(Accepted {
            accepted,
            position: None,
            repeated: false,
        }));
    }
    let put = timeout(ROOM_TIME, station.put_once(&version, id, batch, sending)).await;
    let told = put.map_err(no_room)?.map_err(closed)?;
    drop(room);
    let told = api.waiting().wait(&plan, limits.answer_time_max, told).await?;
    let applied = told.map_err(|_| api.not_running(&plan))??;
    let (position, repeated) = (Some(applied.position), applied.is_repeated);
    Ok(HttpResponse::Ok().json(Accepted { accepted, position, repeated }))
}

/// The plan did not take events in time.
pub fn no_room(plan: &str, station: &Station, events: usize) -> Refusal {
    let complaint = station.budget.complaint();
    let complaint = complaint.map_or(String::new(), |complaint| format!(": {complaint}"));
    let detail = format!("`{plan}` had no room for {events} events within {ROOM_TIME:?}");
    Refusal::new(problem::OVERLOADED, detail + &complaint)
}

/// Who sends, if it numbers what it sends.
fn sending(request: &HttpRequest) -> Result<Option<Sending>, Refusal> {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().ok());
    let (producer, sequence) = match (header(PRODUCER), header(SEQUENCE)) {
        (None, None) => return Ok(None),
        (producer, sequence) => (producer.flatten(), sequence.flatten()),
    };
    let named = |producer: &&str| !producer.is_empty() && producer.len() <= PRODUCER_BYTES_MAX;
    let Some(producer) = producer.filter(named) else {
        let most = PRODUCER_BYTES_MAX;
        let expected = format!("header `{PRODUCER}`: expected a name of 1 to {most} characters");
        return Err(parameters::refuse(format!("{expected}; it stands beside `{SEQUENCE}`")));
    };
    let sequence = sequence.and_then(|text| text.parse::<u64>().ok()).filter(|n| *n > 0);
    let Some(sequence) = sequence else {
        let expected = "a whole number from 1 on, above the one before";
        return Err(parameters::refuse(format!("header `{SEQUENCE}`: expected {expected}")));
    };
    Ok(Some(Sending::new(producer, sequence)))
}

/// Whether a stream of this origin may be fed from outside.
pub fn takes_events(origin: Origin) -> bool {
    matches!(origin, Origin::Defined | Origin::Implicit)
}

/// The column that holds the events' own time.
fn clock_of(schema: &Schema, name: &str) -> Result<usize, Refusal> {
    let column = schema.position(name);
    let column = column.filter(|column| schema.attributes[*column].ty == DataType::Long);
    column.ok_or_else(|| {
        let expected = "parameter `timestamp`: expected an attribute of type long";
        parameters::refuse(format!("{expected}, found `{name}`"))
    })
}

fn decode(
    schema: &Schema,
    body: &[u8],
    rows_max: usize,
    clock: Option<usize>,
) -> Result<Batch, Refusal> {
    let mut batch = Batch::new(&schema.types());
    let arrival = Arrival { at: clock::now_ms(), rows_max };
    JsonDecoder::strict(schema).decode(body, &arrival, &mut batch)?;
    if batch.is_empty() {
        return Err(Refusal::new(problem::NO_EVENT, "expected an event, found none"));
    }
    if let Some(clock) = clock {
        let column = &batch.columns[clock];
        if let Some(row) = (0..batch.len()).find(|row| column.is_null(*row)) {
            let name = schema.attributes[clock].name.to_string();
            let detail = format!("event {row}: attribute `{name}` is the event's time but null");
            let problem = Refusal::new(problem::MISSING_ATTRIBUTE, detail);
            return Err(problem.at_event(row).about_attribute(name));
        }
        if let Values::Long(times) = &column.values {
            batch.timestamps.clone_from(times);
        }
    }
    Ok(batch)
}
