//! What of a plan holds state, with what the engine's windows keep of their rows.

use crate::engine::build::types_along;
use crate::engine::build::wants_expired;
use crate::engine::library::Library;
use crate::engine::needs;
use crate::plan::identity::Held;
use crate::plan::identity::Identities;
use crate::plan::logical::Plan;
use crate::plan::logical::Query;
use crate::plan::logical::Source;
use crate::plan::logical::Stage;

/// What of a plan holds state.
///
/// `library` is what the plan was checked with.
pub fn identities(plan: &Plan, library: &Library) -> Identities {
    Identities::of(plan, &|query, port, step| held(plan, query, port, step, library))
}

fn held(plan: &Plan, query: &Query, port: usize, step: usize, library: &Library) -> Held {
    let way = &query.ports[port];
    let Stage::Window(call) = &way.stages[step] else { return Held::default() };
    let source = match way.source {
        Source::Stream(stream) => plan.streams[stream].schema.types(),
        Source::Window(window) => plan.windows[window].schema.types(),
    };
    let types = types_along(source, &way.stages);
    let (keep, leaving) = needs::kept(query, port, &types, library);
    Held {
        port,
        step,
        expired: !way.is_silent && wants_expired(query, call, library),
        keep: keep[step + 1].clone(),
        leaving: leaving[step + 1].clone(),
    }
}
