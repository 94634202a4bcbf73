//! What a refused request is answered with: a problem document (RFC 9457) with a stable code.
//!
//! The table [`KINDS`] is the one source of codes: the answers, `GET /problems` and the API
//! document are made from it, and a test compares it with the manual.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::ResponseError;
use actix_web::http::StatusCode;
use actix_web::http::header;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Content;
use utoipa::openapi::Ref;
use utoipa::openapi::RefOr;
use utoipa::openapi::Response;
use utoipa::openapi::ResponseBuilder;

use crate::actors::plan::Misfit;
use crate::language::diagnostic::Diagnostic;
use crate::language::render;
use crate::language::render::Colour;
use crate::language::source::Source;
use crate::mappers::DecodeError;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A kind of problem, as the manual knows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Kind {
    /// The stable code; programs decide by it.
    pub code: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// What it means, in a sentence.
    pub title: &'static str,
}

macro_rules! kinds {
    ($($(#[$what:meta])* $name:ident = $status:literal $code:literal $title:literal;)*) => {
        $($(#[$what])* pub const $name: &Kind =
            &Kind { code: $code, status: $status, title: $title };)*
        /// Every kind of problem, in the order of the manual.
        pub const KINDS: &[&Kind] = &[$($name),*];
    };
}

kinds! {
    /// The body holds nothing.
    NO_EVENT = 400 "no-event" "The body holds no event.";
    /// The body cannot be read.
    MALFORMED = 400 "malformed" "The body is not what it should be: JSON, or an object a line.";
    /// The body is not text.
    NOT_UTF_8 = 400 "not-utf-8" "The body is not UTF-8.";
    /// The body nests too deep.
    TOO_DEEP = 400 "too-deep" "The body nests deeper than 64 brackets.";
    /// A value of another type.
    WRONG_TYPE = 422 "wrong-type" "A value has another type than its attribute.";
    /// A number too large.
    OUT_OF_RANGE = 422 "out-of-range" "A number does not fit the type of its attribute.";
    /// An attribute is missing.
    MISSING_ATTRIBUTE = 422 "missing-attribute" "An event lacks an attribute of its stream.";
    /// An attribute is not known.
    UNKNOWN_ATTRIBUTE = 422 "unknown-attribute" "An event names what is no attribute.";
    /// An attribute stands twice.
    DUPLICATE_ATTRIBUTE = 422 "duplicate-attribute" "An event names an attribute twice.";
    /// A pattern does not match.
    UNMATCHED = 422 "unmatched" "The pattern of the mapping does not match.";
    /// A query parameter is wrong.
    BAD_PARAMETER = 400 "bad-parameter" "A parameter of the address or a header is not usable.";
    /// Nobody knows whether it was taken.
    UNSURE = 503 "unsure" "The nodes' roles changed, and whether this was taken is not known.";
    /// The query was refused.
    QUERY_REFUSED = 422 "query-refused" "The on-demand query was refused; see `diagnostics`.";
    /// Another node is to answer.
    NOT_ACTIVE = 421 "not-active" "Only the active node was to answer, and this is the other one.";
    /// The node is alone.
    NO_PAIR = 409 "no-pair" "The node is not one of a pair.";
    /// The operator's word was refused.
    WORD_REFUSED = 409 "word-refused" "The pair does not do this now; `detail` says why.";
    /// The plan was refused.
    PLAN_REFUSED = 422 "plan-refused" "The plan was refused; see `diagnostics` and `text`.";
    /// The plan names itself otherwise.
    OTHER_NAME = 422 "other-name" "The text gives its plan another name than the address.";
    /// The answer is too long.
    ANSWER_TOO_LARGE = 422 "answer-too-large" "The answer of the query has too many rows.";
    /// No such address.
    NOT_FOUND = 404 "not-found" "There is nothing at this address.";
    /// No such plan.
    UNKNOWN_PLAN = 404 "unknown-plan" "There is no plan of this name.";
    /// No such stream.
    UNKNOWN_STREAM = 404 "unknown-stream" "The plan has no stream of this name.";
    /// No such store.
    UNKNOWN_STORE = 404 "unknown-store" "The settings name no store of this name.";
    /// No such statement.
    UNKNOWN_STATEMENT = 404 "unknown-statement" "No statement of this id runs.";
    /// The statement was refused.
    SQL_REFUSED = 422 "sql-refused" "The statement was refused: it does more than read, or fails.";
    /// The statement took too long.
    SQL_TOO_SLOW = 422 "sql-too-slow" "The statement took longer than it may, and was ended.";
    /// The statement was ended.
    SQL_STOPPED = 409 "sql-stopped" "The statement was ended by its id.";
    /// The store cannot be asked.
    STORE_AWAY = 503 "store-away" "The store cannot be asked now; try again later.";
    /// The store has not come far enough.
    STORE_BEHIND = 503 "store-behind" "What the plan wrote before is not in the store yet.";
    /// No such dead letter.
    UNKNOWN_LETTER = 404 "unknown-dead-letter" "The plan keeps no dead letter of this number.";
    /// The dead letter stays.
    NOT_REPLAYED = 409 "not-replayed" "The dead letter stays as it is; `detail` says why.";
    /// No such actor.
    UNKNOWN_ACTOR = 404 "unknown-actor" "No actor of this name is at work.";
    /// The address takes other methods.
    METHOD_NOT_ALLOWED = 405 "method-not-allowed" "The address does not take this method.";
    /// The body came too slowly.
    TOO_SLOW = 408 "too-slow" "The body did not come in time.";
    /// The plan does not run.
    PLAN_NOT_RUNNING = 409 "plan-not-running" "The plan was refused or has stopped.";
    /// The stream takes no events from outside.
    NOT_AN_INPUT = 409 "not-an-input" "The stream takes no events from outside.";
    /// The plan changed meanwhile.
    PLAN_CHANGED = 409 "plan-changed" "The plan was changed while the events waited.";
    /// Another plan lies there.
    FILE_TAKEN = 409 "file-taken" "The file in which the plan would lie holds another plan.";
    /// Persistence is off.
    NOTHING_KEPT = 409 "nothing-kept" "This node keeps nothing on disk.";
    /// The disk did not take it.
    NOT_KEPT = 503 "not-kept" "The node could not write it to disk; it may have been kept.";
    /// The events made the plan fall.
    POISON = 422 "poison" "The plan could not process the events; they were put aside.";
    /// The body is too large.
    BODY_TOO_LARGE = 413 "body-too-large" "The body is larger than `http.body_bytes_max`.";
    /// Too many events.
    TOO_MANY_EVENTS = 413 "too-many-events" "More events than `http.batch_rows_max`.";
    /// The address is too long.
    ADDRESS_TOO_LONG = 414 "address-too-long" "The address is longer than 8 KiB.";
    /// Another media type is wanted.
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported-media-type" "The body has a form that is not read.";
    /// The request names another host.
    FOREIGN_REQUEST = 403 "foreign-request" "The request comes from a page of another site.";
    /// The plan has no room.
    OVERLOADED = 503 "overloaded" "The plan has no room for more events; try again later.";
    /// The plan did not come to it.
    NOT_IN_TIME = 503 "not-in-time" "The plan did not get there in time; it may do so yet.";
    /// Too many followers.
    TOO_MANY_TAILS = 503 "too-many-tails" "Too many live tails are open; try again later.";
    /// The node starts or stops.
    NOT_READY = 503 "not-ready" "The node is starting or stopping.";
    /// A fault of the node.
    INTERNAL = 500 "internal" "The node could not answer; its log says why.";
}

/// The answer to a request that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Where the kind of problem is explained.
    #[serde(rename = "type")]
    pub about: String,
    /// The kind of problem, in a sentence; always the same for the same code.
    pub title: &'static str,
    /// The status of the answer, again.
    pub status: u16,
    /// The stable code; programs decide by it.
    pub code: &'static str,
    /// What was expected and what came.
    pub detail: String,
    /// Number of the first bad event of the request, from 0; no event of the request was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The attribute it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// The byte of the body where it was noticed, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// What is wrong with a text in SiddhiQL.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<crate::http::documents::Diagnostic>)]
    pub diagnostics: Vec<Value>,
    /// The same for the eye: source lines with carets.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The name of the node that is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// What the address takes, for the header `Allow`.
    #[serde(skip)]
    allow: Option<&'static str>,
    /// Whether the connection is closed after the answer.
    #[serde(skip)]
    closes: bool,
}

/// A request is refused with this problem; boxed, since most are not.
#[derive(Debug)]
pub struct Refusal(Box<Problem>);

impl Refusal {
    /// Refuses with a problem of a kind, and what was expected and what came.
    pub fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            about: format!("/problems/{}", kind.code),
            title: kind.title,
            status: kind.status,
            code: kind.code,
            detail: detail.into(),
            index: None,
            attribute: None,
            offset: None,
            diagnostics: Vec::new(),
            text: String::new(),
            active: None,
            allow: None,
            closes: false,
        }))
    }

    /// The address takes only these methods.
    pub fn method_not_allowed(found: &str, allow: &'static str) -> Self {
        let detail = format!("expected one of {allow}, found {found}");
        let mut refusal = Self::new(METHOD_NOT_ALLOWED, detail);
        refusal.0.allow = Some(allow);
        refusal
    }

    /// With messages about a text in SiddhiQL; the first error is told in a sentence, too.
    pub fn about_text(kind: &'static Kind, source: &Source, diagnostics: &[Diagnostic]) -> Self {
        let first = diagnostics.iter().find(|each| each.is_error()).or(diagnostics.first());
        let detail = first.map_or_else(String::new, |first| {
            let place = source.place(first.primary.span.start);
            format!("{}:{}: {}", place.line, place.column, first.message)
        });
        let mut refusal = Self::new(kind, detail);
        refusal.0.diagnostics = match render::json(source, diagnostics) {
            Value::Array(all) => all,
            one => vec![one],
        };
        refusal.0.text = render::text(source, diagnostics, Colour::Never);
        refusal
    }

    /// The document.
    pub fn document(&self) -> &Problem {
        &self.0
    }

    /// With the number of the first bad event.
    #[must_use]
    pub fn at_event(mut self, index: usize) -> Self {
        self.0.index = Some(index);
        self
    }

    /// With the name of the node that is active.
    #[must_use]
    pub fn naming_active(mut self, node: Option<String>) -> Self {
        self.0.active = node;
        self
    }

    /// With the end of the connection, so that others find a free one.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.0.closes = true;
        self
    }

    /// With the attribute it is about.
    #[must_use]
    pub fn about_attribute(mut self, name: impl Into<String>) -> Self {
        self.0.attribute = Some(name.into());
        self
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        let code = error.fault.code();
        let kind = KINDS.iter().find(|kind| kind.code == code);
        let kind = kind.expect("a test finds every fault of the mappers in the table");
        let mut refusal = Self::new(kind, error.to_string()).at_event(error.index);
        refusal.0.attribute = error.attribute;
        refusal.0.offset = Some(error.offset);
        refusal
    }
}

