//! Which annotations there are, where they can stand and which keys they take; how they are read.
//!
//! An annotation that is not known is passed over with a warning, since other tools may read it. An
//! unknown key of a known one is an error: it is nearly always a slip.

use crate::event::Millis;
use crate::language;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Annotation;
use crate::language::tree::AnnotationElement;
use crate::language::tree::ExpressionKind;
use crate::language::tree::Literal;
use crate::language::tree::StringLiteral;
use crate::plan::checker::Checker;
use crate::plan::checker::with_nearest;
use crate::plan::codes;
use crate::plan::known_annotations::ANNOTATIONS;
pub(super) use crate::plan::known_annotations::Before;
use crate::plan::known_annotations::Key;
use crate::plan::known_annotations::Keys;
use crate::plan::known_annotations::Known;

impl Checker<'_> {
    /// Says what is wrong with the annotations before something, as far as names and keys go.
    pub(super) fn annotations(&mut self, annotations: &[Annotation], before: Before) {
        for (index, annotation) in annotations.iter().enumerate() {
            let here = |known: &&Known| known.before.contains(&before) && known.is(annotation);
            let Some(known) = ANNOTATIONS.iter().find(here) else {
                self.unknown_annotation(annotation, before);
                continue;
            };
            let first = annotations[..index].iter().find(|first| known.is(first));
            if let Some(first) = first.filter(|_| !known.repeats) {
                let message = format!("`@{}` stands twice", annotation.name.text);
                let fault = Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message);
                self.report(fault.also(first.span, "first here"));
            }
            self.keys(annotation, known);
        }
    }

    fn unknown_annotation(&mut self, annotation: &Annotation, before: Before) {
        let name = annotation.name.text.as_str();
        let span = annotation.name.span;
        let elsewhere = ANNOTATIONS.iter().any(|known| known.is(annotation));
        let message = if elsewhere {
            format!("`@{name}` has no meaning here")
        } else {
            format!("`@{name}` is not known and has no effect")
        };
        let fault = Diagnostic::warning(codes::UNKNOWN_ANNOTATION, span, message);
        let here = ANNOTATIONS.iter().filter(|known| known.before.contains(&before));
        let diagnostic = with_nearest(fault, name, span, here.map(|known| known.name));
        self.report(diagnostic);
    }

    fn keys(&mut self, annotation: &Annotation, known: &Known) {
        let (keys, bare): (&[Key], bool) = match known.keys {
            Keys::Any => return,
            Keys::Of(keys) => (keys, false),
            Keys::Bare => (&[], true),
            Keys::BareOr(keys) => (keys, true),
        };
        let keys: Vec<&str> = keys.iter().map(|key| key.name).collect();
        let name = &annotation.name.text;
        for element in &annotation.elements {
            let diagnostic = match element {
                AnnotationElement::Property { key: Some(key), .. } => {
                    if keys.iter().any(|known| known.eq_ignore_ascii_case(&key.text)) {
                        continue;
                    }
                    let message = format!("`@{name}` has no key `{}`", key.text);
                    let fault = Diagnostic::error(codes::UNKNOWN_KEY, key.span, message);
                    let nearest = with_nearest(fault, &key.text, key.span, keys.iter().copied());
                    match (nearest.help.is_some(), &keys[..]) {
                        (true, _) => nearest,
                        (false, []) => nearest.help("it takes values without key"),
                        (false, keys) => nearest.help(format!("it has {}", keys.join(", "))),
                    }
                }
                AnnotationElement::Property { key: None, value, .. } => {
                    if bare {
                        continue;
                    }
                    let message = format!("the values of `@{name}` need keys");
                    let fault = Diagnostic::error(codes::UNKNOWN_KEY, value.span, message);
                    let example = format!("{}='{}'", keys[0], value.value);
                    match &keys[..] {
                        [_] => {
                            fault.help(format!("write `{example}`")).suggest(value.span, example)
                        }
                        keys => fault.help(format!("it has {}", keys.join(", "))),
                    }
                }
                AnnotationElement::Annotation(inner) => {
                    let message = format!("`@{}` cannot stand in `@{name}`", inner.name.text);
                    Diagnostic::error(codes::UNKNOWN_KEY, inner.span, message)
                }
            };
            self.report(diagnostic);
        }
    }

    /// A span of time given as text, such as `'5 min'`; above nothing.
    pub(super) fn duration(&mut self, text: &StringLiteral) -> Option<Millis> {
        self.time_from(text, 1)
    }

    /// A span of time given as text, at least so many milliseconds.
    pub(super) fn time_from(&mut self, text: &StringLiteral, least: Millis) -> Option<Millis> {
        const EXAMPLES: &str = "for example '100 millisec', '5 sec' or '1 hour 30 min'";
        let time = span_of_time(&text.value);
        if let Some(time) = time.filter(|time| *time >= least) {
            return Some(time);
        }
        let message = match time {
            Some(_) => "a span of time above nothing must stand here".to_owned(),
            None => format!("`{}` is no span of time", text.value),
        };
        let fault = Diagnostic::error(codes::BAD_ANNOTATION, text.span, message);
        let positive = text.value.trim().strip_prefix('-').map(str::trim);
        self.report(match positive.filter(|rest| span_of_time(rest).is_some()) {
            Some(rest) => {
                fault.help("it cannot be negative").suggest(text.span, format!("'{rest}'"))
            }
            None => fault.help(EXAMPLES),
        });
        None
    }

    /// `'true'` or `'false'`.
    pub(super) fn switch(&mut self, text: &StringLiteral) -> bool {
        let on = text.value.eq_ignore_ascii_case("true");
        if !on && !text.value.eq_ignore_ascii_case("false") {
            let message = format!("`{}` is neither 'true' nor 'false'", text.value);
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, text.span, message);
            self.report(match text.value.trim().to_ascii_lowercase().as_str() {
                "yes" | "on" | "1" => fault.suggest(text.span, "'true'"),
                "no" | "off" | "0" => fault.suggest(text.span, "'false'"),
                _ => fault,
            });
        }
        on
    }
}

