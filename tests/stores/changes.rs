//! Tables made or checked, and changed by batches.

use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Schema;
use twinflow::event::Value;
use twinflow::store::Change;
use twinflow::store::Found;
use twinflow::store::Kind;
use twinflow::store::Session;
use twinflow::store::Table;

use crate::servers::Place;
use crate::servers::Which;
use crate::servers::on_each;

on_each![
    rows_are_added_set_and_removed_by_key,
    of_rows_with_the_same_key_the_last_one_counts,
    many_rows_change_as_one_by_one,
    keys_differ_by_every_byte,
    keys_of_several_columns,
    a_key_alone_is_a_table_too,
    a_key_that_is_there_is_a_conflict_and_leaves_nothing,
    a_table_that_does_not_fit_is_refused_and_says_why,
    a_table_that_fits_well_enough_is_taken,
    names_are_never_sql,
    long_texts_go_in_pieces_and_what_is_too_long_is_refused_alone,
];

fn table() -> Table {
    let schema = Schema::new([
        ("id", DataType::Text),
        ("count", DataType::Long),
        ("price", DataType::Double),
    ]);
    Table::new("Stock", schema).with_key(&["id"]).with_index(&["count", "price"])
}

fn batch(rows: &[(&str, i64, f64)]) -> Batch {
    let mut batch = Batch::new(&table().schema.types());
    for (id, count, price) in rows {
        batch.push_row(0, &[Value::from(*id), Value::Long(*count), Value::Double(*price)]);
    }
    batch
}

fn change(session: &mut Session, change: Change, rows: &[(&str, i64, f64)]) -> u64 {
    let batch = batch(rows);
    session.change(change, &table(), &batch, 0..batch.len()).unwrap()
}

fn rows(session: &mut Session) -> Vec<(String, i64, f64)> {
    let name = session.dialect().quote("Stock");
    let found = session.query(&format!("SELECT * FROM {name}"), &[], &table().schema.types());
    let found = found.unwrap();
    let row = |row: usize| {
        let value = |column: usize| found.columns[column].value(row);
        let id = value(0).as_text().unwrap().to_owned();
        (id, value(1).as_long().unwrap(), value(2).as_double().unwrap())
    };
    let mut rows: Vec<_> = (0..found.len()).map(row).collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows
}

fn expect(session: &mut Session, expected: &[(&str, i64, f64)]) {
    let expected: Vec<_> =
        expected.iter().map(|(id, count, price)| ((*id).to_owned(), *count, *price)).collect();
    assert_eq!(rows(session), expected);
}

fn rows_are_added_set_and_removed_by_key(place: &Place) {
    let mut session = place.session();
    assert!(!session.has_table("Stock").unwrap());
    assert_eq!(session.make_or_check(&table()).unwrap(), Found::Made);
    assert_eq!(session.make_or_check(&table()).unwrap(), Found::There);
    assert!(session.has_table("Stock").unwrap());
    assert_eq!(change(&mut session, Change::Insert, &[("a", 1, 0.5), ("b", 2, 1.5)]), 2);
    change(&mut session, Change::Update, &[("b", 3, 2.5), ("c", 4, 3.5)]);
    expect(&mut session, &[("a", 1, 0.5), ("b", 3, 2.5)]);
    change(&mut session, Change::Upsert, &[("a", 9, 9.5), ("c", 4, 3.5)]);
    expect(&mut session, &[("a", 9, 9.5), ("b", 3, 2.5), ("c", 4, 3.5)]);
    assert_eq!(change(&mut session, Change::Delete, &[("a", 0, 0.0), ("x", 0, 0.0)]), 1);
    expect(&mut session, &[("b", 3, 2.5), ("c", 4, 3.5)]);
    assert_eq!(change(&mut session, Change::Delete, &[]), 0);
    // Part of a batch.
    let some = batch(&[("p", 1, 1.0), ("q", 2, 2.0), ("r", 3, 3.0)]);
    session.change(Change::Insert, &table(), &some, 1..2).unwrap();
    expect(&mut session, &[("b", 3, 2.5), ("c", 4, 3.5), ("q", 2, 2.0)]);
}

fn of_rows_with_the_same_key_the_last_one_counts(place: &Place) {
    let mut session = place.session();
    session.make_or_check(&table()).unwrap();
    let twice = [("a", 1, 0.0), ("b", 2, 0.0), ("a", 3, 0.0)];
    change(&mut session, Change::Upsert, &twice);
    expect(&mut session, &[("a", 3, 0.0), ("b", 2, 0.0)]);
    change(&mut session, Change::Update, &[("b", 7, 0.0), ("b", 8, 0.0), ("b", 9, 0.0)]);
    expect(&mut session, &[("a", 3, 0.0), ("b", 9, 0.0)]);
    change(&mut session, Change::Delete, &twice);
    expect(&mut session, &[]);
}

