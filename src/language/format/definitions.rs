//! Prints annotations and definitions.

use crate::language::format::expressions::quoted_text;
use crate::language::format::expressions::unit_word;
use crate::language::format::printer::Gap;
use crate::language::format::printer::Printer;
use crate::language::tree::AggregationDefinition;
use crate::language::tree::AggregationPeriods;
use crate::language::tree::Annotation;
use crate::language::tree::AnnotationElement;
use crate::language::tree::Attribute;
use crate::language::tree::Definition;
use crate::language::tree::FunctionDefinition;
use crate::language::tree::Period;
use crate::language::tree::PropertyKey;
use crate::language::tree::SourceName;
use crate::language::tree::StringLiteral;
use crate::language::tree::TriggerDefinition;
use crate::language::tree::TriggerTime;
use crate::language::tree::WindowDefinition;

impl Printer<'_> {
    /// Annotations, each on a line of its own.
    pub(super) fn annotations(&mut self, annotations: &[Annotation]) {
        for annotation in annotations {
            self.annotation(annotation);
            self.gap(Gap::Line);
        }
    }

    pub(super) fn annotation(&mut self, annotation: &Annotation) {
        self.word("@");
        if let Some(namespace) = &annotation.namespace {
            self.name(namespace);
            self.word(":");
        }
        self.name(&annotation.name);
        if annotation.elements.is_empty() {
            return;
        }
        self.list(&annotation.elements, |printer, element| match element {
            AnnotationElement::Annotation(inner) => printer.annotation(inner),
            AnnotationElement::Property { key, value, .. } => {
                if let Some(key) = key {
                    printer.property_key(key);
                    printer.word("=");
                }
                printer.string(value);
            }
        });
    }

    fn property_key(&mut self, key: &PropertyKey) {
        let mut parts = key.text.split(['.', '-', ':']);
        let plain = parts.all(|part| {
            let mut bytes = part.bytes();
            bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        let text = if plain { key.text.clone() } else { quoted_text(&key.text) };
        self.leaf(text, key.span);
    }

    pub(super) fn string(&mut self, literal: &StringLiteral) {
        self.leaf(quoted_text(&literal.value), literal.span);
    }

    pub(super) fn definition(&mut self, definition: &Definition) {
        match definition {
            Definition::Stream(stream) => {
                self.annotations(&stream.annotations);
                self.head("stream");
                self.schema(&stream.name, &stream.attributes);
            }
            Definition::Table(table) => {
                self.annotations(&table.annotations);
                self.head("table");
                self.schema(&table.name, &table.attributes);
            }
            Definition::Window(window) => self.window_definition(window),
            Definition::Trigger(trigger) => self.trigger(trigger),
            Definition::Aggregation(aggregation) => self.aggregation(aggregation),
            Definition::Function(function) => self.function(function),
        }
    }

    fn head(&mut self, kind: &str) {
        self.word("define");
        self.gap(Gap::Space);
        self.word(kind);
        self.gap(Gap::Space);
    }

    fn schema(&mut self, name: &SourceName, attributes: &[Attribute]) {
        self.source_name(name);
        self.gap(Gap::Space);
        self.list(attributes, |printer, attribute| {
            printer.name(&attribute.name);
            printer.gap(Gap::Space);
            let type_name = &attribute.type_name;
            printer.leaf(type_name.kind.keyword().to_owned(), type_name.span);
        });
    }

    fn window_definition(&mut self, window: &WindowDefinition) {
        self.annotations(&window.annotations);
        self.head("window");
        self.open();
        self.schema(&window.name, &window.attributes);
        self.indent();
        self.gap(Gap::Soft);
        self.call(&window.window);
        if let Some(kind) = window.output {
            self.gap(Gap::Space);
            self.word("output");
            self.gap(Gap::Space);
            self.event_kind(kind);
        }
        self.dedent();
        self.close();
    }

    fn trigger(&mut self, trigger: &TriggerDefinition) {
        self.head("trigger");
        self.name(&trigger.name);
        self.gap(Gap::Space);
        self.word("at");
        self.gap(Gap::Space);
        match &trigger.at {
            TriggerTime::Every(time) => {
                self.word("every");
                self.gap(Gap::Space);
                self.time(time);
            }
            TriggerTime::Text(text) => self.string(text),
        }
    }

    fn aggregation(&mut self, aggregation: &AggregationDefinition) {
        self.annotations(&aggregation.annotations);
        self.head("aggregation");
        self.name(&aggregation.name);
        self.gap(Gap::Line);
        self.word("from");
        self.gap(Gap::Space);
        self.single_input(&aggregation.input);
        self.gap(Gap::Line);
        self.selection(&aggregation.selection);
        self.gap(Gap::Line);
        self.word("aggregate");
        self.gap(Gap::Space);
        if let Some(by) = &aggregation.by {
            self.word("by");
            self.gap(Gap::Space);
            self.attribute_reference(by);
            self.gap(Gap::Space);
        }
        self.word("every");
        self.gap(Gap::Space);
        match &aggregation.periods {
            AggregationPeriods::Range { from, to } => {
                self.period(from);
                self.gap(Gap::Space);
                self.word("...");
                self.gap(Gap::Space);
                self.period(to);
            }
            AggregationPeriods::List(list) => self.items(list, Printer::period),
        }
    }

    fn period(&mut self, period: &Period) {
        self.leaf(unit_word(period.unit, 1).to_owned(), period.span);
    }

    fn function(&mut self, function: &FunctionDefinition) {
        self.head("function");
        self.name(&function.name);
        self.word("[");
        self.name(&function.language);
        self.word("]");
        self.gap(Gap::Space);
        self.word("return");
        self.gap(Gap::Space);
        self.leaf(function.returns.kind.keyword().to_owned(), function.returns.span);
        self.gap(Gap::Space);
        self.leaf(format!("{{{}}}", function.body.text), function.body.span);
    }
}
