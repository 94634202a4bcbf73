//! What the text mapper takes, leaves out, refuses and writes.

use crate::event::DataType;
use crate::event::Value;
use crate::mappers::Fault;
use crate::mappers::harness::Bench;

fn bench() -> Bench {
    Bench::new(
        "text",
        &[("symbol", DataType::Text), ("price", DataType::Float), ("volume", DataType::Long)],
    )
}

fn stocks() -> Bench {
    bench()
        .option("regex.A", r"^(\w+)\s([-.\d]+)")
        .option("regex.B", r"volume:(?P<n>\d+)")
        .attribute("symbol", "A[1]")
        .attribute("price", "A[2]")
        .attribute("volume", "B")
}

#[test]
fn groups_of_patterns_become_attributes() {
    let mut bench = stocks();
    assert_eq!(bench.take("ibm 5.5 volume:7"), ["ibm 5.5 7"]);
    assert_eq!(bench.take("ibm 5.5 volume:x"), Vec::<String>::new());
    assert_eq!((bench.last.rows, bench.last.unmatched), (0, 1));
    assert_eq!(bench.take(""), Vec::<String>::new());
    assert_eq!(bench.last.unmatched, 1);
    let error = bench.refuse("ibm 5.5.5 volume:7");
    assert_eq!((error.fault, error.attribute.as_deref()), (Fault::Type, Some("price")));
    assert_eq!(error.message, "attribute `price`: expected float, found `5.5.5`");

    let mut bench = bench_lenient();
    assert_eq!(bench.take("ibm 5.5"), ["ibm 5.5 null"]);
    assert_eq!(bench.take("nothing here"), Vec::<String>::new());
    assert_eq!(bench.last.unmatched, 1);

    let mut bench = stocks().option("unmatched", "error");
    assert_eq!(bench.refuse("nothing here").fault, Fault::Unmatched);
}

fn bench_lenient() -> Bench {
    stocks().option("fail.on.missing.attribute", "false")
}

#[test]
fn a_message_may_hold_many_events() {
    let mut bench = stocks().option("event.grouping.enabled", "true").option("delimiter", "--");
    let text = "ibm 1 volume:1\r\n--\r\nno\n--\nsap 2 volume:2\n--\n";
    assert_eq!(bench.take(text), ["ibm 1.0 1", "sap 2.0 2"]);
    assert_eq!((bench.last.rows, bench.last.unmatched), (2, 1));
    let error = bench.refuse("ibm 1 volume:1\n--\nsap 2 volume:99999999999999999999");
    assert_eq!((error.index, error.fault), (1, Fault::Range));
    assert_eq!(
        error.message,
        "attribute `volume`: `99999999999999999999` is out of the range of long"
    );
}

#[test]
fn lines_of_names_and_values_are_read_by_name() {
    let mut bench = bench();
    assert_eq!(bench.take("symbol:\"ibm\",\nprice:5.5,\nvolume:100"), ["ibm 5.5 100"]);
    assert_eq!(bench.take("volume:100,\r\nsymbol:'a:b,c',\r\nprice:1\r\n"), ["a:b,c 1.0 100"]);
    assert_eq!(bench.take("volume:null\nsymbol:ibm corp\nprice:1,other:2"), ["ibm corp 1.0 null"]);
    assert_eq!(bench.refuse("symbol:'ibm',price:1").attribute.as_deref(), Some("volume"));
    assert_eq!(bench.refuse("a stray line").fault, Fault::Syntax);
    let mut strict = self::bench().option("fail.on.unknown.attribute", "true");
    assert_eq!(strict.refuse("symbol:a,price:1,volume:1,other:2").fault, Fault::Unknown);
    let mut grouped = self::bench().option("event.grouping.enabled", "true");
    let event = "symbol:\"ibm\",\nprice:5.5,\nvolume:100";
    let rows = grouped.take(&format!("{event}\n~~~~~~~~~~\n{event}"));
    assert_eq!(rows, ["ibm 5.5 100", "ibm 5.5 100"]);
}

#[test]
fn rows_are_written_as_lines_or_by_a_template() {
    let rows: [[Value; 3]; 2] = [
        ["a\"b".into(), Value::Float(5.0), Value::Long(1)],
        ["c\nd".into(), Value::Null, Value::Long(2)],
    ];
    let lines = bench().write(&rows);
    assert_eq!(lines[0], "symbol:\"a\\\"b\",\nprice:5.0,\nvolume:1");
    assert_eq!(lines[1], "symbol:\"c\\nd\",\nprice:null,\nvolume:2");
    let said = bench().payload("", "{{symbol}} costs {{price}}").write(&rows);
    assert_eq!(said, ["a\"b costs 5.0", "c\nd costs null"]);
    let grouped = bench()
        .payload("", "{{volume}}")
        .option("event.grouping.enabled", "true")
        .option("delimiter", "--")
        .option("new.line.character", "\\r\\n")
        .write(&rows);
    assert_eq!(grouped, ["1\r\n--\r\n2"]);
}

#[test]
fn mappings_that_cannot_work_are_refused() {
    let one = || Bench::new("text", &[("ip", DataType::Text)]);
    for (bench, words) in [
        (one().option("regex.A", "(a").attribute("ip", "A"), "cannot be read: unclosed group"),
        (one().option("regex.A", "(?=a)").attribute("ip", "A"), "cannot look ahead"),
        (one().option("regex.A", "(a)"), "patterns need `@attributes`"),
        (one().option("regex.A", "(a)").attribute("ip", "B[1]"), "no pattern `B`; there are `A`"),
        (one().attribute("ip", "A[1]"), "there is no option `regex.A`"),
        (one().option("regex.A", "(a)").attribute("ip", "A[2]"), "has no group 2"),
        (one().option("regex.A", "a").attribute("ip", "A"), "has no group in brackets"),
        (one().option("regex.A", "(a)").attribute("ip", "A[x]"), "no group called `x`"),
        (one().option("regex.A", "(a)").attribute("ip", "A[1"), "expected `]`"),
        (
            one().option("regex.A", "(a)").option("regex.B", "(a)").attribute("ip", "A"),
            "uses no group of pattern `B`",
        ),
        (one().option("unmatched", "ignore"), "one of `drop`, `error`"),
    ] {
        let faults = bench.faults(true);
        assert!(faults[0].contains(words), "{words}: {faults:?}");
    }
}
