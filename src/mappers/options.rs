//! Options of `@source`, `@sink` and `@map`: what each type takes, and the reading of what a plan
//! gives, with messages at the option's place.

use crate::event::Millis;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::language::suggest::closest;
use crate::language::tree::Span;
use crate::mappers::codes;
use crate::mappers::template::Template;
use crate::plan::logical::EndpointOption;

/// The form of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number between two bounds, both allowed.
    Whole(i64, i64),
    /// A time such as `500 ms` or `1 sec` between two bounds in milliseconds; a bare number counts
    /// milliseconds.
    Time(Millis, Millis),
    /// A size such as `64KiB` between two bounds in bytes; a bare number counts bytes.
    Size(i64, i64),
    /// One of a few words; letters of either case.
    Word(&'static [&'static str]),
    /// One character; `\t` is a tab.
    Character,
}

/// What happens when an option is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// The plan is refused.
    Refused,
    /// The type does something that no value would express.
    Absent,
    /// As if this had been given.
    Default(&'static str),
}

/// An option, as the checker and the manual know it.
#[derive(Clone, Copy, Debug)]
pub struct OptionDefinition {
    /// Its key; one that ends in `*` stands for all keys with that beginning.
    pub key: &'static str,
    /// What its value looks like.
    pub form: Form,
    /// What is done without it.
    pub without: Without,
    /// Whether `{{attribute}}` may stand in it.
    pub dynamic: bool,
    /// What it does, in one sentence.
    pub help: &'static str,
}

/// An option that need not be given.
pub const fn option(
    key: &'static str,
    form: Form,
    default: &'static str,
    help: &'static str,
) -> OptionDefinition {
    OptionDefinition { key, form, without: Without::Default(default), dynamic: false, help }
}

/// An option that must be given.
pub const fn needed(key: &'static str, form: Form, help: &'static str) -> OptionDefinition {
    OptionDefinition { key, form, without: Without::Refused, dynamic: false, help }
}

/// An option without default.
pub const fn optional(key: &'static str, form: Form, help: &'static str) -> OptionDefinition {
    OptionDefinition { key, form, without: Without::Absent, dynamic: false, help }
}

impl OptionDefinition {
    /// The same, with `{{attribute}}` allowed in its value.
    pub const fn dynamic(mut self) -> OptionDefinition {
        self.dynamic = true;
        self
    }

    fn takes(&self, key: &str) -> bool {
        match self.key.strip_suffix('*') {
            Some(beginning) => key.len() > beginning.len() && key.starts_with(beginning),
            None => key == self.key,
        }
    }
}

/// A receiver, publisher or mapper, as the checker and the manual know it.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The word after `type=`.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
    /// Its options.
    pub options: &'static [OptionDefinition],
    /// Options that the reference has and this engine not yet.
    pub not_yet: &'static [&'static str],
    /// A plan, or part of one, that uses it.
    pub example: &'static str,
}

/// The options a plan gives to one endpoint or mapper, checked.
#[derive(Clone, Debug)]
pub struct Options {
    definition: &'static Definition,
    given: Vec<EndpointOption>,
    span: Span,
}

impl Options {
    /// Checks what a plan gives against what the type takes. Faults are appended; what is faulty
    /// counts as left out.
    ///
    /// `what` names the kind of thing, as in `receiver`; `span` is where the type is named.
    pub fn read(
        what: &str,
        definition: &'static Definition,
        given: &[EndpointOption],
        span: Span,
        faults: &mut Vec<Diagnostic>,
    ) -> Options {
        let mut taken: Vec<EndpointOption> = Vec::new();
        for option in given {
            let name = definition.name;
            if taken.iter().any(|other| other.key == option.key) {
                let message = format!("option `{}` is given twice", option.key);
                faults.push(Diagnostic::error(codes::REPEATED_OPTION, option.span, message));
                continue;
            }
            let Some(known) = definition.options.iter().find(|known| known.takes(&option.key))
            else {
                faults.push(unknown(what, definition, option));
                continue;
            };
            let form_holds = known.dynamic && option.value.contains("{{");
            match read_form(known.form, &option.value) {
                Err(expected) if !form_holds => {
                    let text = format!(
                        "option `{}` of {what} `{name}`: expected {expected}, found `{}`",
                        option.key, option.value
                    );
                    let fault = Diagnostic::error(codes::OPTION_VALUE, option.span, text);
                    faults.push(fault.help(known.help));
                }
                _ => taken.push(option.clone()),
            }
        }
        let options = Options { definition, given: taken, span };
        for known in definition.options.iter().filter(|known| known.without == Without::Refused) {
            if !given.iter().any(|option| known.takes(&option.key)) {
                let name = definition.name;
                let text = format!("{what} `{name}` needs the option `{}`", known.key);
                let fault = Diagnostic::error(codes::MISSING_OPTION, span, text).help(known.help);
                faults.push(fault);
            }
        }
        options
    }

