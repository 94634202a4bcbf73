//! Patterns and sequences: `every`, counts, `and`/`or`, absence and `within`.

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::grammar::inputs::InputPlace;
use crate::language::parser::Failed;
use crate::language::parser::GROUP_STEPS;
use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::token::Keyword;
use crate::language::token::TokenKind;
use crate::language::tree::Count;
use crate::language::tree::LogicalOperator;
use crate::language::tree::Span;
use crate::language::tree::StateElement;
use crate::language::tree::StateElementKind;
use crate::language::tree::StateInput;
use crate::language::tree::StateInputKind;
use crate::language::tree::StateStream;

/// What is learned about a pattern or sequence while it is read.
#[derive(Default)]
struct Shape {
    kind: Option<StateInputKind>,
    /// All `*`, `+` and `?`.
    stars: Vec<(Span, TokenKind)>,
    /// The first `every` that is not the first word of all.
    late_every: Option<Span>,
    /// How many `every` enclose what is read.
    inside_every: usize,
}

impl Parser<'_> {
    /// A whole pattern or sequence with its `within`.
    pub(super) fn state_input(&mut self) -> Read<StateInput> {
        let start = self.here();
        let mut shape = Shape::default();
        let root = self.state_chain(&mut shape, start)?;
        let within = match self.eat_keyword(Keyword::Within) {
            true => Some(self.time("after `within`")?),
            false => None,
        };
        let kind = shape.kind.unwrap_or(StateInputKind::Pattern);
        self.check_shape(kind, &shape);
        Ok(StateInput { kind, root, within, span: self.since(start) })
    }

    /// What can be judged only when it is known whether this is a pattern or a sequence.
    fn check_shape(&mut self, kind: StateInputKind, shape: &Shape) {
        if kind == StateInputKind::Pattern {
            for (span, star) in &shape.stars {
                let counted = match star {
                    TokenKind::Star => "<0:>",
                    TokenKind::Plus => "<1:>",
                    _ => "<0:1>",
                };
                let message = format!("`{}` counts only in sequences", star.text());
                let diagnostic = Diagnostic::error(codes::PATTERN_SHAPE, *span, message);
                let help = format!("in a pattern write `{counted}`");
                self.report(diagnostic.help(help).suggest(*span, counted));
            }
        } else if let Some(span) = shape.late_every {
            let message = "in a sequence `every` can stand only at the start";
            self.report(Diagnostic::error(codes::PATTERN_SHAPE, span, message));
        }
    }

    /// Parts joined by `->` or `,`; `first` is where the whole pattern begins.
    fn state_chain(&mut self, shape: &mut Shape, first: Span) -> Read<StateElement> {
        let start = self.here();
        let mut parts = vec![self.state_part(shape, first)?];
        loop {
            let kind = match self.kind() {
                TokenKind::Arrow => StateInputKind::Pattern,
                TokenKind::Comma => StateInputKind::Sequence,
                _ => break,
            };
            if *shape.kind.get_or_insert(kind) != kind {
                let message = "`->` and `,` cannot be mixed";
                let help = "a pattern uses `->` throughout, a sequence `,`";
                let place = self.here();
                self.report(Diagnostic::error(codes::PATTERN_SHAPE, place, message).help(help));
            }
            self.bump();
            parts.push(self.state_part(shape, first)?);
        }
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return Ok(only);
        }
        Ok(StateElement { kind: StateElementKind::Chain(parts), span: self.since(start) })
    }

    /// One part of a chain: an event, several, a group, with or without `every`.
    fn state_part(&mut self, shape: &mut Shape, first: Span) -> Read<StateElement> {
        let start = self.here();
        if !(self.at_keyword(Keyword::Every) && self.at_prefix_word()) {
            return self.state_operand(shape, first);
        }
        self.bump();
        if shape.inside_every > 0 {
            let message = "`every` cannot stand inside another `every`";
            self.report(Diagnostic::error(codes::PATTERN_SHAPE, start, message));
        }
        if start.start != first.start {
            shape.late_every.get_or_insert(start);
        }
        shape.inside_every += 1;
        let inner = self.state_operand(shape, first)?;
        shape.inside_every -= 1;
        let kind = StateElementKind::Every(Box::new(inner));
        Ok(StateElement { kind, span: self.since(start) })
    }

    fn state_operand(&mut self, shape: &mut Shape, first: Span) -> Read<StateElement> {
        if !self.at(TokenKind::OpenRound) {
            return self.logical(shape);
        }
        let open = self.bump().span;
        let mut inner = self.nested(GROUP_STEPS, |parser| {
            let inner = parser.state_chain(shape, first)?;
            parser.expect_close(TokenKind::CloseRound, open, "`->`, `,` or ")?;
            Ok(inner)
        })?;
        inner.span = self.since(open);
        Ok(inner)
    }

    /// One event, or two joined by `and` or `or`.
    fn logical(&mut self, shape: &mut Shape) -> Read<StateElement> {
        let start = self.here();
        let left = self.state_event(shape)?;
        let Some(operator) = self.logical_operator() else {
            self.check_absence(&left, None);
            return Ok(left);
        };
        let right = self.state_event(shape)?;
        if self.logical_operator().is_some() {
            let message = "`and` and `or` join two events, no more";
            let place = self.behind();
            self.report(Diagnostic::error(codes::PATTERN_SHAPE, place, message));
            return Err(Failed);
        }
        for side in [&left, &right] {
            if let StateElementKind::Count { count, .. } = &side.kind {
                let message = "a count cannot stand beside `and` or `or`";
                self.report(Diagnostic::error(codes::PATTERN_SHAPE, count.span, message));
            }
        }
        self.check_absence(&left, Some((operator, &right)));
        self.check_absence(&right, Some((operator, &left)));
        let (left, right) = (Box::new(left), Box::new(right));
        let kind = StateElementKind::Logical { left, operator, right };
        Ok(StateElement { kind, span: self.since(start) })
    }

    fn logical_operator(&mut self) -> Option<LogicalOperator> {
        if self.eat_keyword(Keyword::And) {
            return Some(LogicalOperator::And);
        }
        self.eat_keyword(Keyword::Or).then_some(LogicalOperator::Or)
    }

    /// Absence without a time makes sense only beside an event that ends it, joined by `and`.
    fn check_absence(
        &mut self,
        element: &StateElement,
        beside: Option<(LogicalOperator, &StateElement)>,
    ) {
        let StateElementKind::Absent { duration: None, .. } = element.kind else { return };
        let ended = beside.is_some_and(|(operator, other)| {
            operator == LogicalOperator::And
                && !matches!(other.kind, StateElementKind::Absent { .. })
        });
        if !ended {
            let message = "`not` needs `for` and a time here";
            let help = "write `not S for 5 sec`, or join it to an event with `and`";
            let place = element.span;
            self.report(Diagnostic::error(codes::PATTERN_SHAPE, place, message).help(help));
        }
    }

    /// `not S[..] for ..`, `S[..]`, `e1=S[..]`, with a count after it.
    fn state_event(&mut self, shape: &mut Shape) -> Read<StateElement> {
        let start = self.here();
        if self.at_keyword(Keyword::Not) && self.at_prefix_word() {
            self.bump();
            let input = self.single_input(InputPlace::Pattern)?;
            let duration = match self.eat_keyword(Keyword::For) {
                true => Some(self.time("after `for`")?),
                false => None,
            };
            let kind = StateElementKind::Absent { input, duration };
            return Ok(StateElement { kind, span: self.since(start) });
        }
        let mut reference = None;
        if self.at_name() && self.peek(1).kind == TokenKind::Assign {
            reference = Some(self.name("the name of an event")?);
            self.bump();
        }
        let input = self.single_input(InputPlace::Pattern)?;
        let stream = StateStream { reference, input, span: self.since(start) };
        let kind = match self.opt_count(shape)? {
            Some(count) => StateElementKind::Count { stream, count },
            None => StateElementKind::Stream(stream),
        };
        Ok(StateElement { kind, span: self.since(start) })
    }

    /// `<2>`, `<2:5>`, `<2:>`, `<:5>`, `*`, `+` or `?`.
    fn opt_count(&mut self, shape: &mut Shape) -> Read<Option<Count>> {
        let start = self.here();
        let star = self.kind();
        let (min, max) = match star {
            TokenKind::Star => (0, None),
            TokenKind::Plus => (1, None),
            TokenKind::Question => (0, Some(1)),
            TokenKind::Less => return Ok(Some(self.range_count()?)),
            _ => return Ok(None),
        };
        self.bump();
        shape.stars.push((start, star));
        Ok(Some(Count { min, max, span: start }))
    }

    fn range_count(&mut self) -> Read<Count> {
        let start = self.bump().span;
        let role = "a number of events such as `<2>` or `<2:5>`";
        let (min, max) = if self.eat(TokenKind::Colon) {
            (0, Some(self.count_of(role)?))
        } else {
            let min = self.count_of(role)?;
            let max = match (self.eat(TokenKind::Colon), self.at(TokenKind::Int)) {
                (true, true) => Some(self.count_of(role)?),
                (true, false) => None,
                (false, _) => Some(min),
            };
            (min, max)
        };
        self.expect(TokenKind::Greater, "after the number of events")?;
        let span = self.since(start);
        if max.is_some_and(|max| max < min) {
            let message = "the greatest number of events is below the least";
            self.report(Diagnostic::error(codes::PATTERN_SHAPE, span, message));
        }
        Ok(Count { min, max, span })
    }
}
