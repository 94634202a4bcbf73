//! Throws mutated plans at lexer, parser, printer, checker and builder: none may panic, and none
//! may take long. The corpus is every plan of the project and `tests/language/corpus`, where what
//! once was too much is kept, and what once showed something new.
//!
//! A mutated text that shows something new, such as messages that no other text brought forth
//! together, joins the corpus for the rest of the walk.
//!
//! `make fuzz` goes on for `TIME` seconds, with one `PART` alone if asked; `SEED` gives another
//! walk, and `KEEP` names a folder where texts that show something new are put. The input at hand
//! lies in `fuzz-current-….siddhi` in the target's temporary folder, so that it is found after a
//! crash too.

use std::collections::BTreeSet;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use twinflow::engine::core::PlanCore;
use twinflow::engine::library::Library;
use twinflow::language::diagnostic::Diagnostic;
use twinflow::language::format::format;
use twinflow::language::format::format_query;
use twinflow::language::parse;
use twinflow::language::parse_expression;
use twinflow::language::parse_query;
use twinflow::language::render;
use twinflow::language::render::Colour;
use twinflow::language::source::Source;
use twinflow::language::tokens;
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

/// The tokens of a text, as parts of it.
fn parts(text: &str) -> Vec<&str> {
    tokens(text).spans.into_iter().map(|span| &text[span.start..span.end]).collect()
}

/// What a token is, roughly: one is put in place of another of its kind.
fn kind(token: &str) -> u8 {
    match token.bytes().next() {
        None => 0,
        Some(first) if first.is_ascii_digit() => 1,
        Some(b'\'' | b'"') => 2,
        Some(first) if first.is_ascii_alphabetic() => 3,
        Some(_) => 4,
    }
}

/// Puts another token of the same kind in place of one, so that most texts stay plans.
fn swap(text: &mut String, corpus: &[String], dice: &mut Dice) {
    let spans = tokens(text).spans;
    let Some(span) = spans.get(dice.roll(spans.len())) else { return };
    let own = &text[span.start..span.end];
    let other = &corpus[dice.roll(corpus.len())];
    let source = if dice.roll(2) == 0 { other.clone() } else { text.clone() };
    let fitting: Vec<&str> =
        parts(&source).into_iter().filter(|part| kind(part) == kind(own) && *part != own).collect();
    if let Some(part) = fitting.get(dice.roll(fitting.len())) {
        text.replace_range(span.start..span.end, part);
    }
}

