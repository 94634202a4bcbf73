//! Plans put into the folder of plans and taken out of it.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Path;
use actix_web::web::Payload;

use crate::actors::edits::EditError;
use crate::actors::edits::Put;
use crate::http::Api;
use crate::http::body;
use crate::http::documents::PlanDetail;
use crate::http::documents::Removed;
use crate::http::parameters;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::http::routes::plans;

/// Puts a plan into the folder of plans, as a new one or in place of its text.
///
/// The body is the text, or `{"plan": "…"}`. It is checked first: a plan that is refused is not
/// written, and the version before keeps running. The file is the one the plan lies in, else
/// `{plan}.siddhi`. The answer comes once the new version runs.
#[utoipa::path(put, path = "/api/v1/plans/{plan}", tag = "plans",
    params(("plan" = String, Path, description = "The plan")),
    request_body(content((String = "text/plain"), (Object = "application/json"))),
    responses(
        (status = 200, description = "This text runs now", body = PlanDetail),
        (status = 201, description = "It runs, and is new", body = PlanDetail),
        (status = 202, description = "It is written, but does not run yet: the plan has much to \
            do", body = PlanDetail),
        (status = 400, description = "`malformed`, `not-utf-8`, `bad-parameter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`file-taken`, `plan-changed`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 413, description = "`body-too-large`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 415, description = "`unsupported-media-type`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 422, description = "`plan-refused`, `other-name`", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn put(
    api: Data<Api>,
    request: HttpRequest,
    plan: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let body = body::read(&request, payload, body::TEXTS, api.plan_bytes_max()).await?;
    let text = body::text(&request, &body, "plan")?;
    if text.trim().is_empty() || text.contains('\0') {
        let found = if text.contains('\0') { "bytes that are no text" } else { "nothing" };
        let detail = format!("expected a plan, found {found}");
        return Err(Refusal::new(problem::MALFORMED, detail));
    }
    let put = api.handle().put_plan(&plan, &text).await;
    let mut answer = match put.map_err(|error| refuse(&api, &plan, error))? {
        Put::New => HttpResponse::Created(),
        Put::Changed => HttpResponse::Ok(),
        Put::Late => HttpResponse::Accepted(),
    };
    // Somebody may have taken it out again already.
    let detail = plans::detail_of(&api, &plan).ok_or_else(|| api.unknown_plan(&plan))?;
    Ok(answer.json(detail))
}

/// Takes a plan's file out of the folder of plans; the plan finishes what it took and ends.
///
/// Of a plan that never ran since its text was refused, all files that want to be it are taken
/// out. Where another file was refused because this plan had its name, it takes the name over.
#[utoipa::path(delete, path = "/api/v1/plans/{plan}", tag = "plans",
    params(("plan" = String, Path, description = "The plan")),
    responses(
        (status = 200, description = "It is gone", body = Removed),
        (status = 404, description = "`unknown-plan`", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn remove(
    api: Data<Api>,
    request: HttpRequest,
    plan: Path<String>,
) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let removed = api.handle().remove_plan(&plan).await;
    let files = removed.map_err(|error| refuse(&api, &plan, error))?;
    Ok(HttpResponse::Ok().json(Removed { plan: plan.into_inner(), files }))
}

fn refuse(api: &Api, plan: &str, error: EditError) -> Refusal {
    match error {
        EditError::Name => parameters::refuse(format!(
            "a plan may not be called `{plan}`: expected 1 to 100 letters, digits, `_`, `-` or \
             `.`, not beginning with `.`"
        )),
        EditError::Unknown => api.unknown_plan(plan),
        EditError::OtherName { inside: Some(inside), .. } => {
            let detail = format!("expected `@app:name('{plan}')`, found `{inside}`");
            Refusal::new(problem::OTHER_NAME, detail)
        }
        EditError::OtherName { inside: None, file } => {
            let detail = format!(
                "the plan lies in `{file}`, whose name is another one: expected \
                 `@app:name('{plan}')` in the text, found no name"
            );
            Refusal::new(problem::OTHER_NAME, detail)
        }
        EditError::FileTaken { file, plan: holder } => {
            let detail = format!("`{file}` holds the plan `{holder}`; rename that file first");
            Refusal::new(problem::FILE_TAKEN, detail)
        }
        EditError::Unsound(reading) => {
            Refusal::about_text(problem::PLAN_REFUSED, &reading.source, &reading.diagnostics)
        }
        EditError::NotStarted(reason) => Refusal::new(problem::PLAN_REFUSED, reason),
        EditError::Overtaken => {
            let detail = format!("somebody else changed `{plan}` at the same time");
            Refusal::new(problem::PLAN_CHANGED, detail)
        }
        EditError::Folder(error) => {
            tracing::error!(plan, %error, "the folder of plans cannot be written to");
            let detail = format!("the folder of plans cannot be written to: {error}");
            Refusal::new(problem::INTERNAL, detail)
        }
    }
}
