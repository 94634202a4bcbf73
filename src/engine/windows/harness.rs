//! Plays generated rows through every window of the list and checks what all of them promise: where
//! batches are cut cannot be seen, saving and loading changes nothing, slots know nothing of each
//! other, and readers that want less get the same but less.
//!
//! A new window is covered by its line in the list; one that takes texts tells here what texts.

use crate::engine::context::Context;
use crate::engine::library::Library;
use crate::engine::state::SavedState;
use crate::engine::state::StateWriter;
use crate::engine::windows::ALL;
use crate::engine::windows::Window;
use crate::engine::windows::WindowDefinition;
use crate::engine::windows::WindowSetup;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Millis;
use crate::event::Slot;
use crate::event::Text;
use crate::event::Value;
use crate::plan::expression::Expr;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Count;
use crate::plan::signature::Form;
use crate::plan::signature::Parameter;
use crate::plan::signature::Trait;
use proptest::prelude::*;
use proptest::sample::select;

/// Columns of the rows that are played; the second holds times that mostly rise.
pub const TYPES: &[DataType] = &[
    DataType::Text,
    DataType::Long,
    DataType::Int,
    DataType::Double,
    DataType::Bool,
    DataType::Float,
];

/// Their names.
pub const NAMES: &[&str] = &["name", "at", "n", "price", "flag", "share"];

const SLOTS: Slot = 3;

/// One row that comes.
#[derive(Clone, Debug)]
pub struct Row {
    slot: Slot,
    values: Vec<Value>,
    /// How far the row's own time lies behind the clock.
    lag: Millis,
    /// Whether the next row is of the same chunk; it is of the same slot then.
    joined: bool,
}

/// Rows that come together after some time.
#[derive(Clone, Debug)]
pub struct Entry {
    wait: Millis,
    rows: Vec<Row>,
}

/// A window with arguments and readers.
#[derive(Clone)]
pub struct Kit {
    /// The window.
    pub definition: &'static WindowDefinition,
    /// Its arguments.
    pub arguments: Vec<Expr>,
    /// Types of the columns.
    pub types: &'static [DataType],
    /// Names of the columns.
    pub names: &'static [&'static str],
    /// Columns that are read.
    pub keep: Vec<bool>,
    /// Columns that are read of expired rows.
    pub leaving: Vec<bool>,
    /// Whether anybody reads expired rows.
    pub expired: bool,
    /// Whether the contents are looked at.
    pub findable: bool,
}

impl Kit {
    /// Makes the window, if it takes the arguments.
    pub fn build(&self) -> Result<Box<dyn Window>, ArgumentFault> {
        let names: Vec<Text> = self.names.iter().map(|&name| name.into()).collect();
        (self.definition.build)(&WindowSetup {
            library: &Library::standard(),
            arguments: &self.arguments,
            types: self.types,
            names: &names,
            predicate: None,
            keep: &self.keep,
            leaving: &self.leaving,
            expired: self.expired,
            findable: self.findable,
        })
    }
}

impl std::fmt::Debug for Kit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arguments: Vec<_> = self.arguments.iter().map(|argument| &argument.node).collect();
        writeln!(formatter, "{}({arguments:?})", self.definition.signature.name)?;
        writeln!(formatter, "keep {:?}, leaving {:?}", self.keep, self.leaving)?;
        writeln!(formatter, "expired {}, findable {}", self.expired, self.findable)
    }
}

/// A window and what is played through it.
#[derive(Clone)]
pub struct Case {
    kit: Kit,
    entries: Vec<Entry>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.kit)?;
        self.entries.iter().try_for_each(|entry| writeln!(formatter, "{entry:?}"))
    }
}

/// A row that was put out, or what the window held at some moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub at: Millis,
    pub slot: Slot,
    pub kind: Option<Kind>,
    pub timestamp: Millis,
    pub values: Vec<Value>,
    pub chunk: usize,
}

/// How a case is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Entries at one moment in one batch, unless sends matter.
    Whole,
    /// Each entry a batch.
    AsWritten,
    /// Each chunk a batch.
    ByChunk,
    /// Each chunk a batch, and a new window after each.
    Reloaded,
}

