//! What right plans become: columns, stages and ids, looked at one construct at a time.

use crate::event::DataType;
use crate::event::Value;
use crate::language;
use crate::plan::check;
use crate::plan::check_query;
use crate::plan::codes;
use crate::plan::expression::Comparison;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::logical::Endpoint;
use crate::plan::logical::Findable;
use crate::plan::logical::KeyBy;
use crate::plan::logical::Lookup;
use crate::plan::logical::Origin;
use crate::plan::logical::Output;
use crate::plan::logical::OutputEvents;
use crate::plan::logical::Plan;
use crate::plan::logical::Port;
use crate::plan::logical::Purge;
use crate::plan::logical::Query;
use crate::plan::logical::Source;
use crate::plan::logical::Stage;
use crate::plan::logical::TriggerTime;
use crate::plan::testing::TestCatalog;
use crate::plan::testing::asked;
use crate::plan::testing::checked;

const HEAD: &str = "define stream S (a int, b string, c double, d long); \
    @primaryKey('k') define table T (k string, v double); \
    define window W (a int, b string) length(5); ";

#[track_caller]
fn plan(queries: &str) -> Plan {
    checked(&format!("{HEAD}{queries}"))
}

#[track_caller]
fn query(text: &str) -> Query {
    plan(text).queries.remove(0)
}

fn column(index: usize, ty: DataType) -> Expr {
    Expr::column(index, ty)
}

#[track_caller]
fn lookup(query: &Query) -> &Lookup {
    match query.ports[0].stages.last() {
        Some(Stage::Lookup(lookup)) => lookup,
        other => panic!("no lookup but {other:?}"),
    }
}

#[test]
fn numbers_widen_where_they_meet() {
    let query = query("from S[a > c] select a * d as x, a / 2 as y, 1.5f + a as z insert into O;");
    let widened = column(0, DataType::Int).widened(DataType::Double);
    let compared = Node::Compare(
        Comparison::Greater,
        Box::new(widened),
        Box::new(column(2, DataType::Double)),
    );
    let filter = Expr { node: compared, ty: DataType::Bool };
    assert_eq!(query.ports[0].stages, [Stage::Filter(filter)]);
    let types = query.selection.schema.types();
    assert_eq!(types, [DataType::Long, DataType::Int, DataType::Float]);
}

#[test]
fn a_selection_stands_over_inputs_then_aggregates_then_outputs() {
    let query = query(
        "from S#window.length(3) select b, sum(a) + 1 as total, sum(a) as plain group by b \
         having total > 5 and max(c) > 0.5 and d > 1 order by b desc, total limit 3 offset 1L \
         insert all events into O;",
    );
    let selection = &query.selection;
    let names: Vec<&str> = selection.aggregates.iter().map(|each| each.name.as_str()).collect();
    assert_eq!(names, ["sum", "max"], "equal aggregates are computed once");
    assert_eq!(selection.outputs[0], column(1, DataType::Text));
    assert_eq!(selection.outputs[2], column(4, DataType::Long));
    let mut read = Vec::new();
    selection.having.iter().for_each(|having| having.columns(&mut read));
    assert_eq!(read, [7, 5, 3], "an output, an aggregate, an input");
    let order = [(column(6, DataType::Text), true), (column(7, DataType::Long), false)];
    assert_eq!(selection.order_by, order);
    assert_eq!((selection.limit, selection.offset), (Some(3), Some(1)));
    assert_eq!(query.events, OutputEvents::All);
}

#[test]
fn queries_are_named_by_number_through_partitions() {
    let plan = plan(
        "from S insert into A; @info(name='mine') from S select a insert into B; \
         partition with (a of S) begin from S select a insert into C; \
         from S select a insert into #I; end; from S select a insert into D;",
    );
    let names: Vec<&str> = plan.queries.iter().map(|query| query.name.as_str()).collect();
    assert_eq!(names, ["query_1", "mine", "query_3", "query_4", "query_5"]);
    let partitions: Vec<_> = plan.queries.iter().map(|query| query.partition).collect();
    assert_eq!(partitions, [None, None, Some(0), Some(0), None]);
}

