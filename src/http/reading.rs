//! What a read says of how far it looked: the position of the plan's log, and how many committed
//! entries this node has still to apply; and waiting until it has come far enough.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponseBuilder;
use tokio::time::timeout;

use crate::actors::plan::Station;
use crate::http::parameters;
use crate::http::problem;
use crate::http::problem::Refusal;

/// The position of the last entry applied, in answers.
const POSITION: &str = "Twinflow-Position";
/// Committed entries that are not applied here yet, in answers.
const LAG: &str = "Twinflow-Lag";
/// The position that has to be applied before the answer, in requests.
const AT_LEAST: &str = "Twinflow-At-Least";
/// How long that is waited for.
const WAIT: Duration = Duration::from_secs(10);

/// Waits until the position that the request names was applied here.
///
/// # Errors
/// If the header cannot be read, or that takes too long.
pub async fn wait(request: &HttpRequest, station: &Station) -> Result<(), Refusal> {
    let Some(value) = request.headers().get(AT_LEAST) else { return Ok(()) };
    let position = value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        parameters::refuse(format!("header `{AT_LEAST}`: expected the position of an entry"))
    })?;
    timeout(WAIT, station.reaches(position)).await.map_err(|_| {
        let here = station.position();
        let detail = format!("expected position {position} within {WAIT:?}, found {here}");
        Refusal::new(problem::OVERLOADED, detail)
    })
}

/// Says how far the answer looked.
pub fn mark(answer: &mut HttpResponseBuilder, station: &Station) {
    answer.insert_header((POSITION, station.position().to_string()));
    answer.insert_header((LAG, station.lag().to_string()));
}
