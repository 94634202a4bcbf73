//! The annotations that have a meaning: where they stand, which keys they take, what they do.
//!
//! The checker reads annotations by this table, and the manual is made from it.

use crate::plan::watermark;

/// What an annotation can stand before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The plan itself: `@app:..`.
    Plan,
    /// A stream definition.
    Stream,
    /// A table definition.
    Table,
    /// A window definition.
    Window,
    /// An aggregation definition.
    Aggregation,
    /// A query.
    Query,
    /// A partition.
    Partition,
}

/// An annotation that has a meaning.
pub struct Known {
    /// Its name, without `@` and `app:`.
    pub name: &'static str,
    /// What it can stand before.
    pub before: &'static [Before],
    /// What stands in its brackets.
    pub keys: Keys,
    /// Whether it can stand several times before one thing.
    pub repeats: bool,
    /// What it does, in one sentence; empty for those that the manual leaves out.
    pub summary: &'static str,
    /// A plan that uses it.
    pub example: &'static str,
}

/// What stands in an annotation's brackets.
pub enum Keys {
    /// These keys.
    Of(&'static [Key]),
    /// Values without key.
    Bare,
    /// These keys, or values without key.
    BareOr(&'static [Key]),
    /// Whatever its readers understand.
    Any,
}

/// A key of an annotation.
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value can be.
    pub takes: &'static str,
    /// What counts without it; empty if nothing does.
    pub without: &'static str,
    /// What it does.
    pub summary: &'static str,
}

impl Before {
    /// What it stands before, for people.
    pub fn shown(self) -> &'static str {
        match self {
            Before::Plan => "the plan",
            Before::Stream => "a stream",
            Before::Table => "a table",
            Before::Window => "a window",
            Before::Aggregation => "an aggregation",
            Before::Query => "a query",
            Before::Partition => "a partition",
        }
    }
}

impl Known {
    const fn new(name: &'static str, before: &'static [Before], keys: Keys) -> Known {
        Known { name, before, keys, repeats: false, summary: "", example: "" }
    }

    const fn repeats(self) -> Known {
        Known { repeats: true, ..self }
    }

    const fn manual(self, summary: &'static str, example: &'static str) -> Known {
        Known { summary, example, ..self }
    }

    /// The keys that the table names.
    pub fn named_keys(&self) -> &'static [Key] {
        match self.keys {
            Keys::Of(keys) | Keys::BareOr(keys) => keys,
            Keys::Bare | Keys::Any => &[],
        }
    }
}

pub(super) const fn key(
    name: &'static str,
    takes: &'static str,
    without: &'static str,
    summary: &'static str,
) -> Key {
    Key { name, takes, without, summary }
}

const TIME: &str = "a span of time";
const SWITCH: &str = "`true` or `false`";

const PLAYBACK: &[Key] = &[
    key("idle.time", TIME, "", "After this long without an event the clock moves on by itself."),
    key("increment", TIME, "", "How far it moves then; goes with `idle.time`."),
];

const STATISTICS: &[Key] = &[
    key("reporter", "`console` or `jmx`", "", "Looked at, and nothing more."),
    key("interval", "whole seconds", "", "Looked at, and nothing more."),
    key("include", "text", "", "Passed over."),
    key("enable", SWITCH, "", "Looked at, and nothing more."),
];

const ASYNC: &[Key] = &[
    key("buffer.size", "a power of two", "", "Looked at, and nothing more."),
    key("workers", "a whole number above 0", "", "Looked at, and nothing more."),
    key("batch.size.max", "a whole number above 0", "", "Looked at, and nothing more."),
];

const ON_ERROR: &[Key] = &[key(
    "action",
    "`LOG`, `STREAM`, `STORE`",
    "`LOG`",
    "`STREAM` gives the stream a fault stream, `!name`, with an attribute `_error` more; `STORE` \
     does so, too, and keeps what comes there as dead letters.",
)];

const INFO: &[Key] = &[key("name", "text", "", "The name.")];

const PURGE: &[Key] = &[
    key("enable", SWITCH, "", "Whether idle keys leave."),
    key("interval", TIME, "", "How often they are looked for."),
    key("idle.period", TIME, "", "How long a key without events stays."),
];

