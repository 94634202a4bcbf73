//! Members, indexes and calls; what texts, numbers and patterns can do.

use crate::engine::functions::pattern;
use crate::engine::functions::text_search::parts;
use crate::engine::functions::utf16;
use crate::engine::script::heap::Cell;
use crate::engine::script::heap::Datum;
use crate::engine::script::heap::Stop;
use crate::engine::script::heap::trouble;
use crate::engine::script::heap::type_name;
use crate::engine::script::number;
use crate::engine::script::run::Run;
use crate::engine::script::tree::Expr;
use crate::event::Text;

/// The arguments of a call; those that are left out are undefined.
pub(super) struct Arguments(pub(super) Vec<Datum>);

impl Arguments {
    pub(super) fn get(&self, place: usize) -> Datum {
        self.0.get(place).cloned().unwrap_or(Datum::Undefined)
    }

    pub(super) fn is_given(&self, place: usize) -> bool {
        self.0.get(place).is_some_and(|value| *value != Datum::Undefined)
    }
}

impl Run<'_> {
    /// What stands behind a point.
    pub(super) fn member(&mut self, of: &Datum, word: &Text) -> Result<Datum, Stop> {
        match of {
            Datum::Undefined | Datum::Null => {
                trouble(format!("there is no `{word}` of {}", type_of_nothing(of)))
            }
            Datum::List(place) if word == "length" => {
                Ok(Datum::Number(self.heap.items(*place).len() as f64))
            }
            Datum::Text(text) if word == "length" => Ok(Datum::Number(utf16::length(text) as f64)),
            // A thrown text is its own message.
            Datum::Text(_) if word == "message" => Ok(of.clone()),
            Datum::Object(place) => {
                let mut entries = self.heap.entries(*place).iter();
                let found = entries.find(|(known, _)| known == word);
                Ok(found.map_or(Datum::Undefined, |(_, value)| value.clone()))
            }
            Datum::Global(global) => self.constant(*global, word),
            _ => Ok(Datum::Undefined),
        }
    }

    /// What stands in square brackets behind a value.
    pub(super) fn index(&mut self, of: &Datum, index: &Datum) -> Result<Datum, Stop> {
        if let (Datum::List(place), Datum::Number(at)) = (of, index) {
            let item = self.heap.items(*place).get(*at as usize).filter(|_| at.fract() == 0.0);
            return Ok(item.filter(|_| *at >= 0.0).cloned().unwrap_or(Datum::Undefined));
        }
        if let (Datum::Text(text), Datum::Number(at)) = (of, index) {
            let (from, to) = (*at as usize, *at as usize + 1);
            let character = utf16::slice(text, from, to).filter(|_| *at >= 0.0);
            return Ok(character.map_or(Datum::Undefined, |each| Datum::Text(each.into())));
        }
        let key = self.heap.text_of(index)?;
        if let Datum::List(place) = of
            && let Ok(at) = key.parse::<usize>()
        {
            return Ok(self.heap.items(*place).get(at).cloned().unwrap_or(Datum::Undefined));
        }
        self.member(of, &key)
    }

    /// A call of something.
    pub(super) fn call_expr(&mut self, called: &Expr, arguments: &[Expr]) -> Result<Datum, Stop> {
        if let Expr::Member(of, word) = called {
            let of = self.value(of)?;
            let arguments = self.arguments(arguments)?;
            return self.method(&of, word, arguments);
        }
        let called = self.value(called)?;
        let arguments = self.arguments(arguments)?;
        match called {
            Datum::Global(global) => self.make(global, &arguments),
            other => self.apply(&other, &arguments.0),
        }
    }

    fn arguments(&mut self, arguments: &[Expr]) -> Result<Arguments, Stop> {
        let values = arguments.iter().map(|argument| self.value(argument));
        Ok(Arguments(values.collect::<Result<_, _>>()?))
    }

    /// Calls a function on values.
    pub(super) fn apply(&mut self, called: &Datum, arguments: &[Datum]) -> Result<Datum, Stop> {
        if let Datum::Static(global, word) = called {
            return self.static_call(*global, word, &Arguments(arguments.to_vec()));
        }
        let Datum::Function(place) = called else {
            return trouble(format!("a {} cannot be called", type_name(called)));
        };
        let Cell::Closure { function, scope } = *self.heap.cell(*place) else {
            return trouble("this cannot be called");
        };
        self.deeper(|run| run.enter(function, scope, arguments))
    }

    fn method(&mut self, of: &Datum, word: &Text, arguments: Arguments) -> Result<Datum, Stop> {
        match of {
            Datum::Text(text) => self.text_method(&text.clone(), word, &arguments),
            Datum::List(place) => self.list_method(*place, word, &arguments),
            Datum::Number(_) | Datum::Whole(_) | Datum::Truth(_) => {
                self.number_method(of, word, &arguments)
            }
            Datum::Global(global) => self.static_call(*global, word, &arguments),
            Datum::Pattern(number) => self.pattern_method(*number, word, &arguments),
            Datum::Object(place) if word == "hasOwnProperty" => {
                let key = self.heap.text_of(&arguments.get(0))?;
                let mut entries = self.heap.entries(*place).iter();
                Ok(Datum::Truth(entries.any(|(known, _)| *known == key)))
            }
            Datum::Object(_) => match self.member(of, word)? {
                Datum::Undefined => no_method(of, word),
                called => self.apply(&called, &arguments.0),
            },
            Datum::Undefined | Datum::Null => {
                trouble(format!("there is no `{word}` of {}", type_of_nothing(of)))
            }
            Datum::Function(_) | Datum::Static(..) => no_method(of, word),
        }
    }

    fn number_method(
        &mut self,
        of: &Datum,
        word: &Text,
        arguments: &Arguments,
    ) -> Result<Datum, Stop> {
        match word.as_str() {
            "toString" if arguments.is_given(0) => {
                let base = self.heap.number_of(&arguments.get(0))?;
                let value = self.heap.number_of(of)?;
                self.in_base(value, base)
            }
            "toString" => {
                let text = self.heap.text_of(of)?;
                Ok(Datum::Text(text))
            }
            "valueOf" => Ok(of.clone()),
            "toFixed" => {
                let digits = self.whole(arguments, 0, 0.0)?;
                let value = self.heap.number_of(of)?;
                if !(0.0..=100.0).contains(&digits) {
                    return trouble("`toFixed` takes from 0 to 100 digits");
                }
                self.heap.text(fixed(value, digits as usize))
            }
            _ => no_method(of, word),
        }
    }

    fn in_base(&mut self, value: f64, base: f64) -> Result<Datum, Stop> {
        if !(2.0..=36.0).contains(&base) {
            return trouble("a base is from 2 to 36");
        }
        if value.fract() != 0.0 || value.abs() > 9_007_199_254_740_992.0 {
            return trouble("only whole numbers have a text in another base here");
        }
        let (mut left, base) = (value.abs() as u64, base as u64);
        let mut digits = Vec::new();
        loop {
            digits.extend(char::from_digit((left % base) as u32, base as u32));
            left /= base;
            if left == 0 {
                break;
            }
        }
        if value < 0.0 {
            digits.push('-');
        }
        self.heap.text(digits.into_iter().rev().collect::<Text>())
    }

    /// The argument at a place as a whole number.
    pub(super) fn whole(
        &mut self,
        arguments: &Arguments,
        place: usize,
        otherwise: f64,
    ) -> Result<f64, Stop> {
        if !arguments.is_given(place) {
            return Ok(otherwise);
        }
        let number = self.heap.number_of(&arguments.get(place))?;
        Ok(if number.is_nan() { 0.0 } else { libm::trunc(number) })
    }

    fn text_argument(&mut self, arguments: &Arguments, place: usize) -> Result<Text, Stop> {
        self.heap.text_of(&arguments.get(place))
    }

    fn text_method(
        &mut self,
        text: &Text,
        word: &Text,
        arguments: &Arguments,
    ) -> Result<Datum, Stop> {
        self.heap.step(text.len() / 32)?;
        let length = utf16::length(text) as f64;
        match word.as_str() {
            "toString" | "valueOf" => Ok(Datum::Text(text.clone())),
            "toUpperCase" => self.heap.text(text.to_uppercase()),
            "toLowerCase" => self.heap.text(text.to_lowercase()),
            "trim" => self.heap.text(text.trim()),
            "charAt" => {
                let at = self.whole(arguments, 0, 0.0)?;
                self.cut(text, at, at + 1.0)
            }
            "charCodeAt" => {
                let at = self.whole(arguments, 0, 0.0)?;
                let unit = text.encode_utf16().nth(at as usize).filter(|_| at >= 0.0);
                Ok(Datum::Number(unit.map_or(f64::NAN, f64::from)))
            }
            "substring" => {
                let bound = |number: f64| number.clamp(0.0, length);
                let from = bound(self.whole(arguments, 0, 0.0)?);
                let to = bound(self.whole(arguments, 1, length)?);
                self.cut(text, from.min(to), from.max(to))
            }
            "substr" => {
                let from = from_end(self.whole(arguments, 0, 0.0)?, length);
                let count = self.whole(arguments, 1, length)?;
                self.cut(text, from, from + count)
            }
            "slice" => {
                let from = from_end(self.whole(arguments, 0, 0.0)?, length);
                let to = from_end(self.whole(arguments, 1, length)?, length);
                self.cut(text, from, to)
            }
            "concat" => {
                let mut out = text.clone();
                for argument in &arguments.0 {
                    out.push_str(&self.heap.text_of(argument)?);
                }
                self.heap.text(out)
            }
            "repeat" => {
                let times = self.whole(arguments, 0, 0.0)?.max(0.0);
                let bytes = (text.len() as f64 * times).min(u32::MAX.into());
                self.heap.take(bytes as usize)?;
                self.heap.text(text.repeat(times as usize))
            }
            "padStart" | "padEnd" => self.pad(text, word == "padStart", arguments),
            "split" => self.split(text, arguments),
            "replace" | "replaceAll" => self.replace(text, word == "replaceAll", arguments),
            _ => self.text_search(text, word, arguments),
        }
    }

    fn text_search(
        &mut self,
        text: &Text,
        word: &Text,
        arguments: &Arguments,
    ) -> Result<Datum, Stop> {
        if let (Datum::Pattern(number), "match" | "search") = (arguments.get(0), word.as_str()) {
            return self.find(text, number, word == "search");
        }
        let wanted = self.text_argument(arguments, 0)?;
        let place = |byte: Option<usize>| {
            Datum::Number(byte.map_or(-1.0, |byte| utf16::unit_of(text, byte) as f64))
        };
        match word.as_str() {
            "indexOf" => {
                let from = self.whole(arguments, 1, 0.0)?.max(0.0);
                let from = utf16::byte_of(text, from as usize).unwrap_or(text.len());
                let found = text[from..].find(wanted.as_str());
                Ok(place(found.map(|byte| byte + from)))
            }
            "lastIndexOf" => Ok(place(text.rfind(wanted.as_str()))),
            "includes" => Ok(Datum::Truth(text.contains(wanted.as_str()))),
            "startsWith" => Ok(Datum::Truth(text.starts_with(wanted.as_str()))),
            "endsWith" => Ok(Datum::Truth(text.ends_with(wanted.as_str()))),
            "equals" => Ok(Datum::Truth(*text == wanted)),
            _ => no_method(&Datum::Text(text.clone()), word),
        }
    }

    fn cut(&mut self, text: &Text, from: f64, to: f64) -> Result<Datum, Stop> {
        let length = utf16::length(text);
        let bound = |number: f64| (number.max(0.0) as usize).min(length);
        let (from, to) = (bound(from), bound(to));
        self.heap.text(utf16::slice(text, from, to.max(from)).unwrap_or_default())
    }

    fn pad(&mut self, text: &Text, start: bool, arguments: &Arguments) -> Result<Datum, Stop> {
        let wanted = self.whole(arguments, 0, 0.0)?;
        let with = match arguments.is_given(1) {
            true => self.text_argument(arguments, 1)?,
            false => Text::from(" "),
        };
        let missing = wanted - utf16::length(text) as f64;
        if missing <= 0.0 || with.is_empty() {
            return Ok(Datum::Text(text.clone()));
        }
        self.heap.take(missing.min(u32::MAX.into()) as usize)?;
        let more: Text = with.chars().cycle().take(missing as usize).collect();
        let both = if start { [&more, text] } else { [text, &more] };
        self.heap.text(both.map(|each| each.as_str()).concat())
    }

    fn split(&mut self, text: &Text, arguments: &Arguments) -> Result<Datum, Stop> {
        let script = self.script;
        let pieces: Vec<&str> = match arguments.get(0) {
            Datum::Undefined => vec![text.as_str()],
            Datum::Pattern(number) => parts(&script.patterns[number].0, text),
            other => {
                let by = self.heap.text_of(&other)?;
                let pieces: Vec<&str> = text.split(by.as_str()).collect();
                match by.is_empty() {
                    // Nothing stands before, between and behind all characters.
                    true => pieces[1..pieces.len() - 1].to_vec(),
                    false => pieces,
                }
            }
        };
        let most = self.whole(arguments, 1, f64::INFINITY)?;
        let most = if most < 0.0 { usize::MAX } else { most as usize };
        self.heap.take(text.len() + pieces.len().min(most) * 32)?;
        let pieces = pieces.into_iter().take(most).map(|piece| Datum::Text(piece.into()));
        let pieces: Vec<Datum> = pieces.collect();
        self.heap.list(pieces)
    }

    fn replace(&mut self, text: &Text, all: bool, arguments: &Arguments) -> Result<Datum, Stop> {
        let with = arguments.get(1);
        if let Datum::Function(_) = with {
            return trouble("a function as replacement is not supported");
        }
        let with = self.heap.text_of(&with)?;
        let script = self.script;
        if let Datum::Pattern(number) = arguments.get(0) {
            let (regex, each) = &script.patterns[number];
            let most = if *each || all { usize::MAX } else { 1 };
            let mut out = String::new();
            let mut from = 0;
            for captures in regex.captures_iter(text).take(most) {
                self.heap.step(1 + with.len() / 16)?;
                let found = captures.get(0).expect("a match has a place");
                out.push_str(&text[from..found.start()]);
                let replaced = pattern::replace(&with, &captures, &mut out);
                if let Err(message) = replaced {
                    return trouble(message.as_ref());
                }
                from = found.end();
                self.heap.take(out.len() / 64)?;
            }
            out.push_str(&text[from..]);
            return self.heap.text(out);
        }
        let what = self.text_argument(arguments, 0)?;
        let count = if all { text.matches(what.as_str()).count() } else { 1 };
        self.heap.take(count.saturating_mul(with.len()))?;
        self.heap.text(text.replacen(what.as_str(), &with, count))
    }

    fn pattern_method(
        &mut self,
        number: usize,
        word: &Text,
        arguments: &Arguments,
    ) -> Result<Datum, Stop> {
        let text = self.text_argument(arguments, 0)?;
        self.heap.step(text.len() / 8)?;
        let script = self.script;
        match word.as_str() {
            "test" => Ok(Datum::Truth(script.patterns[number].0.is_match(&text))),
            "exec" => self.groups(&text, number),
            _ => no_method(&Datum::Pattern(number), word),
        }
    }

    /// The first match with its groups; null if there is none.
    fn groups(&mut self, text: &Text, number: usize) -> Result<Datum, Stop> {
        let script = self.script;
        let Some(captures) = script.patterns[number].0.captures(text) else {
            return Ok(Datum::Null);
        };
        let groups = captures.iter().map(|group| {
            group.map_or(Datum::Undefined, |group| Datum::Text(group.as_str().into()))
        });
        let groups: Vec<Datum> = groups.collect();
        self.heap.take(text.len())?;
        self.heap.list(groups)
    }

    fn find(&mut self, text: &Text, number: usize, search: bool) -> Result<Datum, Stop> {
        let script = self.script;
        let (regex, all) = &script.patterns[number];
        self.heap.step(text.len() / 8)?;
        if search {
            let found = regex.find(text).map(|found| utf16::unit_of(text, found.start()));
            return Ok(Datum::Number(found.map_or(-1.0, |unit| unit as f64)));
        }
        if !all {
            return self.groups(text, number);
        }
        let found: Vec<Datum> =
            regex.find_iter(text).map(|found| Datum::Text(found.as_str().into())).collect();
        self.heap.take(text.len())?;
        if found.is_empty() { Ok(Datum::Null) } else { self.heap.list(found) }
    }
}

