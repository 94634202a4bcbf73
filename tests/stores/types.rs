//! What is written is read back as it was, or as the nearest that the database can hold.

use std::sync::Arc;

use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Schema;
use twinflow::event::Structure;
use twinflow::event::Value;
use twinflow::store::Change;
use twinflow::store::Found;
use twinflow::store::Session;
use twinflow::store::Table;

use crate::servers::Place;
use crate::servers::Which;
use crate::servers::on_each;

on_each![
    every_type_comes_back_as_it_went,
    values_of_statements_do_so_too,
    texts_of_every_kind_come_back,
    numbers_that_a_database_cannot_hold_come_back_as_documented,
    many_rows_are_read_in_pieces,
    what_a_column_holds_has_to_be_of_its_type,
];

fn schema() -> Schema {
    Schema::new([
        ("row", DataType::Int),
        ("i", DataType::Int),
        ("l", DataType::Long),
        ("f", DataType::Float),
        ("d", DataType::Double),
        ("b", DataType::Bool),
        ("t", DataType::Text),
        ("o", DataType::Object),
    ])
}

/// Writes rows, and reads them in order of the first column.
fn round_trip(session: &mut Session, table: &Table, rows: &[Vec<Value>]) -> Vec<Vec<Value>> {
    assert_eq!(session.make_or_check(table).unwrap(), Found::Made);
    let types = table.schema.types();
    let mut batch = Batch::new(&types);
    rows.iter().for_each(|row| batch.push_row(0, row));
    let changed = session.change(Change::Insert, table, &batch, 0..rows.len()).unwrap();
    assert_eq!(changed, rows.len() as u64);
    let quoted = |name: &str| session.dialect().quote(name);
    let names: Vec<_> = table.schema.names().map(quoted).collect();
    let (first, table) = (&names[0], quoted(&table.name));
    let sql = format!("SELECT {} FROM {table} ORDER BY {first}", names.join(", "));
    let found = session.query(&sql, &[], &types).unwrap();
    (0..found.len()).map(|row| found.row(row)).collect()
}

fn every_type_comes_back_as_it_went(place: &Place) {
    let object = |structure| Value::Object(Arc::new(structure));
    let list = object(Structure::List(vec![Value::Int(1), Value::from("x"), Value::Null]));
    let map = object(Structure::Map(vec![("k".into(), list.clone())]));
    let set = object(Structure::Set(vec![Value::Double(0.5)]));
    let row = |number: i32, values: [Value; 7]| -> Vec<Value> {
        std::iter::once(Value::Int(number)).chain(values).collect()
    };
    let extremes = |number, i, l, f, d, b, t: &str, o: &Value| {
        let values = [
            Value::Int(i),
            Value::Long(l),
            Value::Float(f),
            Value::Double(d),
            Value::Bool(b),
            Value::from(t),
            o.clone(),
        ];
        row(number, values)
    };
    let rows = [
        extremes(0, 0, 0, 0.0, 0.0, false, "", &list),
        extremes(1, i32::MAX, i64::MAX, f32::MAX, f64::MAX, true, "x", &map),
        extremes(2, i32::MIN, i64::MIN, f32::MIN, f64::MIN, true, "\u{10ffff}", &set),
        extremes(3, -1, -1, 1e-38, f64::MIN_POSITIVE, false, "'\"`\\%_;--", &list),
        extremes(4, 7, 1 << 53, 0.1, 0.1, true, " a ", &list),
        extremes(5, 7, (1 << 53) + 1, 16_777_217.0, 1.0 / 3.0, true, "line\nline\r\n\t", &map),
        row(6, [const { Value::Null }; 7]),
    ];
    let table = Table::new("all types", schema());
    assert_eq!(round_trip(&mut place.session(), &table, &rows), rows);
}

fn values_of_statements_do_so_too(place: &Place) {
    let mut session = place.session();
    let table = Table::new("t", schema()).with_key(&["row"]);
    session.make_or_check(&table).unwrap();
    let list = Value::Object(Arc::new(Structure::List(vec![Value::Long(9)])));
    let dialect = session.dialect();
    let places: Vec<_> = (1..=8).map(|number| dialect.placeholder(number)).collect();
    let insert = format!("INSERT INTO t VALUES ({})", places.join(", "));
    let full = [
        Value::Int(1),
        Value::Int(2),
        Value::Long(3),
        Value::Float(0.5),
        Value::Double(0.1),
        Value::Bool(true),
        Value::from("it's"),
        list,
    ];
    let mut empty = [const { Value::Null }; 8];
    empty[0] = Value::Int(2);
    // The same statement with values of other types, too.
    assert_eq!(session.execute(&insert, &full).unwrap(), 1);
    assert_eq!(session.execute(&insert, &empty).unwrap(), 1);
    let row = dialect.quote("row");
    let select = format!("SELECT * FROM t WHERE {row} = {}", dialect.placeholder(1));
    for (number, row) in [(1, &full), (2, &empty)] {
        for number in [Value::Int(number), Value::Long(i64::from(number))] {
            let found = session.query(&select, &[number], &table.schema.types()).unwrap();
            assert_eq!(found.row(0), row);
        }
    }
}

