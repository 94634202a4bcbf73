//! The examples of everything that can be called are plans that can run, and use what they show.

use std::sync::Arc;
use twinflow::engine::core::PlanCore;
use twinflow::engine::library::Library;
use twinflow::plan::signature::Callable;
use twinflow::plan::signature::Catalog;
use twinflow::plan::signature::Signature;
use twinflow::rehearsal::Reading;

/// Says what is wrong with an example.
fn fault(signature: &Signature) -> Option<String> {
    let Signature { name, example, .. } = signature;
    let reading = Reading::new(name, example);
    let messages: Vec<&str> = reading
        .diagnostics
        .iter()
        .filter(|each| each.is_error())
        .map(|each| each.message.as_str())
        .collect();
    let Some(plan) = reading.plan else {
        return Some(format!("{name}: {}\n{example}", messages.join("; ")));
    };
    let built = PlanCore::build(Arc::clone(&plan), 1).err();
    let unused = !example.contains(&format!("{name}("));
    built
        .map(|error| format!("{name}: {}\n{example}", error.message))
        .or_else(|| unused.then(|| format!("{name}: its example does not use it\n{example}")))
}

#[test]
fn examples_of_the_library_run() {
    let library = Library::standard();
    let mut faults = Vec::new();
    for kind in
        [Callable::Function, Callable::Aggregator, Callable::Window, Callable::StreamFunction]
    {
        for name in library.names(kind) {
            let signature = match kind {
                Callable::Function => library.function(name),
                Callable::Aggregator => library.aggregator(name),
                Callable::Window => library.window(name),
                Callable::StreamFunction => library.stream_function(name),
            };
            faults.extend(fault(signature.expect("what is listed is found")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
