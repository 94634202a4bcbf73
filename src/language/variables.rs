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

/// As [`substitute`], but leaves what stands in `@source` and `@sink` as it is: passwords and
/// addresses that each node puts in by itself, and that are never kept with the plan. A `@store`
/// names a store of the settings and holds no secret; what it says decides what the plan holds, so
/// both nodes of a pair must read the same.
pub fn substitute_outside_options(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, end)) = options(rest) {
        out.push_str(&substitute(&rest[..start], &value));
        out.push_str(&rest[start..end]);
        rest = &rest[end..];
    }
    out.push_str(&substitute(rest, &value));
    out
}

/// Where the first `@source(…)` or `@sink(…)` of a text stands.
fn options(text: &str) -> Option<(usize, usize)> {
    for (at, _) in text.match_indices('@') {
        let word = text[at + 1..].trim_start();
        let length = word.find(|c: char| !c.is_alphanumeric()).unwrap_or(word.len());
        let is = |name: &&str| word[..length].eq_ignore_ascii_case(name);
        if ["source", "sink"].iter().any(is) {
            let open = text.len() - word.len() + length;
            return Some((at, closing(text, open)));
        }
    }
    None
}

/// The place after the bracket that closes the first one from `open` on; brackets in strings do not
/// count. What is never closed goes to the end.
fn closing(text: &str, open: usize) -> usize {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match (quote, byte) {
            (Some(mark), _) if byte == mark => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(') => depth += 1,
            (None, b')') if depth <= 1 => return at + 1,
            (None, b')') => depth -= 1,
            (None, _) => {}
        }
    }
    text.len()
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
    fn what_stands_in_options_is_left() {
        let value = |name: &str| Some(name.to_uppercase());
        let text = "@app:name('${a}') @Sink(type='x', p=')${b}', @map(type=\"${c}\")) \
                    define stream ${d} (); @source (x='${e}') from ${f} @sinking('${g}')";
        let expected = "@app:name('A') @Sink(type='x', p=')${b}', @map(type=\"${c}\")) \
                        define stream D (); @source (x='${e}') from F @sinking('G')";
        assert_eq!(substitute_outside_options(text, value), expected);
        assert_eq!(substitute_outside_options("@sink('${a}", value), "@sink('${a}");
        assert_eq!(substitute_outside_options("@store('${a}')", value), "@store('A')");
    }

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
