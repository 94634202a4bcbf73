//! The paths of `@source(type='http')`: requests in the form that the plan's mapper reads.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Path;
use actix_web::web::Payload;
use tokio::time::timeout;

use crate::http::Api;
use crate::http::body;
use crate::http::documents::Accepted;
use crate::http::documents::ReceiverPath;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::http::routes::streams::ROOM_TIME;
use crate::http::routes::streams::no_room;
use crate::language::suggest::closest;

/// The paths at which plans take requests by `@source(type='http')`.
#[utoipa::path(get, path = "/api/v1/receivers", tag = "streams", responses(
    (status = 200, description = "The paths", body = Vec<ReceiverPath>),
))]
pub async fn all(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let paths = api.handle().paths();
    let found = paths.list().into_iter().filter_map(|path| {
        let entrance = paths.find(&path)?;
        Some(ReceiverPath {
            path: format!("/api/v1/receivers{path}"),
            plan: entrance.plan().to_owned(),
            stream: entrance.stream().to_owned(),
        })
    });
    Ok(HttpResponse::Ok().json(found.collect::<Vec<_>>()))
}

/// Sends a message to a plan's own path, in the form that its `@map` reads.
///
/// All events of the request are taken, in order and as one send, or none is.
#[utoipa::path(post, path = "/api/v1/receivers/{path}", tag = "streams",
    params(("path" = String, Path, description = "The option `path` of the `@source`; without it \
        the plan and the stream")),
    request_body(content((String = "*/*"))),
    responses(
        (status = 202, description = "The events were accepted", body = Accepted),
        (status = 400, description = "`malformed`, `no-event`, `not-utf-8`, `too-deep`, \
            `bad-parameter`", body = Problem, content_type = problem::MEDIA_TYPE),
        (status = 404, description = "`not-found`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 408, description = "`too-slow`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`plan-not-running`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 413, description = "`body-too-large`, `too-many-events`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 415, description = "`unsupported-media-type`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 422, description = "`wrong-type`, `out-of-range`, `missing-attribute`, \
            `unknown-attribute`, `duplicate-attribute`, `unmatched`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 503, description = "`not-in-time`, `overloaded`, `not-ready`: try again after \
            `Retry-After` seconds", body = Problem, content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn send(
    api: Data<Api>,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let path = format!("/{path}");
    let paths = api.handle().paths();
    let Some(entrance) = paths.find(&path) else {
        api.check_ready()?;
        let known = paths.list();
        let near = closest(&path, known.iter().map(String::as_str));
        let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let detail = format!("no plan takes requests at `{path}`{near}");
        return Err(Refusal::new(problem::NOT_FOUND, detail));
    };
    let limits = api.limits();
    api.waiting().check(entrance.plan())?;
    let _room = api.body_room(&request).await?;
    let body = body::read(&request, payload, body::ANY, limits.body_bytes_max).await?;
    let received = entrance.read(&body, limits.batch_rows_max)?;
    drop(body);
    let accepted = received.batch.len();
    let plan = entrance.plan();
    match timeout(ROOM_TIME, entrance.give(received)).await {
        Ok(true) => Ok(HttpResponse::Accepted().json(Accepted {
            accepted,
            position: None,
            repeated: false,
        })),
        Ok(false) => Err(api.not_running(plan)),
        Err(_) => {
            let station = api.station(plan)?;
            if station.budget.is_exceeded() {
                return Err(no_room(plan, &station, accepted));
            }
            // They may stand in the plan's queue by now.
            let detail = format!("`{plan}` did not get to {accepted} events within {ROOM_TIME:?}");
            Err(Refusal::new(problem::NOT_IN_TIME, detail))
        }
    }
}
