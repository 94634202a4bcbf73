//! A message about a plan: what is wrong, where, and what would help; no printing.

use crate::language::tree::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The plan runs, but may not do what its author thinks.
    Warning,
    /// The plan is refused.
    Error,
}

/// A place with a few words about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What to say there; may be empty.
    pub text: String,
}

/// A change to the text that would mend it.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// What to take out; empty to only put something in.
    pub span: Span,
    /// What to put in its place.
    pub replacement: String,
}

/// One message about a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Its stable code, such as `L0001`; `codes` explains it.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The place it is about.
    pub primary: Label,
    /// Other places that matter, such as an earlier definition.
    pub secondary: Vec<Label>,
    /// What to do about it, if anything can be said.
    pub help: Option<String>,
    /// A change that is sure to be meant.
    pub suggestion: Option<Suggestion>,
    /// The plan is right, but the engine cannot run it yet.
    pub not_supported: bool,
}

impl Diagnostic {
    /// Something for which the plan is refused.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, Severity::Error, span, message.into())
    }

    /// Something that the author should know.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, Severity::Warning, span, message.into())
    }

    /// Something right that the engine cannot run yet; `what` names it, as in `patterns`.
    pub fn not_supported(code: &'static str, span: Span, what: &str) -> Diagnostic {
        let message = format!("not supported yet: {what}");
        Diagnostic { not_supported: true, ..Diagnostic::new(code, Severity::Error, span, message) }
    }

    fn new(code: &'static str, severity: Severity, span: Span, message: String) -> Diagnostic {
        Diagnostic {
            code,
            severity,
            message,
            primary: Label { span, text: String::new() },
            secondary: Vec::new(),
            help: None,
            suggestion: None,
            not_supported: false,
        }
    }

    /// With words at the place itself.
    pub fn label(mut self, text: impl Into<String>) -> Diagnostic {
        self.primary.text = text.into();
        self
    }

    /// With another place that matters.
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.secondary.push(Label { span, text: text.into() });
        self
    }

    /// With what to do about it.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// With a change that is sure to be meant.
    pub fn suggest(mut self, span: Span, replacement: impl Into<String>) -> Diagnostic {
        self.suggestion = Some(Suggestion { span, replacement: replacement.into() });
        self
    }

    /// Whether the plan is refused for it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
