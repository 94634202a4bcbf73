//! A plan is edited while it runs: what is the same goes on as if it had always stood in the new
//! plan, and what is not begins anew.

use crate::engine::context::Note;
use crate::engine::core::Carried;
use crate::engine::core::PlanCore;
use crate::engine::entry::Entry;
use crate::engine::entry::Input;
use crate::engine::entry::Outlet;
use crate::engine::identity::identities;
use crate::engine::library::Library;
use crate::engine::state::SavedState;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Value;
use crate::event::hash_bytes;
use crate::plan::difference::Difference;
use crate::plan::difference::compare;
use crate::plan::logical::Plan;
use crate::plan::logical::QueryId;
use crate::plan::logical::StreamId;
use std::collections::BTreeMap;
use std::sync::Arc;

const PLAN: &str = "
define stream S (user string, n int);
define stream Other (user string, n int);
define table T (user string, n int);
define window W (user string, n int) length(5) output all events;
define trigger Often at every 3 sec;
@info(name='sum')
from S[n > 2]#window.length(4) select user, sum(n) as total group by user insert into Sums;
@info(name='late')
from S#window.time(7 sec) select user, n insert all events into Late;
@info(name='batch')
from S#window.timeBatch(5 sec) select user, n insert into Batches;
@info(name='fill')
from S select user, n insert into W;
@info(name='count')
from W select count() as c, sum(n) as total insert into Counts;
from S select user, max(n) as most insert into Most;
partition with (user of S)
begin
    @info(name='per')
    from S#window.time(9 sec) select user, sum(n) as total insert into Per;
    from S select user, count() as c insert into Seen;
end;
@info(name='often')
from Often select count() as c insert into Ticks;
";

fn plan(text: &str) -> Arc<Plan> {
    let parsed = crate::language::parse(text);
    let checked = crate::plan::check(&parsed.tree, text, &Library::standard());
    let faults: Vec<_> = parsed.diagnostics.iter().chain(&checked.diagnostics).collect();
    Arc::new(checked.plan.unwrap_or_else(|| panic!("{faults:?}\n{text}")))
}

fn build(text: &str) -> PlanCore {
    let mut core = PlanCore::build(plan(text), 1).unwrap();
    (0..core.plan().queries.len()).for_each(|query| core.watch_query(query));
    core
}

fn started(text: &str, at: Millis) -> PlanCore {
    let mut core = build(text);
    core.start(at);
    core
}

/// What each query put out, by its name.
#[derive(Default)]
struct Seen {
    plan: Arc<Plan>,
    rows: BTreeMap<String, Vec<String>>,
}

impl Outlet for Seen {
    fn stream(&mut self, _: StreamId, _: Millis, _: &Batch) {}

    fn query(&mut self, query: QueryId, now: Millis, rows: &Batch) {
        let name = &self.plan.queries[query].name;
        let into = self.rows.entry(name.to_string()).or_default();
        into.extend((0..rows.len()).map(|row| format!("{now} {:?}", rows.row(row))));
    }

    fn note(&mut self, _: Note) {}
}

/// Feeds the rows of some seconds, chosen by their number, and gives what came out.
fn feed(core: &mut PlanCore, seconds: std::ops::Range<i64>) -> BTreeMap<String, Vec<String>> {
    let mut seen = Seen { plan: Arc::clone(core.plan()), ..Seen::default() };
    for second in seconds {
        let at = second * 1000;
        core.apply(&Entry { at, input: Input::Tick }, &mut seen);
        let stream = core.plan().stream("S").unwrap();
        let mut batch = Batch::new(&core.plan().streams[stream].schema.types());
        let chance = hash_bytes(&second.to_le_bytes());
        for row in 0..chance % 4 {
            let user = ["a", "b", "c"][(chance >> (8 + row)) as usize % 3];
            let n = (chance >> (16 + row)) % 9;
            let mut values = vec![Value::Text(user.into()), Value::Int(n as i32)];
            values.resize(batch.columns.len(), Value::Bool(true));
            batch.push_row(at, &values);
        }
        core.apply(&Entry { at, input: Input::Rows { stream, batch: &batch } }, &mut seen);
    }
    seen.rows
}

