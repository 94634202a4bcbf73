//! The figures of the stores of a node: their connections, what they were asked, what went wrong.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabels {
    store: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabels {
    store: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    store: String,
    kind: &'static str,
}

/// The figures of all stores.
#[derive(Debug, Default)]
pub(super) struct OfStores {
    connections: Family<ConnectionLabels, Gauge>,
    waiting: Family<StoreLabels, Gauge>,
    opened: Family<StoreLabels, Counter>,
    lost: Family<StoreLabels, Counter>,
    requests: Family<StoreLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    rows: Family<StoreLabels, Counter>,
}

/// The figures of one store, held by its pool. By default they are shown nowhere.
#[derive(Debug, Clone, Default)]
pub struct StoreFigures {
    /// Connections that are lent.
    pub in_use: Gauge,
    /// Connections that rest.
    pub resting: Gauge,
    /// Those that wait for a connection.
    pub waiting: Gauge,
    /// Connections made.
    pub opened: Counter,
    /// Connections that broke, or were closed because another one did.
    pub lost: Counter,
    /// What was asked of it.
    pub requests: Counter,
    /// Rows and changes of rows that were written and committed.
    pub rows: Counter,
    errors: Family<ErrorLabels, Counter>,
    store: String,
}

impl OfStores {
    /// The figures of a store, all there from now on.
    pub fn of(&self, store: &str) -> StoreFigures {
        let labels = StoreLabels { store: store.to_owned() };
        let state = |state| ConnectionLabels { store: store.to_owned(), state };
        StoreFigures {
            in_use: self.connections.get_or_create_owned(&state("in_use")),
            resting: self.connections.get_or_create_owned(&state("resting")),
            waiting: self.waiting.get_or_create_owned(&labels),
            opened: self.opened.get_or_create_owned(&labels),
            lost: self.lost.get_or_create_owned(&labels),
            requests: self.requests.get_or_create_owned(&labels),
            rows: self.rows.get_or_create_owned(&labels),
            errors: self.errors.clone(),
            store: store.to_owned(),
        }
    }

    /// Their places in the list.
    pub fn list(&self, list: &mut Registry) {
        let help = "Connections of a store by state";
        list.register("store_connections", help, self.connections.clone());
        let help = "Those that wait for a connection of a store";
        list.register("store_waiting", help, self.waiting.clone());
        let help = "Connections made to a store";
        list.register("store_connections_opened", help, self.opened.clone());
        let help = "Connections to a store that broke";
        list.register("store_connections_lost", help, self.lost.clone());
        list.register("store_requests", "What a store was asked", self.requests.clone());
        list.register("store_errors", "What a store did not do, by kind", self.errors.clone());
        let help = "Rows and changes of rows that a store has for good";
        list.register("store_rows_written", help, self.rows.clone());
    }
}

impl StoreFigures {
    /// Something went wrong, of this kind.
    pub fn failed(&self, kind: &'static str) {
        let labels = ErrorLabels { store: self.store.clone(), kind };
        self.errors.get_or_create(&labels).inc();
    }
}
