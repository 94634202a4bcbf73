//! Texts searched, cut and replaced: the functions `str:…` that look for something.

use crate::engine::expressions::by_row::Arguments;
use crate::engine::expressions::by_row::Outcome;
use crate::engine::functions::Built;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::engine::functions::pattern::Pattern;
use crate::engine::functions::pattern::replace;
use crate::engine::functions::takes;
use crate::engine::functions::text::TEXT;
use crate::engine::functions::text::index;
use crate::engine::functions::text::not_negative;
use crate::engine::functions::utf16;
use crate::event::DataType;
use crate::event::Text;
use crate::plan::signature::Parameter;
use ::regex::Regex;

const REGEX: Parameter = Parameter::any("regex", &[DataType::Text]);
const REPLACEMENT: Parameter = Parameter::any("replacement", &[DataType::Text]);
const WHOLE: &[DataType] = &[DataType::Int];

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    FunctionDefinition::new(
        "str:contains",
        "Whether a text stands in another; false if that is null.",
        &[takes(&[TEXT, Parameter::any("search", &[DataType::Text])], DataType::Bool)],
        |setup| {
            setup.by_row(|row| match row.text(0) {
                None => Ok(Some(false)),
                Some(text) => Ok(Some(text.contains(row.needed::<Text>(1)?.as_str()))),
            })
        },
        "define stream Lines (line string);
from Lines[str:contains(line, 'error')] select line insert into Errors;",
    ),
    FunctionDefinition::new(
        "str:locate",
        "The index at which a text stands in another, from an index on; -1 if it does not.",
        &[takes(
            &[
                Parameter::any("search", &[DataType::Text]),
                TEXT,
                Parameter::any("start", WHOLE).optional(),
            ],
            DataType::Int,
        )],
        |setup| setup.by_row(locate),
        "define stream Mails (address string);
from Mails select str:locate('@', address) as length insert into Lengths;",
    ),
    FunctionDefinition::new(
        "str:substr",
        "A part of the text: from an index on, of a length, or where a regular expression matches.",
        &[
            takes(&[TEXT, Parameter::any("begin", WHOLE)], DataType::Text),
            takes(
                &[TEXT, Parameter::any("begin", WHOLE), Parameter::any("length", WHOLE)],
                DataType::Text,
            ),
            takes(&[TEXT, REGEX, Parameter::any("group", WHOLE).optional()], DataType::Text),
        ],
        substr,
        "define stream Mails (address string);
from Mails select str:substr(address, '(.*)@', 1) as user, str:substr(address, 0, 1) as initial
insert into Users;",
    ),
    FunctionDefinition::new(
        "str:split",
        "The part of the text with a number, where a regular expression stands between parts.",
        &[takes(
            &[TEXT, Parameter::any("separator", &[DataType::Text]), Parameter::any("group", WHOLE)],
            DataType::Text,
        )],
        |setup| {
            not_negative(&setup, 2)?;
            let mut pattern = Pattern::new(setup.arguments, 1, false)?;
            setup.by_row(move |row| {
                let (text, at) = (row.needed::<Text>(0)?, index(row, 2)?);
                let parts = parts(pattern.of(row.needed(1)?)?, text);
                match parts.get(at) {
                    Some(part) => Ok(Some(Text::from(*part))),
                    None => {
                        Err(format!("'{text}' has {} parts, not {}", parts.len(), at + 1).into())
                    }
                }
            })
        },
        "define stream Lines (line string);
from Lines select str:split(line, ',', 0) as first insert into Firsts;",
    ),
    FunctionDefinition::new(
        "str:regexp",
        "Whether a regular expression matches the whole text.",
        &[takes(&[TEXT, REGEX], DataType::Bool)],
        |setup| {
            let mut pattern = Pattern::new(setup.arguments, 1, true)?;
            setup.by_row(move |row| {
                let text = row.needed::<Text>(0)?;
                Ok(Some(pattern.of(row.needed(1)?)?.is_match(text)))
            })
        },
        "define stream Codes (code string);
from Codes[str:regexp(code, '[A-Z]+-[0-9]+')] select code insert into Valid;",
    ),
    FunctionDefinition::new(
        "str:replaceAll",
        "The text with each match of a regular expression replaced; `$1` stands for a group.",
        &[takes(&[TEXT, REGEX, REPLACEMENT], DataType::Text)],
        |setup| replaced(setup, usize::MAX),
        "define stream Lines (line string);
from Lines select str:replaceAll(line, '[0-9]', '#') as line insert into Masked;",
    ),
    FunctionDefinition::new(
        "str:replaceFirst",
        "The text with the first match of a regular expression replaced.",
        &[takes(&[TEXT, REGEX, REPLACEMENT], DataType::Text)],
        |setup| replaced(setup, 1),
        "define stream Lines (line string);
from Lines select str:replaceFirst(line, '([a-z]+) ([a-z]+)', '$2 $1') as line insert into Turned;",
    ),
];

