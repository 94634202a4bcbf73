//! The functions `regex:…`, whose first argument is the regular expression.

use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::pattern::Pattern;
use crate::engine::functions::takes;
use crate::engine::functions::text::index;
use crate::engine::functions::utf16;
use crate::event::DataType;
use crate::event::Text;
use crate::plan::signature::Parameter;

const REGEX: Parameter = Parameter::any("regex", &[DataType::Text]);
const INPUT: Parameter = Parameter::any("text", &[DataType::Text]);

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    FunctionDefinition::new(
        "regex:find",
        "Whether a regular expression matches somewhere in the text, from an index on.",
        &[takes(
            &[REGEX, INPUT, Parameter::any("start", &[DataType::Int]).optional()],
            DataType::Bool,
        )],
        |setup| {
            let mut pattern = Pattern::new(setup.arguments, 0, false)?;
            setup.by_row(move |row| {
                let text = row.needed::<Text>(1)?;
                let start = if row.count() > 2 { index(row, 2)? } else { 0 };
                let Some(from) = utf16::byte_of(text, start) else {
                    return Err(format!("index {start} is beyond the end of '{text}'").into());
                };
                Ok(Some(pattern.of(row.needed(0)?)?.is_match_at(text, from)))
            })
        },
        "define stream Lines (line string);
from Lines[regex:find('user [a-z]+', line)] select line insert into Found;",
    ),
    FunctionDefinition::new(
        "regex:matches",
        "Whether a regular expression matches the whole text.",
        &[takes(&[REGEX, INPUT], DataType::Bool)],
        |setup| {
            let mut pattern = Pattern::new(setup.arguments, 0, true)?;
            setup.by_row(move |row| {
                let text = row.needed::<Text>(1)?;
                Ok(Some(pattern.of(row.needed(0)?)?.is_match(text)))
            })
        },
        "define stream Codes (code string);
from Codes[regex:matches('[A-Z]+-[0-9]+', code)] select code insert into Valid;",
    ),
    FunctionDefinition::new(
        "regex:lookingAt",
        "Whether a regular expression matches the beginning of the text.",
        &[takes(&[REGEX, INPUT], DataType::Bool)],
        |setup| {
            let mut pattern = Pattern::new(setup.arguments, 0, false)?;
            setup.by_row(move |row| {
                let text = row.needed::<Text>(1)?;
                let found = pattern.of(row.needed(0)?)?.find(text);
                Ok(Some(found.is_some_and(|found| found.start() == 0)))
            })
        },
        "define stream Lines (line string);
from Lines[regex:lookingAt('[0-9]+ ', line)] select line insert into Numbered;",
    ),
    FunctionDefinition::new(
        "regex:group",
        "What a group of a regular expression matched in the text; null if it does not match.",
        &[takes(&[REGEX, INPUT, Parameter::any("group", &[DataType::Int])], DataType::Text)],
        |setup| {
            let mut pattern = Pattern::new(setup.arguments, 0, false)?;
            setup.by_row(move |row| {
                let (text, number) = (row.needed::<Text>(1)?, index(row, 2)?);
                let regex = pattern.of(row.needed(0)?)?;
                if number >= regex.captures_len() {
                    return Err(format!("the regular expression has no group {number}").into());
                }
                let captures = regex.captures(text);
                let group = captures.as_ref().and_then(|captures| captures.get(number));
                Ok(group.map(|group| Text::from(group.as_str())))
            })
        },
        "define stream Lines (line string);
from Lines select regex:group('user ([a-z]+)', line, 1) as user insert into Users;",
    ),
];