/// The outside of a window: clock, timers, and a record of all that comes out.
pub struct Stage {
    kit: Kit,
    pub window: Box<dyn Window>,
    pub context: Context,
    pub seen: Vec<Seen>,
    chunks: usize,
    pub faults: usize,
}

impl Stage {
    /// Builds the window; `None` if it does not take the arguments.
    pub fn new(kit: Kit) -> Option<Stage> {
        let births = (0..u64::from(SLOTS) + 8).collect();
        Some(Stage {
            window: kit.build().ok()?,
            kit,
            context: Context { births, ..Context::default() },
            seen: Vec::new(),
            chunks: 0,
            faults: 0,
        })
    }

    fn collect(&mut self, output: &Batch) {
        for (column, keep) in output.columns.iter().zip(&self.kit.keep) {
            let wanted = if *keep { output.len() } else { 0 };
            assert_eq!(column.len(), wanted, "a column is as long as the batch, or absent");
        }
        for row in 0..output.len() {
            let kind = output.kind(row);
            let mut values = if kind == Kind::Reset { Vec::new() } else { output.row(row) };
            if kind == Kind::Expired {
                let unread = values.iter_mut().zip(&self.kit.leaving).filter(|(_, read)| !**read);
                unread.for_each(|(value, _)| *value = Value::Null);
            }
            self.seen.push(Seen {
                at: self.context.now,
                slot: output.slot(row),
                kind: Some(kind),
                timestamp: output.timestamps[row],
                values,
                chunk: self.chunks,
            });
            self.chunks += usize::from(!output.chunk_continues(row));
        }
        assert!(output.is_empty() || !output.chunk_continues(output.len() - 1));
        self.faults += std::mem::take(&mut self.context.faults).len();
    }

    fn with_output(&mut self, act: impl FnOnce(&mut dyn Window, &mut Context, &mut Batch)) {
        let mut output = Batch::keeping(self.kit.types, &self.kit.keep);
        act(&mut *self.window, &mut self.context, &mut output);
        self.collect(&output);
    }

    /// Moves the clock, firing what is due on the way.
    pub fn advance(&mut self, until: Millis) {
        while let Some(timer) = self.context.timers.take_due(until) {
            assert!(timer.due >= self.context.now, "a timer is not set for the past");
            self.context.now = timer.due;
            self.with_output(|window, context, output| {
                window.wake(timer.due, timer.slot, context, output);
            });
        }
        self.context.now = until;
    }

    /// Rows come.
    pub fn send(&mut self, batch: &Batch) {
        self.with_output(|window, context, output| window.run(batch, context, output));
        let now = self.context.now;
        assert!(
            self.context.timers.next_due().is_none_or(|due| due > now),
            "nothing is due at once"
        );
    }

    /// A send ends.
    pub fn end_send(&mut self) {
        if self.window.gathers_sends() {
            self.with_output(|window, context, output| window.end_send(context, output));
        }
    }

    /// Notes what the window holds.
    fn look(&mut self) {
        for slot in 0..SLOTS {
            let mut held = Batch::keeping(self.kit.types, &self.kit.keep);
            self.window.contents(slot, &mut held);
            let look = |row| Seen {
                at: self.context.now,
                slot,
                kind: None,
                timestamp: held.timestamps[row],
                values: held.row(row),
                chunk: usize::MAX,
            };
            self.seen.extend((0..held.len()).map(look));
        }
    }

    /// Saves the window and goes on with a new one that has loaded it.
    pub fn reload(&mut self) {
        let mut writer = StateWriter::default();
        writer.section("window", self.window.version());
        self.window.save(&mut writer);
        let bytes = writer.freeze().to_bytes();
        let state = SavedState::parse(&bytes).expect("own bytes");
        self.window = self.kit.build().expect("as before");
        let mut section = state.section("window", self.window.version()).expect("own section");
        self.window.load(&mut section).expect("own state");
        assert!(section.is_at_end(), "all that was saved is read");
    }
}

