//! Broken plans, each with the code it must earn; `§` stands where the message must point.

use crate::language;
use crate::language::diagnostic::Diagnostic;
use crate::language::source::Source;
use crate::plan::check;
use crate::plan::codes::*;
use crate::plan::testing::TestCatalog;

/// What most plans below begin with; it is line 1.
const HEAD: &str = "define stream S (a int, b string, c double, d long, e bool, f object); \
    define stream R (a int, x string); \
    @primaryKey('k') define table T (k string, v double); \
    define window W (a int, b string) length(5);\n";

const NAMES: &[(&str, &str)] = &[
    (UNKNOWN_SOURCE, "from §Q select a insert into O;"),
    (UNKNOWN_SOURCE, "from S select a insert into O;\nfrom §OO select a insert into P;"),
    (UNKNOWN_SOURCE, "from S[a == 1 in §Q] select a insert into O;"),
    (UNKNOWN_SOURCE, "from S join §Q on S.a == Q.a select S.a as a insert into O;"),
    (UNKNOWN_SOURCE, "from S select b as k, c as v update or insert into §TT on TT.k == k;"),
    (UNKNOWN_SOURCE, "from S select b as k delete §Q on Q.k == k;"),
    (UNKNOWN_SOURCE, "from §!Q select a insert into O;"),
    (UNKNOWN_SOURCE, "partition with (a of §Q) begin from S select a insert into O; end;"),
    (UNKNOWN_SOURCE, "partition with (a of S) begin from §#Q select a insert into O; end;"),
    (UNKNOWN_ATTRIBUTE, "from S select §z insert into O;"),
    (UNKNOWN_ATTRIBUTE, "from S[§z > 1] select a insert into O;"),
    (UNKNOWN_ATTRIBUTE, "from S\nselect S.§z as q\ninsert into O;"),
    (UNKNOWN_ATTRIBUTE, "from S select a group by §z insert into O;"),
    (UNKNOWN_ATTRIBUTE, "from S select a having §z > 1 insert into O;"),
    (UNKNOWN_ATTRIBUTE, "from S select a order by §z insert into O;"),
    (UNKNOWN_ATTRIBUTE, "from S[b == T.§z in T] select a insert into O;"),
    (UNKNOWN_ATTRIBUTE, "from S select b as k update T set T.§z = 1 on T.k == k;"),
    (UNKNOWN_ATTRIBUTE, "from S select b as k update T set T.v = 1 on T.k == §z;"),
    (UNKNOWN_ATTRIBUTE, "partition with (§z of S) begin from S select a insert into O; end;"),
    (UNKNOWN_ATTRIBUTE, "from S[b == §null] select a insert into O;"),
    (
        AMBIGUOUS_ATTRIBUTE,
        "from S unidirectional join W as w on §b == w.b select S.a as a insert into O;",
    ),
    (UNKNOWN_REFERENCE, "from S select §R.a as a insert into O;"),
    (UNKNOWN_REFERENCE, "from S as s join T as t on s.b == t.k select §T.v as v insert into O;"),
    (UNKNOWN_REFERENCE, "from S select b as k update T set §S.v = 1 on T.k == k;"),
    (WRONG_KIND, "from §T select k insert into O;"),
    (WRONG_KIND, "from S[a == R.a in §R] select a insert into O;"),
    (WRONG_KIND, "from S select a, b delete §W on W.a == a;"),
    (WRONG_KIND, "partition with (k of §T) begin from S select a insert into O; end;"),
    (WRONG_KIND, "from every §T select k insert into O;"),
    (READ_BEFORE_FILLED, "from §O select a insert into P;\nfrom S select a insert into O;"),
    (SCHEMA_MISMATCH, "from S §select a insert into R;"),
    (SCHEMA_MISMATCH, "from S §select a, b insert into R;"),
    (SCHEMA_MISMATCH, "from S §select d as a, b as x insert into R;"),
    (SCHEMA_MISMATCH, "from S select a insert into O;\nfrom S §select b insert into O;"),
    (SCHEMA_MISMATCH, "from S §select b as k, a as v insert into T;"),
    (SCHEMA_MISMATCH, "from S §select a insert into W;"),
    (SCHEMA_MISMATCH, "from S §select b as k update or insert into T on T.k == k;"),
    (SCHEMA_MISMATCH, "from S §select b as k, a as w update T on T.k == k;"),
    (INNER_OUTSIDE, "from S select a insert into §#I;"),
    (INNER_OUTSIDE, "from §#I select a insert into O;"),
    (NO_FAULT_STREAM, "from §!S select a insert into O;"),
    (NO_FAULT_STREAM, "from S select a insert into §!R;"),
];

