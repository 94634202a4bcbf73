//! Calls of functions, aggregators, windows and stream functions: which overload is meant, and why
//! none is.

use crate::event::DataType;
use crate::event::Value;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Arguments;
use crate::language::tree::Call;
use crate::language::tree::Expression;
use crate::language::tree::ExpressionKind;
use crate::language::tree::Span;
use crate::plan::checker::Checker;
use crate::plan::checker::with_known;
use crate::plan::checker::with_nearest;
use crate::plan::codes;
use crate::plan::expression::Expr;
use crate::plan::expression::Node;
use crate::plan::logical::AggregateCall;
use crate::plan::scopes::Found;
use crate::plan::scopes::Member;
use crate::plan::scopes::Scope;
use crate::plan::signature::Callable;
use crate::plan::signature::Count;
use crate::plan::signature::Form;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::relabelled;
use crate::plan::types::Aggregates;
use crate::plan::types::Place;
use crate::plan::types::later;
use crate::plan::types::whole;
use std::sync::Arc;

/// What Siddhi's libraries have and no deterministic plan can.
const ASK_A_SERVICE: [&str; 5] = [
    "geo:geocode",
    "geo:reversegeocode",
    "geo:geocoordinate",
    "geo:findCountryFromIP",
    "geo:findCityFromIP",
];

/// The function that gives an event's own time.
const EVENT_TIME: &str = "eventTimestamp";

/// Arguments that fit an overload, widened to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fit {
    /// The arguments.
    pub(super) arguments: Vec<Expr>,
    /// The type of the result.
    pub(super) ty: DataType,
}

/// Why arguments do not fit an overload; ordered by how far the arguments were right.
#[derive(Clone, Debug, PartialEq)]
enum Misfit {
    /// Too few or too many.
    Count,
    /// One of a type that is not taken.
    Type(usize),
    /// One that is not of the form that is taken.
    Form(usize, Form),
    /// One whose type is not that of the first that counts.
    Differs { first: usize, at: usize },
    /// One that names no type.
    NoType(usize),
}

