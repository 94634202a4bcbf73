//! Every code that a message of this room can have, with what it means and an example.

/// Something else stands where a certain thing must stand.
pub const UNEXPECTED: &str = "L0001";
/// No `;` between two parts of the plan.
pub const MISSING_SEMICOLON: &str = "L0002";
/// A word that is nearly a keyword.
pub const MISSPELT_KEYWORD: &str = "L0003";
/// A text without closing quote.
pub const UNCLOSED_TEXT: &str = "L0004";
/// A comment without end.
pub const UNCLOSED_COMMENT: &str = "L0005";
/// A function body without closing brace.
pub const UNCLOSED_BODY: &str = "L0006";
/// A character that has no meaning in the language.
pub const UNKNOWN_CHARACTER: &str = "L0007";
/// A number that cannot be read.
pub const MALFORMED_NUMBER: &str = "L0008";
/// A number that its type cannot hold.
pub const NUMBER_OUT_OF_RANGE: &str = "L0009";
/// A `${variable}` that nothing has replaced.
pub const VARIABLE_LEFT: &str = "L0010";
/// A definition after a query.
pub const LATE_DEFINITION: &str = "L0011";
/// An `@app:` annotation that is not at the head.
pub const LATE_PLAN_ANNOTATION: &str = "L0012";
/// A plan that defines nothing.
pub const NO_DEFINITION: &str = "L0013";
/// A type that does not exist.
pub const UNKNOWN_TYPE: &str = "L0014";
/// Brackets too deep or an expression too long.
pub const TOO_DEEP: &str = "L0015";
/// A bracket that is never closed.
pub const UNCLOSED_BRACKET: &str = "L0016";
/// A computed output attribute without a name.
pub const UNNAMED_ATTRIBUTE: &str = "L0017";
/// An operator of another language.
pub const FOREIGN_OPERATOR: &str = "L0018";
/// A minus before something that is not a number.
pub const NO_NEGATION: &str = "L0019";
/// Units of time in the wrong order.
pub const TIME_ORDER: &str = "L0020";
/// Part of a pattern where it cannot stand.
pub const PATTERN_SHAPE: &str = "L0021";
/// A window where it cannot stand.
pub const WINDOW_PLACE: &str = "L0022";
/// An annotation's value without quotes.
pub const UNQUOTED_VALUE: &str = "L0023";
/// `as` after a source that is not joined.
pub const ALIAS_PLACE: &str = "L0024";
/// An annotation where none can stand.
pub const ANNOTATION_PLACE: &str = "L0025";
/// More errors than anybody reads.
pub const TOO_MANY: &str = "L0026";

/// What the manual and `twinflow check --explain` say about a code.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// The code.
    pub code: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What it means and what to do.
    pub text: &'static str,
    /// A plan, or a part of one, that earns the message.
    pub example: &'static str,
}

/// The explanation of a code, in capital or small letters.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    ALL.iter().find(|explanation| explanation.code.eq_ignore_ascii_case(code))
}

const fn entry(
    code: &'static str,
    title: &'static str,
    text: &'static str,
    example: &'static str,
) -> Explanation {
    Explanation { code, title, text, example }
}