fn many_rows_change_as_one_by_one(place: &Place) {
    let mut session = place.session();
    session.make_or_check(&table()).unwrap();
    // More than a statement takes anywhere, and no round number.
    let names: Vec<String> = (0..9_111).map(|number| format!("n{number:05}")).collect();
    let row = |(number, name)| (name, number as i64, number as f64);
    let all: Vec<_> = names.iter().map(String::as_str).enumerate().map(row).collect();
    session
        .transaction(|session| {
            change(session, Change::Insert, &all);
            Ok(())
        })
        .unwrap();
    expect(&mut session, &all);
    let half: Vec<_> = all.iter().map(|(id, count, _)| (*id, -count, 0.5)).step_by(2).collect();
    change(&mut session, Change::Upsert, &half);
    change(&mut session, Change::Delete, &all[1_000..9_111]);
    let mut left = all[..1_000].to_vec();
    left.iter_mut().step_by(2).for_each(|row| *row = (row.0, -row.1, 0.5));
    expect(&mut session, &left);
}

fn keys_differ_by_every_byte(place: &Place) {
    let mut session = place.session();
    session.make_or_check(&table()).unwrap();
    let keys = ["", " ", "A", "a", "a ", "ä", "a\u{308}", "ß", "ss"];
    let all: Vec<_> = keys.iter().map(|key| (*key, 1, 1.0)).collect();
    assert_eq!(change(&mut session, Change::Insert, &all), keys.len() as u64);
    change(&mut session, Change::Update, &[("a", 2, 2.0)]);
    assert_eq!(change(&mut session, Change::Delete, &[("A", 0, 0.0), ("ss", 0, 0.0)]), 2);
    let mut left = all.clone();
    left.retain(|row| row.0 != "A" && row.0 != "ss");
    left.iter_mut().filter(|row| row.0 == "a").for_each(|row| *row = ("a", 2, 2.0));
    left.sort_by_key(|row| row.0);
    expect(&mut session, &left);
}

fn keys_of_several_columns(place: &Place) {
    let schema = Schema::new([
        ("value", DataType::Int),
        ("room", DataType::Text),
        ("day", DataType::Long),
        ("open", DataType::Bool),
    ]);
    let types = schema.types();
    let table = Table::new("keys", schema).with_key(&["day", "room", "open"]);
    let mut session = place.session();
    session.make_or_check(&table).unwrap();
    session.make_or_check(&table).unwrap();
    let batch = |values: &[(i32, &str, i64, bool)]| {
        let mut batch = Batch::new(&types);
        for (value, room, day, open) in values {
            let row =
                [Value::Int(*value), Value::from(*room), Value::Long(*day), Value::Bool(*open)];
            batch.push_row(0, &row);
        }
        batch
    };
    let mut change = |change, values: &[(i32, &str, i64, bool)]| {
        session.change(change, &table, &batch(values), 0..values.len()).unwrap()
    };
    change(Change::Insert, &[(1, "a", 1, true), (2, "a", 1, false), (3, "a", 2, true)]);
    change(Change::Upsert, &[(4, "a", 1, true), (5, "b", 1, true)]);
    change(Change::Update, &[(6, "a", 2, true), (7, "b", 2, true)]);
    assert_eq!(change(Change::Delete, &[(0, "a", 1, false), (0, "c", 1, false)]), 1);
    let sql = format!("SELECT {0} FROM {1} ORDER BY {0}", "value", "keys");
    let quote = |name: &str| session.dialect().quote(name);
    let sql = sql.replace("value", &quote("value")).replace("keys", &quote("keys"));
    let found = session.query(&sql, &[], &[DataType::Int]).unwrap();
    let values: Vec<_> = (0..found.len()).map(|row| found.columns[0].value(row)).collect();
    assert_eq!(values, [4, 5, 6].map(Value::Int));
}

fn a_key_alone_is_a_table_too(place: &Place) {
    let table = Table::new("only", Schema::new([("k", DataType::Long)])).with_key(&["k"]);
    let mut session = place.session();
    session.make_or_check(&table).unwrap();
    let mut batch = Batch::new(&[DataType::Long]);
    [1, 2, 2, 3].iter().for_each(|&key| batch.push_row(0, &[Value::Long(key)]));
    session.change(Change::Upsert, &table, &batch, 0..4).unwrap();
    session.change(Change::Upsert, &table, &batch, 0..4).unwrap();
    assert_eq!(session.change(Change::Update, &table, &batch, 0..4).unwrap(), 0);
    assert_eq!(session.change(Change::Delete, &table, &batch, 1..3).unwrap(), 1);
    let found = session.query("SELECT count(*) FROM only", &[], &[DataType::Long]);
    let found = match place.which {
        Which::Postgres => session.query("SELECT count(*) FROM \"only\"", &[], &[DataType::Long]),
        _ => found,
    };
    assert_eq!(found.unwrap().row(0), [Value::Long(2)]);
}

fn a_key_that_is_there_is_a_conflict_and_leaves_nothing(place: &Place) {
    let mut session = place.session();
    session.make_or_check(&table()).unwrap();
    change(&mut session, Change::Insert, &[("b", 1, 1.0)]);
    let more = batch(&[("a", 2, 2.0), ("b", 2, 2.0), ("c", 2, 2.0)]);
    let done = session
        .transaction(|session| session.change(Change::Insert, &table(), &more, 0..3).map(|_| ()));
    assert_eq!(done.unwrap_err().kind, Kind::Conflict);
    expect(&mut session, &[("b", 1, 1.0)]);
}

