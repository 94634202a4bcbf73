//! What a plan could not handle: looked at, taken up again, or discarded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Path;
use actix_web::web::Payload;
use utoipa::IntoParams;
use utoipa::IntoResponses;
use utoipa::openapi::RefOr;
use utoipa::openapi::Response;

use crate::actors::plan::Applied;
use crate::actors::plan::Asked;
use crate::actors::plan::Closed;
use crate::actors::plan::Filter;
use crate::actors::plan::LetterError;
use crate::actors::plan::Misfit;
use crate::actors::plan::Station;
use crate::actors::plan::Underway;
use crate::http::Api;
use crate::http::body;
use crate::http::documents::ClosedLetter;
use crate::http::documents::ClosedLetters;
use crate::http::documents::CountedLetter;
use crate::http::documents::DeadLetterDetail;
use crate::http::documents::DeadLetters;
use crate::http::documents::RefusedLetter;
use crate::http::letters;
use crate::http::parameters;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::receivers::Unread;
use crate::replica::LetterKind;

/// Letters listed where nothing else was asked for.
const LISTED: usize = 100;
/// How long the plan may take for one.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// What a plan could not handle, newest first, each with the reason.
///
/// `dead_letters` are kept in the plan's state: both nodes of a pair have the same. `counted` is
/// the newest of what was only counted.
#[utoipa::path(get, path = "/api/v1/plans/{plan}/dead-letters", tag = "dead letters",
    params(
        ("plan" = String, Path, description = "The plan"),
        ("limit" = Option<usize>, Query, description = "At most so many of each; 100 by default"),
        ("before" = Option<u64>, Query, description = "Only letters with lower numbers, to read \
            on"),
        Which,
    ),
    responses(
        (status = 200, description = "The dead letters", body = DeadLetters),
        Problems,
    ),
)]
pub async fn all(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<String>,
) -> Result<HttpResponse, Refusal> {
    let known = ["limit", "before", "kind", "place", "reason"];
    let parameters = Parameters::read(&request, &known)?;
    let limit = parameters.count("limit")?.unwrap_or(LISTED);
    let before = parameters.count("before")?.map(|before| before as u64);
    let filter = Filter { before, ..filter(&parameters)? };
    let kept = &api.station(&path)?.dead_letters;
    let (figures, open) = (kept.figures(), kept.open(&filter, limit));
    let counted = kept.counted(limit).into_iter().map(|counted| CountedLetter {
        at: counted.at,
        reason: counted.reason,
        stream: counted.stream,
        events: counted.events,
        message: counted.message,
        sample: counted.sample,
    });
    Ok(HttpResponse::Ok().json(DeadLetters {
        plan: path.into_inner(),
        kept: figures.letters,
        kept_bytes: figures.bytes,
        dead_letters: open.iter().map(|(id, letter)| letters::shown(*id, letter)).collect(),
        counted: counted.collect(),
    }))
}

