//! The workloads: plan, events, what is counted, and how many rows must come out.

use crate::generator;
use crate::limits;
use twinflow::engine::core::PlanCore;
use twinflow::engine::entry::Entry;
use twinflow::engine::entry::Input;
use twinflow::engine::entry::Nowhere;
use twinflow::event::Batch;

/// One workload.
pub struct Workload {
    pub name: &'static str,
    pub plan: &'static str,
    /// The streams that take the batches in turn.
    pub streams: &'static [&'static str],
    /// So many events, in batches of so many rows.
    pub events: fn(usize, usize) -> Box<dyn Iterator<Item = Batch>>,
    /// Streams whose rows are counted.
    pub watch: &'static [&'static str],
    /// Rows that come out of two million events, one at a time.
    pub rows_out: usize,
    /// The same job by hand.
    pub limit: fn(&[Batch]) -> usize,
}

fn trades(events: usize, rows: usize) -> Box<dyn Iterator<Item = Batch>> {
    Box::new(generator::trades(events, rows))
}

fn alternating(events: usize, rows: usize) -> Box<dyn Iterator<Item = Batch>> {
    Box::new(generator::alternating(events, rows))
}

fn logins(events: usize, rows: usize) -> Box<dyn Iterator<Item = Batch>> {
    Box::new(generator::logins(events, rows))
}

macro_rules! trades {
    ($query:literal) => {
        concat!("define stream S (symbol string, price double, volume long, ts long);\n", $query)
    };
}

/// All workloads that the engine runs.
pub const ALL: &[Workload] = &[
    Workload {
        name: "W01 filter",
        plan: trades!(
            "from S[price > 50.0 and volume > 100] select symbol, price * volume as amount \
             insert into Out;"
        ),
        streams: &["S"],
        events: trades,
        watch: &["Out"],
        rows_out: 901_204,
        limit: limits::filter,
    },
    Workload {
        name: "W02 length",
        plan: trades!(
            "from S#window.length(1000) select symbol, avg(price) as ap, sum(volume) as sv \
             insert into Out;"
        ),
        streams: &["S"],
        events: trades,
        watch: &["Out"],
        rows_out: 2_000_000,
        limit: limits::length,
    },
    Workload {
        name: "W03 timegroup",
        plan: trades!(
            "from S#window.externalTime(ts, 10 sec) \
             select symbol, avg(price) as ap, sum(volume) as sv group by symbol insert into Out;"
        ),
        streams: &["S"],
        events: trades,
        watch: &["Out"],
        rows_out: 2_000_000,
        limit: limits::time_group,
    },
    Workload {
        name: "W04 batchgroup",
        plan: trades!(
            "from S#window.lengthBatch(1000) \
             select symbol, sum(volume) as sv, avg(price) as ap, max(price) as mp, count() as c \
             group by symbol insert into Out;"
        ),
        streams: &["S"],
        events: trades,
        watch: &["Out"],
        rows_out: 1_265_228,
        limit: limits::batch_group,
    },
    Workload {
        name: "W05 pattern",
        plan: trades!(
            "from every e1=S[price > 99.0] -> e2=S[symbol == e1.symbol and price < 50.0] \
             within 1 sec select e1.symbol as symbol, e1.price as p1, e2.price as p2 \
             insert into Out;"
        ),
        streams: &["S"],
        events: trades,
        watch: &["Out"],
        rows_out: 7_951,
        limit: limits::pattern,
    },
    Workload {
        name: "W06 sequence",
        plan: trades!(
            "from every e1=S, e2=S[price > e1.price], e3=S[price > e2.price] \
             select e1.price as p1, e2.price as p2, e3.price as p3 insert into Out;"
        ),
        streams: &["S"],
        events: trades,
        watch: &["Out"],
        rows_out: 333_300,
        limit: limits::sequence,
    },
    Workload {
        name: "W07 join",
        plan: "define stream A (symbol string, price double, volume long, ts long);\n\
               define stream B (symbol string, price double, volume long, ts long);\n\
               from A#window.length(100) join B#window.length(100) on A.symbol == B.symbol \
               select A.symbol as symbol, A.price as pa, B.price as pb insert into Out;",
        streams: &["A", "B"],
        events: alternating,
        watch: &["Out"],
        rows_out: 199_218,
        limit: limits::join,
    },
    Workload {
        name: "W08 partition",
        plan: trades!(
            "partition with (symbol of S) begin \
             from S#window.length(10) select symbol, avg(price) as ap insert into Out; end;"
        ),
        streams: &["S"],
        events: trades,
        watch: &["Out"],
        rows_out: 2_000_000,
        limit: limits::partition,
    },
    Workload {
        name: "W09 table",
        plan: "define stream S (symbol string, price double, volume long, ts long);\n\
               define stream Load (symbol string, name string, factor double);\n\
               @primaryKey('symbol') define table T (symbol string, name string, factor double);\n\
               from Load insert into T;\n\
               from S join T on S.symbol == T.symbol \
               select S.symbol as symbol, T.name as name, S.price * T.factor as adj \
               insert into Out;",
        streams: &["S"],
        events: trades,
        watch: &["Out"],
        rows_out: 2_000_000,
        limit: limits::table,
    },
    Workload {
        name: "W10 pipeline",
        plan: "define stream Login (user string, ip string, success bool, ts long);\n\
               from Login[not success] select user, ip, ts insert into Failed;\n\
               from Failed#window.externalTime(ts, 60 sec) \
               select user, count() as fails, ts group by user insert into FailRate;\n\
               from FailRate[fails >= 3] select user, fails, ts insert into Suspicious;\n\
               from every e1=Suspicious -> e2=Login[success == true and user == e1.user] \
               within 5 sec select e2.user as user, e1.fails as fails, e2.ip as ip \
               insert into Alert;\n\
               from Login#window.externalTimeBatch(ts, 1 sec) \
               select success, count() as c group by success insert into LoginStats;",
        streams: &["Login"],
        events: logins,
        watch: &["Alert", "LoginStats"],
        rows_out: 2_531 + 3_998,
        limit: limits::pipeline,
    },
    // A hundred thousand matches wait, and no event is any of theirs.
    Workload {
        name: "P01 pending",
        plan: trades!(
            "from every e1=S[price > 50.0] -> e2=S[ts == e1.volume and symbol == e1.symbol] \
             within 200 sec select e1.symbol as symbol, e2.price as price insert into Out;"
        ),
        streams: &["S"],
        events: trades,
        watch: &["Out"],
        rows_out: 0,
        limit: limits::pending,
    },
    // Beyond the ten that all engines run.
    Workload {
        name: "A01 aggregation",
        plan: trades!(
            "define aggregation A from S \
             select symbol, sum(volume) as sv, avg(price) as ap, max(price) as mp, count() as c \
             group by symbol aggregate by ts every sec ... day;"
        ),
        streams: &["S"],
        events: trades,
        watch: &[],
        rows_out: 0,
        limit: limits::aggregation,
    },
];

/// The plan ready to run; the table workload with its table filled.
pub fn core(workload: &Workload) -> PlanCore {
    let mut core = crate::build(workload.plan);
    if let Some(stream) = core.plan().stream("Load") {
        let batch = generator::symbols();
        let entry = Entry { at: generator::START, input: Input::Rows { stream, batch: &batch } };
        core.apply(&entry, &mut Nowhere);
    }
    core
}
