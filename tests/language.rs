//! Reads the plans in `tests/language`: those in `ok` without any message, those in `err` with the
//! messages written beside them. `UPDATE=1` writes what is found instead of comparing.
//!
//! A `.siddhi` file is a plan, a `.query` file an on-demand query. Beside a plan in `ok` stands how
//! `twinflow fmt` prints it.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use twinflow::language::diagnostic::Diagnostic;
use twinflow::language::diagnostic::Suggestion;
use twinflow::language::format::format;
use twinflow::language::format::format_query;
use twinflow::language::parse;
use twinflow::language::parse_query;
use twinflow::language::render;
use twinflow::language::render::Colour;
use twinflow::language::source::Source;

struct Case {
    path: PathBuf,
    text: String,
}

impl Case {
    fn is_query(&self) -> bool {
        self.path.extension().is_some_and(|ending| ending == "query")
    }

    fn name(&self) -> String {
        self.path.file_name().expect("a file").to_string_lossy().into_owned()
    }

    /// The messages about a text read the way this case is read.
    fn messages(&self, text: &str) -> Vec<Diagnostic> {
        match self.is_query() {
            true => parse_query(text).diagnostics,
            false => parse(text).diagnostics,
        }
    }

    fn printed(&self, text: &str) -> Option<String> {
        match self.is_query() {
            true => format_query(&parse_query(text), text),
            false => format(&parse(text), text),
        }
    }

    fn rendered(&self) -> String {
        let source = Source::new(self.name(), self.text.as_str());
        render::text(&source, &self.messages(&self.text), Colour::Never)
    }

    /// Compares with the file beside the case, or writes it; tells what differs.
    fn compare(&self, found: &str) -> Option<String> {
        let beside = self.path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&beside, found).expect("the file can be written");
            return None;
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        let name = beside.display();
        (expected != found)
            .then(|| format!("{name} says\n{expected}\nbut found was\n{found}\n(UPDATE=1 accepts)"))
    }
}

fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|ending| ending != "txt"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("it can be read");
        Case { path, text }
    };
    paths.into_iter().map(read).collect()
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "{} differ:\n\n{}", faults.len(), faults.join("\n\n"));
}

#[test]
fn good_plans_are_read_and_printed() {
    let cases = cases("ok");
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    let mut faults = Vec::new();
    for case in &cases {
        let Some(printed) = case.printed(&case.text) else {
            faults.push(case.rendered());
            continue;
        };
        faults.extend(case.compare(&printed));
        if case.printed(&printed).as_ref() != Some(&printed) {
            faults.push(format!("{} changes when printed again", case.name()));
        }
    }
    report(&faults);
}

#[test]
fn faults_are_told_with_their_place() {
    let cases = cases("err");
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let mut faults = Vec::new();
    for case in &cases {
        if case.messages(&case.text).is_empty() {
            faults.push(format!("{} is read without a message", case.name()));
        }
        faults.extend(case.compare(&case.rendered()));
    }
    report(&faults);
}

#[test]
fn suggested_changes_mend_what_they_are_about() {
    let mut tried = 0;
    for case in cases("err") {
        let messages = case.messages(&case.text);
        let suggestions: Vec<_> =
            messages.iter().filter_map(|message| message.suggestion.clone()).collect();
        if suggestions.is_empty() {
            continue;
        }
        tried += suggestions.len();
        let mended = apply(&case.text, suggestions);
        let left = case.messages(&mended);
        let without = messages.iter().filter(|message| message.suggestion.is_none()).count();
        assert!(left.len() <= without, "{}: {left:?}\n{mended}", case.name());
    }
    assert!(tried >= 10, "only {tried} suggestions");
}

/// Makes the changes, from the last place to the first.
fn apply(text: &str, mut suggestions: Vec<Suggestion>) -> String {
    let mut text = text.to_owned();
    suggestions.sort_by_key(|suggestion| std::cmp::Reverse(suggestion.span.start));
    for suggestion in suggestions {
        let range = suggestion.span.start..suggestion.span.end;
        text.replace_range(range, &suggestion.replacement);
    }
    text
}

#[test]
fn long_plans_take_time_in_proportion() {
    let query = "@info(name='q') from S[a > 5 and b < 3.5]#window.length(5) select a, sum(b) as c \
                 group by a insert into Out; -- so it goes\n";
    let text = |bytes: usize| {
        format!("define stream S (a int, b double);\n{}", query.repeat(bytes / query.len()))
    };
    // Even where nothing is optimised both take a few seconds; were they quadratic, hours.
    let start = Instant::now();
    assert!(!parse(&text(5_000_000)).has_errors());
    let long = text(1_000_000);
    assert!(format(&parse(&long), &long).is_some());
    assert!(start.elapsed() < Duration::from_secs(60), "took {:?}", start.elapsed());
}
