//! The API as an OpenAPI document, made from the routes and the documents they name.

use utoipa::OpenApi;

use crate::http::routes;

/// What is described; a test compares it with what answers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Twinflow",
        description = "Send events to the streams of plans, read results, look after the node. \
                       What is refused is answered with a problem document (RFC 9457) whose \
                       `code` is stable; `GET /problems` lists them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This node")),
    tags(
        (name = "plans", description = "What runs"),
        (name = "streams", description = "Events in and out"),
        (name = "stores", description = "Questions in SQL"),
        (name = "dead letters", description = "What could not be handled"),
        (name = "node", description = "The node itself"),
    ),
    paths(
        routes::home::home,
        routes::home::description,
        routes::home::problems,
        routes::home::problem,
        routes::status::live,
        routes::status::ready,
        routes::status::status,
        routes::status::metrics,
        routes::pair::pair,
        routes::pair::switch,
        routes::pair::promote,
        routes::pair::give_up,
        routes::pair::discard,
        routes::checks::check,
        routes::dead_letters::all,
        routes::dead_letters::one,
        routes::dead_letters::replay,
        routes::dead_letters::replay_all,
        routes::dead_letters::discard,
        routes::dead_letters::discard_all,
        routes::plans::all,
        routes::plans::one,
        routes::edits::put,
        routes::edits::remove,
        routes::queries::query,
        routes::receivers::all,
        routes::receivers::send,
        routes::snapshots::all,
        routes::snapshots::take,
        routes::sql::ask,
        routes::sql::running,
        routes::sql::end,
        routes::streams::send,
        routes::tails::events,
        routes::tails::tail,
    ),
    components(schemas(crate::http::documents::Diagnostic)),
)]
struct Description;

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Description::openapi()
}
