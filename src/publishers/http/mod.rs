//! `http`: a request for each message, with an id by which the receiver can tell repeats.

mod client;

#[cfg(feature = "node")]
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::event::Batch;
use crate::event::hash_bytes;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::Template;
use crate::mappers::codes;
use crate::mappers::options;
use crate::mappers::options::Form;
use crate::mappers::options::Options;
use crate::mappers::options::needed;
use crate::mappers::options::option;
use crate::mappers::options::optional;
use crate::publishers::Definition;
use crate::publishers::ON_ERROR;
use crate::publishers::Parcel;
use crate::publishers::PublishError;
use crate::publishers::Publisher;
use crate::publishers::Setup;
use crate::publishers::http::client::Client;
use crate::publishers::http::client::Request;
use crate::publishers::outgoing::Outgoing;
use crate::publishers::outgoing::mapping;

/// Sends requests.
pub const DEFINITION: Definition = Definition {
    options: &options::Definition {
        name: "http",
        help: "Sends each message in a request of its own, with a header `Idempotency-Key` that is \
               the same when it is sent again.",
        options: &[
            needed(
                "publisher.url",
                Form::Text,
                "Where to, as in `http://host:8080/alerts/{{user}}`; attributes come escaped, \
                 unless the address begins with one.",
            )
            .dynamic(),
            option("method", Form::Word(&["POST", "PUT", "PATCH"]), "POST", "The method."),
            optional(
                "headers",
                Form::Text,
                "More headers, as in `X-Team:blue,X-User:{{user}}`; each may stand in single \
                 quotes.",
            )
            .dynamic(),
            optional("basic.auth.username", Form::Text, "The name to say at the door."),
            optional("basic.auth.password", Form::Text, "The password that goes with the name."),
            option(
                "connection.timeout",
                Form::Time(1, 600_000),
                "5 sec",
                "How long to wait for a connection.",
            ),
            option(
                "timeout",
                Form::Time(1, 600_000),
                "10 sec",
                "How long a request may take from beginning to answer.",
            ),
            ON_ERROR,
        ],
        not_yet: &[
            "https.truststore.file",
            "https.truststore.password",
            "tls.store.type",
            "socket.idle.timeout",
            "chunk.disabled",
            "ssl.protocol",
            "follow.redirect",
            "max.redirect.count",
            "oauth.username",
            "oauth.password",
            "consumer.key",
            "consumer.secret",
            "token.url",
            "refresh.token",
            "blocking.io",
            "proxy.host",
            "proxy.port",
            "proxy.username",
            "proxy.password",
            "client.bootstrap.configurations",
            "max.pool.active.connections",
            "min.pool.idle.connections",
            "max.pool.idle.connections",
            "executor.service.threads",
            "min.evictable.idle.time",
            "time.between.eviction.runs",
            "max.wait.time",
            "test.on.borrow",
            "test.while.idle",
            "exhausted.action",
            "hostname.verification.enabled",
        ],
        example: "@sink(type='http', publisher.url='http://127.0.0.1:9000/alerts', \
                  @map(type='json'))\ndefine stream Alerts (ip string, count long);",
    },
    default_mapper: "json",
    build,
};

struct Http {
    outgoing: Outgoing,
    url: Template,
    method: &'static str,
    headers: Vec<(String, Template)>,
    login: Option<(String, String)>,
    timeouts: (Duration, Duration),
    /// What sets this sink apart from others of its stream, in ids.
    place: u64,
    client: Option<Client>,
    sent: u64,
}

fn build(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Publisher>> {
    let outgoing = Outgoing::build(setup, DEFINITION.default_mapper, faults);
    let url = url(setup, options, faults);
    let mut headers = headers(setup, options, faults);
    if let Some(headers) = &mut headers
        && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        let kind = mapping(setup, DEFINITION.default_mapper).kind.to_ascii_lowercase();
        let content = match kind.as_str() {
            "json" => "application/json",
            "csv" => "text/csv; charset=utf-8",
            _ => "text/plain; charset=utf-8",
        };
        let content = Template::parse(content, setup.schema).expect("it names no attribute");
        headers.push(("Content-Type".to_owned(), content));
    }
    let login = match (options.text("basic.auth.username"), options.text("basic.auth.password")) {
        (Some(name), Some(password)) => Some((name.to_owned(), password.to_owned())),
        (None, None) => None,
        _ => {
            let text = "options `basic.auth.username` and `basic.auth.password` go together";
            let place = options.place("basic.auth.username");
            faults.push(Diagnostic::error(codes::MISSING_OPTION, place, text));
            None
        }
    };
    let time = |key| {
        let number = options.number(key).and_then(|number| u64::try_from(number).ok());
        number.map(Duration::from_millis)
    };
    let mut identity = String::new();
    for option in &setup.endpoint.options {
        identity.extend([option.key.as_str(), "=", option.value.as_str(), "\n"]);
    }
    Some(Box::new(Http {
        outgoing: outgoing?,
        url: url?,
        method: options.word("method")?,
        headers: headers?,
        login,
        timeouts: (time("connection.timeout")?, time("timeout")?),
        place: hash_bytes(identity.as_bytes()),
        client: None,
        sent: 0,
    }))
}

fn url(setup: &Setup<'_>, options: &Options, faults: &mut Vec<Diagnostic>) -> Option<Template> {
    let key = "publisher.url";
    let text = options.text(key)?;
    let place = options.place(key);
    let beginning = text.trim_start().to_ascii_lowercase();
    if beginning.starts_with("https://") {
        let what = "addresses that begin with `https://`";
        faults.push(Diagnostic::not_supported(codes::NOT_SUPPORTED, place, what));
        return None;
    }
    if !beginning.starts_with("http://") && !beginning.starts_with("{{") {
        let text = format!("option `{key}`: expected `http://host:port/path`, found `{text}`");
        faults.push(Diagnostic::error(codes::OPTION_VALUE, place, text));
        return None;
    }
    options.template(key, setup.schema, faults)
}

