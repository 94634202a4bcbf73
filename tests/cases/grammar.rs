//! Makes up plans from a small grammar, and input for them.

use crate::event_time::watermark;
use crate::join_grammar;
use crate::pattern_grammar;
use std::fmt::Write;
use twinflow::engine::library::Library;
use twinflow::event::DataType;
use twinflow::event::Value;
use twinflow::plan::logical::Plan;
use twinflow::plan::signature::Catalog;
use twinflow::rehearsal::Act;
use twinflow::rehearsal::Dice;
use twinflow::rehearsal::InputRow;
use twinflow::rehearsal::Step;

use DataType::Bool;
use DataType::Double;
use DataType::Int;
use DataType::Long;
use DataType::Text;

/// Attributes of something that can be read.
type Columns = Vec<(String, DataType)>;

const KEYS: &[&str] = &["a", "b", "c", "dd"];

/// Windows with arguments; those that the engine does not have yet are left out.
const WINDOWS: &[(&str, &str)] = &[
    ("length", "3"),
    ("length", "1"),
    ("lengthBatch", "3"),
    ("lengthBatch", "2, true"),
    ("time", "40"),
    ("timeBatch", "50"),
    ("timeBatch", "30, 10, true"),
    ("timeLength", "40, 3"),
    ("externalTime", "t, 40"),
    ("externalTimeBatch", "t, 50"),
    ("externalTimeBatch", "t, 50, 0, 30"),
    ("batch", ""),
    ("batch", "2"),
    ("session", "20"),
    ("session", "20, k"),
    ("session", "20, k, 10"),
    ("sort", "3, n"),
    ("delay", "25"),
    ("frequent", "2, k"),
    ("lossyFrequent", "0.3, 0.1, k"),
    ("expression", "'count() <= 3'"),
    ("expressionBatch", "'count() <= 2'"),
];

/// A plan being made up.
pub struct Maker<'d> {
    dice: &'d mut Dice,
    definitions: String,
    queries: String,
    /// What can be read outside of partitions.
    readable: Vec<(String, Columns)>,
    count: usize,
    has_table: bool,
    has_aggregation: bool,
    shared: Option<String>,
}

/// Makes up a plan.
pub fn plan(dice: &mut Dice) -> String {
    let mut maker = Maker {
        dice,
        definitions: String::new(),
        queries: String::new(),
        readable: Vec::new(),
        count: 0,
        has_table: false,
        has_aggregation: false,
        shared: None,
    };
    maker.define();
    for _ in 0..1 + maker.dice.below(4) {
        match maker.dice.below(14) {
            10 | 11 => maker.pattern(),
            0..5 => maker.query(),
            12 => maker.join_streams(),
            13 => maker.join_in_partition(),
            5 | 6 => maker.partition(),
            7 if maker.has_table => maker.write_table(),
            8 if maker.has_table => maker.join_table(),
            9 if maker.shared.is_some() => maker.fill_window(),
            7..10 if maker.has_aggregation => maker.join_aggregation(),
            _ => maker.query(),
        }
    }
    format!("{}{}", maker.definitions, maker.queries)
}

fn columns(of: &[(&str, DataType)]) -> Columns {
    of.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect()
}