const TYPES: &[(&str, &str)] = &[
    (NOT_COMPARABLE, "from S[a §== b] select a insert into O;"),
    (NOT_COMPARABLE, "from S[b §> b] select a insert into O;"),
    (NOT_COMPARABLE, "from S[e §>= e] select a insert into O;"),
    (NOT_COMPARABLE, "from S[e §!= a] select a insert into O;"),
    (NOT_COMPARABLE, "from S[f §== f] select a insert into O;"),
    (NOT_COMPARABLE, "from S select a having a §== 'x' insert into O;"),
    (NOT_A_NUMBER, "from S select §b + 1 as q insert into O;"),
    (NOT_A_NUMBER, "from S select a * §e as q insert into O;"),
    (NOT_A_NUMBER, "from S select a % §f as q insert into O;"),
    (NOT_A_CONDITION, "from S[§a] select a insert into O;"),
    (NOT_A_CONDITION, "from S[e and §a] select a insert into O;"),
    (NOT_A_CONDITION, "from S[not §a == 1] select a insert into O;"),
    (NOT_A_CONDITION, "from S select a having §a + 1 insert into O;"),
    (NOT_A_CONDITION, "from S join T on §S.b select S.a as a insert into O;"),
    (NOT_A_CONDITION, "from S[§T.k in T] select a insert into O;"),
    (NOT_A_CONDITION, "from S select b as k delete T on §k;"),
    (NOT_A_CONDITION, "partition with (§a as 'x' of S) begin from S insert into O; end;"),
    (TYPE_MISMATCH, "from S select b as k update T set T.v = §k on T.k == k;"),
    (TYPE_MISMATCH, "from S §select b as k, b as v update T on T.k == k;"),
];

const CALLS: &[(&str, &str)] = &[
    (UNKNOWN_FUNCTION, "from S select §summ(a) as q insert into O;"),
    (UNKNOWN_FUNCTION, "from S select §math:sum(a) as q insert into O;"),
    (UNKNOWN_FUNCTION, "from S select §length(5) as q insert into O;"),
    (UNKNOWN_WINDOW, "from S#window.§lenght(5) select a insert into O;"),
    (UNKNOWN_WINDOW, "from S#window.§sum(a) select a insert into O;"),
    (UNKNOWN_STREAM_FUNCTION, "from S#§logg('x') select a insert into O;"),
    (ARGUMENT_COUNT, "from S select §sum() as q insert into O;"),
    (ARGUMENT_COUNT, "from S select §sum(a, a) as q insert into O;"),
    (ARGUMENT_COUNT, "from S#window.§length(1, 2) select a insert into O;"),
    (ARGUMENT_COUNT, "from S select §coalesce() as q insert into O;"),
    (ARGUMENT_TYPE, "from S select sum(§b) as q insert into O;"),
    (ARGUMENT_TYPE, "from S#window.length(§2.5) select a insert into O;"),
    (ARGUMENT_TYPE, "from S select coalesce(a, §c) as q insert into O;"),
    (ARGUMENT_TYPE, "from S select ifThenElse(e, 'x', §5) as q insert into O;"),
    (ARGUMENT_TYPE, "from S#window.externalTime(§a, 5 sec) select a insert into O;"),
    (ARGUMENT_FORM, "from S#window.length(§a) select a insert into O;"),
    (ARGUMENT_FORM, "from S#window.length(§1 + 1) select a insert into O;"),
    (ARGUMENT_FORM, "from S#window.externalTime(§5L, 5 sec) select a insert into O;"),
    (ARGUMENT_FORM, "from S select default(c, §1.0 / 2) as q insert into O;"),
    (ARGUMENT_VALUE, "from S select convert(a, §'number') as q insert into O;"),
    (ARGUMENT_VALUE, "from S select convert(a, §b) as q insert into O;"),
    (ARGUMENT_VALUE, "from S#window.length(§-1) select a insert into O;"),
    (AGGREGATOR_PLACE, "from S[§sum(a) > 1] select a insert into O;"),
    (AGGREGATOR_PLACE, "from S select sum(§count()) as q insert into O;"),
    (AGGREGATOR_PLACE, "from S[§count() > T.v in T] select a insert into O;"),
    (
        ATTRIBUTE_TAKEN,
        "from S select c as x, c as rho insert into P;\n\
        from P#§pol2Cart(x, rho) select x insert into O;",
    ),
];