impl Checker<'_> {
    /// A call in an expression.
    pub(super) fn call(&mut self, call: &Call, place: &mut Place<'_>) -> Option<Expr> {
        let name = full_name(call);
        let catalog = self.catalog;
        if call.namespace.is_none()
            && let Some(function) = self.plan.functions.iter().find(|each| each.name == name)
        {
            let function = Arc::clone(function);
            let ty = function.returns;
            let arguments = self.arguments(call, place)?;
            return Some(Expr { node: Node::Script { function, arguments }, ty });
        }
        if let Some(signature) = catalog.function(&name) {
            if let Some(time) = self.event_time(call, place.scope) {
                return time;
            }
            let arguments = self.arguments(call, place);
            let fit = self.fit(Callable::Function, call, signature, arguments?, &[])?;
            let site = self.sites;
            self.sites += 1;
            let node = Node::Call { name, arguments: fit.arguments, site };
            return Some(Expr { node, ty: fit.ty });
        }
        if let Some(signature) = catalog.aggregator(&name) {
            return self.aggregate(call, signature, place);
        }
        if !self.broken_functions.contains(&name) {
            self.unknown_call(
                call,
                codes::UNKNOWN_FUNCTION,
                "function or aggregator",
                &[Callable::Function, Callable::Aggregator],
            );
        }
        None
    }

    /// The time asked for by `eventTimestamp(first)` and the like; the outer nothing means that
    /// something else is asked.
    #[expect(clippy::option_option, reason = "to be answered and to have an answer are two things")]
    fn event_time(&mut self, call: &Call, scope: &Scope) -> Option<Option<Expr>> {
        let Arguments::List(list) = &call.arguments else { return None };
        let [only] = list.as_slice() else { return None };
        if full_name(call) != EVENT_TIME {
            return None;
        }
        let time = |index| Some(Some(Expr::column(index, DataType::Long)));
        if let (Some(events), ExpressionKind::Attribute(reference)) = (&scope.events, &only.kind)
            && reference.source.is_none()
            && let Some(found) = events.time(&whole(reference))
        {
            let Found::Column(index, _) = found else {
                self.report(later(&reference.name));
                return Some(None);
            };
            return time(index);
        }
        time(whole_event(only, scope)?.time?)
    }

    fn aggregate(
        &mut self,
        call: &Call,
        signature: &Signature,
        place: &mut Place<'_>,
    ) -> Option<Expr> {
        let name = full_name(call);
        let (list, base) = match &mut place.aggregates {
            Aggregates::Taken { list, base } => (&mut **list, *base),
            Aggregates::Refused(where_) => {
                let message = format!("the aggregator `{name}` cannot stand {where_}");
                let help = "aggregators stand in `select` and `having`";
                let fault = Diagnostic::error(codes::AGGREGATOR_PLACE, call.span, message);
                self.report(fault.help(help));
                return None;
            }
        };
        let mut inside = Place::plain(place.scope, "inside of another aggregator");
        let arguments = self.arguments(call, &mut inside)?;
        let fit = self.fit(Callable::Aggregator, call, signature, arguments, &[])?;
        let aggregate = AggregateCall { name, arguments: fit.arguments, ty: fit.ty };
        if let Some(index) = list.iter().position(|known| *known == aggregate) {
            return Some(Expr::column(base + index, fit.ty));
        }
        if self.too_long(list.len() + 1, "aggregates", call.span) {
            return None;
        }
        list.push(aggregate);
        Some(Expr::column(base + list.len() - 1, fit.ty))
    }

    /// The arguments of a call, typed; all attributes for `(*)`.
    pub(super) fn arguments(&mut self, call: &Call, place: &mut Place<'_>) -> Option<Vec<Expr>> {
        match &call.arguments {
            Arguments::All => Some(all_columns(place.scope)),
            Arguments::List(list) => {
                if let [only] = list.as_slice()
                    && let Some(member) = whole_event(only, place.scope)
                {
                    if full_name(call) == EVENT_TIME && member.base == 0 {
                        // The time of the row at hand is what the function gives by itself.
                        return Some(Vec::new());
                    }
                    self.not_supported(only.span, "a whole event as an argument");
                    return None;
                }
                let typed: Vec<Option<Expr>> =
                    list.iter().map(|argument| self.expression(argument, place)).collect();
                typed.into_iter().collect()
            }
        }
    }

    /// Finds the overload that is meant, and says so if there is none or the arguments cannot be.
    pub(super) fn fit(
        &mut self,
        kind: Callable,
        call: &Call,
        signature: &Signature,
        arguments: Vec<Expr>,
        types: &[DataType],
    ) -> Option<Fit> {
        let fit = match choose(signature, arguments) {
            Ok(fit) => fit,
            Err((misfit, arguments)) => {
                let diagnostic = explain(call, signature, &misfit, &arguments);
                self.report(diagnostic);
                return None;
            }
        };
        let name = full_name(call);
        if let Err(fault) = self.catalog.verify(kind, &name, &fit.arguments, types) {
            let span = fault.argument.map_or(call.span, |index| argument_span(call, index));
            let diagnostic = if fault.not_supported {
                Diagnostic::not_supported(codes::NOT_SUPPORTED, span, &fault.message)
            } else {
                Diagnostic::error(codes::ARGUMENT_VALUE, span, fault.message)
            };
            self.report(diagnostic);
            return None;
        }
        Some(fit)
    }

    /// Says that nothing of the name can be called here.
    pub(super) fn unknown_call(
        &mut self,
        call: &Call,
        code: &'static str,
        what: &str,
        kinds: &[Callable],
    ) {
        let name = full_name(call);
        let known = kinds.iter().flat_map(|kind| self.catalog.names(*kind)).collect::<Vec<_>>();
        let span = name_span(call);
        let message = format!("there is no {what} `{name}`");
        let mut diagnostic = with_nearest(
            Diagnostic::error(code, span, message),
            &name,
            span,
            known.iter().copied(),
        );
        if diagnostic.help.is_none() {
            diagnostic.help = self.elsewhere(&name);
            if kinds == [Callable::StreamFunction] && self.catalog.window(&name).is_some() {
                diagnostic = diagnostic.suggest(Span::at(span.start), "window.");
            }
        }
        if diagnostic.help.is_none() && kinds.len() == 1 {
            diagnostic = with_known(diagnostic, &name, span, known);
        }
        self.report(diagnostic);
    }

    /// Where a name could be called, if not here.
    fn elsewhere(&self, name: &str) -> Option<String> {
        if name.starts_with("env:") {
            let help = "a plan reads no environment while it runs; write `${NAME}`, which is \
                        filled in when the plan is deployed";
            return Some(help.to_owned());
        }
        if ASK_A_SERVICE.contains(&name) {
            let help = "it asks a service, which may answer two nodes differently; have the place \
                        looked up before the event is sent, or join a table of places";
            return Some(help.to_owned());
        }
        if self.catalog.window(name).is_some() {
            return Some(format!("there is a window of that name: `#window.{name}(..)`"));
        }
        if self.catalog.stream_function(name).is_some() {
            return Some(format!("there is a stream function of that name: `#{name}(..)`"));
        }
        let callable = self.catalog.function(name).or_else(|| self.catalog.aggregator(name));
        callable.map(|_| format!("`{name}` can stand in expressions only"))
    }
}

