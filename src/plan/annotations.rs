//! What annotations mean; of those known, unknown keys are errors.

use crate::language::tree::Annotation;
use crate::language::tree::AnnotationElement;
use crate::language::tree::StringLiteral;

/// The name that `@info(name='..')` gives.
pub(super) fn info_name(annotations: &[Annotation]) -> Option<&StringLiteral> {
    annotations.iter().filter(|each| is(each, "info")).find_map(|info| value(info, "name"))
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
