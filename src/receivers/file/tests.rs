//! The follower against real files, with a clock that the tests move; then the receiver as a whole.

use super::*;
use crate::event::DataType;
use crate::event::Schema;
use crate::event::Value;
use crate::receivers::generator::sshd_lines;
use crate::receivers::harness::Source;
use proptest::prelude::*;
use std::fs;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use tempfile::TempDir;

/// A file, its follower and the time.
struct Scene {
    folder: TempDir,
    settings: Settings,
    follower: Follower,
    now: Instant,
    place: Option<Place>,
    /// Steps other than reading and idling.
    steps: Vec<Step>,
}

impl Scene {
    fn new(change: impl Fn(&mut Settings)) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings {
            path: folder.path().join("log"),
            from_end: false,
            follow: true,
            idle_flush: Duration::from_secs(1),
            rotation_wait: Duration::from_secs(1),
            line_bytes_max: 64,
        };
        change(&mut settings);
        let follower = Follower::new(settings.clone(), None);
        Scene { folder, settings, follower, now: Instant::now(), place: None, steps: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// Reads until there is nothing more at this moment.
    fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            while let Some(piece) = self.follower.piece() {
                let text = |range| String::from_utf8_lossy(self.follower.bytes(range)).into_owned();
                lines.push(match piece {
                    Piece::Line(range) => text(range),
                    Piece::TooLong(range) => format!("too long: {}", &text(range)[..5]),
                });
            }
            match self.follower.advance(self.now).unwrap() {
                Step::Read => {}
                Step::Idle => return lines,
                Step::End => {
                    self.steps.push(Step::End);
                    return lines;
                }
                step => self.steps.push(step),
            }
        }
    }

    /// Falls and goes on where it was.
    fn fall(&mut self) {
        // Who has not looked yet tells no place, and the one before counts.
        if let Some(place) = self.follower.place() {
            assert_eq!(Place::parse(&place.print()), Some(place));
            self.place = Some(place);
        }
        self.follower = Follower::new(self.settings.clone(), self.place);
    }
}

#[test]
fn lines_come_when_their_end_is_written_or_after_a_while() {
    let mut scene = Scene::new(|_| {});
    assert!(scene.lines().is_empty());
    scene.append("log", "one\r\ntwo\n\n\r\nthr");
    assert_eq!(scene.lines(), ["one", "two"]);
    scene.append("log", "ee");
    assert!(scene.lines().is_empty());
    scene.append("log", "\r\nfour");
    assert_eq!(scene.lines(), ["three"]);
    scene.wait(999);
    assert!(scene.lines().is_empty());
    scene.wait(1);
    assert_eq!(scene.lines(), ["four"]);
    // Its end, when it comes at last, is no line of its own; what else comes is.
    scene.append("log", "\r\nfive\n");
    assert_eq!(scene.lines(), ["five"]);
    scene.append("log", "six");
    scene.wait(1000);
    assert!(scene.lines().is_empty(), "growth begins the wait anew");
    scene.wait(1000);
    assert_eq!(scene.lines(), ["six"]);
    assert_eq!(scene.steps, [Step::Began]);
}

#[test]
fn a_rotated_file_is_read_to_its_end_before_the_new_one() {
    let mut scene = Scene::new(|_| {});
    scene.append("log", "a\nb\n");
    assert_eq!(scene.lines(), ["a", "b"]);
    scene.append("log", "c\n");
    fs::rename(scene.path("log"), scene.path("log.1")).unwrap();
    assert_eq!(scene.lines(), ["c"]);
    scene.wait(5_000);
    scene.append("log", "f\n");
    // The writer still has the old file open.
    scene.append("log.1", "d\n");
    assert_eq!(scene.lines(), ["d"]);
    scene.wait(999);
    scene.append("log.1", "e");
    assert!(scene.lines().is_empty());
    scene.wait(1000);
    assert_eq!(scene.lines(), ["e", "f"]);
    assert_eq!(scene.steps, [Step::Began, Step::Began]);
    scene.append("log", "g\n");
    assert_eq!(scene.lines(), ["g"]);
}

