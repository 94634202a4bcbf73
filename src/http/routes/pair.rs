//! The pair: how it stands, and the operator's words to it.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use tokio::time::timeout;
use utoipa::IntoParams;
use utoipa::IntoResponses;
use utoipa::openapi::RefOr;
use utoipa::openapi::Response;

use crate::actors::pair::PairStatus;
use crate::ha::protocol::Plan;
use crate::ha::protocol::Word;
use crate::http::Api;
use crate::http::parameters;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;

/// How long a word may take.
const WORD_TIME: Duration = Duration::from_secs(15);

/// How the pair stands, as this node sees it.
#[utoipa::path(get, path = "/api/v1/ha", tag = "node", responses(
    (status = 200, description = "The pair", body = PairStatus),
    (status = 409, description = "`no-pair`", body = Problem, content_type = problem::MEDIA_TYPE),
    (status = 503, description = "`not-ready`", body = Problem, content_type = problem::MEDIA_TYPE),
))]
pub async fn pair(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    check(&api)?;
    match api.handle().pair().await {
        Some(status) => Ok(HttpResponse::Ok().json(status)),
        None => Err(at_rest()),
    }
}

/// Hands over to the other node, with nothing lost or repeated. To be said to the active node.
#[utoipa::path(post, path = "/api/v1/ha/switch", tag = "node", responses(
    (status = 200, description = "It was done; the pair as it is now", body = PairStatus),
    Refusals,
))]
pub async fn switch(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    say(&api, Word::Switch).await
}

/// Makes this node the active one. Refused while the other one answers; `force=true` also when this
/// node may lack entries that were acknowledged: then they are lost, a new generation of results
/// begins, and whoever says it vouches for the end of the other node.
#[utoipa::path(post, path = "/api/v1/ha/promote", tag = "node",
    params(("force" = Option<bool>, Query, description = "Entries may be lost")),
    responses(
        (status = 200, description = "It was done; the pair as it is now", body = PairStatus),
        (status = 400, description = "`bad-parameter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        Refusals,
    ),
)]
pub async fn promote(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let parameters = Parameters::read(&request, &["force"])?;
    let force = parameters.word("force", &["false", "true"])? == "true";
    say(&api, Word::Promote { force }).await
}

/// Runs a plan that is down at this active node, since only the other node had all of its entries,
/// with what is here: the rest is lost then, and a new generation of results begins.
#[utoipa::path(post, path = "/api/v1/ha/give-up", tag = "node",
    params(Named),
    responses(
        (status = 200, description = "It was done; the pair as it is now", body = PairStatus),
        NamedRefusals,
    ),
)]
pub async fn give_up(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let plan = plan(&api, &request)?;
    say(&api, Word::GiveUpTail { plan }).await
}

/// Drops what this node applied of a plan beyond the log of the active one, and takes the active
/// node's state in its place.
#[utoipa::path(post, path = "/api/v1/ha/discard", tag = "node",
    params(Named),
    responses(
        (status = 200, description = "It was done; the pair as it is now", body = PairStatus),
        NamedRefusals,
    ),
)]
pub async fn discard(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let plan = plan(&api, &request)?;
    say(&api, Word::Discard { plan }).await
}

/// With what a word is refused.
struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problem::responses(&[("409", "`no-pair`, `word-refused`"), ("503", "`not-ready`")])
    }
}

/// With what a word about a plan is refused.
struct NamedRefusals;

impl IntoResponses for NamedRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = Refusals::responses();
        all.extend(problem::responses(&[("400", "`bad-parameter`"), ("404", "`unknown-plan`")]));
        all
    }
}

/// The plan that a word is about.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `plan` reads")]
struct Named {
    /// The plan
    plan: String,
}

/// The plan that a word is about.
fn plan(api: &Api, request: &HttpRequest) -> Result<Plan, Refusal> {
    let parameters = Parameters::read(request, &["plan"])?;
    check(api)?;
    let name = parameters.text("plan");
    let name = name.ok_or_else(|| parameters::refuse("expected `plan`, a plan's name".into()))?;
    api.handle().number(name).ok_or_else(|| {
        Refusal::new(problem::UNKNOWN_PLAN, format!("there is no plan `{name}` in the pair"))
    })
}

async fn say(api: &Api, word: Word) -> Result<HttpResponse, Refusal> {
    check(api)?;
    match timeout(WORD_TIME, api.handle().wish(word)).await {
        Ok(Ok(())) => match api.handle().pair().await {
            Some(status) => Ok(HttpResponse::Ok().json(status)),
            None => Err(at_rest()),
        },
        Ok(Err(Some(refusal))) => Err(Refusal::new(problem::WORD_REFUSED, refusal.to_string())),
        Ok(Err(None)) => Err(at_rest()),
        Err(_) => {
            let detail = format!("it was not done within {WORD_TIME:?}; `/api/v1/ha` says more");
            Err(Refusal::new(problem::WORD_REFUSED, detail))
        }
    }
}

fn check(api: &Api) -> Result<(), Refusal> {
    if api.handle().config().ha.enabled {
        return Ok(());
    }
    Err(Refusal::new(problem::NO_PAIR, "this node is alone: `ha.enabled` is false"))
}

fn at_rest() -> Refusal {
    Refusal::new(problem::NOT_READY, "the pair is just beginning at this node; try again")
}