/// The milliseconds that a text such as `5 min` says.
fn span_of_time(text: &str) -> Option<Millis> {
    match language::parse_expression(text).tree?.kind {
        ExpressionKind::Literal(Literal::Time(time)) => Some(time.milliseconds()),
        _ => None,
    }
}

impl Known {
    pub(super) fn is(&self, annotation: &Annotation) -> bool {
        let of_plan = self.before.contains(&Before::Plan);
        of_plan == annotation.namespace.is_some()
            && annotation.name.text.eq_ignore_ascii_case(self.name)
    }
}

/// The name that `@info(name='..')` gives.
pub(super) fn info_name(annotations: &[Annotation]) -> Option<&StringLiteral> {
    find(annotations, "info").and_then(|info| value(info, "name"))
}

/// The first annotation of a name.
pub(super) fn find<'t>(annotations: &'t [Annotation], name: &str) -> Option<&'t Annotation> {
    annotations.iter().find(|each| is(each, name))
}

/// Whether an annotation without namespace has a name; letters of either case.
pub(super) fn is(annotation: &Annotation, name: &str) -> bool {
    annotation.namespace.is_none() && annotation.name.text.eq_ignore_ascii_case(name)
}

/// The value of a key.
pub(super) fn value<'t>(annotation: &'t Annotation, wanted: &str) -> Option<&'t StringLiteral> {
    annotation.elements.iter().find_map(|element| match element {
        AnnotationElement::Property { key: Some(key), value, .. }
            if key.text.eq_ignore_ascii_case(wanted) =>
        {
            Some(value)
        }
        _ => None,
    })
}

/// The values without key, in order.
pub(super) fn positional(annotation: &Annotation) -> Vec<&StringLiteral> {
    let values = annotation.elements.iter().filter_map(|element| match element {
        AnnotationElement::Property { key: None, value, .. } => Some(value),
        _ => None,
    });
    values.collect()
}
