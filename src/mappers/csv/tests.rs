//! What the csv mapper takes, refuses and writes.

use crate::event::DataType;
use crate::event::Value;
use crate::mappers::Fault;
use crate::mappers::harness::Bench;

fn bench() -> Bench {
    Bench::new("csv", &[("user", DataType::Text), ("n", DataType::Int)])
}

#[test]
fn records_are_read_with_their_quotes() {
    let mut reader = bench();
    assert_eq!(reader.take("root,4"), ["root 4"]);
    assert_eq!(reader.take("a,1\r\n\r\nb,2\n"), ["a 1", "b 2"]);
    assert_eq!(reader.take(" \"a,\"\"b\"\"\nc\" , 5 "), ["a,\"b\"\nc 5"]);
    assert_eq!(reader.take(",\n\"\","), ["null null", " null"]);
    for (text, index, fault, attribute) in [
        ("", 0, Fault::Empty, None),
        ("\n\n", 0, Fault::Empty, None),
        ("a", 0, Fault::Missing, Some("n")),
        ("a,1\nb,2,3", 1, Fault::Unknown, None),
        ("a,x", 0, Fault::Type, Some("n")),
        ("a,\"\"", 0, Fault::Type, Some("n")),
        ("a,3000000000", 0, Fault::Range, Some("n")),
        ("\"a,1", 0, Fault::Syntax, None),
        ("\"a\"b,1", 0, Fault::Syntax, None),
    ] {
        let error = reader.refuse(text);
        assert_eq!((error.index, error.fault), (index, fault), "{text}: {error}");
        assert_eq!(error.attribute.as_deref(), attribute, "{text}: {error}");
    }
    let mut reader = bench().option("fail.on.unknown.attribute", "false");
    assert_eq!(reader.take("a\nb,2,3"), ["a null", "b 2"]);
}

#[test]
fn columns_are_found_by_number_or_by_header() {
    let mut reader = bench().attribute("user", "2").attribute("n", "0");
    assert_eq!(reader.take("4,x,root,y"), ["root 4"]);
    let mut reader = bench().option("header", "true");
    assert!(reader.decoder().wants_head());
    assert_eq!(reader.take("n,more,user\n4,x,root"), ["root 4"]);
    assert_eq!(reader.take("5,x,adm"), ["adm 5"]);
    reader.decoder().begin();
    assert_eq!(reader.take("user,n"), Vec::<String>::new());
    assert_eq!(reader.take("root,4"), ["root 4"]);
    reader.decoder().begin();
    let error = reader.refuse("name,n\nroot,4");
    assert_eq!((error.fault, error.attribute.as_deref()), (Fault::Missing, Some("user")));
    let mut reader = bench()
        .option("header.present", "true")
        .option("delimiter", "\\t")
        .attribute("user", "who")
        .attribute("n", "0");
    assert_eq!(reader.take("count\twho\n4\troot"), ["root 4"]);
}

#[test]
fn rows_become_records() {
    let rows = [["a,b".into(), Value::Int(1)], [Value::Null, Value::Int(2)]];
    assert_eq!(bench().write(&rows), ["\"a,b\",1", ",2"]);
    let reader = bench()
        .option("header", "true")
        .option("event.grouping.enabled", "true")
        .payload("user", "1")
        .payload("n", "0");
    assert_eq!(reader.write(&rows), ["n,user\n1,\"a,b\"\n2,"]);
}

#[test]
fn what_cannot_work_is_refused() {
    for (bench, input, words) in [
        (bench().option("delimiter", "ab"), true, "expected one character"),
        (bench().option("quote", ","), true, "must differ"),
        (bench().attribute("user", "who").attribute("n", "1"), true, "number of a column"),
        (bench().payload("user", "5"), false, "a place from 0 to 0"),
        (bench().payload("usr", "0"), false, "did you mean `user`?"),
        (bench().payload("user", "0").payload("n", "0"), false, "two attributes at place 0"),
        (bench().payload("", "0"), false, "takes attributes with places"),
    ] {
        let faults = bench.faults(input);
        assert!(faults[0].contains(words), "{words}: {faults:?}");
    }
}
