//! A library of one's own: a function, an aggregator, a stream function and a window that plans can
//! call beside those of the engine.

use std::sync::Arc;

use twinflow::engine::aggregators::AggregatorDefinition;
use twinflow::engine::aggregators::per_group::PerGroup;
use twinflow::engine::aggregators::per_group::Running;
use twinflow::engine::context::Context;
use twinflow::engine::context::Note;
use twinflow::engine::core::PlanCore;
use twinflow::engine::entry::Entry;
use twinflow::engine::entry::Input;
use twinflow::engine::entry::Outlet;
use twinflow::engine::functions::FunctionDefinition;
use twinflow::engine::functions::takes;
use twinflow::engine::library::Extension;
use twinflow::engine::library::Library;
use twinflow::engine::operator::Operator;
use twinflow::engine::state::LoadError;
use twinflow::engine::state::StateReader;
use twinflow::engine::state::StateWriter;
use twinflow::engine::stream_functions::StreamFunctionDefinition;
use twinflow::engine::windows::Window;
use twinflow::engine::windows::WindowDefinition;
use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Kind;
use twinflow::event::Slot;
use twinflow::event::Text;
use twinflow::event::Value;
use twinflow::event::codec::Encode;
use twinflow::event::codec::Malformed;
use twinflow::plan::signature::Overload;
use twinflow::plan::signature::Parameter;
use twinflow::plan::signature::Returns;
use twinflow::plan::signature::Signature;
use twinflow::plan::signature::Trait;

/// All that this library brings.
struct Acme;

impl Extension for Acme {
    fn functions(&self) -> &'static [FunctionDefinition] {
        FUNCTIONS
    }

    fn aggregators(&self) -> &'static [AggregatorDefinition] {
        AGGREGATORS
    }

    fn windows(&self) -> &'static [WindowDefinition] {
        WINDOWS
    }

    fn stream_functions(&self) -> &'static [StreamFunctionDefinition] {
        STREAM_FUNCTIONS
    }
}

const FUNCTIONS: &[FunctionDefinition] = &[FunctionDefinition::new(
    "acme:mask",
    "The text with all but its first character hidden; a row without text is a fault.",
    &[takes(&[Parameter::any("text", &[DataType::Text])], DataType::Text)],
    |setup| {
        setup.by_row(|row| {
            let text = row.needed::<Text>(0)?;
            let shown = text.chars().enumerate();
            Ok(Some(shown.map(|(at, each)| if at == 0 { each } else { '*' }).collect::<Text>()))
        })
    },
    "define stream Users (name string);
from Users select acme:mask(name) as name insert into Masked;",
)];

const AGGREGATORS: &[AggregatorDefinition] = &[AggregatorDefinition {
    signature: Signature {
        name: "acme:spread",
        summary: "How far the greatest value that ever came lies above the least.",
        traits: &[Trait::Lasts],
        overloads: &[takes(&[Parameter::any("value", &[DataType::Long])], DataType::Long)],
        example: "define stream Prices (price long);
from Prices select acme:spread(price) as spread insert into Spreads;",
    },
    build: |_| Ok(PerGroup::<Spread>::boxed()),
}];

/// The least and the greatest value of a group.
#[derive(Default)]
struct Spread(Option<(i64, i64)>);

impl Running for Spread {
    type Argument = i64;
    type Result = i64;
    const FOREVER: bool = true;

    fn enter(&mut self, value: &i64) {
        let (least, greatest) = self.0.unwrap_or((*value, *value));
        self.0 = Some((least.min(*value), greatest.max(*value)));
    }

    fn leave(&mut self, _: &i64) {}

    fn result(&mut self) -> Option<i64> {
        self.0.map(|(least, greatest)| greatest - least)
    }
}

impl Encode for Spread {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Spread(Encode::decode(from)?))
    }
}