/// Reads `'Name:value','Name:value'`, with or without the quotes.
fn headers(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<Vec<(String, Template)>> {
    let key = "headers";
    let text = options.text(key).unwrap_or_default();
    let mut headers = Vec::new();
    let mut refuse = |text: String, code| {
        let text = format!("option `{key}`: {text}");
        faults.push(Diagnostic::error(code, options.place(key), text));
    };
    for item in items(text) {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!#$%&*+^|~".contains(&byte);
        match item.split_once(':') {
            Some((name, value)) if !name.is_empty() && name.bytes().all(token) => {
                match Template::parse(value.trim(), setup.schema) {
                    Ok(value) => headers.push((name.to_owned(), value)),
                    Err(text) => refuse(text, codes::TEMPLATE),
                }
            }
            _ => {
                refuse(format!("expected `Name:value`, found `{item}`"), codes::OPTION_VALUE);
            }
        }
    }
    faults.is_empty().then_some(headers)
}

/// What stands between commas outside of single quotes, without the quotes.
fn items(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        let last = items.last_mut().expect("there is always one");
        match character {
            '\'' => quoted = !quoted,
            ',' if !quoted => items.push(String::new()),
            _ => last.push(character),
        }
    }
    let trimmed = items.into_iter().map(|item| item.trim().to_owned());
    trimmed.filter(|item| !item.is_empty()).collect()
}

/// A value as it may stand in an address: all but letters, digits and `-._~` as `%41`.
fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    /// Trying again may help.
    Later,
    /// Trying again will not help.
    Refused,
}

fn verdict(status: u16) -> Verdict {
    match status {
        200..300 => Verdict::Taken,
        408 | 425 | 429 | 500..600 => Verdict::Later,
        _ => Verdict::Refused,
    }
}

impl Http {
    fn id(&self, parcel: &Parcel, row: usize) -> String {
        let (plan, stream) = (escape(&parcel.plan), escape(&parcel.stream));
        let number = parcel.number + row as u64;
        format!("{plan}/{stream}/{:x}/{:x}/{number}", self.place, parcel.generation)
    }

    fn url(&self, batch: &Batch, row: usize) -> String {
        match self.url.parts().first() {
            Some(crate::mappers::Part::Attribute(_)) => self.url.text(batch, row),
            _ => self.url.text_with(batch, row, escape),
        }
    }

    fn send(
        &self,
        client: &Client,
        parcel: &Parcel,
        body: &[u8],
        rows: &Range<usize>,
    ) -> Result<(), PublishError> {
        let row = rows.start;
        let mut headers = vec![("Idempotency-Key".to_owned(), self.id(parcel, row))];
        if parcel.epoch > 0 {
            headers.push(("Twinflow-Epoch".to_owned(), parcel.epoch.to_string()));
        }
        if let Some((name, password)) = &self.login {
            headers.push(("Authorization".to_owned(), Client::basic(name, password)));
        }
        for (name, value) in &self.headers {
            headers.push((name.clone(), value.text(&parcel.batch, row)));
        }
        // A line's end in an attribute would begin a header of the event's own making.
        if let Some((name, value)) =
            headers.iter().find(|(_, value)| value.chars().any(char::is_control))
        {
            let text = format!("header `{name}` cannot carry `{}`", value.escape_debug());
            return Err(PublishError::permanent(text).of_rows(rows.clone()));
        }
        let url = self.url(&parcel.batch, row);
        if !url.starts_with("http://") {
            let text = format!("expected an address that begins with `http://`, found `{url}`");
            return Err(PublishError::permanent(text).of_rows(rows.clone()));
        }
        let request = Request { method: self.method, url: &url, headers: &headers, body };
        let status = client
            .send(&request)
            .map_err(|error| PublishError::transient(format!("{url}: {error}")))?;
        let text = format!("{url} answered with status {status}");
        match verdict(status) {
            Verdict::Taken => Ok(()),
            Verdict::Later => Err(PublishError::transient(text)),
            Verdict::Refused => Err(PublishError::permanent(text).of_rows(rows.clone())),
        }
    }
}

impl Publisher for Http {
    fn bears_ids(&self) -> bool {
        true
    }

    fn open(&mut self) -> Result<(), PublishError> {
        let (connect, whole) = self.timeouts;
        self.client = Some(Client::new(connect, whole));
        Ok(())
    }

    fn publish(&mut self, parcel: &Parcel) -> Result<(), PublishError> {
        let Some(client) = &self.client else {
            return Err(PublishError::permanent("not opened"));
        };
        self.outgoing.begin(parcel);
        let mut reached = None;
        let mut sent = 0;
        let mut result = Ok(());
        for (body, rows) in self.outgoing.messages().iter() {
            result = self.send(client, parcel, body, &rows);
            match &result {
                Ok(()) => sent += 1,
                // What is refused for good is not sent again; what may pass is.
                Err(error) if error.transient => break,
                Err(_) => {
                    reached = Some(rows.end);
                    break;
                }
            }
            reached = Some(rows.end);
        }
        if let Some(row) = reached {
            self.outgoing.arrived(row);
        }
        self.sent += sent;
        result
    }

    fn detail(&self) -> String {
        format!("{} requests answered", self.sent)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stays out.
        f.debug_struct("Http").field("url", &self.url).field("sent", &self.sent).finish()
    }
}
