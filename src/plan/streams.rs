//! Streams: definitions to schemas, streams that queries define by inserting, names taken twice.

use crate::event::Attribute;
use crate::event::Schema;
use crate::event::Text;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree;
use crate::language::tree::Identifier;
use crate::language::tree::SourceName;
use crate::language::tree::SourcePrefix;
use crate::language::tree::Span;
use crate::plan::annotations::Before;
use crate::plan::checker::Checker;
use crate::plan::checker::data_type;
use crate::plan::checker::shown;
use crate::plan::codes;
use crate::plan::logical::Origin;
use crate::plan::logical::Stream;
use crate::plan::logical::StreamId;
use crate::plan::names::Meaning;

impl Checker<'_> {
    /// `define stream`.
    pub(super) fn define_stream(&mut self, definition: &tree::StreamDefinition) {
        self.no_prefix(&definition.name);
        self.annotations(&definition.annotations, Before::Stream);
        let name = &definition.name.name;
        let schema = self.schema(&definition.attributes);
        if let Some(known) = self.names.get(&name.text)
            && let Meaning::Stream(id) = known.meaning
            && let Some(schema) = &schema
            && self.plan.streams[id].schema == *schema
        {
            return;
        }
        let meaning = schema.map_or(Meaning::Broken, |schema| {
            let stream = self.add_stream(&name.text, schema, Origin::Defined, name.span);
            self.stream_annotations(&definition.annotations, stream);
            Meaning::Stream(stream)
        });
        self.introduce(name, meaning);
    }

    /// Puts a stream into the plan, without giving its name a meaning.
    pub(super) fn add_stream(
        &mut self,
        name: &str,
        schema: Schema,
        origin: Origin,
        span: Span,
    ) -> StreamId {
        self.plan.streams.push(Stream {
            name: Text::from(name),
            schema,
            origin,
            sources: Vec::new(),
            sinks: Vec::new(),
            store: None,
            fault: None,
            keeps_faults: false,
            watermark: None,
            row_by_row: false,
            apart: Vec::new(),
            span,
        });
        self.plan.streams.len() - 1
    }

    /// Gives a defined thing its name, or says that the name is taken.
    pub(super) fn introduce(&mut self, name: &Identifier, meaning: Meaning) -> bool {
        let Some(known) = self.names.get(&name.text) else {
            self.names.set(&name.text, meaning, name.span);
            return true;
        };
        let what = self.kind_of(known.meaning);
        let message = format!("the name `{}` is taken by {what}", name.text);
        let diagnostic = Diagnostic::error(codes::NAME_TAKEN, name.span, message)
            .also(known.span, "first defined here")
            .help("streams, tables, windows, triggers and aggregations share their names");
        self.report(diagnostic);
        false
    }

    /// What a name stands for, in words.
    pub(super) fn kind_of(&self, meaning: Meaning) -> &'static str {
        match meaning {
            Meaning::Stream(id) if self.plan.streams[id].origin == Origin::Trigger => "a trigger",
            Meaning::Stream(_) => "a stream",
            Meaning::Table(_) => "a table",
            Meaning::Window(_) => "a window",
            Meaning::Aggregation(_) => "an aggregation",
            Meaning::Broken => "another definition",
        }
    }

    /// The attributes of a definition; nothing if one of them is of no known type.
    pub(super) fn schema(&mut self, attributes: &[tree::Attribute]) -> Option<Schema> {
        let span = attributes.first().map_or(Span::default(), |first| first.span);
        if self.too_long(attributes.len(), "attributes", span) {
            return None;
        }
        let mut schema = Schema::default();
        let mut whole = true;
        for attribute in attributes {
            let name = &attribute.name;
            if let Some(first) = attributes.iter().find(|each| each.name.text == name.text)
                && first.name.span.start != name.span.start
            {
                let message = format!("the attribute `{}` is defined twice", name.text);
                let diagnostic = Diagnostic::error(codes::ATTRIBUTE_TAKEN, name.span, message)
                    .also(first.name.span, "first defined here");
                self.report(diagnostic);
                continue;
            }
            match data_type(attribute.type_name.kind) {
                Some(ty) => {
                    schema.attributes.push(Attribute { name: name.text.as_str().into(), ty });
                }
                None => whole = false,
            }
        }
        whole.then_some(schema)
    }

    /// Says that a defined name must be bare.
    pub(super) fn no_prefix(&mut self, name: &SourceName) {
        let (prefix, meaning) = match name.prefix {
            SourcePrefix::None => return,
            SourcePrefix::Inner => ('#', "inner streams are defined by inserting into them"),
            SourcePrefix::Fault => ('!', "`@OnError(action='STREAM')` gives a stream one"),
        };
        let message = format!("a defined name cannot begin with `{prefix}`");
        let diagnostic = Diagnostic::error(codes::PREFIX_PLACE, name.span, message)
            .help(meaning)
            .suggest(name.span, &name.name.text);
        self.report(diagnostic);
    }

    /// Says that what a query puts out is not what its target takes, if so.
    pub(super) fn same_schema(
        &mut self,
        given: &Schema,
        given_at: Span,
        target: &Target<'_>,
    ) -> bool {
        if *given == *target.schema {
            return true;
        }
        let name = target.name;
        let message = format!(
            "the query gives {}, but {} `{name}` takes {}",
            shown(given),
            target.what,
            shown(target.schema)
        );
        let diagnostic = Diagnostic::error(codes::SCHEMA_MISMATCH, given_at, message)
            .also(target.span, "defined here")
            .help(difference(given, target.schema));
        self.report(diagnostic);
        false
    }
}

/// Something that rows go into.
pub(super) struct Target<'t> {
    /// Its name with its prefix.
    pub(super) name: &'t str,
    /// What it is, as in `the table`.
    pub(super) what: &'static str,
    /// What it takes.
    pub(super) schema: &'t Schema,
    /// Where it is defined.
    pub(super) span: Span,
}

/// The first thing that would have to change.
fn difference(given: &Schema, wanted: &Schema) -> String {
    let pairs = given.attributes.iter().zip(&wanted.attributes);
    for (given, wanted) in pairs {
        if given.name != wanted.name {
            return format!("name `{}` as the target does: `as {}`", given.name, wanted.name);
        }
        if given.ty != wanted.ty {
            return format!(
                "`{}` is of type {} here and {} there; `convert({}, '{}')` changes it",
                given.name, given.ty, wanted.ty, given.name, wanted.ty
            );
        }
    }
    match wanted.attributes.get(given.len()) {
        Some(missing) => format!("`{}` is missing", missing.name),
        None => "the target takes fewer attributes".to_owned(),
    }
}
