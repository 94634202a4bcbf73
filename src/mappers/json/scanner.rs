//! Reads JSON token by token out of a text that is known to be UTF-8; keeps nothing.
//!
//! Numbers and texts are read straight to their type: no tree, no allocation but for texts with
//! escapes, whose characters go to a buffer that is used again.

use crate::event::Set;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::mappers::message::Fault;
use std::sync::Arc;

/// Brackets within brackets at most.
pub const DEPTH_MAX: usize = 64;

/// So many digits fit into 64 bits, whatever they are.
const DIGITS_MAX: usize = 19;

/// What is wrong at a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad {
    /// The byte.
    pub at: usize,
    /// What kind of fault.
    pub fault: Fault,
    /// What would have been right.
    pub expected: &'static str,
}

/// A number as it stands.
#[derive(Clone, Copy, Debug)]
pub struct Number<'a> {
    text: &'a str,
    negative: bool,
    /// All digits as one number, unless there are too many.
    digits: Option<u64>,
    /// Digits after the point.
    fraction: u32,
    /// Whether it has a point or an exponent.
    broken: bool,
    /// Whether it has an exponent.
    scaled: bool,
}

impl Number<'_> {
    /// As a whole number of 64 bits.
    pub fn long(&self) -> Result<i64, Fault> {
        if self.broken {
            return Err(Fault::Type);
        }
        match self.digits {
            Some(digits) if !self.negative => i64::try_from(digits).map_err(|_| Fault::Range),
            Some(digits) => 0i64.checked_sub_unsigned(digits).ok_or(Fault::Range),
            None => Err(Fault::Range),
        }
    }

    /// As a double: the one nearest to the digits.
    pub fn double(&self) -> Result<f64, Fault> {
        // Both figures are exact as doubles, so that one division gives the nearest double.
        if let Some(digits) = self.digits
            && digits <= 1 << 53
            && !self.scaled
            && (self.fraction as usize) < EXACT_TENS.len()
        {
            let value = digits as f64 / EXACT_TENS[self.fraction as usize];
            return Ok(if self.negative { -value } else { value });
        }
        match self.text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            Ok(_) => Err(Fault::Range),
            Err(_) => Err(Fault::Type),
        }
    }

    /// As a float: the one nearest to the digits.
    pub fn float(&self) -> Result<f32, Fault> {
        match self.text.parse::<f32>() {
            Ok(value) if value.is_finite() => Ok(value),
            Ok(_) => Err(Fault::Range),
            Err(_) => Err(Fault::Type),
        }
    }
}

