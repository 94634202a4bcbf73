//! Throws mutated plans at lexer, parser, printer, checker and builder: none may panic, and none
//! may take long. The corpus is every plan of the project and `tests/language/corpus`, where what
//! once was too much is kept.
//!
//! `make fuzz` goes on for `TIME` seconds; `SEED` gives another walk. The input at hand lies in
//! `fuzz-current.siddhi` in the target's temporary folder, so that it is found after a crash too.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use twinflow::engine::core::PlanCore;
use twinflow::engine::library::Library;
use twinflow::language::format::format;
use twinflow::language::format::format_query;
use twinflow::language::parse;
use twinflow::language::parse_query;
use twinflow::language::render;
use twinflow::language::render::Colour;
use twinflow::language::source::Source;
use twinflow::plan::check;
use twinflow::plan::check_query;

/// The longest that one input may take, however busy the machine is.
const LONGEST: Duration = Duration::from_secs(10);

/// Larger inputs are cut: what is slow is found with small ones.
const LARGEST: usize = 4096;

/// Words and signs that are put in.
const WORDS: &[&str] = &[
    "from",
    "select",
    "insert into",
    "define stream",
    "define table",
    "define window",
    "partition with",
    "begin",
    "end",
    "group by",
    "having",
    "order by",
    "limit",
    "offset",
    "output",
    "every",
    "within",
    "join",
    "on",
    "as",
    "and",
    "or",
    "not",
    "in",
    "is null",
    "define function f[javascript] return int",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    ":",
    "#",
    "#window.",
    "!",
    "@",
    "@info(name='q')",
    "'",
    "\"",
    "\"\"\"",
    "`",
    "--",
    "/*",
    "*/",
    "->",
    "<",
    ">",
    "==",
    "!=",
    "+",
    "-",
    "*",
    "/",
    "%",
    ".",
    "0",
    "1",
    "-1",
    "9223372036854775808",
    "1e999",
    "1.5f",
    "5 sec",
    "1 year",
    "null",
    "true",
    "e1=",
    "<2:5>",
    "${X}",
    "str:concat(",
    "time:extract(",
    "convert(",
    "count()",
    "sum(a)",
    "a",
    "S",
    "Out",
    "\u{feff}",
    "ü",
    "😀",
    "\0",
    "function (x) { return x; }",
    "return data[0];",
    "while (true) {}",
    "`${",
    "=>",
];

fn corpus() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["tests/language", "tests/cases", "plans"] {
        gather(&root.join(folder), &mut files);
    }
    files.sort();
    let texts = files.iter().map(|file| {
        let text = fs::read_to_string(file).expect("a text");
        match file.extension().is_some_and(|ending| ending == "test") {
            true => {
                let plan = text.split("-- plan").nth(1).unwrap_or_default();
                plan.split("-- play").next().unwrap_or_default().to_owned()
            }
            false => text,
        }
    });
    texts.collect()
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|ending| {
            ["siddhi", "siddhiql", "query", "test"].iter().any(|known| ending == *known)
        }) {
            files.push(path);
        }
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    fn place(&mut self, text: &str) -> usize {
        let mut at = self.roll(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn range(&mut self, text: &str) -> (usize, usize) {
        let (one, other) = (self.place(text), self.place(text));
        (one.min(other), one.max(other))
    }
}

/// Changes a text in one place.
fn mutate(text: &mut String, corpus: &[String], dice: &mut Dice) {
    match dice.roll(8) {
        0 => {
            let from = dice.place(text);
            let length = dice.roll(20);
            let end =
                text[from..].char_indices().nth(length).map_or(text.len(), |(at, _)| from + at);
            text.replace_range(from..end, "");
        }
        1 => {
            let (from, to) = dice.range(text);
            text.replace_range(from..to, "");
        }
        2 | 3 => {
            let at = dice.place(text);
            text.insert_str(at, WORDS[dice.roll(WORDS.len())]);
        }
        4 => {
            let (from, to) = dice.range(text);
            let part = text[from..to].to_owned();
            let at = dice.place(text);
            text.insert_str(at, &part);
        }
        5 => {
            let other = &corpus[dice.roll(corpus.len())];
            let (from, to) = dice.range(other);
            let at = dice.place(text);
            text.insert_str(at, &other[from..to]);
        }
        6 => {
            let at = dice.place(text);
            let word = WORDS[dice.roll(WORDS.len())];
            text.insert_str(at, &word.repeat(1 + dice.roll(300)));
        }
        _ => {
            let (from, _) = dice.range(text);
            if let Some(first) = text[from..].chars().next() {
                let other = char::from(32 + dice.roll(95) as u8).to_string();
                text.replace_range(from..from + first.len_utf8(), &other);
            }
        }
    }
    let mut end = text.len().min(LARGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// All that is done with a text before it runs.
fn look(text: &str) {
    let library = Library::standard();
    let parsed = parse(text);
    let printed = format(&parsed, text);
    let source = Source::new("fuzz", text);
    let _ = render::text(&source, &parsed.diagnostics, Colour::Always);
    let checked = check(&parsed.tree, text, &library);
    let _ = render::text(&source, &checked.diagnostics, Colour::Never);
    let question = parse_query(text);
    let _ = format_query(&question, text);
    if let Some(plan) = checked.plan.filter(|_| !parsed.has_errors()) {
        if let Some(tree) = &question.tree {
            let _ = check_query(tree, &plan, &library);
        }
        let _ = PlanCore::build(plan.into(), 1);
        let printed = printed.expect("what has no errors is printed");
        assert!(!parse(&printed).has_errors(), "what is printed can be read");
    }
}

/// Looks at a text, and says what was wrong with that.
fn fault(text: &str, current: &Path) -> Option<String> {
    fs::write(current, text).expect("the text can be kept");
    let start = Instant::now();
    let looked = catch_unwind(AssertUnwindSafe(|| look(text)));
    match (looked, start.elapsed()) {
        (Err(_), _) => Some("panicked".to_owned()),
        (Ok(()), time) if time > LONGEST => Some(format!("took {time:?}")),
        _ => None,
    }
}

#[test]
fn no_text_is_too_much() {
    let seconds =
        std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1u64);
    let corpus = corpus();
    assert!(corpus.len() > 200, "only {} texts", corpus.len());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let current = folder.join("fuzz-current.siddhi");
    for text in &corpus {
        assert_eq!(fault(text, &current), None, "{text}");
    }
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (start, limit) = (Instant::now(), Duration::from_secs(seconds));
    let mut tried = 0;
    while start.elapsed() < limit {
        let mut text = corpus[dice.roll(corpus.len())].clone();
        for _ in 0..=dice.roll(6) {
            mutate(&mut text, &corpus, &mut dice);
        }
        tried += 1;
        if let Some(fault) = fault(&text, &current) {
            let kept = folder.join(format!("fuzz-{seed}-{tried}.siddhi"));
            fs::write(&kept, &text).expect("the text can be kept");
            panic!("{fault}: {} (keep it in tests/language/corpus)", kept.display());
        }
    }
    println!("{tried} texts");
}
