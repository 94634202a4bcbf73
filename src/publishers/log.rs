//! `log`: into the node's own log, a line an event, for people.

use std::fmt;

use tracing::Level;
use tracing::debug;
use tracing::error;
use tracing::info;
use tracing::trace;
use tracing::warn;

use crate::language::diagnostic::Diagnostic;
use crate::mappers;
use crate::mappers::PASS_THROUGH;
use crate::mappers::Template;
use crate::mappers::options;
use crate::mappers::options::Form;
use crate::mappers::options::Options;
use crate::mappers::options::option;
use crate::mappers::options::optional;
use crate::publishers::Definition;
use crate::publishers::ON_ERROR;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::publishers::Publisher;
use crate::publishers::Setup;
use crate::publishers::outgoing::Outgoing;
use crate::publishers::outgoing::mapping;

/// Writes to the log.
pub const DEFINITION: Definition = Definition {
    options: &options::Definition {
        name: "log",
        help: "Writes each event to the node's own log.",
        options: &[
            option(
                "priority",
                Form::Word(&["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"]),
                "INFO",
                "How important the lines are; `FATAL` is `ERROR`, `OFF` writes nothing.",
            ),
            optional("prefix", Form::Text, "What stands first; without it plan and stream.")
                .dynamic(),
            ON_ERROR,
        ],
        not_yet: &[],
        example: "@sink(type='log', prefix='alert', @map(type='text', @payload('{{ip}}')))\n\
                  define stream Alerts (ip string);",
    },
    default_mapper: PASS_THROUGH,
    build,
};

/// Where lines go; another place in tests.
type Write = Box<dyn FnMut(Level, &str, &str)>;

struct Log {
    outgoing: Outgoing,
    level: Option<Level>,
    prefix: Option<Template>,
    write: Write,
}

fn build(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Publisher>> {
    let log = make(setup, options, faults)?;
    Some(Box::new(log))
}

fn make(setup: &Setup<'_>, options: &Options, faults: &mut Vec<Diagnostic>) -> Option<Log> {
    let mapping = mapping(setup, DEFINITION.default_mapper);
    let shows_rows = mapping.kind.eq_ignore_ascii_case(PASS_THROUGH);
    let outgoing = match shows_rows {
        // Rows as they are have no text; people read pairs well.
        true if mappers::check_rows(&mapping, faults) => {
            let mut bare = setup.endpoint.clone();
            bare.map = None;
            Outgoing::build(&Setup { endpoint: &bare, ..*setup }, "keyvalue", faults)
        }
        true => None,
        false => Outgoing::build(setup, DEFINITION.default_mapper, faults),
    };
    let level = match options.word("priority")? {
        "TRACE" => Some(Level::TRACE),
        "DEBUG" => Some(Level::DEBUG),
        "WARN" => Some(Level::WARN),
        "ERROR" | "FATAL" => Some(Level::ERROR),
        "OFF" => None,
        _ => Some(Level::INFO),
    };
    let prefix = match options.is_given("prefix") {
        true => Some(options.template("prefix", setup.schema, faults)?),
        false => None,
    };
    let name = format!("{}/{}", setup.plan, setup.stream);
    let write = Box::new(move |level, prefix: &str, text: &str| match prefix {
        "" => write_to_log(level, &name, text),
        _ => write_to_log(level, prefix, text),
    });
    Some(Log { outgoing: outgoing?, level, prefix, write })
}

fn write_to_log(level: Level, prefix: &str, text: &str) {
    match level {
        Level::TRACE => trace!("{prefix} : {text}"),
        Level::DEBUG => debug!("{prefix} : {text}"),
        Level::INFO => info!("{prefix} : {text}"),
        Level::WARN => warn!("{prefix} : {text}"),
        Level::ERROR => error!("{prefix} : {text}"),
    }
}

/// One line, whatever an event says: control characters come escaped, so that no event can write
/// lines of its own into the log.
fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

impl Publisher for Log {
    fn open(&mut self) -> Result<(), PublishError> {
        Ok(())
    }

    fn publish(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        let Some(level) = self.level else { return Ok(()) };
        self.outgoing.begin(parcel);
        for (message, rows) in self.outgoing.messages().iter() {
            let prefix = self.prefix.as_ref().map(|prefix| prefix.text(&parcel.batch, rows.start));
            let prefix = one_line(prefix.unwrap_or_default().as_bytes());
            (self.write)(level, &prefix, &one_line(message));
        }
        Ok(())
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("level", &self.level).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Schema;
    use crate::event::Value;
    use crate::publishers::OnError;
    use crate::publishers::harness::Sink;
    use std::cell::RefCell;
    use std::rc::Rc;

    fn written(sink: &Sink) -> Vec<(Level, String, String)> {
        let mut faults = Vec::new();
        let (endpoint, span) = (&sink.endpoint, sink.endpoint.span);
        let options =
            Options::read("publisher", DEFINITION.options, &endpoint.options, span, &mut faults);
        let mut log = make(&sink.setup(), &options, &mut faults).unwrap();
        let lines: Rc<RefCell<Vec<_>>> = Rc::default();
        let into = Rc::clone(&lines);
        log.write = Box::new(move |level, prefix, text| {
            into.borrow_mut().push((level, prefix.to_owned(), text.to_owned()));
        });
        log.open().unwrap();
        let rows: [&[Value]; 2] =
            [&["a\nINFO forged".into(), Value::Long(1)], &[Value::Null, Value::Long(2)]];
        log.publish(&sink.parcel(1, &rows)).unwrap();
        lines.take()
    }

    #[test]
    fn each_event_is_one_line() {
        let schema = Schema::new([("ip", DataType::Text), ("n", DataType::Long)]);
        let sink = Sink::new("log", &schema).option("priority", "warn");
        let lines = written(&sink);
        assert_eq!(lines[0], (Level::WARN, String::new(), "ip:\"a\\nINFO forged\",n:1".into()));
        assert_eq!(lines[1].2, "ip:null,n:2");
        let sink = Sink::new("log", &schema)
            .option("prefix", "alert {{n}}")
            .mapper("text")
            .payload("from {{ip}}");
        let lines = written(&sink);
        assert_eq!(lines[0], (Level::INFO, "alert 1".into(), "from a\\nINFO forged".into()));
        assert!(written(&Sink::new("log", &schema).option("priority", "OFF")).is_empty());
    }

    #[test]
    fn options_are_checked() {
        let schema = Schema::new([("ip", DataType::Text)]);
        let log = || Sink::new("log", &schema);
        for (sink, words) in [
            (log().option("priority", "loud"), "one of `TRACE`, `DEBUG`"),
            (log().option("prefix", "{{pi}}"), "the stream has no attribute `pi`"),
            (log().option("on.error", "RETRY"), "one of `LOG`, `WAIT`"),
            (log().mapper("xml"), "not supported yet: mapper `xml`"),
            (log().mapper("passThrough").payload("x"), "maps nothing"),
            (Sink::new("lgo", &schema), "there is no publisher `lgo`"),
            (Sink::new("kafka", &schema), "not supported yet: publisher `kafka`"),
        ] {
            let faults = sink.faults();
            assert!(faults[0].message.contains(words), "{words}: {faults:?}");
        }
        let on_error = |word| log().option("on.error", word).try_build().unwrap().on_error;
        assert_eq!(on_error("wait"), OnError::Wait);
        assert_eq!(on_error("STREAM"), OnError::Stream);
        assert_eq!(log().try_build().unwrap().on_error, OnError::Log);
    }
}
