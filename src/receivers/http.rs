//! `http`: requests to a named path of the node's own HTTP server.
//!
//! The receiver puts an [`Entrance`] at its path when it opens and takes it away when it closes;
//! the server looks the path up in [`Paths`], lets the entrance read the body, and gives the rows.
//! A request is taken whole or refused whole.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;

use crate::event::Batch;
use crate::event::DataType;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::Arrival;
use crate::mappers::DecodeError;
use crate::mappers::Decoder;
use crate::mappers::codes;
use crate::mappers::decoder;
use crate::mappers::options;
use crate::mappers::options::Form;
use crate::mappers::options::Options;
use crate::mappers::options::optional;
use crate::receivers::Definition;
use crate::receivers::Door;
use crate::receivers::Mark;
use crate::receivers::Next;
use crate::receivers::Received;
use crate::receivers::Receiver;
use crate::receivers::ReceiverError;
use crate::receivers::Setup;
use crate::receivers::copies;
use crate::receivers::now;
use crate::receivers::reading::mapping;

/// Takes requests to a path.
pub const DEFINITION: Definition = Definition {
    options: &options::Definition {
        name: "http",
        help: "Takes POST requests to a path of the node's own HTTP server.",
        options: &[
            optional(
                "path",
                Form::Text,
                "The path below `/api/v1/receivers`; without it `/{plan}/{stream}`.",
            ),
            copies::DUPLICATED,
            copies::DUPLICATED_TOO,
            copies::ID,
            copies::WINDOW,
        ],
        not_yet: &[
            "receiver.url",
            "basic.auth.enabled",
            "worker.count",
            "socket.idle.timeout",
            "ssl.verify.client",
            "ssl.protocol",
            "tls.store.type",
            "ssl.configurations",
            "request.size.validation.configuration",
            "header.validation.configurations",
            "server.bootstrap.configurations",
            "trace.log.enabled",
        ],
        example: "@source(type='http', path='/logins', @map(type='json'))\n\
                  define stream Logins (user string, ip string);",
    },
    default_mapper: "json",
    build,
};

/// The named paths of a node; clones are the same paths.
#[derive(Clone, Debug, Default)]
pub struct Paths(Arc<RwLock<BTreeMap<String, Arc<Entrance>>>>);

impl Paths {
    /// No paths yet.
    #[must_use]
    pub fn new() -> Paths {
        Paths::default()
    }

    /// The entrance at a path, which begins with `/`.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Arc<Entrance>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(path).map(Arc::clone)
    }

    /// All paths in order, for the status page.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Puts an entrance at its path; the error names who is there already.
    fn put(&self, entrance: &Arc<Entrance>) -> Result<(), String> {
        let mut paths = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match paths.get(&entrance.path) {
            Some(other) if (&other.plan, &other.stream) != (&entrance.plan, &entrance.stream) => {
                Err(format!("stream `{}` of plan `{}`", other.stream, other.plan))
            }
            // One of the same name is what a fallen receiver left behind.
            _ => {
                paths.insert(entrance.path.clone(), Arc::clone(entrance));
                Ok(())
            }
        }
    }

    fn remove(&self, entrance: &Arc<Entrance>) {
        let mut paths = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if paths.get(&entrance.path).is_some_and(|other| Arc::ptr_eq(other, entrance)) {
            paths.remove(&entrance.path);
        }
    }
}

/// A way into a stream for whoever serves requests.
pub struct Entrance {
    path: String,
    plan: String,
    stream: String,
    types: Vec<DataType>,
    decoder: Mutex<Box<dyn Decoder>>,
    door: Door,
}

impl Entrance {
    /// The path it stands at.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The plan it leads to.
    #[must_use]
    pub fn plan(&self) -> &str {
        &self.plan
    }

    /// The stream it leads to.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Reads the body of a request; one body is one send. Nothing is taken yet.
    ///
    /// # Errors
    /// The first bad event.
    pub fn read(&self, body: &[u8], rows_max: usize) -> Result<Received, DecodeError> {
        let mut batch = Batch::new(&self.types);
        let arrival = Arrival { at: now(), rows_max };
        let mut decoder = self.decoder.lock().unwrap_or_else(PoisonError::into_inner);
        decoder.begin();
        let decoded = decoder.decode(body, &arrival, &mut batch)?;
        Ok(Received { batch, unmatched: decoded.unmatched, ..Received::default() })
    }

    /// Hands over what was read, waiting until it is as safe as the node's settings say. `false` if
    /// the plan takes nothing any more: then nothing was taken.
    #[must_use = "rows that were not taken must be refused to their sender"]
    pub async fn give(&self, received: Received) -> bool {
        self.door.give_safely(received).await
    }
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entrance({} to {}/{})", self.path, self.plan, self.stream)
    }
}

