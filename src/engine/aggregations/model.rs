//! Aggregations beside a model that keeps every row in a list and computes each answer anew.

use crate::engine::aggregations::RunningAggregation;
use crate::engine::context::Context;
use crate::engine::state::SavedState;
use crate::engine::state::StateWriter;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Schema;
use crate::event::Value;
use crate::plan::aggregation::Aggregation;
use crate::plan::aggregation::BUCKET;
use crate::plan::aggregation::Clock;
use crate::plan::aggregation::Discard;
use crate::plan::aggregation::Running;
use crate::plan::aggregation::RunningKind;
use crate::plan::aggregation::Shown;
use crate::plan::calendar::Period;
use crate::plan::zone::Zone;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// 2017-06-01 04:05:50 UTC.
const START: Millis = 1_496_289_950_000;

/// Columns of the rows: time, key, a whole number, a number in halves, a text.
const TYPES: [DataType; 5] =
    [DataType::Long, DataType::Text, DataType::Long, DataType::Double, DataType::Text];

#[derive(Clone, Debug)]
struct Row {
    time: Millis,
    key: Option<u8>,
    whole: Option<i32>,
    half: Option<i8>,
    text: u8,
}

#[derive(Clone, Debug)]
enum Act {
    Take(Vec<Row>),
    Reload,
    Read(usize, Millis, Millis),
    Discard(Millis),
}

#[derive(Clone, Debug)]
struct Play {
    periods: Vec<Period>,
    grouped: bool,
    zone: &'static str,
    purged: bool,
    acts: Vec<Act>,
}

fn zone(play: &Play) -> Zone {
    Zone::read(play.zone).expect("it is a zone")
}

/// Moments that are mostly near each other, and now and then months away.
fn time() -> impl Strategy<Value = Millis> {
    prop_oneof![
        8 => (0..90_000_i64).prop_map(|rest| START + rest),
        3 => (0..3_600_000_i64).prop_map(|rest| START + rest),
        2 => (0..40 * 86_400_000_i64).prop_map(|rest| START + rest),
        1 => (0..900 * 86_400_000_i64).prop_map(|rest| START - rest),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let (key, whole) = (proptest::option::weighted(0.9, 0..4_u8), -9..9_i32);
    let whole = proptest::option::weighted(0.8, whole);
    let half = proptest::option::weighted(0.8, -9..9_i8);
    (time(), key, whole, half, 0..3_u8).prop_map(|(time, key, whole, half, text)| Row {
        time,
        key,
        whole,
        half,
        text,
    })
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => proptest::collection::vec(row(), 1..12).prop_map(Act::Take),
        1 => Just(Act::Reload),
        4 => (0..6_usize, time(), time()).prop_map(|(level, from, to)| Act::Read(level, from, to)),
        1 => time().prop_map(Act::Discard),
    ]
}

fn play() -> impl Strategy<Value = Play> {
    let periods = proptest::sample::subsequence(Period::ALL.to_vec(), 1..=6);
    let zone = prop_oneof![Just("UTC"), Just("+05:30"), Just("-01:00"), Just("Europe/Berlin")];
    let acts = proptest::collection::vec(act(), 1..25);
    (periods, any::<bool>(), zone, any::<bool>(), acts).prop_map(
        |(periods, grouped, zone, purged, acts)| Play { periods, grouped, zone, purged, acts },
    )
}

