//! What runs: all plans in few words, one with all that is known of it.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Path;
use serde_json::Value;

use crate::actors;
use crate::actors::handle::PlanView;
use crate::actors::office::RefusedFile;
use crate::actors::plan::StreamFront;
use crate::actors::plan::Version;
use crate::event::Schema;
use crate::http::Api;
use crate::http::documents;
use crate::http::documents::Attribute;
use crate::http::documents::PlanDetail;
use crate::http::documents::PlanState;
use crate::http::documents::Plans;
use crate::http::documents::Refused;
use crate::http::documents::Table;
use crate::http::events;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::http::routes::streams::takes_events;
use crate::language::render;
use crate::language::render::Colour;
use crate::language::source::Source;
use crate::plan::logical::Origin;
use crate::plan::logical::Output;
use crate::plan::logical::Query;
use crate::rehearsal::Reading;
use crate::replica::WatermarkState;

/// All plans: those that run, and those whose text was refused.
#[utoipa::path(get, path = "/api/v1/plans", tag = "plans", responses(
    (status = 200, description = "The plans", body = Plans),
))]
pub async fn all(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let views = api.handle().plans();
    // The views of one plan, one for each file that wants to be it, stand beside each other.
    let plans = views.chunk_by(|one, other| one.name == other.name).map(overview).collect();
    Ok(HttpResponse::Ok().json(Plans { plans }))
}

/// One plan: its text, streams, tables, counts, and what is wrong with it.
#[utoipa::path(get, path = "/api/v1/plans/{plan}", tag = "plans",
    params(("plan" = String, Path, description = "The plan")),
    responses(
        (status = 200, description = "The plan", body = PlanDetail),
        (status = 404, description = "`unknown-plan`", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn one(
    api: Data<Api>,
    request: HttpRequest,
    plan: Path<String>,
) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let detail = detail_of(&api, &plan).ok_or_else(|| api.unknown_plan(&plan))?;
    Ok(HttpResponse::Ok().json(detail))
}

/// All that is known of a plan; `None` if there is none of this name.
pub fn detail_of(api: &Api, plan: &str) -> Option<PlanDetail> {
    let mut views = api.handle().plans();
    views.retain(|view| view.name == plan);
    (!views.is_empty()).then(|| detail(&views))
}

/// The version of a plan, from all the views of it.
fn version(views: &[PlanView]) -> Option<&Version> {
    views.iter().find_map(|view| view.version.as_deref())
}

/// A plan in few words, from all the views of it; there is at least one.
fn overview(views: &[PlanView]) -> documents::Plan {
    let version = version(views);
    let view = views.iter().find(|view| view.version.is_some()).unwrap_or(&views[0]);
    let sum = |count: fn(&StreamFront) -> u64| {
        let streams = |version: &Version| -> u64 {
            let all = version.plan.streams.iter().zip(&version.streams);
            let own = all.filter(|(stream, _)| {
                !matches!(stream.origin, Origin::Changes(_) | Origin::Errands(_))
            });
            own.map(|(_, front)| count(front)).sum()
        };
        version.map_or(0, streams)
    };
    let (state, failure) = match &view.state {
        actors::handle::PlanState::Running => (PlanState::Running, None),
        actors::handle::PlanState::Failed(reason) => (PlanState::Failed, Some(reason.clone())),
        actors::handle::PlanState::Refused => (PlanState::Refused, None),
    };
    documents::Plan {
        name: view.name.clone(),
        state,
        file: view.file.clone(),
        held_up: view.held_up.clone(),
        version: version.map(|version| version.number),
        deployed_ms: version.map(|version| version.deployed_ms),
        events_in: sum(|stream| stream.taken.get()),
        events_out: sum(|stream| stream.put_out.get()),
        waiting: view.waiting,
        state_bytes: view.state_bytes.0,
        state_bytes_max: view.state_bytes.1,
        warnings: version.map_or(0, |version| version.warnings.len()),
        failure,
        refused: views.iter().filter_map(|view| view.refused.as_ref()).map(refused).collect(),
    }
}

fn refused(file: &RefusedFile) -> Refused {
    let (diagnostics, text) = match file.reading.as_deref() {
        Some(Reading { source, diagnostics, .. }) => {
            (render::json(source, diagnostics), render::text(source, diagnostics, Colour::Never))
        }
        None => (Value::Array(Vec::new()), String::new()),
    };
    Refused { file: file.file.clone(), reason: file.reason.clone(), diagnostics, text }
}

fn detail(views: &[PlanView]) -> PlanDetail {
    let plan = overview(views);
    let Some(version) = version(views) else {
        return PlanDetail {
            plan,
            text: None,
            description: String::new(),
            diagnostics: Value::Array(Vec::new()),
            streams: Vec::new(),
            tables: Vec::new(),
            windows: Vec::new(),
            aggregations: Vec::new(),
            queries: Vec::new(),
        };
    };
    let source = Source::new(plan.file.as_str(), &*version.text);
    let checked = &version.plan;
    let tables = checked.tables.iter().map(|table| {
        let key = table.primary_key.iter().map(|at| table.schema.attributes[*at].name.to_string());
        table_of(&table.name, &table.schema, key.collect())
    });
    let windows = checked.windows.iter();
    let aggregations = checked.aggregations.iter();
    let aggregations = aggregations.map(|each| table_of(&each.name, &each.schema, Vec::new()));
    // The plan's own feed aggregations, and are not asked for by name.
    let written = |query: &&Query| !matches!(query.output, Output::Aggregate(_));
    PlanDetail {
        plan,
        text: Some(version.text.to_string()),
        description: checked.description.clone(),
        diagnostics: render::json(&source, &version.warnings),
        streams: streams(version),
        tables: tables.collect(),
        windows: windows.map(|each| table_of(&each.name, &each.schema, Vec::new())).collect(),
        aggregations: aggregations.collect(),
        queries: checked
            .queries
            .iter()
            .filter(written)
            .map(|query| query.name.to_string())
            .collect(),
    }
}

/// The streams that can be seen from outside; a fault stream with its `!`.
fn streams(version: &Version) -> Vec<documents::Stream> {
    let all = version.plan.streams.iter().zip(&version.streams);
    let hidden =
        |origin| matches!(origin, Origin::Inner(_) | Origin::Changes(_) | Origin::Errands(_));
    let seen = all.filter(|(stream, _)| !hidden(stream.origin));
    seen.map(|(stream, front)| {
        let latest = front.tail.latest();
        documents::Stream {
            name: front.name.to_string(),
            takes_events: takes_events(stream.origin),
            attributes: attributes(&stream.schema),
            events_in: front.taken.get(),
            events_out: front.put_out.get(),
            newest: (latest > 0).then(|| events::id(front.tail.label(), latest)),
            watermark: front.watermark().map(watermark_of),
        }
    })
    .collect()
}

fn watermark_of(state: WatermarkState) -> documents::Watermark {
    documents::Watermark {
        watermark_ms: state.watermark,
        lag_ms: state.lag,
        clock_ms: state.clock,
        idle: state.is_idle,
        waiting: state.waiting,
        late: state.late,
        ahead: state.ahead,
        hurried: state.hurried,
    }
}

fn table_of(name: &str, schema: &Schema, primary_key: Vec<String>) -> Table {
    Table { name: name.to_owned(), attributes: attributes(schema), primary_key }
}

/// Names and types as a document.
pub fn attributes(schema: &Schema) -> Vec<Attribute> {
    let attribute = |attribute: &crate::event::Attribute| Attribute {
        name: attribute.name.to_string(),
        ty: attribute.ty.name(),
    };
    schema.attributes.iter().map(attribute).collect()
}
