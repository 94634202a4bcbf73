//! Properties of the whole room, tried on generated plans: what is printed is read as the same
//! tree, comments are kept, and no text at all makes it panic or hang.

mod dice;
mod expressions;
mod plans;
mod queries;
mod spans;

use proptest::prelude::*;

use crate::language::diagnostic::Diagnostic;
use crate::language::format;
use crate::language::parse;
use crate::language::parse_expression;
use crate::language::parse_query;
use crate::language::tests::dice::Dice;
use crate::language::tree::ExpressionKind;
use crate::language::tree::Literal;
use crate::language::tree::Plan;

fn plan_of(bytes: &[u8]) -> Plan {
    Dice::new(bytes).plan()
}

/// Puts comments between words of a text: at each place, what `bytes` say.
fn with_comments(text: &str, bytes: &[u8]) -> (String, Vec<String>) {
    let tokens = crate::language::lexer::lex(text).tokens;
    let mut dice = Dice::new(bytes);
    let mut out = String::new();
    let mut comments = Vec::new();
    let mut from = 0;
    for token in tokens {
        out.push_str(&text[from..token.span.start]);
        from = token.span.start;
        let number = comments.len();
        let (comment, before, after) = match dice.below(16) {
            1 => (format!("-- c{number}"), " ", "\n"),
            2 => (format!("-- c{number}"), "\n", "\n"),
            3 => (format!("/* c{number} */"), " ", ""),
            4 => (format!("/* c{number} */"), "\n\n", "\n"),
            5 => (format!("/* c{number}\n   c */"), " ", "\n\n"),
            _ => continue,
        };
        out.push_str(&format!("{before}{comment}{after}"));
        comments.push(comment);
    }
    out.push_str(&text[from..]);
    (out, comments)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_plan_reads_as_the_same_tree(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let tree = plan_of(&bytes);
        let text = format::plan(&tree);
        let parsed = parse(&text);
        prop_assert_eq!(&parsed.diagnostics, &vec![], "{}", text);
        prop_assert_eq!(&parsed.tree, &tree, "{}", text);
        let again = format::format(&parsed, &text);
        prop_assert_eq!(again, Some(text));
    }

    #[test]
    fn a_printed_on_demand_query_reads_as_the_same_tree(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let tree = Dice::new(&bytes).on_demand_query();
        let text = format::on_demand_query(&tree);
        let parsed = parse_query(&text);
        prop_assert_eq!(&parsed.diagnostics, &vec![], "{}", text);
        prop_assert_eq!(parsed.tree.as_ref(), Some(&tree), "{}", text);
        let again = format::format_query(&parsed, &text);
        prop_assert_eq!(again, Some(text));
    }

    #[test]
    fn comments_are_kept_and_printing_twice_changes_nothing(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        places in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let tree = plan_of(&bytes);
        let (text, comments) = with_comments(&format::plan(&tree), &places);
        let parsed = parse(&text);
        prop_assert_eq!(&parsed.diagnostics, &vec![], "{}", text);
        prop_assert_eq!(&parsed.tree, &tree, "{}", text);
        let once = format::format(&parsed, &text).expect("the plan has no errors");
        let parsed = parse(&once);
        prop_assert_eq!(&parsed.tree, &tree, "{}", once);
        let kept: Vec<_> = parsed.comments.iter().map(|at| &once[at.start..at.end]).collect();
        prop_assert_eq!(kept, comments, "{}", once);
        let twice = format::format(&parsed, &once);
        prop_assert_eq!(twice.as_ref(), Some(&once), "from {}", text);
    }

    #[test]
    fn no_text_does_harm(text in "\\PC{0,200}", bytes in any::<Vec<u8>>()) {
        spans::check(&text);
        spans::check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_broken_plan_does_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        breaks in proptest::collection::vec((any::<prop::sample::Index>(), 0..40_usize), 1..6),
    ) {
        let mut text = format::plan(&plan_of(&bytes));
        for (at, piece) in breaks {
            let at = at.index(text.len() + 1);
            break_at(&mut text, at, piece);
        }
        spans::check(&text);
    }
}

/// Takes out what stands at a place, or puts in something that has no business there.
fn break_at(text: &mut String, at: usize, how: usize) {
    const PIECES: [&str; 20] = [
        "(", ")", "[", "]", "'", "\"\"\"", "`", "{", "}", ";", ",", "/*", "--", "${x}", "from ",
        " every ", " not ", "\u{fffd}", "->", "@",
    ];
    let at = text.floor_char_boundary(at);
    match PIECES.get(how) {
        Some(piece) => text.insert_str(at, piece),
        None => {
            let end = text.ceil_char_boundary((at + how - PIECES.len()).min(text.len()));
            text.replace_range(at..end, "");
        }
    }
}

#[test]
fn depth_and_length_are_bounded() {
    for (before, piece, after) in [
        ("from S[", "(", "a"),
        ("from S[a", " or a == 1", "]"),
        ("from S[a", " + 1", " > 0]"),
        ("from S[", "not ", "a]"),
        ("from S[a", " is null", "]"),
        ("from S[", "f(", "a"),
        ("from S select ", "- ", "a as b insert into X"),
        ("from ", "(from ", "S"),
        ("from ", "(", "S -> T"),
        ("@a(", "@a(", "'x'"),
        ("from S", "[a", ""),
        ("from S[", "(a]", ""),
    ] {
        let text = format!("define stream S (a int);\n{before}{}{after}", piece.repeat(100_000));
        let parsed = parse(&text);
        assert!(parsed.has_errors(), "{before}{piece}");
        assert!(parsed.diagnostics.len() <= 101, "{before}{piece}");
        let copy = parsed.tree.clone();
        assert_eq!(copy, parsed.tree);
    }
    let long = format!("define stream S (a int);\nfrom S[a{}] insert into X;", " or a".repeat(240));
    let parsed = parse(&long);
    assert_eq!(parsed.diagnostics, vec![]);
    let printed = format::format(&parsed, &long).expect("it has no errors");
    assert_eq!(parse(&printed).tree, parsed.tree);
}

#[test]
fn an_expression_can_stand_alone() {
    let parsed = parse_expression("1 min 30 sec");
    let Some(ExpressionKind::Literal(Literal::Time(time))) = parsed.tree.map(|tree| tree.kind)
    else {
        panic!("no span of time: {:?}", parsed.diagnostics);
    };
    assert_eq!(time.milliseconds(), 90_000);
    assert!(parse_expression("a > 1 b").diagnostics.iter().any(Diagnostic::is_error));
    assert!(parse_expression("").tree.is_none());
}
