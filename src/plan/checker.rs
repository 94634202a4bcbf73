//! What the passes share: the plan in the making, what its names mean, and the messages.

use crate::event::DataType;
use crate::event::Map;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::language::suggest;
use crate::language::tree::Span;
use crate::language::tree::TypeKind;
use crate::plan::codes;
use crate::plan::graph::Node;
use crate::plan::logical::AggregationId;
use crate::plan::logical::PartitionId;
use crate::plan::logical::Plan;
use crate::plan::logical::Query;
use crate::plan::names::Names;
use crate::plan::signature::Catalog;
use crate::plan::watermark::SideStream;
use crate::plan::zone::Zone;
use std::rc::Rc;

/// How many messages a reader can use at once.
const MOST_MESSAGES: usize = 100;

/// How many attributes a stream can have, and how many things a list of a query.
const MOST_IN_A_LIST: usize = 1_000;

/// The state of a check.
pub(super) struct Checker<'a> {
    /// The plan's text.
    pub(super) text: &'a str,
    /// What can be called.
    pub(super) catalog: &'a dyn Catalog,
    /// What has been understood so far.
    pub(super) plan: Plan,
    /// The plan's own names.
    pub(super) names: Names,
    /// Names that `@info` gave to queries.
    pub(super) query_names: Names,
    /// Where each query of the plan says where its rows go, by query.
    pub(super) targets: Vec<Span>,
    /// Where queries further down first fill a stream that is not defined.
    pub(super) filled_later: Names,
    /// Functions that the plan defines and that cannot be called.
    pub(super) broken_functions: Vec<String>,
    /// The partition at hand.
    pub(super) partition: Option<PartitionId>,
    /// Inner streams of the partition at hand.
    pub(super) inner: Names,
    /// Schemas that scopes share, made when first asked for.
    shared: Map<Node, Rc<Schema>>,
    /// How many of the messages are errors that no later version would take back.
    mistakes: usize,
    /// Whether the plan is too large to be looked at any further.
    pub(super) exhausted: bool,
    /// How many outputs all queries so far have.
    pub(super) columns: usize,
    /// The queries that feed aggregations; they stand behind all others.
    pub(super) aggregating: Vec<(AggregationId, Query)>,
    /// Streams that watermarks name and that are not looked for yet.
    pub(super) side_streams: Vec<SideStream>,
    /// How far the clocks of aggregations stand before those of UTC.
    pub(super) zone: Zone,
    /// Whether sources and sinks are wanted; `@app:transportChannelCreationEnabled`.
    pub(super) channels: bool,
    /// What has been said so far.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// How many function calls have been met.
    pub(super) sites: u32,
    /// Where conditions of the query at hand ask external tables by `in`.
    pub(super) external_ins: Vec<Span>,
}

/// How far a check had come.
pub(super) struct Mark {
    said: usize,
    sites: u32,
}

fn is_mistake(diagnostic: &Diagnostic) -> bool {
    diagnostic.is_error() && !diagnostic.not_supported
}