/// The source that an argument names, if it names no attribute.
fn whole_event<'s>(argument: &Expression, scope: &'s Scope) -> Option<&'s Member> {
    let ExpressionKind::Attribute(reference) = &argument.kind else { return None };
    if reference.source.is_some() || scope.find(reference) != Found::NoAttribute {
        return None;
    }
    let word = reference.name.text.as_str();
    scope.members().find(|member| member.name.as_deref() == Some(word))
}

/// Name with namespace, as the catalog knows it.
pub(super) fn full_name(call: &Call) -> String {
    match &call.namespace {
        Some(namespace) => format!("{}:{}", namespace.text, call.name.text),
        None => call.name.text.clone(),
    }
}

/// Where the name of a call stands.
fn name_span(call: &Call) -> Span {
    call.namespace.as_ref().map_or(call.name.span, |namespace| namespace.span.to(call.name.span))
}

fn argument_span(call: &Call, index: usize) -> Span {
    match &call.arguments {
        Arguments::List(list) => list.get(index).map_or(call.span, |argument| argument.span),
        Arguments::All => call.span,
    }
}

/// One expression a column of the members, in their order.
pub(super) fn all_columns(scope: &Scope) -> Vec<Expr> {
    let columns = scope.members().flat_map(|member| {
        let attributes = member.schema.attributes.iter().enumerate();
        attributes.map(|(place, attribute)| Expr::column(member.base + place, attribute.ty))
    });
    columns.collect()
}

fn choose(signature: &Signature, arguments: Vec<Expr>) -> Result<Fit, (Misfit, Vec<Expr>)> {
    let mut best: Option<Misfit> = None;
    for overload in signature.overloads {
        match misfit(overload, &arguments) {
            None => return Ok(fitted(overload, arguments)),
            Some(misfit) => {
                if best.as_ref().is_none_or(|best| misfit.rank() > best.rank()) {
                    best = Some(misfit);
                }
            }
        }
    }
    Err((best.unwrap_or(Misfit::Count), arguments))
}

impl Misfit {
    /// How far the arguments were right.
    fn rank(&self) -> (usize, usize) {
        match self {
            Misfit::Count => (0, 0),
            Misfit::Type(at) => (1, *at),
            Misfit::Form(at, _) => (2, *at),
            Misfit::Differs { at, .. } | Misfit::NoType(at) => (3, *at),
        }
    }
}

fn misfit(overload: &Overload, arguments: &[Expr]) -> Option<Misfit> {
    let parameters = overload.parameters;
    let least = parameters.iter().filter(|each| each.count == Count::One).count();
    let endless = parameters.last().is_some_and(|last| last.count == Count::Many);
    if arguments.len() < least || (!endless && arguments.len() > parameters.len()) {
        return Some(Misfit::Count);
    }
    for (index, argument) in arguments.iter().enumerate() {
        let parameter = slot(parameters, index)?;
        if taken_as(parameter, argument.ty).is_none() {
            return Some(Misfit::Type(index));
        }
    }
    for (index, argument) in arguments.iter().enumerate() {
        let form = slot(parameters, index)?.form;
        let right = match form {
            Form::Any => true,
            Form::Constant => argument.as_constant().is_some(),
            Form::Attribute => argument.as_column().is_some(),
        };
        if !right {
            return Some(Misfit::Form(index, form));
        }
    }
    match overload.returns {
        Returns::Same(first) => {
            let ty = arguments.get(first)?.ty;
            let rest = arguments.iter().enumerate().skip(first);
            let mut other = rest.filter(|(_, argument)| argument.ty != ty);
            other.next().map(|(at, _)| Misfit::Differs { first, at })
        }
        Returns::Named(at) | Returns::Relabelled(_, at) if named_type(arguments, at).is_none() => {
            Some(Misfit::NoType(at))
        }
        _ => None,
    }
}

fn fitted(overload: &Overload, arguments: Vec<Expr>) -> Fit {
    let widened = arguments.into_iter().enumerate().map(|(index, argument)| {
        let wanted = slot(overload.parameters, index)
            .and_then(|parameter| taken_as(parameter, argument.ty))
            .unwrap_or(argument.ty);
        argument.widened(wanted)
    });
    let arguments: Vec<Expr> = widened.collect();
    let own = |index: usize| arguments.get(index).map(|argument| argument.ty);
    let ty = match overload.returns {
        Returns::Type(ty) => Some(ty),
        Returns::Argument(index) | Returns::Same(index) => own(index),
        Returns::Widest => arguments.iter().map(|each| each.ty).filter(|ty| ty.is_numeric()).max(),
        Returns::Named(at) => named_type(&arguments, at),
        Returns::Relabelled(value, at) => {
            let to = named_type(&arguments, at);
            own(value).zip(to).map(|(from, to)| relabelled(from, to))
        }
    };
    Fit { ty: ty.unwrap_or(DataType::Object), arguments }
}

