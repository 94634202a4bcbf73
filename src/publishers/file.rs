//! `file`: appends to a file, whole parcels at a time, with rotation by size if asked.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use crate::event::Batch;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::Template;
use crate::mappers::codes;
use crate::mappers::options;
use crate::mappers::options::Form;
use crate::mappers::options::Options;
use crate::mappers::options::needed;
use crate::mappers::options::option;
use crate::mappers::options::optional;
use crate::publishers::Definition;
use crate::publishers::ON_ERROR;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::publishers::Publisher;
use crate::publishers::Setup;
use crate::publishers::outgoing::Outgoing;

/// Files held open at once by one publisher whose path names attributes.
const OPEN_MAX: usize = 64;

/// Appends to a file.
pub const DEFINITION: Definition = Definition {
    options: &options::Definition {
        name: "file",
        help: "Appends each message to a file.",
        options: &[
            needed(
                "file.uri",
                Form::Text,
                "The file; it and its folder are made when missing, and `/` in an attribute's \
                 value counts as `_`.",
            )
            .dynamic(),
            option(
                "append",
                Form::Bool,
                "true",
                "Whether what is in the file at the start is kept.",
            ),
            option("add.line.separator", Form::Bool, "true", "Whether each message ends its line."),
            optional(
                "rotate.size",
                Form::Size(1024, 1 << 40),
                "A file that would grow beyond this is renamed to `name.1`, that one to `name.2` \
                 and so on, and a new one begun; without it a file grows for ever.",
            ),
            option("rotate.keep", Form::Whole(1, 1000), "5", "How many renamed files are kept."),
            ON_ERROR,
        ],
        not_yet: &["file.system.options"],
        example: "@sink(type='file', file.uri='data/alerts.jsonl', @map(type='json'))\n\
                  define stream Alerts (ip string, count long);",
    },
    default_mapper: "json",
    build,
};

