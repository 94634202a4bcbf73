//! Tokens to tree: the statements. A subset of JavaScript; what is not in it is refused.

use crate::engine::script::lexer::Kind;
use crate::engine::script::lexer::Token;
use crate::engine::script::lexer::tokens;
use crate::engine::script::names::Names;
use crate::engine::script::statics;
use crate::engine::script::tree::Each;
use crate::engine::script::tree::Expr;
use crate::engine::script::tree::Function;
use crate::engine::script::tree::Loop;
use crate::engine::script::tree::Place;
use crate::engine::script::tree::Script;
use crate::engine::script::tree::Statement;
use crate::engine::script::tree::Try;
use crate::event::Text;
use crate::plan::signature::ScriptFault;
use regex::Regex;

/// How deep statements and expressions may stand in each other.
const DEEPEST: usize = 64;

/// Words that mean something in JavaScript and nothing here.
const REFUSED: &[&str] =
    &["class", "async", "await", "yield", "import", "export", "with", "debugger", "this", "super"];

/// Words that are no names.
const KEYWORDS: &[&str] = &[
    "var",
    "let",
    "const",
    "function",
    "return",
    "if",
    "else",
    "for",
    "while",
    "do",
    "break",
    "continue",
    "switch",
    "case",
    "default",
    "throw",
    "try",
    "catch",
    "finally",
    "new",
    "typeof",
    "void",
    "delete",
    "in",
    "instanceof",
    "true",
    "false",
    "null",
];

/// What reading gives.
pub(super) type Read<T> = Result<T, ScriptFault>;

/// Reads a body.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(text: &str) -> Read<Script> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
        functions: vec![Function { parameters: 1, ..Function::default() }],
        patterns: Vec::new(),
        names: Names::new(),
        members: Vec::new(),
    };
    let mut body = Vec::new();
    while parser.peek() != &Kind::End {
        body.push(parser.statement()?);
    }
    parser.functions[0].body = body;
    let Parser { mut functions, patterns, names, members, .. } = parser;
    let places = names.resolve(&mut functions)?;
    for (used, word, at) in members {
        if let Place::Global(global) = places[used] {
            statics::check(global, &word, at)?;
        }
    }
    Ok(Script { functions, places, patterns })
}

/// The state of reading.
pub(super) struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    /// The functions read so far; those that are open have no body yet.
    pub(super) functions: Vec<Function>,
    pub(super) patterns: Vec<(Regex, bool)>,
    pub(super) names: Names,
    /// Members of bare names: the use of the name, the member and where it stands.
    pub(super) members: Vec<(usize, Text, usize)>,
}

impl Parser {
    pub(super) fn peek(&self) -> &Kind {
        &self.tokens[self.next].kind
    }