impl Maker<'_> {
    fn define(&mut self) {
        let all = columns(&[("k", Text), ("n", Int), ("v", Double), ("b", Bool), ("t", Long)]);
        let clock = self.dice.pick(&[
            "",
            "",
            "",
            "@app:playback\n",
            "@app:playback(idle.time='50 millisec', increment='20 millisec')\n",
        ]);
        self.definitions.push_str(clock);
        let attributes = "k string, n int, v double, b bool, t long";
        let waits = clock.is_empty() && self.dice.below(3) == 0;
        if waits {
            let _ = writeln!(self.definitions, "define stream Side ({attributes});");
            self.readable.push(("Side".to_owned(), all.clone()));
        }
        for name in ["S", "R"] {
            let fault = self.dice.pick(&["", "", "", "@OnError(action='STREAM') "]);
            let mark = if waits { watermark(self.dice) } else { String::new() };
            let _ = writeln!(self.definitions, "{fault}{mark}define stream {name} ({attributes});");
            self.readable.push((name.to_owned(), all.clone()));
            if !fault.is_empty() {
                self.readable.push((format!("!{name}"), all.clone()));
            }
        }
        if self.dice.below(5) == 0 {
            let when = self.dice.pick(&["every 30 millisec", "'start'", "'* * * * * ?'"]);
            let _ = writeln!(self.definitions, "define trigger G at {when};");
            self.readable.push(("G".to_owned(), columns(&[("triggered_time", Long)])));
        }
        if self.dice.below(2) == 0 {
            let keys = [
                "",
                "@primaryKey('k') ",
                "@index('k') ",
                "@primaryKey('n') @index('k') ",
                "@primaryKey('k', 'n') ",
            ];
            let key = self.dice.pick(&keys);
            let _ = writeln!(self.definitions, "{key}define table T (k string, n int, v double);");
            self.has_table = true;
        }
        if self.dice.below(3) == 0 {
            self.define_aggregation();
        }
        if self.dice.below(3) == 0 {
            let window = self.window();
            let output = self.dice.pick(&["", " output all events", " output current events"]);
            let _ = writeln!(self.definitions, "define window W ({attributes}) {window}{output};");
            self.readable.push(("W".to_owned(), all));
            self.shared = Some("W".to_owned());
        }
    }

    fn define_aggregation(&mut self) {
        let source = self.row_source();
        let filter = self.dice.pick(&["", "[n > 0]", "[b]#pol2Cart(v, v)"]);
        let key = self.dice.pick(&["", "group by k", "group by k, b"]);
        let by = self.dice.pick(&["", "by t ", "by t "]);
        let lengths = self.dice.pick(&["sec", "sec, min", "sec ... year"]);
        let _ = writeln!(
            self.definitions,
            "define aggregation A from {source}{filter}\n  select k, sum(n) as n, avg(v) as v, \
             min(v) as least, count() as c, distinctCount(n) as d, t {key}\n  \
             aggregate {by}every {lengths};"
        );
        self.has_aggregation = true;
    }

    fn join_aggregation(&mut self) {
        let source = self.row_source();
        let target = self.fresh("O");
        let join = self.dice.pick(&["join", "left outer join"]);
        let on = self.dice.pick(&["", " on s.k == a.k", " on a.n > s.n"]);
        let within = self.dice.pick(&["0L, 9999L", "1000L, s.t", "'1970-01-01 00:**:**'"]);
        let _ = writeln!(
            self.queries,
            "from {source} as s {join} A as a{on} within {within} per 'seconds'\n  \
             select s.k as k, a.n as n, a.v as v, a.t as t, a.d as d\n  insert into {target};"
        );
        let outputs = columns(&[("k", Text), ("n", Long), ("v", Double), ("t", Long), ("d", Long)]);
        self.readable.push((target, outputs));
    }

    fn window(&mut self) -> String {
        let library = Library::standard();
        loop {
            let (name, arguments) = self.dice.pick(WINDOWS);
            if library.window(name).is_some() {
                return format!("{name}({arguments})");
            }
        }
    }

    /// A query that reads a stream or window and fills a new stream.
    fn query(&mut self) {
        let readable = self.readable.clone();
        let (source, columns) = self.dice.pick(&readable).clone();
        let target = self.fresh("O");
        let (text, outputs) = self.single(&source, &columns, &target, true);
        self.queries.push_str(&text);
        self.readable.push((target, outputs));
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    /// A query over one source, and the columns of what it fills.
    fn single(
        &mut self,
        source: &str,
        columns: &Columns,
        target: &str,
        named: bool,
    ) -> (String, Columns) {
        let mut text = String::new();
        if named {
            let _ = write!(text, "@info(name='q{}') ", self.count);
        }
        let _ = write!(text, "from {source}");
        if self.dice.below(2) == 0 {
            let _ = write!(text, "[{}]", self.condition(columns, 2));
        }
        let has = |wanted: &str| columns.iter().any(|(name, _)| name == wanted);
        let whole = has("k") && has("n") && has("t");
        let windowed = whole && !source.starts_with('W') && self.dice.below(2) == 0;
        if windowed {
            let _ = write!(text, "#window.{}", self.window());
            if self.dice.below(4) == 0 {
                let _ = write!(text, "[{}]", self.condition(columns, 1));
            }
        }
        let (select, outputs) = self.selection(columns);
        let events = match windowed || source.starts_with('W') {
            true => *self.dice.pick(&["", "all events ", "expired events ", "current events "]),
            false => "",
        };
        let (rate, events) = self.rate(events);
        let _ = writeln!(text, "\n  {select}{rate}\n  insert {events}into {target};");
        (text, outputs)
    }

    /// How often results leave, and which events that asks for.
    fn rate(&mut self, events: &'static str) -> (&'static str, &'static str) {
        let rate = *self.dice.pick(&[
            "",
            "",
            "",
            "",
            "",
            "",
            " output every 3 events",
            " output first every 2 events",
            " output last every 3 events",
            " output all every 30 millisec",
            " output first every 25 millisec",
            " output last every 40 millisec",
            " output snapshot every 35 millisec",
        ]);
        (rate, if rate.contains("snapshot") { "all events " } else { events })
    }

    fn selection(&mut self, columns: &Columns) -> (String, Columns) {
        if self.dice.below(6) == 0 {
            return ("select *".to_owned(), columns.clone());
        }
        let mut items = Vec::new();
        let mut outputs = Columns::new();
        let aggregate = self.dice.below(2) == 0;
        let group = self.dice.below(2) == 0 && columns.iter().any(|(name, _)| name == "k");
        // What most of the windows want goes on.
        for (name, ty) in columns {
            if self.dice.below(4) > 0 {
                items.push(name.clone());
                outputs.push((name.clone(), *ty));
            }
        }
        for place in 0..1 + self.dice.below(2) {
            let name = format!("x{place}");
            if outputs.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let (expression, ty) = match aggregate {
                true => self.aggregate(columns),
                false => {
                    let ty = *self.dice.pick(&[Int, Double, Bool, Text, Long]);
                    (self.expression(columns, ty, 2), ty)
                }
            };
            items.push(format!("{expression} as {name}"));
            outputs.push((name, ty));
        }
        let mut text = format!("select {}", items.join(", "));
        if group {
            text.push_str(" group by k");
        }
        if self.dice.below(4) == 0 {
            let _ = write!(text, " having {}", self.condition(&outputs, 1));
        }
        if self.dice.below(4) == 0 {
            let (name, _) = self.dice.pick(&outputs);
            let _ = write!(text, " order by {name}{}", self.dice.pick(&["", " desc", " asc"]));
        }
        if self.dice.below(6) == 0 {
            let _ = write!(text, " limit {}", 1 + self.dice.below(3));
        }
        if self.dice.below(8) == 0 {
            let _ = write!(text, " offset {}", self.dice.below(2));
        }
        (text, outputs)
    }

    fn aggregate(&mut self, columns: &Columns) -> (String, DataType) {
        let library = Library::standard();
        let call = *self.dice.pick(&[
            ("sum", Int, Long),
            ("sum", Double, Double),
            ("avg", Int, Double),
            ("avg", Double, Double),
            ("min", Int, Int),
            ("max", Double, Double),
            ("minForever", Int, Int),
            ("maxForever", Double, Double),
            ("stdDev", Double, Double),
            ("distinctCount", Int, Long),
            ("distinctCount", Text, Long),
            ("and", Bool, Bool),
            ("or", Bool, Bool),
        ]);
        let (name, of, gives) = call;
        if library.aggregator(name).is_none() || self.dice.below(4) == 0 {
            return ("count()".to_owned(), Long);
        }
        let argument = self.expression(columns, of, 1);
        (format!("{name}({argument})"), gives)
    }

    fn condition(&mut self, columns: &Columns, depth: u32) -> String {
        if self.has_table && depth == 2 && self.dice.below(6) == 0 {
            let key = self.expression(columns, Int, 0);
            return format!("({key} == T.n in T)");
        }
        if self.shared.is_some() && depth == 2 && self.dice.below(8) == 0 {
            let key = self.expression(columns, Int, 0);
            return format!("({key} == W.n in W)");
        }
        self.expression(columns, Bool, depth)
    }

    fn column(&mut self, columns: &Columns, ty: DataType) -> Option<String> {
        let fitting: Vec<&String> =
            columns.iter().filter(|(_, of)| *of == ty).map(|(name, _)| name).collect();
        (!fitting.is_empty()).then(|| (*self.dice.pick(&fitting)).clone())
    }

    fn expression(&mut self, columns: &Columns, ty: DataType, depth: u32) -> String {
        if depth == 0 || self.dice.below(3) == 0 {
            if let Some(column) = self.column(columns, ty) {
                return column;
            }
            return match ty {
                Int => self.dice.pick(&["0", "1", "2", "-3", "7"]).to_string(),
                Long => "4L".to_owned(),
                Double => self.dice.pick(&["0.5", "2.0", "-1.25"]).to_string(),
                Bool => self.dice.pick(&["true", "false"]).to_string(),
                _ => "'a'".to_owned(),
            };
        }
        let choice = self.dice.below(3);
        let mut of = |ty| self.expression(columns, ty, depth - 1);
        match ty {
            Text => match choice {
                0 => "UUID()".to_owned(),
                1 => format!("convert({}, 'string')", of(Int)),
                _ => format!("coalesce({}, 'none')", of(Text)),
            },
            Long => match choice {
                0 => "currentTimeMillis()".to_owned(),
                1 => "eventTimestamp()".to_owned(),
                _ => format!("convert({}, 'long')", of(Double)),
            },
            Int => {
                let (left, right) = (of(Int), of(Int));
                match self.dice.below(4) {
                    0 => format!("ifThenElse({}, {left}, {right})", self.condition(columns, 1)),
                    1 => format!("coalesce({left}, {right})"),
                    _ => format!("({left} {} {right})", self.dice.pick(&["+", "-", "*", "/", "%"])),
                }
            }
            Double => {
                let (left, right) = (of(Double), of(Int));
                match self.dice.below(3) {
                    0 => format!("maximum({left}, {left} + {right})"),
                    _ => format!("({left} {} {right})", self.dice.pick(&["+", "-", "*", "/"])),
                }
            }
            Bool => {
                let (left, right) = (of(Int), of(Double));
                match self.dice.below(5) {
                    0 => format!("({left} is null)"),
                    1 => format!("not({left} > 1)"),
                    2 => format!("({left} == 2 or {right} < 1.0)"),
                    3 => format!("({left} > 0 and {right} >= 0.5)"),
                    _ => format!("({left} {} {right})", self.dice.pick(&[">", "<", ">=", "!="])),
                }
            }
            _ => of(ty),
        }
    }

    /// What has the first columns of the streams, under these names.
    fn row_source(&mut self) -> String {
        self.dice.pick(&["S", "R"]).to_string()
    }

    fn write_table(&mut self) {
        let source = self.row_source();
        let text = match self.dice.below(6) {
            5 => format!(
                "from {source}#window.length(2) select k, n, v insert expired events into T;"
            ),
            0 | 1 => format!("from {source} select k, n, v insert into T;"),
            2 => format!("from {source} select k, n, v update or insert into T on T.k == k;"),
            3 => format!("from {source} select k, n, v update T set T.v = v + T.n on T.n == n;"),
            _ => format!("from {source}[b] delete T on T.k == k and T.n >= n;"),
        };
        let _ = writeln!(self.queries, "{text}");
    }

    fn join_table(&mut self) {
        let source = self.row_source();
        let target = self.fresh("O");
        let window = self.window();
        let window = match self.dice.below(3) {
            0 => format!("#window.{window}"),
            _ => String::new(),
        };
        let join = self.dice.pick(&["join", "left outer join"]);
        let on = self.dice.pick(&[
            "",
            " on s.k == T.k",
            " on s.n > T.n",
            " on s.k == T.k and s.n != T.n",
        ]);
        let _ = writeln!(
            self.queries,
            "from {source}{window} as s {join} T{on}\n  \
             select s.k as k, s.n as n, T.v as v, s.t as t\n  insert into {target};"
        );
        let outputs = columns(&[("k", Text), ("n", Int), ("v", Double), ("t", Long)]);
        self.readable.push((target, outputs));
    }

    /// A pattern or sequence, inside of a partition or not.
    fn pattern(&mut self) {
        let target = self.fresh("O");
        let sources = if self.dice.below(2) == 0 { ["S", "S"] } else { ["S", "R"] };
        let text = pattern_grammar::query(self.dice, &sources);
        let query = format!("from {text}\n  insert into {target};");
        let _ = match self.dice.below(4) {
            0 => writeln!(self.queries, "partition with (k of S, k of R)\nbegin\n{query}\nend;"),
            _ => writeln!(self.queries, "{query}"),
        };
    }

    fn join_streams(&mut self) {
        let target = self.fresh("O");
        let text = self.join(&target);
        let _ = writeln!(self.queries, "{text}");
    }

    fn join_in_partition(&mut self) {
        let target = self.fresh("O");
        let text = self.join(&target);
        let _ = writeln!(self.queries, "partition with (k of S, k of R)\nbegin\n{text}\nend;");
    }

    /// A query that joins two sides.
    fn join(&mut self, target: &str) -> String {
        let events = *self.dice.pick(&["", "all events ", "expired events "]);
        let (rate, events) = self.rate(events);
        let windows = [self.window(), self.window()];
        let text = join_grammar::query(self.dice, self.shared.is_some(), &windows);
        let outputs = columns(&[("k", Text), ("n", Int), ("v", Double), ("t", Long)]);
        self.readable.push((target.to_owned(), outputs));
        format!("{text}{rate}\n  insert {events}into {target};")
    }

    fn fill_window(&mut self) {
        let source = self.row_source();
        let filter = self.dice.pick(&["", "[n > 0]", "[b]"]);
        let _ = writeln!(self.queries, "from {source}{filter} select k, n, v, b, t insert into W;");
    }

    fn partition(&mut self) {
        let source = self.row_source();
        let by = match self.dice.below(3) {
            0 => format!("n < 1 as 'low' or n >= 1 as 'high' or n == 3 as 'three' of {source}"),
            1 => format!("n % 3 of {source}"),
            _ => format!("k of {source}"),
        };
        let all = columns(&[("k", Text), ("n", Int), ("v", Double), ("b", Bool), ("t", Long)]);
        let target = self.fresh("O");
        let mut inside = String::new();
        if self.dice.below(2) == 0 {
            let inner = self.fresh("#I");
            let (text, outputs) = self.single(&source, &all, &inner, false);
            inside.push_str(&text);
            let (text, outputs) = self.single(&inner, &outputs, &target, false);
            inside.push_str(&text);
            self.readable.push((target, outputs));
        } else {
            let (text, outputs) = self.single(&source, &all, &target, false);
            inside.push_str(&text);
            self.readable.push((target, outputs));
        }
        if self.dice.below(4) == 0 {
            let target = self.fresh("O");
            let other = if source == "S" { "R" } else { "S" };
            let (text, outputs) = self.single(other, &all, &target, false);
            inside.push_str(&text);
            self.readable.push((target, outputs));
        }
        let purge = match self.dice.below(3) {
            0 => "@purge(enable='true', interval='70 millisec', idle.period='60 millisec') ",
            _ => "",
        };
        let _ = writeln!(self.queries, "{purge}partition with ({by})\nbegin\n{inside}end;");
    }
}