#[derive(Debug)]
struct FilePublisher {
    outgoing: Outgoing,
    path: Template,
    keeps: bool,
    ends_lines: bool,
    rotation: Option<Rotation>,
    open: BTreeMap<PathBuf, Open>,
    /// Counts uses, to find the file that was not used for longest.
    uses: u64,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Rotation {
    bytes_max: u64,
    keep: u32,
}

#[derive(Debug)]
struct Open {
    file: File,
    device: u64,
    inode: u64,
    used: u64,
}

fn build(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Publisher>> {
    let outgoing = Outgoing::build(setup, DEFINITION.default_mapper, faults);
    let text = options.text("file.uri")?;
    let place = options.place("file.uri");
    let text = match text.split_once("://") {
        Some(("file", path)) => path,
        Some((scheme, _)) => {
            let what = format!("files by way of `{scheme}`");
            faults.push(Diagnostic::not_supported(codes::NOT_SUPPORTED, place, &what));
            return None;
        }
        None => text.strip_prefix("file:").unwrap_or(text),
    };
    let path = Template::parse(text, setup.schema)
        .map_err(|text| {
            let text = format!("option `file.uri`: {text}");
            faults.push(Diagnostic::error(codes::TEMPLATE, place, text));
        })
        .ok()?;
    if text.trim().is_empty() || text.ends_with('/') {
        let text = "option `file.uri`: expected the path of a file";
        faults.push(Diagnostic::error(codes::OPTION_VALUE, place, text));
    }
    let bytes_max = options.number("rotate.size").and_then(|bytes| u64::try_from(bytes).ok());
    let keep = options.number("rotate.keep").and_then(|keep| u32::try_from(keep).ok())?;
    Some(Box::new(FilePublisher {
        outgoing: outgoing?,
        path,
        keeps: options.flag("append"),
        ends_lines: options.flag("add.line.separator"),
        rotation: bytes_max.map(|bytes_max| Rotation { bytes_max, keep }),
        open: BTreeMap::new(),
        uses: 0,
        buffer: Vec::new(),
    }))
}

/// The path for a row. What an event says can name a file in the folder, not leave it: separators
/// and control characters count as `_`, and a point at the beginning too.
fn path(template: &Template, batch: &Batch, row: usize) -> PathBuf {
    let text = template.text_with(batch, row, |value| {
        let plain = |character: char| match character {
            '/' | '\\' => '_',
            character if character.is_control() => '_',
            character => character,
        };
        let value: String = value.chars().map(plain).collect();
        match value.strip_prefix('.') {
            Some(rest) => format!("_{rest}"),
            None => value,
        }
    });
    PathBuf::from(text)
}

impl FilePublisher {
    /// The file at a path: the one that is open if it still stands there.
    fn file(&mut self, path: &Path) -> io::Result<&mut Open> {
        let found = fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let is_same = |open: &Open| found == Some((open.device, open.inode));
        if !self.open.get(path).is_some_and(is_same) {
            let first_time = !self.open.contains_key(path);
            if self.open.len() >= OPEN_MAX {
                let oldest = self.open.iter().min_by_key(|(_, open)| open.used);
                if let Some(oldest) = oldest.map(|(path, _)| path.clone()) {
                    self.open.remove(&oldest);
                }
            }
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            // A path with attributes in it may be closed and opened again: what this publisher
            // wrote there stays.
            if first_time && !self.keeps && self.path.is_fixed() {
                file.set_len(0)?;
            }
            let metadata = file.metadata()?;
            let (device, inode) = (metadata.dev(), metadata.ino());
            self.open.insert(path.to_owned(), Open { file, device, inode, used: 0 });
        }
        self.uses += 1;
        let open = self.open.get_mut(path).expect("it was put there just now");
        open.used = self.uses;
        Ok(open)
    }

    /// Appends the buffer to a file, whole or not at all.
    fn append(&mut self, path: &Path) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let result = self.append_bytes(path, &buffer);
        self.buffer = buffer;
        result
    }

    fn append_bytes(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut before = self.file(path)?.file.metadata()?.len();
        if let Some(Rotation { bytes_max, keep }) = self.rotation
            && before > 0
            && before + bytes.len() as u64 > bytes_max
        {
            rotate(path, keep)?;
            before = self.file(path)?.file.metadata()?.len();
        }
        let file = &mut self.file(path)?.file;
        let result = file.write_all(bytes);
        if result.is_err() {
            // What was written of it would be doubled by the next try.
            file.set_len(before)?;
        }
        result
    }

    fn write(&mut self, parcel: &Parcel) -> io::Result<()> {
        self.outgoing.begin(parcel);
        let outgoing = self.outgoing.messages().iter();
        let messages: Vec<(Vec<u8>, usize, usize)> =
            outgoing.map(|(bytes, rows)| (bytes.to_vec(), rows.start, rows.end)).collect();
        let mut messages = messages.into_iter().peekable();
        while let Some((bytes, start, mut end)) = messages.next() {
            let target = path(&self.path, &parcel.batch, start);
            self.buffer.clear();
            self.add(&bytes);
            // Messages for the same file leave in one write.
            let same =
                |row: usize| self.path.is_fixed() || path(&self.path, &parcel.batch, row) == target;
            let mut run = Vec::new();
            while let Some(next) = messages.next_if(|(_, row, _)| same(*row)) {
                end = next.2;
                run.push(next.0);
            }
            run.iter().for_each(|bytes| self.add(bytes));
            self.append(&target)?;
            self.outgoing.arrived(end);
        }
        Ok(())
    }

    fn add(&mut self, message: &[u8]) {
        self.buffer.extend_from_slice(message);
        if self.ends_lines {
            self.buffer.push(b'\n');
        }
    }
}

/// Renames `name` to `name.1`, `name.1` to `name.2` and so on; the last one goes.
fn rotate(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        PathBuf::from(name)
    };
    for number in (0..keep).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

impl Publisher for FilePublisher {
    fn open(&mut self) -> Result<(), PublishError> {
        if !self.path.is_fixed() {
            return Ok(());
        }
        let target = path(&self.path, &Batch::default(), 0);
        match self.file(&target) {
            Ok(_) => Ok(()),
            Err(error) => Err(failure(&target, &error)),
        }
    }

    fn publish(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        let written = self.write(parcel);
        written.map_err(|error| failure(&path(&self.path, &parcel.batch, 0), &error))
    }

