//! Texts made, measured and compared: the functions `str:…` without a pattern.

use crate::engine::expressions::by_row::Arguments;
use crate::engine::expressions::by_row::Outcome;
use crate::engine::expressions::by_row::Trouble;
use crate::engine::expressions::number_text::value_text;
use crate::engine::functions::Built;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::engine::functions::takes;
use crate::engine::functions::utf16;
use crate::event::DataType;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::signature::ANY;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use std::cmp::Ordering;
use std::fmt::Write;

/// The longest text that a function makes, in bytes.
const LONGEST: usize = 1 << 20;

pub(super) const TEXT: Parameter = Parameter::any("text", &[DataType::Text]);
const OTHER: Parameter = Parameter::any("other", &[DataType::Text]);

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    FunctionDefinition::new(
        "str:length",
        "How many characters the text has, in units of UTF-16.",
        &[takes(&[TEXT], DataType::Int)],
        |setup| setup.by_row(|row| Ok(Some(utf16::length(row.needed::<Text>(0)?) as i32))),
        "define stream Names (name string);
from Names select name, str:length(name) as letters insert into Lengths;",
    ),
    FunctionDefinition::new(
        "str:concat",
        "The values as texts, one after the other; nulls are passed over.",
        &[takes(
            &[
                Parameter::any("value", ANY),
                Parameter::any("second", ANY),
                Parameter::any("others", ANY).many(),
            ],
            DataType::Text,
        )],
        |setup| setup.by_row(concat),
        "define stream People (first string, last string, age int);
from People select str:concat(first, ' ', last, ', ', age) as line insert into Lines;",
    ),
    FunctionDefinition::new(
        "str:coalesce",
        "The first of the texts that is not null.",
        &[takes(&[TEXT, Parameter::any("others", &[DataType::Text]).many()], DataType::Text)],
        |setup| setup.by_row(|row| Ok((0..row.count()).find_map(|place| row.text(place)).cloned())),
        "define stream People (nickname string, name string);
from People select str:coalesce(nickname, name) as called insert into Names;",
    ),
    FunctionDefinition::new(
        "str:upper",
        "The text in upper case.",
        &[takes(&[TEXT], DataType::Text)],
        |setup| each(setup, |text| Text::from(text.to_uppercase())),
        "define stream Names (name string);
from Names select str:upper(name) as name insert into Loud;",
    ),
    FunctionDefinition::new(
        "str:lower",
        "The text in lower case.",
        &[takes(&[TEXT], DataType::Text)],
        |setup| each(setup, |text| Text::from(text.to_lowercase())),
        "define stream Names (name string);
from Names select str:lower(name) as name insert into Quiet;",
    ),
    FunctionDefinition::new(
        "str:trim",
        "The text without white space and control characters at its ends.",
        &[takes(&[TEXT], DataType::Text)],
        |setup| each(setup, |text| Text::from(text.trim_matches(|each| each <= ' '))),
        "define stream Lines (line string);
from Lines select str:trim(line) as line insert into Trimmed;",
    ),
    FunctionDefinition::new(
        "str:reverse",
        "The characters of the text from the last to the first.",
        &[takes(&[TEXT], DataType::Text)],
        |setup| each(setup, |text| text.chars().rev().collect()),
        "define stream Words (word string);
from Words[str:reverse(word) == word] select word insert into Palindromes;",
    ),
    FunctionDefinition::new(
        "str:repeat",
        "The text so many times in a row.",
        &[takes(&[TEXT, Parameter::any("times", &[DataType::Int])], DataType::Text)],
        |setup| setup.by_row(repeat),
        "define stream Scores (name string, stars int);
from Scores select name, str:repeat('*', stars) as shown insert into Board;",
    ),
    FunctionDefinition::new(
        "str:charAt",
        "The character at an index; the first has index 0.",
        &[takes(&[TEXT, Parameter::any("index", &[DataType::Int])], DataType::Text)],
        |setup| setup.by_row(char_at),
        "define stream Names (name string);
from Names select str:charAt(name, 0) as initial insert into Initials;",
    ),
    FunctionDefinition::new(
        "str:charFrequency",
        "How often a character stands in the text.",
        &[takes(&[TEXT, Parameter::any("character", &[DataType::Text])], DataType::Long)],
        |setup| setup.by_row(frequency),
        "define stream Lines (line string);
from Lines select str:charFrequency(line, ',') as commas insert into Counts;",
    ),
    FunctionDefinition::new(
        "str:equalsIgnoreCase",
        "Whether two texts are the same but for upper and lower case.",
        &[takes(&[TEXT, OTHER], DataType::Bool)],
        |setup| setup.by_row(same_letters),
        "define stream Logins (user string);
from Logins[str:equalsIgnoreCase(user, 'root')] select user insert into Roots;",
    ),
    FunctionDefinition::new(
        "str:strcmp",
        "Below, above or 0, as the first text stands before, behind or with the second.",
        &[takes(&[TEXT, OTHER], DataType::Int)],
        |setup| setup.by_row(|row| Ok(Some(compare(row.needed(0)?, row.needed(1)?)))),
        "define stream Pairs (left string, right string);
from Pairs[str:strcmp(left, right) < 0] select left, right insert into Ordered;",
    ),
    FunctionDefinition::new(
        "str:hex",
        "The characters of the text as hexadecimal numbers, one after the other.",
        &[takes(&[TEXT], DataType::Text)],
        |setup| {
            each(setup, |text| {
                let mut out = Text::new();
                for unit in text.encode_utf16() {
                    write!(out, "{unit:x}").expect("texts take everything");
                }
                out
            })
        },
        "define stream Words (word string);
from Words select str:hex(word) as code insert into Codes;",
    ),
    FunctionDefinition::new(
        "str:unhex",
        "The text whose characters are given as hexadecimal numbers of two digits.",
        &[takes(&[TEXT], DataType::Text)],
        |setup| setup.by_row(unhex),
        "define stream Codes (code string);
from Codes select str:unhex(code) as word insert into Words;",
    ),
    FunctionDefinition::new(
        "str:fillTemplate",
        "The template with each `{{key}}` replaced: by the value of a map, or by an argument's.",
        &[
            takes(
                &[
                    Parameter::any("template", &[DataType::Text]),
                    Parameter::any("map", &[DataType::Object]),
                ],
                DataType::Text,
            ),
            takes(
                &[
                    Parameter::any("template", &[DataType::Text]),
                    Parameter::any("value", ANY),
                    Parameter::any("others", ANY).many(),
                ],
                DataType::Text,
            ),
        ],
        |setup| setup.by_row(fill),
        "define stream Alerts (user string, failures int);
from Alerts select str:fillTemplate('{{1}} failed {{2}} times', user, failures) as line
insert into Lines;",
    ),
];