impl Case {
    /// Plays all entries and gives what was seen, chunks counted from 0. `forget` drops a slot
    /// before an entry.
    fn play(&self, way: Way, forget: Option<(usize, Slot)>) -> Option<(Vec<Seen>, usize)> {
        let mut stage = Stage::new(self.kit.clone())?;
        let mut clock = 1_700_000_000_000;
        let gathers = stage.window.gathers_sends();
        let mut place = 0;
        while place < self.entries.len() {
            if let Some((_, slot)) = forget.filter(|(at, _)| *at == place) {
                stage.window.forget(slot);
            }
            clock += self.entries[place].wait;
            stage.advance(clock);
            let mut rows = self.entries[place].rows.clone();
            place += 1;
            let merges = way == Way::Whole && !gathers && forget.is_none();
            while merges && self.entries.get(place).is_some_and(|next| next.wait == 0) {
                rows.extend_from_slice(&self.entries[place].rows);
                place += 1;
            }
            self.feed(&mut stage, &rows, clock, way);
            stage.end_send();
            let settled = self.entries.get(place).is_none_or(|next| next.wait > 0);
            if self.kit.findable && settled {
                stage.look();
            }
        }
        stage.advance(clock + 100_000);
        (0..SLOTS).for_each(|slot| stage.window.forget(slot));
        assert_eq!(stage.window.held(), 0);
        Some((in_chunks(stage.seen), stage.faults))
    }

    fn feed(&self, stage: &mut Stage, rows: &[Row], clock: Millis, way: Way) {
        let batch = batch(rows, clock);
        if matches!(way, Way::Whole | Way::AsWritten) {
            return stage.send(&batch);
        }
        let mut start = 0;
        while start < batch.len() {
            let end = batch.chunk_end(start);
            let mut piece = Batch::new(TYPES);
            piece.extend(&batch, start, end);
            stage.send(&piece);
            if way == Way::Reloaded {
                stage.reload();
            }
            start = end;
        }
    }
}

fn batch(rows: &[Row], clock: Millis) -> Batch {
    let mut batch = Batch::new(TYPES);
    for (place, row) in rows.iter().enumerate() {
        for (column, value) in batch.columns.iter_mut().zip(&row.values) {
            column.push(value);
        }
        batch.push_head(clock - row.lag, Kind::Current, row.slot);
        if row.joined {
            batch.continues.set(place);
        }
    }
    batch
}

/// Counts chunks anew, so that records from which rows were left out can be compared.
fn in_chunks(mut seen: Vec<Seen>) -> Vec<Seen> {
    let mut last = None;
    let mut chunks = 0;
    for each in seen.iter_mut().filter(|each| each.kind.is_some()) {
        if last.is_some_and(|last| last != each.chunk) {
            chunks += 1;
        }
        last = Some(each.chunk);
        each.chunk = chunks;
    }
    seen
}

fn of_slot(seen: &[Seen], slot: Slot) -> Vec<Seen> {
    in_chunks(seen.iter().filter(|each| each.slot == slot).cloned().collect())
}

fn constant(parameter: &'static Parameter) -> BoxedStrategy<Expr> {
    let texts: &'static [&'static str] = match parameter.name {
        "cron" => &["*/2 * * * * ?", "* * * * * ?", "0 0 12 * * ?"],
        "order" => &["asc", "DESC"],
        "condition" => &[
            "count() <= 3",
            "sum(n) < 6 and price < 3.0",
            "eventTimestamp(last) - eventTimestamp(first) < 5",
            "first.name == last.name or max(n) > 2",
        ],
        _ => &[],
    };
    let value = select(parameter.types).prop_flat_map(move |ty| match ty {
        DataType::Int => (0..9).prop_map(Value::Int).boxed(),
        DataType::Long => (0i64..9).prop_map(Value::Long).boxed(),
        DataType::Float => (0f32..1.0).prop_map(Value::Float).boxed(),
        DataType::Double => (0f64..1.0).prop_map(Value::Double).boxed(),
        DataType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        DataType::Text => select(texts).prop_map(Value::from).boxed(),
        DataType::Object => panic!("there are no constants of type object"),
    });
    value.prop_map(Expr::constant).boxed()
}

fn attribute(parameter: &'static Parameter) -> BoxedStrategy<Expr> {
    let fits = |&column: &usize| parameter.types.contains(&TYPES[column]);
    let columns: Vec<usize> = (0..TYPES.len()).filter(fits).collect();
    select(columns).prop_map(|column| Expr::column(column, TYPES[column])).boxed()
}

