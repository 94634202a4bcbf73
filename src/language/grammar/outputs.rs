//! What leaves a query: how often, which events and where to.

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::token::Keyword;
use crate::language::token::TokenKind;
use crate::language::tree::Assignment;
use crate::language::tree::EventKind;
use crate::language::tree::Expression;
use crate::language::tree::Output;
use crate::language::tree::OutputKind;
use crate::language::tree::OutputRate;
use crate::language::tree::RateKind;
use crate::language::tree::RateTrigger;
use crate::language::tree::Span;

/// What may follow the clauses of a query.
const OUTPUTS: &[Keyword] = &[Keyword::Insert, Keyword::Delete, Keyword::Update, Keyword::Return];

impl Parser<'_> {
    /// `output last every 5 events`, if it stands here.
    pub(super) fn opt_output_rate(&mut self) -> Read<Option<OutputRate>> {
        let start = self.here();
        if !self.eat_keyword(Keyword::Output) {
            return Ok(None);
        }
        self.mend(&[
            Keyword::Every,
            Keyword::First,
            Keyword::Last,
            Keyword::All,
            Keyword::Snapshot,
        ]);
        let kind = match self.peek(0).keyword {
            Some(Keyword::First) => Some(RateKind::First),
            Some(Keyword::Last) => Some(RateKind::Last),
            Some(Keyword::Snapshot) => Some(RateKind::Snapshot),
            Some(Keyword::All) => Some(RateKind::All),
            Some(Keyword::Every) => None,
            _ => return self.unexpected("`every`, `first`, `last`, `all` or `snapshot`"),
        };
        if kind.is_some() {
            self.bump();
        }
        let kind = kind.unwrap_or(RateKind::All);
        self.expect_keyword(Keyword::Every, "before the rate of the output")?;
        let counted = self.at(TokenKind::Int) && self.peek(1).keyword == Some(Keyword::Events);
        let every = if counted && kind != RateKind::Snapshot {
            let count = self.count_of("a number of events")?;
            self.bump();
            RateTrigger::Events(i32::try_from(count).unwrap_or(i32::MAX))
        } else {
            RateTrigger::Time(self.time("or a number of events such as `5 events`")?)
        };
        Ok(Some(OutputRate { kind, every, span: self.since(start) }))
    }

    /// What a query does with its results.
    pub(super) fn output(&mut self) -> Read<Output> {
        self.mend(OUTPUTS);
        let start = self.here();
        let keyword = self.peek(0).keyword;
        if !keyword.is_some_and(|keyword| OUTPUTS.contains(&keyword)) {
            return self.misplaced("`insert into`, `update`, `delete` or `return`");
        }
        self.bump();
        let (kind, events) = match keyword {
            Some(Keyword::Insert) if self.eats_overwrite(start) => {
                let target = self.source_name("the name of a table after `overwrite`")?;
                let (set, on) = self.set_and_on()?;
                (OutputKind::UpdateOrInsert { target, set, on }, None)
            }
            Some(Keyword::Insert) => {
                let events = self.opt_event_kind()?;
                self.expect_keyword(Keyword::Into, "after `insert`")?;
                let target = self.source_name("where to insert, after `into`")?;
                (OutputKind::Insert { target }, events)
            }
            Some(Keyword::Delete) => {
                if self.at_keyword(Keyword::On) && self.peek(2).kind == TokenKind::Dot {
                    return self.unexpected("the name of a table after `delete`");
                }
                let target = self.source_name("the name of a table after `delete`")?;
                let events = self.opt_for_events()?;
                let on = match self.eat_keyword(Keyword::On) {
                    true => Some(self.expression()?),
                    false => None,
                };
                (OutputKind::Delete { target, on }, events)
            }
            Some(Keyword::Update) if self.at_or_insert() => {
                self.or_insert_into()?;
                let target = self.source_name("the name of a table after `into`")?;
                let events = self.opt_for_events()?;
                let (set, on) = self.set_and_on()?;
                (OutputKind::UpdateOrInsert { target, set, on }, events)
            }
            Some(Keyword::Update) => {
                let target = self.source_name("the name of a table after `update`")?;
                let events = self.opt_for_events()?;
                let (set, on) = self.set_and_on()?;
                (OutputKind::Update { target, set, on }, events)
            }
            _ => (OutputKind::Return, self.opt_event_kind()?),
        };
        Ok(Output { kind, events, span: self.since(start) })
    }

    /// Whether `overwrite` stands here, after `insert`, as Siddhi 3 had it; it is taken then, with
    /// an `into` behind it, and how it is written now is said.
    fn eats_overwrite(&mut self, start: Span) -> bool {
        let word = self.here();
        let is_word = self.text_of(word).eq_ignore_ascii_case("overwrite");
        if !is_word || self.peek(1).kind != TokenKind::Word {
            return false;
        }
        self.bump();
        self.eat_keyword(Keyword::Into);
        let span = self.since(start);
        let message = "`insert overwrite` is written `update or insert into`";
        let diagnostic = Diagnostic::error(codes::UNEXPECTED, span, message);
        self.report(diagnostic.suggest(span, "update or insert into"));
        true
    }

    /// Whether `or insert` stands here, after `update`.
    pub(super) fn at_or_insert(&self) -> bool {
        self.at_keywords(Keyword::Or, Keyword::Insert)
    }

    /// `or insert into`.
    pub(super) fn or_insert_into(&mut self) -> Read<()> {
        self.expect_keyword(Keyword::Or, "after `update`")?;
        self.expect_keyword(Keyword::Insert, "after `update or`")?;
        self.expect_keyword(Keyword::Into, "after `update or insert`")?;
        Ok(())
    }

    /// `all events`, `expired events`, `current events` or `events`, if it stands here.
    pub(super) fn opt_event_kind(&mut self) -> Read<Option<EventKind>> {
        let kind = match self.peek(0).keyword {
            Some(Keyword::All) => EventKind::All,
            Some(Keyword::Expired) => EventKind::Expired,
            Some(Keyword::Current) => EventKind::Current,
            Some(Keyword::Events) => {
                self.bump();
                return Ok(Some(EventKind::Current));
            }
            _ => return Ok(None),
        };
        let word = self.bump().span;
        let role = format!("after `{}`", self.text_of(word));
        self.expect_keyword(Keyword::Events, &role)?;
        Ok(Some(kind))
    }

    fn opt_for_events(&mut self) -> Read<Option<EventKind>> {
        if !self.eat_keyword(Keyword::For) {
            return Ok(None);
        }
        match self.opt_event_kind()? {
            Some(kind) => Ok(Some(kind)),
            None => self.unexpected("`all events`, `current events` or `expired events`"),
        }
    }

    /// `=`, for which `==` is taken with a message.
    fn assign(&mut self) -> Read<()> {
        if !self.at(TokenKind::Equal) {
            self.expect(TokenKind::Assign, "after the attribute")?;
            return Ok(());
        }
        let span = self.bump().span;
        let message = "an attribute is set with `=`, found `==`";
        let diagnostic = Diagnostic::error(codes::FOREIGN_OPERATOR, span, message);
        self.report(diagnostic.help("write `=`").suggest(span, "="));
        Ok(())
    }

    /// `set T.a = b, .. on condition`; the part before `on` may be missing.
    pub(super) fn set_and_on(&mut self) -> Read<(Vec<Assignment>, Expression)> {
        let mut set = Vec::new();
        self.mend(&[Keyword::Set, Keyword::On]);
        if self.eat_keyword(Keyword::Set) {
            loop {
                let attribute = self.attribute_reference("an attribute of the table")?;
                let start = attribute.span;
                self.assign()?;
                let value = self.expression()?;
                set.push(Assignment { attribute, value, span: self.since(start) });
                if !self.eat(TokenKind::Comma) {
                    break;
                }
            }
        }
        self.expect_keyword(Keyword::On, "and a condition that says which rows")?;
        Ok((set, self.expression()?))
    }
}
