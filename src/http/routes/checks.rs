//! Checks a plan's text without deploying it.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Payload;

use crate::http::Api;
use crate::http::body;
use crate::http::documents::Checked;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::language::render;
use crate::language::render::Colour;

/// Checks a plan's text as a deployment would, and deploys nothing.
///
/// The body is the text, or `{"plan": "…"}`. What is wrong with the plan is the answer, not a
/// problem.
#[utoipa::path(post, path = "/api/v1/check", tag = "plans",
    request_body(content((String = "text/plain"), (Object = "application/json"))),
    responses(
        (status = 200, description = "What was found", body = Checked),
        (status = 400, description = "`malformed`, `not-utf-8`, `bad-parameter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 413, description = "`body-too-large`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 415, description = "`unsupported-media-type`", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn check(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let body = body::read(&request, payload, body::TEXTS, api.plan_bytes_max()).await?;
    let text = body::text(&request, &body, "plan")?;
    let reading = api.handle().check("plan", &text);
    Ok(HttpResponse::Ok().json(Checked {
        ok: reading.plan.is_some(),
        name: reading.plan.as_ref().map(|plan| plan.name.clone()).unwrap_or_default(),
        diagnostics: render::json(&reading.source, &reading.diagnostics),
        text: render::text(&reading.source, &reading.diagnostics, Colour::Never),
    }))
}
