//! Plans with one mistake each, in `tests/language/broken`: the message says line and column, what
//! is wrong and how the line would be right, and a plan changed so is right. Beside each plan
//! stands what is said of it; `UPDATE=1` writes that instead of comparing.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use twinflow::language::diagnostic::Diagnostic;
use twinflow::language::diagnostic::Suggestion;
use twinflow::language::render;
use twinflow::language::render::Colour;
use twinflow::rehearsal::Reading;
use twinflow::rehearsal::Verdict;

fn plans() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language/broken");
    let files = fs::read_dir(folder).expect("the folder is there");
    let files = files.map(|file| file.expect("it is readable").path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "siddhi")).collect();
    files.sort();
    files
}

/// What is wrong with what is said of a plan, if anything is.
fn complaint(path: &Path) -> Option<String> {
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    let text = fs::read_to_string(path).expect("a plan is text");
    let reading = Reading::new(&name, &text);
    let said = &reading.diagnostics;
    let shown = render::text(&reading.source, said, Colour::Never);
    let suggestions: Option<Vec<Suggestion>> =
        said.iter().map(|diagnostic| diagnostic.suggestion.clone()).collect();
    let Some(suggestions) = suggestions.filter(|all| !all.is_empty()) else {
        return Some(format!("{name}: not all that is said shows a change\n{shown}"));
    };
    if !said.iter().all(Diagnostic::is_error) {
        return Some(format!("{name}: more is said than what is wrong\n{shown}"));
    }
    let json = render::json(&reading.source, said);
    for (place, diagnostic) in said.iter().enumerate() {
        let at = reading.source.place(diagnostic.primary.span.start);
        let mended = json[place]["suggestion"]["mended"].as_str().unwrap_or_default();
        let head = format!("--> {name}:{}:{}\n", at.line, at.column);
        if !shown.contains(&head) || !shown.contains(&format!(" ~ {mended}\n")) {
            return Some(format!("{name}: place or mended line is missing\n{shown}"));
        }
    }
    let changed = apply(&text, suggestions);
    let again = Reading::new(&name, &changed);
    if again.verdict() != Verdict::Fit || !again.diagnostics.is_empty() {
        let shown = render::text(&again.source, &again.diagnostics, Colour::Never);
        return Some(format!("{name}: what is mended is not right\n{changed}\n{shown}"));
    }
    let beside = path.with_extension("txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&beside, &shown).expect("the folder can be written");
        return None;
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    (expected != shown).then(|| format!("{name}: something else is said now\n{shown}"))
}

/// Makes the changes, from the last place to the first.
fn apply(text: &str, mut suggestions: Vec<Suggestion>) -> String {
    let mut text = text.to_owned();
    suggestions.sort_by_key(|suggestion| std::cmp::Reverse(suggestion.span.start));
    for Suggestion { span, replacement } in suggestions {
        text.replace_range(span.start..span.end, &replacement);
    }
    text
}

#[test]
fn a_broken_plan_is_mended_by_what_is_said_of_it() {
    let plans = plans();
    assert!(plans.len() >= 40, "only {} plans", plans.len());
    let complaints: Vec<String> = plans.iter().filter_map(|path| complaint(path)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}
