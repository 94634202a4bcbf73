//! The whole node as a process: its folder of plans, its API, its failures.

mod bad_input;
mod budget;
mod contract;
mod dead_letters;
mod deployment;
mod documents;
mod edges;
mod edits;
mod external;
mod external_queries;
mod faults;
mod flow;
mod folder;
mod ledger;
mod links;
mod load;
mod node;
mod outbox;
mod pair;
mod restart;
#[allow(dead_code, reason = "the tests of the room `store` use more of it")]
#[path = "../stores/servers.rs"]
mod servers;
mod shipped;
mod store_versions;
mod stores;
mod tls;
mod waiting;
mod witness;
