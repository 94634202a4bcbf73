//! Reads the body of a request, within limits of size, time and form.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::web::Payload;
use tokio::time::timeout;

use crate::http::problem;
use crate::http::problem::Refusal;

/// How long a body may take.
const TIME_MAX: Duration = Duration::from_secs(30);

/// Forms that say nothing of what is inside: `curl -d` sends the last one.
const SILENT: &[&str] =
    &["", "*/*", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded"];

/// Forms of events.
pub const EVENTS: &[&str] = &[
    "application/json",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/json-lines",
    "application/x-jsonlines",
];

/// Any form at all, for mappers that know what they read.
pub const ANY: &[&str] = &["*"];

/// Forms of texts in SiddhiQL, and of JSON that holds one.
pub const TEXTS: &[&str] = &["application/json", "application/siddhiql", "text/x-siddhiql"];

/// Forms of SQL, and of JSON that holds it.
pub const SQL: &[&str] = &["application/json", "application/sql"];

/// Reads a body of one of these forms, or of one that says nothing.
///
/// # Errors
/// If the form is another one, or the body is too large, too slow or breaks off.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    forms: &[&str],
    bytes_max: usize,
) -> Result<Bytes, Refusal> {
    check_form(request, forms)?;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let too_large = |found: String| {
        let detail = format!("expected at most {bytes_max} bytes, found {found}");
        Refusal::new(problem::BODY_TOO_LARGE, detail)
    };
    if let Some(length) = length.filter(|length| *length > bytes_max as u64) {
        return Err(too_large(length.to_string()));
    }
    match timeout(TIME_MAX, payload.to_bytes_limited(bytes_max)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(error))) => {
            let detail = format!("the body broke off: {error}");
            Err(Refusal::new(problem::MALFORMED, detail))
        }
        Ok(Err(_)) => Err(too_large("more".to_owned())),
        Err(_) => {
            let detail = format!("expected the whole body within {TIME_MAX:?}");
            Err(Refusal::new(problem::TOO_SLOW, detail))
        }
    }
}

fn check_form(request: &HttpRequest, forms: &[&str]) -> Result<(), Refusal> {
    let coding = request.headers().get(header::CONTENT_ENCODING);
    if let Some(coding) =
        coding.filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        let coding = String::from_utf8_lossy(coding.as_bytes());
        let detail = format!("expected a body without content coding, found `{coding}`");
        return Err(Refusal::new(problem::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    if forms == ANY {
        return Ok(());
    }
    let form = form(request);
    if !SILENT.iter().chain(forms).any(|known| known.eq_ignore_ascii_case(&form)) {
        let detail = format!("expected one of {}, found `{form}`", forms.join(", "));
        return Err(Refusal::new(problem::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    match charset(request) {
        Some(charset) if !["utf-8", "utf8", "us-ascii"].contains(&charset.as_str()) => {
            let detail = format!("expected the character set utf-8, found `{charset}`");
            Err(Refusal::new(problem::UNSUPPORTED_MEDIA_TYPE, detail))
        }
        _ => Ok(()),
    }
}

/// The character set that the content type names, in small letters.
fn charset(request: &HttpRequest) -> Option<String> {
    let form = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    form.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    })
}

/// The media type of a body without its parameters; empty if there is none.
pub fn form(request: &HttpRequest) -> String {
    let form = request.headers().get(header::CONTENT_TYPE);
    let form = form.map(|form| String::from_utf8_lossy(form.as_bytes()));
    let form = form.as_deref().unwrap_or_default();
    form.split(';').next().unwrap_or_default().trim().to_owned()
}

/// A text in SiddhiQL: the body itself, or the member `key` of the object that it holds.
///
/// # Errors
/// If there is no such text in it.
pub fn text(request: &HttpRequest, body: &[u8], key: &str) -> Result<String, Refusal> {
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(Refusal::new(problem::NOT_UTF_8, "expected text in UTF-8"));
    };
    let is_json = form(request).eq_ignore_ascii_case("application/json");
    if !is_json && !text.trim_start().starts_with('{') {
        return Ok(text.to_owned());
    }
    let expected = format!("expected the text, or `{{\"{key}\": \"…\"}}`");
    let read = serde_json::from_str::<serde_json::Value>(text);
    let refuse = |found: String| Refusal::new(problem::MALFORMED, format!("{expected}: {found}"));
    let object = read.map_err(|error| refuse(error.to_string()))?;
    let strange = object.as_object().and_then(|object| object.keys().find(|name| *name != key));
    if let Some(name) = strange {
        return Err(refuse(format!("`{name}` is not known")));
    }
    match object.get(key).and_then(|text| text.as_str()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(refuse(format!("there is no text `{key}`"))),
    }
}
