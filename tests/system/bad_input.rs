//! Whatever is wrong with a request is answered with a 4xx and a code, and nothing of it is taken.

use std::io::Read;
use std::io::Write;

use crate::node::Node;
use crate::node::client;
use crate::node::client::Answer;

const PLAN: &str = "
define stream S (text string, n int, big long, f float, d double, b bool);
define stream Timed (id string, time long);
define table Seen (text string, n int);
define trigger Daily at every 24 hour;
@OnError(action='STREAM')
define stream Careful (n int);
from S[n > 0] select text, n insert into Out;
from Careful select n insert into Quiet;
";

const STREAM: &str = "/api/v1/plans/p/streams/S";

/// A request and what it must be answered with.
struct Row {
    what: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    index: Option<u64>,
}

/// An event that is good but for what the row replaces.
fn event(replaced: &str) -> String {
    let good =
        [("text", "\"a\""), ("n", "1"), ("big", "2"), ("f", "0.5"), ("d", "0.25"), ("b", "true")];
    let (name, value) = replaced.split_once('=').unwrap_or(("", ""));
    let member = |(key, usual): &(&str, &str)| {
        let value = if *key == name { value } else { usual };
        format!("\"{key}\":{value}")
    };
    let members: Vec<String> = good.iter().map(member).collect();
    format!("{{{}}}", members.join(","))
}

fn post(what: &'static str, body: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Row {
    let (path, body) = (STREAM.to_owned(), body.into());
    Row { what, method: "POST", path, headers: vec![], body, status, code, index: Some(0) }
}

fn ask(
    what: &'static str,
    method: &'static str,
    path: &str,
    status: u16,
    code: &'static str,
) -> Row {
    let (path, body) = (path.to_owned(), event("").into());
    Row { what, method, path, headers: vec![], body, status, code, index: None }
}

impl Row {
    fn at(self, index: u64) -> Row {
        Row { index: Some(index), ..self }
    }

    fn without_index(self) -> Row {
        Row { index: None, ..self }
    }

    fn to(self, path: &str) -> Row {
        Row { path: path.to_owned(), ..self }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Row {
        self.headers.push((name, value));
        self
    }
}

/// Bodies that are no JSON, or not to their end.
fn broken_bodies() -> Vec<Row> {
    let good = event("");
    let cut = |length: usize| good[..length].to_owned();
    let deep = |open: &str| open.repeat(10_000);
    let mut rows = vec![
        post("nothing", "", 400, "no-event"),
        post("blanks", " \r\n\t ", 400, "no-event"),
        post("no event in an array", "[]", 400, "no-event").without_index(),
        post("words", "hello", 400, "malformed"),
        post("a number", "42", 400, "malformed"),
        post("a text", "\"a\"", 400, "malformed"),
        post("null", "null", 400, "malformed"),
        post("truth", "true", 400, "malformed"),
        post("an array of numbers", "[1,2]", 400, "malformed"),
        post("an array of arrays", format!("[[{good}]]"), 400, "malformed"),
        post("null among events", format!("[{good},null]"), 400, "malformed").at(1),
        post("an object cut off", cut(good.len() - 1), 400, "malformed"),
        post("a name cut off", cut(4), 400, "malformed"),
        post("a value cut off", cut(8), 400, "malformed"),
        post("an array cut off", format!("[{good}"), 400, "malformed").at(1),
        post("an array cut off after a comma", format!("[{good},"), 400, "malformed").at(1),
        post("an escape cut off", "{\"text\":\"\\u00", 400, "malformed"),
        post("words after the event", format!("{good} x"), 400, "malformed").at(1),
        post("a comma too many in an array", format!("[{good},]"), 400, "malformed").at(1),
        post("a comma too many", good.replace('}', ",}"), 400, "malformed"),
        post("single quotes", good.replace('"', "'"), 400, "malformed"),
        post("a comment", format!("/* no */{good}"), 400, "malformed"),
        post("a name without quotes", good.replace("\"n\"", "n"), 400, "malformed"),
        post("a semicolon", good.replace(',', ";"), 400, "malformed"),
        post("a raw line end in a text", event("text=\"a\nb\""), 400, "malformed"),
        post("a NUL", event("text=\"a\0b\""), 400, "malformed"),
        post("half a pair of surrogates", event("text=\"\\ud800\""), 400, "malformed"),
        post("10,000 arrays deep", deep("["), 400, "malformed"),
        post("10,000 objects deep", deep("{\"a\":"), 422, "unknown-attribute"),
        post("bytes that are no UTF-8", b"{\"text\":\"\xff\"}".to_vec(), 400, "not-utf-8"),
        post("a cut character", b"{\"text\":\"\xc3\"}".to_vec(), 400, "not-utf-8"),
        post("UTF-16", b"\xff\xfe{\0}\0".to_vec(), 400, "not-utf-8"),
    ];
    for what in ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1e", "-"] {
        rows.push(post(what, event(&format!("d={what}")), 400, "malformed"));
    }
    rows
}

