//! Tables, named windows and triggers.

use crate::event::DataType;
use crate::event::Schema;
use crate::event::Text;
use crate::event::Value;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree;
use crate::language::tree::Annotation;
use crate::language::tree::StringLiteral;
use crate::plan::annotations::Before;
use crate::plan::annotations::find;
use crate::plan::annotations::is;
use crate::plan::annotations::positional;
use crate::plan::checker::Checker;
use crate::plan::checker::with_known;
use crate::plan::codes;
use crate::plan::expression::Expr;
use crate::plan::logical::Endpoint;
use crate::plan::logical::NamedWindow;
use crate::plan::logical::Origin;
use crate::plan::logical::OutputEvents;
use crate::plan::logical::Table;
use crate::plan::logical::Trigger;
use crate::plan::logical::TriggerTime;
use crate::plan::names::Meaning;
use crate::plan::queries::output_events;
use crate::plan::scopes::Member;
use crate::plan::scopes::Scope;
use crate::plan::signature::Callable;
use crate::plan::stores::INDICES;
use crate::plan::stores::PRIMARY_KEYS;
use crate::plan::stores::names_in;
use crate::plan::stores::take_option;
use std::rc::Rc;

impl Checker<'_> {
    /// `define table`.
    pub(super) fn define_table(&mut self, definition: &tree::TableDefinition) {
        self.no_prefix(&definition.name);
        self.annotations(&definition.annotations, Before::Table);
        let mut store = self.store(&definition.annotations);
        if let Some(index) = find(&definition.annotations, "indexBy") {
            let message = "`@indexBy` is no longer part of the language";
            let fault = Diagnostic::error(codes::BAD_KEY, index.name.span, message);
            self.report(fault.help("use `@index`").suggest(index.name.span, "index"));
        }
        let name = &definition.name.name;
        let schema = self.schema(&definition.attributes);
        let table = schema.and_then(|schema| {
            let (annotations, store) = (&definition.annotations, &mut store);
            let keys = self.primary_key(annotations, store.as_mut(), &name.text, &schema);
            let mut indexes = self.indexes(annotations, &name.text, &schema)?;
            let listed = store.as_mut().and_then(|store| take_option(store, INDICES));
            for attribute in listed.iter().flat_map(names_in) {
                let column = self.key_column(&attribute, &name.text, &schema)?;
                if !indexes.contains(&column) {
                    indexes.push(column);
                }
            }
            Some(Table {
                name: Text::from(name.text.as_str()),
                schema,
                primary_key: keys?,
                indexes,
                changes: None,
                is_external: false,
                span: name.span,
            })
        });
        let known = self.names.get(&name.text).map(|known| known.meaning);
        if let Some(Meaning::Table(id)) = known
            && table.as_ref().is_some_and(|table| self.plan.tables[id].is_twin(table))
            && self.is_kept_in(id, store.as_ref())
        {
            return;
        }
        let is_new = known.is_none();
        let meaning = table.map_or(Meaning::Broken, |table| {
            self.plan.tables.push(table);
            let id = self.plan.tables.len() - 1;
            if let Some(store) = store.filter(|_| is_new) {
                self.keep_changes(id, store);
            }
            Meaning::Table(id)
        });
        self.introduce(name, meaning);
    }

    /// `define window`.
    pub(super) fn define_window(&mut self, definition: &tree::WindowDefinition) {
        self.no_prefix(&definition.name);
        self.annotations(&definition.annotations, Before::Window);
        let name = &definition.name.name;
        let schema = self.schema(&definition.attributes);
        let call = schema.as_ref().and_then(|schema| {
            let shared = Rc::new(schema.clone());
            let scope = Scope::new(vec![Member::new(&name.text, shared, 0)]);
            self.window_call(&definition.window, &scope, schema)
        });
        let meaning = match (schema, call) {
            (Some(schema), Some(call)) => {
                let output = definition.output.map_or(OutputEvents::All, output_events);
                let span = name.span;
                let name = Text::from(name.text.as_str());
                self.plan.windows.push(NamedWindow { name, schema, call, output, span });
                Meaning::Window(self.plan.windows.len() - 1)
            }
            _ => Meaning::Broken,
        };
        self.introduce(name, meaning);
    }

    /// `define trigger`.
    pub(super) fn define_trigger(&mut self, definition: &tree::TriggerDefinition) {
        let when = match &definition.at {
            tree::TriggerTime::Every(time) => Some(TriggerTime::Every(time.milliseconds())),
            tree::TriggerTime::Text(text) => self.trigger_text(text),
        };
        let name = &definition.name;
        let schema = Schema::new([("triggered_time", DataType::Long)]);
        // A stream defined with the same attribute is the trigger's own.
        let stream = match self.names.get(&name.text).map(|known| known.meaning) {
            Some(Meaning::Stream(id))
                if self.plan.streams[id].schema == schema
                    && self.plan.streams[id].origin == Origin::Defined =>
            {
                self.plan.streams[id].origin = Origin::Trigger;
                id
            }
            _ => {
                let stream = self.add_stream(&name.text, schema, Origin::Trigger, name.span);
                self.introduce(name, Meaning::Stream(stream));
                stream
            }
        };
        if let Some(when) = when {
            self.plan.triggers.push(Trigger { stream, when, span: definition.span });
        }
    }

    fn trigger_text(&mut self, text: &StringLiteral) -> Option<TriggerTime> {
        if text.value.trim().eq_ignore_ascii_case("start") {
            return Some(TriggerTime::Start);
        }
        let fields = text.value.split_whitespace().count();
        // Windows that close by the calendar take the same expressions.
        let value = [Expr::constant(Value::from(text.value.as_str()))];
        let fault = match self.catalog.window("cron") {
            Some(_) => self.catalog.verify(Callable::Window, "cron", &value, &[]).err(),
            None => None,
        };
        if (6..=7).contains(&fields) && fault.is_none() {
            return Some(TriggerTime::Cron(text.value.clone()));
        }
        let message = match fault.filter(|_| fields > 1) {
            Some(fault) => fault.message,
            None => format!("`{}` is neither 'start' nor a cron expression", text.value),
        };
        let diagnostic = Diagnostic::error(codes::BAD_TRIGGER, text.span, message).help(
            "a cron expression has six fields, or seven with the year: seconds, minutes, hours, \
             day of month, month, day of week, as in '0 0/5 * * * ?'",
        );
        self.report(diagnostic);
        None
    }

    /// The columns of `@primaryKey`; older plans name them in the store's own annotation, which
    /// then loses that option.
    fn primary_key(
        &mut self,
        annotations: &[Annotation],
        store: Option<&mut Endpoint>,
        table: &str,
        schema: &Schema,
    ) -> Option<Vec<usize>> {
        let mut all = annotations.iter().filter(|each| is(each, "primaryKey"));
        let in_store = store.and_then(|store| take_option(store, PRIMARY_KEYS));
        let Some(annotation) = all.next() else {
            let names = in_store.iter().flat_map(names_in).collect::<Vec<_>>();
            return self.key_columns(&names.iter().collect::<Vec<_>>(), table, schema);
        };
        if let Some(second) = &in_store {
            let message = "the primary key is named twice";
            let fault = Diagnostic::error(codes::BAD_KEY, second.span, message);
            self.report(fault.also(annotation.span, "first here"));
            return None;
        }
        if let Some(second) = all.next() {
            let message = "a table has one `@primaryKey`";
            let diagnostic = Diagnostic::error(codes::BAD_KEY, second.span, message)
                .also(annotation.span, "first here")
                .help("a key of several attributes is written `@primaryKey('a', 'b')`");
            self.report(diagnostic);
            return None;
        }
        let key = self.key_columns(&positional(annotation), table, schema)?;
        if key.is_empty() {
            let message = "`@primaryKey` names no attribute";
            self.report(
                Diagnostic::error(codes::BAD_KEY, annotation.span, message)
                    .help("name the attributes that identify a row: `@primaryKey('id')`"),
            );
            return None;
        }
        Some(key)
    }

    fn key_columns(
        &mut self,
        names: &[&StringLiteral],
        table: &str,
        schema: &Schema,
    ) -> Option<Vec<usize>> {
        let mut key = Vec::new();
        for attribute in names {
            let column = self.key_column(attribute, table, schema)?;
            if key.contains(&column) {
                let message = format!("`{}` is named twice", attribute.value);
                self.report(Diagnostic::error(codes::BAD_KEY, attribute.span, message));
                return None;
            }
            key.push(column);
        }
        Some(key)
    }

    fn indexes(
        &mut self,
        annotations: &[Annotation],
        table: &str,
        schema: &Schema,
    ) -> Option<Vec<usize>> {
        let mut indexes: Vec<(usize, &StringLiteral)> = Vec::new();
        for annotation in annotations.iter().filter(|each| is(each, "index")) {
            let attributes = positional(annotation);
            let [attribute] = attributes.as_slice() else {
                let message = format!("`@index` names one attribute, not {}", attributes.len());
                self.report(
                    Diagnostic::error(codes::BAD_KEY, annotation.span, message)
                        .help("repeat it for each attribute: `@index('a') @index('b')`"),
                );
                return None;
            };
            let column = self.key_column(attribute, table, schema)?;
            if let Some((_, first)) = indexes.iter().find(|(known, _)| *known == column) {
                let message = format!("`{}` has an index already", attribute.value);
                let fault = Diagnostic::error(codes::BAD_KEY, attribute.span, message);
                self.report(fault.also(first.span, "first here"));
                return None;
            }
            indexes.push((column, attribute));
        }
        Some(indexes.into_iter().map(|(column, _)| column).collect())
    }

    fn key_column(
        &mut self,
        attribute: &StringLiteral,
        table: &str,
        schema: &Schema,
    ) -> Option<usize> {
        let column = schema.position(&attribute.value);
        if column.is_none() {
            let word = attribute.value.as_str();
            let message = format!("the table `{table}` has no attribute `{word}`");
            let fault = Diagnostic::error(codes::UNKNOWN_ATTRIBUTE, attribute.span, message);
            let mut diagnostic = with_known(fault, word, attribute.span, schema.names());
            if let Some(suggestion) = &mut diagnostic.suggestion {
                suggestion.replacement = format!("'{}'", suggestion.replacement);
            }
            self.report(diagnostic);
        }
        column
    }
}

impl Table {
    /// Whether another definition says the same.
    fn is_twin(&self, other: &Table) -> bool {
        self.schema == other.schema
            && self.primary_key == other.primary_key
            && self.indexes == other.indexes
    }
}
