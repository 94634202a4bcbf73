//! `twinflow reference`: the manual, made from the definitions that plans are checked with.

mod annotations;
mod endpoints;
mod library;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::reference::endpoints::endpoints;
use crate::cli::reference::library::KINDS;
use crate::cli::reference::library::entries;
use crate::language::suggest;

/// Show what can stand in a plan: functions, aggregators, windows, stream functions, annotations,
/// sources, sinks and mappers.
///
/// Without a name all are listed with a sentence each; with one, as in `str:concat`, its entry in
/// the manual is printed: what it takes, what it gives and an example.
///
/// Exit status: 0 done; 1 the pages could not be written; 2 there is nothing of that name.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// A name, as in `str:concat`, `lengthBatch` or `http`
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Write the pages of the manual into this folder instead
    #[arg(long, value_name = "FOLDER", conflicts_with = "name")]
    pages: Option<PathBuf>,
}

/// Something that can stand in a plan.
pub(super) struct Entry {
    name: &'static str,
    /// Its section of the manual, heading included.
    section: String,
    /// One sentence.
    summary: &'static str,
}

/// The pages of the manual: each path in the folder of documents, and the text.
pub fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = KINDS
        .iter()
        .map(|kind| {
            let mut page = format!("# {}\n\n{}\n", kind.title, kind.head);
            page.push_str("This page is made from what the checker knows.\n");
            for entry in entries(kind.callable) {
                page.push_str(&format!("\n{}", entry.section));
            }
            (format!("reference/{}.md", kind.page), page)
        })
        .collect();
    pages.push((format!("reference/{}.md", annotations::PAGE), annotations::page()));
    pages.push(("sources-and-sinks.md".to_owned(), endpoints::page()));
    pages
}

/// Prints what is asked for, or writes the pages.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if let Some(folder) = &arguments.pages {
        return write(folder);
    }
    let text = match &arguments.name {
        None => list(),
        Some(name) => match found(name) {
            Ok(text) => text,
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::from(2);
            }
        },
    };
    // Whoever closes the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn write(folder: &std::path::Path) -> ExitCode {
    for (path, text) in pages() {
        let path = folder.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        if let Err(error) = made.and_then(|()| fs::write(&path, text)) {
            eprintln!("`{}` cannot be written: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Everything there is, by kind.
fn all() -> Vec<(&'static str, Vec<Entry>)> {
    let kinds = KINDS.iter().map(|kind| (kind.title, entries(kind.callable)));
    kinds.chain([("Annotations", annotations::entries())]).chain(endpoints()).collect()
}

fn list() -> String {
    let mut out = String::new();
    for (title, entries) in all() {
        let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or_default();
        out.push_str(&format!("{title}\n"));
        for entry in entries {
            out.push_str(&format!("  {:width$}  {}\n", entry.name, entry.summary));
        }
        out.push('\n');
    }
    out
}

/// All entries of a name, or what was probably meant.
fn found(name: &str) -> Result<String, String> {
    let all = all();
    let mut sections = Vec::new();
    for (title, entries) in &all {
        let named = entries.iter().filter(|entry| entry.name == name);
        sections.extend(named.map(|entry| format!("{title}\n\n{}", entry.section)));
    }
    if !sections.is_empty() {
        return Ok(sections.join("\n"));
    }
    let names = all.iter().flat_map(|(_, entries)| entries.iter().map(|entry| entry.name));
    Err(match suggest::closest(name, names) {
        Some(near) => format!("there is nothing called `{name}`; did you mean `{near}`?"),
        None => format!("there is nothing called `{name}`; `twinflow reference` lists all"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_their_names() {
        let text = found("str:concat").expect("there is one");
        assert!(text.contains("str:concat(value, second, [others ...]) → string"), "{text}");
        assert!(found("length").expect("a window").starts_with("Windows"));
        assert!(found("watermark").expect("there is one").contains("| `lateness` |"));
        // A source and a sink.
        let text = found("http").expect("there are two");
        assert!(text.contains("Sources") && text.contains("Sinks"), "{text}");
        assert!(found("str:conact").expect_err("none").contains("did you mean `str:concat`"));
        assert!(list().contains("\n  coalesce "));
    }
}
