//! Messages for the eye, with the source line and carets below it, and for machines, as JSON.

use std::fmt::Write;

use serde_json::Value;
use serde_json::json;

use crate::language::diagnostic::Diagnostic;
use crate::language::diagnostic::Label;
use crate::language::diagnostic::Severity;
use crate::language::diagnostic::Suggestion;
use crate::language::source::Source;
use crate::language::tree::Span;

/// Whether text carries the escape sequences of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text, for files and pipes.
    Never,
    /// ANSI sequences, for terminals.
    Always,
}

/// No more characters of a source line are shown; of a longer one, those around the caret.
const WIDEST: usize = 100;
/// How much of a cut line stands before the caret.
const BEFORE_CARET: usize = 30;
/// A tab is shown as so many blanks.
const TAB: &str = "    ";

/// All messages, each with an empty line after it, and one line that counts them.
pub fn text(source: &Source, diagnostics: &[Diagnostic], colour: Colour) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&message(source, diagnostic, colour));
        out.push('\n');
    }
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let warnings = diagnostics.len() - errors;
    let count = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    };
    match (errors, warnings) {
        (0, 0) => {}
        (0, _) => out.push_str(&format!("{}\n", count(warnings, "warning"))),
        (_, 0) => out.push_str(&format!("{}\n", count(errors, "error"))),
        _ => {
            let both = format!("{}, {}\n", count(errors, "error"), count(warnings, "warning"));
            out.push_str(&both);
        }
    }
    out
}

/// One message: what is wrong, `path:line:column`, the source line with carets, help, and the line
/// mended if it is known how.
pub fn message(source: &Source, diagnostic: &Diagnostic, colour: Colour) -> String {
    let paint = Paint(colour);
    let word = match diagnostic.severity {
        Severity::Error => paint.error("error"),
        Severity::Warning => paint.warning("warning"),
    };
    let place = source.place(diagnostic.primary.span.start);
    let mut out = String::new();
    let head = paint.bold(&visible(&diagnostic.message));
    put(&mut out, format_args!("{word}[{}]: {head}\n", diagnostic.code));

    let mut lines = by_line(source, diagnostic);
    lines.sort_by_key(|shown| shown.line);
    let gutter = lines.last().map_or(1, |shown| shown.line.to_string().len());
    let margin = " ".repeat(gutter);
    let arrow = paint.faint("-->");
    let name = source.name();
    put(&mut out, format_args!("{margin}{arrow} {name}:{}:{}\n", place.line, place.column));
    let bar = paint.faint("|");
    put(&mut out, format_args!("{margin} {bar}\n"));
    let mut before: Option<usize> = None;
    for shown in &lines {
        if before.is_some_and(|last| last + 1 < shown.line) {
            put(&mut out, format_args!("{}\n", paint.faint("...")));
        }
        before = Some(shown.line);
        let number = paint.faint(&format!("{:>gutter$}", shown.line));
        let excerpt = excerpt(source, shown.line, shown.marks[0].span.start);
        put(&mut out, format_args!("{number} {bar} {}\n", excerpt.text));
        for mark in &shown.marks {
            let (indent, width) = excerpt.reach(source, shown.line, mark.span);
            let carets = if mark.primary { "^" } else { "-" }.repeat(width);
            let line = format!("{carets} {}", visible(mark.text));
            let painted = match (mark.primary, diagnostic.severity) {
                (true, Severity::Error) => paint.error(line.trim_end()),
                (true, Severity::Warning) => paint.warning(line.trim_end()),
                (false, _) => paint.faint(line.trim_end()),
            };
            put(&mut out, format_args!("{margin} {bar} {}{painted}\n", " ".repeat(indent)));
        }
    }
    if let Some(help) = &diagnostic.help {
        let help = visible(help);
        put(&mut out, format_args!("{margin} {} {help}\n", paint.help("help:")));
    }
    if let Some((line, mended)) = mended(source, diagnostic) {
        let number = paint.faint(&format!("{line:>gutter$}"));
        put(&mut out, format_args!("{number} {} {mended}\n", paint.help("~")));
    }
    out
}