/// Arguments for one parameter; none, if it may be left out.
fn argument(parameter: &'static Parameter) -> BoxedStrategy<Vec<Expr>> {
    let one = match parameter.form {
        Form::Constant => constant(parameter),
        Form::Attribute => attribute(parameter),
        Form::Any => prop_oneof![attribute(parameter), constant(parameter)].boxed(),
    };
    let most = match parameter.count {
        Count::One => return one.prop_map(|argument| vec![argument]).boxed(),
        Count::Optional => 1,
        Count::Many => 3,
    };
    proptest::collection::vec(one, 0..=most).boxed()
}

fn arguments(definition: &'static WindowDefinition) -> BoxedStrategy<Vec<Expr>> {
    let overload = select(definition.signature.overloads);
    let lists = overload
        .prop_flat_map(|overload| overload.parameters.iter().map(argument).collect::<Vec<_>>());
    lists.prop_map(|lists| lists.concat()).boxed()
}

const TEXTS: &[&str] =
    &["a", "b", "a longer text that is shared by handle", "count() < 3", "sum(n) < 5"];

fn row() -> impl Strategy<Value = Row> {
    let values = (
        prop_oneof![9 => select(TEXTS).prop_map(Value::from), 1 => Just(Value::Null)],
        prop_oneof![9 => (0i64..12).prop_map(Value::Long), 1 => Just(Value::Null)],
        (0..4).prop_map(Value::Int),
        prop_oneof![(0..4).prop_map(|n| Value::Double(f64::from(n))), Just(Value::Null)],
        any::<bool>().prop_map(Value::Bool),
        (0..4).prop_map(|n| Value::Float(n as f32)),
    );
    let values = values.prop_map(|(a, b, c, d, e, f)| vec![a, b, c, d, e, f]);
    let lag = prop_oneof![4 => Just(0), 1 => 0i64..15];
    (0..SLOTS, values, lag, proptest::bool::weighted(0.2))
        .prop_map(|(slot, values, lag, joined)| Row { slot, values, lag, joined })
}

fn entries(keyed: bool) -> impl Strategy<Value = Vec<Entry>> {
    let wait = select(&[0, 0, 1, 1, 2, 3, 5, 20, 700, 2500][..]);
    let entry = (wait, proptest::collection::vec(row(), 1..8))
        .prop_map(|(wait, rows)| Entry { wait, rows });
    proptest::collection::vec(entry, 1..12).prop_map(move |mut entries| {
        // The times of the second column rise, a little out of order.
        let mut time = 0;
        for row in entries.iter_mut().flat_map(|entry| &mut entry.rows) {
            if let Value::Long(step) = row.values[1] {
                row.values[1] = Value::Long(time + step);
                time += step / 3;
            }
            if !keyed {
                row.slot = 0;
            }
        }
        for entry in &mut entries {
            for place in 0..entry.rows.len() {
                let next = entry.rows.get(place + 1).map(|next| next.slot);
                entry.rows[place].joined &= next == Some(entry.rows[place].slot);
            }
        }
        entries
    })
}

fn case(definition: &'static WindowDefinition) -> impl Strategy<Value = Case> {
    let reads = proptest::collection::vec((any::<bool>(), any::<bool>()), TYPES.len());
    let entries = any::<bool>().prop_flat_map(entries);
    (arguments(definition), reads, any::<bool>(), entries).prop_map(
        move |(arguments, mut reads, findable, entries)| {
            let all = definition.signature.has(Trait::ReadsAll);
            for (column, read) in reads.iter_mut().enumerate() {
                let named = arguments.iter().any(|each| each.as_column() == Some(column));
                if all || named {
                    *read = (true, true);
                }
            }
            let keep: Vec<bool> = reads.iter().map(|read| read.0).collect();
            let leaving = reads.iter().map(|read| read.0 && (read.1 || findable)).collect();
            let (types, names, expired) = (TYPES, NAMES, true);
            let kit = Kit { definition, arguments, types, names, keep, leaving, expired, findable };
            Case { kit, entries }
        },
    )
}