/// A function of one text, which must not be null.
pub(super) fn each(
    setup: FunctionSetup<'_>,
    change: impl Fn(&str) -> Text + Send + 'static,
) -> Built {
    setup.by_row(move |row| Ok(Some(change(row.needed::<Text>(0)?))))
}

/// A constant index, checked when the plan is compiled.
pub(super) fn not_negative(setup: &FunctionSetup<'_>, place: usize) -> Result<(), ArgumentFault> {
    let constant = setup.arguments.get(place).and_then(|argument| argument.as_constant());
    match constant.and_then(Value::as_long) {
        Some(number) if number < 0 => {
            let message = format!("expected a number that is not negative, found `{number}`");
            Err(ArgumentFault::at(place, message))
        }
        _ => Ok(()),
    }
}

fn concat(row: Arguments<'_>) -> Outcome<Text> {
    let mut out = Text::new();
    for place in 0..row.count() {
        match row.value(place) {
            Value::Null => {}
            Value::Text(text) => out.push_str(&text),
            other => out.push_str(&value_text(&other)),
        }
    }
    Ok(Some(out))
}

/// The index that a row gives at a place.
///
/// # Errors
/// If it is negative.
pub(super) fn index(row: Arguments<'_>, place: usize) -> Result<usize, Trouble> {
    let number = *row.needed::<i32>(place)?;
    usize::try_from(number).map_err(|_| format!("index {number} is negative").into())
}