#[test]
fn streams_are_defined_by_inserting() {
    let plan = plan("from S select a, b as name insert into A; from A[a > 1] insert into B;");
    let stream = &plan.streams[plan.stream("B").expect("filled")];
    assert_eq!(stream.origin, Origin::Implicit);
    assert_eq!(stream.schema.names().collect::<Vec<_>>(), ["a", "name"]);
    assert_eq!(plan.queries[1].ports[0].source, Source::Stream(plan.stream("A").expect("filled")));
}

#[test]
fn a_stream_that_is_joined_with_a_table_looks_rows_up() {
    let left = query("from T left outer join S on T.k == S.b select k, a insert into O;");
    assert!(!lookup(&left).outer, "rows of the table never pass by themselves");
    let right = query("from T right outer join S as s on T.k == s.b select * insert into O;");
    assert!(lookup(&right).outer);
    assert_eq!(lookup(&right).with, Findable::Table(0));
    // Two more say which side is missing.
    assert_eq!((lookup(&right).width, right.selection.input.len()), (4, 6 + 2));
    let names: Vec<&str> = right.selection.schema.names().collect();
    assert_eq!(names, ["k", "v", "a", "b", "c", "d"], "in the order in which the sides stand");
    assert_eq!(right.selection.outputs[0], column(4, DataType::Text));
    let filtered = query("from S join T[v > 1.0] on T.k == b select a insert into O;");
    assert!(matches!(&lookup(&filtered).on, Some(on) if matches!(on.node, Node::And(..))));
    let window = query("from S unidirectional join W on S.a == W.a select S.a as a insert into O;");
    assert_eq!(lookup(&window).with, Findable::Window(0));
    let source = query("from W join T on W.b == T.k select a, v insert into O;");
    assert_eq!(source.ports[0].source, Source::Window(0));
}

#[test]
fn rows_of_a_join_without_window_expire_at_once_where_that_shows() {
    let windows = |query: &Query| {
        let stages = query.ports[0].stages.iter();
        stages.filter(|stage| matches!(stage, Stage::Window(_))).count()
    };
    let join = "from S join T on S.b == T.k select";
    assert_eq!(windows(&query(&format!("{join} a insert into O;"))), 0);
    let counting = query(&format!("{join} count() as n insert into O;"));
    let Some(Stage::Window(window)) = counting.ports[0].stages.first() else { panic!("no window") };
    assert_eq!((window.name.as_str(), window.types.len()), ("length", 4));
    assert_eq!(window.arguments, [Expr::constant(Value::Int(0))]);
    assert_eq!(windows(&query(&format!("{join} a insert all events into O;"))), 1);
    let own = "from S#window.length(2) join T on S.b == T.k select count() as n insert into O;";
    assert_eq!(windows(&query(own)), 1);
}

#[test]
fn the_sides_of_a_join_find_rows_in_each_other() {
    let both = query(
        "from S#window.length(2) as l left outer join S[a > 1]#window.length(3) as r \
         on l.b == r.b and l.a > r.a select l.a as a, r.d as d insert into O;",
    );
    let [left, right] = &both.ports[..] else { panic!("two ports") };
    let of = |port: &Port| match port.stages.last() {
        Some(Stage::Lookup(lookup)) => lookup.clone(),
        other => panic!("{other:?}"),
    };
    let (from_left, from_right) = (of(left), of(right));
    assert_eq!((from_left.with, from_right.with), (Findable::Port(1), Findable::Port(0)));
    assert_eq!((from_left.outer, from_right.outer), (true, false));
    assert_eq!((from_left.own_base(), from_left.found_base()), (0, 4));
    assert_eq!((from_right.own_base(), from_right.found_base()), (4, 0));
    let read = |lookup: &Lookup| {
        let mut read = Vec::new();
        lookup.on.as_ref().expect("a condition").columns(&mut read);
        read
    };
    // The side that asks comes first.
    assert_eq!((read(&from_left), read(&from_right)), (vec![1, 5, 0, 4], vec![5, 1, 4, 0]));
    assert_eq!(both.selection.outputs[1], column(7, DataType::Long));
}

