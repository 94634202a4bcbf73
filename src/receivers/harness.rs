//! What the tests of receivers share: a source in the making, and a door that counts its wakes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Span;
use crate::plan::logical::Endpoint;
use crate::plan::logical::EndpointOption;
use crate::plan::logical::Mapping;
use crate::receivers::Built;
use crate::receivers::Door;
use crate::receivers::Mark;
use crate::receivers::Received;
use crate::receivers::Receiver;
use crate::receivers::Setup;
use crate::receivers::Threshold;
use crate::receivers::build;
use crate::receivers::http::Paths;
use crate::topics::Topics;

#[derive(Default)]
struct Counting {
    wakes: AtomicUsize,
    place: Mutex<Option<Mark>>,
}

impl Threshold for Counting {
    fn give(&self, _: Received) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async { true })
    }

    fn give_safely(&self, received: Received) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        self.give(received)
    }

    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }

    fn place(&self) -> Option<Option<Mark>> {
        Some(self.place.lock().expect("whole").clone())
    }
}

/// A `@source` of stream `S` of plan `p`.
pub struct Source {
    pub endpoint: Endpoint,
    pub schema: Schema,
    pub stream: String,
    pub topics: Topics,
    pub paths: Paths,
    threshold: Arc<Counting>,
}

fn pair(key: &str, value: &str) -> EndpointOption {
    EndpointOption { key: key.to_owned(), value: value.to_owned(), span: Span::default() }
}

impl Source {
    pub fn new(kind: &str, schema: &Schema) -> Source {
        let (kind, options, span) = (kind.to_owned(), Vec::new(), Span::default());
        Source {
            endpoint: Endpoint { kind, options, map: None, span },
            schema: schema.clone(),
            stream: "S".to_owned(),
            topics: Topics::new(),
            paths: Paths::new(),
            threshold: Arc::default(),
        }
    }

    pub fn stream(mut self, stream: &str) -> Source {
        self.stream = stream.to_owned();
        self
    }

    pub fn option(mut self, key: &str, value: &str) -> Source {
        self.endpoint.options.push(pair(key, value));
        self
    }

    pub fn mapper(mut self, kind: &str) -> Source {
        self.endpoint.map = Some(Mapping {
            kind: kind.to_owned(),
            options: Vec::new(),
            attributes: Vec::new(),
            payload: Vec::new(),
            span: Span::default(),
        });
        self
    }

    /// An option of the mapper.
    pub fn map_option(mut self, key: &str, value: &str) -> Source {
        self.endpoint.map.as_mut().expect("a mapper").options.push(pair(key, value));
        self
    }

    /// An entry of `@attributes`.
    pub fn attribute(mut self, key: &str, value: &str) -> Source {
        self.endpoint.map.as_mut().expect("a mapper").attributes.push(pair(key, value));
        self
    }

    pub fn try_build(&self) -> Result<Built, Vec<Diagnostic>> {
        build(&Setup {
            plan: "p",
            name: "receiver:S:1",
            stream: &self.stream,
            schema: &self.schema,
            endpoint: &self.endpoint,
            topics: &self.topics,
            paths: &self.paths,
        })
    }

    pub fn build(&self) -> Box<dyn Receiver> {
        self.try_build().unwrap_or_else(|faults| panic!("{faults:?}")).receiver
    }

    pub fn faults(&self) -> Vec<Diagnostic> {
        self.try_build().map(|_| ()).expect_err("faults")
    }

    pub fn door(&self) -> Door {
        Door::new(self.threshold.clone())
    }

    /// What the plan's log says from now on.
    pub fn applied(&self, mark: Option<&Mark>) {
        *self.threshold.place.lock().expect("whole") = mark.cloned();
    }

    pub fn wakes(&self) -> usize {
        self.threshold.wakes.load(Ordering::Relaxed)
    }
}
