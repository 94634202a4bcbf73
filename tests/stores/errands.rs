//! What a database calculates for a plan is what the plan would, or is refused.

use std::sync::Arc;

use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Value;
use twinflow::plan::logical::Role;
use twinflow::publishers;
use twinflow::publishers::Parcel;
use twinflow::publishers::Publisher;
use twinflow::publishers::Setup;
use twinflow::replica::Body;
use twinflow::replica::Deployment;
use twinflow::replica::EngineMaker;
use twinflow::replica::LogEntry;
use twinflow::replica::Replica;
use twinflow::store::Stores;
use twinflow::topics::Topics;

use crate::servers::Place;
use crate::servers::on_each;

on_each![
    whole_numbers_are_calculated_as_in_a_plan_or_refused,
    doubles_are_calculated_as_in_a_plan,
    columns_of_several_types_are_calculated_together,
];

const HEAD: &str = "define stream Fill (k int, n int, l long, d double); \
    define stream In (k int, op string, n int, l long, d double); \
    @store(type='rdbms', datasource='tested', external='true', table.name='calculated') \
    @primaryKey('k') define table T (k int, n int, l long, d double); \
    from Fill insert into T; ";

const OPERATORS: [&str; 3] = ["+", "-", "*"];

/// A plan with its store.
struct Scene {
    replica: Replica,
    publisher: Box<dyn Publisher>,
    /// Rows that the store refused.
    refused: usize,
}

impl Scene {
    fn new(place: &Place, queries: &str) -> Scene {
        let mut replica = Replica::new(Arc::new(EngineMaker));
        let deployment =
            Deployment { number: 1, text: format!("{HEAD}{queries}").into(), secret: 7 };
        let entry = LogEntry::new(1, Body::Deploy(deployment));
        replica.apply(entry, &mut Vec::new(), &mut Vec::new()).expect("the plan runs");
        let stores = Stores::new(std::slice::from_ref(place.store().settings()));
        let plan = Arc::clone(replica.plan().expect("it runs"));
        let stream = &plan.streams[plan.tables[0].changes.expect("it is external")];
        let setup = Setup {
            plan: "test",
            stream: "T",
            schema: &stream.schema,
            endpoint: stream.store.as_ref().expect("it is external"),
            role: Role::Errands,
            topics: &Topics::new(),
            stores: Some(&stores),
        };
        let publisher = publishers::build(&setup).expect("it is right").publisher;
        Scene { replica, publisher, refused: 0 }
    }

    fn send(&mut self, stream: &str, rows: &[Vec<Value>]) {
        let mut types = vec![DataType::Int, DataType::Int, DataType::Long, DataType::Double];
        if stream == "In" {
            types.insert(1, DataType::Text);
        }
        let mut batch = Batch::new(&types);
        rows.iter().for_each(|row| batch.push_row(1, row));
        let stream = stream.into();
        let body = Body::Rows { stream, sending: None, mark: None, copied: None, batch };
        let mut outputs = Vec::new();
        self.replica.apply(LogEntry::new(1, body), &mut outputs, &mut Vec::new()).unwrap();
        let plan = Arc::clone(self.replica.plan().expect("it runs"));
        for output in outputs {
            for (publisher, number) in output.publishers {
                let parcel = Parcel {
                    plan: "test".into(),
                    stream: "T".into(),
                    publisher,
                    schema: Arc::new(plan.streams[output.stream].schema.clone()),
                    generation: 1,
                    number,
                    epoch: 0,
                    reading: 0,
                    batch: Arc::clone(&output.rows),
                };
                self.publish(&parcel);
            }
        }
    }

    /// Gives a parcel until all of it is written or refused.
    fn publish(&mut self, parcel: &Parcel) {
        for _ in 0..1_000 {
            let done = self.publisher.publish(parcel).and_then(|()| self.publisher.flush());
            match done {
                Ok(()) => return,
                Err(error) if error.rows.is_some() => self.refused += 1,
                Err(error) => assert!(error.transient, "{error}"),
            }
        }
        panic!("it is never done: {}", self.publisher.detail());
    }

    fn table(&self, place: &Place) -> Vec<(i32, i64, f64)> {
        let types = [DataType::Int, DataType::Long, DataType::Double];
        let sql = "SELECT n, l, d FROM calculated ORDER BY k";
        let rows = place.session().query(sql, &[], &types).unwrap();
        let value = |column: usize, row| rows.columns[column].value(row);
        (0..rows.len())
            .map(|row| {
                let whole = |column| value(column, row).as_long().unwrap();
                (whole(0) as i32, whole(1), value(2, row).as_double().unwrap())
            })
            .collect()
    }
}

/// All pairs of these, and of the operators.
fn pairs<T: Copy>(numbers: &[T]) -> Vec<(T, &'static str, T)> {
    let mut all = Vec::new();
    for &left in numbers {
        for &right in numbers {
            all.extend(OPERATORS.map(|operator| (left, operator, right)));
        }
    }
    all
}

fn queries(columns: &[&str]) -> String {
    let mut text = String::new();
    for column in columns {
        for operator in OPERATORS {
            text += &format!(
                "from In[op == '{column}{operator}'] select k, {column} \
                 update T set T.{column} = T.{column} {operator} {column} on T.k == k; "
            );
        }
    }
    text
}

