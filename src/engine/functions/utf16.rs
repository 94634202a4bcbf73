//! Places in texts as Java counts them: in units of UTF-16.

/// How many units a text has.
pub fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// The byte at which the unit of a number begins; `None` beyond the end. A unit inside of a
/// character counts as where the character begins.
pub fn byte_of(text: &str, unit: usize) -> Option<usize> {
    if text.is_ascii() {
        return (unit <= text.len()).then_some(unit);
    }
    let mut units = 0;
    for (byte, character) in text.char_indices() {
        units += character.len_utf16();
        if unit < units {
            return Some(byte);
        }
    }
    (unit == units).then_some(text.len())
}

/// The number of the unit at a byte.
pub fn unit_of(text: &str, byte: usize) -> usize {
    length(&text[..byte])
}

/// The text between two units.
pub fn slice(text: &str, start: usize, end: usize) -> Option<&str> {
    if start > end {
        return None;
    }
    let (start, end) = (byte_of(text, start)?, byte_of(text, end)?);
    text.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_as_java_does() {
        assert_eq!(length("abc"), 3);
        assert_eq!(length("aü😀"), 4);
        assert_eq!(byte_of("aü😀b", 2), Some(3));
        assert_eq!(byte_of("aü😀b", 3), Some(3));
        assert_eq!(byte_of("aü😀b", 4), Some(7));
        assert_eq!(byte_of("aü😀b", 5), Some(8));
        assert_eq!(byte_of("aü😀b", 6), None);
        assert_eq!(unit_of("aü😀b", 7), 4);
        assert_eq!(slice("äbc", 1, 2), Some("b"));
        assert_eq!(slice("äbc", 2, 1), None);
        assert_eq!(slice("äbc", 1, 4), None);
    }
}
