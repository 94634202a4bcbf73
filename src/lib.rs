//! Twinflow: a stream engine that runs as a pair.
//!
//! The engine can be used without a node: a plan is a function of the entries it is given, and
//! what leaves it goes to an [`Outlet`](engine::entry::Outlet).
//!
//! ```
//! use twinflow::engine::core::PlanCore;
//! use twinflow::engine::entry::{Entry, Input, Outlet};
//! use twinflow::engine::library::Library;
//! use twinflow::event::{Batch, Value};
//!
//! /// Prints alerts as they come.
//! struct Alerts(Vec<String>);
//!
//! impl Outlet for Alerts {
//!     fn stream(&mut self, _stream: usize, _now: i64, rows: &Batch) {
//!         self.0.extend((0..rows.len()).map(|row| format!("{:?}", rows.row(row))));
//!     }
//!     fn query(&mut self, _query: usize, _now: i64, _rows: &Batch) {}
//!     fn note(&mut self, _note: twinflow::engine::context::Note) {}
//! }
//!
//! let text = "define stream Logins (user string, success bool);
//!     from Logins[not success]#window.length(100)
//!     select user, count() as failures group by user
//!     having failures == 3 insert into Alerts;";
//! let parsed = twinflow::language::parse(text);
//! let checked = twinflow::plan::check(&parsed.tree, text, &Library::standard());
//! let plan = checked.plan.expect("the plan is right");
//!
//! let mut core = PlanCore::build(plan.into(), 7)?;
//! core.start(0);
//! core.watch_stream(core.plan().stream("Alerts").expect("defined by the query"));
//! let logins = core.plan().stream("Logins").expect("defined");
//!
//! let mut rows = Batch::new(&core.plan().streams[logins].schema.types());
//! for time in 0..3 {
//!     rows.push_row(time, &[Value::from("ann"), Value::Bool(false)]);
//! }
//! let mut alerts = Alerts(Vec::new());
//! let input = Input::Rows { stream: logins, batch: &rows };
//! core.apply(&Entry { at: 10, input }, &mut alerts);
//! assert_eq!(alerts.0, [r#"[Text("ann"), Long(3)]"#]);
//! # Ok::<(), twinflow::engine::build::BuildError>(())
//! ```
//!
//! Functions, aggregators, windows and stream functions of one's own are brought along by an
//! [`Extension`](engine::library::Extension); `examples/extension.rs` shows how.
//!
//! The rooms of the house are explained, with who may use whom, in `ARCHITECTURE.md`. A pure room
//! is declared under `#[deny(clippy::disallowed_methods, clippy::disallowed_types)]`: what that
//! forbids stands in `.clippy.toml`.

#[cfg(feature = "node")]
pub mod actors;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod disk;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod engine;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod event;
pub mod ha;
#[cfg(feature = "node")]
pub mod http;
pub mod journal;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod language;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod mappers;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod plan;
pub mod publishers;
pub mod receivers;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod rehearsal;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod replica;
pub mod snapshot;
#[cfg(feature = "node")]
pub mod store;
pub mod telemetry;
pub mod topics;
