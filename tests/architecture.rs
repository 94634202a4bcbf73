//! Keeps the house in order: who may use whom, how long a file may grow, what may not be written.
//!
//! The rules on rooms are read from the table in ARCHITECTURE.md, so that it cannot go stale; the
//! commands in the README are compared with the Makefile.

#![allow(clippy::unwrap_used, reason = "a test may stop at once")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

const LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 100;

/// Words that betray input, output, clocks, threads or chance; a pure room may not hold them.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "actix",
    "tokio",
    "crossbeam",
    "async fn",
    ".await",
    "rusqlite",
    "sqlx",
    "rand::",
];

#[derive(Debug)]
struct Room {
    pure: bool,
    may_use: Vec<String>,
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let rooms = rooms();
    let mut faults = Vec::new();
    for file in sources(&root().join("src")) {
        let Some(home) = home_of(&file, &rooms) else {
            continue; // main.rs and lib.rs stand in the hall.
        };
        let text = read(&file);
        for (number, line) in code_lines(&text) {
            let place = format!("{}:{number}", show(&file));
            for target in mentions(line) {
                match longest_room(&target, &rooms) {
                    None => {
                        faults.push(format!("{place}: `{target}` is no room and no path in one"))
                    }
                    Some(target) if target == home || rooms[&home].may_use.contains(&target) => {}
                    Some(target) => {
                        faults.push(format!("{place}: `{home}` may not use `{target}`"))
                    }
                }
            }
            if line.contains("use crate::{") || line.contains("::{self") && line.contains("crate") {
                faults.push(format!("{place}: write one `use crate::room::thing;` a line"));
            }
            if line.contains("super::super") {
                faults.push(format!("{place}: climb with `crate::`, not `super::super`"));
            }
        }
        if rooms[&home].pure {
            for (number, line) in code_lines(before_tests(&text)) {
                for word in IMPURE.iter().filter(|word| names(line, word)) {
                    let place = format!("{}:{number}", show(&file));
                    faults.push(format!("{place}: `{word}` in the pure room `{home}`"));
                }
            }
        }
    }
    refuse(&faults);
}

#[test]
fn the_table_and_the_folders_agree() {
    let rooms = rooms();
    let mut faults = Vec::new();
    for name in rooms.keys().filter(|name| !root().join("src").join(name).is_dir()) {
        faults.push(format!("ARCHITECTURE.md lists `{name}`, but there is no folder src/{name}"));
    }
    for file in sources(&root().join("src")) {
        let in_the_hall = matches!(show(&file).as_str(), "src/main.rs" | "src/lib.rs");
        if home_of(&file, &rooms).is_none() && !in_the_hall {
            faults.push(format!("{}: its room is not in ARCHITECTURE.md", show(&file)));
        }
    }
    let lib = read(&root().join("src/lib.rs"));
    for (name, _) in rooms.iter().filter(|(name, room)| room.pure && !name.contains('/')) {
        let denied = "#[deny(clippy::disallowed_methods, clippy::disallowed_types)]";
        if !lib.contains(&format!("{denied}\npub mod {name};")) {
            faults.push(format!("src/lib.rs: `pub mod {name};` lacks {denied} in the line before"));
        }
    }
    refuse(&faults);
}

#[test]
fn the_rooms_have_no_cycle() {
    let rooms = rooms();
    let mut settled: Vec<&String> = Vec::new();
    loop {
        let next = rooms.iter().find(|(name, room)| {
            !settled.contains(name) && room.may_use.iter().all(|used| settled.contains(&used))
        });
        match next {
            Some((name, _)) => settled.push(name),
            None => break,
        }
    }
    let stuck: Vec<_> = rooms.keys().filter(|name| !settled.contains(name)).collect();
    assert!(stuck.is_empty(), "these rooms use each other in a circle, or a stranger: {stuck:?}");
}