/// A dead letter with all that is in it.
#[utoipa::path(get, path = "/api/v1/plans/{plan}/dead-letters/{id}", tag = "dead letters",
    params(
        ("plan" = String, Path, description = "The plan"),
        ("id" = u64, Path, description = "The letter"),
    ),
    responses(
        (status = 200, description = "The letter", body = DeadLetterDetail),
        (status = 404, description = "`unknown-plan`, `unknown-dead-letter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`plan-not-running`", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn one(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let (plan, id) = read_path(path)?;
    let letter = api.station(&plan)?.dead_letters.letter(id);
    let letter = letter.ok_or_else(|| refuse(&api, &plan, LetterError::Unknown(id)))?;
    Ok(HttpResponse::Ok().json(letters::detail(id, &letter)))
}

/// Takes a dead letter up again, and closes it.
///
/// What a receiver could not read is read again, or the body of the request in its place, and
/// enters its stream. Rows are given to their publisher again as new results; rows over which the
/// plan fell enter their stream again. A letter is taken up once, however often this is asked.
#[utoipa::path(post, path = "/api/v1/plans/{plan}/dead-letters/{id}/replay", tag = "dead letters",
    params(
        ("plan" = String, Path, description = "The plan"),
        ("id" = u64, Path, description = "The letter"),
    ),
    request_body(content((String = "*/*"))),
    responses(
        (status = 200, description = "It was taken up", body = ClosedLetter),
        (status = 400, description = "`malformed`, `no-event`, `not-utf-8`, `too-deep`", body =
            Problem, content_type = problem::MEDIA_TYPE),
        (status = 404, description = "`unknown-plan`, `unknown-dead-letter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`not-replayed`, `plan-not-running`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 413, description = "`body-too-large`, `too-many-events`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 422, description = "`wrong-type`, `out-of-range`, `missing-attribute`, \
            `unknown-attribute`, `duplicate-attribute`, `unmatched`, `poison`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 503, description = "`not-in-time`, `overloaded`, `unsure`: ask again",
            body = Problem, content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn replay(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let (plan, id) = read_path(path)?;
    let station = api.station(&plan)?;
    let limits = api.limits();
    let _room = api.body_room(&request).await?;
    let body = body::read(&request, payload, body::ANY, limits.body_bytes_max).await?;
    let mended = (!body.is_empty()).then_some(&*body);
    let asked = async { station.replay(id, mended, limits.batch_rows_max).await?.done().await };
    close(&api, &plan, id, api.waiting().wait(&plan, ANSWER_TIME, asked).await?)
}

/// Discards a dead letter.
#[utoipa::path(delete, path = "/api/v1/plans/{plan}/dead-letters/{id}", tag = "dead letters",
    params(
        ("plan" = String, Path, description = "The plan"),
        ("id" = u64, Path, description = "The letter"),
    ),
    responses(
        (status = 200, description = "It is gone", body = ClosedLetter),
        (status = 404, description = "`unknown-plan`, `unknown-dead-letter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`not-replayed`, `plan-not-running`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 503, description = "`not-in-time`, `unsure`: ask again", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn discard(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let (plan, id) = read_path(path)?;
    let station = api.station(&plan)?;
    let asked = async { station.discard(id).await?.done().await };
    close(&api, &plan, id, api.waiting().wait(&plan, ANSWER_TIME, asked).await?)
}

/// Takes up all dead letters that are meant, the oldest first.
///
/// Those that cannot be stay as they are, and the answer names them.
#[utoipa::path(post, path = "/api/v1/plans/{plan}/dead-letters/replay", tag = "dead letters",
    params(("plan" = String, Path, description = "The plan"), All, Which),
    responses(
        (status = 200, description = "What became of them", body = ClosedLetters),
        Problems,
    ),
)]
pub async fn replay_all(
    api: Data<Api>,
    request: HttpRequest,
    plan: Path<String>,
) -> Result<HttpResponse, Refusal> {
    let meant = meant(&Parameters::read(&request, MEANT)?)?;
    let station = api.station(&plan)?;
    let rows_max = api.limits().batch_rows_max;
    let (mut closed, mut refused) = (0, Vec::new());
    for Asked { letters, underway } in
        station.replay_all(&numbers(&station, &meant), rows_max).await
    {
        match (done(underway).await, letters.as_slice()) {
            (Ok(_), letters) => closed += letters.len(),
            (done @ Err(_), [id]) => count(*id, &done, &mut closed, &mut refused),
            // One of them is in the way of the others, or was closed meanwhile.
            (Err(_), letters) => {
                for &id in letters {
                    let alone = done(station.replay(id, None, rows_max).await).await;
                    count(id, &alone, &mut closed, &mut refused);
                }
            }
        }
    }
    Ok(closed_letters(plan.into_inner(), closed, refused))
}

/// Discards all dead letters that are meant.
#[utoipa::path(delete, path = "/api/v1/plans/{plan}/dead-letters", tag = "dead letters",
    params(("plan" = String, Path, description = "The plan"), All, Which),
    responses(
        (status = 200, description = "What became of them", body = ClosedLetters),
        Problems,
    ),
)]
pub async fn discard_all(
    api: Data<Api>,
    request: HttpRequest,
    plan: Path<String>,
) -> Result<HttpResponse, Refusal> {
    let meant = meant(&Parameters::read(&request, MEANT)?)?;
    let station = api.station(&plan)?;
    let (mut closed, mut refused) = (0, Vec::new());
    let numbers = numbers(&station, &meant);
    if !numbers.is_empty() {
        let Asked { letters, underway } = station.discard_all(&numbers).await;
        match done(underway).await {
            Ok(_) => closed = letters.len(),
            // One was closed meanwhile.
            Err(_) => {
                for id in letters {
                    let alone = done(station.discard(id).await).await;
                    count(id, &alone, &mut closed, &mut refused);
                }
            }
        }
    }
    Ok(closed_letters(plan.into_inner(), closed, refused))
}

/// The parameters that say which letters are meant.
const MEANT: &[&str] = &["all", "kind", "place", "reason"];

/// That all are meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `meant` reads")]
struct All {
    /// `true`: all of them; else one of the others is needed
    all: Option<String>,
}

/// Which letters are meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `filter` reads")]
struct Which {
    /// Only those put aside by a `receiver`, a `publisher`, a `store` or the `plan`
    kind: Option<String>,
    /// Only those of this receiver, publisher or store, as in `receiver:Logins:1`
    place: Option<String>,
    /// Only those of this reason
    reason: Option<String>,
}

/// With what a request about many letters is refused.
struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problem::responses(&[
            ("400", "`bad-parameter`"),
            ("404", "`unknown-plan`"),
            ("409", "`plan-not-running`"),
        ])
    }
}