fn a_table_that_does_not_fit_is_refused_and_says_why(place: &Place) {
    let mut session = place.session();
    let quoted = session.dialect().quote("Stock");
    let key = "PRIMARY KEY (id)";
    let cases = [
        (format!("(id VARCHAR(20), count BIGINT, {key})"), "has no column `price`"),
        (
            format!("(id VARCHAR(20), count VARCHAR(9), price DOUBLE PRECISION, {key})"),
            "column `count` of table `Stock` is `varchar",
        ),
        (
            "(id VARCHAR(20), count BIGINT, price DOUBLE PRECISION)".to_owned(),
            "the primary key of table `Stock` is none there, not `id`",
        ),
    ];
    for (columns, expected) in cases {
        session.run(&format!("CREATE TABLE {quoted} {columns}")).unwrap();
        let error = session.make_or_check(&table()).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        let told = error.to_string().to_lowercase();
        assert!(told.contains(&expected.to_lowercase()), "{error}");
        assert!(error.to_string().contains("store `tested`"), "{error}");
        session.run(&format!("DROP TABLE {quoted}")).unwrap();
    }
    let ours = Table { name: "twinflow_x".to_owned(), ..table() };
    assert!(session.make_or_check(&ours).unwrap_err().to_string().contains("are kept"));
    let long = Table { name: "n".repeat(70), ..table() };
    let made = session.make_or_check(&long);
    assert_eq!(made.is_ok(), place.which == Which::Sqlite, "{made:?}");
}

fn a_table_that_fits_well_enough_is_taken(place: &Place) {
    let mut session = place.session();
    let quoted = session.dialect().quote("Stock");
    let columns = "(more VARCHAR(9), price DOUBLE PRECISION, id VARCHAR(20), count BIGINT, \
                   PRIMARY KEY (id))";
    session.run(&format!("CREATE TABLE {quoted} {columns}")).unwrap();
    assert_eq!(session.make_or_check(&table()).unwrap(), Found::There);
    change(&mut session, Change::Upsert, &[("a", 1, 0.5)]);
    let sql = format!("SELECT id, count, price, more FROM {quoted}");
    let types = [DataType::Text, DataType::Long, DataType::Double, DataType::Text];
    let found = session.query(&sql, &[], &types).unwrap();
    assert_eq!(found.row(0), [Value::from("a"), Value::Long(1), Value::Double(0.5), Value::Null]);
}

fn names_are_never_sql(place: &Place) {
    let names = ["a'b", "a\"b", "a`b", "a;--", "SELECT", "größe", "a.b", "a?b", "a$1"];
    for name in names {
        let schema = Schema::new([("k", DataType::Int), (name, DataType::Int)]);
        let table = Table::new(name, schema).with_key(&["k"]).with_index(&[name]);
        let mut session = place.session();
        assert_eq!(session.make_or_check(&table).unwrap(), Found::Made, "{name}");
        assert_eq!(session.make_or_check(&table).unwrap(), Found::There, "{name}");
        let mut batch = Batch::new(&[DataType::Int, DataType::Int]);
        batch.push_row(0, &[Value::Int(1), Value::Int(2)]);
        for change in [Change::Insert, Change::Update, Change::Upsert, Change::Delete] {
            let done = session.change(change, &table, &batch, 0..1);
            done.unwrap_or_else(|error| panic!("{change:?} of {name}: {error}"));
        }
    }
}

/// A MiB.
const MIB: usize = 1 << 20;

fn long_texts_go_in_pieces_and_what_is_too_long_is_refused_alone(place: &Place) {
    let mut session = place.session();
    let schema = Schema::new([("k", DataType::Int), ("t", DataType::Text)]);
    let table = Table::new("Long", schema).with_key(&["k"]);
    session.make_or_check(&table).unwrap();
    let rows = |first: i32, count: i32, length: usize| {
        let mut batch = Batch::new(&table.schema.types());
        let text = Value::from("x".repeat(length).as_str());
        (first..first + count).for_each(|k| batch.push_row(0, &[Value::Int(k), text.clone()]));
        batch
    };
    // MariaDB takes 64 MiB at once, as it is started.
    let all = rows(0, 72, MIB);
    session.change(Change::Insert, &table, &all, 0..72).unwrap();
    if place.which == Which::Mariadb {
        let long = rows(72, 1, 65 * MIB);
        let error = session.change(Change::Insert, &table, &long, 0..1).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.message.contains("max_allowed_packet"), "{error}");
    }
    // The session goes on.
    session.change(Change::Insert, &table, &rows(80, 1, 5), 0..1).unwrap();
    let sql = format!("SELECT count(*) FROM {}", session.dialect().quote("Long"));
    let count = session.query(&sql, &[], &[DataType::Long]).unwrap().columns[0].value(0);
    assert_eq!(count, Value::Long(73));
}
