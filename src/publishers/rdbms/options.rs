//! What plans can say of a table in a store, and the table that comes of it.

use std::time::Duration;

use crate::event::Attribute;
use crate::event::DataType;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::mappers;
use crate::mappers::PASS_THROUGH;
use crate::mappers::codes;
use crate::mappers::options;
use crate::mappers::options::Form;
use crate::mappers::options::OptionDefinition;
use crate::mappers::options::Options;
use crate::mappers::options::list;
use crate::mappers::options::needed;
use crate::mappers::options::option;
use crate::mappers::options::optional;
use crate::plan::logical::Role;
use crate::plan::outside::OWN;
use crate::plan::stores::CACHE_KEPT;
use crate::plan::stores::CACHE_POLICY;
use crate::plan::stores::CACHE_PURGED;
use crate::plan::stores::CACHE_SIZE;
use crate::plan::stores::EXTERNAL;
use crate::plan::stores::INDICES;
use crate::plan::stores::PRIMARY_KEYS;
use crate::plan::stores::ROW;
use crate::publishers::Definition;
use crate::publishers::ON_ERROR;
use crate::publishers::Publisher;
use crate::publishers::Setup;
use crate::publishers::outgoing::mapping;
use crate::publishers::rdbms::publisher;

/// The column with an event's own time.
pub const TIMESTAMP: &str = "_timestamp";
/// The least and the longest time for which events are kept, in milliseconds.
const KEPT: Form = Form::Time(1_000, 100 * 365 * 86_400_000);
/// Characters of a text.
const LENGTH_MAX: u32 = 1_000_000;

const DATASOURCE: OptionDefinition =
    needed("datasource", Form::Text, "The store, by its name in the settings.");
const TABLE_NAME: OptionDefinition = optional(
    "table.name",
    Form::Text,
    "The table in the database; without it the name of the table or stream in the plan.",
);
const FIELD_LENGTH: OptionDefinition = optional(
    "field.length",
    Form::Text,
    "Characters of texts where a database has to know, as in `symbol:100, note:4000`. Without it \
     texts take what the database can hold; in keys and indexes of MySQL 255 characters.",
);
const RETRY: OptionDefinition = option(
    "on.error",
    Form::Word(&["RETRY", "LOG", "STORE"]),
    "RETRY",
    "What is done while the store cannot be reached: it is waited for and nothing is lost \
     (`RETRY`), or after a few tries rows are kept as dead letters that can be replayed \
     (`STORE`), or counted, logged and left out (`LOG`).",
);
/// Options of the reference that name a database in the plan.
const ADDRESS: &[&str] = &[
    "jdbc.url",
    "username",
    "password",
    "jdbc.driver.name",
    "driver.name",
    "pool.properties",
    "jndi.resource",
    "table.check.query",
    "use.collation",
    "allow.null.values",
];

/// `@store` of a table.
pub const TABLE: Definition = Definition {
    options: &options::Definition {
        name: "rdbms",
        help: "Keeps a table in a database. The rows are in memory; each change is written behind, \
               in order and once. Rows that the database has when the plan comes are read first.",
        options: &[
            DATASOURCE,
            TABLE_NAME,
            FIELD_LENGTH,
            RETRY,
            option(
                EXTERNAL,
                Form::Bool,
                "false",
                "Whether the rows are in the database alone, and asked for each time: for tables \
                 that others write to, too, or that are too large for memory.",
            ),
            optional(
                CACHE_SIZE,
                Form::Whole(1, 10_000_000),
                "Rows that answers of an external table may keep for later questions; \
                 `@cache(size)` says the same. Without it none are kept.",
            ),
            option(
                CACHE_POLICY,
                Form::Word(&["FIFO", "LRU", "LFU"]),
                "FIFO",
                "Which of them make room: the oldest, those not used for longest, or those used \
                 least; also `@cache(cache.policy)`.",
            ),
            optional(
                CACHE_KEPT,
                KEPT,
                "For how long they count; also `@cache(retention.period)`. Without it until the \
                 plan writes to the table.",
            ),
            option(
                CACHE_PURGED,
                KEPT,
                "10 sec",
                "How often those that are too old are forgotten; also `@cache(purge.interval)`.",
            ),
            optional(PRIMARY_KEYS, Form::Text, "As `@primaryKey`, in older plans."),
            optional(INDICES, Form::Text, "As `@index` of each, in older plans."),
        ],
        not_yet: ADDRESS,
        example: "@store(type='rdbms', datasource='PROCESSED_DATA_STORE')\n\
                  @primaryKey('symbol') define table Prices (symbol string, price double);",
    },
    default_mapper: PASS_THROUGH,
    build,
};

