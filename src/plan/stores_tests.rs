//! What a plan says of stores: how it is read, and what is wrong or has no effect.

use crate::event::DataType;
use crate::language;
use crate::language::diagnostic::Diagnostic;
use crate::plan::check;
use crate::plan::codes;
use crate::plan::logical::Endpoint;
use crate::plan::logical::Origin;
use crate::plan::logical::Plan;
use crate::plan::testing::TestCatalog;
use crate::plan::testing::checked;

fn said(text: &str) -> Vec<Diagnostic> {
    let parsed = language::parse(text);
    assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
    check(&parsed.tree, text, &TestCatalog).diagnostics
}

/// The store of the plan's table or stream, as `kind key=value …`.
fn store(plan: &Plan, stream: usize) -> String {
    let Endpoint { kind, options, .. } = plan.streams[stream].store.as_ref().unwrap();
    let options = options.iter().map(|option| format!("{}={}", option.key, option.value));
    let words: Vec<String> = [kind.clone()].into_iter().chain(options).collect();
    words.join(" ")
}

#[test]
fn a_table_in_a_store_has_a_stream_of_changes() {
    let plan = checked(
        "@Store(type='rdbms', datasource='D', field.length='k:9')
         @primaryKey('k', 'm') @index('v') define table T (k string, v double, m long);
         @store(type='rdbms', datasource='D') define table U (v double);",
    );
    let changes = plan.tables[0].changes.unwrap();
    assert_eq!(plan.streams[changes].origin, Origin::Changes(0));
    assert_eq!(plan.streams[changes].shown(), "store:T");
    let names: Vec<&str> = plan.streams[changes].schema.names().collect();
    assert_eq!(names, ["_change", "k", "v", "m"]);
    let given = "rdbms datasource=D field.length=k:9 primary.keys=k, m indices=v";
    assert_eq!(store(&plan, changes), given);
    let plain = plan.tables[1].changes.unwrap();
    let last = plan.streams[plain].schema.attributes.last().unwrap();
    assert_eq!((last.name.as_str(), last.ty), ("_row", DataType::Long));
    let ways: Vec<String> =
        plan.streams[changes].ways_out().map(|way| way.name.to_string()).collect();
    assert_eq!(ways, ["store:T"]);
    assert!(plan.stream("store:T").is_none(), "nobody can send to it");
}

#[test]
fn older_plans_say_from() {
    let text = "@From(eventtable='rdbms', datasource.name='D', table.name='t', primary.keys='k',
         indices='v', cache='lru', bloom.filters='enable') define table T (k string, v double);";
    let plan = checked(text);
    assert_eq!((&plan.tables[0].primary_key, &plan.tables[0].indexes), (&vec![0], &vec![1]));
    let changes = plan.tables[0].changes.unwrap();
    let given = "rdbms datasource=D table.name=t primary.keys=k indices=v";
    assert_eq!(store(&plan, changes), given);
    let warnings = said(text);
    assert!(warnings.iter().all(|each| !each.is_error()), "{warnings:?}");
    let no_effect = warnings.iter().filter(|each| each.message.contains("has no effect"));
    assert_eq!(no_effect.count(), 2);
}

#[test]
fn a_stream_can_be_kept_too() {
    let plan =
        checked("@sink(type='log') @store(type='rdbms', datasource='D') define stream S (a int);");
    assert_eq!(store(&plan, 0), "rdbms datasource=D");
    let ways: Vec<String> = plan.streams[0].ways_out().map(|way| way.name.to_string()).collect();
    assert_eq!(ways, ["publisher:S:1", "store:S"]);
}

#[test]
fn a_table_defined_twice_is_one_only_if_its_store_is_the_same() {
    let table =
        |of: &str| format!("@store(type='rdbms', datasource='{of}') define table T (a int);");
    let plan = checked(&format!("{}{}", table("D"), table("D")));
    assert_eq!((plan.tables.len(), plan.streams.len()), (1, 1));
    let found = said(&format!("{}{}", table("D"), table("E")));
    assert!(found.iter().any(|each| each.code == codes::NAME_TAKEN), "{found:?}");
    let found = said(&format!("{} define table T (a int);", table("D")));
    assert!(found.iter().any(|each| each.code == codes::NAME_TAKEN), "{found:?}");
}

#[test]
fn what_is_wrong_with_a_store_is_said_at_its_place() {
    for (text, code, words) in [
        ("@store(datasource='D') define table T (a int);", "P0603", "`@store` needs a type"),
        ("@from(table.name='t') define table T (a int);", "P0603", "`@from` needs an `eventtable`"),
        ("@store('rdbms') define table T (a int);", "P0602", "need keys"),
        ("@store(type='rdbms', @map(type='x')) define table T (a int);", "P0602", "cannot stand"),
        ("@store(type='rdbms') define table T (a object);", "P0603", "`a` is an object"),
        ("@store(type='rdbms') define stream T (a object);", "P0603", "`a` is an object"),
        ("@store(type='rdbms', primary.keys='b') define table T (a int);", "P0102", "`b`"),
        ("@store(type='rdbms', indices='b') define table T (a int);", "P0102", "`b`"),
        (
            "@primaryKey('a') @store(type='rdbms', primary.keys='a') define table T (a int);",
            "P0501",
            "named twice",
        ),
        (
            "@store(type='rdbms') @from(eventtable='rdbms') define table T (a int);",
            "P0603",
            "kept in one store",
        ),
    ] {
        let found = said(text);
        let fits = |each: &Diagnostic| each.code == code && each.message.contains(words);
        assert!(found.iter().any(fits), "{text}: {found:?}");
        assert!(found.iter().any(Diagnostic::is_error), "{text}: {found:?}");
    }
    let found = said("@store(type='rdbms', @cache(size='9')) define table T (a int);");
    assert!(found.iter().all(|each| !each.is_error()) && found.len() == 1, "{found:?}");
}

