//! How messages about a plan are shown on standard error.

use crate::language::diagnostic::Diagnostic;
use crate::language::render;
use crate::language::render::Colour;
use crate::language::source::Source;
use std::io::IsTerminal;

/// The messages for people, with colours on a terminal, or a JSON array on one line for machines.
pub(super) fn shown(source: &Source, diagnostics: &[Diagnostic], json: bool) -> String {
    if json {
        return format!("{}\n", render::json(source, diagnostics));
    }
    let colour = match std::io::stderr().is_terminal() {
        true => Colour::Always,
        false => Colour::Never,
    };
    render::text(source, diagnostics, colour)
}
