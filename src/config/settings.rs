//! Every setting of a node: its key, its default and the sentence that explains it.
//!
//! This table is the one source of `twinflow.toml`, of the environment's names and of
//! `twinflow run --print-config`; a key that is not here does not exist.

/// One setting, as the documentation and the reader of the file know it.
#[derive(Debug)]
pub struct Setting {
    /// Section and name, as in `http.listen`.
    pub key: &'static str,
    /// The default, written as TOML.
    pub default: &'static str,
    /// What the setting does, with its unit; lines of the sample file.
    pub help: &'static [&'static str],
}

impl Setting {
    /// The variable that overrides the file: `http.listen` is `TWINFLOW_HTTP_LISTEN`.
    #[must_use]
    pub fn variable(&self) -> String {
        variable(self.key)
    }
}

/// The variable of a key.
pub(super) fn variable(key: &str) -> String {
    format!("TWINFLOW_{}", key.replace(['.', '-'], "_").to_uppercase())
}

/// Settings that are never shown.
pub const SECRETS: &[&str] = &["ha.secret", "stores.NAME.password"];

/// Names that the reference gives to settings: the name, the setting, the unit of its numbers.
pub const ALIASES: &[(&str, &str, &str)] = &[
    ("ha.checkMemberUpdateInterval", "ha.heartbeat", "ms"),
    ("ha.tryStateChangeInterval", "ha.poll", "ms"),
    ("ha.stateSyncRetryInterval", "ha.resync", "ms"),
    ("ha.reconnectionInterval", "ha.reconnect", "ms"),
    ("ha.receiverQueueSize", "ha.receiver_queue_events", ""),
    ("ha.receiverQueueMaxSizeMb", "ha.receiver_queue_bytes", "MiB"),
    ("ha.publisherQueueSize", "ha.publisher_queue_events", ""),
    ("ha.publisherQueueMaxSizeMb", "ha.publisher_queue_bytes", "MiB"),
    ("stores.NAME.username", "stores.NAME.user", ""),
    ("stores.NAME.maxActive", "stores.NAME.connections_max", ""),
    ("stores.NAME.maxWait", "stores.NAME.wait_max", "ms"),
    ("stores.NAME.testOnBorrow", "stores.NAME.test_on_borrow", ""),
    ("stores.NAME.validationQuery", "stores.NAME.validation_query", ""),
    ("stores.NAME.validationInterval", "stores.NAME.validation_interval", "ms"),
];

/// The sections of the stores: each store is one, with a name in the place of `NAME`.
pub const STORES: &str = "stores.NAME";

/// The stores that are there without being named in the settings.
pub const STORE_NAMES: &[&str] = &["EVENT_STORE", "PROCESSED_DATA_STORE"];

/// The sections in the order of the sample file, each with a sentence.
pub const SECTIONS: &[(&str, &str)] = &[
    ("node", "This process."),
    ("plans", "The folder whose plans run."),
    ("http", "The API."),
    ("persistence", "What is kept on disk, below node.data: the log of each plan, and snapshots."),
    ("ha", "The pair: two nodes that stand in for each other."),
    (STORES, "A store: a database for tables, streams and results, by a name of any kind."),
    ("queues", "How much may wait. What does not fit makes the sender wait: nothing is dropped."),
    ("tail", "The newest events kept in memory, per stream, for GET …/streams/{stream}/events."),
    ("dead_letters", "What could not be handled and is kept in the plan's state until taken up."),
    ("log", "What the node says of itself, on standard error."),
    ("testing", "For tests of the node itself; leave it alone."),
];