/// The line that a suggested change would mend, as it would be then; its number.
fn mended(source: &Source, diagnostic: &Diagnostic) -> Option<(usize, String)> {
    let Suggestion { span, replacement } = diagnostic.suggestion.as_ref()?;
    let whole = source.text().len();
    let (start, end) = (span.start.min(whole), span.end.min(whole));
    let line = source.place(start).line;
    let last = source.place(end).line;
    let before = source.slice(Span::new(source.line_span(line).start, start));
    let behind = source.slice(Span::new(end, source.line_span(last).end.max(end)));
    let whole = format!("{before}{replacement}{}", behind.trim_end_matches(['\n', '\r']));
    let whole = whole.lines().next().unwrap_or_default().trim_end().to_owned();
    let at = before.len();
    let alone = Source::new("", whole);
    Some((line, excerpt(&alone, 1, at).text))
}

/// All messages as a JSON array.
pub fn json(source: &Source, diagnostics: &[Diagnostic]) -> Value {
    diagnostics.iter().map(|diagnostic| json_message(source, diagnostic)).collect()
}

/// One message as a JSON object. Lines and columns count from 1; an end is the place after the
/// last character.
pub fn json_message(source: &Source, diagnostic: &Diagnostic) -> Value {
    let primary = &diagnostic.primary;
    let mut object = json_place(source, primary.span);
    let label = |label: &Label| {
        let mut object = json_place(source, label.span);
        object["text"] = json!(label.text);
        object
    };
    object["code"] = json!(diagnostic.code);
    object["severity"] = json!(match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    });
    object["message"] = json!(diagnostic.message);
    object["path"] = json!(source.name());
    object["label"] = json!(primary.text);
    let line = source.place(primary.span.start).line;
    object["source"] = json!(excerpt(source, line, primary.span.start).text);
    object["related"] = diagnostic.secondary.iter().map(label).collect();
    object["help"] = json!(diagnostic.help);
    object["suggestion"] = diagnostic.suggestion.as_ref().map_or(Value::Null, |suggestion| {
        let mut object = json_place(source, suggestion.span);
        object["replacement"] = json!(suggestion.replacement);
        object["mended"] = json!(mended(source, diagnostic).map(|(_, line)| line));
        object
    });
    object["not_supported"] = json!(diagnostic.not_supported);
    object
}

fn json_place(source: &Source, span: Span) -> Value {
    let start = source.place(span.start);
    let end = source.place(span.end);
    json!({
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
    })
}

/// A line that a message shows, with what is marked in it; at least one mark.
struct ShownLine<'a> {
    line: usize,
    marks: Vec<Mark<'a>>,
}

struct Mark<'a> {
    span: Span,
    text: &'a str,
    primary: bool,
}

fn by_line<'a>(source: &Source, diagnostic: &'a Diagnostic) -> Vec<ShownLine<'a>> {
    let primary = std::iter::once((&diagnostic.primary, true));
    let secondary = diagnostic.secondary.iter().map(|label| (label, false));
    let mut lines: Vec<ShownLine<'a>> = Vec::new();
    for (label, primary) in primary.chain(secondary) {
        let line = source.place(label.span.start).line;
        let mark = Mark { span: label.span, text: &label.text, primary };
        match lines.iter_mut().find(|shown| shown.line == line) {
            Some(shown) => shown.marks.push(mark),
            None => lines.push(ShownLine { line, marks: vec![mark] }),
        }
    }
    lines
}

/// What is shown of a line.
struct Excerpt {
    text: String,
    /// Where in the source the shown part begins and ends.
    span: Span,
    /// What stands before the shown part: nothing, or dots.
    lead: &'static str,
}

fn excerpt(source: &Source, line: usize, around: usize) -> Excerpt {
    let whole = source.line(line);
    let start = source.line_span(line).start;
    if whole.chars().nth(WIDEST).is_none() {
        let span = Span::new(start, start + whole.len());
        return Excerpt { text: visible(whole), span, lead: "" };
    }
    let caret = around.saturating_sub(start).min(whole.len());
    let head = whole[..caret].char_indices().rev().nth(BEFORE_CARET).map_or(0, |(at, _)| at);
    let tail = whole[head..].char_indices().nth(WIDEST).map_or(whole.len(), |(at, _)| head + at);
    let lead = if head > 0 { "…" } else { "" };
    let rest = if tail < whole.len() { "…" } else { "" };
    let text = format!("{lead}{}{rest}", visible(&whole[head..tail]));
    Excerpt { text, span: Span::new(start + head, start + tail), lead }
}