/// Bodies that are JSON, but no events of the stream.
fn misfits() -> Vec<Row> {
    let good = event("");
    let bad = |what, replaced: &str, code| post(what, event(replaced), 422, code);
    vec![
        post("an empty object", "{}", 422, "missing-attribute"),
        post("an attribute missing", "{\"text\":\"a\"}", 422, "missing-attribute"),
        post("missing in the third", format!("[{good},{good},{{}}]"), 422, "missing-attribute")
            .at(2),
        post("an unknown attribute", good.replace('}', ",\"x\":1}"), 422, "unknown-attribute"),
        post("another case", good.replace("text", "Text"), 422, "unknown-attribute"),
        post("an attribute twice", good.replace('}', ",\"n\":1}"), 422, "duplicate-attribute"),
        bad("a text for an int", "n=\"1\"", "wrong-type"),
        bad("a text for a double", "d=\"NaN\"", "wrong-type"),
        bad("a number for a text", "text=1", "wrong-type"),
        bad("truth for an int", "n=true", "wrong-type"),
        bad("a number for a bool", "b=1", "wrong-type"),
        bad("a text for a bool", "b=\"true\"", "wrong-type"),
        bad("an object for a text", "text={}", "wrong-type"),
        bad("an array for a long", "big=[]", "wrong-type"),
        bad("a fraction for an int", "n=1.5", "wrong-type"),
        bad("a fraction for a long", "big=1.5", "wrong-type"),
        bad("an int too large", "n=2147483648", "out-of-range"),
        bad("an int too small", "n=-2147483649", "out-of-range"),
        bad("a long too large", "big=9223372036854775808", "out-of-range"),
        bad("a long too small", "big=-9223372036854775809", "out-of-range"),
        bad("a float too large", "f=1e39", "out-of-range"),
        bad("a double too large", "d=1e400", "out-of-range"),
        post("a bad second line", format!("{good}\n{{}}\n{good}"), 422, "missing-attribute").at(1),
        post("a cut last line", format!("{good}\n{{\"text\""), 400, "malformed").at(1),
        post("lines of another form", "a,1\nb,2", 400, "malformed")
            .with("content-type", "application/x-ndjson"),
        post("no time", "{\"id\":\"a\",\"time\":null}", 422, "missing-attribute")
            .to("/api/v1/plans/p/streams/Timed?timestamp=time"),
    ]
}

