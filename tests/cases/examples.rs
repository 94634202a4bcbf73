//! The examples of everything that can be called are plans that can run, and use what they show.

use std::sync::Arc;
use twinflow::engine::context::Note;
use twinflow::engine::core::PlanCore;
use twinflow::engine::entry::Entry;
use twinflow::engine::entry::Input;
use twinflow::engine::entry::Outlet;
use twinflow::engine::library::Library;
use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Structure;
use twinflow::event::Value;
use twinflow::plan::known_annotations::ANNOTATIONS;
use twinflow::plan::logical::Origin;
use twinflow::plan::signature::Callable;
use twinflow::plan::signature::Catalog;
use twinflow::plan::signature::Signature;
use twinflow::rehearsal::Reading;

/// Lets rows of all kinds run through a plan, and time pass.
fn run(mut core: PlanCore) {
    let plan = Arc::clone(core.plan());
    core.start(1_000);
    for at in [1_000, 2_000, 2_000, 90_000] {
        for (stream, definition) in plan.streams.iter().enumerate() {
            if definition.origin != Origin::Defined {
                continue;
            }
            let types = definition.schema.types();
            let mut batch = Batch::new(&types);
            batch.push_row(at, &types.iter().map(|ty| value(*ty, at)).collect::<Vec<_>>());
            batch.push_row(at, &vec![Value::Null; types.len()]);
            let input = Input::Rows { stream, batch: &batch };
            core.apply(&Entry { at, input }, &mut Nobody);
        }
    }
    core.apply(&Entry { at: 1_000_000, input: Input::Tick }, &mut Nobody);
}

fn value(ty: DataType, at: i64) -> Value {
    match ty {
        DataType::Int => Value::Int(3),
        DataType::Long => Value::Long(at),
        DataType::Float => Value::Float(0.5),
        DataType::Double => Value::Double(-1.5),
        DataType::Bool => Value::Bool(true),
        DataType::Text => Value::from("{'user': 'ann'}"),
        DataType::Object => {
            let entries = vec![("user".into(), Value::from("root"))];
            Value::Object(Arc::new(Structure::Map(entries)))
        }
    }
}

struct Nobody;

impl Outlet for Nobody {
    fn stream(&mut self, _: usize, _: i64, _: &Batch) {}
    fn query(&mut self, _: usize, _: i64, _: &Batch) {}
    fn note(&mut self, _: Note) {}
}

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
    let built = PlanCore::build(Arc::clone(&plan), 1).map(run).err();
    let unused = !example.contains(&format!("{name}("));
    built
        .map(|error| format!("{name}: {}\n{example}", error.message))
        .or_else(|| unused.then(|| format!("{name}: its example does not use it\n{example}")))
}

#[test]
fn examples_of_annotations_run() {
    for known in ANNOTATIONS.iter().filter(|known| !known.summary.is_empty()) {
        let reading = Reading::new(known.name, known.example);
        let found: Vec<_> = reading.diagnostics.iter().map(|each| &each.message).collect();
        let plan = reading.plan.unwrap_or_else(|| panic!("{}: {found:?}", known.name));
        let uses = known.example.to_ascii_lowercase();
        let name = known.name.to_ascii_lowercase();
        assert!(uses.contains(&format!("@{name}")) || uses.contains(&format!("@app:{name}")));
        assert!(known.summary.ends_with('.') && found.is_empty(), "{}: {found:?}", known.name);
        run(PlanCore::build(plan, 1).expect("it runs"));
    }
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