/// All explanations, by code.
pub const ALL: &[Explanation] = &[
    entry(
        UNEXPECTED,
        "something else was expected",
        "At this place the grammar allows only what the message names. Often a word before it is \
         missing or stands too much.",
        "define stream S a int);",
    ),
    entry(
        MISSING_SEMICOLON,
        "missing `;`",
        "Definitions, queries and partitions are separated by `;`. Only the last may go without.",
        "define stream S (a int)\nfrom S select a insert into Out;",
    ),
    entry(
        MISSPELT_KEYWORD,
        "misspelt keyword",
        "Only a keyword can stand here, and the word found is very close to one.",
        "define stream S (a int);\nform S select a insert into Out;",
    ),
    entry(
        UNCLOSED_TEXT,
        "text without closing quote",
        "A text in '..' or \"..\" ends on the line where it begins, with the quote that opened it. \
         A text of several lines, or one that holds both kinds of quotes, stands in \
         \"\"\"..\"\"\". There are no escapes.",
        "define stream S (a string);\nfrom S[a == 'x] select a insert into Out;",
    ),
    entry(
        UNCLOSED_COMMENT,
        "comment without end",
        "A comment that begins with `/*` goes on to the next `*/`; comments do not nest. `--` \
         begins a comment that ends with its line.",
        "define stream S (a int); /* the input",
    ),
    entry(
        UNCLOSED_BODY,
        "function body without closing brace",
        "The body of a function stands in braces. Braces inside it must be balanced, but for those \
         in \"..\" and after `//`.",
        "define function f[javascript] return int { if (x) { return 1;",
    ),
    entry(
        UNKNOWN_CHARACTER,
        "character without meaning",
        "The language has no such sign. Names consist of letters a to z, digits and `_`; texts \
         stand in straight quotes.",
        "define stream S (a int);\nfrom S[a ~ 5] select a insert into Out;",
    ),
    entry(
        MALFORMED_NUMBER,
        "number that cannot be read",
        "Numbers are written 5 (int), 5L (long), 5f (float), 5.0, .5, 5e3 or 5D (double). A point \
         needs a digit after it, and a name cannot begin with a digit.",
        "define stream S (a double);\nfrom S[a > 5.] select a insert into Out;",
    ),
    entry(
        NUMBER_OUT_OF_RANGE,
        "number out of range",
        "An int holds -2147483648 to 2147483647. Greater whole numbers are longs: put an `L` \
         behind them.",
        "define stream S (a long);\nfrom S[a > 3000000000] select a insert into Out;",
    ),
    entry(
        VARIABLE_LEFT,
        "variable without value",
        "`${name}` is replaced before the plan is read. Nothing gave this one a value.",
        "@app:name('${plan}')\ndefine stream S (a int);",
    ),
    entry(
        LATE_DEFINITION,
        "definition after a query",
        "All definitions stand before the first query or partition.",
        "define stream S (a int);\nfrom S select a insert into Out;\ndefine table T (a int);",
    ),
    entry(
        LATE_PLAN_ANNOTATION,
        "annotation of the plan not at its head",
        "Annotations such as @app:name speak of the whole plan and stand before everything else.",
        "define stream S (a int);\n@app:name('late')\nfrom S select a insert into Out;",
    ),
    entry(
        NO_DEFINITION,
        "plan without definition",
        "A plan defines at least one stream, table, window, trigger, aggregation or function.",
        "from S select a insert into Out;",
    ),
    entry(
        UNKNOWN_TYPE,
        "unknown type",
        "The types are string, int, long, float, double, bool and object.",
        "define stream S (a integer);",
    ),
    entry(
        TOO_DEEP,
        "too deep or too long",
        "Brackets may be nested about a hundred deep and inner queries about ten, and one \
         expression may hold a chain of 250 operators. Instead of a long `or`, put the values \
         into a table and use `in`.",
        "((((((((((…",
    ),
    entry(
        UNCLOSED_BRACKET,
        "bracket never closed",
        "Each `(` needs its `)` and each `[` its `]` before the part of the plan ends.",
        "define stream S (a int;",
    ),
    entry(
        UNNAMED_ATTRIBUTE,
        "output attribute without name",
        "What a query computes needs a name: `price * 2 as twice`. Only a plain attribute keeps \
         its own.",
        "define stream S (a int);\nfrom S select a * 2 insert into Out;",
    ),
    entry(
        FOREIGN_OPERATOR,
        "operator of another language",
        "Equality is `==`, inequality `!=`; conditions are joined by `and` and `or`.",
        "define stream S (a int);\nfrom S[a = 5 && a <> 3] select a insert into Out;",
    ),
    entry(
        NO_NEGATION,
        "minus before something that is not a number",
        "A sign belongs to a number, as in -5. To negate anything else subtract it from 0 or \
         multiply it by -1.",
        "define stream S (a int);\nfrom S select -a as b insert into Out;",
    ),
    entry(
        TIME_ORDER,
        "units of time in the wrong order",
        "A time names its units from the greatest to the least, each once: 1 hour 30 min.",
        "define trigger T at every 30 sec 1 min;",
    ),
    entry(
        PATTERN_SHAPE,
        "part of a pattern where it cannot stand",
        "A pattern (`->`) and a sequence (`,`) cannot be mixed. `*`, `+` and `?` count only in \
         sequences; in patterns write <0:>, <1:> or <0:1>. In a sequence `every` stands only at \
         the start. `and` and `or` join two events, no more.",
        "define stream S (a int);\nfrom e1=S, e2=S -> e3=S select e1.a insert into Out;",
    ),
    entry(
        WINDOW_PLACE,
        "window where it cannot stand",
        "A source has at most one window. In a join the window comes last; in a pattern there is \
         none.",
        "define stream S (a int);\nfrom S#window.length(1)#window.time(1 sec) insert into Out;",
    ),
    entry(
        UNQUOTED_VALUE,
        "value without quotes",
        "The values of annotations are texts: write size='10', not size=10.",
        "@async(workers=2)\ndefine stream S (a int);",
    ),
    entry(
        ALIAS_PLACE,
        "`as` without join",
        "Only the sides of a join get another name. A single source goes by its own.",
        "define stream S (a int);\nfrom S as s select s.a insert into Out;",
    ),
    entry(
        ANNOTATION_PLACE,
        "annotation where none can stand",
        "Annotations stand before streams, tables, windows, aggregations, queries and partitions, \
         not before functions and triggers.",
        "@info(name='t')\ndefine trigger T at 'start';",
    ),
    entry(
        TOO_MANY,
        "more errors follow",
        "Only the first 100 errors are told.",
        "@ @ @ @ @ @ @ @ @ @ …",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_numbered_without_gap_and_explained() {
        for (at, explanation) in ALL.iter().enumerate() {
            assert_eq!(explanation.code, format!("L{:04}", at + 1));
            assert!(!explanation.title.is_empty() && explanation.text.ends_with('.'));
        }
        assert_eq!(explain("l0002").map(|found| found.code), Some(MISSING_SEMICOLON));
        assert!(explain("L9999").is_none());
    }

    #[test]
    fn every_example_earns_its_message() {
        for explanation in ALL.iter().filter(|entry| !entry.example.ends_with('…')) {
            let found = crate::language::parse(explanation.example).diagnostics;
            let codes: Vec<_> = found.iter().map(|diagnostic| diagnostic.code).collect();
            assert!(codes.contains(&explanation.code), "{}: {codes:?}", explanation.code);
        }
    }
}
