//! What is always there: `Math`, `JSON`, `Object` and the functions without an owner.

use crate::engine::functions::json_text;
use crate::engine::script::convert::datum;
use crate::engine::script::convert::value;
use crate::engine::script::heap::Cell;
use crate::engine::script::heap::Datum;
use crate::engine::script::heap::Stop;
use crate::engine::script::heap::trouble;
use crate::engine::script::heap::truth;
use crate::engine::script::members::Arguments;
use crate::engine::script::members::no_method;
use crate::engine::script::number;
use crate::engine::script::run::Run;
use crate::engine::script::tree::Global;
use crate::event::Text;
use crate::plan::signature::ScriptFault;
use std::f64::consts;

/// Constants of `Math` and `Number`.
const CONSTANTS: &[(Global, &str, f64)] = &[
    (Global::Math, "PI", consts::PI),
    (Global::Math, "E", consts::E),
    (Global::Math, "LN2", consts::LN_2),
    (Global::Math, "LN10", consts::LN_10),
    (Global::Math, "LOG2E", consts::LOG2_E),
    (Global::Math, "LOG10E", consts::LOG10_E),
    (Global::Math, "SQRT2", consts::SQRT_2),
    (Global::Math, "SQRT1_2", consts::FRAC_1_SQRT_2),
    (Global::Number, "MAX_VALUE", f64::MAX),
    (Global::Number, "MIN_VALUE", 5e-324),
    (Global::Number, "MAX_SAFE_INTEGER", 9_007_199_254_740_991.0),
    (Global::Number, "MIN_SAFE_INTEGER", -9_007_199_254_740_991.0),
    (Global::Number, "EPSILON", f64::EPSILON),
    (Global::Number, "NaN", f64::NAN),
    (Global::Number, "POSITIVE_INFINITY", f64::INFINITY),
    (Global::Number, "NEGATIVE_INFINITY", f64::NEG_INFINITY),
];

type Compute = fn(f64) -> f64;

/// Functions of `Math` with one argument.
const OF_ONE: &[(&str, Compute)] = &[
    ("abs", libm::fabs),
    ("ceil", libm::ceil),
    ("floor", libm::floor),
    ("trunc", libm::trunc),
    ("sqrt", libm::sqrt),
    ("cbrt", libm::cbrt),
    ("exp", libm::exp),
    ("log", libm::log),
    ("log2", libm::log2),
    ("log10", libm::log10),
    ("sin", libm::sin),
    ("cos", libm::cos),
    ("tan", libm::tan),
    ("asin", libm::asin),
    ("acos", libm::acos),
    ("atan", libm::atan),
    ("sinh", libm::sinh),
    ("cosh", libm::cosh),
    ("tanh", libm::tanh),
    ("round", round),
    ("sign", sign),
];

/// The names of other functions, by owner.
const OTHERS: &[(Global, &[&str])] = &[
    (Global::Math, &["max", "min", "pow", "atan2", "hypot"]),
    (Global::Json, &["parse", "stringify"]),
    (Global::Object, &["keys", "values", "entries"]),
    (Global::Array, &["isArray"]),
    (Global::String, &["fromCharCode"]),
    (
        Global::Number,
        &["isInteger", "isFinite", "isNaN", "parseInt", "parseFloat", "isSafeInteger"],
    ),
];

/// Says whether a member of something that is always there can be used.
///
/// # Errors
/// That there is none, or that it would give other results on another node.
pub fn check(global: Global, word: &Text, at: usize) -> Result<(), ScriptFault> {
    if has(global, word) {
        return Ok(());
    }
    if global == Global::Math && word == "random" {
        let message = "`Math.random` in a function of a plan, which sees its arguments alone";
        return Err(ScriptFault { not_supported: true, ..ScriptFault::at(at, message) });
    }
    let known = CONSTANTS.iter().filter(|(owner, ..)| *owner == global).map(|(_, name, _)| *name);
    let of_one = OF_ONE.iter().filter(|_| global == Global::Math).map(|(name, _)| *name);
    let others = OTHERS.iter().filter(|(owner, _)| *owner == global).flat_map(|(_, names)| *names);
    let known = known.chain(of_one).chain(others.copied()).map(str::to_owned).collect();
    let fault = ScriptFault::at(at, format!("there is no `{word}` here"));
    Err(ScriptFault { unknown: (word.to_string(), known), ..fault })
}

/// Whether something that is always there has a member.
fn has(global: Global, word: &str) -> bool {
    CONSTANTS.iter().any(|(owner, name, _)| *owner == global && *name == word)
        || global == Global::Math && OF_ONE.iter().any(|(name, _)| *name == word)
        || OTHERS.iter().any(|(owner, names)| *owner == global && names.contains(&word))
}

fn round(value: f64) -> f64 {
    let floor = libm::floor(value);
    if value - floor >= 0.5 { floor + 1.0 } else { floor }
}

fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