fn aggregation(play: &Play) -> Aggregation {
    let running = |kind, input, ty| Running { kind, input: Some(input), ty };
    let running = vec![
        Running { kind: RunningKind::Count, input: None, ty: DataType::Long },
        running(RunningKind::Sum, 2, DataType::Long),
        running(RunningKind::Sum, 3, DataType::Double),
        running(RunningKind::Least, 2, DataType::Long),
        running(RunningKind::Greatest, 3, DataType::Double),
        running(RunningKind::Distinct, 4, DataType::Text),
        running(RunningKind::Latest, 4, DataType::Text),
    ];
    let mut outputs: Vec<Shown> = (0..running.len()).map(Shown::Running).collect();
    outputs.push(Shown::Mean { sum: 1, count: 0 });
    let mut types = vec![
        DataType::Long,
        DataType::Long,
        DataType::Double,
        DataType::Long,
        DataType::Double,
        DataType::Long,
        DataType::Text,
        DataType::Double,
    ];
    if play.grouped {
        outputs.push(Shown::Group(0));
        types.push(DataType::Text);
    }
    types.insert(0, DataType::Long);
    let names = types.iter().enumerate().map(|(place, ty)| match place {
        0 => (BUCKET.to_owned(), *ty),
        place => (format!("o{place}"), *ty),
    });
    let retention = |period: &Period| match period {
        Period::Second => Some(120_000),
        Period::Minute => Some(7_200_000),
        Period::Hour => Some(90_000_000),
        Period::Day => Some(32 * 86_400_000),
        Period::Month | Period::Year => None,
    };
    let discard = Discard { interval: 1, retention: play.periods.iter().map(retention).collect() };
    Aggregation {
        clock: Clock::Long,
        // Without groups the key is passed over as something that is taken in by nobody.
        groups: if play.grouped { vec![DataType::Text] } else { Vec::new() },
        running,
        outputs,
        schema: Schema::new(names),
        periods: play.periods.clone(),
        zone: zone(play),
        purge: play.purged.then_some(discard),
        ..Aggregation::default()
    }
}

fn values(row: &Row) -> Vec<Value> {
    let key = row.key.map_or(Value::Null, |key| Value::from(format!("k{key}").as_str()));
    let whole = row.whole.map_or(Value::Null, |whole| Value::Long(i64::from(whole)));
    let half = row.half.map_or(Value::Null, |half| Value::Double(f64::from(half) / 2.0));
    vec![Value::Long(row.time), key, whole, half, Value::from(format!("t{}", row.text).as_str())]
}

/// All rows of a bucket and group, as the aggregation would show them.
fn shown(bucket: Millis, key: Option<&Value>, rows: &[&Row]) -> Vec<Value> {
    let wholes: Vec<i64> = rows.iter().filter_map(|row| row.whole).map(i64::from).collect();
    let halves: Vec<f64> =
        rows.iter().filter_map(|row| row.half).map(|half| f64::from(half) / 2.0).collect();
    let count = rows.len() as i64;
    let sum = (!wholes.is_empty()).then(|| wholes.iter().sum::<i64>());
    let mut texts: Vec<u8> = rows.iter().map(|row| row.text).collect();
    texts.sort_unstable();
    texts.dedup();
    // Of rows that are equally late the last to come counts.
    let latest = rows.iter().max_by_key(|row| row.time).expect("a bucket has rows");
    let long = |value: Option<i64>| value.map_or(Value::Null, Value::Long);
    let double = |value: Option<f64>| value.map_or(Value::Null, Value::Double);
    let greatest = halves.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut all = vec![
        Value::Long(bucket),
        Value::Long(count),
        long(sum),
        double((!halves.is_empty()).then(|| halves.iter().sum())),
        long(wholes.iter().min().copied()),
        double((!halves.is_empty()).then_some(greatest)),
        Value::Long(texts.len() as i64),
        Value::from(format!("t{}", latest.text).as_str()),
        double(sum.map(|sum| (sum / count) as f64)),
    ];
    all.extend(key.cloned());
    all
}

/// What the model answers: rows by bucket, in a bucket in order of their texts.
fn expected(
    play: &Play,
    rows: &[Row],
    period: Period,
    range: std::ops::Range<Millis>,
) -> Vec<Vec<Value>> {
    let mut buckets: BTreeMap<(Millis, String), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let bucket = period.start(row.time, &zone(play));
        if range.contains(&bucket) {
            let key = if play.grouped { format!("{:?}", row.key) } else { String::new() };
            buckets.entry((bucket, key)).or_default().push(row);
        }
    }
    let keys = |rows: &[&Row]| play.grouped.then(|| values(rows[0]).swap_remove(1));
    let shown = buckets.iter().map(|((bucket, _), rows)| shown(*bucket, keys(rows).as_ref(), rows));
    sorted(shown.collect())
}