const CUT: i64 = 20;
const END: i64 = 45;

fn carry(old: &str, new: &str) -> (PlanCore, Carried) {
    let mut before = started(old, 0);
    feed(&mut before, 0..CUT);
    let mut after = build(new);
    let state = SavedState::of(&Arc::new(before.freeze()));
    let carried = after.adopt(&state, CUT * 1000).unwrap();
    (after, carried)
}

/// An edit: what is put in the place of what, and what is dropped and new by it.
type Edit = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const EDITS: &[Edit] = &[
    (
        "select user, n insert into Batches",
        "select\n user,   n -- a comment\n insert into Batches",
        &[],
        &[],
    ),
    (
        "@info(name='batch')",
        "@info(name='batches')",
        &["window of query `batch`: the new plan does not have it"],
        &["window of query `batches`"],
    ),
    (
        "S[n > 2]#",
        "S[n > 3]#",
        &[
            "window of query `sum`: what stands before the window changed",
            "aggregates of query `sum`: its window begins anew",
        ],
        &[],
    ),
    ("time(7 sec)", "time(8 sec)", &["window of query `late`: its window changed"], &[]),
    ("timeBatch(5 sec)", "timeBatch(5000 millisec)", &[], &[]),
    // What is selected of rows makes no difference where they have all that is read.
    ("select user, n insert into Batches", "select n insert into Batches", &[], &[]),
    ("sum(n) as total group by user", "sum(n) as all group by user", &[], &[]),
    (
        "select user, n insert into Batches",
        "select n, user, n * 2 as twice insert into Doubled",
        &[],
        &[],
    ),
    (
        "sum(n) as total group by user insert into Sums",
        "avg(n) as total group by user insert into Sums",
        &[
            "window of query `sum`: its aggregates begin anew: what is aggregated changed",
            "aggregates of query `sum`: what is aggregated changed",
        ],
        &[],
    ),
    (
        "sum(n) as total group by user insert into Sums",
        "sum(n) as total insert into Sums",
        &[
            "window of query `sum`: its aggregates begin anew: its group by changed",
            "aggregates of query `sum`: its group by changed",
        ],
        &[],
    ),
    // A name is new, the text is the same.
    ("from S select user, max(n)", "@info(name='most') from S select user, max(n)", &[], &[]),
    (
        "user, max(n) as most",
        "user, max(n) as greatest",
        &["aggregates of the query from S into Most: the new plan does not have it, or not surely"],
        &["aggregates of the query from S into Most"],
    ),
    (
        "@info(name='sum')",
        "from Other#window.length(2) select sum(n) as t insert into Added;\n@info(name='sum')",
        &[],
        &["window of the query from Other into Added", "aggregates of the query from Other into"],
    ),
    (
        "partition with (user of S)",
        "partition with (n of S)",
        &[
            "keys of the partition of S: the new plan does not have it, or not surely",
            "window of query `per`: the keys of its partition",
            "aggregates of query `per`: the keys of its partition",
            "aggregates of the query from S into Seen: the new plan does not have it",
        ],
        &["keys of the partition of S", "aggregates of the query from S into Seen"],
    ),
    (
        "as c insert into Seen;",
        "as c insert into Seen; @info(name='more') from S select sum(n) as t insert into More;",
        &[],
        &["aggregates of query `more`"],
    ),
    (
        "define table T (user string, n int)",
        "@primaryKey('user') define table T (user string, n int)",
        &["table `T`: its keys changed"],
        &[],
    ),
    (
        "define table T (user string, n int)",
        "define table T (user string, n long)",
        &["table `T`: its attributes changed"],
        &[],
    ),
    (
        "select count() as c, sum(n) as total insert into Counts",
        "select count() as c insert into Counts",
        &[
            "window `W`: query `count` does not know the rows in it",
            "aggregates of query `count`: what is aggregated changed",
        ],
        &[],
    ),
    (
        "length(5) output all events",
        "length(6) output all events",
        &[
            "window `W`: its window changed",
            "aggregates of query `count`: window `W` does not go on",
        ],
        &[],
    ),
    ("every 3 sec", "every 2 sec", &["trigger `Often`: its time changed"], &[]),
    (
        "define stream Other (user string, n int);",
        "define stream Other (user string, m int); @purge(enable='true', interval='1 sec', \
            idle.period='1 hour')",
        &[],
        &[],
    ),
];

