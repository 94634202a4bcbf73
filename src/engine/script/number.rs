//! Numbers as JavaScript writes and reads them.

use crate::event::Text;
use std::fmt::Write;

/// A number as text: whole ones without a point, very great and very small ones with a power.
pub fn text(number: f64) -> Text {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let mut out = Text::new();
    let size = number.abs();
    if number == 0.0 {
        out.push('0');
    } else if (1e-6..1e21).contains(&size) {
        write!(out, "{number}").expect("texts take everything");
    } else {
        let scientific = format!("{number:e}");
        let (digits, power) = scientific.split_once('e').expect("the form has a power");
        let sign = if power.starts_with('-') { "" } else { "+" };
        write!(out, "{digits}e{sign}{power}").expect("texts take everything");
    }
    out
}

/// The number that a text is as a whole; not-a-number if it is none.
pub fn of_text(text: &str) -> f64 {
    let text = text.trim();
    let based = |prefix: &str, base| {
        let digits = text.strip_prefix(prefix)?;
        Some(u64::from_str_radix(digits, base).map_or(f64::NAN, |number| number as f64))
    };
    if text.is_empty() {
        return 0.0;
    }
    if let Some(number) = based("0x", 16).or_else(|| based("0b", 2)).or_else(|| based("0o", 8)) {
        return number;
    }
    match text {
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => plain(text).unwrap_or(f64::NAN),
    }
}

/// The number in decimal digits at the beginning of a text.
pub fn leading(text: &str) -> f64 {
    let text = text.trim_start();
    let mut length = text.bytes().take_while(|byte| b"0123456789.eE+-".contains(byte)).count();
    while length > 0 {
        if let Some(number) = plain(&text[..length]) {
            return number;
        }
        length -= 1;
        if length > 400 {
            length = 400;
        }
    }
    match text {
        _ if text.starts_with("Infinity") => f64::INFINITY,
        _ if text.starts_with("-Infinity") => f64::NEG_INFINITY,
        _ => f64::NAN,
    }
}

/// The whole number in a base at the beginning of a text; base 0 is 10, or 16 after `0x`.
pub fn leading_whole(text: &str, base: u32) -> f64 {
    let text = text.trim_start();
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (text, base) = match (base, hex) {
        (0 | 16, Some(digits)) => (digits, 16),
        (0, None) => (text, 10),
        (2..=36, _) => (text, base),
        _ => return f64::NAN,
    };
    let mut found = None;
    for digit in text.chars().map_while(|each| each.to_digit(base)) {
        found = Some(found.unwrap_or(0.0) * f64::from(base) + f64::from(digit));
    }
    found.map_or(f64::NAN, |number| if negative { -number } else { number })
}

fn plain(text: &str) -> Option<f64> {
    let allowed = |byte: u8| b"0123456789.eE+-".contains(&byte);
    if !text.bytes().all(allowed) { None } else { text.parse().ok() }
}

/// The 32 bits by which bitwise operators know a number.
pub fn bits(number: f64) -> i32 {
    if !number.is_finite() {
        return 0;
    }
    let wrapped = libm::fmod(libm::trunc(number), 4_294_967_296.0);
    wrapped as i64 as u32 as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_javascript() {
        let cases = [
            (5.0, "5"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1.5e-7, "1.5e-7"),
            (0.000_001, "0.000001"),
            (f64::NAN, "NaN"),
        ];
        for (number, written) in cases {
            assert_eq!(text(number), written);
        }
    }

    #[test]
    fn numbers_are_read_as_in_javascript() {
        assert_eq!(of_text(" 12.5 "), 12.5);
        assert_eq!(of_text(""), 0.0);
        assert_eq!(of_text("0xff"), 255.0);
        assert!(of_text("12px").is_nan());
        assert!(of_text("inf").is_nan());
        assert_eq!(leading("12.5px"), 12.5);
        assert_eq!(leading("1e"), 1.0);
        assert!(leading("px").is_nan());
        assert_eq!(leading_whole("-12.9", 0), -12.0);
        assert_eq!(leading_whole("0x1f", 0), 31.0);
        assert_eq!(leading_whole("101", 2), 5.0);
        assert!(leading_whole("z", 10).is_nan());
        assert_eq!(bits(4_294_967_297.0), 1);
        assert_eq!(bits(-1.5), -1);
        assert_eq!(bits(2_147_483_648.0), i32::MIN);
    }
}