const QUERIES: &[(&str, &str)] = &[
    (
        QUERY_NAME_TAKEN,
        "@info(name='q') from S select a insert into O;\n\
         @info(name=§'q') from S select b insert into P;",
    ),
    (OUTPUT_TAKEN, "from S select a, b as §a insert into O;"),
    (OUTPUT_TAKEN, "from S as s unidirectional join W as w §select * insert into O;"),
    (BAD_LIMIT, "from S select a limit §-1 insert into O;"),
    (BAD_LIMIT, "from S select a limit §a insert into O;"),
    (BAD_LIMIT, "from S select a offset §2.5 insert into O;"),
    (WINDOW_ON_WINDOW, "from W§#window.length(1) select a insert into O;"),
    (BAD_JOIN, "from §T as l join T as r select l.k as k insert into O;"),
    (BAD_JOIN, "from S join §T unidirectional select S.a as a insert into O;"),
    (BAD_JOIN, "from S join §S on true select S.a as a insert into O;"),
    (BAD_JOIN, "from S join W§#log() on S.a == W.a select S.a as a insert into O;"),
    (BAD_RATE, "from S select a §output every 0 events insert into O;"),
    (BAD_RATE, "from S select a §output snapshot every 1 sec insert current events into O;"),
    (BAD_PARTITION, "partition with (a of S, §b of S) begin from S select a insert into O; end;"),
    (TYPE_MISMATCH, "from S select b as k, e update T set T.v = §e on T.k == k;"),
];

/// Plans of their own.
const WHOLE: &[(&str, &str)] = &[
    (NAME_TAKEN, "define stream A (a int);\ndefine table §A (a int);"),
    (NAME_TAKEN, "define table A (a int);\ndefine stream §A (a int);"),
    (NAME_TAKEN, "define stream A (a int);\ndefine stream §A (a long);"),
    (NAME_TAKEN, "define stream A (a int);\ndefine trigger §A at 'start';"),
    (NAME_TAKEN, "define stream A (a int);\ndefine window §A (a int) length(1);"),
    (ATTRIBUTE_TAKEN, "define stream A (a int, b int, §a long);"),
    (ATTRIBUTE_TAKEN, "§@OnError(action='STREAM') define stream A (_error int);"),
    (PREFIX_PLACE, "define stream §#A (a int);"),
    (PREFIX_PLACE, "define table §!A (a int);"),
    (BAD_KEY, "@primaryKey('a') §@primaryKey('b') define table A (a int, b int);"),
    (BAD_KEY, "@primaryKey('a', §'a') define table A (a int, b int);"),
    (BAD_KEY, "§@index('a', 'b') define table A (a int, b int);"),
    (BAD_KEY, "@index('a')\n@index(§'a')\ndefine table A (a int, b int);"),
    (BAD_KEY, "@§indexBy('a') define table A (a int);"),
    (UNKNOWN_ATTRIBUTE, "@primaryKey(§'A') define table A (a int);"),
    (UNKNOWN_ATTRIBUTE, "@index(§'x') define table A (a int);"),
    (BAD_TRIGGER, "define trigger A at §'noon';"),
    (UNKNOWN_WINDOW, "define window A (a int) §lenght(1);"),
    (ARGUMENT_COUNT, "define window A (a int) §length(1, 2);"),
    (UNKNOWN_KEY, "@async(§buffer='2') define stream A (a int);"),
    (UNKNOWN_KEY, "@async(§'2') define stream A (a int);"),
    (UNKNOWN_KEY, "@app:playback(§idle='1 sec') define stream A (a int);"),
    (UNKNOWN_KEY, "define stream A (a int); @info(§nam='x') from A insert into B;"),
    (UNKNOWN_KEY, "@source(type='http', @§mapp(type='json')) define stream A (a int);"),
    (
        UNKNOWN_KEY,
        "@sink(type='log', @map(type='text', @§attributes('x'))) define stream A (a int);",
    ),
    (BAD_ANNOTATION, "§@app:async define stream A (a int);"),
    (BAD_ANNOTATION, "§@app:name() define stream A (a int);"),
    (BAD_ANNOTATION, "§@app:playback(idle.time='1 sec') define stream A (a int);"),
    (
        BAD_ANNOTATION,
        "@app:playback(idle.time=§'soon', increment='1 sec') define stream A (a int);",
    ),
    (BAD_ANNOTATION, "@async(workers=§'0') define stream A (a int);"),
    (BAD_ANNOTATION, "@async(buffer.size=§'1000') define stream A (a int);"),
    (BAD_ANNOTATION, "@OnError(action=§'STREEM') define stream A (a int);"),
    (BAD_ANNOTATION, "@async(workers='1') §@async(workers='1') define stream A (a int);"),
    (BAD_ANNOTATION, "§@source(topic='x') define stream A (a int);"),
    (BAD_ANNOTATION, "@sink(type='log', §@map(x='y')) define stream A (a int);"),
    (
        BAD_ANNOTATION,
        "define stream A (a int); §@purge(enable='true', interval='1 sec') \
         partition with (a of A) begin from A insert into B; end;",
    ),
    (
        BAD_MAPPING,
        "@source(type='http', @map(type='json', §@attributes('x')))\n\
         define stream A (a int, b int);",
    ),
    (
        BAD_MAPPING,
        "@source(type='http', @map(type='json', §@attributes(a='x')))\n\
         define stream A (a int, b int);",
    ),
    (
        BAD_MAPPING,
        "@source(type='http', @map(type='json', @attributes(a='x', §z='y', b='z')))\n\
         define stream A (a int, b int);",
    ),
    (BAD_MAPPING, "@sink(type='log', §prefix='{{z}}') define stream A (a int);"),
    (
        BAD_MAPPING,
        "@sink(type='log', @map(type='text', @payload(§'a is {{b}}'))) define stream A (a int);",
    ),
    (BAD_PLAN_NAME, "@app:name(§'a plan') define stream A (a int);"),
    (BAD_PLAN_NAME, "@app:name(§'') define stream A (a int);"),
    (
        BAD_AGGREGATION,
        "define stream A (a int); define aggregation G from A select sum(a) as s \
         aggregate by §a every sec ... day;",
    ),
    (
        CIRCLE,
        "define stream A (a int);\nfrom A select a insert into B;\nfrom B select a insert into C;\n\
         from C select a §insert into A;",
    ),
    (CIRCLE, "define stream A (a int);\nfrom A[a > 0] select a - 1 as a §insert into A;"),
    (
        CIRCLE,
        "@OnError(action='STREAM') define stream A (a int);\nfrom !A select a §insert into A;",
    ),
];

