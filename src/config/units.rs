//! Times and sizes as people write them: `500ms`, `2s`, `64KiB`, `8MiB`.

use std::time::Duration;

const TIMES: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("sec", 1_000), ("min", 60_000), ("h", 3_600_000)];
const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// A time with its unit; `None` when it is none or too long to count.
pub(super) fn time(text: &str) -> Option<Duration> {
    scaled(text, TIMES).map(Duration::from_millis)
}

/// A size in bytes; a number alone is bytes.
pub(super) fn size(text: &str) -> Option<usize> {
    scaled(text, SIZES).and_then(|bytes| usize::try_from(bytes).ok())
}

/// The size as one would write it, in the greatest unit that divides it.
pub(super) fn show_size(bytes: usize) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim());
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_their_unit() {
        assert_eq!(time("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(time("2 min"), Some(Duration::from_secs(120)));
        assert_eq!((time("5"), time("ms"), time("-1s"), time("1.5s")), (None, None, None, None));
        assert_eq!(
            (size("4096"), size("8MiB"), size("2 kb")),
            (Some(4096), Some(8 << 20), Some(2000))
        );
        assert_eq!((size("8 bits"), size("99999999999GiB")), (None, None));
    }

    #[test]
    fn sizes_are_shown_in_the_greatest_unit_that_divides_them() {
        assert_eq!(show_size(8 << 20), "8MiB");
        assert_eq!(show_size(1025), "1025");
        assert_eq!(show_size(3 << 10), "3KiB");
    }
}
