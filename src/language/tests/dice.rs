//! Choices for generated trees, taken from a row of bytes: when it ends, each choice is the first.

use crate::language::tree::Identifier;
use crate::language::tree::Span;
use crate::language::tree::StringLiteral;

/// Keywords that are tried as names. Those that can follow a source are left out: a stream of that
/// name cannot be told from the word without back-quotes.
const NAMES: [&str; 24] = [
    "a",
    "b",
    "S",
    "price",
    "T1",
    "_x",
    "min",
    "sum",
    "last",
    "first",
    "all",
    "events",
    "type",
    "day",
    "window",
    "stream",
    "order",
    "null",
    "end",
    "true",
    "not",
    "every",
    "STRING",
    "Long_name_9",
];

pub(super) struct Dice<'a> {
    bytes: std::slice::Iter<'a, u8>,
    depth: usize,
}

impl<'a> Dice<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Dice<'a> {
        Dice { bytes: bytes.iter(), depth: 0 }
    }

    /// A number below `sides`.
    pub(super) fn below(&mut self, sides: u8) -> u8 {
        self.bytes.next().copied().unwrap_or(0) % sides
    }

    /// A number of any size.
    pub(super) fn number(&mut self) -> i64 {
        let length = self.below(9);
        (0..length).fold(0, |number, _| (number << 8) | i64::from(self.below(255)))
    }

    pub(super) fn flip(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Something or nothing.
    pub(super) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flip().then(|| make(self))
    }

    /// So many of something, up to two more.
    pub(super) fn some<T>(&mut self, least: u8, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        let count = least + self.below(3);
        (0..count).map(|_| make(self)).collect()
    }

    /// One of several.
    pub(super) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        let sides = u8::try_from(all.len()).expect("a short list");
        all[usize::from(self.below(sides))]
    }

    /// Something that may hold its like; below a certain depth the simple kind.
    pub(super) fn deeper<T>(
        &mut self,
        simple: impl FnOnce(&mut Self) -> T,
        deep: impl FnOnce(&mut Self) -> T,
    ) -> T {
        if self.depth >= 4 {
            return simple(self);
        }
        self.depth += 1;
        let made = deep(self);
        self.depth -= 1;
        made
    }

    pub(super) fn name(&mut self) -> Identifier {
        let text = match self.below(12) {
            0 => "two words",
            1 => "größe-1",
            _ => self.pick(&NAMES),
        };
        Identifier { text: text.to_owned(), quoted: false, span: Span::default() }
    }

    pub(super) fn text(&mut self) -> String {
        let pieces =
            ["", "a", "it's", "say \"so\"", "\n", "two\r\nlines", "ü", "{{x}}", "--", "/* */", "$"];
        let text: String = (0..self.below(4)).map(|_| self.pick(&pieces)).collect();
        // A text that needs three quotes cannot end with one.
        if text.ends_with('"') { format!("{text}.") } else { text }
    }

    pub(super) fn string(&mut self) -> StringLiteral {
        StringLiteral { value: self.text(), span: Span::default() }
    }
}
