//! What would grow as long as a plan runs is warned of, and what is bounded is not.

use twinflow::rehearsal::Reading;

/// Plans behind the same stream, and what each is warned of.
const PLANS: &[(&str, &[&str])] = &[
    ("from S#window.length(5) select k, sum(n) as t group by k insert into O;", &[]),
    (
        "from S select k, sum(n) as t group by k insert into O;",
        &["without a window every group is kept for ever"],
    ),
    (
        "define table T (k string, n int); from S insert into T;",
        &["the table `T` grows with every row"],
    ),
    ("@primaryKey('k') define table T (k string, n int); from S insert into T;", &[]),
    (
        "from every e1=S -> e2=S[n > e1.n] select e2.n as n insert into O;",
        &["matches that are never completed are kept for ever"],
    ),
    ("from every e1=S -> e2=S[n > e1.n] within 1 sec select e2.n as n insert into O;", &[]),
    (
        "partition with (k of S) begin from S select n insert into O; end;",
        &["every key of this partition is kept for ever"],
    ),
    (
        "from S#geo:stationary(k, 8.0, 47.0, 5.0) select k insert into O;",
        &["`geo:stationary` remembers each thing for ever"],
    ),
    (
        "@purge(enable='true', interval='1 min', idle.period='1 hour') partition with (k of S) \
         begin from S#geo:stationary(k, 8.0, 47.0, 5.0) select k insert into O; end;",
        &[],
    ),
    ("from S#timeseries:regress(n, n + 1) select beta1 insert into O;", &[]),
];

#[test]
fn what_grows_is_warned_of() {
    for (queries, expected) in PLANS {
        let text = format!("define stream S (k string, n int);\n{queries}");
        let reading = Reading::new("grows", &text);
        assert!(reading.plan.is_some(), "{text}\n{:?}", reading.diagnostics);
        let found: Vec<&str> =
            reading.diagnostics.iter().map(|each| each.message.as_str()).collect();
        assert_eq!(found, *expected, "{queries}");
    }
}
