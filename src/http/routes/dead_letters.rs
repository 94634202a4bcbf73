//! What a plan could not handle: inputs that are no events, results that could not be published.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Path;

use crate::http::Api;
use crate::http::documents::DeadLetter;
use crate::http::documents::DeadLetters;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;

/// The newest things that a plan could not handle, newest first, each with the reason.
///
/// A bounded number is kept in memory; all are counted in the metric `dead_letters`.
#[utoipa::path(get, path = "/api/v1/plans/{plan}/dead-letters", tag = "plans",
    params(
        ("plan" = String, Path, description = "The plan"),
        ("limit" = Option<usize>, Query, description = "At most so many; all that are kept by \
            default"),
    ),
    responses(
        (status = 200, description = "The dead letters", body = DeadLetters),
        (status = 400, description = "`bad-parameter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 404, description = "`unknown-plan`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`plan-not-running`", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn newest(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<String>,
) -> Result<HttpResponse, Refusal> {
    let limit = Parameters::read(&request, &["limit"])?.count("limit")?.unwrap_or(usize::MAX);
    let station = api.station(&path)?;
    let letters = station.dead_letters.newest(limit).into_iter().map(|letter| DeadLetter {
        at: letter.at,
        reason: letter.reason,
        stream: letter.stream,
        events: letter.events,
        message: letter.message,
        sample: letter.sample,
    });
    let plan = path.into_inner();
    Ok(HttpResponse::Ok().json(DeadLetters { plan, dead_letters: letters.collect() }))
}