impl Run<'_> {
    /// A constant of something that is always there, or one of its functions as a value.
    pub(super) fn constant(&mut self, global: Global, word: &Text) -> Result<Datum, Stop> {
        let found =
            CONSTANTS.iter().find(|(owner, name, _)| *owner == global && *name == word.as_str());
        match found {
            Some((.., number)) => Ok(Datum::Number(*number)),
            None if has(global, word) => Ok(Datum::Static(global, word.clone())),
            None => Ok(Datum::Undefined),
        }
    }

    /// A call of something that is always there itself, as in `String(5)`.
    pub(super) fn make(&mut self, global: Global, given: &Arguments) -> Result<Datum, Stop> {
        let first = given.get(0);
        match global {
            Global::String | Global::Error => match given.0.is_empty() {
                true => Ok(Datum::Text(Text::new())),
                false => Ok(Datum::Text(self.heap.text_of(&first)?)),
            },
            Global::Number => match given.0.is_empty() {
                true => Ok(Datum::Number(0.0)),
                false => Ok(Datum::Number(self.heap.number_of(&first)?)),
            },
            Global::Boolean => Ok(Datum::Truth(truth(&first))),
            Global::Array => match (given.0.len(), &first) {
                (1, Datum::Number(length)) => {
                    let length = length.clamp(0.0, u32::MAX.into()) as usize;
                    self.heap.take(length * 32)?;
                    self.heap.list(vec![Datum::Undefined; length])
                }
                _ => self.heap.list(given.0.clone()),
            },
            Global::Object => Ok(Datum::Object(self.heap.put(Cell::Object(Vec::new()))?)),
            Global::ParseInt => {
                let text = self.heap.text_of(&first)?;
                let base = self.whole(given, 1, 0.0)?;
                Ok(Datum::Number(number::leading_whole(&text, base as u32)))
            }
            Global::ParseFloat => {
                let text = self.heap.text_of(&first)?;
                Ok(Datum::Number(number::leading(&text)))
            }
            Global::IsNan => Ok(Datum::Truth(self.heap.number_of(&first)?.is_nan())),
            Global::IsFinite => Ok(Datum::Truth(self.heap.number_of(&first)?.is_finite())),
            Global::Math | Global::Json => trouble("this cannot be called"),
        }
    }

    /// A call such as `Math.max(1, 2)`.
    pub(super) fn static_call(
        &mut self,
        global: Global,
        word: &Text,
        given: &Arguments,
    ) -> Result<Datum, Stop> {
        let first = given.get(0);
        match (global, word.as_str()) {
            (Global::Math, name) => self.math(name, given),
            (Global::Json, "parse") => {
                let text = self.heap.text_of(&first)?;
                self.heap.step(text.len() / 8)?;
                self.heap.take(text.len() * 4)?;
                match json_text::read(&text) {
                    Ok(value) => datum(&value, self.heap),
                    Err(message) => trouble(message.as_ref()),
                }
            }
            (Global::Json, "stringify") => {
                if matches!(first, Datum::Undefined | Datum::Function(_)) {
                    return Ok(Datum::Undefined);
                }
                let mut text = Text::new();
                json_text::write(&value(&first, self.heap)?, &mut text);
                self.heap.text(text)
            }
            (Global::Object, name) => self.of_object(name, &first),
            (Global::Array, "isArray") => Ok(Datum::Truth(matches!(first, Datum::List(_)))),
            (Global::String, "fromCharCode") => {
                let mut units = Vec::new();
                for code in &given.0 {
                    units.push(self.heap.number_of(code)? as u32 as u16);
                }
                self.heap.text(String::from_utf16_lossy(&units))
            }
            (Global::Number, "parseInt") => self.make(Global::ParseInt, given),
            (Global::Number, "parseFloat") => self.make(Global::ParseFloat, given),
            (Global::Number, name) => {
                let number = match first {
                    Datum::Number(number) => number,
                    Datum::Whole(whole) => whole as f64,
                    _ => return Ok(Datum::Truth(false)),
                };
                let whole = number.is_finite() && number.fract() == 0.0;
                Ok(Datum::Truth(match name {
                    "isInteger" => whole,
                    "isSafeInteger" => whole && number.abs() <= 9_007_199_254_740_991.0,
                    "isNaN" => number.is_nan(),
                    "isFinite" => number.is_finite(),
                    _ => return no_method(&Datum::Global(global), word),
                }))
            }
            _ => no_method(&Datum::Global(global), word),
        }
    }

    fn math(&mut self, name: &str, given: &Arguments) -> Result<Datum, Stop> {
        let mut numbers = Vec::with_capacity(given.0.len());
        for argument in &given.0 {
            numbers.push(self.heap.number_of(argument)?);
        }
        let at = |place: usize| numbers.get(place).copied().unwrap_or(f64::NAN);
        if let Some((_, compute)) = OF_ONE.iter().find(|(known, _)| *known == name) {
            return Ok(Datum::Number(compute(at(0))));
        }
        let extreme = |start: f64, better: fn(f64, f64) -> bool| {
            numbers.iter().fold(start, |best, &each| {
                if best.is_nan() || each.is_nan() {
                    f64::NAN
                } else if better(each, best) {
                    each
                } else {
                    best
                }
            })
        };
        Ok(Datum::Number(match name {
            "max" => extreme(f64::NEG_INFINITY, |new, old| new > old),
            "min" => extreme(f64::INFINITY, |new, old| new < old),
            "pow" => libm::pow(at(0), at(1)),
            "atan2" => libm::atan2(at(0), at(1)),
            "hypot" => libm::sqrt(numbers.iter().map(|each| each * each).sum()),
            _ => return no_method(&Datum::Global(Global::Math), &name.into()),
        }))
    }

    fn of_object(&mut self, name: &str, of: &Datum) -> Result<Datum, Stop> {
        let entries: Vec<(Text, Datum)> = match of {
            Datum::Object(place) => self.heap.entries(*place).to_vec(),
            Datum::List(place) => {
                let items = self.heap.items(*place).iter().enumerate();
                items.map(|(at, item)| (number::text(at as f64), item.clone())).collect()
            }
            _ => Vec::new(),
        };
        self.heap.step(entries.len())?;
        self.heap.take(entries.len() * 64)?;
        let mut made = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            made.push(match name {
                "keys" => Datum::Text(key),
                "values" => value,
                "entries" => self.heap.list(vec![Datum::Text(key), value])?,
                _ => return no_method(&Datum::Global(Global::Object), &name.into()),
            });
        }
        self.heap.list(made)
    }
}
