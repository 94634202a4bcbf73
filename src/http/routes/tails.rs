//! Events out of a stream: the newest ones, and those that come from now on.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::web::Path;

use crate::actors::plan::Tail;
use crate::http::Api;
use crate::http::documents::Events;
use crate::http::events;
use crate::http::events::Place;
use crate::http::follow::Follower;
use crate::http::follow::Seat;
use crate::http::follow::Told;
use crate::http::parameters;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::http::reading;
use crate::mappers::json::write_text;

/// Events that are given unless another number is asked for.
const LIMIT: usize = 100;
/// The media type of a live tail.
pub const STREAM: &str = "text/event-stream";

/// The newest events of a stream, or those after one.
///
/// A bounded number is kept in memory (`tail.events`, `tail.bytes`). To read on, pass `last` of the
/// answer as `after`. On the node that follows, events of which a result has not left yet, as far
/// as it knows, say `"confirmed": false`. With `Accept: text/event-stream` the answer is the live
/// tail.
#[utoipa::path(get, path = "/api/v1/plans/{plan}/streams/{stream}/events", tag = "streams",
    params(
        ("plan" = String, Path, description = "The plan"),
        ("stream" = String, Path, description = "The stream"),
        ("limit" = Option<usize>, Query, description = "At most so many events; 100 by default"),
        ("after" = Option<String>, Query, description = "Only events after the one with this id"),
        ("node" = Option<String>, Query, description = "`active`: only the active node of a pair \
            may answer; `any` by default"),
        ("Twinflow-At-Least" = Option<u64>, Header, description = "Answer once the entry of the \
            plan's log at this position was applied on this node; within 10 s"),
    ),
    responses(
        (status = 200, description = "The events", body = Events),
        (status = 400, description = "`bad-parameter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 404, description = "`unknown-plan`, `unknown-stream`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`plan-not-running`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 421, description = "`not-active`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 503, description = "`not-in-time`, `not-ready`", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn events(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.contains(STREAM)) && request.method() == Method::GET {
        return tail(api, request, path).await;
    }
    let (plan, stream) = path.into_inner();
    let parameters = Parameters::read(&request, &["limit", "after", reading::NODE])?;
    reading::check_node(&api, &parameters).await?;
    let limit = parameters.count("limit")?.unwrap_or(LIMIT);
    let station = api.station(&plan)?;
    reading::wait(&api, &request, &station).await?;
    let version = station.version();
    let (_, front) = api.stream(&version, &stream)?;
    let tail = &front.tail;
    let after = parameters.text("after").map(|id| read_place(id, tail)).transpose()?;
    let (found, missed) = match after {
        None => (tail.newest(limit), Some(0)),
        Some(Place::After(number)) => {
            let found = tail.after(number, limit);
            let missed = found.missed;
            (found, Some(missed))
        }
        Some(Place::Elsewhere) => (tail.after(0, limit), None),
    };
    let mut body = Vec::with_capacity(1024);
    body.extend_from_slice(b"{\"plan\":");
    write_text(&plan, &mut body);
    body.extend_from_slice(b",\"stream\":");
    write_text(&stream, &mut body);
    body.extend_from_slice(b",\"last\":");
    write_text(&events::id(tail.label(), found.last), &mut body);
    body.extend_from_slice(b",\"missed\":");
    let missed = missed.map_or("null".to_owned(), |missed| missed.to_string());
    body.extend_from_slice(missed.as_bytes());
    body.extend_from_slice(b",\"events\":");
    events::write_array(tail.label(), &found, station.left(&stream), &mut body);
    body.push(b'}');
    reading::check_node(&api, &parameters).await?;
    let mut answer = HttpResponse::Ok();
    reading::mark(&mut answer, &station);
    Ok(answer.content_type("application/json").body(body))
}

/// The events of a stream from now on, as server-sent events.
///
/// Each has an id; a client that comes back with it in `Last-Event-ID` (as browsers do) or in
/// `after` goes on where it was, at either node of a pair. What was kept no longer by then is
/// announced by an event called `gap` with the number of events missed, null if nobody knows. An
/// event called `end` tells that the plan is gone.
#[utoipa::path(get, path = "/api/v1/plans/{plan}/streams/{stream}/tail", tag = "streams",
    params(
        ("plan" = String, Path, description = "The plan"),
        ("stream" = String, Path, description = "The stream"),
        ("limit" = Option<usize>, Query, description = "Begin with at most so many events that \
            are there already; 0 by default"),
        ("after" = Option<String>, Query, description = "Begin after the event with this id"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same; goes before `after`"),
        ("node" = Option<String>, Query, description = "`active`: only the active node of a pair \
            may answer; `any` by default"),
    ),
    responses(
        (status = 200, description = "The events, as they come", body = String,
            content_type = STREAM),
        (status = 400, description = "`bad-parameter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 404, description = "`unknown-plan`, `unknown-stream`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`plan-not-running`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 421, description = "`not-active`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 503, description = "`too-many-tails`, `not-ready`", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn tail(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    let (plan, stream) = path.into_inner();
    let parameters = Parameters::read(&request, &["limit", "after", reading::NODE])?;
    reading::check_node(&api, &parameters).await?;
    let limit = parameters.count("limit")?.unwrap_or(0);
    let station = api.station(&plan)?;
    let version = station.version();
    let (_, front) = api.stream(&version, &stream)?;
    let tail = Arc::clone(&front.tail);
    let resumed = request.headers().get("last-event-id");
    let resumed = resumed.map(|id| id.to_str().unwrap_or("?"));
    let place = match resumed.or(parameters.text("after")) {
        Some(id) => read_place(id, &tail)?,
        None => {
            let found = tail.newest(limit);
            // Events that are kept no longer are no gap for one who comes for the first time.
            Place::After(found.pieces.first().map_or(found.last, |piece| piece.first - 1))
        }
    };
    let seats = api.tails_max();
    let Some(seat) = Seat::take(api.tails(), seats) else {
        let detail = format!("expected fewer than {seats} live tails");
        return Err(Refusal::new(problem::TOO_MANY_TAILS, detail));
    };
    let mut answer = HttpResponse::Ok();
    reading::mark(&mut answer, &station);
    let follower = Follower::new((tail, stream), station, api.closing(), place, seat);
    answer.content_type(STREAM);
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(answer.body(Told::to(follower)))
}

fn read_place(id: &str, tail: &Tail) -> Result<Place, Refusal> {
    events::place(id, tail).ok_or_else(|| {
        parameters::refuse(format!("expected an id such as `1700000000000-42`, found `{id}`"))
    })
}