impl Excerpt {
    /// How far from the left a mark begins, and how wide it is, at least one character.
    fn reach(&self, source: &Source, line: usize, span: Span) -> (usize, usize) {
        let width = |from: usize, to: usize| {
            visible(source.slice(Span::new(from, to.max(from)))).chars().count()
        };
        let start = span.start.clamp(self.span.start, self.span.end);
        let end = span.end.min(source.line_span(line).end).clamp(start, self.span.end);
        let indent = self.lead.chars().count() + width(self.span.start, start);
        (indent, width(start, end).max(1))
    }
}

/// A piece of a source line with nothing in it that moves the cursor.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str(TAB),
            _ if c.is_control() => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("writing to a string cannot fail");
}

/// Puts colours around words, or leaves them.
#[derive(Clone, Copy)]
struct Paint(Colour);

impl Paint {
    fn error(self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn warning(self, text: &str) -> String {
        self.with("1;33", text)
    }

    fn help(self, text: &str) -> String {
        self.with("1;32", text)
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.with("34", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self.0 {
            Colour::Never => text.to_owned(),
            Colour::Always => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: usize, end: usize) -> Diagnostic {
        Diagnostic::error("L0001", Span::new(start, end), "wrong").label("this")
    }

    #[test]
    fn carets_stand_below_what_is_meant() {
        let source = Source::new("a.siddhi", "one\n\tfünf sechs\n");
        let diagnostic = at(11, 16).also(Span::new(0, 3), "first").help("do better");
        let expected = [
            "error[L0001]: wrong",
            " --> a.siddhi:2:7",
            "  |",
            "1 | one",
            "  | --- first",
            "2 |     fünf sechs",
            "  |          ^^^^^ this",
            "  help: do better",
            "",
        ];
        assert_eq!(message(&source, &diagnostic, Colour::Never), expected.join("\n"));
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}HERE{}", "ä".repeat(500), "b".repeat(500));
        let source = Source::new("x", text.as_str());
        let start = text.find("HERE").expect("it is there");
        let shown = message(&source, &at(start, start + 4), Colour::Never);
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[3].starts_with("1 | …") && lines[3].ends_with('…'));
        let caret = lines[4].find('^').expect("a caret");
        assert_eq!(lines[3].chars().skip(caret).take(4).collect::<String>(), "HERE");
    }

    #[test]
    fn places_outside_the_text_do_no_harm() {
        let source = Source::new("x", "ä\n");
        for span in [Span::new(1, 2), Span::new(3, 3), Span::new(90, 95), Span::new(0, 99)] {
            let shown = text(&source, &[at(span.start, span.end)], Colour::Always);
            assert!(shown.contains("wrong"), "{shown}");
        }
    }

    #[test]
    fn a_change_is_shown_as_the_line_it_mends() {
        let source = Source::new("a.siddhi", "first\none two\r\nthree\n");
        let shown = |span: Span, replacement: &str| {
            let diagnostic = at(0, 5).suggest(span, replacement);
            let shown = message(&source, &diagnostic, Colour::Never);
            shown.lines().last().expect("a line").to_owned()
        };
        assert_eq!(shown(Span::new(6, 9), "two"), "2 ~ two two");
        assert_eq!(shown(Span::at(9), ","), "2 ~ one, two");
        assert_eq!(shown(Span::new(10, 16), "and"), "2 ~ one andhree");
        assert_eq!(shown(Span::new(9, 13), ""), "2 ~ one");
        assert_eq!(shown(Span::at(99), "x"), "4 ~ x");
    }

    #[test]
    fn json_tells_the_same() {
        let source = Source::new("a.siddhi", "one two\n");
        let diagnostic = at(4, 7).suggest(Span::new(4, 7), "three");
        let value = json(&source, &[diagnostic]);
        assert_eq!(value[0]["line"], 1);
        assert_eq!(value[0]["column"], 5);
        assert_eq!(value[0]["end_column"], 8);
        assert_eq!(value[0]["source"], "one two");
        assert_eq!(value[0]["suggestion"]["replacement"], "three");
        assert_eq!(value[0]["suggestion"]["mended"], "one three");
        assert_eq!(value[0]["help"], Value::Null);
    }
}