#[test]
fn pure_rooms_rest_on_pure_rooms() {
    let rooms = rooms();
    for (name, room) in rooms.iter().filter(|(_, room)| room.pure) {
        for used in &room.may_use {
            assert!(rooms[used].pure, "pure `{name}` may not use impure `{used}`");
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut faults = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for file in sources(&root().join(folder)) {
            let text = read(&file);
            let lines = text.lines().count();
            if lines > LINES_MAX {
                faults.push(format!("{}: {lines} lines, at most {LINES_MAX}", show(&file)));
            }
            if !text.starts_with("//! ") {
                faults.push(format!("{}: opens without a `//!` sentence", show(&file)));
            }
            for (index, line) in text.lines().enumerate() {
                let columns = line.chars().count();
                if columns > COLUMNS_MAX {
                    faults.push(format!("{}:{}: {columns} columns", show(&file), index + 1));
                }
            }
        }
    }
    refuse(&faults);
}

/// A `mod` line that was forgotten leaves a file that nothing compiles.
#[test]
fn no_file_is_dead() {
    let mut faults = Vec::new();
    for file in sources(&root().join("src")) {
        let name = stem(&file);
        if matches!(name, "main" | "lib") {
            continue;
        }
        let here = file.parent().unwrap();
        let (folder, module) =
            if name == "mod" { (here.parent().unwrap(), stem(here)) } else { (here, name) };
        let beside = folder.with_extension("rs");
        let parents = ["mod.rs", "lib.rs", "main.rs"].map(|parent| folder.join(parent));
        let declared = parents.iter().chain([&beside]).filter_map(|p| fs::read_to_string(p).ok());
        let line_declares = |line: &str| {
            let line = line.trim();
            line.ends_with(&format!("mod {module};")) && !line.starts_with("//")
        };
        if !declared.into_iter().any(|text| text.lines().any(line_declares)) {
            faults.push(format!("{} is in no module", show(&file)));
        }
    }
    refuse(&faults);
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!(", "dbg!(", "#[ignore"];
    let mut faults = Vec::new();
    for file in ["src", "tests", "benches"].iter().flat_map(|name| sources(&root().join(name))) {
        if file.ends_with("tests/architecture.rs") {
            continue; // It has to name the words.
        }
        for (index, line) in read(&file).lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{}: `{word}`", show(&file), index + 1));
            }
        }
    }
    refuse(&faults);
}

/// A command in the README that the Makefile does not know misleads on the first page.
#[test]
fn commands_of_the_readme_exist() {
    let makefile = read(&root().join("Makefile"));
    let known = |target: &str| makefile.lines().any(|l| l.starts_with(&format!("{target}:")));
    let mut faults = Vec::new();
    let mut seen = 0;
    for page in ["README.md", "CONTRIBUTING.md"] {
        for (index, line) in read(&root().join(page)).lines().enumerate() {
            for after in line.split("`make ").skip(1).chain(line.strip_prefix("make ")) {
                let target: String =
                    after.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
                seen += 1;
                if !known(&target) {
                    faults.push(format!("{page}:{}: no `make {target}`", index + 1));
                }
            }
        }
    }
    assert!(seen > 0, "the README names no command");
    refuse(&faults);
}

/// Limits that are constants: where they stand, and their row in the README.
const LIMITS: &[(&str, &str, &str)] = &[
    ("config/check.rs", "NAME_CHARS_MAX", "| name of a plan | {} letters, digits, `_`, `-`, `.` |"),
    ("language/parser.rs", "DEEPEST", "| nesting in a plan | {} steps;"),
    ("language/parser.rs", "BRACKET_STEPS", "a bracket takes {},"),
    ("language/parser.rs", "CALL_STEPS", "a call {},"),
    ("language/parser.rs", "QUERY_STEPS", "a query in another one {} |"),
    ("plan/checker.rs", "MOST_IN_A_LIST", "| attributes of a stream, and other lists | {} |"),
    ("plan/queries.rs", "MOST_COLUMNS", "| outputs of all queries of a plan | {} |"),
    ("plan/checker.rs", "MOST_MESSAGES", "| messages about a plan | the first {} |"),
    ("mappers/json/scanner.rs", "DEPTH_MAX", "| nesting of JSON | {} brackets |"),
    ("http/guard.rs", "ADDRESS_BYTES_MAX", "| address of a request | {} bytes |"),
    ("http/server.rs", "HEAD_TIME", "| head of a request | 128 KiB, within {} s |"),
    ("http/body.rs", "TIME_MAX", "within {} s | `http.body_bytes_max`"),
    ("http/api.rs", "BODIES", "| bodies held at once | {} of the largest |"),
    ("http/server.rs", "REST_TIME", "| a connection at rest | {} s |"),
    ("http/routes/streams.rs", "ROOM_TIME", "a request waits {} s for room, then 503 |"),
    ("http/routes/queries.rs", "QUERY_BYTES_MAX", "| on-demand query | {} bytes,"),
    ("http/routes/queries.rs", "ANSWER_TIME", "answered within {} s,"),
    ("http/routes/queries.rs", "ROWS_MAX", "at most {} rows |"),
    ("http/routes/sql/mod.rs", "SQL_BYTES_MAX", "| statement in SQL | {} bytes,"),
    ("http/routes/sql/mod.rs", "ROWS_MAX", "bytes, {} rows,"),
    ("http/routes/sql/mod.rs", "TIME_MAX", "rows, {} s;"),
    ("http/routes/sql/statements.rs", "STATEMENTS_MAX", "{} statements at once |"),
    ("actors/tree/inbox.rs", "MESSAGES_MAX", "{} requests or messages |"),
    ("topics/mod.rs", "EVENTS_MAX", "| waiting between two plans | {} events,"),
    ("topics/mod.rs", "BYTES_MAX", "{} bytes a listener |"),
    (
        "actors/plan/dead_letters.rs",
        "LETTERS_MAX",
        "| dead letters that are only counted | the newest {},",
    ),
    ("actors/plan/dead_letters.rs", "CHARACTERS_MAX", "of each {} characters |"),
    ("actors/publisher/given_up.rs", "LETTERS_UNDER_WAY_MAX", "that are not safe yet | {} |"),
    ("ha/link/keeper.rs", "GREETINGS_MAX", "; {} callers at once"),
    ("ha/link/keeper.rs", "GREETING_TIME", "each within {} s | the connection is closed |"),
    ("ha/arbiter/server.rs", "CONNECTIONS_MAX", "| connections of a witness | {},"),
    ("ha/arbiter/server.rs", "FIRST_WAIT", "the first word within {} s |"),
    ("engine/script/heap.rs", "MOST_STEPS", "| a call of a function of the plan | {} steps,"),
    ("publishers/file.rs", "OPEN_MAX", "| files open by a `file` sink | {} |"),
];

#[test]
fn limits_of_the_readme_are_those_of_the_sources() {
    let readme = read(&root().join("README.md"));
    let mut faults = Vec::new();
    for (file, name, row) in LIMITS {
        let value = constant(&read(&root().join("src").join(file)), name);
        let value = value.unwrap_or_else(|| panic!("{file} has no constant {name} to be read"));
        let row = row.replace("{}", &grouped(value));
        if !readme.contains(&row) {
            faults.push(format!("README.md: `{name}` of {file} is {value}: no `{row}`"));
        }
    }
    refuse(&faults);
}

/// The value of a constant: a number, a number shifted, or a time in seconds.
fn constant(source: &str, name: &str) -> Option<u64> {
    let line = source.lines().find(|line| line.contains(&format!("const {name}: ")))?;
    let value = line.split_once(" = ")?.1.trim_end_matches(';').replace('_', "");
    let value = value.replace("Duration::fromsecs(", "").replace(')', "");
    match value.split_once(" << ") {
        Some((number, bits)) => Some(number.parse::<u64>().ok()? << bits.parse::<u32>().ok()?),
        None => value.parse().ok(),
    }
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn refuse(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn show(file: &Path) -> String {
    file.strip_prefix(root()).unwrap().display().to_string()
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

/// Reads the table whose header begins with `room`.
fn rooms() -> BTreeMap<String, Room> {
    let text = read(&root().join("ARCHITECTURE.md"));
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| room"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rooms: BTreeMap<String, Room> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 4, "a row of the table of rooms has four columns: {row}");
            let room = Room { pure: cells[1] == "yes", may_use: quoted(cells[2]) };
            (quoted(cells[0]).remove(0), room)
        })
        .collect();
    assert!(!rooms.is_empty(), "ARCHITECTURE.md has no table of rooms");
    rooms
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The innermost room a file stands in: `ha/protocol` before `ha`.
fn home_of(file: &Path, rooms: &BTreeMap<String, Room>) -> Option<String> {
    let inside = file.strip_prefix(root().join("src")).unwrap().with_extension("");
    longest_room(&inside.to_str()?.replace('/', "::"), rooms)
}

fn longest_room(path: &str, rooms: &BTreeMap<String, Room>) -> Option<String> {
    let fits = |room: &&String| {
        let room = room.replace('/', "::");
        path == room || path.starts_with(&format!("{room}::"))
    };
    rooms.keys().filter(fits).max_by_key(|room| room.len()).cloned()
}

/// Lines of code with comments dropped; numbers count from one.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

/// Whether the word stands in the line by itself: `operand::` does not name `rand::`.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Tests of a pure room may read files; what the room does may not.
fn before_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap()
}

/// Every `crate::path` in the line.
fn mentions(line: &str) -> Vec<String> {
    line.split("crate::")
        .skip(1)
        .filter(|rest| !rest.starts_with('{'))
        .map(|rest| {
            let inside = |c: &char| c.is_alphanumeric() || matches!(c, '_' | ':');
            rest.chars().take_while(inside).collect::<String>()
        })
        .map(|path| path.trim_end_matches(':').to_owned())
        .collect()
}