fn row(k: usize, op: Option<String>, n: i32, l: i64, d: f64) -> Vec<Value> {
    let mut row = vec![Value::Int(k as i32), Value::Int(n), Value::Long(l), Value::Double(d)];
    if let Some(op) = op {
        row.insert(1, op.as_str().into());
    }
    row
}

fn whole(left: i64, operator: &str, right: i64) -> i128 {
    let (left, right) = (i128::from(left), i128::from(right));
    match operator {
        "+" => left + right,
        "-" => left - right,
        _ => left * right,
    }
}

fn whole_numbers_are_calculated_as_in_a_plan_or_refused(place: &Place) {
    let mut scene = Scene::new(place, &queries(&["n", "l"]));
    let ints = pairs(&[0, -3, 46_341, i32::MAX, i32::MIN]);
    let longs = pairs(&[7, -1, 3_037_000_500, i64::MAX, i64::MIN]);
    let all = || {
        let ints = ints.iter().map(|&(left, op, right)| (left, 0, op, right, 0));
        ints.chain(longs.iter().map(|&(left, op, right)| (0, left, op, 0, right)))
    };
    let fill: Vec<_> = all().zip(0..).map(|((n, l, ..), k)| row(k, None, n, l, 0.0)).collect();
    scene.send("Fill", &fill);
    let of = |k: usize| if k < ints.len() { "n" } else { "l" };
    let change = |((_, _, op, n, l), k)| row(k, Some(format!("{}{op}", of(k))), n, l, 0.0);
    let changes: Vec<_> = all().zip(0..).map(change).collect();
    scene.send("In", &changes);
    let mut refused = 0;
    let mut expected = Vec::new();
    for (n, l, op, by_n, by_l) in all().take(ints.len()) {
        let sum = whole(i64::from(n), op, i64::from(by_n));
        refused += usize::from(i32::try_from(sum).is_err());
        expected.push((i32::try_from(sum).unwrap_or(n), l + by_l, 0.0));
    }
    for (n, l, op, _, by_l) in all().skip(ints.len()) {
        let sum = whole(l, op, by_l);
        refused += usize::from(i64::try_from(sum).is_err());
        expected.push((n, i64::try_from(sum).unwrap_or(l), 0.0));
    }
    let found = scene.table(place);
    for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found, expected, "{:?}", changes[k]);
    }
    assert_eq!((found.len(), scene.refused), (expected.len(), refused));
    assert!(refused > 20, "{refused}");
}

fn doubles_are_calculated_as_in_a_plan(place: &Place) {
    let mut scene = Scene::new(place, &queries(&["d"]));
    let all = pairs(&[0.1, -3.3, 1.0 / 3.0, 9_007_199_254_740_993.0, 1e300, 5e-300]);
    let fill = all.iter().zip(0..).map(|(&(left, ..), k)| row(k, None, 0, 0, left));
    scene.send("Fill", &fill.collect::<Vec<_>>());
    let change = |(&(_, op, right), k): (&(f64, &str, f64), usize)| {
        row(k, Some(format!("d{op}")), 0, 0, right)
    };
    scene.send("In", &all.iter().zip(0..).map(change).collect::<Vec<_>>());
    let found = scene.table(place);
    assert_eq!(found.len(), all.len());
    for ((left, op, right), (_, _, found)) in all.into_iter().zip(found) {
        let expected = match op {
            "+" => left + right,
            "-" => left - right,
            _ => left * right,
        };
        // What is beyond the largest or below the least double is refused by some.
        let is_extreme = expected.is_infinite() || op == "*" && expected.abs() < 1e-290;
        let is_left = is_extreme && found.to_bits() == left.to_bits();
        assert!(
            found.to_bits() == expected.to_bits() || is_left || expected == 0.0 && found == 0.0,
            "{left} {op} {right} is {expected}, found {found}"
        );
    }
}

fn columns_of_several_types_are_calculated_together(place: &Place) {
    let mut scene = Scene::new(
        place,
        "from In[op == 'mix'] select k, n, l, d update T \
         set T.n = T.n * n - 1, T.l = T.l * T.n + l, T.d = T.d * d + T.l - T.n on T.k == k; \
         from In[op == 'add'] select k, n, l, d update or insert into T \
         set T.n = T.n + n, T.l = T.l + n, T.d = T.l on T.k == k;",
    );
    scene.send("Fill", &[row(1, None, 3, 1 << 40, 0.5)]);
    let op = |op: &str| Some(op.to_owned());
    scene.send("In", &[row(1, op("mix"), 5, -7, 3.0)]);
    let expected = (14, (1 << 40) * 3 - 7, 1.5 + (1u64 << 40) as f64 - 3.0);
    assert_eq!(scene.table(place), [expected], "what was there before is calculated with");
    scene.send("In", &[row(1, op("add"), 1, 0, 0.0), row(2, op("add"), 8, 9, 1.0)]);
    scene.send("In", &[row(2, op("add"), -1, 0, 0.0)]);
    let l = expected.1;
    assert_eq!(scene.table(place), [(15, l + 1, l as f64), (7, 8, 9.0)]);
    assert_eq!(scene.refused, 0);
}