fn edited(from: &str, to: &str) -> String {
    if let Some(purge) = to.find("@purge") {
        let annotated = format!("{} partition with", &to[purge..]);
        return PLAN.replace("partition with", &annotated).replace(from, &to[..purge]);
    }
    assert!(PLAN.contains(from), "{from}");
    PLAN.replace(from, to)
}

fn assert_begin(found: &[String], expected: &[&str], edit: &str) {
    let right = found.len() == expected.len()
        && expected.iter().all(|start| found.iter().any(|each| each.starts_with(start)));
    assert!(right, "{edit}\nfound {found:#?}\nexpected {expected:#?}");
}

#[test]
fn an_edit_drops_what_it_changes_and_nothing_else() {
    let all = carry(PLAN, PLAN).1.kept;
    assert_eq!(all.len(), 14, "{all:#?}");
    for (from, to, dropped, fresh) in EDITS {
        let (_, carried) = carry(PLAN, &edited(from, to));
        let said: Vec<String> = carried.dropped.iter().map(ToString::to_string).collect();
        assert_begin(&said, dropped, to);
        assert_begin(&carried.fresh, fresh, to);
    }
}

/// The second half of the plan's queries before the first.
fn reordered() -> String {
    let at = |what: &str| PLAN.find(what).unwrap();
    let (queries, half) = (at("@info(name='sum')"), at("@info(name='fill')"));
    [&PLAN[..queries], &PLAN[half..], &PLAN[queries..half]].concat()
}

fn difference(old: &str, new: &str) -> Difference {
    let library = Library::standard();
    compare(&identities(&plan(old), &library), &identities(&plan(new), &library))
}

#[test]
fn rows_without_an_attribute_that_is_read_now_do_not_go_on() {
    let fewer = edited("user, n insert into Batches", "n insert into Batches");
    let found = difference(&fewer, PLAN).dropped;
    let why = "window of query `batch`: the new plan reads an attribute that was not kept with \
        its rows";
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [why]);
}

#[test]
fn where_nobody_can_say_which_is_which_neither_goes_on() {
    let head = "define stream S (user string, n int);\n";
    let one = "from S select count() as c insert into C;\n";
    let (twice, thrice) = (format!("{head}{one}{one}"), format!("{head}{one}{one}{one}"));
    let counts = |old: &str, new: &str| {
        let Difference { kept, dropped, fresh, .. } = difference(old, new);
        (kept.len(), dropped.len(), fresh.len())
    };
    assert_eq!(counts(&twice, &twice), (2, 0, 0), "as many as before are the same");
    assert_eq!(counts(&twice, &thrice), (0, 2, 3));
    let part = |what: &str| format!("partition with (user of S) begin {what} end;\n");
    let of = |parts: &[&str]| {
        format!("{head}{}", parts.iter().map(|each| part(each)).collect::<String>())
    };
    let (sum, most) =
        ("from S select sum(n) as t insert into A;", "from S select max(n) as t insert into B;");
    assert_eq!(counts(&of(&[sum, most]), &of(&[most, sum])), (4, 0, 0));
    let other = most.replace("max", "min");
    assert_eq!(counts(&of(&[sum, most]), &of(&[sum, &other])), (2, 2, 2));
    assert_eq!(counts(&of(&[sum]), &of(&[&other])), (1, 1, 1), "the only one of its keys");
    let named = |what: &str| format!("@info(name='q') {what}");
    let before = of(&[sum, &named(most)]);
    let after = of(&[&format!("{} {one}", named(most)), &other]);
    assert_eq!(counts(&before, &after), (2, 2, 3), "a name inside tells");
}

