//! Annotations: their shape, not their meaning.

use crate::language::codes;
use crate::language::diagnostic::Diagnostic;
use crate::language::parser::BRACKET_STEPS;
use crate::language::parser::Parser;
use crate::language::parser::Read;
use crate::language::token::TokenKind;
use crate::language::tree::Annotation;
use crate::language::tree::AnnotationElement;
use crate::language::tree::PropertyKey;
use crate::language::tree::Span;
use crate::language::tree::StringLiteral;

impl Parser<'_> {
    /// `@name`, `@namespace:name` and what stands in brackets after it.
    pub(super) fn annotation(&mut self) -> Read<Annotation> {
        let start = self.expect(TokenKind::At, "before an annotation")?;
        let mut name = self.name("the name of an annotation")?;
        let mut namespace = None;
        if self.eat(TokenKind::Colon) {
            namespace = Some(name);
            name = self.name("the name of an annotation after `:`")?;
        }
        let mut elements = Vec::new();
        if self.at(TokenKind::OpenRound) {
            let open = self.bump().span;
            elements = self.nested(BRACKET_STEPS, |parser| parser.annotation_elements(open))?;
        }
        Ok(Annotation { namespace, name, elements, span: self.since(start) })
    }

    fn annotation_elements(&mut self, open: Span) -> Read<Vec<AnnotationElement>> {
        let mut elements = Vec::new();
        if self.eat(TokenKind::CloseRound) {
            return Ok(elements);
        }
        loop {
            elements.push(self.annotation_element()?);
            if !self.eat(TokenKind::Comma) {
                break;
            }
        }
        self.expect_close(TokenKind::CloseRound, open, "`,` or ")?;
        Ok(elements)
    }

    fn annotation_element(&mut self) -> Read<AnnotationElement> {
        if self.at(TokenKind::At) {
            return Ok(AnnotationElement::Annotation(self.annotation()?));
        }
        let start = self.here();
        let with_key = self.at_name()
            || (self.at(TokenKind::String) && self.peek(1).kind == TokenKind::Assign);
        let mut key = None;
        if with_key {
            let read = self.property_key()?;
            if !self.eat(TokenKind::Assign) {
                // `@app:name(Trades)`: the word was meant as the value.
                let value = self.unquoted(read.span);
                return Ok(AnnotationElement::Property { key, value, span: self.since(start) });
            }
            key = Some(read);
        }
        let value = if self.at(TokenKind::String) {
            self.string("a text")?
        } else if key.is_some() && self.at_unquoted() {
            let from = self.here();
            while self.at_unquoted() && (self.here().start == from.start || self.touches()) {
                self.bump();
            }
            self.unquoted(self.since(from))
        } else if key.is_some() {
            return self.unexpected("a text in quotes after `=`");
        } else {
            return self.unexpected("`key='value'`, a text in quotes or `@`");
        };
        Ok(AnnotationElement::Property { key, value, span: self.since(start) })
    }

    /// Words with points, dashes or colons between them, or a text.
    fn property_key(&mut self) -> Read<PropertyKey> {
        let start = self.here();
        if self.at(TokenKind::String) {
            let literal = self.string("a key")?;
            return Ok(PropertyKey { text: literal.value, span: literal.span });
        }
        let mut text = self.name("the key of a property")?.text;
        while matches!(self.kind(), TokenKind::Dot | TokenKind::Minus | TokenKind::Colon) {
            text.push_str(self.bump().kind.text());
            text.push_str(&self.name("the rest of the key")?.text);
        }
        Ok(PropertyKey { text, span: self.since(start) })
    }

    /// Whether something stands here that could be meant as a value but has no quotes.
    fn at_unquoted(&self) -> bool {
        !matches!(
            self.kind(),
            TokenKind::Comma
                | TokenKind::OpenRound
                | TokenKind::CloseRound
                | TokenKind::Assign
                | TokenKind::At
                | TokenKind::Semicolon
                | TokenKind::String
                | TokenKind::Error
                | TokenKind::End
        )
    }

    fn touches(&self) -> bool {
        self.behind().start == self.here().start
    }

    fn unquoted(&mut self, span: Span) -> StringLiteral {
        let value = self.text_of(span).to_owned();
        let quoted = format!("'{value}'");
        let message = format!("the value `{value}` needs quotes");
        let diagnostic = Diagnostic::error(codes::UNQUOTED_VALUE, span, message);
        self.report(diagnostic.help(format!("write {quoted}")).suggest(span, quoted));
        StringLiteral { value, span }
    }
}