    /// Options of which none is given: defaults all over.
    pub fn defaults(definition: &'static Definition) -> Options {
        Options { definition, given: Vec::new(), span: Span::default() }
    }

    /// The text of an option, as given or by default.
    ///
    /// # Panics
    /// If the type has no such option: keys are written in the code, not in plans.
    pub fn text(&self, key: &str) -> Option<&str> {
        if let Some(option) = self.given.iter().find(|option| option.key == key) {
            return Some(&option.value);
        }
        let known = self.definition.options.iter().find(|known| known.key == key);
        let known = known.unwrap_or_else(|| {
            panic!("`{}` has no option `{key}` in its definition", self.definition.name)
        });
        match known.without {
            Without::Default(text) => Some(text),
            Without::Refused | Without::Absent => None,
        }
    }

    /// Whether the plan gives the option.
    pub fn is_given(&self, key: &str) -> bool {
        self.given.iter().any(|option| option.key == key)
    }

    /// An option of form [`Form::Bool`].
    pub fn flag(&self, key: &str) -> bool {
        self.text(key).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// An option of form [`Form::Whole`], [`Form::Time`] (milliseconds) or [`Form::Size`] (bytes).
    pub fn number(&self, key: &str) -> Option<i64> {
        let known = self.definition.options.iter().find(|known| known.key == key)?;
        read_form(known.form, self.text(key)?).ok()?
    }

    /// An option of form [`Form::Character`].
    pub fn character(&self, key: &str) -> Option<char> {
        single_character(self.text(key)?)
    }

    /// An option of form [`Form::Word`], in the spelling of the definition.
    pub fn word(&self, key: &str) -> Option<&'static str> {
        let known = self.definition.options.iter().find(|known| known.key == key)?;
        let text = self.text(key)?;
        match known.form {
            Form::Word(words) => words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied(),
            _ => None,
        }
    }

    /// The options whose keys begin so, with the rest of each key.
    pub fn family(&self, beginning: &str) -> impl Iterator<Item = (&str, &EndpointOption)> {
        self.given
            .iter()
            .filter_map(move |option| option.key.strip_prefix(beginning).map(|rest| (rest, option)))
    }

    /// An option with `{{attribute}}`s of a stream in it.
    pub fn template(
        &self,
        key: &str,
        schema: &Schema,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<Template> {
        let text = self.text(key)?;
        match Template::parse(text, schema) {
            Ok(template) => Some(template),
            Err(message) => {
                let text = format!("option `{key}`: {message}");
                faults.push(Diagnostic::error(codes::TEMPLATE, self.place(key), text));
                None
            }
        }
    }

    /// Where an option stands; where the type is named, if it is left out.
    pub fn place(&self, key: &str) -> Span {
        self.given.iter().find(|option| option.key == key).map_or(self.span, |option| option.span)
    }
}

fn unknown(what: &str, definition: &'static Definition, option: &EndpointOption) -> Diagnostic {
    let (key, name) = (&option.key, definition.name);
    if definition.not_yet.contains(&key.as_str()) {
        let text = format!("option `{key}` of {what} `{name}`");
        return Diagnostic::not_supported(codes::NOT_SUPPORTED, option.span, &text);
    }
    let text = format!("{what} `{name}` has no option `{key}`");
    let fault = Diagnostic::error(codes::UNKNOWN_OPTION, option.span, text);
    let keys: Vec<&str> = definition.options.iter().map(|known| known.key).collect();
    match closest(key, keys.iter().copied()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None if keys.is_empty() => fault.help("it takes no options"),
        None => fault.help(format!("it takes {}", list(&keys))),
    }
}

/// Words in back-quotes with commas between.
pub fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// Reads a value; numbers are given back. The error says what was expected.
fn read_form(form: Form, value: &str) -> Result<Option<i64>, String> {
    let within = |number: Option<i64>, least: i64, most: i64, expected: &str| match number {
        Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
        Some(_) => Err(format!("{expected} from {least} to {most}")),
        None => Err(expected.to_owned()),
    };
    match form {
        Form::Text => Ok(None),
        Form::Bool => {
            match value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") {
                true => Ok(None),
                false => Err("`true` or `false`".to_owned()),
            }
        }
        Form::Whole(least, most) => {
            within(value.trim().parse().ok(), least, most, "a whole number")
        }
        Form::Time(least, most) => {
            let expected = "a time such as `500 ms` or `1 sec` (milliseconds)";
            within(scaled(value, TIMES), least, most, expected)
        }
        Form::Size(least, most) => {
            within(scaled(value, SIZES), least, most, "a size such as `64KiB` (bytes)")
        }
        Form::Word(words) => {
            match words.iter().any(|word| word.eq_ignore_ascii_case(value.trim())) {
                true => Ok(None),
                false => Err(format!("one of {}", list(words))),
            }
        }
        Form::Character => match single_character(value) {
            Some(_) => Ok(None),
            None => Err("one character".to_owned()),
        },
    }
}

