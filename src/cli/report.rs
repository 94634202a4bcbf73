//! How messages about a plan are shown on standard error.

use crate::language::diagnostic::Diagnostic;
use crate::language::source::Source;

/// The messages for people, or one JSON document for machines.
pub(super) fn shown(source: &Source, diagnostics: &[Diagnostic], json: bool) -> String {
    let mut out = String::new();
    for each in diagnostics {
        let place = source.place(each.primary.span.start);
        if json {
            let object = serde_json::json!({
                "code": each.code, "message": each.message, "line": place.line,
                "column": place.column, "not_supported": each.not_supported,
            });
            out.push_str(&format!("{object}\n"));
        } else {
            let (name, line, column) = (source.name(), place.line, place.column);
            out.push_str(&format!("{name}:{line}:{column}: [{}] {}\n", each.code, each.message));
        }
    }
    out
}