/// Checks one case, unless the window does not take the arguments.
fn check(case: &Case) -> Result<bool, TestCaseError> {
    let Some((whole, faults)) = case.play(Way::Whole, None) else { return Ok(false) };
    for way in [Way::AsWritten, Way::ByChunk, Way::Reloaded] {
        let (seen, found) = case.play(way, None).expect("it was taken before");
        prop_assert_eq!(&seen, &whole, "{:?} differs from {:?}", way, Way::Whole);
        prop_assert_eq!(found, faults);
    }
    // Without readers of expired rows the same comes, but for these.
    let mut fewer = case.clone();
    fewer.kit.expired = false;
    let (seen, _) = fewer.play(Way::Whole, None).expect("it was taken before");
    let others = whole.iter().filter(|each| each.kind != Some(Kind::Expired)).cloned().collect();
    let seen = seen.into_iter().filter(|each| each.kind != Some(Kind::Expired)).collect();
    prop_assert_eq!(in_chunks(seen), in_chunks(others), "without readers of expired rows");
    // Each slot gets what it gets alone; in a send its rows may lie apart.
    let gathers = case.kit.build().is_ok_and(|window| window.gathers_sends());
    for slot in 0..SLOTS {
        let mut alone = case.clone();
        alone.entries.iter_mut().for_each(|entry| entry.rows.retain(|row| row.slot == slot));
        merge_empty(&mut alone.entries);
        if !gathers {
            let (seen, _) = alone.play(Way::AsWritten, None).expect("it was taken before");
            prop_assert_eq!(rows(&of_slot(&seen, slot)), rows(&of_slot(&whole, slot)));
        }
        // A slot that was forgotten is as new.
        let half = alone.entries.len() / 2;
        let (all, _) = alone.play(Way::AsWritten, Some((half, slot))).expect("taken");
        let start: Millis = alone.entries.iter().take(half).map(|entry| entry.wait).sum();
        let mut late = alone.clone();
        late.entries.drain(..half);
        if let Some(first) = late.entries.first_mut() {
            first.wait += start;
        }
        let (new, _) = late.play(Way::AsWritten, None).expect("taken");
        let all = rows(&all);
        let new = rows(&new);
        prop_assert!(all.ends_with(&new), "after forgetting: {:#?} is no end of {:#?}", new, all);
    }
    Ok(true)
}

/// What was put out, without chunks' numbers.
fn rows(seen: &[Seen]) -> Vec<(Seen, bool)> {
    let rows: Vec<&Seen> = seen.iter().filter(|each| each.kind.is_some()).collect();
    let joined = |place: usize| {
        rows.get(place + 1).is_some_and(|next: &&Seen| next.chunk == rows[place].chunk)
    };
    let plain = |place: usize| Seen { chunk: 0, ..rows[place].clone() };
    (0..rows.len()).map(|place| (plain(place), joined(place))).collect()
}

/// Lets the time of entries without rows pass with the next entry.
fn merge_empty(entries: &mut Vec<Entry>) {
    let mut wait = 0;
    for entry in entries.iter_mut() {
        entry.wait += std::mem::take(&mut wait);
        if entry.rows.is_empty() {
            wait = entry.wait;
        }
    }
    entries.retain(|entry| !entry.rows.is_empty());
}

#[test]
fn every_window_keeps_its_promises() {
    for definition in ALL {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 64,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let taken = std::cell::Cell::new(0);
        let name = definition.signature.name;
        let result = runner.run(&case(definition), |case| {
            taken.set(taken.get() + usize::from(check(&case)?));
            Ok(())
        });
        if let Err(error) = result {
            panic!("{name}: {error}");
        }
        assert!(taken.get() >= 10, "{name} takes hardly any of the generated arguments");
    }
}

#[test]
fn each_window_is_in_the_list_once() {
    for (place, definition) in ALL.iter().enumerate() {
        let signature = &definition.signature;
        assert!(ALL[..place].iter().all(|other| other.signature.name != signature.name));
        assert!(signature.summary.ends_with('.'), "{}", signature.name);
        assert!(signature.example.contains(signature.name), "{}", signature.name);
    }
}