/// Too much of anything, and other forms.
fn limits_and_forms() -> Vec<Row> {
    let good = event("");
    let text = |length: usize| event(&format!("text=\"{}\"", "x".repeat(length)));
    let many = format!("[{}{good}]", format!("{good},").repeat(100_000));
    let form = |form: &'static str| {
        let row = post("another form", event(""), 415, "unsupported-media-type");
        row.without_index().with("content-type", form)
    };
    vec![
        post("10 MB", text(10 << 20), 413, "body-too-large").without_index(),
        post("10 MB in chunks", chunked(&text(10 << 20)), 413, "body-too-large")
            .without_index()
            .with("transfer-encoding", "chunked"),
        post("100,001 events", many, 413, "too-many-events").at(100_000),
        form("text/csv"),
        form("application/xml"),
        form("multipart/form-data; boundary=x"),
        form("application/json; charset=utf-16"),
        form("nonsense"),
        post("compressed", "x", 415, "unsupported-media-type")
            .without_index()
            .with("content-encoding", "gzip"),
    ]
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Wrong addresses, methods, parameters and hosts.
fn addresses() -> Vec<Row> {
    let stream = |rest: &str| format!("{STREAM}{rest}");
    let bad = |what, rest: &str| ask(what, "POST", &stream(rest), 400, "bad-parameter");
    let look = |what, rest: &str| ask(what, "GET", &stream(rest), 400, "bad-parameter");
    let plan = |rest: &str| format!("/api/v1/plans/{rest}");
    let long = format!("/{}", "x".repeat(9000));
    vec![
        ask("an unknown stream", "POST", &plan("p/streams/T"), 404, "unknown-stream"),
        ask("another case", "POST", &plan("p/streams/s"), 404, "unknown-stream"),
        ask("a table", "POST", &plan("p/streams/Seen"), 404, "unknown-stream"),
        ask("an unknown plan", "POST", &plan("q/streams/S"), 404, "unknown-plan"),
        ask("events of an unknown plan", "GET", &plan("q/streams/S/events"), 404, "unknown-plan"),
        ask("tail of an unknown stream", "GET", &plan("p/streams/T/tail"), 404, "unknown-stream"),
        ask("query of an unknown plan", "POST", &plan("q/query"), 404, "unknown-plan"),
        ask("a way out", "GET", &plan("..%2f..%2fetc"), 404, "unknown-plan"),
        ask("no UTF-8 in the address", "GET", &plan("%ff"), 404, "unknown-plan"),
        ask("nothing", "GET", "/nothing", 404, "not-found"),
        ask("no code", "GET", "/problems/nothing", 404, "not-found"),
        ask("a long address", "GET", &long, 414, "address-too-long"),
        ask("looking", "GET", STREAM, 405, "method-not-allowed"),
        ask("putting", "PUT", STREAM, 405, "method-not-allowed"),
        ask("deleting", "DELETE", STREAM, 405, "method-not-allowed"),
        ask("patching", "PATCH", "/api/v1/plans", 405, "method-not-allowed"),
        ask("tracing", "TRACE", "/", 405, "method-not-allowed"),
        ask("an own method", "FETCH", STREAM, 405, "method-not-allowed"),
        bad("an unknown parameter", "?akc=applied"),
        bad("an unknown value", "?ack=never"),
        bad("a parameter twice", "?ack=applied&ack=applied"),
        bad("a time that is no attribute", "?timestamp=t"),
        bad("a time that is no long", "?timestamp=text"),
        look("a limit below zero", "/events?limit=-1"),
        look("a limit in words", "/events?limit=ten"),
        look("no id", "/events?after=x"),
        look("no id either", "/tail").with("last-event-id", "yesterday"),
        ask("a trigger", "POST", &plan("p/streams/Daily"), 409, "not-an-input"),
        ask("a fault stream", "POST", &plan("p/streams/!Careful"), 409, "not-an-input"),
        ask("from a site", "POST", STREAM, 403, "foreign-request")
            .with("origin", "https://example.org"),
        ask("to a site", "POST", STREAM, 403, "foreign-request").with("host", "example.org"),
    ]
}

/// Questions that are none, and texts of plans that cannot be read.
fn queries() -> Vec<Row> {
    let asks = |what, body: &str, status, code| {
        let row = post(what, body, status, code).without_index();
        row.to("/api/v1/plans/p/query")
    };
    let check = |what, body: &[u8], status, code| {
        post(what, body, status, code).without_index().to("/api/v1/check")
    };
    let deep = format!("from Seen on {}n == 1", "(".repeat(10_000));
    vec![
        asks("no question", "", 422, "query-refused"),
        asks("words", "what is there?", 422, "query-refused"),
        asks("an unknown table", "from Sen select text", 422, "query-refused"),
        asks("a stream", "from S select text", 422, "query-refused"),
        asks("an unknown column", "from Seen select texts", 422, "query-refused"),
        asks("10,000 parentheses", &deep, 422, "query-refused"),
        asks("no text in it", "{\"query\": 1}", 400, "malformed"),
        asks("another member", "{\"query\": \"from Seen\", \"limit\": 1}", 400, "malformed"),
        asks("JSON cut off", "{\"query\": \"from Seen", 400, "malformed"),
        asks("a long question", &"x".repeat(65 << 10), 413, "body-too-large"),
        check("no UTF-8", b"define stream \xff", 400, "not-utf-8"),
        check("no text in it", b"{\"text\": \"\"}", 400, "malformed"),
        check("5 MB", &b"-".repeat(5 << 20), 413, "body-too-large"),
    ]
}

