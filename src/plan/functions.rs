//! Functions that a plan defines: their names, and what is wrong with their bodies.

use crate::language::diagnostic::Diagnostic;
use crate::language::tree::FunctionDefinition;
use crate::language::tree::Span;
use crate::plan::checker::Checker;
use crate::plan::checker::data_type;
use crate::plan::checker::with_nearest;
use crate::plan::codes;
use crate::plan::expression::ScriptFunction;
use std::sync::Arc;

impl Checker<'_> {
    /// `define function`.
    pub(super) fn define_function(&mut self, tree: &FunctionDefinition) {
        let name = &tree.name.text;
        let before = self.plan.functions.iter().any(|each| each.name == *name);
        if before || self.broken_functions.contains(name) {
            let message = format!("the function `{name}` is defined before");
            self.report(Diagnostic::error(codes::NAME_TAKEN, tree.name.span, message));
            return;
        }
        let Some(returns) = data_type(tree.returns.kind) else {
            return self.broken_functions.push(name.clone());
        };
        let (language, body) = (&tree.language.text, &tree.body.text);
        if let Err(fault) = self.catalog.script(language, body) {
            let span = fault.at.map_or(tree.language.span, |at| {
                // The body begins behind its brace.
                let start = tree.body.span.start + 1 + at.min(body.len());
                let length = fault.unknown.0.len().max(1);
                Span::new(start, (start + length).min(tree.body.span.end))
            });
            self.report(if fault.not_supported {
                Diagnostic::not_supported(codes::NOT_SUPPORTED, span, &fault.message)
            } else {
                let diagnostic = Diagnostic::error(codes::FUNCTION_BODY, span, fault.message);
                let (word, known) = &fault.unknown;
                with_nearest(diagnostic, word, span, known.iter().map(String::as_str))
            });
            return self.broken_functions.push(name.clone());
        }
        self.plan.functions.push(Arc::new(ScriptFunction {
            name: name.clone(),
            language: language.clone(),
            body: body.clone(),
            returns,
        }));
    }
}
