//! Takes texts apart by patterns: each attribute is a group of one of them.

use crate::event::Batch;
use crate::event::Column;
use crate::event::Kind;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::language::suggest::closest;
use crate::mappers::Arrival;
use crate::mappers::Decoder;
use crate::mappers::codes;
use crate::mappers::message::DecodeError;
use crate::mappers::message::Decoded;
use crate::mappers::message::Fault;
use crate::mappers::message::cut_back;
use crate::mappers::message::join_send;
use crate::mappers::message::snippet;
use crate::mappers::options::Options;
use crate::mappers::options::list;
use crate::mappers::pairs::events;
use crate::mappers::plain;
use crate::mappers::utf8;
use crate::plan::logical::EndpointOption;
use regex::CaptureLocations;
use regex::Regex;

/// Reads texts by patterns.
#[derive(Debug)]
pub struct PatternDecoder {
    schema: Schema,
    patterns: Vec<Pattern>,
    /// For each attribute its pattern and group.
    groups: Vec<(usize, usize)>,
    /// A pattern or group that finds nothing makes the text unmatched, not the attribute null.
    fail_on_missing: bool,
    /// An unmatched text is an error, not left out.
    fail_on_unmatched: bool,
    /// The line between two events of a message; `None`: a message is one event.
    pub delimiter: Option<String>,
}

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    found: CaptureLocations,
    matches: bool,
}