#[test]
fn what_is_wrong_is_refused_whole_with_a_code() {
    let node = Node::start(&[("p.siddhi", PLAN)], "");
    node.wait_for_plan("p");
    node.send("p", "S", &serde_json::from_str(&event("")).unwrap());
    let rows: Vec<Row> = [broken_bodies(), misfits(), limits_and_forms(), addresses(), queries()]
        .into_iter()
        .flatten()
        .collect();
    assert!(rows.len() >= 60, "{}", rows.len());
    let mut faults = Vec::new();
    for row in &rows {
        let body = (row.method != "GET").then_some(row.body.as_slice());
        let answer = client::ask(node.address(), row.method, &row.path, &row.headers, body);
        faults.extend(judge(row, &answer));
        let taken = node.events_in("p");
        if taken != 1 {
            faults.push(format!("{}: {taken} events were taken", row.what));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    assert_eq!(node.events("p", "S").len(), 1);
}

/// What is wrong with an answer.
fn judge(row: &Row, answer: &Answer) -> Option<String> {
    let problem = answer.json();
    let is_document = answer.header("content-type") == Some("application/problem+json");
    let whole = problem["status"] == row.status
        && problem["type"] == format!("/problems/{}", row.code)
        && problem["detail"].as_str().is_some_and(|detail| !detail.is_empty())
        && problem["title"].is_string();
    let good = answer.status == row.status && problem["code"] == row.code;
    let index = problem["index"].as_u64();
    if good && whole && is_document && index == row.index {
        return None;
    }
    let Row { what, method, path, status, code, .. } = row;
    let shown: String = path.chars().take(60).collect();
    let found: String = answer.text().chars().take(400).collect();
    let expected = format!("{status} {code} {:?}", row.index);
    Some(format!("{what} ({method} {shown}): not {expected} but {} {found}", answer.status))
}

/// The web server answers these by itself, with no more than a status; the manual says so.
#[test]
fn what_is_below_the_api_is_answered_with_a_status() {
    let node = Node::start(&[], "");
    let get = |address: &str, more: &str| {
        format!("GET {address} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
    };
    let lines = |count: usize| "X: y\r\n".repeat(count);
    let rows = [
        ("hello\r\n\r\n".to_owned(), 400),
        ("GET /\r\n\r\n".to_owned(), 400),
        (get(&format!("/{}", "x".repeat(66 << 10)), ""), 400),
        (get("/", &format!("X: {}\r\n", "x".repeat(200 << 10))), 431),
        (get("/", &lines(96)), 431),
        // Half of a head: the node waits for the rest, and then no longer.
        ("GET / HTTP/1.1\r\nHo".to_owned(), 408),
    ];
    for (request, status) in rows {
        let mut stream = client::connect(node.address());
        // The node may hang up before all is written, and before all of the answer is read.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let shown: String = request.chars().take(60).collect();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{shown:?} has a body now: {answer}");
    }
    let most = client::ask(node.address(), "GET", "/", &[("X", "y"); 90], None);
    assert_eq!(most.status, 200);
}

/// What is not even HTTP is refused by the protocol itself, without a document.
#[test]
fn what_is_no_http_takes_nothing() {
    let node = Node::start(&[("p.siddhi", PLAN)], "");
    node.wait_for_plan("p");
    let good = event("");
    let length = good.len();
    let long = format!("X: {}\r\n", "x".repeat(200 << 10));
    let head = |more: &str| format!("POST {STREAM} HTTP/1.1\r\nHost: localhost\r\n{more}");
    let requests = [
        "hello\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        format!("POST {STREAM} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{good}"),
        head(&format!("Content-Length: x\r\n\r\n{good}")),
        head(&format!("Content-Length: -1\r\n\r\n{good}")),
        head(&format!("Content-Length: {length}\r\nContent-Length: 3\r\n\r\n{good}")),
        head(&format!("Transfer-Encoding: chunked\r\n\r\nzz\r\n{good}")),
        head(&format!("Transfer-Encoding: gzip\r\n\r\n{good}")),
        head(&format!("Content-Length: {}\r\n\r\n{good}", length + 1)),
        head(&format!("{long}\r\n{good}")),
    ];
    for request in requests {
        let mut stream = client::connect(node.address());
        // The node may hang up before all is written.
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let shown: String = request.chars().take(80).collect();
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{shown:?} was answered {answer}");
        assert_eq!(node.events_in("p"), 0, "{shown:?}");
    }
    node.send("p", "S", &serde_json::from_str(&good).unwrap());
}
