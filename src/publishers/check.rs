//! Every `@sink` and `@store` of a plan, checked without touching anything outside.

use crate::language::diagnostic::Diagnostic;
use crate::mappers::codes;
use crate::plan::logical::Plan;
use crate::plan::logical::WayOut;
use crate::publishers::OnError;
use crate::publishers::Setup;
use crate::publishers::Stores;
use crate::publishers::build;
use crate::topics::Topics;

/// What is wrong with the sinks and stores of a plan, at their places in its text; whether the node
/// has the stores only where they are known.
#[must_use]
pub fn check(plan: &Plan, stores: Option<&Stores>) -> Vec<Diagnostic> {
    let topics = Topics::new();
    let mut faults = Vec::new();
    for stream in &plan.streams {
        for WayOut { endpoint, role, .. } in stream.ways_out() {
            let built = build(&Setup {
                plan: name_of(plan),
                stream: &stream.name,
                schema: &stream.schema,
                endpoint,
                role,
                topics: &topics,
                stores,
            });
            match built {
                Ok(built) if built.on_error == OnError::Stream && stream.fault.is_none() => {
                    let option = endpoint.options.iter().find(|option| option.key == "on.error");
                    let span = option.map_or(endpoint.span, |option| option.span);
                    let text = format!("stream `{}` has no fault stream", stream.name);
                    let fault = Diagnostic::error(codes::STREAM, span, text);
                    let help = "put `@OnError(action='STREAM')` before its definition";
                    faults.push(fault.help(help));
                }
                Ok(_) => {}
                Err(found) => faults.extend(found),
            }
        }
    }
    faults
}

/// The plan's name; one that its file names has none in its text, so any good name stands for it.
fn name_of(plan: &Plan) -> &str {
    if plan.name.is_empty() { "plan" } else { &plan.name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Schema;
    use crate::language::tree::Span;
    use crate::plan::logical::Endpoint;
    use crate::plan::logical::EndpointOption;
    use crate::plan::logical::Origin;
    use crate::plan::logical::Stream;

    #[test]
    fn rows_can_go_to_a_fault_stream_only_if_there_is_one() {
        let option = EndpointOption {
            key: "on.error".to_owned(),
            value: "stream".to_owned(),
            span: Span::new(7, 9),
        };
        let (kind, span) = ("log".to_owned(), Span::default());
        let mut stream = Stream {
            name: "S".into(),
            schema: Schema::new([("a", DataType::Int)]),
            origin: Origin::Defined,
            sources: Vec::new(),
            sinks: vec![Endpoint { kind, options: vec![option], map: None, span }],
            store: None,
            fault: None,
            keeps_faults: false,
            watermark: None,
            row_by_row: false,
            apart: Vec::new(),
            span,
        };
        let plan = Plan { streams: vec![stream.clone()], ..Plan::default() };
        let faults = check(&plan, None);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!((faults[0].code, faults[0].primary.span.start), (codes::STREAM, 7));
        stream.fault = Some(0);
        assert!(check(&Plan { streams: vec![stream], ..Plan::default() }, None).is_empty());
    }
}
