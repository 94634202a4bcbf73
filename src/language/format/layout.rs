//! From pieces to lines: a group that fits stays on one line, else each of its breaks is a new one.

/// Longer lines are avoided.
const WIDTH: usize = 100;
/// One step to the right.
const STEP: usize = 4;

/// A piece of what is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A word; may hold line ends, which are kept.
    Text(String),
    /// A comment at the end of a line; no line is broken for its width.
    Comment(String),
    Space,
    /// A new line if its group does not fit, else `flat`.
    Break {
        flat: &'static str,
    },
    /// A new line, with an empty one before it if `blank`.
    Line {
        blank: bool,
    },
    Open,
    Close,
    Indent,
    Dedent,
}

impl Piece {
    /// How wide it is on one line.
    fn width(&self) -> usize {
        match self {
            Piece::Text(text) => text.chars().count(),
            Piece::Space => 1,
            Piece::Break { flat } => flat.len(),
            _ => 0,
        }
    }

    /// Whether it can be on one line at all.
    fn breaks(&self) -> bool {
        match self {
            Piece::Line { .. } => true,
            Piece::Text(text) => text.contains('\n'),
            _ => false,
        }
    }
}

/// Puts pieces on lines; the last one ends with a line end, unless there is nothing.
pub(super) fn lay_out(pieces: &[Piece]) -> String {
    let widths = group_widths(pieces);
    let mut page = Page::default();
    let mut broken = Vec::new();
    for (piece, width) in pieces.iter().zip(widths) {
        match piece {
            Piece::Text(text) | Piece::Comment(text) => page.text(text),
            Piece::Space => page.spaces += 1,
            Piece::Break { flat } => match broken.last() {
                Some(true) => page.line(false),
                _ => page.spaces += flat.len(),
            },
            Piece::Line { blank } => page.line(*blank),
            Piece::Open => broken.push(width.is_none_or(|width| page.column() + width > WIDTH)),
            Piece::Close => {
                broken.pop();
            }
            Piece::Indent => page.indent += STEP,
            Piece::Dedent => page.indent = page.indent.saturating_sub(STEP),
        }
    }
    if !page.out.is_empty() {
        page.out.push('\n');
    }
    page.out
}

/// For each opening of a group how wide it is on one line, with what follows it up to the next
/// break; nothing if it cannot be on one line. Other pieces have 0.
fn group_widths(pieces: &[Piece]) -> Vec<Option<usize>> {
    let mut widths = vec![Some(0); pieces.len()];
    // All counted from the end of the pieces.
    let mut width = 0;
    let mut breaks = 0;
    let mut tail = 0;
    let mut open: Vec<(usize, usize, usize)> = Vec::new();
    for (at, piece) in pieces.iter().enumerate().rev() {
        width += piece.width();
        breaks += usize::from(piece.breaks());
        tail = match piece {
            Piece::Break { .. } | Piece::Line { .. } => 0,
            _ => tail + piece.width(),
        };
        if *piece == Piece::Close {
            open.push((width, breaks, tail));
        } else if *piece == Piece::Open
            && let Some((width_behind, breaks_behind, tail_behind)) = open.pop()
        {
            let inside = width - width_behind + tail_behind;
            widths[at] = (breaks == breaks_behind).then_some(inside);
        }
    }
    widths
}

#[derive(Default)]
struct Page {
    out: String,
    indent: usize,
    /// How far right the line being written begins, as was due when the one before ended.
    line_indent: usize,
    /// How many characters the line being written has.
    written: usize,
    /// Blanks that are written only if a word follows on the line.
    spaces: usize,
}

impl Page {
    fn text(&mut self, text: &str) {
        let blanks = if self.written == 0 { self.line_indent } else { self.spaces };
        self.spaces = 0;
        self.out.extend(std::iter::repeat_n(' ', blanks));
        self.out.push_str(text);
        match text.rfind('\n') {
            Some(last) => self.written = text[last + 1..].chars().count(),
            None => self.written += blanks + text.chars().count(),
        }
    }

    fn line(&mut self, blank: bool) {
        self.out.push_str(if blank { "\n\n" } else { "\n" });
        self.line_indent = self.indent;
        self.written = 0;
        self.spaces = 0;
    }

    fn column(&self) -> usize {
        if self.written == 0 { self.line_indent } else { self.written + self.spaces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(words: usize) -> Vec<Piece> {
        let mut pieces = vec![Piece::Open, Piece::Indent, Piece::Text("f(".to_owned())];
        pieces.push(Piece::Break { flat: "" });
        for at in 0..words {
            if at > 0 {
                pieces.push(Piece::Break { flat: " " });
            }
            pieces.push(Piece::Text("word,".to_owned()));
        }
        pieces.extend([Piece::Dedent, Piece::Break { flat: "" }, Piece::Text(")".to_owned())]);
        pieces.push(Piece::Close);
        pieces
    }

    #[test]
    fn what_fits_stays_on_a_line() {
        assert_eq!(lay_out(&group(2)), "f(word, word,)\n");
        assert_eq!(lay_out(&[]), "");
    }

    #[test]
    fn what_does_not_fit_takes_a_line_for_each_break() {
        let shown = lay_out(&group(40));
        assert_eq!(shown.lines().count(), 42);
        assert!(shown.starts_with("f(\n    word,\n") && shown.ends_with("    word,\n)\n"));
    }

    #[test]
    fn what_follows_a_group_counts() {
        let mut pieces = group(16);
        assert_eq!(lay_out(&pieces).lines().count(), 1);
        pieces.push(Piece::Text(";".repeat(5)));
        assert!(lay_out(&pieces).lines().count() > 1);
    }
}