impl<'a> Checker<'a> {
    /// Nothing checked yet.
    pub(super) fn new(text: &'a str, catalog: &'a dyn Catalog) -> Checker<'a> {
        Checker {
            text,
            catalog,
            plan: Plan::default(),
            names: Names::default(),
            query_names: Names::default(),
            targets: Vec::new(),
            filled_later: Names::default(),
            broken_functions: Vec::new(),
            partition: None,
            inner: Names::default(),
            shared: Map::default(),
            mistakes: 0,
            exhausted: false,
            columns: 0,
            aggregating: Vec::new(),
            side_streams: Vec::new(),
            zone: Zone::UTC,
            channels: true,
            diagnostics: Vec::new(),
            sites: 0,
            external_ins: Vec::new(),
        }
    }

    /// The attributes of a stream, table or window, shared by all who read it.
    pub(super) fn shared_schema(&mut self, node: Node) -> Rc<Schema> {
        let plan = &self.plan;
        let make = || {
            Rc::new(match node {
                Node::Stream(id) => plan.streams[id].schema.clone(),
                Node::Window(id) => plan.windows[id].schema.clone(),
                Node::Table(id) => plan.tables[id].schema.clone(),
                Node::Aggregation(id) => plan.aggregations[id].schema.clone(),
                Node::Query(id) => plan.queries[id].selection.schema.clone(),
            })
        };
        Rc::clone(self.shared.entry(node).or_insert_with(make))
    }

    /// Says something.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.mistakes += usize::from(is_mistake(&diagnostic));
        self.diagnostics.push(diagnostic);
    }

    /// How far a check has come, for a first round that is to be taken back.
    pub(super) fn mark(&self) -> Mark {
        Mark { said: self.diagnostics.len(), sites: self.sites }
    }

    /// Takes back all since the mark.
    pub(super) fn take_back(&mut self, mark: &Mark) {
        let gone = self.diagnostics.drain(mark.said..);
        self.mistakes -= gone.filter(is_mistake).count();
        self.sites = mark.sites;
    }

    /// Whether so much is wrong that more messages would help nobody.
    pub(super) fn has_enough(&self) -> bool {
        self.exhausted || self.mistakes > MOST_MESSAGES
    }

    /// Says that something is right but cannot be run yet.
    pub(super) fn not_supported(&mut self, span: Span, what: &str) {
        self.report(Diagnostic::not_supported(codes::NOT_SUPPORTED, span, what));
    }

    /// Says that a list is too long, if it is. Without a bound a plan of a few megabytes would take
    /// minutes to check, and rows of its streams would not be rows any more.
    pub(super) fn too_long(&mut self, length: usize, what: &str, span: Span) -> bool {
        let too_long = length > MOST_IN_A_LIST;
        if too_long {
            let message = format!("{length} {what} are too many; at most {MOST_IN_A_LIST} can be");
            self.report(Diagnostic::error(codes::TOO_WIDE, span, message));
        }
        too_long
    }

    /// The text of a place, shortened to what fits a message.
    pub(super) fn excerpt(&self, span: Span) -> String {
        const LONGEST: usize = 40;
        let text = self.text.get(span.start..span.end).unwrap_or_default();
        let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((cut, _)) = words.char_indices().nth(LONGEST) {
            words.truncate(cut);
            words.push('…');
        }
        words
    }
}

/// The messages in order of place, those that are too many replaced by one that says so.
pub(super) fn presented(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by_key(|each| (each.primary.span.start, each.primary.span.end));
    if diagnostics.len() > MOST_MESSAGES {
        // What decides about the plan must stay: an error that is more than "not supported yet".
        diagnostics.sort_by_key(|each| (!each.is_error(), each.not_supported));
        let dropped = diagnostics.split_off(MOST_MESSAGES);
        diagnostics.sort_by_key(|each| (each.primary.span.start, each.primary.span.end));
        let place = dropped.iter().map(|each| each.primary.span).min_by_key(|span| span.start);
        let message = format!("{} more messages are left out", dropped.len());
        let place = place.unwrap_or_default();
        diagnostics.push(Diagnostic::warning(codes::TOO_MANY, place, message));
    }
    diagnostics
}

/// A message with the nearest of the known names as its help, if one is near.
pub(super) fn with_nearest<'n>(
    diagnostic: Diagnostic,
    word: &str,
    span: Span,
    known: impl IntoIterator<Item = &'n str>,
) -> Diagnostic {
    match suggest::closest(word, known) {
        Some(name) => diagnostic.help(format!("did you mean `{name}`?")).suggest(span, name),
        None => diagnostic,
    }
}

/// A message with the nearest of the known names as its help, or with all of them.
pub(super) fn with_known<'n>(
    diagnostic: Diagnostic,
    word: &str,
    span: Span,
    known: impl IntoIterator<Item = &'n str>,
) -> Diagnostic {
    const MOST: usize = 12;
    let known: Vec<&str> = known.into_iter().collect();
    let diagnostic = with_nearest(diagnostic, word, span, known.iter().copied());
    if diagnostic.help.is_some() || known.is_empty() {
        return diagnostic;
    }
    let mut shown: Vec<String> = known.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    if known.len() > MOST {
        shown.push("…".to_owned());
    }
    let verb = if known.len() == 1 { "is" } else { "are" };
    diagnostic.help(format!("there {verb} {}", shown.join(", ")))
}

/// The type that a definition names; nothing if there is no such type, which the parser has said.
pub(super) fn data_type(kind: TypeKind) -> Option<DataType> {
    Some(match kind {
        TypeKind::String => DataType::Text,
        TypeKind::Int => DataType::Int,
        TypeKind::Long => DataType::Long,
        TypeKind::Float => DataType::Float,
        TypeKind::Double => DataType::Double,
        TypeKind::Bool => DataType::Bool,
        TypeKind::Object => DataType::Object,
        TypeKind::Unknown => return None,
    })
}

/// A list of attributes as people write it: `(a int, b string)`.
pub(super) fn shown(schema: &Schema) -> String {
    let attributes: Vec<String> =
        schema.attributes.iter().map(|each| format!("{} {}", each.name, each.ty)).collect();
    format!("({})", attributes.join(", "))
}
