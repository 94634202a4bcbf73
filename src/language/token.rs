//! The words of the language: kinds of tokens, and keywords in any case.

use crate::language::tree::Span;
use crate::language::tree::TimeUnit;
use crate::language::tree::TypeKind;

/// One word, number or sign with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// Set for a [`TokenKind::Word`] that is a keyword; it may still serve as a name.
    pub(super) keyword: Option<Keyword>,
    pub(super) span: Span,
}

/// The kinds of tokens. What the lexer could not read is a token too: [`TokenKind::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Word,
    /// A name in back-quotes.
    Quoted,
    Int,
    Long,
    Float,
    Double,
    /// `'..'`, `".."` or `"""..."""`.
    String,
    /// `{ .. }`.
    Script,
    Colon,
    Semicolon,
    Dot,
    Ellipsis,
    OpenRound,
    CloseRound,
    OpenSquare,
    CloseSquare,
    Comma,
    Assign,
    Star,
    Plus,
    Question,
    Minus,
    Slash,
    Percent,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Bang,
    At,
    Arrow,
    Hash,
    /// `&&`, `||` or `<>`: signs of other languages, kept so that the parser can advise.
    Foreign,
    /// Something unreadable; the lexer has told why.
    Error,
    /// The end of the text.
    End,
}

impl TokenKind {
    /// How the sign looks; empty for kinds that look differently each time.
    pub(super) fn text(self) -> &'static str {
        match self {
            TokenKind::Colon => ":",
            TokenKind::Semicolon => ";",
            TokenKind::Dot => ".",
            TokenKind::Ellipsis => "...",
            TokenKind::OpenRound => "(",
            TokenKind::CloseRound => ")",
            TokenKind::OpenSquare => "[",
            TokenKind::CloseSquare => "]",
            TokenKind::Comma => ",",
            TokenKind::Assign => "=",
            TokenKind::Star => "*",
            TokenKind::Plus => "+",
            TokenKind::Question => "?",
            TokenKind::Minus => "-",
            TokenKind::Slash => "/",
            TokenKind::Percent => "%",
            TokenKind::Less => "<",
            TokenKind::LessOrEqual => "<=",
            TokenKind::Greater => ">",
            TokenKind::GreaterOrEqual => ">=",
            TokenKind::Equal => "==",
            TokenKind::NotEqual => "!=",
            TokenKind::Bang => "!",
            TokenKind::At => "@",
            TokenKind::Arrow => "->",
            TokenKind::Hash => "#",
            _ => "",
        }
    }
}

macro_rules! keywords {
    ($($name:ident $first:literal $($other:literal)*,)*) => {
        /// Words with a meaning of their own in some places; each may be a name in others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Keyword { $($name,)* }

        impl Keyword {
            /// The keyword that a word in small letters spells.
            fn of_lower(word: &str) -> Option<Keyword> {
                match word {
                    $($first $(| $other)* => Some(Keyword::$name),)*
                    _ => None,
                }
            }

            /// Its usual spelling.
            pub(super) fn text(self) -> &'static str {
                match self { $(Keyword::$name => $first,)* }
            }
        }
    };
}

keywords! {
    Aggregate "aggregate", Aggregation "aggregation", All "all", And "and", As "as", Asc "asc",
    At "at", Begin "begin", Bool "bool", By "by", Current "current", Day "day" "days",
    Define "define", Delete "delete", Desc "desc", Double "double", End "end", Events "events",
    Every "every", Expired "expired", False "false", First "first", Float "float", For "for",
    From "from", Full "full", Function "function", Group "group", Having "having",
    Hour "hour" "hours", In "in", Inner "inner", Insert "insert", Int "int", Into "into", Is "is",
    Join "join", Last "last", Left "left", Limit "limit", Long "long",
    Millisecond "millisec" "millisecond" "milliseconds", Minute "min" "minute" "minutes",
    Month "month" "months", Not "not", Null "null", Object "object", Of "of", Offset "offset",
    On "on", Or "or", Order "order", Outer "outer", Output "output", Partition "partition",
    Per "per", Return "return", Right "right", Second "sec" "second" "seconds", Select "select",
    Set "set", Snapshot "snapshot", Stream "stream", String "string", Table "table",
    Trigger "trigger", True "true", Unidirectional "unidirectional", Update "update",
    Week "week" "weeks", Window "window", With "with", Within "within", Year "year" "years",
}

/// No keyword is longer than this.
const LONGEST: usize = 14;

impl Keyword {
    /// The keyword that a word spells, in any case.
    pub(super) fn of(word: &str) -> Option<Keyword> {
        if word.len() < 2 || word.len() > LONGEST {
            return None;
        }
        let mut small = [0; LONGEST];
        let small = &mut small[..word.len()];
        small.copy_from_slice(word.as_bytes());
        small.make_ascii_lowercase();
        std::str::from_utf8(small).ok().and_then(Keyword::of_lower)
    }

    /// The unit of time it names.
    pub(super) fn time_unit(self) -> Option<TimeUnit> {
        match self {
            Keyword::Year => Some(TimeUnit::Year),
            Keyword::Month => Some(TimeUnit::Month),
            Keyword::Week => Some(TimeUnit::Week),
            Keyword::Day => Some(TimeUnit::Day),
            Keyword::Hour => Some(TimeUnit::Hour),
            Keyword::Minute => Some(TimeUnit::Minute),
            Keyword::Second => Some(TimeUnit::Second),
            Keyword::Millisecond => Some(TimeUnit::Millisecond),
            _ => None,
        }
    }

    /// The type it names.
    pub(super) fn type_kind(self) -> Option<TypeKind> {
        match self {
            Keyword::String => Some(TypeKind::String),
            Keyword::Int => Some(TypeKind::Int),
            Keyword::Long => Some(TypeKind::Long),
            Keyword::Float => Some(TypeKind::Float),
            Keyword::Double => Some(TypeKind::Double),
            Keyword::Bool => Some(TypeKind::Bool),
            Keyword::Object => Some(TypeKind::Object),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_known_in_any_case_and_spelling() {
        assert_eq!(Keyword::of("UNIDIRECTIONAL"), Some(Keyword::Unidirectional));
        assert_eq!(Keyword::of("Minutes"), Some(Keyword::Minute));
        assert_eq!(Keyword::of("minutess"), None);
        assert_eq!(Keyword::of("of"), Some(Keyword::Of));
        assert_eq!(Keyword::of("unidirectionally"), None);
    }
}
