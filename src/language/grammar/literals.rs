//! Numbers, texts and times.

use std::str::FromStr;

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::parser::Failed;
use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::token::TokenKind;
use crate::language::tree::Literal;
use crate::language::tree::Span;
use crate::language::tree::StringLiteral;
use crate::language::tree::TimeLiteral;
use crate::language::tree::TimePart;
use crate::language::tree::TimeUnit;

impl Parser<'_> {
    /// A text in quotes; `role` says what for.
    pub(super) fn string(&mut self, role: &str) -> Read<StringLiteral> {
        if !self.at(TokenKind::String) {
            return self.unexpected(role);
        }
        let span = self.bump().span;
        let text = self.text_of(span);
        let quotes = if text.starts_with("\"\"\"") { 3 } else { 1 };
        Ok(StringLiteral { value: text[quotes..text.len() - quotes].to_owned(), span })
    }

    /// Whether a number stands `ahead` tokens from here.
    pub(super) fn at_number(&self, ahead: usize) -> bool {
        matches!(
            self.peek(ahead).kind,
            TokenKind::Int | TokenKind::Long | TokenKind::Float | TokenKind::Double
        )
    }

    /// A number with the sign before it.
    pub(super) fn number(&mut self) -> Literal {
        let start = self.here();
        let sign = match self.kind() {
            TokenKind::Minus => "-",
            TokenKind::Plus => "+",
            _ => "",
        };
        if !sign.is_empty() {
            self.bump();
        }
        let token = self.bump();
        let text = format!("{sign}{}", self.text_of(token.span));
        let span = self.since(start);
        match token.kind {
            TokenKind::Int => Literal::Int(self.whole(&text, span)),
            TokenKind::Long => Literal::Long(self.whole(text.trim_end_matches(['l', 'L']), span)),
            TokenKind::Float => {
                let value: f32 = text.trim_end_matches(['f', 'F']).parse().unwrap_or(f32::INFINITY);
                Literal::Float(if self.finite(value.is_finite(), span) { value } else { 0.0 })
            }
            _ => {
                let value: f64 = text.trim_end_matches(['d', 'D']).parse().unwrap_or(f64::INFINITY);
                Literal::Double(if self.finite(value.is_finite(), span) { value } else { 0.0 })
            }
        }
    }

    /// A whole number; one that does not fit is reported and read as nought.
    fn whole<T: FromStr + Default>(&mut self, text: &str, span: Span) -> T {
        text.parse().unwrap_or_else(|_| {
            let shown: String = text.chars().take(40).collect();
            let long = size_of::<T>() < size_of::<i64>() && text.parse::<i64>().is_ok();
            let kind = if size_of::<T>() < size_of::<i64>() { "an int" } else { "a long" };
            let message = format!("{shown} is out of range for {kind}");
            let diagnostic = Diagnostic::error(codes::NUMBER_OUT_OF_RANGE, span, message);
            self.report(if long {
                let written = format!("{text}L");
                diagnostic.help("write it as a long, with an `L`").suggest(span, written)
            } else {
                diagnostic
            });
            T::default()
        })
    }

    fn finite(&mut self, finite: bool, span: Span) -> bool {
        if !finite {
            let message = "this number is out of range for its type";
            self.report(Diagnostic::error(codes::NUMBER_OUT_OF_RANGE, span, message));
        }
        finite
    }

    /// A count without sign, such as an index; `role` says of what.
    pub(super) fn count_of(&mut self, role: &str) -> Read<u32> {
        if !self.at(TokenKind::Int) {
            return self.unexpected(role);
        }
        let span = self.bump().span;
        let text = self.text_of(span);
        let value: i32 = self.whole(text, span);
        // The digits carry no sign, so the value has none either.
        Ok(value.unsigned_abs())
    }

    /// Whether a time such as `5 sec` stands here.
    pub(super) fn at_time(&self) -> bool {
        self.at(TokenKind::Int) && self.unit_at(1).is_some()
    }

    /// What stands here is a unit of time by another name, behind a number: says which is meant.
    pub(super) fn fail_at_foreign_unit<T>(&mut self) -> Option<Read<T>> {
        let place = self.here();
        let written = self.text_of(place);
        let meant = match written.to_ascii_lowercase().as_str() {
            "ms" | "msec" | "msecs" | "milli" => "milliseconds",
            "s" | "secs" => "sec",
            "m" | "mins" => "min",
            "h" | "hr" | "hrs" => "hour",
            "d" => "day",
            "w" | "wk" | "wks" => "week",
            "yr" | "yrs" => "year",
            _ => return None,
        };
        let message = format!("`{written}` is not a unit of time");
        self.report(Diagnostic::error(codes::UNEXPECTED, place, message).suggest(place, meant));
        Some(Err(Failed))
    }

    fn unit_at(&self, ahead: usize) -> Option<TimeUnit> {
        self.peek(ahead).keyword.and_then(|keyword| keyword.time_unit())
    }

    /// A time such as `1 min 30 sec`; `role` says what for.
    pub(super) fn time(&mut self, role: &str) -> Read<TimeLiteral> {
        if self.at(TokenKind::Int) && !self.at_time() {
            self.bump();
            let foreign = self.fail_at_foreign_unit();
            return foreign
                .unwrap_or_else(|| self.unexpected("a unit of time such as `sec` or `min`"));
        }
        if !self.at_time() {
            return self.unexpected(&format!("a time such as `5 sec` {role}"));
        }
        let start = self.here();
        let mut parts: Vec<TimePart> = Vec::new();
        while self.at_time() {
            let place = self.here();
            let token = self.bump();
            let text = self.text_of(token.span);
            let amount = self.whole(text, token.span);
            let Some(unit) = self.unit_at(0) else { break };
            self.bump();
            let span = self.since(place);
            if parts.last().is_some_and(|last| last.unit >= unit) {
                let message = "units of time go from the greatest to the least, each once";
                let diagnostic = Diagnostic::error(codes::TIME_ORDER, span, message);
                self.report(diagnostic.help("as in: 1 hour 30 min 5 sec"));
            } else {
                parts.push(TimePart { amount, unit, span });
            }
        }
        Ok(TimeLiteral { parts, span: self.since(start) })
    }
}
