//! Nothing vanishes: what came in is accounted for by the figures, as `docs/metrics.md` says.

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::SOON;

const PLAN: &str = "
define stream S (k string, n int);
define stream Undivided (n int);
@primaryKey('k') define table T (k string, n int);

@info(name='large') from S[n > 50][n % 2 == 0] select k, n insert into Large;
@info(name='small') from S[n <= 50] select k, n insert into Small;
@info(name='leaving') from S[n > 10]#window.length(7)[n > 20]
select k, n insert expired events into Left;
@info(name='late') from S[not (k is null)]#window.session(1 hour, k, 1 sec)
select k insert into Seen;
@info(name='kept') from Large select k, n insert into T;
partition with (k of S) begin
    @info(name='told') from Undivided[n > 1] select n insert into Told;
    @info(name='keyed') from S[n > 90] select k, n insert into Keyed;
end;
";

/// A figure of the node; 0 where there is none.
fn figure(metrics: &str, name: &str, labels: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name}{{{labels}}} ")));
    line.map_or(0, |value| value.parse().expect("a whole number"))
}

fn dropped(metrics: &str, stream: &str, query: &str, reason: &str) -> u64 {
    let labels = format!("plan=\"p\",stream=\"{stream}\",query=\"{query}\",reason=\"{reason}\"");
    figure(metrics, "twinflow_dropped_total", &labels)
}

fn events(metrics: &str, stream: &str, direction: &str) -> u64 {
    let labels = format!("plan=\"p\",stream=\"{stream}\",direction=\"{direction}\"");
    figure(metrics, "twinflow_events_total", &labels)
}

fn metrics(node: &Node) -> String {
    node.get("/metrics").text()
}

#[test]
fn what_came_in_is_accounted_for() {
    let node = Node::start(&[("p.siddhi", PLAN)], "");
    node.wait_for_plan("p");
    const ROWS: u64 = 1000;
    let row = |n: u64| {
        let key = (!n.is_multiple_of(13)).then(|| format!("k{}", n % 5));
        json!({ "k": key, "n": n * 7919 % 100 })
    };
    // Nobody is there to take these.
    node.send("p", "Undivided", &json!([{ "n": 1 }, { "n": 2 }]));
    // Alone and in batches, since filters count by batches.
    let rows: Vec<Value> = (0..ROWS).map(row).collect();
    for rows in rows[..100].chunks(1).chain(rows[100..].chunks(90)) {
        node.send("p", "S", &json!(rows));
    }
    let wanted =
        |keeps: fn(u64) -> bool| (0..ROWS).filter(|n| keeps(n * 7919 % 100)).count() as u64;
    node.wait(SOON, "the figures are told", || {
        let text = metrics(&node);
        let told = dropped(&text, "S", "large", "filter") + events(&text, "Large", "out");
        (events(&text, "S", "in") == ROWS && told == ROWS).then_some(())
    });
    let text = metrics(&node);
    let filtered = |query| dropped(&text, "S", query, "filter");
    let all = |query, out| filtered(query) + events(&text, out, "out");

    assert_eq!(all("large", "Large"), ROWS, "two conditions one behind the other");
    assert_eq!(events(&text, "Large", "out"), wanted(|n| n > 50 && n.is_multiple_of(2)));
    assert_eq!(all("small", "Small"), ROWS);

    // What a condition behind a window hides is held or has left: it is not dropped.
    assert_eq!(filtered("leaving"), wanted(|n| n <= 10));

    let nulls = (0..ROWS).filter(|n| n.is_multiple_of(13)).count() as u64;
    assert_eq!(filtered("late"), nulls);
    let seen = events(&text, "Seen", "out");
    assert_eq!(filtered("late") + seen, ROWS);

    // No row without a key reaches the partition's query; each row is dropped once.
    assert_eq!(dropped(&text, "", "", "no_key"), nulls + 2);
    assert_eq!(dropped(&text, "Undivided", "told", "filter"), 0);
    assert_eq!(all("keyed", "Keyed") + nulls, ROWS);

    let kept = node.query("p", "from T select k")["rows"].as_array().unwrap().len() as u64;
    let large = events(&text, "Large", "out");
    assert_eq!(kept + dropped(&text, "", "", "key_taken"), large, "kept or refused by the table");

    let held = figure(&text, "twinflow_held_rows", "plan=\"p\"");
    assert_eq!(held, 7 + seen + kept, "two windows and a table");
    assert_eq!(figure(&text, "twinflow_queue_depth", "plan=\"p\",queue=\"inbox\""), 0);
}

