//! Constructs that are checked as far as their names and types go and then refused as not supported
//! yet: patterns and sequences.

use crate::language::diagnostic::Diagnostic;
use crate::language::tree::SingleInput;
use crate::language::tree::SourcePrefix;
use crate::language::tree::StateElement;
use crate::language::tree::StateElementKind;
use crate::language::tree::StateInput;
use crate::language::tree::StateInputKind;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::names::Meaning;

impl Checker<'_> {
    /// A pattern or sequence as the input of a query.
    pub(super) fn state(&mut self, input: &StateInput) {
        self.state_sources(&input.root);
        let what = match input.kind {
            StateInputKind::Pattern => "patterns",
            StateInputKind::Sequence => "sequences",
        };
        self.not_supported(input.span, what);
    }

    fn state_sources(&mut self, element: &StateElement) {
        match &element.kind {
            StateElementKind::Stream(stream) | StateElementKind::Count { stream, .. } => {
                self.state_source(&stream.input);
            }
            StateElementKind::Absent { input, .. } => self.state_source(input),
            StateElementKind::Logical { left, right, .. } => {
                self.state_sources(left);
                self.state_sources(right);
            }
            StateElementKind::Every(inner) => self.state_sources(inner),
            StateElementKind::Chain(elements) => {
                elements.iter().for_each(|element| self.state_sources(element));
            }
        }
    }

    fn state_source(&mut self, input: &SingleInput) {
        let name = &input.source;
        let known = match name.prefix {
            SourcePrefix::None => self.names.get(&name.name.text).map(|known| known.meaning),
            SourcePrefix::Inner | SourcePrefix::Fault => None,
        };
        if let Some(Meaning::Window(_)) = known {
            let word = &name.name.text;
            let message = format!("a pattern reads streams, but `{word}` is a window");
            self.report(Diagnostic::error(codes::WRONG_KIND, name.span, message));
            return;
        }
        self.source(name);
    }
}
