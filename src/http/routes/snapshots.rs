//! Snapshots of a plan: those on disk, and taking one now.

use actix_web::HttpResponse;
use actix_web::web;
use actix_web::web::Data;
use actix_web::web::Path;

use crate::actors::plan::SnapshotFailure;
use crate::http::Api;
use crate::http::documents::Snapshot;
use crate::http::documents::SnapshotTaken;
use crate::http::documents::Snapshots;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;

/// The snapshots of a plan on disk, newest first. The latest two are kept.
#[utoipa::path(get, path = "/api/v1/plans/{plan}/snapshots", tag = "plans",
    params(("plan" = String, Path, description = "The plan")),
    responses(
        (status = 200, description = "The snapshots", body = Snapshots),
        (status = 404, description = "`unknown-plan`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`plan-not-running`, `nothing-kept`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 503, description = "`not-kept`: the folder cannot be read", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn all(api: Data<Api>, path: Path<String>) -> Result<HttpResponse, Refusal> {
    let station = api.station(&path)?;
    let kept = station.snapshots.kept().ok_or(SnapshotFailure::NotKept)?.clone();
    let listed = web::block(move || kept.list()).await;
    let listed = listed.map_err(|error| Refusal::new(problem::NOT_KEPT, error.to_string()))?;
    let listed = listed.map_err(SnapshotFailure::from)?;
    let snapshots = listed.into_iter().map(|listed| match listed.header {
        Ok(header) => Snapshot {
            name: listed.name,
            position: Some(header.position),
            created: Some(header.created),
            fault: None,
        },
        Err(error) => Snapshot {
            name: listed.name,
            position: None,
            created: None,
            fault: Some(error.to_string()),
        },
    });
    let plan = path.into_inner();
    Ok(HttpResponse::Ok().json(Snapshots { plan, snapshots: snapshots.collect() }))
}

/// Takes a snapshot of a plan now, and prunes all but the latest two.
#[utoipa::path(post, path = "/api/v1/plans/{plan}/snapshots", tag = "plans",
    params(("plan" = String, Path, description = "The plan")),
    responses(
        (status = 201, description = "The snapshot", body = SnapshotTaken),
        (status = 404, description = "`unknown-plan`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`plan-not-running`, `nothing-kept`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 503, description = "`not-kept`: the disk does not take it; `overloaded`",
            body = Problem, content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn take(api: Data<Api>, path: Path<String>) -> Result<HttpResponse, Refusal> {
    let station = api.station(&path)?;
    let taken = web::block(move || station.take_snapshot()).await;
    let taken = taken.map_err(|error| Refusal::new(problem::NOT_KEPT, error.to_string()))??;
    Ok(HttpResponse::Created().json(SnapshotTaken {
        plan: path.into_inner(),
        name: taken.name,
        position: taken.position,
        bytes: taken.bytes,
        pause_seconds: taken.pause.as_secs_f64(),
        seconds: taken.took.as_secs_f64(),
    }))
}

impl From<SnapshotFailure> for Refusal {
    fn from(failure: SnapshotFailure) -> Self {
        let kind = match failure {
            SnapshotFailure::NotKept => problem::NOTHING_KEPT,
            SnapshotFailure::NotStarted => problem::PLAN_NOT_RUNNING,
            SnapshotFailure::Busy | SnapshotFailure::NoPlace => problem::OVERLOADED,
            SnapshotFailure::Snapshot(_) | SnapshotFailure::Ledger(_) => problem::NOT_KEPT,
        };
        Self::new(kind, failure.to_string())
    }
}
