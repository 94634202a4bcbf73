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
    /// Streams whose rows are counted.
    pub watch: &'static [&'static str],
    /// Rows that come out of two million events.
    pub rows_out: usize,
    /// The same job by hand.
    pub limit: fn(&[Batch]) -> usize,
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
        watch: &["Out"],
        rows_out: 1_265_228,
        limit: limits::batch_group,
    },
    Workload {
        name: "W08 partition",
        plan: trades!(
            "partition with (symbol of S) begin \
             from S#window.length(10) select symbol, avg(price) as ap insert into Out; end;"
        ),
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
        watch: &["Out"],
        rows_out: 2_000_000,
        limit: limits::table,
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
