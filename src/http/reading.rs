//! What a read says of how far it looked: the position of the plan's log, and how many committed
//! entries this node has still to apply; and what a reader may ask for: that the node has come far
//! enough, or that it is the active one.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponseBuilder;

use crate::actors::gate::Part;
use crate::actors::plan::Station;
use crate::http::Api;
use crate::http::parameters;
use crate::http::parameters::Parameters;
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

/// Who may answer, in addresses: `any` node, or only the `active` one.
pub const NODE: &str = "node";

/// Refuses a read that only the active node may answer, where this is not that one. Looked at after
/// the answer was made, it says that nobody else can have ordered anything by then.
///
/// # Errors
/// If another node is active, or nobody is known to be; or if the parameter cannot be read.
pub async fn check_node(api: &Api, parameters: &Parameters) -> Result<(), Refusal> {
    let is_asked = parameters.word(NODE, &["any", "active"])? == "active";
    if !is_asked || api.handle().may_act() {
        return Ok(());
    }
    if api.handle().part() != Part::Passive {
        let detail = "at present it is not decided which node is the active one";
        return Err(Refusal::new(problem::NOT_READY, detail));
    }
    let here = api.handle().node();
    let other = api.handle().pair().await.and_then(|pair| pair.peer);
    let named = other.as_ref().map_or("the other node".to_owned(), |other| format!("`{other}`"));
    let detail = format!("expected the active node, which is {named}; this is `{here}`");
    Err(Refusal::new(problem::NOT_ACTIVE, detail).naming_active(other))
}

/// Waits until the position that the request names was applied here.
///
/// # Errors
/// If the header cannot be read, or that takes too long.
pub async fn wait(api: &Api, request: &HttpRequest, station: &Station) -> Result<(), Refusal> {
    let Some(value) = request.headers().get(AT_LEAST) else { return Ok(()) };
    let position = value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        parameters::refuse(format!("header `{AT_LEAST}`: expected the position of an entry"))
    })?;
    let reached = api.waiting().wait(&station.name, WAIT, station.reaches(position)).await;
    reached.map_err(|late| {
        let (here, late) = (station.position(), &late.document().detail);
        let detail = format!("expected position {position}, found {here}: {late}");
        Refusal::new(problem::NOT_IN_TIME, detail)
    })
}

/// Says how far the answer looked.
pub fn mark(answer: &mut HttpResponseBuilder, station: &Station) {
    answer.insert_header((POSITION, station.position().to_string()));
    answer.insert_header((LAG, station.lag().to_string()));
}
