//! What the tests of publishers share: a sink in the making, and parcels for it.

use std::sync::Arc;

use crate::event::Batch;
use crate::event::Schema;
use crate::event::Value;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Span;
use crate::plan::logical::Endpoint;
use crate::plan::logical::EndpointOption;
use crate::plan::logical::Mapping;
use crate::plan::logical::Role;
use crate::publishers::Built;
use crate::publishers::Parcel;
use crate::publishers::Publisher;
use crate::publishers::Setup;
use crate::publishers::Stores;
use crate::publishers::build;
use crate::topics::Topics;

/// A `@sink` of stream `S` of plan `p`.
pub struct Sink {
    pub endpoint: Endpoint,
    pub schema: Schema,
    pub topics: Topics,
    pub role: Role,
    pub stores: Option<Stores>,
}

fn pair(key: &str, value: &str) -> EndpointOption {
    EndpointOption { key: key.to_owned(), value: value.to_owned(), span: Span::default() }
}

impl Sink {
    pub fn new(kind: &str, schema: &Schema) -> Sink {
        let (kind, options, span) = (kind.to_owned(), Vec::new(), Span::default());
        let endpoint = Endpoint { kind, options, map: None, span };
        let (topics, role, stores) = (Topics::new(), Role::Sink, None);
        Sink { endpoint, schema: schema.clone(), topics, role, stores }
    }

    pub fn option(mut self, key: &str, value: &str) -> Sink {
        self.endpoint.options.push(pair(key, value));
        self
    }

    pub fn mapper(mut self, kind: &str) -> Sink {
        self.endpoint.map = Some(Mapping {
            kind: kind.to_owned(),
            options: Vec::new(),
            attributes: Vec::new(),
            payload: Vec::new(),
            span: Span::default(),
        });
        self
    }

    /// The text of `@payload`.
    pub fn payload(mut self, text: &str) -> Sink {
        self.endpoint.map.as_mut().expect("a mapper").payload.push(pair("", text));
        self
    }

    pub fn setup(&self) -> Setup<'_> {
        let (plan, stream, schema, endpoint) = ("p", "S", &self.schema, &self.endpoint);
        let (role, topics, stores) = (self.role, &self.topics, self.stores.as_ref());
        Setup { plan, stream, schema, endpoint, role, topics, stores }
    }

    pub fn try_build(&self) -> Result<Built, Vec<Diagnostic>> {
        build(&self.setup())
    }

    pub fn build(&self) -> Box<dyn Publisher> {
        self.try_build().unwrap_or_else(|faults| panic!("{faults:?}")).publisher
    }

    pub fn faults(&self) -> Vec<Diagnostic> {
        self.try_build().expect_err("faults")
    }

    pub fn parcel(&self, number: u64, rows: &[&[Value]]) -> Parcel {
        let mut batch = Batch::new(&self.schema.types());
        rows.iter().for_each(|row| batch.push_row(0, row));
        Parcel {
            plan: "p".into(),
            stream: "S".into(),
            publisher: "publisher:S:1".into(),
            schema: Arc::new(self.schema.clone()),
            generation: 7,
            epoch: 0,
            reading: 0,
            number,
            batch: Arc::new(batch),
        }
    }
}