fn filter(parameters: &Parameters) -> Result<Filter, Refusal> {
    let kind = match parameters.text("kind") {
        None => None,
        Some(_) => {
            let words = LetterKind::ALL.map(LetterKind::word);
            let word = parameters.word("kind", &words)?;
            LetterKind::ALL.into_iter().find(|kind| kind.word() == word)
        }
    };
    let text = |name| parameters.text(name).map(str::to_owned);
    Ok(Filter { kind, place: text("place"), reason: text("reason"), before: None })
}

fn meant(parameters: &Parameters) -> Result<Filter, Refusal> {
    let filter = filter(parameters)?;
    if filter == Filter::default() && parameters.word("all", &["false", "true"])? == "false" {
        let detail = "expected `all=true`, or one of `kind`, `place`, `reason`: which are meant?";
        return Err(parameters::refuse(detail.to_owned()));
    }
    Ok(filter)
}

/// The letters that are meant, the oldest first.
fn numbers(station: &Arc<Station>, meant: &Filter) -> Vec<u64> {
    let open = station.dead_letters.open(meant, usize::MAX);
    open.into_iter().rev().map(|(id, _)| id).collect()
}

fn read_path(path: Path<(String, String)>) -> Result<(String, u64), Refusal> {
    let (plan, id) = path.into_inner();
    let number = id.parse().map_err(|_| {
        let detail = format!("expected the number of a dead letter, found `{id}`");
        Refusal::new(problem::UNKNOWN_LETTER, detail)
    })?;
    Ok((plan, number))
}

/// The answer about one letter.
fn close(
    api: &Api,
    plan: &str,
    id: u64,
    done: Result<Applied, LetterError>,
) -> Result<HttpResponse, Refusal> {
    let Applied { position, .. } = done.map_err(|error| refuse(api, plan, error))?;
    Ok(HttpResponse::Ok().json(ClosedLetter { plan: plan.to_owned(), id, position }))
}

/// What became of letters that were to be closed.
async fn done(underway: Result<Underway, LetterError>) -> Result<Applied, LetterError> {
    underway?.done().await
}

fn count(
    id: u64,
    done: &Result<Applied, LetterError>,
    closed: &mut usize,
    refused: &mut Vec<RefusedLetter>,
) {
    match done {
        Ok(_) => *closed += 1,
        Err(error) => refused.push(RefusedLetter { id, detail: error.to_string() }),
    }
}

fn closed_letters(plan: String, closed: usize, refused: Vec<RefusedLetter>) -> HttpResponse {
    HttpResponse::Ok().json(ClosedLetters { plan, closed, refused })
}

fn refuse(api: &Api, plan: &str, error: LetterError) -> Refusal {
    match error {
        LetterError::Unknown(_) => Refusal::new(problem::UNKNOWN_LETTER, error.to_string()),
        LetterError::Unread(Unread::Message(error)) => error.into(),
        LetterError::Unread(Unread::Unmatched) => {
            Refusal::new(problem::UNMATCHED, Unread::Unmatched.to_string())
        }
        LetterError::Exceeded(complaint) => {
            Refusal::new(problem::OVERLOADED, format!("`{plan}`: {complaint}"))
        }
        LetterError::Closed(Closed) => api.not_running(plan),
        LetterError::Misfit(misfit @ (Misfit::Unsure | Misfit::Poison { .. })) => misfit.into(),
        LetterError::NotMended
        | LetterError::NoReceiver(_)
        | LetterError::Misfit(_)
        | LetterError::Unread(Unread::Source(_)) => {
            Refusal::new(problem::NOT_REPLAYED, error.to_string())
        }
    }
}