#[test]
fn a_side_that_sets_nothing_off_only_holds_its_rows() {
    let one = query(
        "from S#window.length(2) as l unidirectional join S#window.length(2) as r \
         select l.a as a insert into O;",
    );
    assert!(!one.ports[0].is_silent && one.ports[1].is_silent);
    assert_eq!(one.ports[1].stages.len(), 1);
    // A named window holds them by itself; joined with itself it sets the join off once.
    let own = query("from W as l join W as r on l.a == r.a select l.a as a insert into O;");
    assert_eq!(own.ports.len(), 1);
    assert_eq!(lookup(&own).with, Findable::Window(0));
    let right =
        query("from W as l join S unidirectional on l.a == S.a select l.b as b insert into O;");
    assert_eq!((right.ports.len(), right.ports[0].is_silent), (1, false));
}

#[test]
fn the_condition_of_in_stands_over_the_frame_and_then_the_table() {
    let query = query("from S[(b == T.k and v > c) in T] select a insert into O;");
    let Some(Stage::Filter(filter)) = query.ports[0].stages.first() else { panic!("no filter") };
    let Node::In(with, condition, width) = &filter.node else { panic!("no `in`") };
    assert_eq!((*with, *width), (Findable::Table(0), 4));
    let mut read = Vec::new();
    condition.columns(&mut read);
    assert_eq!(read, [1, 4, 5, 2]);
    filter.columns(&mut read);
    assert_eq!(read[4..], [1, 2], "the table's columns are not the frame's");
}

