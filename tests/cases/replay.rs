//! The command `replay` as a user meets it: lines in, lines out, and how it ends.

use std::io::Write;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

/// Runs `replay` on a plan with the input given; `arguments` stand behind the plan.
fn replay(plan: &str, arguments: &[&str], input: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder for the plan");
    let file = folder.path().join("plan.siddhi");
    std::fs::write(&file, plan).expect("the plan can be written");
    let mut process = Command::new(env!("CARGO_BIN_EXE_twinflow"))
        .arg("replay")
        .arg("--plan")
        .arg(&file)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = process.stdin.take().expect("it is piped");
    // A plan that is refused is refused before any input is read.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    process.wait_with_output().expect("it ends")
}

fn out(output: &Output) -> Vec<&str> {
    std::str::from_utf8(&output.stdout).expect("lines are text").lines().collect()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("messages are text")
}

const PLAN: &str = "
define stream S (n int, v double, t string);
define table T (n int);
@info(name='q') from S#window.time(10 millisec) select n, v insert all events into Out;
from S select n insert into T;
";

#[test]
fn rows_come_out_with_their_times() {
    let input = r#"{"at":1000}
{"at":1001,"stream":"S","rows":[[1,2],[2,5000000000]]}
{"at":1005,"stream":"S","rows":[[3,1e2,"x"]],"timestamps":[1004]}
{"at":1020}
"#;
    let watch = ["--watch", "stream:S", "--watch", "query:q", "--watch", "stream:Out"];
    let output = replay(PLAN, &watch, input);
    let expected = [
        r#"{"at":1001,"stream":"S","timestamp":1001,"data":[1,2.0,null]}"#,
        r#"{"at":1001,"stream":"S","timestamp":1001,"data":[2,5000000000.0,null]}"#,
        r#"{"at":1001,"query":"q","kind":"current","timestamp":1001,"data":[1,2.0]}"#,
        r#"{"at":1001,"query":"q","kind":"current","timestamp":1001,"data":[2,5000000000.0]}"#,
        r#"{"at":1001,"stream":"Out","timestamp":1001,"data":[1,2.0]}"#,
        r#"{"at":1001,"stream":"Out","timestamp":1001,"data":[2,5000000000.0]}"#,
        r#"{"at":1005,"stream":"S","timestamp":1004,"data":[3,100.0,"x"]}"#,
        r#"{"at":1005,"query":"q","kind":"current","timestamp":1004,"data":[3,100.0]}"#,
        r#"{"at":1005,"stream":"Out","timestamp":1004,"data":[3,100.0]}"#,
        r#"{"at":1011,"query":"q","kind":"expired","timestamp":1011,"data":[1,2.0]}"#,
        r#"{"at":1011,"query":"q","kind":"expired","timestamp":1011,"data":[2,5000000000.0]}"#,
        r#"{"at":1011,"stream":"Out","timestamp":1011,"data":[1,2.0]}"#,
        r#"{"at":1011,"stream":"Out","timestamp":1011,"data":[2,5000000000.0]}"#,
    ];
    assert_eq!(out(&output)[..expected.len()], expected);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn questions_are_answered_in_their_turn() {
    let input = r#"{"at":1,"stream":"S","rows":[[7]]}
{"at":2,"query":"from T select n"}
{"at":3,"query":"from T select m"}
{"at":4,"query":"select 8 as n insert into T"}
{"at":5,"query":"from T select n * 0.5 as half"}
"#;
    let output = replay(PLAN, &[], input);
    let lines = out(&output);
    assert_eq!(lines[0], r#"{"at":2,"result":[[7]]}"#);
    assert!(lines[1].starts_with(r#"{"at":3,"error":{"#), "{}", lines[1]);
    assert!(lines[1].contains("P0102"), "{}", lines[1]);
    assert_eq!(lines[2..], [r#"{"at":4,"result":[]}"#, r#"{"at":5,"result":[[3.5],[4.0]]}"#]);
}

#[test]
fn what_does_not_fit_is_told_and_the_run_goes_on() {
    let input = r#"{"at":1}
{"at":2,"stream":"S","rows":[["one"],[1,2,"a","surplus"],[2147483648],[2.5]]}
{"at":3,"stream":"Unknown","rows":[[1]]}
not json
{"at":4,"stream":"S"}
{"at":5,"stream":"S","rows":[[2]],"timestamps":[]}

{"at":0,"stream":"S","rows":[[3]]}
"#;
    let output = replay(PLAN, &["--watch", "stream:S"], input);
    let expected = [
        r#"{"at":2,"stream":"S","timestamp":2,"data":[1,2.0,"a"]}"#,
        r#"{"at":3,"stream":"S","timestamp":3,"data":[3,null,null]}"#,
    ];
    assert_eq!(out(&output), expected);
    let messages = err(&output);
    for message in [
        "line 2: row 1: attribute `n` is of type int, but `one` is of type string",
        "line 2: row 3: attribute `n` is of type int, which does not hold 2147483648",
        "line 2: row 4: attribute `n` is of type int, which does not hold 2.5",
        "line 3: the plan has no stream called `Unknown`",
        "line 4: ",
        "line 5: ",
        "line 6: ",
    ] {
        assert!(messages.contains(message), "{message} is not in\n{messages}");
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn snapshots_survive_a_restart() {
    let plan = "define stream S (n int); @info(name='q') from S select sum(n) as t insert into O;";
    let input = r#"{"at":1,"stream":"S","rows":[[1],[2]]}
{"at":2,"snapshot":true}
{"at":3,"restart":true}
{"at":4,"stream":"S","rows":[[10]]}
{"at":5,"restore":true}
{"at":6,"stream":"S","rows":[[100]]}
"#;
    let output = replay(plan, &["--watch", "stream:O"], input);
    let sums: Vec<&str> =
        out(&output).iter().filter_map(|line| line.split("data").nth(1)).collect();
    assert_eq!(sums, [r#"":[1]}"#, r#"":[3]}"#, r#"":[10]}"#, r#"":[103]}"#]);
    assert_eq!(output.status.code(), Some(0));

    let output = replay(plan, &[], "{\"at\":1}\n{\"at\":2,\"restore\":true}\n{\"at\":3}\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("line 2: no snapshot was taken"), "{}", err(&output));
}

#[test]
fn the_status_tells_a_wrong_plan_from_one_that_is_ahead() {
    let wrong = replay("define stream S (n int);\nfrom S select m insert into O;", &[], "");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("plan.siddhi:2:15"), "{}", err(&wrong));
    let wrong = replay("define stream S (n int); from S select m insert into O;", &["--json"], "");
    assert_eq!(wrong.status.code(), Some(2));
    let messages: serde_json::Value = serde_json::from_str(err(&wrong)).expect("a JSON document");
    assert_eq!(messages[0]["code"], "P0102");
    let ahead = replay(
        "define stream S (n int); from (from S select n return) select n insert into O;",
        &[],
        "",
    );
    assert_eq!(ahead.status.code(), Some(3), "{}", err(&ahead));
    let unknown = replay(PLAN, &["--watch", "stream:Outt"], "");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        err(&unknown).contains("no stream called `Outt`; did you mean `Out`?"),
        "{}",
        err(&unknown)
    );
}

#[test]
fn what_a_named_window_puts_out_can_be_watched() {
    let plan = "define stream S (n int); define window Pairs (n int) lengthBatch(2);
from S insert into Pairs;
from Pairs select sum(n) as n insert into O;";
    let input = r#"{"at":1,"stream":"S","rows":[[1],[2],[3]]}
{"at":2,"stream":"S","rows":[[4]]}
"#;
    let output = replay(plan, &["--watch", "stream:Pairs", "--watch", "stream:O"], input);
    let line = |at: i64, name: &str, n: i64| {
        format!(r#"{{"at":{at},"stream":"{name}","timestamp":{at},"data":[{n}]}}"#)
    };
    let first = [line(1, "Pairs", 1), line(1, "Pairs", 2), line(1, "O", 3)];
    let left = [line(2, "Pairs", 1), line(2, "Pairs", 2)];
    let second = [line(2, "Pairs", 3), line(2, "Pairs", 4), line(2, "O", 7)];
    // What leaves carries the time at which it does, what comes its own.
    let second = second
        .map(|text| text.replace("\"timestamp\":2,\"data\":[3]", "\"timestamp\":1,\"data\":[3]"));
    let expected: Vec<String> = first.into_iter().chain(left).chain(second).collect();
    assert_eq!(out(&output), expected, "{}", err(&output));
    let unknown = replay(plan, &["--watch", "stream:Pair"], "");
    assert!(err(&unknown).contains("did you mean `Pairs`?"), "{}", err(&unknown));
}

#[test]
fn variables_are_replaced_before_the_plan_is_read() {
    let plan = "define stream ${name} (n int); from ${name}[n > ${least}] select n insert into O;";
    let input = "{\"at\":1,\"stream\":\"S\",\"rows\":[[4],[6]]}\n";
    let set = ["--watch", "stream:O", "--set", "name=S", "--set", "least=5"];
    let output = replay(plan, &set, input);
    assert_eq!(out(&output), [r#"{"at":1,"stream":"O","timestamp":1,"data":[6]}"#]);
    let missing = replay(plan, &["--set", "name=S"], input);
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).contains("least"), "{}", err(&missing));
}
