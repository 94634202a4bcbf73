//! The manual of annotations.

use crate::cli::reference::Entry;
use crate::plan::known_annotations::ANNOTATIONS;
use crate::plan::known_annotations::Before;
use crate::plan::known_annotations::Keys;
use crate::plan::known_annotations::Known;

/// The name of their page.
pub(super) const PAGE: &str = "annotations";

const HEAD: &str = "Annotations stand before what they speak of: `@app:name('x')` before the plan, \
                    `@sink(…)` before a stream. Letters\nmay be large or small. What is not known \
                    is passed over with a warning, since other tools may read it; an unknown\nkey \
                    is refused.\n";

/// All entries, in the order of the manual.
pub(super) fn entries() -> Vec<Entry> {
    let told = ANNOTATIONS.iter().filter(|known| !known.summary.is_empty());
    told.map(|known| Entry { name: known.name, section: section(known), summary: known.summary })
        .collect()
}

/// Their page of the manual.
pub(super) fn page() -> String {
    let mut page = format!("# Annotations\n\n{HEAD}\n");
    page.push_str("This page is made from what the checker knows.\n");
    for entry in entries() {
        page.push_str(&format!("\n{}", entry.section));
    }
    page
}

fn section(known: &Known) -> String {
    let Known { name, before, keys, summary, example, .. } = known;
    let prefix = if before.contains(&Before::Plan) { "app:" } else { "" };
    let places: Vec<&str> = before.iter().map(|place| place.shown()).collect();
    let values = match keys {
        Keys::Of(_) => "(key='…', …)",
        Keys::Bare | Keys::BareOr(_) => "('…')",
        Keys::Any => "(…)",
    };
    let mut out = format!("### {name}\n\n{summary}\n\n```text\n@{prefix}{name}{values}\n```\n");
    out.push_str(&format!("\nIt stands before {}.\n", places.join(", ")));
    if !known.named_keys().is_empty() {
        out.push_str("\n| key | value | without it | what it does |\n");
        out.push_str("|-----|-------|------------|--------------|\n");
    }
    for key in known.named_keys() {
        let (name, takes, without) = (key.name, key.takes, key.without);
        out.push_str(&format!("| `{name}` | {takes} | {without} | {} |\n", key.summary));
    }
    out.push_str(&format!("\n```sql\n{}\n```\n", example.trim()));
    out
}
