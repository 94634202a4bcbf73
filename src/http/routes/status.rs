//! Whether the node is well, what its actors do, and its figures.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::actors::clock;
use crate::actors::tree::ActorStatus;
use crate::http::Api;
use crate::http::documents::Actor;
use crate::http::documents::Health;
use crate::http::documents::Status;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::telemetry::metrics::MEDIA_TYPE;

/// Whether the process answers at all; for whoever restarts it.
#[utoipa::path(get, path = "/health/live", tag = "node", responses(
    (status = 200, description = "It does", body = Health),
))]
pub async fn live(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    Ok(HttpResponse::Ok().json(Health { status: "alive" }))
}

/// Whether the node has read its plans and takes events; for whoever sends it some.
#[utoipa::path(get, path = "/health/ready", tag = "node", responses(
    (status = 200, description = "It does", body = Health),
    (status = 503, description = "`not-ready`", body = Problem,
        content_type = problem::MEDIA_TYPE),
))]
pub async fn ready(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    api.check_ready()?;
    Ok(HttpResponse::Ok().json(Health { status: "ready" }))
}

/// Every actor of the node: its state, its restarts and how its last life ended.
#[utoipa::path(get, path = "/api/v1/status", tag = "node", responses(
    (status = 200, description = "The node and its actors", body = Status),
))]
pub async fn status(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let actors = api.handle().actors().into_iter().map(Actor::from).collect();
    Ok(HttpResponse::Ok().json(Status {
        node: api.handle().node().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        up_seconds: clock::elapsed().as_secs(),
        actors,
    }))
}

impl From<ActorStatus> for Actor {
    fn from(status: ActorStatus) -> Self {
        let ActorStatus { name, kind, state, restarts, last_exit, since_ms, detail } = status;
        Self { name, kind, state, restarts, last_exit, since_ms, detail }
    }
}

/// Figures of the node in the form of OpenMetrics, which Prometheus reads.
#[utoipa::path(get, path = "/metrics", tag = "node", responses(
    (status = 200, description = "The figures", body = String, content_type = MEDIA_TYPE),
))]
pub async fn metrics(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    Ok(HttpResponse::Ok().content_type(MEDIA_TYPE).body(api.handle().metrics().print()))
}
