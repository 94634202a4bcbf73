//! The text of a plan, and where in it a line and a column are; no parsing.

use crate::language::tree::Span;

/// A plan's text with its name, ready to answer where a byte stands.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    text: String,
    line_starts: Vec<usize>,
}

/// A place for people: both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl Source {
    /// A text under the name that messages show, usually a file's path.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        let text = text.into();
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Source { name: name.into(), text, line_starts }
    }

    /// The name that messages show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many lines there are; a text without any line end has one.
    pub fn line_count(&self) -> usize {
        self.line_starts.len()
    }

    /// The line and column of a byte; an offset past the end counts as the end.
    pub fn place(&self, offset: usize) -> Place {
        let offset = self.floor(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        Place { line, column: self.text[start..offset].chars().count() + 1 }
    }

    /// The text of a line, counted from 1, without its end; empty if there is no such line.
    pub fn line(&self, line: usize) -> &str {
        let span = self.line_span(line);
        self.text[span.start..span.end].trim_end_matches(['\n', '\r'])
    }

    /// Where a line lies, counted from 1, its end included; the end of the text if there is none.
    pub fn line_span(&self, line: usize) -> Span {
        let end = self.text.len();
        let Some(index) = line.checked_sub(1) else { return Span::at(end) };
        let start = self.line_starts.get(index).copied().unwrap_or(end);
        Span::new(start, self.line_starts.get(line).copied().unwrap_or(end))
    }

    /// The text of a span; parts that lie outside the text are left out.
    pub fn slice(&self, span: Span) -> &str {
        let start = self.floor(span.start);
        &self.text[start..self.floor(span.end).max(start)]
    }

    fn floor(&self, offset: usize) -> usize {
        self.text.floor_char_boundary(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let source = Source::new("x", "ab\r\nä=b\n");
        assert_eq!(source.place(0), Place { line: 1, column: 1 });
        assert_eq!(source.place(4), Place { line: 2, column: 1 });
        assert_eq!(source.place(6), Place { line: 2, column: 2 });
        assert_eq!(source.place(99), Place { line: 3, column: 1 });
        assert_eq!(source.line(1), "ab");
        assert_eq!(source.line(2), "ä=b");
        assert_eq!(source.line(3), "");
        assert_eq!(source.line(4), "");
        assert_eq!(source.line(0), "");
    }

    #[test]
    fn a_slice_never_cuts_a_character() {
        let source = Source::new("x", "ä");
        assert_eq!(source.slice(Span::new(1, 2)), "ä");
        assert_eq!(source.slice(Span::new(5, 9)), "");
    }
}