impl From<Misfit> for Refusal {
    fn from(misfit: Misfit) -> Self {
        match &misfit {
            Misfit::Changed { .. } => Self::new(PLAN_CHANGED, misfit.to_string()),
            Misfit::NotRun { reason } => Self::new(QUERY_REFUSED, reason.as_str()),
            Misfit::Unsure => Self::new(UNSURE, misfit.to_string()),
            // What the panic said is for the log.
            Misfit::Poison { .. } => Self::new(POISON, "the plan panicked over it; see the log"),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        answer.content_type(MEDIA_TYPE);
        if let Some(allow) = self.0.allow {
            answer.insert_header((header::ALLOW, allow));
        }
        if self.0.closes {
            answer.force_close();
        }
        if self.0.status == 503 {
            answer.insert_header((header::RETRY_AFTER, "1"));
        }
        // Serialising plain strings and numbers cannot fail.
        answer.body(serde_json::to_vec(&self.0).unwrap_or_default())
    }
}

/// Answers with problems, as a route describes them: status and codes of each.
pub fn responses(each: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let content = || Content::new(Some(Ref::from_schema_name(Problem::name())));
    let response = |codes: &str| {
        ResponseBuilder::new().description(codes).content(MEDIA_TYPE, content()).build()
    };
    each.iter().map(|(status, codes)| ((*status).to_owned(), response(codes).into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mappers::Fault;

    #[test]
    fn codes_are_distinct_and_have_the_form_of_words() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert!(kind.code.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '8'));
            assert!((400..600).contains(&kind.status), "{}", kind.code);
            assert!(kind.title.ends_with('.'), "{}", kind.code);
            assert!(KINDS[..index].iter().all(|other| other.code != kind.code), "{}", kind.code);
        }
    }

    #[test]
    fn every_fault_of_a_mapper_is_a_problem_with_its_place() {
        for fault in Fault::ALL {
            let error = DecodeError {
                index: 3,
                fault,
                attribute: Some("a".to_owned()),
                offset: 17,
                message: "no".to_owned(),
            };
            let problem = Refusal::from(error).0;
            assert_eq!((problem.code, problem.index), (fault.code(), Some(3)));
            assert!(problem.status < 500);
        }
    }

    #[test]
    fn the_manual_lists_the_codes_as_they_are() {
        let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/http.md");
        let manual = std::fs::read_to_string(manual).unwrap();
        let row = |kind: &&Kind| format!("| `{}` | {} | {} |", kind.code, kind.status, kind.title);
        let table: Vec<String> = KINDS.iter().map(row).collect();
        assert!(manual.contains(&table.join("\n")), "docs/http.md needs:\n{}", table.join("\n"));
    }
}