const EXACT_TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Stands at the beginning.
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, bytes: text.as_bytes(), at: 0 }
    }

    /// The byte it stands at.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes back, or on, to a byte it stood at before.
    pub fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The next byte after blanks; `None` at the end.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Whether a line ends between here and the next byte that is no blank; stands there after.
    pub fn line_ends(&mut self) -> bool {
        let start = self.at;
        self.peek();
        self.bytes[start..self.at].contains(&b'\n')
    }

    /// Takes the byte if it comes next after blanks.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes the byte, which must come next after blanks.
    #[inline]
    pub fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Bad> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(self.bad(Fault::Syntax, expected)),
        }
    }

    /// Takes these bytes, such as `"name":`, if exactly they come next: the common case of a key
    /// that was foreseen.
    #[inline]
    pub fn take_exactly(&mut self, bytes: &[u8]) -> bool {
        let found = self.bytes[self.at..].starts_with(bytes);
        self.at += if found { bytes.len() } else { 0 };
        found
    }

    /// A fault at the next byte.
    pub fn bad(&mut self, fault: Fault, expected: &'static str) -> Bad {
        self.peek();
        Bad { at: self.at, fault, expected }
    }

    fn bad_at(at: usize, fault: Fault, expected: &'static str) -> Bad {
        Bad { at, fault, expected }
    }

    /// Takes `null` if it comes next.
    #[inline]
    pub fn null(&mut self) -> Result<bool, Bad> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word("null")?;
        Ok(true)
    }

    /// Takes `true` or `false`.
    #[inline]
    pub fn truth(&mut self) -> Result<bool, Bad> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => Err(self.other("true or false")),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Bad> {
        match self.bytes[self.at..].starts_with(word.as_bytes()) {
            true => {
                self.at += word.len();
                Ok(())
            }
            false => Err(Self::bad_at(self.at, Fault::Syntax, word)),
        }
    }

    /// A fault of type where something of another type begins, of syntax where nothing does.
    fn other(&mut self, expected: &'static str) -> Bad {
        let fault = match self.peek() {
            Some(b'"' | b'{' | b'[' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => Fault::Type,
            _ => Fault::Syntax,
        };
        self.bad(fault, expected)
    }

    /// Takes a number.
    #[inline]
    pub fn number(&mut self, expected: &'static str) -> Result<Number<'a>, Bad> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.other(expected));
        }
        let start = self.at;
        let mut at = start;
        let negative = self.bytes[at] == b'-';
        at += usize::from(negative);
        let mut digits = 0u64;
        let whole = self.digits(&mut at, &mut digits, 0);
        let leading_zero = whole > 1 && self.bytes[at - whole] == b'0';
        if whole == 0 || leading_zero {
            return Err(Self::bad_at(start, Fault::Syntax, "a number as JSON writes it"));
        }
        let (mut broken, mut scaled, mut fraction) = (false, false, 0);
        if self.bytes.get(at) == Some(&b'.') {
            at += 1;
            fraction = self.digits(&mut at, &mut digits, whole);
            broken = true;
            if fraction == 0 {
                return Err(Self::bad_at(at, Fault::Syntax, "digits after the point"));
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(at) {
            at += 1;
            at += usize::from(matches!(self.bytes.get(at), Some(b'+' | b'-')));
            if self.digits(&mut at, &mut 0, DIGITS_MAX) == 0 {
                return Err(Self::bad_at(at, Fault::Syntax, "digits of the exponent"));
            }
            (broken, scaled) = (true, true);
        }
        self.at = at;
        Ok(Number {
            text: &self.text[start..at],
            negative,
            digits: (whole + fraction <= DIGITS_MAX).then_some(digits),
            fraction: u32::try_from(fraction).unwrap_or(u32::MAX),
            broken,
            scaled,
        })
    }

    /// Reads digits onto `value`, which has `before` digits already; says how many.
    #[inline]
    fn digits(&self, at: &mut usize, value: &mut u64, before: usize) -> usize {
        let start = *at;
        while let Some(byte @ b'0'..=b'9') = self.bytes.get(*at) {
            // Wraps only where there are more than DIGITS_MAX, which the caller sees.
            *value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            *at += 1;
        }
        debug_assert!(before + *at - start > DIGITS_MAX || *value < 10u64.pow(19));
        *at - start
    }

    /// Takes a text; one with escapes is written to `scratch`.
    #[inline]
    pub fn string<'s>(
        &mut self,
        scratch: &'s mut String,
        expected: &'static str,
    ) -> Result<&'s str, Bad>
    where
        'a: 's,
    {
        if self.peek() != Some(b'"') {
            return Err(self.other(expected));
        }
        let start = self.at + 1;
        let mut at = self.plain_end(start);
        if self.bytes.get(at) == Some(&b'"') {
            self.at = at + 1;
            return Ok(&self.text[start..at]);
        }
        scratch.clear();
        let mut from = start;
        loop {
            scratch.push_str(&self.text[from..at]);
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => at = self.escape(at + 1, scratch)?,
                Some(_) => {
                    return Err(Self::bad_at(at, Fault::Syntax, "no raw control characters"));
                }
                None => return Err(Self::bad_at(at, Fault::Syntax, "a closing quote")),
            }
            from = at;
            at = self.plain_end(at);
        }
        self.at = at + 1;
        Ok(scratch)
    }

    /// The first byte from `at` on that is a quote, a backslash or a control character, or the end.
    #[inline]
    fn plain_end(&self, mut at: usize) -> usize {
        const ONES: u64 = u64::MAX / 255;
        const HIGHS: u64 = ONES << 7;
        // Eight bytes at once: a byte's high bit is set where it is less than a bound or equal to a
        // byte. False alarms can only follow a true one, and the loop below looks again.
        while let Some(eight) = self.bytes.get(at..at + 8) {
            let word = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
            let quote = word ^ (ONES * u64::from(b'"'));
            let backslash = word ^ (ONES * u64::from(b'\\'));
            let control = word.wrapping_sub(ONES * 0x20) & !word;
            let found = quote.wrapping_sub(ONES) & !quote
                | backslash.wrapping_sub(ONES) & !backslash
                | control;
            let found = found & HIGHS;
            if found != 0 {
                at += found.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        while let Some(&byte) = self.bytes.get(at) {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                break;
            }
            at += 1;
        }
        at
    }

    /// Decodes what follows a backslash; gives the place after it.
    fn escape(&self, at: usize, into: &mut String) -> Result<usize, Bad> {
        let bad = || Self::bad_at(at, Fault::Syntax, "an escape of JSON such as \\n or \\u00e4");
        let character = match self.bytes.get(at) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(at + 1, into).ok_or_else(bad),
            _ => return Err(bad()),
        };
        into.push(character);
        Ok(at + 1)
    }

    fn unicode_escape(&self, at: usize, into: &mut String) -> Option<usize> {
        let first = self.four_hex(at)?;
        let (code, after) = if (0xd800..0xdc00).contains(&first) {
            if self.bytes.get(at + 4..at + 6)? != b"\\u" {
                return None;
            }
            let second = self.four_hex(at + 6)?.checked_sub(0xdc00)?;
            if second >= 0x400 {
                return None;
            }
            (0x10000 + ((first - 0xd800) << 10) + second, at + 10)
        } else {
            (first, at + 4)
        };
        into.push(char::from_u32(code)?);
        Some(after)
    }

    fn four_hex(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 4)?;
        digits.iter().try_fold(0, |value, byte| Some(value * 16 + char::from(*byte).to_digit(16)?))
    }

    /// Passes over any value.
    pub fn skip(&mut self, depth: usize, scratch: &mut String) -> Result<(), Bad> {
        match self.peek() {
            Some(b'"') => self.string(scratch, "a text").map(|_| ()),
            Some(b'{') => {
                self.members(depth, scratch, |scanner, _, scratch| scanner.skip(depth + 1, scratch))
            }
            Some(b'[') => {
                self.elements(depth, scratch, |scanner, scratch| scanner.skip(depth + 1, scratch))
            }
            Some(b't' | b'f') => self.truth().map(|_| ()),
            Some(b'n') => self.null().map(|_| ()),
            _ => self.number("a value").map(|_| ()),
        }
    }

    /// Takes any value, as an object attribute holds it.
    pub fn value(&mut self, depth: usize, scratch: &mut String) -> Result<Value, Bad> {
        Ok(match self.peek() {
            Some(b'"') => Value::Text(Text::from(self.string(scratch, "a text")?)),
            Some(b't' | b'f') => Value::Bool(self.truth()?),
            Some(b'n') => {
                self.null()?;
                Value::Null
            }
            Some(b'[') => {
                let mut values = Vec::new();
                self.elements(depth, scratch, |scanner, scratch| {
                    values.push(scanner.value(depth + 1, scratch)?);
                    Ok(())
                })?;
                Value::Object(Arc::new(Structure::List(values)))
            }
            Some(b'{') => self.map(depth, scratch)?,
            _ => {
                let at = self.at;
                let number = self.number("a value")?;
                let bad = |fault| Self::bad_at(at, fault, "a number that a double can hold");
                match number.long() {
                    Ok(value) => match i32::try_from(value) {
                        Ok(value) => Value::Int(value),
                        Err(_) => Value::Long(value),
                    },
                    Err(_) => Value::Double(number.double().map_err(bad)?),
                }
            }
        })
    }

    fn map(&mut self, depth: usize, scratch: &mut String) -> Result<Value, Bad> {
        let mut entries: Vec<(Text, Value)> = Vec::new();
        let mut seen: Set<Text> = Set::default();
        let start = self.at;
        self.members(depth, scratch, |scanner, key, scratch| {
            if !seen.insert(key.clone()) {
                return Err(Self::bad_at(scanner.at, Fault::Duplicate, "each name once"));
            }
            entries.push((key, scanner.value(depth + 1, scratch)?));
            Ok(())
        })?;
        debug_assert!(self.at > start);
        Ok(Value::Object(Arc::new(Structure::Map(entries))))
    }

    /// Goes through the members of an object; `each` takes the value.
    pub fn members(
        &mut self,
        depth: usize,
        scratch: &mut String,
        mut each: impl FnMut(&mut Self, Text, &mut String) -> Result<(), Bad>,
    ) -> Result<(), Bad> {
        self.descend(depth)?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = Text::from(self.string(scratch, "a name in quotes")?);
            self.expect(b':', "`:` after the name")?;
            each(self, key, scratch)?;
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',', "`,` or `}`")?;
        }
    }

    /// Goes through the elements of an array; `each` takes one.
    pub fn elements(
        &mut self,
        depth: usize,
        scratch: &mut String,
        mut each: impl FnMut(&mut Self, &mut String) -> Result<(), Bad>,
    ) -> Result<(), Bad> {
        self.descend(depth)?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            each(self, scratch)?;
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',', "`,` or `]`")?;
        }
    }

    fn descend(&mut self, depth: usize) -> Result<(), Bad> {
        if depth >= DEPTH_MAX {
            return Err(self.bad(Fault::Depth, "at most 64 brackets within each other"));
        }
        self.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(text: &str) -> f64 {
        Scanner::new(text).number("").unwrap().double().unwrap()
    }

    #[test]
    fn numbers_are_the_nearest_there_are() {
        for text in
            ["0", "-0", "0.1", "-12.625", "9007199254740993", "1e22", "1.7976931348623157e308"]
        {
            assert_eq!(double(text).to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        let long = |text| Scanner::new(text).number("").unwrap().long();
        assert_eq!(long("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(long("9223372036854775808"), Err(Fault::Range));
        assert_eq!(long("99999999999999999999999"), Err(Fault::Range));
        assert_eq!(long("1.0"), Err(Fault::Type));
        for text in ["01", "-", "1.", ".5", "+1", "1e", "NaN", "0x1"] {
            let mut scanner = Scanner::new(text);
            let whole = scanner.number("").is_ok() && scanner.peek().is_none();
            assert!(!whole, "{text}");
        }
    }

    #[test]
    fn texts_come_with_their_escapes_decoded() {
        let mut scratch = String::new();
        let mut read = |text: &str| {
            Scanner::new(text).string(&mut scratch, "").map(str::to_owned).map_err(|bad| bad.at)
        };
        assert_eq!(read("\"plain and long enough\"").as_deref(), Ok("plain and long enough"));
        assert_eq!(read(r#""a\n\"\u00e4\ud83d\ude00z""#).as_deref(), Ok("a\n\"ä😀z"));
        assert_eq!(read("\"äöü ß\"").as_deref(), Ok("äöü ß"));
        assert_eq!(read("\"open"), Err(5));
        assert_eq!(read("\"a\nb\""), Err(2));
        assert_eq!(read(r#""\ud83d""#), Err(2));
        assert_eq!(read(r#""\x""#), Err(2));
    }

    #[test]
    fn deep_brackets_end_in_a_fault_not_in_the_stack() {
        let text = "[".repeat(100_000);
        let bad = Scanner::new(&text).skip(0, &mut String::new()).unwrap_err();
        assert_eq!((bad.fault, bad.at), (Fault::Depth, DEPTH_MAX));
        let bad = Scanner::new(&text).value(0, &mut String::new()).unwrap_err();
        assert_eq!(bad.fault, Fault::Depth);
    }

    #[test]
    fn a_name_may_stand_once() {
        let bad = Scanner::new(r#"{"a":1,"a":2}"#).value(0, &mut String::new()).unwrap_err();
        assert_eq!(bad.fault, Fault::Duplicate);
    }
}
