//! The HTTP publisher against a server of a few lines.

use super::*;
use crate::event::DataType;
use crate::event::Schema;
use crate::event::Value;
use crate::publishers::harness::Sink;
use std::collections::VecDeque;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// A request as the server saw it.
#[derive(Debug)]
struct Seen {
    line: String,
    headers: Vec<String>,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        let find = |line: &&String| line.to_lowercase().starts_with(&format!("{name}:"));
        self.headers.iter().find(find).map(|line| line[name.len() + 1..].trim())
    }
}

/// Serves one connection and answers with the statuses in turn; 0 closes without an answer.
fn server(statuses: &[u16]) -> (String, mpsc::Receiver<Seen>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, seen) = mpsc::channel();
    let mut statuses: VecDeque<u16> = statuses.iter().copied().collect();
    let thread = std::thread::spawn(move || {
        while !statuses.is_empty() {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            while let Some(&status) = statuses.front() {
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    match line.trim_end() {
                        "" => break,
                        line => lines.push(line.to_owned()),
                    }
                }
                if lines.is_empty() {
                    break;
                }
                let mut seen = Seen { line: lines.remove(0), headers: lines, body: String::new() };
                let length = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                seen.body = String::from_utf8(body).unwrap();
                tell.send(seen).unwrap();
                statuses.pop_front();
                if status == 0 {
                    break;
                }
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok");
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    (address, seen, thread)
}

fn schema() -> Schema {
    Schema::new([("user", DataType::Text), ("n", DataType::Long)])
}

fn row(user: &str, n: i64) -> [Value; 2] {
    [Value::from(user), Value::Long(n)]
}

#[test]
fn each_message_is_a_request_with_an_id_of_its_own() {
    let (address, seen, thread) = server(&[200, 204]);
    let sink = Sink::new("http", &schema())
        .option("publisher.url", &format!("{address}/alerts/{{{{user}}}}?n={{{{n}}}}"))
        .option("method", "put")
        .option("headers", "'X-Team:blue','X-User:{{user}}, again'")
        .option("basic.auth.username", "me")
        .option("basic.auth.password", "secret");
    let mut publisher = sink.build();
    publisher.open().unwrap();
    let rows = [row("a/b c", 1), row("d", 2)];
    publisher.publish(&sink.parcel(5, &[&rows[0], &rows[1]])).unwrap();
    thread.join().unwrap();
    let first = seen.recv().unwrap();
    assert_eq!(first.line, "PUT /alerts/a%2Fb%20c?n=1 HTTP/1.1");
    assert_eq!(first.body, r#"{"event":{"user":"a/b c","n":1}}"#);
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("x-team"), Some("blue"));
    assert_eq!(first.header("x-user"), Some("a/b c, again"));
    assert_eq!(first.header("authorization"), Some("Basic bWU6c2VjcmV0"));
    let second = seen.recv().unwrap();
    let id = |seen: &Seen| seen.header("idempotency-key").unwrap().to_owned();
    assert!(id(&first).starts_with("p/S/") && id(&first).ends_with("/5"), "{}", id(&first));
    assert!(id(&second).ends_with("/6"));
}

#[test]
fn what_arrived_is_not_sent_again_and_what_may_pass_is() {
    let (address, seen, thread) = server(&[200, 503, 0, 200, 200]);
    let sink = Sink::new("http", &schema()).option("publisher.url", &address);
    let mut publisher = sink.build();
    publisher.open().unwrap();
    let rows = [row("a", 1), row("b", 2), row("c", 3)];
    let rows: Vec<&[Value]> = rows.iter().map(|row| &row[..]).collect();
    let parcel = sink.parcel(1, &rows);
    let error = publisher.publish(&parcel).unwrap_err();
    assert!(error.transient && error.message.contains("status 503"), "{error}");
    assert!(publisher.publish(&parcel).unwrap_err().transient);
    publisher.publish(&parcel).unwrap();
    thread.join().unwrap();
    let bodies: Vec<(String, String)> = seen
        .iter()
        .map(|seen| {
            let id = seen.header("idempotency-key").unwrap();
            let number = id.rsplit('/').next().unwrap().to_owned();
            (seen.body[18..19].to_owned(), number)
        })
        .collect();
    let pair = |user: &str, number: &str| (user.to_owned(), number.to_owned());
    let expected = [pair("a", "1"), pair("b", "2"), pair("b", "2"), pair("b", "2"), pair("c", "3")];
    assert_eq!(bodies, expected);
}

#[test]
fn what_is_refused_for_good_is_named_by_its_rows() {
    let (address, seen, thread) = server(&[200, 422, 200]);
    let sink = Sink::new("http", &schema())
        .option("publisher.url", &address)
        .option("headers", "X-User:{{user}}");
    let mut publisher = sink.build();
    publisher.open().unwrap();
    let rows = [row("a", 1), row("b", 2), row("c\r\nX-Forged: 1", 3), row("d", 4)];
    let rows: Vec<&[Value]> = rows.iter().map(|row| &row[..]).collect();
    let parcel = sink.parcel(1, &rows);
    let error = publisher.publish(&parcel).unwrap_err();
    assert_eq!((error.transient, error.rows), (false, Some(1..2)));
    let error = publisher.publish(&parcel).unwrap_err();
    assert_eq!((error.transient, error.rows), (false, Some(2..3)));
    assert!(error.message.contains("cannot carry"), "{}", error.message);
    publisher.publish(&parcel).unwrap();
    thread.join().unwrap();
    let users: Vec<String> = seen.iter().map(|seen| seen.body[18..19].to_owned()).collect();
    assert_eq!(users, ["a", "b", "d"]);
    // Nobody is there any more.
    let error = publisher.publish(&sink.parcel(9, &rows[..1])).unwrap_err();
    assert!(error.transient);
}

#[test]
fn options_are_checked() {
    let http = |url: &str| Sink::new("http", &schema()).option("publisher.url", url);
    for (sink, words) in [
        (Sink::new("http", &schema()), "needs the option `publisher.url`"),
        (http("localhost:80"), "expected `http://host:port/path`"),
        (http("https://a"), "not supported yet: addresses that begin with `https://`"),
        (http("http://a/{{usr}}"), "did you mean `user`?"),
        (http("http://a").option("headers", "X"), "expected `Name:value`, found `X`"),
        (http("http://a").option("headers", "X Y:1"), "expected `Name:value`"),
        (http("http://a").option("headers", "X:{{usr}}"), "did you mean `user`?"),
        (http("http://a").option("basic.auth.username", "x"), "go together"),
        (http("http://a").option("method", "FETCH"), "one of `POST`, `PUT`"),
        (http("http://a").option("oauth.username", "x"), "not supported yet: option"),
    ] {
        let faults = sink.faults();
        assert!(faults[0].message.contains(words), "{words}: {faults:?}");
    }
}

#[test]
fn answers_mean_taken_later_or_refused() {
    for (status, expected) in [
        (200, Verdict::Taken),
        (202, Verdict::Taken),
        (301, Verdict::Refused),
        (400, Verdict::Refused),
        (409, Verdict::Refused),
        (408, Verdict::Later),
        (429, Verdict::Later),
        (500, Verdict::Later),
        (503, Verdict::Later),
    ] {
        assert_eq!(verdict(status), expected, "{status}");
    }
}