    /// The token behind the next one.
    pub(super) fn peek_second(&self) -> &Kind {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].kind
    }

    pub(super) fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    /// Whether the next token begins a line.
    pub(super) fn is_fresh(&self) -> bool {
        self.tokens[self.next].fresh
    }

    pub(super) fn advance(&mut self) -> Kind {
        let kind = self.tokens[self.next].kind.clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        kind
    }

    /// Where reading stands, to try something and come back.
    pub(super) fn mark(&self) -> usize {
        self.next
    }

    pub(super) fn back_to(&mut self, mark: usize) {
        self.next = mark;
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(next) if *next == sign)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Kind::Word(next) if next == word)
    }

    /// Takes a sign if it comes next.
    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.advance();
        }
        found
    }

    /// Takes a word if it comes next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Read<()> {
        if self.sign(sign) { Ok(()) } else { self.unexpected(&format!("`{sign}`")) }
    }

    pub(super) fn unexpected<T>(&self, expected: &str) -> Read<T> {
        let found = match self.peek() {
            Kind::End => "the end".to_owned(),
            Kind::Word(word) => format!("`{word}`"),
            Kind::Sign(sign) => format!("`{sign}`"),
            Kind::Number(number) => format!("`{number}`"),
            Kind::Text(_) => "a text".to_owned(),
            Kind::Regex(..) => "a regular expression".to_owned(),
        };
        self.wrong(format!("expected {expected}, found {found}"))
    }

    pub(super) fn wrong<T>(&self, message: impl Into<String>) -> Read<T> {
        Err(ScriptFault::at(self.at(), message))
    }

    /// Reads something inside of something else.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Parser) -> Read<T>) -> Read<T> {
        if self.depth == DEEPEST {
            return self.wrong(format!("more than {DEEPEST} things stand in each other"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// A name, and where it stands.
    pub(super) fn name(&mut self) -> Read<(Text, usize)> {
        let at = self.at();
        match self.peek() {
            Kind::Word(word) if REFUSED.contains(&word.as_str()) => {
                let message = format!("`{word}` is not supported in functions of a plan");
                Err(ScriptFault { not_supported: true, ..ScriptFault::at(at, message) })
            }
            Kind::Word(word) if !KEYWORDS.contains(&word.as_str()) => {
                let word = word.clone();
                self.advance();
                Ok((word, at))
            }
            _ => self.unexpected("a name"),
        }
    }

    fn statement(&mut self) -> Read<Statement> {
        self.deeper(Parser::statement_here)
    }

    fn statement_here(&mut self) -> Read<Statement> {
        if self.is_sign("{") {
            return Ok(Statement::Block(self.block()?));
        }
        if self.sign(";") {
            return Ok(Statement::Block(Vec::new()));
        }
        let Kind::Word(word) = self.peek().clone() else { return self.simple() };
        match word.as_str() {
            "if" => self.condition(),
            "for" => self.for_loop(),
            "while" => {
                self.advance();
                let while_ = Some(self.in_brackets()?);
                let round = self.statement()?;
                Ok(Statement::Loop(Box::new(Loop { first: None, while_, then: None, round })))
            }
            "do" => {
                self.advance();
                let round = Box::new(self.statement()?);
                if !self.word("while") {
                    return self.unexpected("`while`");
                }
                let condition = self.in_brackets()?;
                self.sign(";");
                Ok(Statement::DoWhile(round, condition))
            }
            "function" if matches!(self.peek_second(), Kind::Word(_)) => self.declaration(),
            "switch" => self.switch(),
            "try" => self.try_catch(),
            _ => self.simple(),
        }
    }

    /// A statement that ends with `;` or its line.
    fn simple(&mut self) -> Read<Statement> {
        let statement = self.simple_part()?;
        if !self.sign(";") && !self.is_sign("}") && self.peek() != &Kind::End && !self.is_fresh() {
            return self.unexpected("`;`");
        }
        Ok(statement)
    }

    fn simple_part(&mut self) -> Read<Statement> {
        if let Some(declared) = self.variables()? {
            return Ok(declared);
        }
        let ends = |parser: &Parser| {
            parser.is_sign(";")
                || parser.is_sign("}")
                || parser.peek() == &Kind::End
                || parser.is_fresh()
        };
        if self.word("return") {
            let value = if ends(self) { None } else { Some(self.expression()?) };
            return Ok(Statement::Return(value));
        }
        if self.word("throw") {
            return Ok(Statement::Throw(self.expression()?));
        }
        for (word, statement) in [("break", Statement::Break), ("continue", Statement::Continue)] {
            if self.word(word) {
                return if ends(self) { Ok(statement) } else { self.unexpected("`;`") };
            }
        }
        Ok(Statement::Do(self.expression()?))
    }

    /// `var a = 1, b`; nothing if something else comes.
    fn variables(&mut self) -> Read<Option<Statement>> {
        let block = self.is_word("let") || self.is_word("const");
        if !block && !self.is_word("var") {
            return Ok(None);
        }
        self.advance();
        let mut list = Vec::new();
        loop {
            let (word, at) = self.name()?;
            self.names.declare(&word, at, block)?;
            if self.sign("=") {
                let target = Expr::Name(self.names.used(word, at));
                let value = self.assignment()?;
                list.push(Statement::Do(Expr::Assign(None, Box::new((target, value)))));
            } else if block {
                // A `let` without a value is undefined anew in each round of a loop.
                let target = Expr::Name(self.names.used(word, at));
                let value = Expr::Undefined;
                list.push(Statement::Do(Expr::Assign(None, Box::new((target, value)))));
            }
            if !self.sign(",") {
                break;
            }
        }
        Ok(Some(Statement::Block(list)))
    }

    pub(super) fn block(&mut self) -> Read<Vec<Statement>> {
        self.expect("{")?;
        self.names.open_block();
        let mut list = Vec::new();
        while !self.is_sign("}") {
            if self.peek() == &Kind::End {
                return self.unexpected("`}`");
            }
            list.push(self.statement()?);
        }
        self.advance();
        self.names.close_block();
        Ok(list)
    }

    fn in_brackets(&mut self) -> Read<Expr> {
        self.expect("(")?;
        let value = self.expression()?;
        self.expect(")")?;
        Ok(value)
    }

    fn condition(&mut self) -> Read<Statement> {
        self.advance();
        let condition = self.in_brackets()?;
        let then = Box::new(self.statement()?);
        let otherwise = match self.word("else") {
            true => Some(Box::new(self.statement()?)),
            false => None,
        };
        Ok(Statement::If(condition, then, otherwise))
    }

    fn for_loop(&mut self) -> Read<Statement> {
        self.advance();
        self.expect("(")?;
        self.names.open_block();
        let statement = match self.each_head()? {
            Some((place, values)) => {
                let of = self.expression()?;
                self.expect(")")?;
                let round = self.statement()?;
                Statement::Each(Box::new(Each { place, values, of, round }))
            }
            None => {
                let first = if self.is_sign(";") { None } else { Some(self.simple_part()?) };
                self.expect(";")?;
                let while_ = if self.is_sign(";") { None } else { Some(self.expression()?) };
                self.expect(";")?;
                let then = if self.is_sign(")") { None } else { Some(self.expression()?) };
                self.expect(")")?;
                let round = self.statement()?;
                Statement::Loop(Box::new(Loop { first, while_, then, round }))
            }
        };
        self.names.close_block();
        Ok(statement)
    }

    /// `var name in` or `name of`: the use of the name, and whether values are meant.
    fn each_head(&mut self) -> Read<Option<(usize, bool)>> {
        let mark = self.mark();
        let block = self.is_word("let") || self.is_word("const");
        let declares = block || self.is_word("var");
        if declares {
            self.advance();
        }
        if let Kind::Word(_) = self.peek()
            && let Kind::Word(second) = self.peek_second()
            && (second == "in" || second == "of")
        {
            let (word, at) = self.name()?;
            if declares {
                self.names.declare(&word, at, block)?;
            }
            let place = self.names.assigned(word, at);
            let values = self.word("of");
            if !values {
                self.advance();
            }
            return Ok(Some((place, values)));
        }
        self.back_to(mark);
        Ok(None)
    }

    fn declaration(&mut self) -> Read<Statement> {
        self.advance();
        let (word, at) = self.name()?;
        self.names.declare(&word, at, false)?;
        let name = self.names.used(word, at);
        let outer = self.names.current();
        let number = self.function()?;
        self.functions[outer].declared.push((name, number));
        Ok(Statement::Block(Vec::new()))
    }

    /// Parameters and body of a function; gives its number.
    pub(super) fn function(&mut self) -> Read<usize> {
        self.expect("(")?;
        let number = self.open_function();
        while !self.sign(")") {
            let (word, at) = self.name()?;
            self.parameter(number, &word, at)?;
            if !self.sign(",") && !self.is_sign(")") {
                return self.unexpected("`,` or `)`");
            }
        }
        let body = self.deeper(Parser::block)?;
        self.close_function(number, body);
        Ok(number)
    }

    pub(super) fn open_function(&mut self) -> usize {
        let number = self.functions.len();
        self.functions.push(Function::default());
        self.names.open_function();
        number
    }

    pub(super) fn parameter(&mut self, number: usize, word: &Text, at: usize) -> Read<()> {
        self.names.declare(word, at, true)?;
        self.functions[number].parameters += 1;
        Ok(())
    }

    pub(super) fn close_function(&mut self, number: usize, body: Vec<Statement>) {
        self.names.close_function();
        self.functions[number].body = body;
    }

    fn switch(&mut self) -> Read<Statement> {
        self.advance();
        let value = self.in_brackets()?;
        self.expect("{")?;
        let mut cases = Vec::new();
        while !self.sign("}") {
            let case = if self.word("default") {
                None
            } else if self.word("case") {
                Some(self.expression()?)
            } else {
                return self.unexpected("`case`, `default` or `}`");
            };
            self.expect(":")?;
            let mut body = Vec::new();
            while !self.is_word("case") && !self.is_word("default") && !self.is_sign("}") {
                if self.peek() == &Kind::End {
                    return self.unexpected("`}`");
                }
                body.push(self.statement()?);
            }
            cases.push((case, body));
        }
        Ok(Statement::Switch(value, cases))
    }

    fn try_catch(&mut self) -> Read<Statement> {
        self.advance();
        let body = self.block()?;
        let mut caught = None;
        if self.word("catch") {
            self.names.open_block();
            let mut place = None;
            if self.sign("(") {
                let (word, at) = self.name()?;
                self.names.declare(&word, at, true)?;
                place = Some(self.names.used(word, at));
                self.expect(")")?;
            }
            caught = Some((place, self.block()?));
            self.names.close_block();
        }
        let finally = if self.word("finally") { self.block()? } else { Vec::new() };
        Ok(Statement::Try(Box::new(Try { body, caught, finally })))
    }
}