#[test]
fn another_clock_leaves_only_tables() {
    let Difference { kept, dropped, .. } = difference(PLAN, &format!("@app:playback {PLAN}"));
    assert_eq!((kept, dropped.len()), (vec!["table `T`".to_owned()], 13));
}

/// Under playback the clock begins with the first event, which had come to the version before.
#[test]
fn under_playback_a_new_pattern_waits_for_absences_from_the_cut() {
    let old = "@app:playback
        define stream S (user string, n int);
        define stream Other (user string, n int);
        @info(name='count') from S select count() as c insert into Counts;";
    let silent = "@info(name='silent')
        from not Other for 3 sec select 'silence' as what insert into Silent;
        @info(name='always')
        from every not Other for 3 sec select 'silence' as what insert into Always;";
    let new = format!("{old} {silent}");
    let (mut core, carried) = carry(old, &new);
    assert_eq!(carried.kept, ["aggregates of query `count`"]);
    let found = feed(&mut core, CUT..CUT + 10);
    let mut before = started(old, 0);
    feed(&mut before, 0..CUT);
    let (cut, end) = (before.now(), core.now());
    let times = |query: &str| -> Vec<Millis> {
        let said = found.get(query).into_iter().flatten();
        said.map(|row| row.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(times("silent"), [cut + 3_000]);
    let all: Vec<Millis> = (1..).map(|n| cut + n * 3_000).take_while(|at| *at <= end).collect();
    assert!(all.len() >= 2, "{end} is not far beyond {cut}");
    assert_eq!(times("always"), all);
}

#[test]
fn order_makes_no_difference() {
    let (_, carried) = carry(PLAN, &reordered());
    assert_eq!((carried.dropped.len(), carried.fresh.len()), (0, 0), "{carried:#?}");
}

/// What goes on gives what it would give had it always stood in the new plan; what does not, what
/// it would give had the plan just been started.
#[test]
fn what_goes_on_goes_on_right() {
    let edits = EDITS.iter().map(|(from, to, ..)| edited(from, to));
    for new in edits.chain([reordered(), PLAN.to_owned()]) {
        let (mut core, carried) = carry(PLAN, &new);
        let found = feed(&mut core, CUT..END);
        let mut whole = started(&new, 0);
        feed(&mut whole, 0..CUT);
        let whole = feed(&mut whole, CUT..END);
        let anew = feed(&mut started(&new, CUT * 1000), CUT..END);
        let mut kept = 0;
        for (id, query) in core.plan().queries.iter().enumerate() {
            let of = format!("of query `{}`", query.name);
            let is_in = |list: &[String]| list.iter().any(|each| each.contains(&of));
            let dropped: Vec<String> =
                carried.dropped.iter().map(|each| each.what.clone()).collect();
            // What comes in is another thing if the trigger is.
            let is_fed =
                query.name != "often" || !dropped.iter().any(|what| what.contains("Often"));
            if is_in(&carried.kept) && is_fed {
                kept += 1;
                assert_eq!(
                    found.get(&*query.name),
                    whole.get(&*query.name),
                    "{}\n{new}",
                    query.name
                );
                assert!(found.contains_key(&*query.name), "{id} puts nothing out");
            } else if is_in(&dropped) || is_in(&carried.fresh) {
                assert_eq!(
                    found.get(&*query.name),
                    anew.get(&*query.name),
                    "{}\n{new}",
                    query.name
                );
            }
        }
        assert!(kept >= 3, "{new}");
    }
}

const AGGREGATED: &str = "
define stream S (user string, n int);
define aggregation Sums from S[n > 2] select user, sum(n) as total group by user
aggregate every sec ... hour;
@info(name='read')
from S join Sums on S.user == Sums.user within 0L, 9999999L per 'minutes'
select S.n as n, total insert into Read;
";

#[test]
fn buckets_go_on_where_they_hold_the_same() {
    const SAME: &[(&str, &str)] = &[
        ("", ""),
        ("select user, sum(n) as total", "select sum(n) as total, user"),
        ("select S.n as n, total", "select total, S.n as n"),
        ("define aggregation", "@purge(enable='false') define aggregation"),
    ];
    for (from, to) in SAME {
        let new = AGGREGATED.replacen(from, to, 1);
        let (mut core, carried) = carry(AGGREGATED, &new);
        assert_eq!(carried.kept, ["aggregation `Sums`"], "{to}");
        let mut whole = started(&new, 0);
        feed(&mut whole, 0..CUT);
        assert_eq!(feed(&mut core, CUT..END), feed(&mut whole, CUT..END), "{to}");
    }
    const OTHER: &[(&str, &str, &str)] = &[
        ("n > 2", "n > 3", "its input changed"),
        ("sum(n)", "max(n)", "what is aggregated changed"),
        (" group by user", "", "what is aggregated changed"),
        ("sec ... hour", "sec, min", "its lengths of buckets changed"),
    ];
    for (from, to, why) in OTHER {
        let new = AGGREGATED.replacen(from, to, 1);
        let (mut core, carried) = carry(AGGREGATED, &new);
        let said: Vec<String> = carried.dropped.iter().map(ToString::to_string).collect();
        assert_eq!(said, [format!("aggregation `Sums`: {why}")], "{to}");
        let mut anew = started(&new, CUT * 1000);
        assert_eq!(feed(&mut core, CUT..END), feed(&mut anew, CUT..END), "{to}");
    }
}

#[test]
fn state_of_the_format_before_is_loaded_and_carries_nothing() {
    let mut before = started(PLAN, 0);
    feed(&mut before, 0..CUT);
    let bytes = before.freeze().to_bytes();
    let former = without_identity(&bytes);
    let mut after = build(PLAN);
    after.load(&former).unwrap();
    assert_eq!(after.freeze().to_bytes(), bytes);
    assert_eq!(feed(&mut after, CUT..END), feed(&mut before, CUT..END));
    let former = SavedState::parse(&former).unwrap();
    let carried = build(PLAN).adopt(&former, CUT * 1000).unwrap();
    assert_eq!((carried.kept.len(), carried.dropped.len()), (0, 1));
    assert!(SavedState::parse(&bytes).unwrap().has("identity"));
}

/// State as it was written before it said what it belongs to.
fn without_identity(bytes: &[u8]) -> Vec<u8> {
    let mut name = Vec::new();
    crate::event::codec::Encode::encode(&crate::event::Text::from("identity"), &mut name);
    let at = bytes.windows(name.len()).position(|part| part == name).unwrap();
    let length = at + name.len();
    let size = u64::from_le_bytes(bytes[length..length + 8].try_into().unwrap());
    let mut former = bytes[..at].to_vec();
    former.extend(&bytes[length + 8 + size as usize..]);
    former[..2].copy_from_slice(&1u16.to_le_bytes());
    let sections = u32::from_le_bytes(former[2..6].try_into().unwrap()) - 1;
    former[2..6].copy_from_slice(&sections.to_le_bytes());
    former
}

#[test]
fn damaged_state_is_refused() {
    let mut before = started(PLAN, 0);
    feed(&mut before, 0..CUT);
    let bytes = before.freeze().to_bytes();
    for end in (0..bytes.len()).step_by(7) {
        let saved = SavedState::parse(&bytes[..end]);
        let carried = saved.and_then(|saved| build(PLAN).adopt(&saved, 0));
        assert!(carried.is_err(), "{end} bytes");
    }
}