#[test]
fn tables_are_changed_over_outputs_and_then_columns() {
    let set = query("from S select b as k, a update T set T.v = v + a on T.k == k;");
    let Output::Update(0, Some(on), set) = set.output else { panic!("{:?}", set.output) };
    let mut read = Vec::new();
    on.columns(&mut read);
    assert_eq!(read, [2, 0]);
    assert_eq!((set[0].column, set[0].value.ty), (1, DataType::Double));
    let same = query("from S select b as k, a as v update T on T.k == k;");
    let Output::Update(_, _, set) = same.output else { panic!("{:?}", same.output) };
    assert_eq!(set.iter().map(|each| each.column).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(set[1].value, column(1, DataType::Int).widened(DataType::Double));
    let key = query("from S select b as key, c as v update T on T.k == key;");
    let Output::Update(_, _, set) = key.output else { panic!("{:?}", key.output) };
    assert_eq!(set.len(), 1, "what only finds rows is not written");
    assert_eq!(query("from S delete T;").output, Output::Delete(0, None));
}

#[test]
fn partitions_have_keys_ranges_inner_streams_and_purges() {
    let plan = plan(
        "@purge(enable='true', interval='10 sec', idle.period='1 min 30 sec') \
         partition with (a of S) begin from S select a insert into #I; \
         from #I select a insert into O; end; \
         partition with (a < 5 as 'low' or a >= 5 as 'high' of S) begin \
         from S select a, b insert into #I; end;",
    );
    assert_eq!(plan.partitions[0].purge, Some(Purge { interval: 10_000, idle: 90_000 }));
    assert!(matches!(plan.partitions[0].keys[0].by, KeyBy::Value(_)));
    let KeyBy::Ranges(ranges) = &plan.partitions[1].keys[0].by else { panic!("no ranges") };
    assert_eq!(ranges.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>(), ["low", "high"]);
    let inner: Vec<_> =
        plan.streams.iter().filter(|stream| stream.name == "I").map(|each| each.origin).collect();
    assert_eq!(inner, [Origin::Inner(0), Origin::Inner(1)], "each partition has its own");
    assert_eq!(plan.stream("I"), None);
}

#[test]
fn annotations_reach_the_plan() {
    let plan = checked(
        "@app:name('Trades.v2') @app:description('for tests') \
         @app:playback(idle.time='100 millisec', increment='1 sec') \
         @source(type='http', path='/in', @map(type='json', fail='false', \
           @attributes(b='$.b', a='$.a'))) \
         @sink(type='log', prefix='{{a}}: ', @map(type='text', @payload('b is {{b}}'))) \
         @OnError(action='stream') @async(buffer.size='64') \
         define stream S (a int, b string); \
         define stream At (triggered_time long); define trigger At at every 5 sec; \
         define trigger Noon at '0 0 12 * * ?'; \
         from !S select a, _error insert into Bad;",
    );
    assert_eq!((plan.name.as_str(), plan.description.as_str()), ("Trades.v2", "for tests"));
    assert_eq!(plan.playback.and_then(|playback| playback.idle), Some((100, 1_000)));
    let stream = &plan.streams[plan.stream("S").expect("defined")];
    let source = &stream.sources[0];
    assert_eq!((source.kind.as_str(), source.options[0].key.as_str()), ("http", "path"));
    let map = source.map.as_ref().expect("given");
    assert_eq!((map.kind.as_str(), map.attributes[1].key.as_str()), ("json", "a"));
    let payload = &stream.sinks[0].map.as_ref().expect("given").payload[0];
    assert_eq!((payload.key.as_str(), payload.value.as_str()), ("", "b is {{b}}"));
    let fault = stream.fault.expect("wanted");
    assert_eq!(plan.stream("!S"), Some(fault));
    assert_eq!(plan.streams[fault].schema.attributes[2].ty, DataType::Object);
    assert_eq!(plan.triggers[0].stream, plan.stream("At").expect("defined"));
    assert_eq!(plan.triggers[0].when, TriggerTime::Every(5_000));
    assert_eq!(plan.triggers[1].when, TriggerTime::Cron("0 0 12 * * ?".to_owned()));
}

#[test]
fn a_plan_can_do_without_its_channels() {
    let plan = checked(
        "@app:transportChannelCreationEnabled('false') \
         @sink(type='log') define stream S (a int);",
    );
    assert!(plan.streams[0].sinks.is_empty());
}

#[test]
fn exports_and_imports_are_links_over_a_topic() {
    let plan = checked(
        "@Import('orders:1.0.0') define stream A (a int); \
         @Export('bills:1.0.0') @Export(' other ') define stream B (a int); \
         from A insert into B;",
    );
    let shown = |endpoint: &Endpoint| {
        let option = &endpoint.options[0];
        format!("{} {}={}", endpoint.kind, option.key, option.value)
    };
    let sources: Vec<String> = plan.streams[0].sources.iter().map(shown).collect();
    let sinks: Vec<String> = plan.streams[1].sinks.iter().map(shown).collect();
    assert_eq!(sources, ["inMemory topic=orders:1.0.0"]);
    assert_eq!(sinks, ["inMemory topic=bills:1.0.0", "inMemory topic=other"]);
}

#[test]
fn a_window_takes_its_condition_as_text() {
    let query = query("from S#window.expression('sum(a) < 9 and last.a > 0') insert into O;");
    let Some(Stage::Window(window)) = query.ports[0].stages.first() else { panic!("no window") };
    let predicate = window.predicate.as_ref().expect("constant");
    assert_eq!(predicate.aggregates.len(), 1);
    let text = format!("{HEAD}from S#window.expression('sum(z) < 9') insert into O;");
    let found = check(&language::parse(&text).tree, &text, &TestCatalog).diagnostics;
    assert_eq!(found[0].code, codes::UNKNOWN_ATTRIBUTE);
    assert_eq!(found[0].primary.span.start, text.find("z)").expect("there"));
}

#[test]
fn the_time_of_the_row_at_hand_is_asked_for_in_two_ways() {
    let plain = query("from S select eventTimestamp() as t insert into O;");
    let named = query("from S as s join T as t select eventTimestamp(s) as t insert into O;");
    let arguments = |query: &Query| match &query.selection.outputs[0].node {
        Node::Call { arguments, .. } => arguments.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((arguments(&plain), arguments(&named)), (0, 0));
}

#[test]
fn on_demand_queries_read_and_write() {
    let plan = plan("");
    let read = asked("from T on v > 1 select k, sum(v) as s group by k having s > 2", &plan);
    assert_eq!(read.from, Some(Findable::Table(0)));
    assert_eq!(read.output, Output::Return);
    assert_eq!(asked("from W as w on w.a == 1", &plan).selection.outputs.len(), 2);
    let write = asked("select 'x' as k, 1.0 as v insert into T", &plan);
    assert_eq!(write.output, Output::Insert(0));
    let delete = asked("delete T on T.k == 'x'", &plan);
    assert!(matches!(delete.output, Output::Delete(0, Some(_))));
    let update = asked("select 5.0 as v update T set T.v = v on T.k == 'x'", &plan);
    assert!(matches!(update.output, Output::Update(0, Some(_), set) if set.len() == 1));
    for (wrong, code) in [
        ("from S select a", codes::WRONG_KIND),
        ("from Q select a", codes::UNKNOWN_SOURCE),
        ("from T select z", codes::UNKNOWN_ATTRIBUTE),
        ("select 'x' as k insert into T", codes::SCHEMA_MISMATCH),
        ("delete W", codes::WRONG_KIND),
    ] {
        let tree = language::parse_query(wrong).tree.expect("readable");
        let found = check_query(&tree, &plan, &TestCatalog);
        assert!(found.query.is_none(), "{wrong}");
        assert_eq!(found.diagnostics[0].code, code, "{wrong}");
        assert!(found.diagnostics[0].secondary.is_empty(), "places of the plan say nothing here");
    }
}

#[test]
fn matches_that_can_wait_for_ever_are_warned_of() {
    let warned = |pattern: &str| {
        let text = format!(
            "define stream R (a int); {HEAD}from {pattern} select e1.a as a insert into O;"
        );
        let parsed = language::parse(&text);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        let found = check(&parsed.tree, &text, &TestCatalog).diagnostics;
        let spans = found.iter().map(|each| each.primary.span);
        spans.map(|span| text[span.start..span.end].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(warned("every e1=S -> e2=R"), ["every e1=S"]);
    assert_eq!(warned("every (e1=S -> e2=R) -> e3=S"), ["every (e1=S -> e2=R)"]);
    assert_eq!(warned("e1=R -> every e2=S -> e3=S"), ["every e2=S"]);
    assert_eq!(warned("every e1=S -> not R for 1 sec -> e2=R"), ["every e1=S"]);
    assert_eq!(warned("e1=S<2:> -> e2=R"), ["e1=S<2:>"]);
    for bounded in [
        "e1=S -> e2=R",
        "every e1=S",
        "every (e1=S -> e2=R)",
        "every e1=S -> e2=R within 1 hour",
        "every e1=S -> not R for 1 sec",
        "e1=S<2:> -> e2=R within 1 hour",
        "e1=S<2:5> -> e2=R",
        "every e1=S, e2=R+, e3=S",
    ] {
        assert!(warned(bounded).is_empty(), "{bounded}");
    }
}

#[test]
fn state_without_bound_is_warned_of() {
    let warned = |queries: &str| {
        let text = format!("{HEAD}define table L (a int); {queries}");
        let checked = check(&language::parse(&text).tree, &text, &TestCatalog);
        assert!(checked.plan.is_some(), "{text}: {:?}", checked.diagnostics);
        let spans = checked.diagnostics.iter().map(|each| each.primary.span);
        spans.map(|span| text[span.start..span.end].to_owned()).collect::<Vec<_>>()
    };
    let select = "select b, sum(a) as n group by b, d insert into O;";
    assert_eq!(warned(&format!("from S {select}")), ["b, d"]);
    assert!(warned(&format!("from S#window.length(5) {select}")).is_empty());
    assert!(warned("from S select b group by b insert into O;").is_empty());
    assert_eq!(warned("from S select distinctCount(b) as n insert into O;"), ["distinctCount(b)"]);
    let for_ever = "select b, maxForever(a) as m group by b insert into O;";
    assert_eq!(warned(&format!("from S#window.length(5) {for_ever}")), ["b"]);
    assert_eq!(warned("from S select a insert into L;"), ["L"]);
    assert!(warned("from S select a insert into L; from S delete L on L.a == a;").is_empty());
    assert!(warned("from S select b as k, c as v insert into T;").is_empty());
    let partition = "partition with (b of S) begin from S select a insert into O; end;";
    assert_eq!(warned(partition), ["b of S"]);
    let purge = "@purge(enable='true', interval='1 sec', idle.period='1 min')";
    assert!(warned(&format!("{purge} {partition}")).is_empty());
    let aggregated = |before: &str, what: &str| {
        warned(&format!("{before} define aggregation G from S select {what};"))
    };
    assert!(aggregated("", "sum(a) as n aggregate every sec ... year").is_empty());
    assert!(aggregated("", "sum(a) as n group by b aggregate every sec ... day").is_empty());
    assert_eq!(aggregated("", "sum(a) as n group by b aggregate every sec ... year"), ["b"]);
    assert_eq!(aggregated("@purge(enable='false')", "sum(a) as n aggregate every min"), ["G"]);
    let kept = "@purge(enable='true', @retentionPeriod(hour='all'))";
    assert_eq!(aggregated(kept, "sum(a) as n aggregate every sec, hour"), ["G"]);
    let distinct = "distinctCount(b) as n aggregate every month";
    assert_eq!(aggregated("", distinct), [format!("select {}", &distinct[..distinct.len() - 22])]);
}

#[test]
fn a_slip_is_mended_by_its_suggestion() {
    let head = "define stream Trades (symbol string, price double); \
        @primaryKey('symbol') define table Limits (symbol string, most double);\n";
    for slip in [
        "from Trade select price insert into Out;",
        "from Trades[symbl == 'x'] select price insert into Out;",
        "from Trades select avgg(price) as mean insert into Out;",
        "from Trades#window.lenght(5) select price insert into Out;",
        "@inf(name='q') from Trades select price insert into Out;",
        "@info(nam='q') from Trades select price insert into Out;",
        "from Trades select Q.price as x insert into Out;",
        "from Trades select symbol delete Limit on Limits.symbol == symbol;",
        "from Trades select symbol update Limits set Limit.most = 1 on Limits.symbol == symbol;",
        "from Trades select price insert into #Out;",
    ] {
        let mut text = format!("{head}{slip}");
        let found = check(&language::parse(&text).tree, &text, &TestCatalog).diagnostics;
        let Some(change) = &found[0].suggestion else { panic!("{text}: {found:?}") };
        text.replace_range(change.span.start..change.span.end, &change.replacement);
        let again = check(&language::parse(&text).tree, &text, &TestCatalog).diagnostics;
        assert!(again.is_empty(), "{text}: {again:?}");
    }
}

#[test]
fn long_plans_are_checked_and_messages_are_few() {
    let chain = |chain: usize| {
        let link = |n: usize| format!("from S{chain}_{n} select a insert into S{chain}_{};", n + 1);
        (0..250).map(link).collect::<String>()
    };
    let define = |chain: usize| format!("define stream S{chain}_0 (a int);");
    let chains: String = (0..4).map(define).chain((0..4).map(chain)).collect();
    assert_eq!(checked(&chains).queries.len(), 1_000);
    let wrong = format!("{HEAD}{}", "from Q select a insert into O;".repeat(1_000));
    let found = check(&language::parse(&wrong).tree, &wrong, &TestCatalog);
    assert!(found.plan.is_none() && found.diagnostics.len() <= 101, "{}", found.diagnostics.len());
}

#[test]
fn a_short_plan_cannot_ask_for_everything() {
    let attributes: Vec<String> = (0..1_000).map(|number| format!("a{number} int")).collect();
    let define = format!("define stream S ({});", attributes.join(", "));
    let text = format!("{define}{}", "from S insert into O;".repeat(201));
    let found = check(&language::parse(&text).tree, &text, &TestCatalog);
    assert_eq!(found.diagnostics.len(), 1);
    assert_eq!(found.diagnostics[0].code, codes::TOO_WIDE);
    let text = format!("{} from S insert into O;", define.replace("a0 int", "a0 int, b int"));
    let found = check(&language::parse(&text).tree, &text, &TestCatalog);
    assert_eq!(found.diagnostics[0].code, codes::TOO_WIDE);
}