fn locate(row: Arguments<'_>) -> Outcome<i32> {
    let (wanted, text) = (row.needed::<Text>(0)?, row.needed::<Text>(1)?);
    let start = if row.count() > 2 { index(row, 2)? } else { 0 };
    let Some(from) = utf16::byte_of(text, start) else {
        return Err(format!("index {start} is beyond the end of '{text}'").into());
    };
    let found = text[from..].find(wanted.as_str());
    // As in the reference, what is not found behind a start is found one before it.
    let not_found = start as i32 - 1;
    Ok(Some(found.map_or(not_found, |at| utf16::unit_of(text, from + at) as i32)))
}

fn substr(setup: FunctionSetup<'_>) -> Built {
    if setup.arguments[1].ty == DataType::Text {
        let mut pattern = Pattern::new(setup.arguments, 1, false)?;
        return setup.by_row(move |row| {
            let (text, group) = (row.needed::<Text>(0)?, row.needed::<Text>(1)?);
            let number = if row.count() > 2 { index(row, 2)? } else { 0 };
            let regex = pattern.of(group)?;
            if number >= regex.captures_len() {
                return Err(format!("the regular expression has no group {number}").into());
            }
            match regex.captures(text) {
                None => Ok(Some(Text::new())),
                Some(found) => Ok(found.get(number).map(|found| found.as_str().into())),
            }
        });
    }
    not_negative(&setup, 1)?;
    setup.by_row(|row| {
        let (text, begin) = (row.needed::<Text>(0)?, index(row, 1)?);
        let end = match row.count() {
            2 => utf16::length(text),
            _ => begin.saturating_add(index(row, 2)?),
        };
        let part = utf16::slice(text, begin, end);
        let beyond = || format!("'{text}' does not reach from {begin} to {end}").into();
        part.map(|part| Some(Text::from(part))).ok_or_else(beyond)
    })
}

/// The parts between the matches of an expression; empty ones at the end do not count.
pub fn parts<'t>(regex: &Regex, text: &'t str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let mut from = 0;
    for found in regex.find_iter(text) {
        // A match of nothing at the very beginning makes no part.
        if found.end() > 0 {
            parts.push(&text[from..found.start()]);
            from = found.end();
        }
    }
    if from == 0 && parts.is_empty() {
        return vec![text];
    }
    parts.push(&text[from..]);
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}

fn replaced(setup: FunctionSetup<'_>, most: usize) -> Built {
    let mut pattern = Pattern::new(setup.arguments, 1, false)?;
    let mut out = String::new();
    setup.by_row(move |row| {
        let (text, replacement) = (row.needed::<Text>(0)?, row.needed::<Text>(2)?);
        out.clear();
        let mut from = 0;
        for captures in pattern.of(row.needed(1)?)?.captures_iter(text).take(most) {
            let found = captures.get(0).expect("a match has a place");
            out.push_str(&text[from..found.start()]);
            replace(replacement, &captures, &mut out)?;
            from = found.end();
        }
        if from == 0 && out.is_empty() {
            return Ok(Some(text.clone()));
        }
        out.push_str(&text[from..]);
        Ok(Some(out.as_str().into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fall_into_parts_as_in_java() {
        let split = |text: &'static str, regex: &str| {
            parts(&Regex::new(regex).expect("it can be read"), text)
        };
        assert_eq!(split("a,b,c", ","), ["a", "b", "c"]);
        assert_eq!(split(",a,,b,,", ","), ["", "a", "", "b"]);
        assert_eq!(split("abc", ""), ["a", "b", "c"]);
        assert_eq!(split("abc", ","), ["abc"]);
        assert_eq!(split("", ","), [""]);
        assert!(split(",,", ",").is_empty());
    }
}
