//! What a name can mean at a place: columns in layers, of which the nearer hides the farther.

use crate::event::DataType;
use crate::event::Schema;
use crate::event::Text;
use crate::language::tree::AttributeReference;
use crate::language::tree::EventReference;
use crate::language::tree::SourcePrefix;
use crate::plan::events::Events;
use crate::plan::pattern::Capture;
use std::rc::Rc;

/// Something that has attributes at a place: a stream, a table, the outputs of a selection.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// By what it can be named before a point: alias or own name; nothing for outputs.
    pub(super) name: Option<Text>,
    /// The prefix that belongs to the name.
    pub(super) prefix: SourcePrefix,
    /// Its attributes.
    pub(super) schema: Rc<Schema>,
    /// The column of its first attribute.
    pub(super) base: usize,
    /// The column that holds the time of its rows, if one does.
    pub(super) time: Option<usize>,
    /// The column that says whether it is missing; nothing where it never is.
    pub(super) missing: Option<usize>,
}

/// The names that can be used at a place.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// Nearer layers first; inside a layer a name that two members have is ambiguous.
    layers: Vec<Vec<Member>>,
    /// The events of a pattern, which stand farther than all layers.
    pub(super) events: Option<Rc<Events>>,
    /// How many columns the frame has.
    pub(super) width: usize,
}

/// What became of looking for a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    /// The column.
    Column(usize, DataType),
    /// Several members have it.
    Ambiguous(Vec<Text>),
    /// No member has the name before the point.
    NoSource,
    /// The member, or all of them, have no such attribute.
    NoAttribute,
    /// It is of an event of a pattern that comes later.
    Later,
}

impl Scope {
    /// A scope of members side by side.
    pub(super) fn new(members: Vec<Member>) -> Scope {
        let width = members.iter().map(Member::end).max().unwrap_or_default();
        Scope { layers: vec![members], events: None, width }
    }

    /// A scope of the events of a pattern.
    pub(super) fn of_events(events: Events) -> Scope {
        Scope { layers: Vec::new(), events: Some(Rc::new(events)), width: 0 }
    }

    /// What was read of the events of a pattern so far, one a column.
    pub(super) fn captures(&self) -> Vec<Capture> {
        self.events.as_ref().map_or(Vec::new(), |events| events.captures())
    }

    /// The same with a layer that is nearer; `width` is the whole frame's.
    pub(super) fn nearer(&self, members: Vec<Member>, width: usize) -> Scope {
        let mut layers = vec![members];
        layers.extend(self.layers.iter().cloned());
        Scope { layers, events: self.events.clone(), width }
    }

    /// The same with a layer that is farther, its columns behind all others.
    pub(super) fn farther(&self, name: &str, schema: Rc<Schema>) -> Scope {
        let mut scope = self.clone();
        scope.width += schema.len();
        scope.layers.push(vec![Member::new(name, schema, self.width)]);
        scope
    }

    /// Members of all layers, nearer first.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.layers.iter().flatten()
    }

    /// Looks for an attribute.
    pub(super) fn find(&self, reference: &AttributeReference) -> Found {
        let name = reference.name.text.as_str();
        let Some(source) = &reference.source else { return self.find_bare(name) };
        match (self.member(source), &self.events) {
            (None, Some(events)) => events.find(reference),
            (None, None) => Found::NoSource,
            (Some(member), _) => member.column(name).unwrap_or(Found::NoAttribute),
        }
    }

    /// The member named before a point.
    pub(super) fn member(&self, source: &EventReference) -> Option<&Member> {
        self.members().find(|member| {
            member.prefix == source.prefix
                && member.name.as_ref().is_some_and(|name| *name == source.name.text)
        })
    }

    /// Names of attributes, for suggestions; of one member if it is named.
    pub(super) fn attribute_names(&self, source: Option<&EventReference>) -> Vec<&str> {
        if let Some(member) = source.and_then(|source| self.member(source)) {
            return member.schema.names().collect();
        }
        let events = self.events.iter().flat_map(|events| events.attribute_names(source));
        self.members().flat_map(|member| member.schema.names()).chain(events).collect()
    }

    /// Names of members, for suggestions.
    pub(super) fn member_names(&self) -> Vec<&str> {
        let events = self.events.iter().flat_map(|events| events.names());
        self.members().filter_map(|member| member.name.as_deref()).chain(events).collect()
    }

    fn find_bare(&self, name: &str) -> Found {
        for layer in &self.layers {
            let mut holders = layer.iter().filter(|member| member.column(name).is_some());
            let Some(first) = holders.next() else { continue };
            let others: Vec<&Member> = holders.collect();
            if others.is_empty() {
                return first.column(name).unwrap_or(Found::NoAttribute);
            }
            let all = std::iter::once(first).chain(others);
            return Found::Ambiguous(all.filter_map(|member| member.name.clone()).collect());
        }
        match &self.events {
            Some(events) => events.find_name(name),
            None => Found::NoAttribute,
        }
    }
}