/// `@store` of a stream.
pub const EVENTS: Definition = Definition {
    options: &options::Definition {
        name: "rdbms",
        help: "Keeps each event of a stream in a table of a database, once, with its own time in \
               the column `_timestamp`.",
        options: &[
            DATASOURCE,
            TABLE_NAME,
            FIELD_LENGTH,
            optional(INDICES, Form::Text, "Attributes that get an index each, as in `ip, user`."),
            optional(
                "retention.period",
                KEPT,
                "Events older than this, by their own time, are deleted from time to time; without \
                 it they stay.",
            ),
            option("purge.interval", KEPT, "1 hour", "How often old events are looked for."),
            RETRY,
        ],
        not_yet: ADDRESS,
        example: "@store(type='rdbms', datasource='EVENT_STORE', indices='ip',\n\
                  \x20      retention.period='30 days')\n\
                  define stream Logins (ip string, ok bool);",
    },
    default_mapper: PASS_THROUGH,
    build,
};

/// `@sink`.
pub const SINK: Definition = Definition {
    options: &options::Definition {
        name: "rdbms",
        help: "Writes events into a table of a database, each once.",
        options: &[
            DATASOURCE,
            TABLE_NAME,
            FIELD_LENGTH,
            option(
                "operation",
                Form::Word(&["insert", "upsert"]),
                "insert",
                "Whether each event is a new row, or takes the place of the one with its keys.",
            ),
            optional("keys", Form::Text, "The primary key, as in `symbol, day`."),
            ON_ERROR,
        ],
        not_yet: ADDRESS,
        example: "@sink(type='rdbms', datasource='PROCESSED_DATA_STORE', table.name='latest',\n\
                  \x20     operation='upsert', keys='symbol')\n\
                  define stream Prices (symbol string, price double);",
    },
    default_mapper: PASS_THROUGH,
    build,
};

fn build(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Publisher>> {
    let mapping = mapping(setup, PASS_THROUGH);
    if mapping.kind.eq_ignore_ascii_case(PASS_THROUGH) {
        mappers::check_rows(&mapping, faults);
    } else {
        let text = "the columns of a table are the attributes of the stream: `@map` has no place";
        faults.push(Diagnostic::error(codes::MAPPING, mapping.span, text));
    }
    let (place, job) = (place(setup, options, faults)?, job(setup, options, faults)?);
    publisher(setup, options, place, job, faults)
}

/// How answers of an external table are kept.
#[derive(Debug, Clone, Copy)]
pub struct CacheOptions {
    /// Rows at most.
    pub rows: usize,
    /// Which make room.
    pub policy: CachePolicy,
    /// For how long they count; `None`: for ever.
    pub kept: Option<Duration>,
    /// How often old ones are looked for.
    pub purged: Duration,
}

/// Which answers make room for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachePolicy {
    /// The oldest.
    Fifo,
    /// Those not used for longest.
    Lru,
    /// Those used least.
    Lfu,
}

fn cache(options: &Options) -> Option<CacheOptions> {
    let time = |key| options.number(key).map(|time| Duration::from_millis(time.unsigned_abs()));
    Some(CacheOptions {
        rows: usize::try_from(options.number(CACHE_SIZE)?).ok()?,
        policy: match options.word(CACHE_POLICY) {
            Some("LRU") => CachePolicy::Lru,
            Some("LFU") => CachePolicy::Lfu,
            _ => CachePolicy::Fifo,
        },
        kept: time(CACHE_KEPT),
        purged: time(CACHE_PURGED)?,
    })
}

/// What is done with rows.
#[derive(Debug, Clone, Copy)]
pub enum Job {
    /// They are changes of a table.
    Changes,
    /// They say what is to be done with an external table, some of whose answers may be kept.
    Errands(Option<CacheOptions>),
    /// They are events to be kept.
    Events {
        /// Whether an attribute holds their time; else it is put before the others.
        has_time: bool,
        /// How long they stay, in milliseconds; `None`: for ever.
        kept: Option<i64>,
        /// How often old ones are looked for, in milliseconds.
        interval: i64,
    },
    /// Each is a new row.
    Insert,
    /// Each takes the place of the row with its key.
    Upsert,
}

/// A table as it should be in a database.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub schema: Schema,
    /// The columns of the primary key; empty: none.
    pub key: Vec<usize>,
    /// The columns of each index.
    pub indexes: Vec<Vec<usize>>,
    /// The most characters of texts, where that is said.
    pub lengths: Vec<Option<u32>>,
}

fn job(setup: &Setup<'_>, options: &Options, faults: &mut Vec<Diagnostic>) -> Option<Job> {
    Some(match setup.role {
        Role::Changes => Job::Changes,
        Role::Errands => Job::Errands(cache(options)),
        Role::Events => {
            let time = |key: &str| options.number(key);
            let interval = time("purge.interval")?;
            let own_time = setup.schema.position(TIMESTAMP);
            if let Some(column) = own_time
                && setup.schema.attributes[column].ty != DataType::Long
            {
                let text = format!("the attribute `{TIMESTAMP}` of a kept stream is a long");
                faults.push(Diagnostic::error(codes::STREAM, setup.endpoint.span, text));
            }
            Job::Events { has_time: own_time.is_some(), kept: time("retention.period"), interval }
        }
        Role::Sink if options.word("operation") == Some("upsert") => {
            if options.text("keys").is_none() {
                let text = "`operation='upsert'` needs `keys`: by which a row is found";
                let place = options.place("operation");
                faults.push(Diagnostic::error(codes::MISSING_OPTION, place, text));
            }
            Job::Upsert
        }
        Role::Sink => Job::Insert,
    })
}