/// The parameter in whose place an argument stands.
fn slot(parameters: &[Parameter], index: usize) -> Option<&Parameter> {
    let repeated = || parameters.last().filter(|last| last.count == Count::Many);
    parameters.get(index).or_else(repeated)
}

/// The type as which a parameter takes a value: its own, else the nearest wider number.
fn taken_as(parameter: &Parameter, ty: DataType) -> Option<DataType> {
    if parameter.types.contains(&ty) {
        return Some(ty);
    }
    if parameter.form == Form::Attribute {
        // What is widened is no attribute any more.
        return None;
    }
    let wider = |to: &DataType| ty.arithmetic(*to) == Some(*to);
    parameter.types.iter().copied().filter(wider).min()
}

fn named_type(arguments: &[Expr], at: usize) -> Option<DataType> {
    let text = arguments.get(at)?.as_constant()?.as_text()?;
    DataType::from_name(text)
}

fn explain(call: &Call, signature: &Signature, misfit: &Misfit, given: &[Expr]) -> Diagnostic {
    let name = signature.name;
    let forms: Vec<String> =
        signature.overloads.iter().map(|overload| usage(name, overload.parameters)).collect();
    let help = format!("it is used as {}", forms.join(", or "));
    let span_of = |index: usize| argument_span(call, index);
    let diagnostic = match misfit {
        Misfit::Count => {
            let (count, s) = (given.len(), if given.len() == 1 { "" } else { "s" });
            let may_miss = |parameter: &Parameter| parameter.count == Count::Optional;
            let mut forms = signature.overloads.iter();
            let alone = forms.any(|overload| overload.parameters.iter().all(may_miss));
            match call.arguments {
                Arguments::All if alone => {
                    let message = format!("`{name}` takes no `*`");
                    let diagnostic = Diagnostic::error(codes::ARGUMENT_COUNT, call.span, message);
                    diagnostic.suggest(call.span, format!("{name}()"))
                }
                _ => {
                    let message = format!("`{name}` does not take {count} argument{s}");
                    Diagnostic::error(codes::ARGUMENT_COUNT, call.span, message)
                }
            }
        }
        Misfit::Type(at) => {
            let ty = given[*at].ty;
            let message = format!("`{name}` does not take a value of type {ty} here");
            let diagnostic = Diagnostic::error(codes::ARGUMENT_TYPE, span_of(*at), message)
                .label(format!("of type {ty}"));
            match given[*at].as_constant().and_then(|value| whole_number(value, signature, *at)) {
                Some(whole) => diagnostic.suggest(span_of(*at), whole),
                None => diagnostic,
            }
        }
        Misfit::Form(at, form) => {
            let wanted = match form {
                Form::Attribute => "an attribute",
                Form::Constant | Form::Any => "a constant",
            };
            let message = format!("`{name}` needs {wanted} here");
            Diagnostic::error(codes::ARGUMENT_FORM, span_of(*at), message)
        }
        Misfit::Differs { first, at } => {
            let (one, other) = (given[*first].ty, given[*at].ty);
            let message = format!("`{name}` needs values of one type, but got {one} and {other}");
            Diagnostic::error(codes::ARGUMENT_TYPE, span_of(*at), message)
                .label(format!("of type {other}"))
                .also(span_of(*first), format!("of type {one}"))
        }
        Misfit::NoType(at) => {
            let message = format!("`{name}` needs the name of a type here");
            return Diagnostic::error(codes::ARGUMENT_VALUE, span_of(*at), message)
                .help("one of 'int', 'long', 'float', 'double', 'bool', 'string'");
        }
    };
    diagnostic.help(help)
}

/// A constant such as `5.0` as a whole number, where one is taken in its place.
fn whole_number(value: &Value, signature: &Signature, at: usize) -> Option<String> {
    let number = value.as_double().filter(|number| number.fract() == 0.0)?;
    let takes = |overload: &Overload| {
        slot(overload.parameters, at).is_some_and(|slot| slot.types.contains(&DataType::Int))
    };
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    (fits && signature.overloads.iter().any(takes)).then(|| format!("{}", number as i32))
}

/// How a call looks: `length(n: int)`, `coalesce(first: any, ...)`.
fn usage(name: &str, parameters: &[Parameter]) -> String {
    let shown = parameters.iter().map(|parameter| {
        let types: Vec<&str> = parameter.types.iter().map(|ty| ty.name()).collect();
        let types = if types.len() == DataType::ALL.len() { "any".into() } else { types.join("|") };
        match parameter.count {
            Count::One => format!("{}: {types}", parameter.name),
            Count::Optional => format!("[{}: {types}]", parameter.name),
            Count::Many => format!("{}: {types}, ...", parameter.name),
        }
    });
    format!("`{name}({})`", shown.collect::<Vec<_>>().join(", "))
}
