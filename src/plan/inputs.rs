//! What queries read: single sources and the steps their rows take before the selection.

use crate::event::DataType;
use crate::event::Schema;
use crate::event::Text;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Arguments;
use crate::language::tree::Call;
use crate::language::tree::Handler;
use crate::language::tree::HandlerKind;
use crate::language::tree::SingleInput;
use crate::language::tree::SourceName;
use crate::language::tree::SourcePrefix;
use crate::plan::calls::full_name;
use crate::plan::checker::Checker;
use crate::plan::checker::with_known;
use crate::plan::codes;
use crate::plan::graph::Node;
use crate::plan::logical::FunctionCall;
use crate::plan::logical::Source;
use crate::plan::logical::Stage;
use crate::plan::logical::WindowCall;
use crate::plan::names::Meaning;
use crate::plan::scopes::Member;
use crate::plan::scopes::Scope;
use crate::plan::signature::Callable;
use crate::plan::signature::Trait;
use crate::plan::types::Place;
use std::rc::Rc;

/// A source with its steps, and what it leaves.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// Where the rows come from.
    pub(super) source: Source,
    /// The steps.
    pub(super) stages: Vec<Stage>,
    /// What rows have after the last step, under the names by which it can be called.
    pub(super) member: Member,
}

impl Checker<'_> {
    /// A source and its handlers; nothing if the source is unknown or a step is wrong.
    pub(super) fn flow(&mut self, input: &SingleInput) -> Option<Flow> {
        let (source, schema) = self.source(&input.source)?;
        let name = &input.source.name.text;
        let mut member = Member::new(name, schema, 0);
        member.prefix = input.source.prefix;
        if let Some(alias) = &input.alias {
            member = Member::new(&alias.text, member.schema, 0);
        }
        let mut flow = Flow { source, stages: Vec::new(), member };
        let mut scope = Scope::new(vec![flow.member.clone()]);
        let mut whole = true;
        for handler in &input.handlers {
            match self.stage(handler, &mut flow, &mut scope, name) {
                Some(stage) => flow.stages.push(stage),
                None => whole = false,
            }
        }
        whole.then_some(flow)
    }

    /// What a name after `from` means.
    pub(super) fn source(&mut self, name: &SourceName) -> Option<(Source, Rc<Schema>)> {
        let word = name.name.text.as_str();
        let meaning = match name.prefix {
            SourcePrefix::None => match self.names.get(word) {
                Some(known) => known.meaning,
                None => return self.unknown_source(name),
            },
            SourcePrefix::Inner => match self.inner.get(word) {
                Some(known) => known.meaning,
                None => return self.unknown_inner(name),
            },
            SourcePrefix::Fault => self.fault_stream(name)?,
        };
        match meaning {
            Meaning::Stream(id) => Some((Source::Stream(id), self.shared_schema(Node::Stream(id)))),
            Meaning::Window(id) => Some((Source::Window(id), self.shared_schema(Node::Window(id)))),
            Meaning::Broken => None,
            Meaning::Table(_) | Meaning::Aggregation(_) => {
                let what = self.kind_of(meaning);
                let message = format!("a query reads a stream or window, but `{word}` is {what}");
                let rest = match meaning {
                    Meaning::Aggregation(_) => "within .. per ..",
                    _ => "on ..",
                };
                let help = format!("join a stream with it: `from S join {word} {rest}`");
                let fault = Diagnostic::error(codes::WRONG_KIND, name.span, message);
                self.report(fault.help(help));
                None
            }
        }
    }

    fn unknown_source(&mut self, name: &SourceName) -> Option<(Source, Rc<Schema>)> {
        let word = name.name.text.as_str();
        if let Some(later) = self.filled_later.get(word) {
            let message = format!("`{word}` is read before a query has filled it");
            let diagnostic = Diagnostic::error(codes::READ_BEFORE_FILLED, name.span, message)
                .also(later.span, "filled here")
                .help(format!("move that query up, or say `define stream {word} (..)`"));
            self.report(diagnostic);
            return None;
        }
        let message = format!("there is no stream or window `{word}`");
        let fault = Diagnostic::error(codes::UNKNOWN_SOURCE, name.span, message);
        let known = self
            .names
            .all(|kind| matches!(kind, Meaning::Stream(_) | Meaning::Window(_) | Meaning::Broken));
        let diagnostic = with_known(fault, word, name.name.span, known);
        self.report(diagnostic);
        None
    }

    fn unknown_inner(&mut self, name: &SourceName) -> Option<(Source, Rc<Schema>)> {
        let word = name.name.text.as_str();
        let diagnostic = if self.partition.is_none() {
            let message = format!("`#{word}` cannot be read outside of a partition");
            let fault = Diagnostic::error(codes::INNER_OUTSIDE, name.span, message);
            fault.help("inner streams live between `begin` and `end` of one partition")
        } else {
            let message = format!("there is no inner stream `#{word}` in this partition");
            let fault = Diagnostic::error(codes::UNKNOWN_SOURCE, name.span, message);
            with_known(fault, word, name.name.span, self.inner.all(|_| true))
        };
        self.report(diagnostic);
        None
    }

    /// What `!S` means.
    pub(super) fn fault_stream(&mut self, name: &SourceName) -> Option<Meaning> {
        let word = name.name.text.as_str();
        let meaning = self.names.get(word).map(|known| known.meaning);
        let Some(Meaning::Stream(id)) = meaning else {
            if meaning == Some(Meaning::Broken) {
                return None;
            }
            let message = format!("there is no stream `{word}` whose fault stream could be meant");
            let fault = Diagnostic::error(codes::UNKNOWN_SOURCE, name.span, message);
            let known = self.names.all(|kind| matches!(kind, Meaning::Stream(_)));
            let diagnostic = with_known(fault, word, name.name.span, known);
            self.report(diagnostic);
            return None;
        };
        if let Some(fault) = self.plan.streams[id].fault {
            return Some(Meaning::Stream(fault));
        }
        let message = format!("the stream `{word}` has no fault stream");
        let diagnostic = Diagnostic::error(codes::NO_FAULT_STREAM, name.span, message)
            .also(self.plan.streams[id].span, "defined here")
            .help("put `@OnError(action='STREAM')` before its definition");
        self.report(diagnostic);
        None
    }

    /// One step; `scope` holds the names before it and afterwards those behind it.
    fn stage(
        &mut self,
        handler: &Handler,
        flow: &mut Flow,
        scope: &mut Scope,
        stream: &str,
    ) -> Option<Stage> {
        match &handler.kind {
            HandlerKind::Filter(condition) => {
                let mut place = Place::plain(scope, "in a filter");
                self.condition(condition, &mut place, "a filter").map(Stage::Filter)
            }
            HandlerKind::Window(call) => {
                if let Source::Window(id) = flow.source {
                    let name = &self.plan.windows[id].name;
                    let message = format!("`{name}` is a window already; it takes no other");
                    let fault = Diagnostic::error(codes::WINDOW_ON_WINDOW, handler.span, message);
                    let diagnostic = fault.help(format!(
                        "insert from `{name}` into a stream and put the window on that"
                    ));
                    self.report(diagnostic);
                    return None;
                }
                self.window_call(call, scope, &flow.member.schema).map(Stage::Window)
            }
            HandlerKind::Function(call) => {
                let function = self.function_call(call, scope, &flow.member.schema, stream)?;
                if !function.added.is_empty() {
                    let added = function.added.attributes.iter().cloned();
                    Rc::make_mut(&mut flow.member.schema).attributes.extend(added);
                    *scope = Scope::new(vec![flow.member.clone()]);
                }
                Some(Stage::Function(function))
            }
        }
    }

    /// A window and its arguments, over the columns of `schema`.
    pub(super) fn window_call(
        &mut self,
        call: &Call,
        scope: &Scope,
        schema: &Schema,
    ) -> Option<WindowCall> {
        let name = full_name(call);
        let catalog = self.catalog;
        let Some(signature) = catalog.window(&name) else {
            self.unknown_call(call, codes::UNKNOWN_WINDOW, "window", &[Callable::Window]);
            return None;
        };
        let mut place = Place::plain(scope, "in a window's argument");
        let arguments = self.arguments(call, &mut place)?;
        let types: Vec<DataType> = schema.types();
        let fit = self.fit(Callable::Window, call, signature, arguments, &types)?;
        let place = match &call.arguments {
            Arguments::List(list) => list.first().map(|first| first.span),
            Arguments::All => None,
        };
        let predicate = self.window_predicate(&name, &fit.arguments, place, schema)?;
        let names = schema.names().map(Text::from).collect();
        let (arguments, span) = (fit.arguments, call.span);
        Some(WindowCall { name, arguments, types, names, predicate, span })
    }

    fn function_call(
        &mut self,
        call: &Call,
        scope: &Scope,
        schema: &Schema,
        stream: &str,
    ) -> Option<FunctionCall> {
        let name = full_name(call);
        let catalog = self.catalog;
        let Some(signature) = catalog.stream_function(&name) else {
            let kinds = [Callable::StreamFunction];
            self.unknown_call(call, codes::UNKNOWN_STREAM_FUNCTION, "stream function", &kinds);
            return None;
        };
        let mut place = Place::plain(scope, "in a stream function's argument");
        let arguments = self.arguments(call, &mut place)?;
        let types = schema.types();
        let fit = self.fit(Callable::StreamFunction, call, signature, arguments, &types)?;
        let added = Schema::new(catalog.added(&name, &fit.arguments));
        if let Some(twin) = added.names().find(|name| schema.position(name).is_some()) {
            let message = format!("`{name}` adds an attribute `{twin}`, which is there already");
            self.report(Diagnostic::error(codes::ATTRIBUTE_TAKEN, call.span, message));
            return None;
        }
        Some(FunctionCall {
            name,
            arguments: fit.arguments,
            types,
            added,
            holds: signature.has(Trait::Holds),
            stream: stream.into(),
            span: call.span,
        })
    }
}
