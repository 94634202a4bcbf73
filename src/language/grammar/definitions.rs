//! Streams, tables, windows, triggers, aggregations and functions.

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::grammar::inputs::InputPlace;
use crate::language::parser::Failed;
use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::suggest::closest;
use crate::language::token::Keyword;
use crate::language::token::TokenKind;
use crate::language::tree::AggregationDefinition;
use crate::language::tree::AggregationPeriods;
use crate::language::tree::Annotation;
use crate::language::tree::Attribute;
use crate::language::tree::Definition;
use crate::language::tree::FunctionDefinition;
use crate::language::tree::Period;
use crate::language::tree::Script;
use crate::language::tree::Span;
use crate::language::tree::StreamDefinition;
use crate::language::tree::TableDefinition;
use crate::language::tree::TimeUnit;
use crate::language::tree::TriggerDefinition;
use crate::language::tree::TriggerTime;
use crate::language::tree::TypeKind;
use crate::language::tree::TypeName;
use crate::language::tree::WindowDefinition;

/// What can be defined.
const KINDS: &[Keyword] = &[
    Keyword::Stream,
    Keyword::Table,
    Keyword::Window,
    Keyword::Trigger,
    Keyword::Aggregation,
    Keyword::Function,
];

const TYPES: &[&str] = &["string", "int", "long", "float", "double", "bool", "object"];

/// Types of other languages and what they are called here.
const FOREIGN_TYPES: &[(&str, &str)] = &[
    ("bigint", "long"),
    ("boolean", "bool"),
    ("char", "string"),
    ("decimal", "double"),
    ("integer", "int"),
    ("number", "double"),
    ("real", "double"),
    ("short", "int"),
    ("smallint", "int"),
    ("str", "string"),
    ("text", "string"),
    ("timestamp", "long"),
    ("varchar", "string"),
];