/// The table as it should be in the database.
pub fn place(setup: &Setup<'_>, options: &Options, faults: &mut Vec<Diagnostic>) -> Option<Place> {
    let name = options.text("table.name").unwrap_or(setup.stream).trim();
    if name.is_empty() {
        let text = "option `table.name`: expected the name of a table";
        faults.push(Diagnostic::error(codes::OPTION_VALUE, options.place("table.name"), text));
    }
    let schema = columns(setup);
    let attributes = schema.attributes.iter();
    let lower: Vec<String> =
        attributes.map(|each| each.name.as_str().to_ascii_lowercase()).collect();
    let twice = (0..lower.len()).find(|&at| lower[..at].contains(&lower[at]));
    if let Some(at) = twice {
        let name = &schema.attributes[at].name;
        let text = format!("a table in a store has one column `{name}` only; letter case is none");
        faults.push(Diagnostic::error(codes::STREAM, setup.endpoint.span, text));
    }
    if let Some(object) = schema.attributes.iter().find(|each| each.ty == DataType::Object) {
        let text = format!("`{}` is an object, which no column of a store holds", object.name);
        faults.push(Diagnostic::error(codes::STREAM, setup.endpoint.span, text));
    }
    let lengths_of = vec![None; schema.len()];
    let (name, key, indexes) = (name.to_owned(), Vec::new(), Vec::new());
    let mut table = Place { name, schema, key, indexes, lengths: lengths_of };
    let (key, indices) = match setup.role {
        Role::Changes | Role::Errands => (PRIMARY_KEYS, Some(INDICES)),
        Role::Events => ("", Some(INDICES)),
        Role::Sink => ("keys", None),
    };
    if !key.is_empty() {
        table.key = named(key, &table.schema, options, faults);
    }
    if setup.role == Role::Changes && table.key.is_empty() {
        table.key = table.schema.position(ROW).into_iter().collect();
    }
    if setup.role == Role::Events {
        table.indexes.extend(table.schema.position(TIMESTAMP).map(|time| vec![time]));
    }
    let listed = indices.map(|key| named(key, &table.schema, options, faults)).unwrap_or_default();
    for column in listed {
        if !table.indexes.iter().any(|known| *known == [column]) {
            table.indexes.push(vec![column]);
        }
    }
    lengths(&mut table, options, faults);
    Some(table)
}

/// The columns of the table.
fn columns(setup: &Setup<'_>) -> Schema {
    let mut attributes = setup.schema.attributes.clone();
    match setup.role {
        // The first one says what was done.
        Role::Changes => drop(attributes.remove(0)),
        Role::Errands => drop(attributes.drain(..OWN)),
        Role::Events if setup.schema.position(TIMESTAMP).is_none() => {
            attributes.insert(0, Attribute { name: TIMESTAMP.into(), ty: DataType::Long });
        }
        Role::Events | Role::Sink => {}
    }
    Schema { attributes }
}

/// The columns that an option names.
fn named(
    key: &str,
    schema: &Schema,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Vec<usize> {
    let mut columns = Vec::new();
    let names = options.text(key).unwrap_or_default().split(',').map(str::trim);
    for name in names.filter(|name| !name.is_empty()) {
        match schema.position(name) {
            Some(column) if !columns.contains(&column) => columns.push(column),
            Some(_) => {}
            None => {
                let text = format!("option `{key}`: there is no attribute `{name}`");
                let fault = Diagnostic::error(codes::OPTION_VALUE, options.place(key), text);
                let known: Vec<&str> = schema.names().collect();
                faults.push(fault.help(format!("there are {}", list(&known))));
            }
        }
    }
    columns
}

/// Reads `field.length`; older plans have a point where newer ones have a colon.
fn lengths(table: &mut Place, options: &Options, faults: &mut Vec<Diagnostic>) {
    let text = options.text("field.length").unwrap_or_default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let pair = part.rsplit_once(':').or_else(|| part.rsplit_once('.'));
        let length = pair.and_then(|(_, length)| length.trim().parse::<u32>().ok());
        let column = pair.and_then(|(name, _)| table.schema.position(name.trim()));
        let is_text = column.is_some_and(|of| table.schema.attributes[of].ty == DataType::Text);
        match (column, length) {
            (Some(column), Some(length)) if is_text && (1..=LENGTH_MAX).contains(&length) => {
                table.lengths[column] = Some(length);
            }
            _ => {
                let text = format!(
                    "option `field.length`: expected a string attribute and its length, as in \
                     `symbol:100`, found `{part}`"
                );
                let place = options.place("field.length");
                faults.push(Diagnostic::error(codes::OPTION_VALUE, place, text));
            }
        }
    }
}
