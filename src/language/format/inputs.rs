//! Prints what stands after `from`: sources, joins, patterns and sequences.

use crate::language::format::printer::Gap;
use crate::language::format::printer::Printer;
use crate::language::tree::AggregationRange;
use crate::language::tree::Count;
use crate::language::tree::HandlerKind;
use crate::language::tree::Input;
use crate::language::tree::JoinInput;
use crate::language::tree::JoinKind;
use crate::language::tree::JoinSide;
use crate::language::tree::LogicalOperator;
use crate::language::tree::SingleInput;
use crate::language::tree::StateElement;
use crate::language::tree::StateElementKind;
use crate::language::tree::StateInput;
use crate::language::tree::StateInputKind;
use crate::language::tree::StateStream;

impl Printer<'_> {
    pub(super) fn input(&mut self, input: &Input) {
        match input {
            Input::Stream(single) => self.single_input(single),
            Input::Join(join) => self.join(join),
            Input::State(state) => self.state_input(state),
            Input::Anonymous(query) => {
                self.word("(");
                self.indent();
                self.gap(Gap::Line);
                self.query(query);
                self.dedent();
                self.gap(Gap::Line);
                self.word(")");
            }
        }
    }

    pub(super) fn single_input(&mut self, input: &SingleInput) {
        self.open();
        self.source_name(&input.source);
        self.indent();
        for handler in &input.handlers {
            self.gap(Gap::SoftNothing);
            match &handler.kind {
                HandlerKind::Filter(condition) => {
                    self.word("[");
                    self.expression(condition);
                    self.word("]");
                }
                HandlerKind::Function(call) => {
                    self.word("#");
                    self.call(call);
                }
                HandlerKind::Window(call) => {
                    self.word("#");
                    self.word("window");
                    self.word(".");
                    self.call(call);
                }
            }
        }
        self.dedent();
        if let Some(alias) = &input.alias {
            self.gap(Gap::Space);
            self.word("as");
            self.gap(Gap::Space);
            self.name(alias);
        }
        self.close();
    }

    fn join(&mut self, join: &JoinInput) {
        self.open();
        self.indent();
        self.join_side(&join.left);
        self.gap(Gap::Soft);
        self.words(match join.kind {
            JoinKind::Inner => "join",
            JoinKind::LeftOuter => "left outer join",
            JoinKind::RightOuter => "right outer join",
            JoinKind::FullOuter => "full outer join",
        });
        self.gap(Gap::Space);
        self.join_side(&join.right);
        if let Some(on) = &join.on {
            self.gap(Gap::Soft);
            self.word("on");
            self.gap(Gap::Space);
            self.expression(on);
        }
        if let Some(range) = &join.range {
            self.gap(Gap::Soft);
            self.aggregation_range(range);
        }
        self.dedent();
        self.close();
    }

    fn join_side(&mut self, side: &JoinSide) {
        self.single_input(&side.input);
        if side.unidirectional {
            self.gap(Gap::Space);
            self.word("unidirectional");
        }
    }

    pub(super) fn aggregation_range(&mut self, range: &AggregationRange) {
        self.word("within");
        self.gap(Gap::Space);
        self.expression(&range.start);
        if let Some(end) = &range.end {
            self.word(",");
            self.gap(Gap::Space);
            self.expression(end);
        }
        self.gap(Gap::Soft);
        self.word("per");
        self.gap(Gap::Space);
        self.expression(&range.per);
    }

    fn state_input(&mut self, input: &StateInput) {
        self.open();
        self.indent();
        // Without brackets a lone stream would be no pattern.
        let lone = matches!(&input.root.kind,
            StateElementKind::Stream(stream) if stream.reference.is_none());
        if lone {
            self.word("(");
        }
        self.state_element(&input.root, input.kind);
        if lone {
            self.word(")");
        }
        if let Some(within) = &input.within {
            self.gap(Gap::Soft);
            self.word("within");
            self.gap(Gap::Space);
            self.time(within);
        }
        self.dedent();
        self.close();
    }

    fn state_element(&mut self, element: &StateElement, kind: StateInputKind) {
        match &element.kind {
            StateElementKind::Stream(stream) => self.state_stream(stream),
            StateElementKind::Count { stream, count } => {
                self.state_stream(stream);
                let text = count_text(count, kind);
                self.leaf(text, count.span);
            }
            StateElementKind::Logical { left, operator, right } => {
                self.state_element(left, kind);
                self.gap(Gap::Space);
                self.word(match operator {
                    LogicalOperator::And => "and",
                    LogicalOperator::Or => "or",
                });
                self.gap(Gap::Space);
                self.state_element(right, kind);
            }
            StateElementKind::Absent { input, duration } => {
                self.word("not");
                self.gap(Gap::Space);
                self.single_input(input);
                if let Some(duration) = duration {
                    self.gap(Gap::Space);
                    self.word("for");
                    self.gap(Gap::Space);
                    self.time(duration);
                }
            }
            StateElementKind::Every(inner) => {
                self.word("every");
                self.gap(Gap::Space);
                self.state_operand(inner, kind);
            }
            StateElementKind::Chain(parts) => self.state_chain(parts, kind),
        }
    }

    fn state_chain(&mut self, parts: &[StateElement], kind: StateInputKind) {
        for (at, part) in parts.iter().enumerate() {
            if at > 0 && kind == StateInputKind::Sequence {
                self.word(",");
                self.gap(Gap::Soft);
            } else if at > 0 {
                self.gap(Gap::Soft);
                self.word("->");
                self.gap(Gap::Space);
            }
            self.state_operand(part, kind);
        }
    }

    /// A part of a chain or of an `every`, in brackets if it is a chain itself.
    fn state_operand(&mut self, element: &StateElement, kind: StateInputKind) {
        let StateElementKind::Chain(parts) = &element.kind else {
            return self.state_element(element, kind);
        };
        self.word("(");
        self.open();
        self.indent();
        self.gap(Gap::SoftNothing);
        self.state_chain(parts, kind);
        self.dedent();
        self.gap(Gap::SoftNothing);
        self.word(")");
        self.close();
    }

    fn state_stream(&mut self, stream: &StateStream) {
        if let Some(reference) = &stream.reference {
            self.name(reference);
            self.word("=");
        }
        self.single_input(&stream.input);
    }
}

/// `*`, `+` and `?` where they can stand, else numbers.
fn count_text(count: &Count, kind: StateInputKind) -> String {
    let sequence = kind == StateInputKind::Sequence;
    match (count.min, count.max) {
        (0, None) if sequence => "*".to_owned(),
        (1, None) if sequence => "+".to_owned(),
        (0, Some(1)) if sequence => "?".to_owned(),
        (min, None) => format!("<{min}:>"),
        (min, Some(max)) if min == max => format!("<{min}>"),
        (min, Some(max)) => format!("<{min}:{max}>"),
    }
}
