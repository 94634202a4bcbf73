//! Ways into and out of streams: `@source`, `@sink`, `@map`, and what happens on errors.

use crate::event::Attribute;
use crate::event::DataType;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Annotation;
use crate::language::tree::AnnotationElement;
use crate::plan::annotations::find;
use crate::plan::annotations::is;
use crate::plan::annotations::value;
use crate::plan::checker::Checker;
use crate::plan::checker::with_nearest;
use crate::plan::codes;
use crate::plan::logical::Endpoint;
use crate::plan::logical::EndpointOption;
use crate::plan::logical::Mapping;
use crate::plan::logical::Origin;
use crate::plan::logical::StreamId;

/// The name of the attribute that a fault stream adds.
const ERROR: &str = "_error";
/// The type of the sources and sinks by which plans of one node are linked.
const LINK: &str = "inMemory";

impl Checker<'_> {
    /// Reads the annotations of a stream definition.
    pub(super) fn stream_annotations(&mut self, annotations: &[Annotation], stream: StreamId) {
        for annotation in annotations {
            if is(annotation, "source") {
                if let Some(endpoint) = self.endpoint(annotation, stream, Way::In) {
                    self.plan.streams[stream].sources.push(endpoint);
                }
            } else if is(annotation, "sink") {
                if let Some(endpoint) = self.endpoint(annotation, stream, Way::Out) {
                    self.plan.streams[stream].sinks.push(endpoint);
                }
            } else if is(annotation, "import") {
                let link = self.link(annotation);
                self.plan.streams[stream].sources.extend(link);
            } else if is(annotation, "export") {
                let link = self.link(annotation);
                self.plan.streams[stream].sinks.extend(link);
            } else if is(annotation, "async") {
                self.asynchronous(annotation);
            } else if is(annotation, "watermark") {
                self.watermark(annotation, stream);
            }
        }
        let store = self.store(annotations);
        if let Some(store) = &store {
            let schema = self.plan.streams[stream].schema.clone();
            self.storable(store, "stream", &schema);
        }
        self.plan.streams[stream].store = store;
        if let Some(annotation) = find(annotations, "onError") {
            self.on_error(annotation, stream);
        }
    }

    /// `@Import('orders:1.0.0')` and `@Export('orders:1.0.0')` of older plans: what one plan
    /// exports another imports, over a topic of that name in the node.
    fn link(&mut self, annotation: &Annotation) -> Option<Endpoint> {
        let topic = self.only_value(annotation)?;
        let span = topic.span;
        if topic.value.trim().is_empty() {
            let message = format!("`@{}` names no stream", annotation.name.text);
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, span, message);
            self.report(fault.help("its name and version, as in 'orders:1.0.0'"));
            return None;
        }
        let (key, value) = ("topic".to_owned(), topic.value.trim().to_owned());
        let options = vec![EndpointOption { key, value, span }];
        Some(Endpoint { kind: LINK.to_owned(), options, map: None, span: annotation.span })
    }

    /// `@async`: the order is the log's and work never waits for a free thread, so nothing follows
    /// from it; its values are looked at all the same.
    fn asynchronous(&mut self, annotation: &Annotation) {
        for key in ["buffer.size", "workers", "batch.size.max"] {
            let Some(text) = value(annotation, key) else { continue };
            let number = text.value.parse::<u32>().ok().filter(|number| *number > 0);
            let message = match number {
                None => format!("`{key}` takes a whole number above 0, not `{}`", text.value),
                Some(number) if key == "buffer.size" && !number.is_power_of_two() => {
                    format!("`{key}` takes a power of two, not {number}")
                }
                Some(_) => continue,
            };
            self.report(Diagnostic::error(codes::BAD_ANNOTATION, text.span, message));
        }
    }

    /// `@OnError(action='..')`.
    fn on_error(&mut self, annotation: &Annotation, stream: StreamId) {
        const ACTIONS: [&str; 3] = ["LOG", "STREAM", "STORE"];
        let Some(action) = value(annotation, "action") else { return };
        match action.value.to_ascii_uppercase().as_str() {
            "LOG" => {}
            "STREAM" => self.add_fault_stream(annotation, stream),
            "STORE" => {
                self.add_fault_stream(annotation, stream);
                self.plan.streams[stream].keeps_faults = true;
            }
            other => {
                let message = format!("there is no action `{}` on errors", action.value);
                let fault = Diagnostic::error(codes::BAD_ANNOTATION, action.span, message);
                let mut diagnostic = with_nearest(fault, other, action.span, ACTIONS);
                match &mut diagnostic.suggestion {
                    Some(change) => change.replacement = format!("'{}'", change.replacement),
                    None => diagnostic = diagnostic.help("LOG, STREAM or STORE"),
                }
                self.report(diagnostic);
            }
        }
    }

    fn add_fault_stream(&mut self, annotation: &Annotation, stream: StreamId) {
        let origin = self.plan.streams[stream].clone();
        if origin.schema.position(ERROR).is_some() {
            let message = format!("the fault stream adds an attribute `{ERROR}`, which is taken");
            let fault = Diagnostic::error(codes::ATTRIBUTE_TAKEN, annotation.span, message);
            self.report(fault.also(origin.span, "the stream that has it"));
            return;
        }
        let mut schema = origin.schema;
        schema.attributes.push(Attribute { name: ERROR.into(), ty: DataType::Object });
        let origin_of = Origin::Fault(stream);
        let fault = self.add_stream(&origin.name, schema, origin_of, annotation.span);
        self.plan.streams[stream].fault = Some(fault);
    }

    fn endpoint(
        &mut self,
        annotation: &Annotation,
        stream: StreamId,
        way: Way,
    ) -> Option<Endpoint> {
        let name = &annotation.name.text;
        let mut options = Vec::new();
        let mut map = None;
        for element in &annotation.elements {
            match element {
                AnnotationElement::Annotation(inner) if is(inner, "map") => {
                    map = self.mapping(inner, stream, way);
                }
                AnnotationElement::Annotation(inner) if is(inner, "distribution") => {
                    self.not_supported(inner.span, "`@distribution` over several destinations");
                }
                AnnotationElement::Annotation(inner) => {
                    self.unknown_inside(inner, name, &["map", "distribution"]);
                }
                AnnotationElement::Property { .. } => options.extend(self.option(element, name)),
            }
        }
        let kind = self.take_type(annotation, &mut options)?;
        if way == Way::Out {
            let schema = self.plan.streams[stream].schema.clone();
            options.iter().for_each(|option| self.template(option, &schema));
        }
        Some(Endpoint { kind, options, map, span: annotation.span })
    }

    fn mapping(&mut self, annotation: &Annotation, stream: StreamId, way: Way) -> Option<Mapping> {
        let schema = self.plan.streams[stream].schema.clone();
        let mut options = Vec::new();
        let (mut attributes, mut payload) = (Vec::new(), Vec::new());
        for element in &annotation.elements {
            match element {
                AnnotationElement::Annotation(inner)
                    if way == Way::In && is(inner, "attributes") =>
                {
                    attributes = self.entries(inner);
                    self.mapped_attributes(inner, &attributes, &schema);
                }
                AnnotationElement::Annotation(inner) if way == Way::Out && is(inner, "payload") => {
                    payload = self.entries(inner);
                    payload.iter().for_each(|entry| self.template(entry, &schema));
                }
                AnnotationElement::Annotation(inner) => {
                    let known = if way == Way::In { "attributes" } else { "payload" };
                    self.unknown_inside(inner, "map", &[known]);
                }
                AnnotationElement::Property { .. } => options.extend(self.option(element, "map")),
            }
        }
        let kind = self.take_type(annotation, &mut options)?;
        Some(Mapping { kind, options, attributes, payload, span: annotation.span })
    }

    /// `key='value'` of an endpoint or mapping.
    pub(super) fn option(
        &mut self,
        element: &AnnotationElement,
        holder: &str,
    ) -> Option<EndpointOption> {
        let AnnotationElement::Property { key, value, span } = element else { return None };
        if let Some(key) = key {
            return Some(EndpointOption {
                key: key.text.clone(),
                value: value.value.clone(),
                span: *span,
            });
        }
        let message = format!("the values of `@{holder}` need keys");
        let fault = Diagnostic::error(codes::UNKNOWN_KEY, value.span, message);
        self.report(fault.help(format!("for example `type='{}'`", value.value)));
        None
    }

    /// What stands in `@attributes` or `@payload`, with or without keys.
    fn entries(&mut self, annotation: &Annotation) -> Vec<EndpointOption> {
        let mut entries: Vec<EndpointOption> = Vec::new();
        for element in &annotation.elements {
            let AnnotationElement::Property { key, value, span } = element else { continue };
            let key = key.as_ref().map_or(String::new(), |key| key.text.clone());
            if let Some(first) =
                entries.first().filter(|first| first.key.is_empty() != key.is_empty())
            {
                let message =
                    format!("the values of `@{}` have keys or have not", annotation.name.text);
                let fault = Diagnostic::error(codes::BAD_ANNOTATION, *span, message);
                self.report(fault.also(first.span, "not like this one"));
                break;
            }
            entries.push(EndpointOption { key, value: value.value.clone(), span: *span });
        }
        entries
    }

    /// Whether `@attributes` gives every attribute of the stream once.
    fn mapped_attributes(
        &mut self,
        annotation: &Annotation,
        entries: &[EndpointOption],
        schema: &Schema,
    ) {
        if entries.iter().all(|entry| entry.key.is_empty()) {
            if entries.len() != schema.len() {
                let message = format!(
                    "the stream has {} attributes, but {} are mapped",
                    schema.len(),
                    entries.len()
                );
                self.report(Diagnostic::error(codes::BAD_MAPPING, annotation.span, message));
            }
            return;
        }
        for entry in entries {
            if schema.position(&entry.key).is_none() {
                let message = format!("the stream has no attribute `{}`", entry.key);
                let fault = Diagnostic::error(codes::BAD_MAPPING, entry.span, message);
                let mut diagnostic = with_nearest(fault, &entry.key, entry.span, schema.names());
                diagnostic.suggestion = None;
                self.report(diagnostic);
            }
        }
        let missing: Vec<String> = schema
            .names()
            .filter(|name| entries.iter().all(|entry| entry.key != *name))
            .map(|name| format!("`{name}`"))
            .collect();
        if !missing.is_empty() {
            let message = format!("no value is mapped to {}", missing.join(", "));
            self.report(Diagnostic::error(codes::BAD_MAPPING, annotation.span, message));
        }
    }

    /// Whether the attributes named in a template, as in `{{symbol}}`, are there.
    fn template(&mut self, option: &EndpointOption, schema: &Schema) {
        let mut rest = option.value.as_str();
        while let Some((_, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else { return };
            rest = behind;
            let name = name.trim();
            if schema.position(name).is_none() {
                let message = format!("the stream has no attribute `{name}`");
                let fault = Diagnostic::error(codes::BAD_MAPPING, option.span, message);
                let mut diagnostic = with_nearest(fault, name, option.span, schema.names());
                diagnostic.suggestion = None;
                self.report(diagnostic);
            }
        }
    }

    /// Takes the option `type` out of the others.
    fn take_type(
        &mut self,
        annotation: &Annotation,
        options: &mut Vec<EndpointOption>,
    ) -> Option<String> {
        let place = options.iter().position(|option| option.key.eq_ignore_ascii_case("type"));
        if place.is_none() {
            let name = &annotation.name.text;
            let message = format!("`@{name}` needs a type");
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message);
            self.report(fault.help(format!("for example `@{name}(type='http', ..)`")));
        }
        place.map(|place| options.remove(place).value)
    }

    pub(super) fn unknown_inside(&mut self, inner: &Annotation, holder: &str, known: &[&str]) {
        let name = inner.name.text.as_str();
        let message = format!("`@{name}` cannot stand in `@{holder}`");
        let fault = Diagnostic::error(codes::UNKNOWN_KEY, inner.name.span, message);
        let diagnostic = with_nearest(fault, name, inner.name.span, known.iter().copied());
        self.report(diagnostic);
    }
}

/// Into the plan or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}