    fn detail(&self) -> String {
        let names: Vec<String> =
            self.open.keys().take(3).map(|path| path.display().to_string()).collect();
        format!("{} open: {}", self.open.len(), names.join(", "))
    }
}

fn failure(path: &Path, error: &io::Error) -> PublishError {
    PublishError::transient(format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Schema;
    use crate::event::Value;
    use crate::publishers::harness::Sink;

    fn schema() -> Schema {
        Schema::new([("ip", DataType::Text), ("n", DataType::Long)])
    }

    fn sink(path: &Path) -> Sink {
        let path = path.to_str().unwrap();
        let sink = Sink::new("file", &schema()).option("file.uri", path);
        sink.mapper("text").payload("{{ip}} {{n}}")
    }

    fn read(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn messages_are_appended_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/log");
        let sink = sink(&path);
        let mut publisher = sink.build();
        publisher.open().unwrap();
        let rows: [&[Value]; 2] = [&["x".into(), Value::Long(1)], &["y".into(), Value::Long(2)]];
        publisher.publish(&sink.parcel(1, &rows)).unwrap();
        publisher.publish(&sink.parcel(3, &rows[..1])).unwrap();
        assert_eq!(read(path.clone()), "x 1\ny 2\nx 1\n");
        // Somebody else rotates the file: the next message makes a new one.
        fs::rename(&path, folder.path().join("old")).unwrap();
        publisher.publish(&sink.parcel(4, &rows[..1])).unwrap();
        assert_eq!(read(path.clone()), "x 1\n");
        sink.build().open().unwrap();
        assert_eq!(read(path.clone()), "x 1\n");
        let mut publisher =
            sink.option("append", "false").option("add.line.separator", "false").build();
        publisher.open().unwrap();
        assert_eq!(read(path.clone()), "");
        let sink = self::sink(&path);
        publisher.publish(&sink.parcel(1, &rows)).unwrap();
        publisher.publish(&sink.parcel(3, &rows)).unwrap();
        assert_eq!(read(path), "x 1y 2x 1y 2");
    }

    #[test]
    fn an_event_names_its_file_but_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let sink = sink(&folder.path().join("{{ip}}.log"));
        let mut publisher = sink.build();
        publisher.open().unwrap();
        let row = |ip: &str, n| [Value::from(ip), Value::Long(n)];
        let rows = [row("a", 1), row("a", 2), row("../../etc", 3), row(".hidden", 4), row("a", 5)];
        let rows: Vec<&[Value]> = rows.iter().map(|row| &row[..]).collect();
        publisher.publish(&sink.parcel(1, &rows)).unwrap();
        let file = |name: &str| read(folder.path().join(name));
        assert_eq!(file("a.log"), "a 1\na 2\na 5\n");
        assert_eq!(file("_._.._etc.log"), "../../etc 3\n");
        assert_eq!(file("_hidden.log"), ".hidden 4\n");
        for n in 0..200 {
            let row = row(&n.to_string(), n);
            publisher.publish(&sink.parcel(10 + n as u64, &[&row])).unwrap();
        }
        assert!(publisher.detail().starts_with("64 open"), "{}", publisher.detail());
        assert_eq!(file("150.log"), "150 150\n");
    }

    #[test]
    fn a_file_that_grows_too_large_is_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sink = sink(&path).option("rotate.size", "1KiB").option("rotate.keep", "2");
        let mut publisher = sink.build();
        publisher.open().unwrap();
        let text = "x".repeat(397);
        for n in 0..9 {
            let row = [Value::from(text.as_str()), Value::Long(n)];
            publisher.publish(&sink.parcel(1 + n as u64, &[&row])).unwrap();
        }
        // Two lines of 400 bytes a file.
        let numbers = |name: &str| -> Vec<String> {
            let text = read(folder.path().join(name));
            text.lines().map(|line| line[398..].to_owned()).collect()
        };
        assert_eq!(numbers("log"), ["8"]);
        assert_eq!(numbers("log.1"), ["6", "7"]);
        assert_eq!(numbers("log.2"), ["4", "5"]);
        assert!(!folder.path().join("log.3").exists());
    }

    #[test]
    fn a_failed_parcel_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let sink = sink(&folder.path().join("{{ip}}/log"));
        let mut publisher = sink.build();
        fs::write(folder.path().join("b"), "in the way").unwrap();
        let rows: [&[Value]; 2] = [&["a".into(), Value::Long(1)], &["b".into(), Value::Long(2)]];
        let parcel = sink.parcel(1, &rows);
        assert!(publisher.publish(&parcel).unwrap_err().transient);
        fs::remove_file(folder.path().join("b")).unwrap();
        publisher.publish(&parcel).unwrap();
        assert_eq!(read(folder.path().join("a/log")), "a 1\n");
        assert_eq!(read(folder.path().join("b/log")), "b 2\n");
    }

    #[test]
    fn paths_are_checked() {
        let file = |path: &str| Sink::new("file", &schema()).option("file.uri", path);
        for (sink, words) in [
            (Sink::new("file", &schema()), "needs the option `file.uri`"),
            (file("a/{{pi}}"), "the stream has no attribute `pi`"),
            (file("a/"), "expected the path of a file"),
            (file("ftp://a"), "not supported yet: files by way of `ftp`"),
            (file("a").option("rotate.size", "10"), "from 1024 to"),
        ] {
            let faults = sink.faults();
            assert!(faults[0].message.contains(words), "{words}: {faults:?}");
        }
    }
}