#[test]
fn a_truncated_file_begins_anew() {
    let mut scene = Scene::new(|_| {});
    scene.append("log", "a\nb\nunfinished");
    assert_eq!(scene.lines(), ["a", "b"]);
    fs::write(scene.path("log"), "c\n").unwrap();
    assert_eq!(scene.lines(), ["unfinished", "c"]);
    // Written anew and longer than before: only its beginning tells.
    fs::write(scene.path("log"), "d\ne\nf\ng\n").unwrap();
    assert_eq!(scene.lines(), ["d", "e", "f", "g"]);
    fs::write(scene.path("log"), "").unwrap();
    assert!(scene.lines().is_empty());
    scene.append("log", "h\n");
    assert_eq!(scene.lines(), ["h"]);
}

#[test]
fn long_lines_are_put_aside_and_the_next_one_is_read() {
    let mut scene = Scene::new(|_| {});
    let long = "x".repeat(600_000);
    scene.append("log", &format!("a\n{}\nb\n{long}\nc\n{}", "y".repeat(65), "z".repeat(64)));
    assert_eq!(scene.lines(), ["a", "too long: yyyyy", "b", "too long: xxxxx", "c"]);
    scene.append("log", "z");
    assert_eq!(scene.lines(), ["too long: zzzzz"]);
    scene.append("log", "zz\nd\n");
    assert_eq!(scene.lines(), ["d"]);
}

#[test]
fn it_begins_at_the_end_if_asked_and_ends_if_asked() {
    let mut scene = Scene::new(|settings| settings.from_end = true);
    scene.append("log", "a\nb\n");
    assert!(scene.lines().is_empty());
    scene.append("log", "c\n");
    assert_eq!(scene.lines(), ["c"]);
    assert_eq!(scene.steps, [Step::Resumed]);
    // A file that was not there at first is new from its beginning.
    let mut scene = Scene::new(|settings| settings.from_end = true);
    assert!(scene.lines().is_empty());
    scene.append("log", "a\n");
    assert_eq!(scene.lines(), ["a"]);

    let mut scene = Scene::new(|settings| settings.follow = false);
    let missing = scene.follower.advance(scene.now).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    scene.append("log", "a\nb");
    assert_eq!(scene.lines(), ["a", "b"]);
    assert_eq!(scene.steps, [Step::Began, Step::End]);

    let folder = Scene::new(|settings| settings.path = PathBuf::from("/"));
    let Scene { mut follower, now, .. } = folder;
    assert!(follower.advance(now).unwrap_err().to_string().contains("not a regular file"));
}

#[test]
fn a_place_is_found_again_also_under_another_name() {
    let mut scene = Scene::new(|_| {});
    scene.append("log", "a\nb\n");
    assert_eq!(scene.lines(), ["a", "b"]);
    scene.append("log", "c\n");
    scene.fall();
    assert_eq!(scene.lines(), ["c"]);
    scene.append("log", "d\n");
    fs::rename(scene.path("log"), scene.path("log.1")).unwrap();
    scene.append("log", "e\n");
    scene.fall();
    assert_eq!(scene.lines(), ["d"]);
    scene.wait(1000);
    assert_eq!(scene.lines(), ["e"]);
    // Gone: what stands at the path now is new.
    scene.append("log", "f\n");
    fs::remove_file(scene.path("log")).unwrap();
    scene.append("log", "g\nh\n");
    scene.fall();
    assert_eq!(scene.lines(), ["g", "h"]);
    assert_eq!(Place::parse("1:2:3"), None);
    assert_eq!(Place::parse("1:2:3:999:0"), None);
}

#[derive(Clone, Debug)]
enum Deed {
    Append(Vec<u8>),
    Rotate,
    Truncate,
    Fall,
    Wait,
}

fn deed() -> impl Strategy<Value = Deed> {
    let piece = prop::collection::vec(prop::sample::select(b"ab\n\r".as_slice()), 1..12);
    prop_oneof![
        6 => piece.prop_map(Deed::Append),
        1 => Just(Deed::Rotate),
        1 => Just(Deed::Truncate),
        2 => Just(Deed::Fall),
        2 => Just(Deed::Wait),
    ]
}

