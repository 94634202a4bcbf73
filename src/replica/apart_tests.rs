//! On-demand queries of external tables: what a store is asked for, and that the answer is the one
//! that a table in memory would give.

use crate::engine::context::Entropy;
use crate::engine::context::Note;
use crate::engine::core::Apart;
use crate::engine::core::PlanCore;
use crate::engine::entry::Entry;
use crate::engine::entry::Input;
use crate::engine::entry::Outlet;
use crate::engine::library::Library;
use crate::event::Batch;
use crate::event::Millis;
use crate::event::Value;
use crate::language;
use crate::plan;
use crate::plan::logical::OnDemand;
use crate::plan::logical::Plan;
use crate::plan::logical::QueryId;
use crate::plan::logical::StreamId;
use crate::plan::outside::Act;
use crate::plan::outside::Errand;
use crate::plan::outside::Wanted;
use std::sync::Arc;

const PLAN: &str = "define stream S (k string, n int, v double, b bool);
    define table M (k string, n int, v double, b bool);
    @store(type='rdbms', datasource='D', external='true')
    define table T (k string, n int, v double, b bool);
    from S insert into M;";

struct Nobody;

impl Outlet for Nobody {
    fn stream(&mut self, _: StreamId, _: Millis, _: &Batch) {}
    fn query(&mut self, _: QueryId, _: Millis, _: &Batch) {}
    fn note(&mut self, _: Note) {}
}

fn plan() -> Arc<Plan> {
    let parsed = language::parse(PLAN);
    let checked = plan::check(&parsed.tree, PLAN, &Library::standard());
    Arc::new(checked.plan.unwrap_or_else(|| panic!("{:?}", checked.diagnostics)))
}

fn asked(plan: &Plan, text: &str) -> Result<Arc<OnDemand>, String> {
    let parsed = language::parse_query(text);
    let tree = parsed.tree.unwrap_or_else(|| panic!("{text}: {:?}", parsed.diagnostics));
    let checked = plan::check_query(&tree, plan, &Library::standard());
    let messages = checked.diagnostics.iter().map(|each| each.message.as_str());
    checked.query.map(Arc::new).ok_or_else(|| messages.collect::<Vec<_>>().join("; "))
}

fn apart(plan: &Arc<Plan>, text: &str) -> Apart {
    let query = asked(plan, text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    Apart::new(plan, &query, 77, Entropy::default()).unwrap()
}

fn rows() -> Batch {
    let row = |k: Option<&str>, n: i32, v: f64, b: Option<bool>| {
        let k = k.map_or(Value::Null, Value::from);
        [k, Value::Int(n), Value::Double(v), b.map_or(Value::Null, Value::Bool)]
    };
    let mut batch = Batch::new(&plan().tables[0].schema.types());
    for row in [
        row(Some("a"), 1, 1.0, Some(true)),
        row(Some("A"), 2, 2.5, Some(false)),
        row(None, 3, 3.0, Some(true)),
        row(Some("b"), 4, f64::NAN, None),
        row(Some("a"), 5, -0.5, Some(false)),
        row(Some("é"), 6, 9.0, Some(true)),
    ] {
        batch.push_row(7, &row);
    }
    batch
}

#[test]
fn a_query_gives_what_it_gives_of_a_table_in_memory() {
    let plan = plan();
    let mut core = PlanCore::build(Arc::clone(&plan), 7).unwrap();
    core.start(77);
    let (stream, rows) = (plan.stream("S").unwrap(), rows());
    let input = Input::Rows { stream, batch: &rows };
    core.apply(&Entry { at: 77, input }, &mut Nobody);
    for query in [
        "from {} select k, n, v, b",
        "from {} on k == 'a' select n",
        "from {} on k == 'A' or v < 0.0 select k, n",
        "from {} on n > 1 and v + 1.0 < 4.0 select k, n",
        "from {} on not (k == 'a') select n",
        "from {} on k is null or b select n",
        "from {} on v != 1.0 select n",
        "from {} on n > 100 select n",
        "from {} as X on X.n >= 2 select X.k as k, X.n * 2 as m",
        "from {} select k, sum(n) as s, count() as c group by k having c > 1L",
        "from {} select k, max(n) as m group by k order by m desc limit 2",
        "from {} on b select avg(v) as a, count() as c",
        "from {} select k, n order by n desc limit 2 offset 1",
        "from {} select n limit 2",
        "from {} select n, currentTimeMillis() as at limit 1",
    ] {
        let in_memory = asked(&plan, &query.replace("{}", "M")).unwrap();
        let expected = core.query(&in_memory).unwrap();
        let mut apart = apart(&plan, &query.replace("{}", "T"));
        apart.wanted().unwrap();
        let found = apart.answer(rows.clone()).unwrap();
        // NaN is not itself.
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{query}");
    }
}

/// What is asked for, as an errand's text, with how many parameters.
fn wanted(query: &str) -> (String, usize, Option<u64>) {
    let Wanted { condition, with, enough } = apart(&plan(), query).wanted().unwrap();
    let errand = Errand { act: Act::Ask, condition, sets: Vec::new() };
    (errand.to_text(), with.len(), enough)
}

#[test]
fn a_store_is_asked_for_no_more_than_is_needed() {
    let is = |text: &str, with, enough| (text.to_owned(), with, enough);
    assert_eq!(wanted("from T select k"), is("ask 0", 0, None));
    assert_eq!(wanted("from T on n >= 2 + 3 select k"), is("ask 0 >= 1 0", 1, None));
    let some = "from T on k == 'a' and n + 1 == 2 select k limit 5";
    assert_eq!(wanted(some), is("ask 0 = 0 0", 1, None), "what is left may be any of them");
    assert_eq!(wanted("from T on b select k, 1 as n limit 5"), is("ask 0 = 3 0", 1, Some(5)));
    assert_eq!(wanted("from T select k limit 5 offset 2"), is("ask 0", 0, Some(7)));
    for all in [
        "from T select k order by n limit 5",
        "from T select n + 1 as m limit 5",
        "from T select count() as c limit 5",
        "from T select k group by k limit 5",
        "from T select k having k == 'a' limit 5",
    ] {
        assert_eq!(wanted(all).2, None, "{all}");
    }
}

#[test]
fn what_looks_into_the_plan_is_refused() {
    let plan = plan();
    let fault = asked(&plan, "from T on (M.n == T.n in M) select k").unwrap_err();
    assert!(fault.contains("`in` in an on-demand query that reads an external table"), "{fault}");
    let fault = asked(&plan, "from M on (M.n == T.n in T) select k").unwrap_err();
    assert!(fault.contains("`in` of an external table"), "{fault}");
    let mut core = PlanCore::build(Arc::clone(&plan), 7).unwrap();
    let error = core.query(&asked(&plan, "from T select k").unwrap()).unwrap_err();
    assert!(error.message.contains("in its database"), "{}", error.message);
}
