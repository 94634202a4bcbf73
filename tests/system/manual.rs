//! The page on sources and sinks is made from what the checker knows of them.

use std::fs;
use std::path::Path;

use twinflow::mappers;
use twinflow::mappers::options::Definition;
use twinflow::mappers::options::Form;
use twinflow::mappers::options::OptionDefinition;
use twinflow::mappers::options::Without;
use twinflow::publishers;
use twinflow::receivers;

const HEAD: &str = "\
# Sources and sinks

Ways into a plan stand as `@source(type='…', …)` before a stream, ways out as `@sink(type='…', …)`;
an `@map` inside says how bytes become events. A stream takes events over the API without any of
them, and its newest events can be read there. An option that is not known is refused at its place,
with a suggestion, and so is a value that the engine does not support yet. Where `{{attribute}}` is
allowed, the value comes from each event.

This page is made from what the checker knows.
";

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

fn section(page: &mut String, definition: &Definition, default_mapper: Option<&str>) {
    let Definition { name, help, options, example, .. } = definition;
    page.push_str(&format!("\n### {name}\n\n{help}"));
    if let Some(mapper) = default_mapper {
        page.push_str(&format!(" Without `@map` it uses `{mapper}`."));
    }
    page.push('\n');
    if !options.is_empty() {
        page.push_str("\n| option | value | without it | what it does |\n");
        page.push_str("|--------|-------|------------|--------------|\n");
        options.iter().for_each(|option| page.push_str(&row(option)));
    }
    page.push_str(&format!("\n```sql\n{}\n```\n", example.trim()));
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Sources\n");
    for source in receivers::ALL {
        section(&mut page, source.options, Some(source.default_mapper));
    }
    page.push_str("\n## Sinks\n");
    for sink in publishers::ALL {
        section(&mut page, sink.options, Some(sink.default_mapper));
    }
    page.push_str("\n## Mappers of sources\n");
    mappers::ALL.iter().for_each(|mapper| section(&mut page, mapper.input, None));
    page.push_str("\n## Mappers of sinks\n");
    mappers::ALL.iter().for_each(|mapper| section(&mut page, mapper.output, None));
    page
}

#[test]
fn the_page_on_sources_and_sinks_tells_what_is_so() {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sources-and-sinks.md");
    let expected = page();
    if fs::read_to_string(&found).is_ok_and(|found| found == expected) {
        return;
    }
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sources-and-sinks.md");
    fs::write(&made, expected).expect("a file");
    panic!("{} is not as it should be: copy {} there", found.display(), made.display());
}