/// All settings in the order of the sample file.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "node.name",
        default: "\"twinflow\"",
        help: &["The name in logs, metrics and the status page: letters, digits, `_`, `-`, `.`."],
    },
    Setting {
        key: "node.data",
        default: "\"data\"",
        help: &["Folder for what the node itself writes; made when missing."],
    },
    Setting {
        key: "plans.folder",
        default: "\"plans\"",
        help: &["Files ending in .siddhi or .siddhiql here are deployed; made when missing."],
    },
    Setting {
        key: "plans.settle",
        default: "\"100ms\"",
        help: &[
            "A file is read once it has not changed for this long, so that half-written files",
            "are left alone. From 10ms to 10s.",
        ],
    },
    Setting {
        key: "plans.poll",
        default: "\"500ms\"",
        help: &[
            "The folder is also looked at this often, for file systems that do not tell of",
            "changes. From 50ms to 1h.",
        ],
    },
    Setting {
        key: "plans.file_bytes_max",
        default: "\"1MiB\"",
        help: &["A plan file larger than this is refused. From 1KiB to 64MiB."],
    },
    Setting {
        key: "plans.entry_time_max",
        default: "\"30s\"",
        help: &[
            "A plan that does not come to the end of one request, message or timer within this",
            "time is given up; the node and its other plans go on. From 1s to 1h.",
        ],
    },
    Setting {
        key: "plans.state_bytes_max",
        default: "\"2GiB\"",
        help: &[
            "A plan whose state is larger, counted as a snapshot would hold it, takes no more",
            "events until it is smaller; who sends them waits. Equal at both nodes of a pair. At",
            "least 1MiB.",
        ],
    },
    Setting {
        key: "http.listen",
        default: "\"127.0.0.1:8080\"",
        help: &[
            "Address and port. Only addresses of this machine (127.0.0.1, ::1): there are no",
            "users yet, so whoever reaches the port may do everything. Port 0 takes a free one.",
        ],
    },
    Setting {
        key: "http.body_bytes_max",
        default: "\"8MiB\"",
        help: &["A larger request body is refused with 413. From 1KiB to 1GiB."],
    },
    Setting {
        key: "http.batch_rows_max",
        default: "100000",
        help: &["A request with more events than this is refused with 413. At least 1."],
    },
    Setting {
        key: "http.connections_max",
        default: "1024",
        help: &["Connections served at once; more wait to be accepted. At least 1."],
    },
    Setting {
        key: "http.answer_time_max",
        default: "\"30s\"",
        help: &[
            "A request with events whose plan has not applied them by then is answered with 503",
            "`not-in-time`; the plan may apply them yet. From 1s to 1h.",
        ],
    },
    Setting {
        key: "persistence.enabled",
        default: "true",
        help: &[
            "Whether plans survive a restart. Events are answered once they are on disk; without",
            "it at once, and a restart begins empty.",
        ],
    },
    Setting {
        key: "persistence.interval",
        default: "\"5min\"",
        help: &[
            "How often a snapshot of each plan is taken, if anything came: a restart applies what",
            "came after the newest one. From 1s to 24h.",
        ],
    },
    Setting { key: "ha.enabled", default: "false", help: &["true makes this node one of a pair."] },
    Setting {
        key: "ha.cluster",
        default: "\"twinflow\"",
        help: &["The name of the pair, equal at both nodes; nodes of other names are refused."],
    },
    Setting {
        key: "ha.node",
        default: "\"a\"",
        help: &["a at one node, b at the other; their node.name must differ, too."],
    },
    Setting {
        key: "ha.listen",
        default: "\"127.0.0.1:7420\"",
        help: &[
            "Where this node listens for the other, which must know the secret. Without",
            "ha.tls_certificate what travels is not encrypted: keep it in a network of its own.",
        ],
    },
    Setting {
        key: "ha.peer",
        default: "\"\"",
        help: &["The other node's ha.listen, as host:port."],
    },
    Setting {
        key: "ha.secret",
        default: "\"\"",
        help: &["What both nodes and the witness know; at least 16 characters. Better in a file."],
    },
    Setting {
        key: "ha.secret_file",
        default: "\"\"",
        help: &["A file that holds the secret and nothing else; goes with an empty ha.secret."],
    },
    Setting {
        key: "ha.tls_certificate",
        default: "\"\"",
        help: &[
            "A PEM file with this node's certificate; with the next two the nodes, and a witness,",
            "speak TLS. It is for the host that the other node's ha.peer names. All three or none.",
        ],
    },
    Setting {
        key: "ha.tls_key",
        default: "\"\"",
        help: &["A PEM file with the private key of ha.tls_certificate."],
    },
    Setting {
        key: "ha.tls_authority",
        default: "\"\"",
        help: &[
            "A PEM file with the certificate that signed those of both nodes, and a witness's.",
        ],
    },
    Setting {
        key: "ha.arbiter",
        default: "\"none\"",
        help: &[
            "Where the record lies by which the nodes decide who acts: sqlite:PATH for two nodes",
            "on one machine, witness:HOST:PORT for a `twinflow witness` on a third one, store:NAME",
            "for a store at a database server, or none: then nothing is promoted without a word of",
            "the operator.",
        ],
    },
    Setting {
        key: "ha.ack",
        default: "\"peer\"",
        help: &[
            "When senders are answered: memory, once the active has numbered the events; disk,",
            "once they are on its disk; peer, once they are in the journals of both nodes or,",
            "while there is only one, on its disk; peer+disk, once on the disks of both.",
        ],
    },
    Setting {
        key: "ha.lease",
        default: "\"2s\"",
        help: &[
            "A node that is cut off from peer and arbiter is replaced after this. From 200ms to",
            "1min.",
        ],
    },
    Setting {
        key: "ha.grant",
        default: "\"1500ms\"",
        help: &[
            "With each answer to a heartbeat the passive promises so long not to take over. At",
            "most ha.lease. From 100ms to 1min.",
        ],
    },
    Setting {
        key: "ha.renew",
        default: "\"400ms\"",
        help: &[
            "How often the active renews its lease. At most a third of four fifths of ha.lease.",
            "From 20ms to 1min.",
        ],
    },
    Setting {
        key: "ha.heartbeat",
        default: "\"50ms\"",
        help: &[
            "How often the active tells the passive that it is there. At most a third of",
            "ha.silence, of ha.patience and of four fifths of ha.grant. Also",
            "checkMemberUpdateInterval, in milliseconds. From 10ms to 1min.",
        ],
    },
    Setting {
        key: "ha.poll",
        default: "\"200ms\"",
        help: &[
            "How often the passive looks at the arbiter whether it may become active. At most",
            "half of ha.lease. Also tryStateChangeInterval, in milliseconds. From 10ms to 1min.",
        ],
    },
    Setting {
        key: "ha.silence",
        default: "\"150ms\"",
        help: &[
            "When the active was silent for so long the passive looks at once. From 30ms to 1min.",
        ],
    },
    Setting {
        key: "ha.patience",
        default: "\"1s\"",
        help: &[
            "When the passive was silent for so long the active goes on alone. At most ha.idle.",
            "From 100ms to 1min.",
        ],
    },
    Setting {
        key: "ha.answer",
        default: "\"1s\"",
        help: &["How long an answer of the arbiter is waited for. From 50ms to 1min."],
    },
    Setting {
        key: "ha.switch",
        default: "\"1s\"",
        help: &["A planned switch that takes longer is called off. From 50ms to 1min."],
    },
    Setting {
        key: "ha.resync",
        default: "\"1s\"",
        help: &[
            "Between two attempts to bring a passive up to date. Also stateSyncRetryInterval, in",
            "milliseconds. From 100ms to 10min.",
        ],
    },
    Setting {
        key: "ha.reconnect",
        default: "\"1s\"",
        help: &[
            "The longest pause before the peer is dialled again. Also reconnectionInterval, in",
            "milliseconds. From 50ms to 10min.",
        ],
    },
    Setting {
        key: "ha.idle",
        default: "\"5s\"",
        help: &[
            "A connection on which the peer said nothing for so long is given up. From 500ms to",
            "10min.",
        ],
    },
    Setting {
        key: "ha.receiver_queue_events",
        default: "1000000",
        help: &[
            "Events from the active that may wait at the passive; the active waits when it is",
            "full. Also receiverQueueSize. At least 1024.",
        ],
    },
    Setting {
        key: "ha.receiver_queue_bytes",
        default: "\"10MiB\"",
        help: &["Bytes of them. Also receiverQueueMaxSizeMb, in MiB. At least 1MiB."],
    },
    Setting {
        key: "ha.publisher_queue_events",
        default: "1000000",
        help: &[
            "Results that the passive holds until the active has published them. Also",
            "publisherQueueSize. At least 1024.",
        ],
    },
    Setting {
        key: "ha.publisher_queue_bytes",
        default: "\"10MiB\"",
        help: &["Bytes of them. Also publisherQueueMaxSizeMb, in MiB. At least 1MiB."],
    },
    Setting {
        key: "stores.NAME.url",
        default: "\"\"",
        help: &[
            "Where it is: sqlite:PATH for a file, mysql://HOST:PORT/DATABASE for MySQL and",
            "MariaDB, postgres://HOST:PORT/DATABASE for PostgreSQL. Empty: the file",
            "stores/NAME.db below node.data, made when it is first used.",
        ],
    },
    Setting {
        key: "stores.NAME.user",
        default: "\"\"",
        help: &["Who we are there. Also username."],
    },
    Setting {
        key: "stores.NAME.password",
        default: "\"\"",
        help: &["The password of this user. Better in a file or in the variable."],
    },
    Setting {
        key: "stores.NAME.password_file",
        default: "\"\"",
        help: &["A file that holds the password and nothing else, instead of the password."],
    },
    Setting {
        key: "stores.NAME.connections_max",
        default: "50",
        help: &["Connections open at once. Also maxActive. At least 1."],
    },
    Setting {
        key: "stores.NAME.wait_max",
        default: "\"60s\"",
        help: &[
            "So long a connection is waited for when all are in use. Also maxWait, in",
            "milliseconds. From 1ms to 1h.",
        ],
    },
    Setting {
        key: "stores.NAME.test_on_borrow",
        default: "true",
        help: &["Whether a connection at rest is tried before it is used. Also testOnBorrow."],
    },
    Setting {
        key: "stores.NAME.validation_query",
        default: "\"SELECT 1\"",
        help: &["How it is tried. Also validationQuery."],
    },
    Setting {
        key: "stores.NAME.validation_interval",
        default: "\"30s\"",
        help: &[
            "A connection that was tried or used in this time is not tried again. Also",
            "validationInterval, in milliseconds. From 0ms to 1h.",
        ],
    },
    Setting {
        key: "stores.NAME.statement_time_max",
        default: "\"30s\"",
        help: &["A statement that takes longer is given up. From 10ms to 1h."],
    },
    Setting {
        key: "queues.inbox_events",
        default: "65536",
        help: &["Events that may wait for one plan. At least 1024."],
    },
    Setting {
        key: "queues.inbox_bytes",
        default: "\"64MiB\"",
        help: &[
            "Bytes of events that may wait for one plan. At least 1MiB and at least",
            "http.body_bytes_max.",
        ],
    },
    Setting {
        key: "queues.publisher_events",
        default: "65536",
        help: &[
            "Results that may wait for one publisher; when it is full the plan waits.",
            "At least 1024.",
        ],
    },
    Setting {
        key: "queues.publisher_bytes",
        default: "\"64MiB\"",
        help: &["Bytes of results that may wait for one publisher. At least 1MiB."],
    },
    Setting {
        key: "tail.events",
        default: "1000",
        help: &["Events kept per stream; 0 keeps none."],
    },
    Setting {
        key: "tail.bytes",
        default: "\"4MiB\"",
        help: &["Bytes kept per stream; the oldest events leave first."],
    },
    Setting {
        key: "dead_letters.letters",
        default: "10000",
        help: &[
            "Dead letters kept per plan; the oldest go first. 0 keeps none: then all are counted",
            "only. In a pair the setting of the node that puts something aside counts.",
        ],
    },
    Setting {
        key: "dead_letters.bytes",
        default: "\"16MiB\"",
        help: &["Bytes of them, which every snapshot holds. At most 1GiB."],
    },
    Setting {
        key: "dead_letters.age",
        default: "\"720h\"",
        help: &["How long one is kept. From 1min to 100000h."],
    },
    Setting {
        key: "log.level",
        default: "\"info\"",
        help: &["error, warn, info, debug or trace, also by part: `info,twinflow::actors=debug`."],
    },
    Setting {
        key: "log.format",
        default: "\"text\"",
        help: &["text for people, json for machines."],
    },
    Setting {
        key: "testing.faults",
        default: "false",
        help: &["true opens POST /api/v1/faults/{actor}, which makes an actor panic."],
    },
];