/// Makes a decoder of `regex.…` options and the groups that `@attributes` names.
pub fn decoder(
    given: &[(usize, &EndpointOption)],
    options: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<PatternDecoder> {
    let before = faults.len();
    let mut names = Vec::new();
    let mut patterns = Vec::new();
    for (name, option) in options.family("regex.") {
        match Regex::new(&option.value) {
            Ok(regex) => {
                let found = regex.capture_locations();
                names.push((name, option.span));
                patterns.push(Pattern { regex, found, matches: false });
            }
            Err(error) => faults.push(malformed(name, option, &error)),
        }
    }
    if faults.len() > before {
        return None;
    }
    let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let mut groups = Vec::new();
    for (_, option) in given {
        match group(&option.value, &known, &patterns) {
            Ok(found) => groups.push(found),
            Err(text) => faults.push(Diagnostic::error(codes::MAPPING, option.span, text)),
        }
    }
    for (at, (name, span)) in names.iter().enumerate() {
        if faults.len() == before && !groups.iter().any(|(pattern, _)| *pattern == at) {
            let text = format!("`@attributes` uses no group of pattern `{name}`");
            faults.push(Diagnostic::error(codes::MAPPING, *span, text));
        }
    }
    (faults.len() == before).then(|| PatternDecoder {
        schema: schema.clone(),
        patterns,
        groups,
        fail_on_missing: options.flag("fail.on.missing.attribute"),
        fail_on_unmatched: options.word("unmatched") == Some("error"),
        delimiter: None,
    })
}

fn malformed(name: &str, option: &EndpointOption, error: &regex::Error) -> Diagnostic {
    let reason = error.to_string();
    let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").trim();
    let text = format!("pattern `{name}` cannot be read: {reason}");
    let fault = Diagnostic::error(codes::OPTION_VALUE, option.span, text);
    match reason.contains("look-around") || reason.contains("backreference") {
        true => fault.help(
            "patterns here take time in proportion to the text, so they cannot look ahead or back",
        ),
        false => fault.help("in a plan a backslash stands for itself: write `\\d`, not `\\\\d`"),
    }
}

/// Reads `A[1]`, `A[name]` or `A`, which is the first group of pattern A.
fn group(value: &str, names: &[&str], patterns: &[Pattern]) -> Result<(usize, usize), String> {
    let value = value.trim();
    let (name, group) = match value.split_once('[') {
        Some((name, rest)) => match rest.strip_suffix(']') {
            Some(group) => (name.trim(), Some(group.trim())),
            None => return Err(format!("`{value}`: expected `]` at the end, as in `A[1]`")),
        },
        None => (value, None),
    };
    let Some(pattern) = names.iter().position(|known| *known == name) else {
        return Err(match closest(name, names.iter().copied()) {
            Some(near) => format!("there is no pattern `{name}`; did you mean `{near}`?"),
            None if names.is_empty() => {
                format!("`{value}` names pattern `{name}`, but there is no option `regex.{name}`")
            }
            None => format!("there is no pattern `{name}`; there are {}", list(names)),
        });
    };
    let regex = &patterns[pattern].regex;
    let last = regex.captures_len() - 1;
    match group {
        None if last == 0 => Err(format!("pattern `{name}` has no group in brackets")),
        None => Ok((pattern, 1)),
        Some(group) => match group.parse::<usize>() {
            Ok(number) if number <= last => Ok((pattern, number)),
            Ok(number) => {
                Err(format!("pattern `{name}` has no group {number}, only {last} in all"))
            }
            Err(_) => {
                let named = regex.capture_names().position(|known| known == Some(group));
                let missing = || format!("pattern `{name}` has no group called `{group}`");
                named.map(|number| (pattern, number)).ok_or_else(missing)
            }
        },
    }
}

impl PatternDecoder {
    /// Reads one text; `false` if it does not match.
    fn event(
        &mut self,
        text: &str,
        index: usize,
        offset: usize,
        columns: &mut [Column],
    ) -> Result<bool, DecodeError> {
        for pattern in &mut self.patterns {
            pattern.matches = pattern.regex.captures_read(&mut pattern.found, text).is_some();
            if !pattern.matches && self.fail_on_missing {
                return Ok(false);
            }
        }
        if !self.patterns.iter().any(|pattern| pattern.matches) {
            return Ok(false);
        }
        let place = |(pattern, group): (usize, usize)| {
            let pattern = &self.patterns[pattern];
            pattern.found.get(group).filter(|_| pattern.matches)
        };
        // Before the first column is touched: an unmatched text leaves nothing.
        if self.fail_on_missing && self.groups.iter().any(|group| place(*group).is_none()) {
            return Ok(false);
        }
        for (attribute, group) in self.groups.iter().enumerate() {
            let column = &mut columns[attribute];
            let Some((start, end)) = place(*group) else {
                column.push_null();
                continue;
            };
            let definition = &self.schema.attributes[attribute];
            let found = &text[start..end];
            plain::read(definition.ty, found, column).map_err(|fault| {
                DecodeError::of_text(index, fault, offset + start, definition, found)
            })?;
        }
        Ok(true)
    }

    fn message(
        &mut self,
        text: &str,
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<Decoded, DecodeError> {
        let mut decoded = Decoded::default();
        for (offset, event) in events(text, self.delimiter.clone().as_deref()) {
            let index = decoded.rows + decoded.unmatched;
            if index >= arrival.rows_max {
                return Err(DecodeError::too_many(index, offset));
            }
            if self.event(event, index, offset, &mut into.columns)? {
                into.push_head(arrival.at, Kind::Current, 0);
                decoded.rows += 1;
            } else if self.fail_on_unmatched {
                let found = snippet(event.as_bytes(), 0);
                let message = format!("no pattern takes `{found}` apart");
                return Err(DecodeError::new(index, Fault::Unmatched, offset, message));
            } else {
                decoded.unmatched += 1;
            }
        }
        Ok(decoded)
    }
}

impl Decoder for PatternDecoder {
    fn decode(
        &mut self,
        message: &[u8],
        arrival: &Arrival,
        into: &mut Batch,
    ) -> Result<Decoded, DecodeError> {
        let text = utf8(message)?;
        let start = into.len();
        let result = self.message(text, arrival, into);
        match result {
            Ok(_) => join_send(into, start),
            Err(_) => cut_back(into, start),
        }
        result
    }
}