/// What lines the bytes hold that were written between two moments at which the rest was flushed.
fn expected(bytes: &mut Vec<u8>, flush: bool, into: &mut Vec<String>) {
    let end = match flush {
        true => bytes.len(),
        false => bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1),
    };
    let done: Vec<u8> = bytes.drain(..end).collect();
    for line in done.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            into.push(String::from_utf8(line.to_vec()).unwrap());
        }
    }
}

#[test]
fn no_line_is_lost_or_doubled_whatever_happens_to_the_file() {
    let deeds = prop::collection::vec((deed(), any::<bool>()), 0..40);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let result = runner.run(&deeds, |deeds| {
        let mut scene = Scene::new(|_| {});
        let (mut seen, mut wanted, mut open) = (Vec::new(), Vec::new(), Vec::new());
        let mut number = 0;
        // Each file begins differently, as logs with times in them do.
        let begin = |scene: &Scene, number: &mut u32, open: &mut Vec<u8>| {
            *number += 1;
            let first = format!("{number}\n");
            fs::write(scene.path("log"), &first).unwrap();
            open.extend_from_slice(first.as_bytes());
        };
        begin(&scene, &mut number, &mut open);
        for (deed, look) in deeds {
            match deed {
                Deed::Append(bytes) => {
                    scene.append("log", std::str::from_utf8(&bytes).unwrap());
                    open.extend_from_slice(&bytes);
                    expected(&mut open, false, &mut wanted);
                }
                Deed::Rotate => {
                    // Two rotations unseen would leave a file of which nobody knows.
                    seen.extend(scene.lines());
                    fs::rename(scene.path("log"), scene.path(&format!("log.{number}"))).unwrap();
                    expected(&mut open, true, &mut wanted);
                    begin(&scene, &mut number, &mut open);
                    seen.extend(scene.lines());
                    scene.wait(1000);
                    seen.extend(scene.lines());
                }
                Deed::Truncate => {
                    // What was not read before is gone; the follower cannot help that.
                    seen.extend(scene.lines());
                    expected(&mut open, true, &mut wanted);
                    begin(&scene, &mut number, &mut open);
                    seen.extend(scene.lines());
                }
                Deed::Fall => scene.fall(),
                Deed::Wait => {
                    seen.extend(scene.lines());
                    scene.wait(1000);
                    seen.extend(scene.lines());
                    expected(&mut open, true, &mut wanted);
                }
            }
            if look {
                seen.extend(scene.lines());
            }
        }
        seen.extend(scene.lines());
        scene.wait(1000);
        seen.extend(scene.lines());
        expected(&mut open, true, &mut wanted);
        prop_assert_eq!(seen, wanted);
        Ok(())
    });
    result.unwrap();
}

/// Polls until so many rows have come, or a deadline has passed.
fn rows(receiver: &mut dyn Receiver, count: usize) -> (Vec<Vec<Value>>, usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let (mut rows, mut unmatched) = (Vec::new(), 0);
    while rows.len() < count {
        assert!(Instant::now() < deadline, "{} of {count}: {}", rows.len(), receiver.detail());
        let (received, next) = receiver.poll().unwrap();
        assert!(received.unreadable.is_empty(), "{:?}", received.unreadable);
        assert!(!received.batch.send_continues.any(), "a line is a send");
        unmatched += received.unmatched;
        rows.extend((0..received.batch.len()).map(|row| received.batch.row(row)));
        if let Next::After(_) = next {
            std::thread::yield_now();
        }
    }
    (rows, unmatched)
}

fn failures(path: &Path) -> Source {
    let schema = Schema::new([("user", DataType::Text), ("ip", DataType::Text)]);
    Source::new("file", &schema)
        .option("file.uri", &format!("file://{}", path.display()))
        .option("idle.flush", "50 ms")
        .option("rotation.wait", "20 ms")
        .option("file.polling.interval", "1 ms")
        .mapper("text")
        .map_option("regex.A", r"\]: Failed password for (invalid user )?(?P<user>.*) from (\S+)")
        .attribute("user", "A[user]")
        .attribute("ip", "A[3]")
}