impl Member {
    /// A member without prefix.
    pub(super) fn new(name: &str, schema: Rc<Schema>, base: usize) -> Member {
        Member { name: Some(name.into()), ..Member::outputs(schema, base) }
    }

    /// The outputs of a selection, which have no name of their own.
    pub(super) fn outputs(schema: Rc<Schema>, base: usize) -> Member {
        let prefix = SourcePrefix::None;
        Member { name: None, prefix, schema, base, time: None, missing: None }
    }

    /// The same with a column that holds the time of its rows.
    pub(super) fn with_time(self, time: usize) -> Member {
        Member { time: Some(time), ..self }
    }

    /// The same with a column that says whether it is missing.
    pub(super) fn with_missing(self, missing: Option<usize>) -> Member {
        Member { missing, ..self }
    }

    /// The column after its last.
    pub(super) fn end(&self) -> usize {
        self.base + self.schema.len()
    }

    fn column(&self, name: &str) -> Option<Found> {
        let place = self.schema.position(name)?;
        Some(Found::Column(self.base + place, self.schema.attributes[place].ty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::tree::Identifier;
    use crate::language::tree::Span;

    fn reference(source: Option<&str>, name: &str) -> AttributeReference {
        let identifier =
            |text: &str| Identifier { text: text.to_owned(), quoted: false, span: Span::default() };
        let source = source.map(|source| EventReference {
            prefix: SourcePrefix::None,
            name: identifier(source),
            index: None,
            span: Span::default(),
        });
        AttributeReference { source, name: identifier(name), span: Span::default() }
    }

    #[test]
    fn nearer_layers_hide_farther_ones_and_twins_are_ambiguous() {
        let schema =
            |names: &[&str]| Rc::new(Schema::new(names.iter().map(|name| (*name, DataType::Int))));
        let scope = Scope::new(vec![
            Member::new("A", schema(&["x", "y"]), 0),
            Member::new("B", schema(&["y", "z"]), 2),
        ]);
        let find = |scope: &Scope, source, name| scope.find(&reference(source, name));
        assert_eq!(find(&scope, None, "z"), Found::Column(3, DataType::Int));
        assert_eq!(find(&scope, None, "y"), Found::Ambiguous(vec!["A".into(), "B".into()]));
        assert_eq!(find(&scope, Some("B"), "y"), Found::Column(2, DataType::Int));
        assert_eq!(find(&scope, Some("B"), "x"), Found::NoAttribute);
        assert_eq!(find(&scope, Some("C"), "x"), Found::NoSource);
        let outer = scope.nearer(vec![Member::outputs(schema(&["y"]), 4)], 5);
        assert_eq!(find(&outer, None, "y"), Found::Column(4, DataType::Int));
        assert_eq!(find(&outer, None, "z"), Found::Column(3, DataType::Int));
        let table = scope.farther("T", schema(&["x", "w"]));
        assert_eq!(find(&table, None, "x"), Found::Column(0, DataType::Int));
        assert_eq!(find(&table, None, "w"), Found::Column(5, DataType::Int));
        assert_eq!(table.width, 6);
    }
}