struct Http {
    paths: Paths,
    path: String,
    plan: String,
    stream: String,
    types: Vec<DataType>,
    /// Until it is opened.
    decoder: Option<Box<dyn Decoder>>,
    entrance: Option<Arc<Entrance>>,
}

fn build(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Receiver>> {
    let decoder = decoder(&mapping(setup, DEFINITION.default_mapper), setup.schema, faults);
    let path = match options.text("path") {
        Some(path) => path.to_owned(),
        None => format!("/{}/{}", setup.plan, setup.stream),
    };
    if !is_path(&path) {
        let text = format!(
            "option `path`: expected `/` and then letters, digits, `-`, `_`, `.` or `/`, \
             found `{path}`"
        );
        faults.push(Diagnostic::error(codes::OPTION_VALUE, options.place("path"), text));
        return None;
    }
    Some(Box::new(Http {
        paths: setup.paths.clone(),
        path,
        plan: setup.plan.to_owned(),
        stream: setup.stream.to_owned(),
        types: setup.schema.types(),
        decoder: Some(decoder?),
        entrance: None,
    }))
}

fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let word = |word: &str| !matches!(word, "" | "." | "..") && word.bytes().all(plain);
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(word))
}

impl Receiver for Http {
    fn pulls(&self) -> bool {
        false
    }

    fn open(&mut self, door: &Door, _: Option<&Mark>) -> Result<(), ReceiverError> {
        let decoder = self.decoder.take();
        let decoder = decoder.ok_or_else(|| ReceiverError::permanent("opened twice"))?;
        let entrance = Arc::new(Entrance {
            path: self.path.clone(),
            plan: self.plan.clone(),
            stream: self.stream.clone(),
            types: self.types.clone(),
            decoder: Mutex::new(decoder),
            door: door.clone(),
        });
        self.paths.put(&entrance).map_err(|other| {
            ReceiverError::transient(format!("path `{}` is taken by {other}", self.path))
        })?;
        self.entrance = Some(entrance);
        Ok(())
    }

    fn poll(&mut self) -> Result<(Received, Next), ReceiverError> {
        Ok((Received::default(), Next::WhenWoken))
    }

    fn close(&mut self) {
        if let Some(entrance) = self.entrance.take() {
            self.paths.remove(&entrance);
        }
    }

    fn detail(&self) -> String {
        format!("requests to `/api/v1/receivers{}`", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Schema;
    use crate::event::Value;
    use crate::mappers::Fault;
    use crate::receivers::harness::Source;

    fn schema() -> Schema {
        Schema::new([("ip", DataType::Text), ("n", DataType::Long)])
    }

    #[test]
    fn a_body_is_read_whole_or_refused_whole() {
        let source = Source::new("http", &schema()).option("path", "/logins").mapper("json");
        let mut receiver = source.build();
        assert!(source.paths.find("/logins").is_none());
        receiver.open(&source.door(), None).unwrap();
        let entrance = source.paths.find("/logins").unwrap();
        let received = entrance.read(br#"[{"ip":"a","n":1},{"ip":"b","n":2}]"#, 9).unwrap();
        assert_eq!(received.batch.row(1), [Value::from("b"), Value::Long(2)]);
        assert!(received.batch.send_continues.get(0));
        let error = entrance.read(br#"[{"ip":"a","n":1},{"ip":"b"}]"#, 9).unwrap_err();
        assert_eq!((error.index, error.fault), (1, Fault::Missing));
        let error = entrance.read(br#"[{"ip":"a","n":1},{"ip":"b","n":2}]"#, 1).unwrap_err();
        assert_eq!(error.fault, Fault::TooMany);
        receiver.close();
        assert!(source.paths.find("/logins").is_none());
    }

    #[test]
    fn a_path_belongs_to_one_stream() {
        let one = Source::new("http", &schema()).option("path", "/logins");
        let mut other = Source::new("http", &schema()).option("path", "/logins").stream("Other");
        other.paths = one.paths.clone();
        let mut first = one.build();
        first.open(&one.door(), None).unwrap();
        let mut second = other.build();
        let error = second.open(&other.door(), None).unwrap_err();
        assert!(error.transient && error.message.contains("taken by stream `S` of plan `p`"));
        // A fallen receiver did not close; the next of its stream takes the path over.
        let mut again = one.build();
        again.open(&one.door(), None).unwrap();
        first.close();
        assert_eq!(one.paths.list(), ["/logins"]);
        let default = Source::new("http", &schema());
        default.build().open(&default.door(), None).unwrap();
        assert_eq!(default.paths.list(), ["/p/S"]);
    }

    #[test]
    fn odd_paths_are_refused() {
        for path in ["logins", "/", "/a//b", "/a/", "/../b", "/a b", "/ä", ""] {
            let faults = Source::new("http", &schema()).option("path", path).faults();
            assert!(faults[0].message.contains("option `path`"), "{path}: {faults:?}");
        }
    }
}
