//! `${name}`: replaced in a plan's text before it is read.

/// Replaces every `${name}` of which `value` knows the name; the others stay as they are, and the
/// lexer says so. What is put in is not looked at again.
///
/// Names are made of letters, digits, `_`, `.` and `-`.
pub fn substitute(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, variable) = rest.split_at(at);
        out.push_str(before);
        let length = length(variable).unwrap_or(2);
        let (variable, after) = variable.split_at(length);
        match variable.get(2..length - 1).filter(|name| !name.is_empty()).and_then(&value) {
            Some(value) => out.push_str(&value),
            None => out.push_str(variable),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The length of the `${name}` with which a text begins, if it does.
pub(super) fn length(text: &str) -> Option<usize> {
    let name = text.strip_prefix("${")?;
    let end = name.find(|c: char| !(c.is_alphanumeric() || "_.-".contains(c)))?;
    (end > 0 && name[end..].starts_with('}')).then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_replaced_once_and_others_left() {
        let value = |name: &str| match name {
            "a" => Some("1".to_owned()),
            "b.c" => Some("${a}".to_owned()),
            _ => None,
        };
        assert_eq!(substitute("x ${a}, ${b.c}; ${d} ä${a}", value), "x 1, ${a}; ${d} ä1");
        assert_eq!(substitute("${} ${a ${a", value), "${} ${a ${a");
        assert_eq!(substitute("$${a}{", value), "$1{");
    }
}