/// Makes up what happens to a plan.
pub fn input(dice: &mut Dice, plan: &Plan) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = 1000;
    let streams: Vec<usize> =
        ["S", "R"].iter().map(|name| plan.stream(name).expect("it is defined")).collect();
    for _ in 0..8 + dice.below(25) {
        at += *dice.pick(&[0, 0, 0, 1, 5, 10, 13, 20, 40, 60, 150]);
        let act = match dice.below(24) {
            0 => Act::Tick,
            1 => Act::Snapshot,
            2 if steps.iter().any(|step: &Step| step.act == Act::Snapshot) => Act::Restore,
            3 | 6 if !plan.tables.is_empty() => Act::Ask(
                dice.pick(&[
                    "from T select k, n, v",
                    "from T select k, sum(n) as total group by k",
                    "select 'a' as k, 9 as n, 0.1 as v insert into T",
                    "update T set T.v = T.v + 0.1 on T.n > 1",
                    "delete T on T.k == 'a'",
                ])
                .to_string(),
            ),
            4 if !plan.windows.is_empty() => {
                Act::Ask("from W select k, count() as c group by k order by k".to_owned())
            }
            8 if !plan.aggregations.is_empty() => Act::Ask(
                "from A within 0L, 99999L per 'sec' select AGG_TIMESTAMP, k, n, v, least, c, d, t"
                    .to_owned(),
            ),
            5 if dice.below(3) == 0 => Act::Restart,
            _ => {
                let rows = 1 + dice.below(4) * dice.below(2);
                Act::Send(*dice.pick(&streams), (0..rows).map(|_| row(dice, at)).collect())
            }
        };
        steps.push(Step { at, act });
    }
    at += *dice.pick(&[0, 100, 400]);
    steps.push(Step { at, act: Act::Tick });
    steps
}

fn row(dice: &mut Dice, at: i64) -> InputRow {
    let values = [
        Value::from(*dice.pick(KEYS)),
        Value::Int(dice.below(7) as i32 - 2),
        Value::Double(dice.below(40) as f64 / 10.0 - 1.0),
        Value::Bool(dice.below(2) == 0),
    ];
    let mut values: Vec<Value> = values
        .into_iter()
        .map(|value| if dice.below(14) == 0 { Value::Null } else { value })
        .collect();
    values.push(Value::Long(at - dice.below(30) as i64 + 10));
    // Some rows come with a time of their own, earlier or later than the clock.
    let own = match dice.below(4) {
        0 => at + dice.below(40) as i64 - 30,
        _ => at,
    };
    (own, values)
}