/// An index that counts from the end if it is negative.
pub(super) fn from_end(index: f64, length: f64) -> f64 {
    if index < 0.0 { (index + length).max(0.0) } else { index.min(length) }
}

pub(super) fn no_method<T>(of: &Datum, word: &Text) -> Result<T, Stop> {
    let kind = match of {
        Datum::List(_) => "list",
        other => type_name(other),
    };
    trouble(format!("a {kind} has no function `{word}`"))
}

fn type_of_nothing(value: &Datum) -> &'static str {
    if *value == Datum::Null { "null" } else { "undefined" }
}

/// A number with so many digits behind its point; halves are rounded away from 0.
fn fixed(value: f64, digits: usize) -> Text {
    if !value.is_finite() || value.abs() >= 1e21 {
        return number::text(value);
    }
    let long = format!("{:.*}", digits + 25, value.abs());
    let point = long.len() - digits - 26;
    let kept = if digits == 0 { point } else { point + 1 + digits };
    let rounds_up = long.as_bytes()[point + 1 + digits] >= b'5';
    let mut out: Vec<u8> = long.as_bytes()[..kept].to_vec();
    if rounds_up {
        let mut at = out.len();
        loop {
            if at == 0 {
                out.insert(0, b'1');
                break;
            }
            at -= 1;
            match out[at] {
                b'.' => {}
                b'9' => out[at] = b'0',
                _ => {
                    out[at] += 1;
                    break;
                }
            }
        }
    }
    let text: Text = out.into_iter().map(char::from).collect();
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if value < 0.0 && !is_zero { Text::from("-") + text.as_str() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_behind_the_point_are_rounded_away_from_zero() {
        let cases = [
            (2.5, 0, "3"),
            (1.005, 2, "1.00"),
            (-1.45, 1, "-1.4"),
            (9.995, 2, "9.99"),
            (9.5, 0, "10"),
            (0.0, 2, "0.00"),
            (-0.001, 2, "0.00"),
            (1e21, 2, "1e+21"),
        ];
        for (value, digits, text) in cases {
            assert_eq!(fixed(value, digits), text, "{value}");
        }
    }
}