fn repeat(row: Arguments<'_>) -> Outcome<Text> {
    let text = row.needed::<Text>(0)?;
    let times = usize::try_from(*row.needed::<i32>(1)?).unwrap_or(0);
    if text.len().saturating_mul(times) > LONGEST {
        return Err(format!("a text of more than {LONGEST} bytes").into());
    }
    Ok(Some(text.repeat(times)))
}

fn char_at(row: Arguments<'_>) -> Outcome<Text> {
    let (text, at) = (row.needed::<Text>(0)?, index(row, 1)?);
    let found = utf16::byte_of(text, at).and_then(|byte| text[byte..].chars().next());
    let beyond = || format!("index {at} is beyond the end of '{text}'").into();
    found.map(|character| Some(character.to_string().into())).ok_or_else(beyond)
}

fn frequency(row: Arguments<'_>) -> Outcome<i64> {
    let (text, wanted) = (row.needed::<Text>(0)?, row.needed::<Text>(1)?);
    let mut characters = wanted.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Ok(Some(text.matches(character).count() as i64)),
        _ => Err(format!("expected one character, found '{wanted}'").into()),
    }
}

fn same_letters(row: Arguments<'_>) -> Outcome<bool> {
    let (left, right) = (row.needed::<Text>(0)?, row.needed::<Text>(1)?);
    let same = if left.is_ascii() && right.is_ascii() {
        left.eq_ignore_ascii_case(right)
    } else {
        left.chars().flat_map(char::to_lowercase).eq(right.chars().flat_map(char::to_lowercase))
    };
    Ok(Some(same))
}

/// How far apart the first two units are that differ, else how much longer the first text is.
fn compare(left: &Text, right: &Text) -> i32 {
    let mut pairs = left.encode_utf16().zip(right.encode_utf16());
    match pairs.find(|(left, right)| left.cmp(right) != Ordering::Equal) {
        Some((left, right)) => i32::from(left) - i32::from(right),
        None => utf16::length(left) as i32 - utf16::length(right) as i32,
    }
}

fn unhex(row: Arguments<'_>) -> Outcome<Text> {
    let code = row.needed::<Text>(0)?;
    let wrong = || Trouble::from(format!("'{code}' is no row of pairs of hexadecimal digits"));
    if !code.is_ascii() || !code.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let bytes = (0..code.len()).step_by(2).map(|at| u8::from_str_radix(&code[at..at + 2], 16));
    let characters = bytes.map(|byte| byte.map(char::from));
    characters.collect::<Result<Text, _>>().map(Some).map_err(|_| wrong())
}

fn fill(row: Arguments<'_>) -> Outcome<Text> {
    let template = row.needed::<Text>(0)?;
    let first = row.value(1);
    let map = match &first {
        Value::Object(object) => match &**object {
            Structure::Map(entries) => Some(entries),
            _ => return Err("expected a map, found another object".into()),
        },
        _ => None,
    };
    let mut out = Text::new();
    let mut rest = template.as_str();
    while let Some((before, behind)) = rest.split_once("{{") {
        let Some((key, behind)) = behind.split_once("}}") else { break };
        out.push_str(before);
        let word = key.trim();
        let value = match map {
            Some(entries) => {
                entries.iter().find(|(name, _)| name == word).map(|(_, value)| value.clone())
            }
            None => match word.parse::<usize>() {
                Ok(place) if place > 0 && place < row.count() => Some(row.value(place)),
                _ => return Err(format!("there is no value for `{{{{{word}}}}}`").into()),
            },
        };
        match value {
            Some(value) if !value.is_null() => out.push_str(&value_text(&value)),
            // What has no value is left as its key.
            _ => out.push_str(key),
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(Some(out))
}
