//! The manual of ways into a plan, out of it, and of mappers.

use crate::cli::reference::Entry;
use crate::mappers;
use crate::mappers::options::Definition;
use crate::mappers::options::Form;
use crate::mappers::options::OptionDefinition;
use crate::mappers::options::Without;
use crate::publishers;
use crate::receivers;

const HEAD: &str = "\
# Sources and sinks

Ways into a plan stand as `@source(type='…', …)` before a stream, ways out as `@sink(type='…', …)`;
an `@map` inside says how bytes become events. A stream takes events over the API without any of
them, and its newest events can be read there. An option that is not known is refused at its place,
with a suggestion, and so is a value that the engine does not support yet. Where `{{attribute}}` is
allowed, the value comes from each event.

A `@store(type='rdbms', …)` before a table or a stream keeps it in a database that the settings
name; [stores](stores.md) tells how. `@From(eventtable='rdbms', datasource.name='…', …)` of older
plans is read the same.

`@Export('orders:1.0.0')` and `@Import('orders:1.0.0')` of older plans are read as a sink and a
source of the type `inMemory` with that topic: so what one plan of a node exports another imports.

This page is made from what the checker knows.
";

/// All entries, by kind.
pub(super) fn endpoints() -> Vec<(&'static str, Vec<Entry>)> {
    let entry = |definition: &'static Definition, mapper: Option<&str>| Entry {
        name: definition.name,
        section: section(definition, mapper),
        summary: definition.help,
    };
    let sources = receivers::ALL.iter().map(|each| entry(each.options, Some(each.default_mapper)));
    let sinks = publishers::ALL.iter().map(|each| entry(each.options, Some(each.default_mapper)));
    let tables = publishers::TABLE_STORES.iter().map(|each| entry(each.options, None));
    let events = publishers::EVENT_STORES.iter().map(|each| entry(each.options, None));
    let inputs = mappers::ALL.iter().map(|mapper| entry(mapper.input, None));
    let outputs = mappers::ALL.iter().map(|mapper| entry(mapper.output, None));
    vec![
        ("Sources", sources.collect()),
        ("Sinks", sinks.collect()),
        ("Stores of tables", tables.collect()),
        ("Stores of streams", events.collect()),
        ("Mappers of sources", inputs.collect()),
        ("Mappers of sinks", outputs.collect()),
    ]
}

/// The page of them all.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    for (title, entries) in endpoints() {
        page.push_str(&format!("\n## {title}\n"));
        for entry in entries {
            page.push_str(&format!("\n{}", entry.section));
        }
    }
    page
}

fn form(form: Form) -> String {
    let between = |from: String, to: String| format!("{from} to {to}");
    match form {
        Form::Text => "text".to_owned(),
        Form::Bool => "`true` or `false`".to_owned(),
        Form::Whole(from, i64::MAX) => format!("a whole number from {from}"),
        Form::Whole(from, to) => between(from.to_string(), to.to_string()),
        Form::Time(from, to) => between(time(from), time(to)),
        Form::Size(from, i64::MAX) => format!("a size from {}", size(from)),
        Form::Size(from, to) => between(size(from), size(to)),
        Form::Word(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Form::Character => "a character".to_owned(),
    }
}

/// A time in the greatest unit that divides it.
fn time(millis: i64) -> String {
    let units = [(3_600_000, "hour"), (60_000, "min"), (1_000, "sec"), (1, "ms")];
    scaled(millis, &units)
}

/// A size in the greatest unit that divides it.
fn size(bytes: i64) -> String {
    scaled(bytes, &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes")])
}

fn scaled(number: i64, units: &[(i64, &str)]) -> String {
    let fits = |(unit, _): &&(i64, &str)| number >= *unit && number % unit == 0;
    units
        .iter()
        .find(fits)
        .map_or_else(|| number.to_string(), |(unit, name)| format!("{} {name}", number / unit))
}

fn row(option: &OptionDefinition) -> String {
    let OptionDefinition { key, without, dynamic, help, .. } = option;
    let without = match without {
        Without::Refused => "must be given".to_owned(),
        Without::Absent => String::new(),
        Without::Default("") => "empty".to_owned(),
        Without::Default(value) => format!("`{}`", value.replace('\t', "\\t")),
    };
    let dynamic = if *dynamic { "; `{{attribute}}`" } else { "" };
    let (form, help) = (form(option.form), help.replace('|', "\\|"));
    format!("| `{key}` | {form}{dynamic} | {without} | {help} |\n")
}

fn section(definition: &Definition, default_mapper: Option<&str>) -> String {
    let Definition { name, help, options, example, .. } = definition;
    let mut out = format!("### {name}\n\n{help}");
    if let Some(mapper) = default_mapper {
        out.push_str(&format!(" Without `@map` it uses `{mapper}`."));
    }
    out.push('\n');
    if !options.is_empty() {
        out.push_str("\n| option | value | without it | what it does |\n");
        out.push_str("|--------|-------|------------|--------------|\n");
        options.iter().for_each(|option| out.push_str(&row(option)));
    }
    out.push_str(&format!("\n```sql\n{}\n```\n", example.trim()));
    out
}