/// Right plans that cannot be run yet.
const NOT_YET: &[&str] = &["from §(from S select a return) select a insert into O;"];

/// Every error of a plan, parser's and checker's.
fn errors(text: &str) -> Vec<Diagnostic> {
    let parsed = language::parse(text);
    let checked = check(&parsed.tree, text, &TestCatalog);
    let all = parsed.diagnostics.into_iter().chain(checked.diagnostics);
    all.filter(Diagnostic::is_error).collect()
}

/// Takes the mark out of a plan and says where it stood.
fn unmarked(marked: &str) -> (String, usize) {
    let at = marked.find('§').unwrap_or_else(|| panic!("no mark in {marked}"));
    (marked.replacen('§', "", 1), at)
}

/// What is wrong with how a plan is refused, if anything is.
fn complaint(code: &str, marked: &str) -> Option<String> {
    let (text, at) = unmarked(marked);
    let source = Source::new("plan", text.as_str());
    let wanted = source.place(at);
    let found = errors(&text);
    let seen: Vec<_> = found
        .iter()
        .map(|each| (each.code, source.place(each.primary.span.start), each.message.as_str()))
        .collect();
    // A construct that is refused as a whole may also hold a mistake.
    let mistakes = found.iter().filter(|each| !each.not_supported).count();
    let hit = seen.iter().any(|(seen, place, _)| *seen == code && *place == wanted);
    (!hit || mistakes != 1)
        .then(|| format!("wanted {code} at {wanted:?}, got {seen:?} for\n{text}"))
}

#[test]
fn broken_plans_are_refused_at_their_place() {
    let queries = [NAMES, TYPES, CALLS, QUERIES].concat();
    assert!(queries.len() + WHOLE.len() >= 60, "the table has shrunk");
    let with_head = queries.iter().map(|(code, plan)| (*code, format!("{HEAD}{plan}")));
    let alone = WHOLE.iter().map(|(code, plan)| (*code, (*plan).to_owned()));
    let complaints: Vec<String> =
        with_head.chain(alone).filter_map(|(code, plan)| complaint(code, &plan)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[test]
fn what_cannot_be_run_yet_is_told_from_what_is_wrong() {
    for queries in NOT_YET {
        let text = format!("{HEAD}{}", queries.replacen('§', "", 1));
        let parsed = language::parse(&text);
        assert!(!parsed.has_errors(), "{text}: {:?}", parsed.diagnostics);
        let checked = check(&parsed.tree, &text, &TestCatalog);
        assert!(checked.plan.is_none(), "{text}");
        assert!(checked.is_unsupported_only(), "{text}: {:?}", checked.diagnostics);
    }
    let both = format!(
        "{HEAD}from (from S select a return) select a insert into O; from Q insert into P;"
    );
    let parsed = language::parse(&both);
    assert!(!check(&parsed.tree, &both, &TestCatalog).is_unsupported_only());
}
