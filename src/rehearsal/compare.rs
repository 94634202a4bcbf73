//! What was wanted against what was seen, as a difference that people can read.

use crate::event::Structure;
use crate::event::Value;

/// How far floats written by hand may lie from what comes out, as a share.
const CLOSE: f64 = 1e-9;

/// Whether a value is the one that was written: floats may differ by a hair, a set is written as
/// the list of its elements.
pub(super) fn alike(written: &Value, seen: &Value) -> bool {
    match (written, seen) {
        (Value::Object(written), Value::Object(seen)) => match (&**written, &**seen) {
            (
                Structure::List(written) | Structure::Set(written),
                Structure::List(seen) | Structure::Set(seen),
            ) => written.len() == seen.len() && written.iter().zip(seen).all(|(a, b)| alike(a, b)),
            (written, seen) => written == seen,
        },
        (Value::Text(written), Value::Object(seen)) => match &**seen {
            Structure::Error(text) => text == written,
            _ => false,
        },
        (Value::Float(_) | Value::Double(_), Value::Float(_) | Value::Double(_)) => {
            match (written.as_double(), seen.as_double()) {
                (Some(a), Some(b)) => a == b || (a - b).abs() <= CLOSE * a.abs().max(b.abs()),
                _ => false,
            }
        }
        (written, seen) => written == seen,
    }
}

/// Two lists line by line: what both have, `-` what is missing, `+` what should not be there.
/// Nothing if they are equal.
pub(super) fn difference<W, S>(
    wanted: &[W],
    seen: &[S],
    same: impl Fn(&W, &S) -> bool,
    show_wanted: impl Fn(&W) -> String,
    show_seen: impl Fn(&S) -> String,
) -> Option<String> {
    if wanted.len() == seen.len() && wanted.iter().zip(seen).all(|(a, b)| same(a, b)) {
        return None;
    }
    // The longest part that both have in common, from the end.
    let mut common = vec![vec![0usize; seen.len() + 1]; wanted.len() + 1];
    for row in (0..wanted.len()).rev() {
        for column in (0..seen.len()).rev() {
            common[row][column] = match same(&wanted[row], &seen[column]) {
                true => common[row + 1][column + 1] + 1,
                false => common[row + 1][column].max(common[row][column + 1]),
            };
        }
    }
    let mut text = String::new();
    let mut line = |sign: char, shown: String| {
        text.push_str("    ");
        text.push(sign);
        text.push(' ');
        text.push_str(&shown);
        text.push('\n');
    };
    let (mut row, mut column) = (0, 0);
    while row < wanted.len() || column < seen.len() {
        let both = row < wanted.len() && column < seen.len();
        if both && same(&wanted[row], &seen[column]) {
            line(' ', show_seen(&seen[column]));
            row += 1;
            column += 1;
        } else if row < wanted.len()
            && (column == seen.len() || common[row + 1][column] >= common[row][column + 1])
        {
            line('-', show_wanted(&wanted[row]));
            row += 1;
        } else {
            line('+', show_seen(&seen[column]));
            column += 1;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_difference_shows_what_is_missing_and_what_is_too_much() {
        let show = |text: &&str| (*text).to_owned();
        let differ = |a: &[&str], b: &[&str]| difference(a, b, |a, b| a == b, show, show);
        assert_eq!(differ(&["a", "b"], &["a", "b"]), None);
        let text = differ(&["a", "b", "c"], &["a", "x", "c", "d"]).unwrap();
        assert_eq!(text, "      a\n    - b\n    + x\n      c\n    + d\n");
        assert_eq!(differ(&["a"], &[]).unwrap(), "    - a\n");
    }

    #[test]
    fn floats_may_differ_by_a_hair_and_sets_are_lists() {
        assert!(alike(&Value::Double(0.3), &Value::Double(0.1 + 0.2)));
        assert!(!alike(&Value::Double(0.3), &Value::Double(0.300_001)));
        assert!(!alike(&Value::Double(1.0), &Value::Int(1)));
        let list = |make: fn(Vec<Value>) -> Structure| {
            Value::Object(Arc::new(make(vec![Value::Int(1), Value::Null])))
        };
        assert!(alike(&list(Structure::List), &list(Structure::Set)));
        assert!(!alike(&list(Structure::List), &Value::Object(Arc::new(Structure::Set(vec![])))));
    }
}
