//! Tokens to tree: the expressions.

use crate::engine::functions::pattern;
use crate::engine::script::lexer::Kind;
use crate::engine::script::parser::Parser;
use crate::engine::script::parser::Read;
use crate::engine::script::tree::Binary;
use crate::engine::script::tree::Expr;
use crate::engine::script::tree::Logic;
use crate::engine::script::tree::Statement;
use crate::engine::script::tree::Unary;
use crate::event::Text;
use crate::plan::signature::ScriptFault;

/// Operators between two values, and how firmly they bind.
const BINARY: &[(&str, u8, Binary)] = &[
    ("|", 4, Binary::BitOr),
    ("^", 5, Binary::BitXor),
    ("&", 6, Binary::BitAnd),
    ("==", 7, Binary::Equal),
    ("!=", 7, Binary::NotEqual),
    ("===", 7, Binary::Same),
    ("!==", 7, Binary::NotSame),
    ("<", 8, Binary::Less),
    ("<=", 8, Binary::LessOrEqual),
    (">", 8, Binary::Greater),
    (">=", 8, Binary::GreaterOrEqual),
    ("<<", 9, Binary::ShiftLeft),
    (">>", 9, Binary::ShiftRight),
    (">>>", 9, Binary::ShiftRightUnsigned),
    ("+", 10, Binary::Add),
    ("-", 10, Binary::Subtract),
    ("*", 11, Binary::Multiply),
    ("/", 11, Binary::Divide),
    ("%", 11, Binary::Remainder),
    ("**", 12, Binary::Power),
];

const LOGIC: &[(&str, u8, Logic)] =
    &[("??", 1, Logic::Else), ("||", 2, Logic::Or), ("&&", 3, Logic::And)];

const ASSIGNMENTS: &[(&str, Option<Binary>)] = &[
    ("=", None),
    ("+=", Some(Binary::Add)),
    ("-=", Some(Binary::Subtract)),
    ("*=", Some(Binary::Multiply)),
    ("/=", Some(Binary::Divide)),
    ("%=", Some(Binary::Remainder)),
    ("**=", Some(Binary::Power)),
    ("&=", Some(Binary::BitAnd)),
    ("|=", Some(Binary::BitOr)),
    ("^=", Some(Binary::BitXor)),
    ("<<=", Some(Binary::ShiftLeft)),
    (">>=", Some(Binary::ShiftRight)),
    (">>>=", Some(Binary::ShiftRightUnsigned)),
];

const UNARY: &[(&str, Unary)] =
    &[("-", Unary::Minus), ("+", Unary::Plus), ("!", Unary::Not), ("~", Unary::BitNot)];

const UNARY_WORDS: &[(&str, Unary)] =
    &[("typeof", Unary::TypeOf), ("void", Unary::Void), ("delete", Unary::Delete)];

/// How many operators, or calls and members, may stand in a row.
const LONGEST: usize = 100;

impl Parser {
    /// An expression, or several with commas between them.
    pub(super) fn expression(&mut self) -> Read<Expr> {
        let first = self.assignment()?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut list = vec![first];
        while self.sign(",") {
            list.push(self.assignment()?);
        }
        Ok(Expr::Sequence(list))
    }

    /// An expression without commas.
    pub(super) fn assignment(&mut self) -> Read<Expr> {
        self.deeper(|parser| {
            if parser.is_arrow() {
                return parser.arrow();
            }
            let at = parser.at();
            let target = parser.choice()?;
            let found = ASSIGNMENTS.iter().find(|(sign, _)| parser.is_sign(sign));
            let Some((_, operator)) = found else { return Ok(target) };
            parser.advance();
            parser.settable(&target, at)?;
            let value = parser.assignment()?;
            Ok(Expr::Assign(*operator, Box::new((target, value))))
        })
    }

    /// Notes that a target gets a value, if it can.
    fn settable(&mut self, target: &Expr, at: usize) -> Read<()> {
        match target {
            Expr::Name(number) => self.names.assign(*number),
            Expr::Member(..) | Expr::Index(..) => {}
            _ => return Err(ScriptFault::at(at, "this cannot be given a value")),
        }
        Ok(())
    }

    fn choice(&mut self) -> Read<Expr> {
        let condition = self.binary(0)?;
        if !self.sign("?") {
            return Ok(condition);
        }
        let then = self.assignment()?;
        self.expect(":")?;
        let otherwise = self.assignment()?;
        Ok(Expr::Choice(Box::new((condition, then, otherwise))))
    }