impl Parser<'_> {
    /// `define` and what it introduces; `start` is where the statement begins.
    pub(super) fn definition(
        &mut self,
        annotations: Vec<Annotation>,
        start: Span,
    ) -> Read<Definition> {
        self.expect_keyword(Keyword::Define, "before a definition")?;
        self.mend(KINDS);
        let kind = self.peek(0).keyword;
        if !kind.is_some_and(|kind| KINDS.contains(&kind)) {
            return self
                .unexpected("`stream`, `table`, `window`, `trigger`, `aggregation` or `function`");
        }
        self.bump();
        if matches!(kind, Some(Keyword::Trigger | Keyword::Function)) {
            self.no_annotations(&annotations);
        }
        match kind {
            Some(Keyword::Stream) => {
                let name = self.source_name("the name of a stream")?;
                let attributes = self.attributes()?;
                let span = self.since(start);
                Ok(Definition::Stream(StreamDefinition { annotations, name, attributes, span }))
            }
            Some(Keyword::Table) => {
                let name = self.source_name("the name of a table")?;
                let attributes = self.attributes()?;
                let span = self.since(start);
                Ok(Definition::Table(TableDefinition { annotations, name, attributes, span }))
            }
            Some(Keyword::Window) => self.window_definition(annotations, start),
            Some(Keyword::Trigger) => self.trigger(start),
            Some(Keyword::Aggregation) => self.aggregation(annotations, start),
            _ => self.function(start),
        }
    }

    fn no_annotations(&mut self, annotations: &[Annotation]) {
        if let Some(first) = annotations.first() {
            let message = "annotations cannot stand before a trigger or function";
            let diagnostic = Diagnostic::error(codes::ANNOTATION_PLACE, first.span, message);
            self.report(diagnostic.help("take it out"));
        }
    }

    /// `(a int, b string)`.
    fn attributes(&mut self) -> Read<Vec<Attribute>> {
        let open = self.expect(TokenKind::OpenRound, "before the attributes")?;
        let mut attributes = Vec::new();
        loop {
            let name = self.name("the name of an attribute")?;
            let type_name = self.type_name(&format!("the type of `{}`", name.text))?;
            let span = self.since(name.span);
            attributes.push(Attribute { name, type_name, span });
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        let close = self.expect_close(TokenKind::CloseRound, open, "`,` or ");
        // Where the definition ends all of it is known, and need not be said to be unknown.
        if close.is_err() && !self.at(TokenKind::Semicolon) {
            return Err(Failed);
        }
        Ok(attributes)
    }

    /// The name of a type; a word that is none is reported and read as [`TypeKind::Unknown`].
    fn type_name(&mut self, role: &str) -> Read<TypeName> {
        if !self.at_name() {
            return self.unexpected(role);
        }
        let token = self.bump();
        let span = token.span;
        if let Some(kind) = token.keyword.and_then(Keyword::type_kind) {
            return Ok(TypeName { kind, span });
        }
        let word = self.text_of(span);
        let foreign = FOREIGN_TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        let meant = foreign.map(|(_, meant)| *meant);
        let meant = meant.or_else(|| closest(word, TYPES.iter().copied()));
        let message = format!("there is no type `{word}`");
        let diagnostic = Diagnostic::error(codes::UNKNOWN_TYPE, span, message);
        self.report(match meant {
            Some(meant) => diagnostic.help(format!("did you mean `{meant}`?")).suggest(span, meant),
            None => diagnostic.help(format!("the types are {}", TYPES.join(", "))),
        });
        Ok(TypeName { kind: TypeKind::Unknown, span })
    }

    fn window_definition(&mut self, annotations: Vec<Annotation>, start: Span) -> Read<Definition> {
        let name = self.source_name("the name of a window")?;
        let attributes = self.attributes()?;
        if !self.at_name() {
            return self.unexpected("the kind of the window, such as `length(5)`");
        }
        let window = self.call()?;
        let mut output = None;
        self.mend(&[Keyword::Output]);
        if self.eat_keyword(Keyword::Output) {
            output = self.opt_event_kind()?;
            if output.is_none() {
                return self.unexpected("`all events`, `current events` or `expired events`");
            }
        }
        let span = self.since(start);
        Ok(Definition::Window(WindowDefinition {
            annotations,
            name,
            attributes,
            window,
            output,
            span,
        }))
    }

    fn trigger(&mut self, start: Span) -> Read<Definition> {
        let name = self.name("the name of a trigger")?;
        self.expect_keyword(Keyword::At, "after the name of a trigger")?;
        self.mend(&[Keyword::Every]);
        let at = if self.eat_keyword(Keyword::Every) {
            TriggerTime::Every(self.time("after `every`")?)
        } else {
            TriggerTime::Text(self.string("`every`, 'start' or a cron expression in quotes")?)
        };
        Ok(Definition::Trigger(TriggerDefinition { name, at, span: self.since(start) }))
    }

    fn aggregation(&mut self, annotations: Vec<Annotation>, start: Span) -> Read<Definition> {
        let name = self.name("the name of an aggregation")?;
        self.expect_keyword(Keyword::From, "after the name of an aggregation")?;
        let input = self.single_input(InputPlace::Query)?;
        self.check_no_alias(&input);
        self.mend(&[Keyword::Select]);
        if !self.at_keyword(Keyword::Select) {
            return self.unexpected("`select`");
        }
        let selection = self.aggregation_selection()?;
        self.mend(&[Keyword::Aggregate]);
        if !self.at_keyword(Keyword::Aggregate) {
            return self.unexpected("`group by` or `aggregate`");
        }
        self.bump();
        let by = match self.eat_keyword(Keyword::By) {
            true => Some(self.attribute_reference("the attribute that holds the time")?),
            false => None,
        };
        self.expect_keyword(Keyword::Every, "before the lengths of the buckets")?;
        let periods = self.periods()?;
        Ok(Definition::Aggregation(AggregationDefinition {
            annotations,
            name,
            input,
            selection,
            by,
            periods,
            span: self.since(start),
        }))
    }

    /// `sec ... year` or `sec, day`.
    fn periods(&mut self) -> Read<AggregationPeriods> {
        let first = self.period()?;
        if self.eat(TokenKind::Ellipsis) {
            return Ok(AggregationPeriods::Range { from: first, to: self.period()? });
        }
        let mut list = vec![first];
        while self.eat(TokenKind::Comma) {
            list.push(self.period()?);
        }
        Ok(AggregationPeriods::List(list))
    }

    fn period(&mut self) -> Read<Period> {
        let unit = self.peek(0).keyword.and_then(Keyword::time_unit);
        match unit.filter(|unit| *unit != TimeUnit::Millisecond) {
            Some(unit) => Ok(Period { unit, span: self.bump().span }),
            None => self.unexpected("`sec`, `min`, `hour`, `day`, `week`, `month` or `year`"),
        }
    }

    fn function(&mut self, start: Span) -> Read<Definition> {
        let name = self.name("the name of a function")?;
        let open = self.expect(TokenKind::OpenSquare, "and the language of the function")?;
        let language = self.name("the language of the function")?;
        self.expect_close(TokenKind::CloseSquare, open, "")?;
        self.expect_keyword(Keyword::Return, "and the type of what the function returns")?;
        let returns = self.type_name("the type of what the function returns")?;
        if !self.at(TokenKind::Script) {
            return self.unexpected("the body of the function in braces");
        }
        let span = self.bump().span;
        let text = self.text_of(Span::new(span.start + 1, span.end - 1)).to_owned();
        let body = Script { text, span };
        let span = self.since(start);
        Ok(Definition::Function(FunctionDefinition { name, language, returns, body, span }))
    }
}