#[test]
fn what_a_version_held_is_accounted_for_when_the_next_takes_over() {
    let plan = |n: u64| {
        format!(
            "define stream S (n int);\n\
             from S#window.length({n}) select n insert expired events into Left;"
        )
    };
    let node = Node::start(&[("p.siddhi", &plan(3))], "");
    node.wait_for_plan("p");
    node.send("p", "S", &json!([{ "n": 1 }, { "n": 2 }, { "n": 3 }, { "n": 4 }]));
    node.put("p.siddhi", plan(4));
    node.wait(SOON, "the new version runs", || {
        (node.get("/api/v1/plans/p").json()["version"] == 2).then_some(())
    });
    node.send("p", "S", &json!({ "n": 5 }));
    node.wait(SOON, "the figures add up", || {
        let text = metrics(&node);
        let held = figure(&text, "twinflow_held_rows", "plan=\"p\"");
        let out = events(&text, "Left", "out");
        let lost = dropped(&text, "", "", "version");
        let sum = (out, held, lost) == (1, 1, 3) && events(&text, "S", "in") == 5;
        sum.then_some(())
    });
}

#[test]
fn what_waits_for_its_time_is_accounted_for_and_told() {
    let plan = |more: &str| {
        format!(
            "@watermark(attribute='t', lateness='10 sec', ahead='1 hour', late.stream='Late')\n\
             define stream S (n int, t long);\n\
             define stream Late (n int, t long);\n\
             from S select n insert into Out;\n{more}"
        )
    };
    let node = Node::start(&[("p.siddhi", &plan(""))], "");
    node.wait_for_plan("p");
    let row = |n: i64, t: Option<i64>| json!({ "n": n, "t": t });
    let in_time = json!([row(1, Some(100_000)), row(2, Some(95_000)), row(3, Some(120_000))]);
    node.send("p", "S", &in_time);
    let aside = json!([row(4, Some(105_000)), row(5, Some(9_000_000_000_000_000)), row(6, None)]);
    node.send("p", "S", &aside);
    node.wait(SOON, "the figures add up", || {
        let text = metrics(&node);
        let held = figure(&text, "twinflow_held_rows", "plan=\"p\"");
        let gone = [events(&text, "Out", "out"), events(&text, "Late", "out")];
        let dropped = [dropped(&text, "S", "", "ahead"), dropped(&text, "", "", "fault")];
        let came = [events(&text, "S", "in"), events(&text, "S", "out")];
        ((came, held, gone, dropped) == ([6, 0], 1, [2, 1], [1, 1])).then_some(())
    });
    let text = metrics(&node);
    let of_stream = "plan=\"p\",stream=\"S\"";
    assert_eq!(figure(&text, "twinflow_watermark_milliseconds", of_stream), 110_000);
    assert!(figure(&text, "twinflow_watermark_lag_milliseconds", of_stream) > 1_000_000);
    assert_eq!(figure(&text, "twinflow_watermark_waiting_rows", of_stream), 1);
    assert_eq!(figure(&text, "twinflow_event_clock_milliseconds", "plan=\"p\""), 110_000);
    let told = node.get("/api/v1/plans/p").json()["streams"][0]["watermark"].clone();
    assert_eq!((&told["watermark_ms"], &told["clock_ms"]), (&json!(110_000), &json!(110_000)));
    assert_eq!(
        (&told["waiting"], &told["late"], &told["ahead"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!((&told["idle"], &told["hurried"]), (&json!(false), &json!(0)));

    // What waits goes on in a new version.
    node.put("p.siddhi", plan("from S select t insert into Times;"));
    node.wait(SOON, "the new version runs", || {
        (node.get("/api/v1/plans/p").json()["version"] == 2).then_some(())
    });
    node.send("p", "S", &json!([row(7, Some(131_000))]));
    node.wait(SOON, "the row that waited has left", || {
        let text = metrics(&node);
        let held = figure(&text, "twinflow_held_rows", "plan=\"p\"");
        let out = [events(&text, "Out", "out"), events(&text, "Times", "out")];
        ((held, out) == (1, [3, 1]) && dropped(&text, "", "", "version") == 0).then_some(())
    });
}