fn texts_of_every_kind_come_back(place: &Place) {
    let schema = Schema::new([("row", DataType::Int), ("t", DataType::Text)]);
    let long = "ж漢🦀a".repeat(400_000);
    let texts = ["a", "A", "a ", " a", "ä", "a\u{308}", "\u{feff}", "\u{1}\u{7f}", &long];
    let rows: Vec<Vec<Value>> =
        (0..).zip(texts).map(|(row, text)| vec![Value::Int(row), Value::from(text)]).collect();
    let table = Table::new("t", schema).with_index(&["t"]);
    let back = match place.which {
        // An index of PostgreSQL takes no text of megabytes.
        Which::Postgres => {
            let table = Table { indexes: Vec::new(), ..table };
            round_trip(&mut place.session(), &table, &rows)
        }
        _ => round_trip(&mut place.session(), &table, &rows),
    };
    assert!(back == rows, "{} texts", back.len());
}

fn numbers_that_a_database_cannot_hold_come_back_as_documented(place: &Place) {
    let schema = Schema::new([
        ("row", DataType::Int),
        ("f", DataType::Float),
        ("d", DataType::Double),
        ("t", DataType::Text),
    ]);
    let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324];
    let row = |(row, number): (i32, f64)| {
        let float = Value::Float(number as f32);
        vec![Value::Int(row), float, Value::Double(number), Value::from("a\0b")]
    };
    let rows: Vec<Vec<Value>> = (0..).zip(numbers).map(row).collect();
    let back = round_trip(&mut place.session(), &Table::new("t", schema), &rows);
    let holds = |number: f64| match place.which {
        Which::Sqlite => !number.is_nan(),
        Which::Mariadb => number.is_finite(),
        Which::Postgres => true,
    };
    for (back, row) in back.iter().zip(&rows) {
        let number = row[2].as_double().unwrap();
        let (float, double) = if holds(number) {
            (row[1].clone(), row[2].clone())
        } else {
            (Value::Null, Value::Null)
        };
        // SQLite keeps a whole number as one, which has no sign of a zero.
        let signless = place.which == Which::Sqlite && number == 0.0;
        let (float, double) =
            if signless { (Value::Float(0.0), Value::Double(0.0)) } else { (float, double) };
        let same = |back: &Value, value: &Value| match (back, value) {
            (Value::Double(back), Value::Double(value)) if value.is_nan() => back.is_nan(),
            (Value::Float(back), Value::Float(value)) if value.is_nan() => back.is_nan(),
            (back, value) => back == value,
        };
        assert!(same(&back[1], &float) && same(&back[2], &double), "{back:?} of {row:?}");
        let text = if place.which == Which::Postgres { "a\u{fffd}b" } else { "a\0b" };
        assert_eq!(back[3], Value::from(text));
    }
}

fn many_rows_are_read_in_pieces(place: &Place) {
    const ROWS: i64 = 5_000;
    let schema = Schema::new([("n", DataType::Long)]);
    let table = Table::new("t", schema);
    let mut session = place.session();
    session.make_or_check(&table).unwrap();
    let mut batch = Batch::new(&[DataType::Long]);
    (0..ROWS).for_each(|row| batch.push_row(0, &[Value::Long(row)]));
    session.change(Change::Insert, &table, &batch, 0..batch.len()).unwrap();
    let (mut rows, mut pieces, mut sum) = (0, 0, 0);
    let taken = session.read("SELECT n FROM t", &[], &[DataType::Long], |piece| {
        pieces += 1;
        rows += piece.len();
        let values = (0..piece.len()).map(|row| piece.columns[0].value(row).as_long().unwrap());
        sum += values.sum::<i64>();
        Ok(())
    });
    taken.unwrap();
    assert_eq!((rows as i64, sum), (ROWS, ROWS * (ROWS - 1) / 2));
    assert!(pieces > 1, "in one piece");
}

fn what_a_column_holds_has_to_be_of_its_type(place: &Place) {
    let mut session = place.session();
    session.run("CREATE TABLE t (n BIGINT)").unwrap();
    session.run("INSERT INTO t VALUES (4294967296)").unwrap();
    let error = session.query("SELECT n FROM t", &[], &[DataType::Int]).unwrap_err();
    assert!(!error.may_pass(), "{error}");
    // The session is as good as before.
    let found = session.query("SELECT n FROM t", &[], &[DataType::Long]).unwrap();
    assert_eq!(found.row(0), [Value::Long(1 << 32)]);
}