/// Changes a text in one place.
fn mutate(text: &mut String, part: Part, corpus: &[String], dice: &mut Dice) {
    // What does not parse tells a checker little.
    let swaps = matches!(part, Part::Checker | Part::Builder) && dice.roll(4) > 0;
    match dice.roll(8) {
        _ if swaps => swap(text, corpus, dice),
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

/// What is thrown at.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    All,
    Lexer,
    Parser,
    Checker,
    Builder,
}

impl Part {
    fn of(name: &str) -> Part {
        match name {
            "" | "all" => Part::All,
            "lexer" => Part::Lexer,
            "parser" => Part::Parser,
            "checker" => Part::Checker,
            "builder" => Part::Builder,
            _ => panic!("PART is lexer, parser, checker, builder or all, not `{name}`"),
        }
    }

    /// Lets the part look at a text; gives what that showed.
    fn look(self, text: &str) -> BTreeSet<String> {
        let mut shown = BTreeSet::new();
        if matches!(self, Part::All | Part::Lexer) {
            cut(text, &mut shown);
        }
        if matches!(self, Part::All | Part::Parser) {
            read(text, &mut shown);
        }
        if matches!(self, Part::All | Part::Checker | Part::Builder) {
            check_and_build(text, self, &mut shown);
        }
        shown
    }
}

/// The codes of messages, and which follow each other.
fn note(diagnostics: &[Diagnostic], shown: &mut BTreeSet<String>) {
    for each in diagnostics {
        shown.insert(each.code.to_owned());
    }
    for pair in diagnostics.windows(2) {
        shown.insert(format!("{} {}", pair[0].code, pair[1].code));
    }
}

fn cut(text: &str, shown: &mut BTreeSet<String>) {
    let tokens = tokens(text);
    let mut end = 0;
    for span in &tokens.spans {
        assert!(span.start >= end && span.start < span.end, "tokens stand one after the other");
        assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
        end = span.end;
    }
    note(&tokens.diagnostics, shown);
    // One that ends where another kind begins.
    let parts = parts(text);
    let first = |part: &&str| {
        part.chars().next().map(|first| match first {
            'a'..='z' | 'A'..='Z' => 'a',
            '0'..='9' => '0',
            first if first.is_ascii() => first,
            _ => 'ü',
        })
    };
    for pair in parts.windows(2) {
        shown.insert(format!("{:?} {:?}", first(&pair[0]), first(&pair[1])));
    }
}

fn read(text: &str, shown: &mut BTreeSet<String>) {
    let parsed = parse(text);
    let source = Source::new("fuzz", text);
    let _ = render::text(&source, &parsed.diagnostics, Colour::Always);
    note(&parsed.diagnostics, shown);
    let printed = format(&parsed, text);
    if !parsed.has_errors() {
        let printed = printed.expect("what has no errors is printed");
        let again = parse(&printed);
        assert!(!again.has_errors(), "what is printed can be read");
        assert_eq!(format(&again, &printed).as_ref(), Some(&printed), "and is printed as it is");
    }
    let question = parse_query(text);
    let _ = format_query(&question, text);
    note(&question.diagnostics, shown);
    note(&parse_expression(text).diagnostics, shown);
}

fn check_and_build(text: &str, part: Part, shown: &mut BTreeSet<String>) {
    let library = Library::standard();
    let parsed = parse(text);
    let source = Source::new("fuzz", text);
    let checked = check(&parsed.tree, text, &library);
    let _ = render::text(&source, &checked.diagnostics, Colour::Never);
    note(&checked.diagnostics, shown);
    if let Some(plan) = checked.plan.filter(|_| !parsed.has_errors()) {
        if let Some(tree) = &parse_query(text).tree {
            let _ = check_query(tree, &plan, &library);
        }
        if part != Part::Checker {
            let _ = PlanCore::build(plan.into(), 1);
        }
    }
}

/// Where the input at hand lies, and what has been seen.
struct Walk {
    part: Part,
    current: PathBuf,
    known: BTreeSet<String>,
}

impl Walk {
    /// Looks at a text; gives what it shows that is new.
    ///
    /// # Errors
    /// With what was wrong.
    fn look(&mut self, text: &str) -> Result<BTreeSet<String>, String> {
        fs::write(&self.current, text).expect("the text can be kept");
        let start = Instant::now();
        let looked = catch_unwind(AssertUnwindSafe(|| self.part.look(text)));
        match (looked, start.elapsed()) {
            (Err(_), _) => Err("panicked".to_owned()),
            (Ok(_), time) if time > LONGEST => Err(format!("took {time:?}")),
            (Ok(shown), _) => {
                let fresh: BTreeSet<String> = shown.difference(&self.known).cloned().collect();
                self.known.extend(fresh.iter().cloned());
                Ok(fresh)
            }
        }
    }

    /// A short part of a text that still shows what is wanted.
    fn shortened(&self, text: &str, wanted: &BTreeSet<String>) -> String {
        let mut text = text.to_owned();
        for separator in ['\n', ';', ' '] {
            let mut place = 0;
            loop {
                let mut pieces: Vec<&str> = text.split_inclusive(separator).collect();
                if place >= pieces.len() {
                    break;
                }
                pieces.remove(place);
                let shorter = pieces.concat();
                if self.part.look(&shorter).is_superset(wanted) {
                    text = shorter;
                } else {
                    place += 1;
                }
            }
        }
        text
    }
}

#[test]
fn no_text_is_too_much() {
    let setting = |name: &str| std::env::var(name).unwrap_or_default();
    let number = |name: &str| setting(name).parse::<u64>().ok();
    let (seconds, seed) = (number("FUZZ_SECONDS").unwrap_or(2), number("SEED").unwrap_or(1));
    let part = Part::of(&setting("PART"));
    let mut corpus = corpus();
    assert!(corpus.len() > 200, "only {} texts", corpus.len());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let current = folder.join(format!("fuzz-current-{part:?}.siddhi").to_lowercase());
    let mut walk = Walk { part, current, known: BTreeSet::new() };
    for text in &corpus {
        assert_eq!(walk.look(text).err(), None, "{text}");
    }
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (start, limit) = (Instant::now(), Duration::from_secs(seconds));
    let (mut tried, mut fresh) = (0, 0);
    while start.elapsed() < limit {
        let mut text = corpus[dice.roll(corpus.len())].clone();
        for _ in 0..=dice.roll(6) {
            mutate(&mut text, part, &corpus, &mut dice);
        }
        tried += 1;
        match walk.look(&text) {
            Ok(shown) if shown.is_empty() => {}
            Ok(shown) => {
                fresh += 1;
                let name = format!("{part:?}_{seed}_{tried}.siddhi").to_lowercase();
                if let Some(folder) = std::env::var_os("KEEP") {
                    let text = walk.shortened(&text, &shown);
                    fs::write(Path::new(&folder).join(name), text).expect("it can be kept");
                }
                corpus.push(text);
            }
            Err(fault) => {
                let kept = folder.join(format!("fuzz-{seed}-{tried}.siddhi"));
                fs::write(&kept, &text).expect("the text can be kept");
                panic!("{fault}: {} (keep it in tests/language/corpus)", kept.display());
            }
        }
    }
    println!("{part:?}: {tried} texts, {fresh} of them showed something new");
}
