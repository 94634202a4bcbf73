//! Receivers that get every event on both nodes of a pair: by what copies of an event are known.
//!
//! Such a receiver runs on both nodes, and what it brings carries the node's name, so that the plan
//! takes each event once.

use crate::event::DataType;
use crate::event::Millis;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::language::suggest::closest;
use crate::mappers::codes;
use crate::mappers::options::Definition;
use crate::mappers::options::Form;
use crate::mappers::options::OptionDefinition;
use crate::mappers::options::Options;
use crate::mappers::options::list;
use crate::mappers::options::option;
use crate::mappers::options::optional;

/// That events come on both nodes.
pub const DUPLICATED: OptionDefinition = option(
    "events.duplicated.in.cluster",
    Form::Bool,
    "false",
    "Whether every event comes on both nodes of a pair from outside: then the receiver runs on \
     both, and each event counts once.",
);

/// The same, as some plans write it.
pub const DUPLICATED_TOO: OptionDefinition =
    option("event.duplicated.in.cluster", Form::Bool, "false", "The same.");

/// By what copies are known.
pub const ID: OptionDefinition = optional(
    "events.duplicated.id",
    Form::Text,
    "The attribute that tells events apart: two events with the same value are the same. Without \
     it, and where it is null, an event of one node is the copy of an equal one of the other.",
);

/// How long they are remembered.
pub const WINDOW: OptionDefinition = option(
    "events.duplicated.window",
    Form::Time(1_000, 86_400_000),
    "10 min",
    "How long an event is remembered, until later ones of the same node; 100,000 events at most.",
);

/// By what copies of events are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Likeness {
    /// The attribute that tells events apart; `None`: all of them.
    pub id: Option<usize>,
    /// How long an event is remembered, in milliseconds.
    pub window: Millis,
}

/// Reads what a plan says of copies; `None` if its events come once.
pub(super) fn read(
    definition: &Definition,
    options: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<Likeness> {
    if !definition.options.iter().any(|option| option.key == DUPLICATED.key) {
        return None;
    }
    let flags = [DUPLICATED.key, DUPLICATED_TOO.key];
    if flags.iter().all(|flag| options.is_given(flag)) {
        let text = format!("option `{}` says again what `{}` says", flags[1], flags[0]);
        let place = options.place(flags[1]);
        faults.push(Diagnostic::error(codes::REPEATED_OPTION, place, text));
    }
    if !flags.iter().any(|flag| options.flag(flag)) {
        for key in [ID.key, WINDOW.key].into_iter().filter(|key| options.is_given(key)) {
            let text = format!("option `{key}` needs `{}='true'`", DUPLICATED.key);
            let fault = Diagnostic::error(codes::MISSING_OPTION, options.place(key), text);
            faults.push(fault.help(DUPLICATED.help));
        }
        return None;
    }
    let id = match options.text(ID.key) {
        Some(name) => Some(attribute(name, options, schema, faults)?),
        None => None,
    };
    Some(Likeness { id, window: options.number(WINDOW.key)? })
}

fn attribute(
    name: &str,
    options: &Options,
    schema: &Schema,
    faults: &mut Vec<Diagnostic>,
) -> Option<usize> {
    let place = options.place(ID.key);
    let Some(position) = schema.position(name) else {
        let text = format!("option `{}`: the stream has no attribute `{name}`", ID.key);
        let fault = Diagnostic::error(codes::OPTION_VALUE, place, text);
        let names: Vec<&str> = schema.attributes.iter().map(|each| &*each.name).collect();
        let help = match closest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", list(&names)),
        };
        faults.push(fault.help(help));
        return None;
    };
    let ty = schema.attributes[position].ty;
    if ty == DataType::Object {
        let text = format!("option `{}`: an attribute of type `object` is no id", ID.key);
        faults.push(Diagnostic::error(codes::OPTION_VALUE, place, text));
        return None;
    }
    Some(position)
}

/// What to know where no id is named.
pub(super) fn without_id(options: &Options) -> Diagnostic {
    let given = [DUPLICATED.key, DUPLICATED_TOO.key].into_iter().find(|key| options.is_given(key));
    let place = options.place(given.unwrap_or(DUPLICATED.key));
    let text = "copies of an event are known by its content alone, so that an event which is sent \
                twice to one node counts twice";
    let warning = Diagnostic::warning(codes::COPIES_WITHOUT_ID, place, text);
    warning.help(format!("name the attribute that tells events apart: `{}='…'`", ID.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::harness::Source;

    fn source(options: &[(&str, &str)]) -> Source {
        let schema = Schema::new([
            ("id", DataType::Text),
            ("n", DataType::Long),
            ("more", DataType::Object),
        ]);
        let source = Source::new("http", &schema);
        options.iter().fold(source, |source, (key, value)| source.option(key, value))
    }

    #[test]
    fn what_a_plan_says_of_copies_is_read() {
        let read = |options: &[(&str, &str)]| {
            let built = source(options).try_build().unwrap();
            let codes: Vec<_> = built.warnings.iter().map(|warning| warning.code).collect();
            (built.likeness, codes)
        };
        assert_eq!(read(&[]), (None, vec![]));
        assert_eq!(read(&[("events.duplicated.in.cluster", "false")]), (None, vec![]));
        let unnamed = Some(Likeness { id: None, window: 600_000 });
        for flag in ["events.duplicated.in.cluster", "event.duplicated.in.cluster"] {
            assert_eq!(read(&[(flag, "true")]), (unnamed, vec![codes::COPIES_WITHOUT_ID]));
        }
        let (flag, id) = (("events.duplicated.in.cluster", "TRUE"), ("events.duplicated.id", "n"));
        let named = Some(Likeness { id: Some(1), window: 5_000 });
        assert_eq!(read(&[flag, id, ("events.duplicated.window", "5 sec")]), (named, vec![]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let flag = ("events.duplicated.in.cluster", "true");
        let cases: [(&[(&str, &str)], _, _); 7] = [
            (&[flag, ("events.duplicated.id", "idd")], codes::OPTION_VALUE, "no attribute `idd`"),
            (&[flag, ("events.duplicated.id", "more")], codes::OPTION_VALUE, "is no id"),
            (&[("events.duplicated.id", "id")], codes::MISSING_OPTION, "needs `events.dup"),
            (&[("events.duplicated.window", "1 min")], codes::MISSING_OPTION, "needs `events.dup"),
            (&[flag, ("event.duplicated.in.cluster", "true")], codes::REPEATED_OPTION, "again"),
            (&[("events.duplicated.in.cluster", "yes")], codes::OPTION_VALUE, "`true` or `false`"),
            (&[flag, ("events.duplicated.window", "2 days")], codes::OPTION_VALUE, "from 1000"),
        ];
        for (options, code, words) in cases {
            let faults = source(options).faults();
            assert_eq!(faults.len(), 1, "{options:?}: {faults:?}");
            assert_eq!(faults[0].code, code, "{options:?}");
            assert!(faults[0].message.contains(words), "{}", faults[0].message);
        }
        let faults = source(&[flag, ("events.duplicated.id", "idd")]).faults();
        assert_eq!(faults[0].help.as_deref(), Some("did you mean `id`?"));
    }

    #[test]
    fn receivers_within_the_node_get_no_copies() {
        let schema = Schema::new([("n", DataType::Long)]);
        let source = Source::new("inMemory", &schema).option("topic", "t");
        let faults = source.option("events.duplicated.in.cluster", "true").faults();
        assert_eq!(faults[0].code, codes::UNKNOWN_OPTION);
    }
}