fn sorted(mut rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    rows.sort_by_key(|row| (row[0].as_long(), format!("{:?}", row.last())));
    rows
}

fn batch(rows: &[Row], grouped: bool) -> Batch {
    let mut batch = Batch::new(&TYPES);
    for row in rows {
        batch.push_row(row.time, &values(row));
    }
    debug_assert!(grouped || batch.columns.len() == TYPES.len());
    batch
}

fn reloaded(running: &RunningAggregation, aggregation: &Aggregation) -> RunningAggregation {
    let mut state = StateWriter::default();
    state.section("aggregation", 1);
    running.save(&mut state);
    let bytes = state.freeze().to_bytes();
    let saved = SavedState::parse(&bytes).expect("it was just saved");
    let mut fresh = RunningAggregation::new(aggregation);
    let mut section = saved.section("aggregation", 1).expect("it is there");
    fresh.load(&mut section).expect("it was just saved");
    assert!(section.is_at_end());
    let mut again = StateWriter::default();
    again.section("aggregation", 1);
    fresh.save(&mut again);
    assert_eq!(bytes, again.freeze().to_bytes(), "what is loaded is what was saved");
    fresh
}

fn run(play: &Play) -> Result<(), TestCaseError> {
    let aggregation = aggregation(play);
    let mut running = RunningAggregation::new(&aggregation);
    // The same rows, one at a time.
    let mut slow = RunningAggregation::new(&aggregation);
    let mut context = Context::default();
    let mut taken: Vec<Row> = Vec::new();
    // From which bucket on each level is whole.
    let mut whole = vec![Millis::MIN; play.periods.len()];
    for act in &play.acts {
        match act {
            Act::Take(rows) => {
                running.take(&batch(rows, play.grouped), &mut context);
                for row in rows {
                    slow.take(&batch(std::slice::from_ref(row), play.grouped), &mut context);
                }
                taken.extend(rows.iter().cloned());
            }
            Act::Reload => running = reloaded(&running, &aggregation),
            Act::Discard(now) => {
                running.discard(*now);
                slow.discard(*now);
                let retention = aggregation.purge.as_ref().map(|purge| &purge.retention);
                for (place, whole) in whole.iter_mut().enumerate() {
                    if let Some(kept) = retention.and_then(|retention| retention[place]) {
                        *whole = (*whole).max(now - kept);
                    }
                }
                if let Some(kept) = retention.and_then(|retention| retention[0]) {
                    let mut left = Batch::new(&aggregation.schema.types());
                    running.read(0, Millis::MIN..now - kept, &mut left);
                    prop_assert!(left.is_empty(), "old buckets are gone");
                }
            }
            Act::Read(level, from, to) => {
                let level = level % play.periods.len();
                let range = (*from).max(whole[level])..(*to).max(whole[level]);
                let mut found = Batch::new(&aggregation.schema.types());
                running.read(level, range.clone(), &mut found);
                let mut other = Batch::new(&aggregation.schema.types());
                slow.read(level, range.clone(), &mut other);
                prop_assert_eq!(&found, &other, "a cut of the rows was seen");
                let found: Vec<Vec<Value>> = (0..found.len()).map(|row| found.row(row)).collect();
                let buckets: Vec<_> = found.iter().map(|row| row[0].as_long()).collect();
                prop_assert!(buckets.is_sorted(), "buckets come in order");
                let model = expected(play, &taken, play.periods[level], range);
                prop_assert_eq!(sorted(found), model);
            }
        }
    }
    prop_assert!(context.faults.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn buckets_hold_what_a_list_of_all_rows_would_give(play in play()) {
        run(&play)?;
    }
}