/// All of them, in the order of the manual.
pub const ANNOTATIONS: &[Known] = &[
    Known::new("name", &[Before::Plan], Keys::Bare).manual(
        "The name of the plan.",
        "@app:name('orders')\ndefine stream Orders (item string);",
    ),
    Known::new("description", &[Before::Plan], Keys::Bare).manual(
        "What the plan is for, in a sentence that the API shows.",
        "@app:description('counts orders')\ndefine stream Orders (item string);",
    ),
    Known::new("playback", &[Before::Plan], Keys::Of(PLAYBACK)).manual(
        "The greatest time that an event of the plan brought is the plan's clock, in place of that \
         of arrival.",
        "@app:playback(idle.time='1 sec', increment='1 sec')\n\
         define stream Orders (item string);\n\
         from Orders#window.timeBatch(1 min) select count() as orders insert into Minutes;",
    ),
    Known::new("aggTimeZone", &[Before::Plan], Keys::Bare).manual(
        "The clocks by which buckets of aggregations begin: those of a named time zone, or a \
         distance to UTC such as `+05:30`.",
        "@app:aggTimeZone('Europe/Berlin')\ndefine stream Orders (amount int);\n\
         define aggregation Daily from Orders select sum(amount) as total aggregate every day;",
    ),
    Known::new("statistics", &[Before::Plan], Keys::BareOr(STATISTICS)).manual(
        "Understood, and changes nothing: figures are there without it.",
        "@app:statistics('true')\ndefine stream Orders (item string);",
    ),
    Known::new("enforceOrder", &[Before::Plan], Keys::Bare).manual(
        "Understood, and changes nothing: events keep their order without it.",
        "@app:enforceOrder\ndefine stream Orders (item string);",
    ),
    Known::new("trace", &[Before::Plan], Keys::Bare),
    Known::new("transportChannelCreationEnabled", &[Before::Plan], Keys::Bare).manual(
        "With `'false'` the plan goes without its sources and sinks.",
        "@app:transportChannelCreationEnabled('false')\n\
         @sink(type='log') define stream Orders (item string);",
    ),
    Known::new("async", &[Before::Plan], Keys::Any),
    Known::new("async", &[Before::Stream], Keys::Of(ASYNC)).manual(
        "Understood, and changes nothing: events keep their order, and nothing waits for a thread.",
        "@async(buffer.size='64', workers='2')\ndefine stream Orders (item string);",
    ),
    Known::new("onError", &[Before::Stream], Keys::Of(ON_ERROR)).manual(
        "What happens to events of the stream that a query cannot compute: they are logged, \
         go to its fault stream, or are kept as [dead letters](../dead-letters.md), too.",
        "@OnError(action='STREAM')\ndefine stream Orders (amount int);\n\
         from Orders select 10 / amount as share insert into Shares;\n\
         from !Orders select amount, _error insert into Failed;",
    ),
    Known::new("watermark", &[Before::Stream], Keys::Of(watermark::KEYS)).manual(
        "Puts the events of the stream in order of a time of their own, which then is the plan's \
         clock.",
        "@watermark(attribute='at', lateness='5 sec', idle='30 sec', ahead='1 min', \
         late.stream='Late')\n\
         define stream Orders (amount int, at long);\n\
         define stream Late (amount int, at long);\n\
         from Orders#window.timeBatch(1 min) select sum(amount) as total insert into Minutes;",
    ),
    Known::new("source", &[Before::Stream], Keys::Any).repeats().manual(
        "A way into the stream; [sources](../sources-and-sinks.md) have a page of their own.",
        "@source(type='http', path='orders', @map(type='json'))\n\
         define stream Orders (item string);",
    ),
    Known::new("sink", &[Before::Stream], Keys::Any).repeats().manual(
        "A way out of the stream; [sinks](../sources-and-sinks.md) have a page of their own.",
        "@sink(type='log', @map(type='json'))\ndefine stream Orders (item string);",
    ),
    Known::new("import", &[Before::Stream], Keys::Bare).repeats().manual(
        "Takes what another plan of the node exports under this name.",
        "@Import('orders:1.0.0')\ndefine stream Orders (item string);",
    ),
    Known::new("export", &[Before::Stream], Keys::Bare).repeats().manual(
        "Gives the stream to plans of the node that import this name.",
        "@Export('orders:1.0.0')\ndefine stream Orders (item string);",
    ),
    Known::new("primaryKey", &[Before::Table], Keys::Bare).repeats().manual(
        "The columns that name a row of the table: no two rows have the same in them.",
        "@primaryKey('item')\ndefine table Prices (item string, price double);",
    ),
    Known::new("index", &[Before::Table], Keys::Bare).repeats().manual(
        "A column by which rows are found fast.",
        "@index('item')\ndefine table Orders (item string, amount int);",
    ),
    Known::new("indexBy", &[Before::Table], Keys::Bare).repeats(),
    Known::new("store", &[Before::Stream, Before::Table, Before::Aggregation], Keys::Any),
    Known::new("from", &[Before::Table], Keys::Any),
    Known::new("info", &[Before::Query, Before::Partition, Before::Aggregation], Keys::Of(INFO))
        .manual(
            "A name, by which state is known again in another version of the plan.",
            "define stream Orders (amount int);\n@info(name='total')\n\
         from Orders#window.length(10) select sum(amount) as total insert into Totals;",
        ),
    Known::new("synchronized", &[Before::Query], Keys::Bare).manual(
        "Understood, and changes nothing: a plan runs in one thread.",
        "define stream Orders (amount int);\n@synchronized('true')\n\
         from Orders select amount insert into Copies;",
    ),
    Known::new("purge", &[Before::Partition], Keys::Of(PURGE)).manual(
        "When the state of a key without events leaves the partition.",
        "define stream Orders (user string, amount int);\n\
         @purge(enable='true', interval='1 min', idle.period='1 hour')\n\
         partition with (user of Orders) begin\n\
         from Orders#window.length(10) select user, sum(amount) as total insert into Totals;\n\
         end;",
    ),
    Known::new("purge", &[Before::Aggregation], Keys::Any).manual(
        "How long the buckets of an [aggregation](../aggregations.md) stay.",
        "define stream Orders (amount int);\n\
         @purge(enable='true', interval='1 min', @retentionPeriod(sec='10 min', min='24 hours'))\n\
         define aggregation Totals\n\
         from Orders select sum(amount) as total aggregate every sec, min;",
    ),
    Known::new("partitionById", &[Before::Aggregation], Keys::Any),
    Known::new("persistedAggregation", &[Before::Aggregation], Keys::Any),
];