fn single_character(text: &str) -> Option<char> {
    match text {
        "\\t" => Some('\t'),
        _ => {
            let mut characters = text.chars();
            characters.next().filter(|_| characters.next().is_none())
        }
    }
}

const TIMES: &[(&str, i64)] = &[
    ("", 1),
    ("ms", 1),
    ("millisec", 1),
    ("millisecond", 1),
    ("milliseconds", 1),
    ("s", 1_000),
    ("sec", 1_000),
    ("second", 1_000),
    ("seconds", 1_000),
    ("min", 60_000),
    ("minute", 60_000),
    ("minutes", 60_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("hours", 3_600_000),
    ("day", 86_400_000),
    ("days", 86_400_000),
];

const SIZES: &[(&str, i64)] = &[
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// A whole number with a unit, blanks allowed between.
fn scaled(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = text[digits..].trim().to_lowercase();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    text[..digits].parse::<i64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Definition = Definition {
        name: "sample",
        help: "For the tests of this file.",
        options: &[
            needed("file.uri", Form::Text, "Which file.").dynamic(),
            option("idle.flush", Form::Time(0, 60_000), "1 sec", "How long."),
            option("tailing", Form::Bool, "true", "Whether."),
            option("size", Form::Size(1, 1 << 20), "1KiB", "How much."),
            option("mode", Form::Word(&["line", "full"]), "line", "Which."),
            optional("regex.*", Form::Text, "A pattern."),
        ],
        not_yet: &["dir.uri"],
        example: "",
    };

    fn read(given: &[(&str, &str)]) -> (Options, Vec<Diagnostic>) {
        let given: Vec<EndpointOption> = given
            .iter()
            .map(|(key, value)| EndpointOption {
                key: (*key).to_owned(),
                value: (*value).to_owned(),
                span: Span::default(),
            })
            .collect();
        let mut faults = Vec::new();
        let options = Options::read("receiver", &SAMPLE, &given, Span::default(), &mut faults);
        (options, faults)
    }

    #[test]
    fn values_are_read_in_their_form() {
        let (options, faults) = read(&[
            ("file.uri", "a"),
            ("idle.flush", "2 seconds"),
            ("tailing", "FALSE"),
            ("size", "2 KiB"),
            ("mode", "Full"),
            ("regex.A", "x"),
        ]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(options.number("idle.flush"), Some(2_000));
        assert_eq!(options.number("size"), Some(2_048));
        assert!(!options.flag("tailing"));
        assert_eq!(options.word("mode"), Some("full"));
        let family: Vec<_> = options.family("regex.").map(|(rest, _)| rest).collect();
        assert_eq!(family, ["A"]);
        let (options, _) = read(&[("file.uri", "a")]);
        assert_eq!(options.number("idle.flush"), Some(1_000));
        assert!(options.flag("tailing"));
    }

    #[test]
    fn every_misfit_is_named_with_what_would_help() {
        type Given<'a> = &'a [(&'a str, &'a str)];
        let cases: &[(Given<'_>, &str, &str)] = &[
            (&[], codes::MISSING_OPTION, "needs the option `file.uri`"),
            (&[("file.uri", "a"), ("file.url", "b")], codes::UNKNOWN_OPTION, "file.url"),
            (&[("file.uri", "a"), ("dir.uri", "b")], codes::NOT_SUPPORTED, "dir.uri"),
            (&[("file.uri", "a"), ("tailing", "yes")], codes::OPTION_VALUE, "`true` or `false`"),
            (&[("file.uri", "a"), ("idle.flush", "2 hours")], codes::OPTION_VALUE, "to 60000"),
            (&[("file.uri", "a"), ("idle.flush", "soon")], codes::OPTION_VALUE, "a time such as"),
            (&[("file.uri", "a"), ("size", "0")], codes::OPTION_VALUE, "from 1 to"),
            (&[("file.uri", "a"), ("mode", "x")], codes::OPTION_VALUE, "`line`, `full`"),
            (&[("file.uri", "a"), ("file.uri", "b")], codes::REPEATED_OPTION, "twice"),
        ];
        for (given, code, words) in cases {
            let (_, faults) = read(given);
            assert_eq!(faults.len(), 1, "{given:?}: {faults:?}");
            assert_eq!(faults[0].code, *code, "{given:?}");
            assert!(faults[0].message.contains(words), "{words}: {}", faults[0].message);
        }
        let (_, faults) = read(&[("file.uri", "a"), ("tailng", "true")]);
        assert_eq!(faults[0].help.as_deref(), Some("did you mean `tailing`?"));
        let (_, faults) = read(&[("file.uri", "a"), ("dir.uri", "b")]);
        assert!(faults[0].not_supported);
    }
}