#[test]
fn an_external_table_has_a_stream_of_errands() {
    let plan = checked(
        "@store(type='rdbms', datasource='D', external='TRUE') @primaryKey('k')
         define table T (k string, v double);
         @store(type='rdbms', datasource='D', external='false') define table U (v double);",
    );
    let errands = plan.tables[0].changes.unwrap();
    assert!(plan.tables[0].is_external && !plan.tables[1].is_external);
    assert_eq!(plan.streams[errands].origin, Origin::Errands(0));
    assert_eq!(plan.streams[errands].shown(), "store:T");
    let names: Vec<&str> = plan.streams[errands].schema.names().collect();
    assert_eq!(names, ["_do", "_number", "_with", "k", "v"]);
    assert!(plan.stream("store:T").is_none(), "nobody can send to it");
}

#[test]
fn what_cannot_be_done_with_an_external_table_is_refused_where_it_stands() {
    let head = "define stream S (k string, v float, n int);
        @store(type='rdbms', datasource='D', external='true')
        define table T (k string, v float, n int, m int); ";
    let join = "from S join T on S.k == T.k select S.k as k insert into O;";
    let other = "@store(type='rdbms', datasource='D', external='true') define table U (k string);";
    let update = "from S update T set T.n = T.n / n on T.k == k;";
    let turns = "from S update T set T.n = T.m, T.m = T.n on T.k == k;";
    for (text, words) in [
        (format!("@app:playback {head} {join}"), "moved by events"),
        (format!("{head} from S select k == T.k in T as has insert into O;"), "`in`"),
        (format!("{head} from S#window.length(2)[k == T.k in T] select k insert into O;"), "`in`"),
        (format!("{head} from S select k having k == T.k in T insert into O;"), "`in`"),
        (
            format!("{head} from e1=S[k == T.k in T] -> e2=S select e1.k as k insert into O;"),
            "`in`",
        ),
        (format!("{head} from S delete T on T.v == v;"), "does not understand"),
        (format!("{head} from S delete T on T.n + 1 == n;"), "does not understand"),
        (format!("{head} {update}"), "does not calculate"),
        (format!("{head} {turns}"), "each from the other"),
        (
            format!(
                "{head} {other} from S[k == T.k in T and k == U.k in U] select k insert into O;"
            ),
            "several external tables",
        ),
    ] {
        let found = said(&text);
        let fits = |each: &Diagnostic| each.not_supported && each.message.contains(words);
        assert!(found.iter().any(fits), "{text}: {found:?}");
        let line = |each: &&Diagnostic| each.primary.span.start > 0;
        assert!(found.iter().filter(|each| each.is_error()).all(|each| line(&each)), "{found:?}");
    }
    for text in [
        "from S[k == T.k in T]#window.length(2) select k insert into O;",
        "from S[k == T.k in T][not (k == T.k in T)] select k insert into O;",
        "from S[not (k == T.k in T) or n > 2] select k insert into O;",
        "from S left outer join T on S.k == T.k and T.v > 2.0f select S.k as k insert into O;",
        "from S select k, v, n, n as m update or insert into T
         on T.k == k and (T.n > n or T.k is null);",
        "from S update T set T.n = T.n + n, T.m = T.n * T.m on T.k == k;",
        "from S delete T on not (T.k == k);",
        "partition with (k of S) begin from S join T on S.k == T.k select S.k as k insert into O; \
         from S[k == T.k in T] select n insert into #I; \
         from #I join T on #I.n == T.n select T.k as k insert into O; end;",
    ] {
        let found = said(&format!("{head} {text}"));
        assert!(found.iter().all(|each| !each.is_error()), "{text}: {found:?}");
    }
}

#[test]
fn what_a_cache_says_are_options_of_its_store() {
    let table = |cache: &str| {
        format!(
            "@store(type='rdbms', datasource='D', external='true', @cache({cache}))
             define table T (k string);"
        )
    };
    let plan = checked(&table("size='9', cache.policy='LRU', retention.period='5 sec'"));
    let given = "rdbms datasource=D external=true cache.size=9 cache.policy=LRU \
                 cache.retention.period=5 sec";
    assert_eq!(store(&plan, plan.tables[0].changes.unwrap()), given);
    for (cache, words) in
        [("cache.policy='LRU'", "needs a size"), ("size='9', sise='9'", "no option `sise`")]
    {
        let found = said(&table(cache));
        assert!(found.iter().any(|each| each.message.contains(words)), "{cache}: {found:?}");
    }
}
