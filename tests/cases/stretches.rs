//! Sequences of single events over columns of all types, with nulls and times that go back: those
//! found in a whole batch at once are those that are found row by row.

use std::sync::Arc;
use twinflow::engine::core::PlanCore;
use twinflow::engine::entry::Entry;
use twinflow::engine::entry::Input;
use twinflow::engine::entry::Nowhere;
use twinflow::event::Batch;
use twinflow::event::Value;
use twinflow::plan::logical::Plan;
use twinflow::rehearsal::Act;
use twinflow::rehearsal::Dice;
use twinflow::rehearsal::InputRow;
use twinflow::rehearsal::Reading;
use twinflow::rehearsal::Step;
use twinflow::rehearsal::compare_ways;

/// Sequences tried; `CASES=n` tries more.
const CASES: u64 = 120;

const COLUMNS: &[&str] = &["i", "l", "f", "d", "b", "s"];

/// Made-up conditions of the event with a number, joined by `and`.
fn filter(dice: &mut Dice, number: u64) -> String {
    let mut conditions: Vec<String> = (0..dice.below(3)).map(|_| condition(dice, number)).collect();
    if conditions.is_empty() && dice.below(3) > 0 {
        conditions.push(condition(dice, number));
    }
    match conditions.is_empty() {
        true => String::new(),
        false => format!("[{}]", conditions.join(" and ")),
    }
}

fn condition(dice: &mut Dice, number: u64) -> String {
    let column = *dice.pick(COLUMNS);
    let operator = match column {
        "b" | "s" => *dice.pick(&["==", "!="]),
        _ => *dice.pick(&["==", "!=", "<", "<=", ">", ">=", "<=", ">="]),
    };
    let earlier = format!("e{}", 1 + dice.below(number - 1));
    match dice.below(if number == 1 { 3 } else { 9 }) {
        0 => "d > 1.0 and i < 3".to_owned(),
        1 => "not (s is null)".to_owned(),
        2 => "b or l >= 2".to_owned(),
        3 => format!("d * 2.0 >= {earlier}.d + 1.0"),
        4 => format!("(b or not ({earlier}.i is null) and {earlier}.i <= l)"),
        5 => format!("{earlier}.{column} {operator} {column}"),
        _ => format!("{column} {operator} {earlier}.{column}"),
    }
}

fn text(dice: &mut Dice) -> String {
    let states = 2 + dice.below(3);
    let events: Vec<String> =
        (1..=states).map(|number| format!("e{number}=S{}", filter(dice, number))).collect();
    let within = *dice.pick(&["", "", " within 0 millisec", " within 6 millisec"]);
    let items: Vec<String> = (0..1 + dice.below(5))
        .map(|item| format!("e{}.{} as c{item}", 1 + dice.below(states), dice.pick(COLUMNS)))
        .collect();
    format!(
        "define stream S (i int, l long, f float, d double, b bool, s string);\n\
         from every {}{within}\nselect {} insert into Out;",
        events.join(", "),
        items.join(", ")
    )
}

fn row(dice: &mut Dice, at: i64) -> InputRow {
    let values = [
        Value::Int(dice.below(5) as i32),
        Value::Long(dice.below(5) as i64),
        Value::Float(dice.below(5) as f32 / 2.0),
        Value::Double(dice.below(5) as f64 / 2.0),
        Value::Bool(dice.below(2) == 0),
        Value::from(*dice.pick(&["a", "b", "a text that is not short"])),
    ];
    let null = |value| if dice.below(16) == 0 { Value::Null } else { value };
    let values = values.map(null).to_vec();
    (at + dice.below(12) as i64 - 8, values)
}

/// How many rows no state wanted, of rows that come in batches of a size.
fn left_out(plan: &Arc<Plan>, rows: &[InputRow], size: usize) -> Vec<u64> {
    let mut core = PlanCore::build(Arc::clone(plan), 1).expect("the plan runs");
    core.start(0);
    let stream = plan.stream("S").expect("it is defined");
    for rows in rows.chunks(size) {
        let mut batch = Batch::new(&plan.streams[stream].schema.types());
        rows.iter().for_each(|(time, values)| batch.push_row(*time, values));
        let entry = Entry { at: 2_000, input: Input::Rows { stream, batch: &batch } };
        core.apply(&entry, &mut Nowhere);
    }
    core.left_out().map(|(_, _, count)| count).collect()
}

#[test]
fn sequences_in_one_batch_are_those_found_row_by_row() {
    let setting = |name: &str, otherwise| {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    };
    let first: u64 = setting("SEED", 1);
    let (mut found, mut unwanted) = (0, 0);
    for seed in first..first + setting("CASES", CASES) {
        let mut dice = Dice::new(seed);
        let text = text(&mut dice);
        let reading = Reading::new("made up", &text);
        let plan = reading.plan.unwrap_or_else(|| panic!("{seed}: {:#?}", reading.diagnostics));
        let stream = plan.stream("S").expect("it is defined");
        let steps: Vec<Step> = [1_000, 1_003, 1_020]
            .into_iter()
            .map(|at| {
                let rows = (0..30).map(|_| row(&mut dice, at)).collect();
                Step { at, act: Act::Send(stream, rows) }
            })
            .collect();
        found += compare_ways(&plan, &steps, seed)
            .unwrap_or_else(|failure| panic!("SEED={seed} CASES=1\n{text}\n{failure}"));
        let rows: Vec<InputRow> = steps
            .iter()
            .flat_map(|step| match &step.act {
                Act::Send(_, rows) => rows.clone(),
                _ => Vec::new(),
            })
            .collect();
        let counts = left_out(&plan, &rows, 1);
        assert_eq!(left_out(&plan, &rows, 37), counts, "SEED={seed} CASES=1\n{text}");
        unwanted += counts.iter().sum::<u64>();
    }
    assert!(found > 1_000 && unwanted > 100, "only {found} matches, {unwanted} rows left out");
}
