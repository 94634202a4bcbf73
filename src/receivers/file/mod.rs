//! `file`: follows a growing file, a line a message, through rotation and truncation.

mod follower;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crate::language::diagnostic::Diagnostic;
use crate::mappers::Arrival;
use crate::mappers::codes;
use crate::mappers::options;
use crate::mappers::options::Form;
use crate::mappers::options::Options;
use crate::mappers::options::needed;
use crate::mappers::options::option;
use crate::receivers::Definition;
use crate::receivers::Door;
use crate::receivers::Mark;
use crate::receivers::Next;
use crate::receivers::Received;
use crate::receivers::Receiver;
use crate::receivers::ReceiverError;
use crate::receivers::Setup;
use crate::receivers::copies;
use crate::receivers::file::follower::Follower;
use crate::receivers::file::follower::Piece;
use crate::receivers::file::follower::Place;
use crate::receivers::file::follower::Settings;
use crate::receivers::file::follower::Step;
use crate::receivers::now;
use crate::receivers::reading::Reading;

/// Follows a file.
pub const DEFINITION: Definition = Definition {
    options: &options::Definition {
        name: "file",
        help: "Follows a growing file, a line a message, through rotation and truncation.",
        options: &[
            needed("file.uri", Form::Text, "The file; it need not exist yet."),
            option("mode", Form::Word(MODES), "line", "What a message is: `line`."),
            option(
                "tailing",
                Form::Bool,
                "true",
                "Whether to wait for more at the end; else the source ends there.",
            ),
            option(
                "start.position",
                Form::Word(&["beginning", "end"]),
                "beginning",
                "Where to begin in a file that is there already.",
            ),
            option(
                "idle.flush",
                Form::Time(0, 3_600_000),
                "1 sec",
                "A last line without end counts as a line after this time without growth.",
            ),
            option(
                "rotation.wait",
                Form::Time(0, 3_600_000),
                "1 sec",
                "A file in whose place another one stands is left after this time without growth.",
            ),
            option(
                "file.polling.interval",
                Form::Time(1, 3_600_000),
                "200 ms",
                "How often to look for more at the end.",
            ),
            option(
                "line.bytes.max",
                Form::Size(16, 64 << 20),
                "1MiB",
                "A longer line is put aside as unreadable.",
            ),
            copies::DUPLICATED,
            copies::DUPLICATED_TOO,
            copies::ID,
            copies::WINDOW,
        ],
        not_yet: &[
            "dir.uri",
            "file.name.list",
            "file.name.pattern",
            "action.after.process",
            "action.after.failure",
            "move.after.process",
            "move.after.failure",
            "move.if.exist.mode",
            "begin.regex",
            "end.regex",
            "dir.polling.interval",
            "timeout",
            "file.read.wait.timeout",
            "header.present",
            "header.line.count",
            "read.only.header",
            "read.only.trailer",
            "skip.trailer",
            "buffer.size",
            "buffer.size.in.binary.chunked",
            "cron.expression",
            "file.system.options",
        ],
        example: "@source(type='file', file.uri='data/sshd.log', @map(type='text',\n    \
                  regex.A='Failed password for (.*) from (\\S+)', \
                  @attributes(user='A[1]', ip='A[2]')))\n\
                  define stream Failures (user string, ip string);",
    },
    default_mapper: "text",
    build,
};

const MODES: &[&str] =
    &["line", "text.full", "binary.full", "regex", "text.chunked", "binary.chunked"];

#[derive(Debug)]
struct FileReceiver {
    settings: Settings,
    interval: Duration,
    reading: Reading,
    follower: Option<Follower>,
}

fn build(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Receiver>> {
    let reading = Reading::build(setup, DEFINITION.default_mapper, faults);
    if let Some(mode) = options.word("mode").filter(|mode| *mode != "line") {
        let what = format!("mode `{mode}` of receiver `file`");
        let place = options.place("mode");
        faults.push(Diagnostic::not_supported(codes::NOT_SUPPORTED, place, &what));
    }
    let milliseconds = |key| {
        let number = options.number(key).and_then(|number| u64::try_from(number).ok());
        number.map(Duration::from_millis)
    };
    let path = path(options, faults)?;
    let settings = Settings {
        path,
        from_end: options.word("start.position") == Some("end"),
        follow: options.flag("tailing"),
        idle_flush: milliseconds("idle.flush")?,
        rotation_wait: milliseconds("rotation.wait")?,
        line_bytes_max: usize::try_from(options.number("line.bytes.max")?).ok()?,
    };
    let interval = milliseconds("file.polling.interval")?;
    Some(Box::new(FileReceiver { settings, interval, reading: reading?, follower: None }))
}

/// `file.uri` as a path: `file:/a/b`, `file:///a/b`, `/a/b` or `b`, which stands in the folder
/// where the node was started.
fn path(options: &Options, faults: &mut Vec<Diagnostic>) -> Option<PathBuf> {
    let text = options.text("file.uri")?;
    let place = options.place("file.uri");
    let path = match text.split_once("://") {
        Some(("file", path)) => path,
        Some((scheme, _)) => {
            let what = format!("files by way of `{scheme}`");
            faults.push(Diagnostic::not_supported(codes::NOT_SUPPORTED, place, &what));
            return None;
        }
        None => text.strip_prefix("file:").unwrap_or(text),
    };
    if path.trim().is_empty() {
        let text = "option `file.uri`: expected the path of a file";
        faults.push(Diagnostic::error(codes::OPTION_VALUE, place, text));
        return None;
    }
    Some(PathBuf::from(path))
}

impl FileReceiver {
    fn lost(&self, error: &io::Error) -> ReceiverError {
        ReceiverError::transient(format!("`{}`: {error}", self.settings.path.display()))
    }

    fn read(&mut self) -> io::Result<Next> {
        let follower =
            self.follower.get_or_insert_with(|| Follower::new(self.settings.clone(), None));
        loop {
            while let Some(piece) = follower.piece() {
                match piece {
                    Piece::Line(range) => {
                        self.reading.message(follower.bytes(range), &Arrival::at(now()));
                    }
                    Piece::TooLong(range) => {
                        let most = self.settings.line_bytes_max;
                        let reason = format!("expected lines of at most {most} bytes");
                        self.reading.refuse(reason, follower.bytes(range).to_vec());
                    }
                }
                if self.reading.is_full() {
                    return Ok(Next::Now);
                }
            }
            match follower.advance(Instant::now())? {
                Step::Read => {}
                Step::Began => self.reading.begin(),
                Step::Resumed => {
                    self.reading.begin();
                    if self.reading.wants_head() {
                        self.reading.head(&follower.head_line()?);
                    }
                }
                Step::Idle => return Ok(Next::After(self.interval)),
                Step::End => return Ok(Next::Never),
            }
        }
    }
}

impl Receiver for FileReceiver {
    fn pass_over(&mut self) {
        self.settings.from_end = true;
    }

    fn open(&mut self, _: &Door, mark: Option<&Mark>) -> Result<(), ReceiverError> {
        let place = mark.and_then(|mark| Place::parse(&mark.0));
        self.follower = Some(Follower::new(self.settings.clone(), place));
        Ok(())
    }

    fn poll(&mut self) -> Result<(Received, Next), ReceiverError> {
        let next = self.read().map_err(|error| self.lost(&error))?;
        let mut received = self.reading.finish();
        let place = self.follower.as_ref().and_then(Follower::place);
        received.mark = place.map(|place| Mark(place.print()));
        Ok((received, next))
    }

    fn detail(&self) -> String {
        self.follower.as_ref().map(Follower::detail).unwrap_or_default()
    }
}
