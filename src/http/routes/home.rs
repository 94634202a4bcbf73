//! The first page, the API document and the list of problems.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Path;
use serde_json::Value;
use serde_json::json;

use crate::http::description::document;
use crate::http::documents::Home;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::KINDS;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::language::suggest::closest;

/// Addresses worth knowing, with what they give.
const LINKS: &[(&str, &str)] = &[
    ("/api/v1/plans", "the plans and whether they run"),
    ("/api/v1/status", "every actor of the node"),
    ("/metrics", "figures for Prometheus"),
    ("/health/ready", "whether the node takes events"),
    ("/api/v1/openapi.json", "the whole API as an OpenAPI document"),
    ("/problems", "what the codes of refused requests mean"),
];

/// Where to go from here, as a page for browsers and as JSON for others.
#[utoipa::path(get, path = "/", tag = "node", responses(
    (status = 200, description = "Addresses worth knowing", content(
        (Home = "application/json"), (String = "text/html"),
    )),
))]
pub async fn home(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        return Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(page()));
    }
    let links = LINKS.iter().map(|(address, gives)| ((*address).to_owned(), json!(gives)));
    let links = Value::Object(links.collect());
    let version = env!("CARGO_PKG_VERSION");
    Ok(HttpResponse::Ok().json(Home { name: "twinflow", version, links }))
}

fn page() -> String {
    let link = |(address, gives): &(&str, &str)| {
        format!("<li><a href=\"{address}\">{address}</a>: {gives}</li>\n")
    };
    let links: String = LINKS.iter().map(link).collect();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Twinflow</title>\n\
         <h1>Twinflow {version}</h1>\n<p>This node runs.</p>\n<ul>\n{links}</ul>\n</html>\n"
    )
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "node", responses(
    (status = 200, description = "The API as an OpenAPI document", body = Object),
))]
pub async fn description(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    Ok(HttpResponse::Ok().json(document()))
}

/// Every kind of problem that a refused request can be answered with.
#[utoipa::path(get, path = "/problems", tag = "node", responses(
    (status = 200, description = "The kinds of problems", body = Vec<Kind>),
))]
pub async fn problems(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    Ok(HttpResponse::Ok().json(KINDS))
}

/// One kind of problem, by its code: where the `type` of a problem document leads.
#[utoipa::path(get, path = "/problems/{code}", tag = "node",
    params(("code" = String, Path, description = "The code")),
    responses(
        (status = 200, description = "The kind of problem", body = Kind),
        (status = 404, description = "`not-found`", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn problem(request: HttpRequest, code: Path<String>) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    match KINDS.iter().find(|kind| kind.code == code.as_str()) {
        Some(kind) => Ok(HttpResponse::Ok().json(kind)),
        None => {
            let near = closest(&code, KINDS.iter().map(|kind| kind.code));
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            let detail = format!("there is no code `{code}`{near}");
            Err(Refusal::new(problem::NOT_FOUND, detail))
        }
    }
}