#[test]
fn failed_logins_are_found_in_generated_lines_through_a_rotation() {
    let lines = sshd_lines(5, 6_000);
    let is_failure = |line: &&String| line.contains("]: Failed password");
    let wanted: Vec<String> = lines
        .iter()
        .filter(is_failure)
        .map(|line| line.split(" from ").nth(1).unwrap().split(' ').next().unwrap().to_owned())
        .collect();
    assert!(wanted.len() > 500);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sshd.log");
    let source = failures(&path);
    let mut receiver = source.build();
    receiver.open(&source.door(), None).unwrap();
    assert_eq!(receiver.poll().unwrap().1, Next::After(Duration::from_millis(1)));

    let (first, second) = lines.split_at(3_500);
    fs::write(&path, first.join("\r\n") + "\r\n").unwrap();
    let before = first.iter().filter(is_failure).count();
    let (mut found, left_out) = rows(&mut *receiver, before);
    assert!(left_out > 100 && left_out <= first.len() - before);
    fs::rename(&path, folder.path().join("sshd.log.1")).unwrap();
    // The last line has no end.
    fs::write(&path, second.join("\n")).unwrap();
    found.extend(rows(&mut *receiver, wanted.len() - before).0);
    let found: Vec<&str> = found.iter().map(|row| row[1].as_text().unwrap()).collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_poll_takes_about_a_thousand_rows_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let text: String = (0..5_000).map(|n| format!("Failed password for u from {n}\n")).collect();
    fs::write(&path, text.replace("Failed", "]: Failed")).unwrap();
    let source = failures(&path);
    let mut receiver = source.build();
    receiver.open(&source.door(), None).unwrap();
    let (first, next) = receiver.poll().unwrap();
    assert_eq!((first.batch.len(), next), (1024, Next::Now));
    let mut second = source.build();
    second.open(&source.door(), first.mark.as_ref()).unwrap();
    let (rows, _) = rows(&mut *second, 5_000 - 1024);
    assert_eq!(rows[0][1], Value::from("1024"));
    assert_eq!(rows.len(), 5_000 - 1024);
}

#[test]
fn a_header_is_read_again_by_who_goes_on_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    fs::write(&path, "ip,more,user\n10.0.0.1,x,root\n").unwrap();
    let schema = Schema::new([("user", DataType::Text), ("ip", DataType::Text)]);
    let source = Source::new("file", &schema)
        .option("file.uri", path.to_str().unwrap())
        .mapper("csv")
        .map_option("header", "true");
    let mut receiver = source.build();
    receiver.open(&source.door(), None).unwrap();
    let (received, _) = receiver.poll().unwrap();
    assert_eq!(received.batch.row(0), [Value::from("root"), Value::from("10.0.0.1")]);
    fs::write(&path, "ip,more,user\n10.0.0.1,x,root\n10.0.0.2,y,adm\n").unwrap();
    let mut receiver = source.build();
    receiver.open(&source.door(), received.mark.as_ref()).unwrap();
    let (received, _) = receiver.poll().unwrap();
    assert_eq!(received.batch.len(), 1);
    assert_eq!(received.batch.row(0), [Value::from("adm"), Value::from("10.0.0.2")]);
}

#[test]
fn what_it_cannot_do_is_told_at_deployment() {
    let schema = Schema::new([("line", DataType::Text)]);
    let file = || Source::new("file", &schema).mapper("passThrough");
    for (source, words) in [
        (file(), "receiver `file` needs the option `file.uri`"),
        (file().option("file.uri", ""), "expected the path"),
        (file().option("file.uri", "ftp://x/y"), "not supported yet: files by way of `ftp`"),
        (file().option("file.uri", "a").option("mode", "REGEX"), "not supported yet: mode `regex`"),
        (file().option("file.uri", "a").option("dir.uri", "b"), "not supported yet: option"),
        (file().option("file.uri", "a").option("tailing", "no"), "`true` or `false`"),
        (Source::new("tcp", &schema), "not supported yet: receiver `tcp`"),
        (Source::new("fil", &schema), "there is no receiver `fil`"),
    ] {
        let faults = source.faults();
        assert!(faults[0].message.contains(words), "{words}: {faults:?}");
    }
}