    /// Operators that bind more firmly than `least`.
    fn binary(&mut self, least: u8) -> Read<Expr> {
        let mut left = self.unary()?;
        // What stands in a row here stands in each other when it runs.
        for _ in 0..LONGEST {
            if let Some((_, firmness, logic)) =
                LOGIC.iter().find(|(sign, firmness, _)| *firmness > least && self.is_sign(sign))
            {
                self.advance();
                let right = self.deeper(|parser| parser.binary(*firmness))?;
                left = Expr::Logic(*logic, Box::new((left, right)));
                continue;
            }
            let found = match self.peek() {
                Kind::Word(word) if word == "in" && least < 8 => Some((8, Binary::In)),
                Kind::Word(word) if word == "instanceof" => {
                    let message = "`instanceof` is not supported in functions of a plan";
                    let fault = ScriptFault::at(self.at(), message);
                    return Err(ScriptFault { not_supported: true, ..fault });
                }
                Kind::Sign(sign) => BINARY
                    .iter()
                    .find(|(known, firmness, _)| known == sign && *firmness > least)
                    .map(|(_, firmness, operator)| (*firmness, *operator)),
                _ => None,
            };
            let Some((firmness, operator)) = found else { return Ok(left) };
            self.advance();
            // Powers bind to the right.
            let inner = if operator == Binary::Power { firmness - 1 } else { firmness };
            let right = self.deeper(|parser| parser.binary(inner))?;
            left = Expr::Binary(operator, Box::new((left, right)));
        }
        self.wrong(format!("more than {LONGEST} operators in a row"))
    }

    fn unary(&mut self) -> Read<Expr> {
        let sign = UNARY.iter().find(|(sign, _)| self.is_sign(sign));
        let word = UNARY_WORDS.iter().find(|(word, _)| self.is_word(word));
        if let Some((_, operator)) = sign.or(word) {
            self.advance();
            let inner = self.deeper(Parser::unary)?;
            // The number of a literal with a sign is one number.
            if let (Unary::Minus, Expr::Number(number)) = (operator, &inner) {
                return Ok(Expr::Number(-number));
            }
            return Ok(Expr::Unary(*operator, Box::new(inner)));
        }
        for (sign, difference) in [("++", 1.0), ("--", -1.0)] {
            let at = self.at();
            if self.sign(sign) {
                let target = self.deeper(Parser::unary)?;
                self.settable(&target, at)?;
                return Ok(Expr::Step(difference, true, Box::new(target)));
            }
        }
        let at = self.at();
        let value = self.postfix()?;
        for (sign, difference) in [("++", 1.0), ("--", -1.0)] {
            if !self.is_fresh() && self.sign(sign) {
                self.settable(&value, at)?;
                return Ok(Expr::Step(difference, false, Box::new(value)));
            }
        }
        Ok(value)
    }

    fn postfix(&mut self) -> Read<Expr> {
        let mut value = self.primary()?;
        for _ in 0..LONGEST {
            if self.sign(".") {
                let at = self.at();
                let Kind::Word(word) = self.peek().clone() else {
                    return self.unexpected("a name");
                };
                self.advance();
                if let Expr::Name(used) = &value {
                    self.members.push((*used, word.clone(), at));
                }
                value = Expr::Member(Box::new(value), word);
            } else if self.sign("[") {
                let index = self.expression()?;
                self.expect("]")?;
                value = Expr::Index(Box::new((value, index)));
            } else if self.sign("(") {
                let arguments = self.list(")")?;
                value = Expr::Call(Box::new(value), arguments);
            } else {
                return Ok(value);
            }
        }
        self.wrong(format!("a chain of more than {LONGEST} calls and members"))
    }

    /// Expressions up to a closing sign.
    fn list(&mut self, close: &str) -> Read<Vec<Expr>> {
        let mut list = Vec::new();
        while !self.sign(close) {
            list.push(self.assignment()?);
            if !self.sign(",") && !self.is_sign(close) {
                return self.unexpected(&format!("`,` or `{close}`"));
            }
        }
        Ok(list)
    }

