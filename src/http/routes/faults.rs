//! Makes an actor fall, for tests of what happens then; only under `testing.faults`.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Path;

use crate::actors::tree::Control;
use crate::http::Api;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Refusal;
use crate::language::suggest::closest;

/// Lets the actor of this name panic.
///
/// # Errors
/// If no such actor is at work.
pub async fn fall(
    api: Data<Api>,
    request: HttpRequest,
    actor: Path<String>,
) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    if api.handle().registry().send(&actor, Control::Fall) {
        return Ok(HttpResponse::Accepted().finish());
    }
    let actors = api.handle().registry().all();
    let near = closest(&actor, actors.iter().map(|actor| actor.name.as_str()));
    let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    let detail = format!("no actor `{actor}` is at work{near}");
    Err(Refusal::new(problem::UNKNOWN_ACTOR, detail))
}