const STREAM_FUNCTIONS: &[StreamFunctionDefinition] = &[StreamFunctionDefinition {
    signature: Signature {
        name: "acme:number",
        summary: "Adds `number`, which counts the rows.",
        traits: &[Trait::Holds],
        overloads: &[Overload { parameters: &[], returns: Returns::Type(DataType::Long) }],
        example: "define stream Users (name string);
from Users#acme:number() select number, name insert into Numbered;",
    },
    added: |_| &[("number", DataType::Long)],
    build: |_, _| Ok(Box::new(Number(0))),
}];

struct Number(i64);

impl Operator for Number {
    fn run(&mut self, input: &Batch, _: &mut Context, output: &mut Batch) {
        output.extend(input, 0, input.len());
        let number = output.columns.last_mut().expect("it adds a column");
        for _ in 0..input.len() {
            self.0 += 1;
            number.push(&Value::Long(self.0));
        }
    }

    fn forget(&mut self, _: Slot) {}

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.0);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.0 = state.get()?;
        Ok(())
    }
}

const WINDOWS: &[WindowDefinition] = &[WindowDefinition {
    signature: Signature {
        name: "acme:every",
        summary: "Passes each `count`-th row and holds none.",
        traits: &[],
        overloads: &[takes(&[Parameter::constant("count", &[DataType::Int])], DataType::Object)],
        example: "define stream Users (name string);
from Users#window.acme:every(10) select name insert into Sample;",
    },
    build: |setup| Ok(Box::new(Every { count: setup.period(0)?, seen: 0 })),
}];

struct Every {
    count: i64,
    seen: i64,
}

impl Operator for Every {
    fn run(&mut self, input: &Batch, _: &mut Context, output: &mut Batch) {
        for row in (0..input.len()).filter(|&row| input.kind(row) == Kind::Current) {
            self.seen += 1;
            if self.seen % self.count == 0 {
                output.push_from(input, row, Kind::Current, input.timestamps[row]);
            }
        }
    }

    fn forget(&mut self, _: Slot) {}

    fn save(&self, state: &mut StateWriter) {
        state.put(&self.seen);
    }

    fn load(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        self.seen = state.get()?;
        Ok(())
    }
}

impl Window for Every {
    fn contents(&self, _: Slot, _: &mut Batch) {}
}

/// Keeps what comes out.
struct Lines(Vec<String>);

impl Outlet for Lines {
    fn stream(&mut self, _: usize, _: i64, rows: &Batch) {
        self.0.extend((0..rows.len()).map(|row| format!("{:?}", rows.row(row))));
    }

    fn query(&mut self, _: usize, _: i64, _: &Batch) {}

    fn note(&mut self, _: Note) {}
}

/// Runs a plan that calls all of them; gives the rows that come out.
pub fn results() -> Vec<String> {
    let library = Library::standard().with(Acme);
    let text = "define stream Users (name string, score long);
        from Users#acme:number()#window.acme:every(2)
        select number, acme:mask(name) as name, acme:spread(score) as spread, str:length(name) as n
        insert into Out;";
    let parsed = twinflow::language::parse(text);
    let checked = twinflow::plan::check(&parsed.tree, text, &library);
    let plan = checked.plan.expect("the plan is right");
    let mut core = PlanCore::build_with(Arc::new(plan), 7, library).expect("the plan can run");
    core.start(0);
    core.watch_stream(core.plan().stream("Out").expect("a query fills it"));
    let users = core.plan().stream("Users").expect("it is defined");

    let mut rows = Batch::new(&core.plan().streams[users].schema.types());
    for (time, (name, score)) in (0..).zip([("ann", 5), ("bob", 3), ("cleo", 9), ("dan", 4)]) {
        rows.push_row(time, &[Value::from(name), Value::Long(score)]);
    }
    let mut lines = Lines(Vec::new());
    core.apply(&Entry { at: 10, input: Input::Rows { stream: users, batch: &rows } }, &mut lines);
    lines.0
}

#[allow(dead_code, reason = "a test runs the rest")]
#[allow(clippy::print_stdout, reason = "it is made to be read")]
fn main() {
    results().iter().for_each(|line| println!("{line}"));
}