    fn primary(&mut self) -> Read<Expr> {
        let at = self.at();
        match self.peek().clone() {
            Kind::Number(number) => {
                self.advance();
                Ok(Expr::Number(number))
            }
            Kind::Text(text) => {
                self.advance();
                Ok(Expr::Text(text))
            }
            Kind::Regex(source, flags) => {
                self.advance();
                self.pattern(at, &source, &flags)
            }
            Kind::Sign("(") => {
                self.advance();
                let value = self.expression()?;
                self.expect(")")?;
                Ok(value)
            }
            Kind::Sign("[") => {
                self.advance();
                Ok(Expr::List(self.list("]")?))
            }
            Kind::Sign("{") => self.object(),
            Kind::Word(word) => self.word_value(&word, at),
            _ => self.unexpected("a value"),
        }
    }

    fn word_value(&mut self, word: &Text, at: usize) -> Read<Expr> {
        let value = match word.as_str() {
            "true" => Expr::Truth(true),
            "false" => Expr::Truth(false),
            "null" => Expr::Null,
            "undefined" => Expr::Undefined,
            "NaN" => Expr::Number(f64::NAN),
            "Infinity" => Expr::Number(f64::INFINITY),
            "function" => {
                self.advance();
                if let Kind::Word(_) = self.peek() {
                    self.advance();
                }
                return Ok(Expr::Function(self.function()?));
            }
            "new" => {
                self.advance();
                let (word, at) = self.name()?;
                let made = Expr::Name(self.names.used(word, at));
                let arguments = if self.sign("(") { self.list(")")? } else { Vec::new() };
                return Ok(Expr::Call(Box::new(made), arguments));
            }
            _ => {
                let (word, at) = self.name()?;
                return Ok(Expr::Name(self.names.used(word, at)));
            }
        };
        debug_assert_eq!(at, self.at());
        self.advance();
        Ok(value)
    }

    fn object(&mut self) -> Read<Expr> {
        self.advance();
        let mut entries = Vec::new();
        while !self.sign("}") {
            let at = self.at();
            let key = match self.advance() {
                Kind::Word(word) => {
                    if self.is_sign(",") || self.is_sign("}") {
                        let value = Expr::Name(self.names.used(word.clone(), at));
                        entries.push((word, value));
                        self.sign(",");
                        continue;
                    }
                    word
                }
                Kind::Text(text) => text,
                Kind::Number(number) => crate::engine::script::number::text(number),
                _ => return Err(ScriptFault::at(at, "expected a key")),
            };
            self.expect(":")?;
            entries.push((key, self.assignment()?));
            if !self.sign(",") && !self.is_sign("}") {
                return self.unexpected("`,` or `}`");
            }
        }
        Ok(Expr::Object(entries))
    }

    fn pattern(&mut self, at: usize, source: &str, flags: &str) -> Read<Expr> {
        if let Some(flag) = flags.chars().find(|flag| !"gim".contains(*flag)) {
            return Err(ScriptFault::at(
                at,
                format!("there is no flag `{flag}`; expected g, i or m"),
            ));
        }
        let inner: String = flags.chars().filter(|flag| *flag != 'g').collect();
        let source =
            if inner.is_empty() { source.to_owned() } else { format!("(?{inner}){source}") };
        let regex = pattern::compiled(&source, false).map_err(|(message, not_supported)| {
            ScriptFault { not_supported, ..ScriptFault::at(at, message) }
        })?;
        self.patterns.push((regex, flags.contains('g')));
        Ok(Expr::Pattern(self.patterns.len() - 1))
    }

    /// Whether `name =>` or `(names) =>` comes next.
    fn is_arrow(&mut self) -> bool {
        let mark = self.mark();
        let mut found = false;
        if let Kind::Word(_) = self.peek() {
            self.advance();
            found = self.is_sign("=>");
        } else if self.sign("(") {
            while matches!(self.peek(), Kind::Word(_)) {
                self.advance();
                if !self.sign(",") {
                    break;
                }
            }
            found = self.sign(")") && self.is_sign("=>");
        }
        self.back_to(mark);
        found
    }

    fn arrow(&mut self) -> Read<Expr> {
        let number = self.open_function();
        if self.sign("(") {
            while !self.sign(")") {
                let (word, at) = self.name()?;
                self.parameter(number, &word, at)?;
                self.sign(",");
            }
        } else {
            let (word, at) = self.name()?;
            self.parameter(number, &word, at)?;
        }
        self.expect("=>")?;
        let body = if self.is_sign("{") {
            self.block()?
        } else {
            vec![Statement::Return(Some(self.assignment()?))]
        };
        self.close_function(number, body);
        Ok(Expr::Function(number))
    }
}
