//! SQL over a store of a node, on SQLite, MariaDB and PostgreSQL alike: what reads is answered,
//! whatever else is refused or cut with a clear answer, and the node is unharmed.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::SOON;
use crate::node::client;
use crate::node::client::Answer;
use crate::servers::Place;
use crate::servers::Which;
use crate::servers::on_each;

on_each![
    what_is_selected_is_answered_in_three_forms,
    whatever_does_more_than_read_is_refused_and_says_why,
    a_statement_that_runs_for_ever_is_ended,
    ten_million_rows_are_cut_or_told_without_being_held,
    a_statement_is_ended_by_its_id,
    a_client_that_goes_away_ends_its_statement,
];

struct Asked {
    node: Node,
}

impl Asked {
    fn start(place: &Place) -> Self {
        let mut session = place.session();
        session.run("CREATE TABLE things (id BIGINT PRIMARY KEY, name VARCHAR(20))").unwrap();
        session
            .run("INSERT INTO things VALUES (1, 'nut'), (2, 'bolt, \"M8\"'), (3, NULL)")
            .unwrap();
        let settings = format!("[stores.tested]\n{}", place.settings());
        Self { node: Node::start(&[], &settings) }
    }

    fn ask(&self, more: &str, sql: &str) -> Answer {
        self.node.post(&format!("/api/v1/sql?store=tested{more}"), sql)
    }

    fn running(&self) -> Vec<Value> {
        self.node.get("/api/v1/sql").json()["statements"].as_array().unwrap().clone()
    }

    fn wait_until_running(&self, count: usize) {
        let end = Instant::now() + SOON;
        while self.running().len() != count {
            assert!(Instant::now() < end, "{:?}", self.running());
            std::thread::yield_now();
        }
    }

    fn is_unharmed(&self) {
        let answer = self.ask("", "SELECT count(*) AS c FROM things");
        assert_eq!(answer.json()["rows"], json!([[3]]), "{}", answer.text());
        assert_eq!(self.node.get("/health/ready").status, 200);
        self.wait_until_running(0);
    }
}

/// Endless, without a row.
fn endless(which: Which) -> &'static str {
    match which {
        Which::Sqlite => {
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        }
        Which::Mariadb => "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b",
        Which::Postgres => {
            "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
        }
    }
}

fn ten_million(which: Which) -> &'static str {
    match which {
        Which::Sqlite => {
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 10000000) \
             SELECT x FROM n"
        }
        Which::Mariadb => "SELECT seq FROM seq_1_to_10000000",
        Which::Postgres => "SELECT generate_series(1, 10000000)",
    }
}

fn what_is_selected_is_answered_in_three_forms(place: &Place) {
    let asked = Asked::start(place);
    let sql = "SELECT id, name FROM things ORDER BY id";
    let answer = asked.ask("", sql);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let document = answer.json();
    assert_eq!(document["complete"], true);
    assert_eq!(document["rows"], json!([[1, "nut"], [2, "bolt, \"M8\""], [3, null]]));
    let names: Vec<_> =
        document["columns"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(names, ["id", "name"]);
    let lines = asked.ask("&format=jsonl", sql).text();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[1..4], [json!([1, "nut"]), json!([2, "bolt, \"M8\""]), json!([3, null])]);
    assert_eq!(lines[4], json!({ "complete": true }));
    let csv = asked.ask("&format=csv", sql);
    assert_eq!(csv.text(), "id,name\r\n1,nut\r\n2,\"bolt, \"\"M8\"\"\"\r\n3,\r\n");
    assert_eq!(csv.header("twinflow-complete"), Some("true"));
    // None, a comment before, and the other form of the body.
    let none = asked.ask("", "-- which\nSELECT id FROM things WHERE id > 3;");
    assert_eq!(none.json()["rows"], json!([]), "{}", none.text());
    let body = json!({ "query": sql }).to_string();
    assert_eq!(asked.ask("&limit=1", &body).json()["rows"], json!([[1, "nut"]]));
    asked.is_unharmed();
}

fn whatever_does_more_than_read_is_refused_and_says_why(place: &Place) {
    let asked = Asked::start(place);
    let refused = |sql: &str| {
        let answer = asked.ask("", sql);
        assert_eq!(answer.status, 422, "{sql}: {}", answer.text());
        assert_eq!(answer.json()["code"], "sql-refused", "{sql}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("store `tested`: "), "{detail}");
        detail
    };
    for word in ["DELETE", "UPDATE", "DROP", "ATTACH", "PRAGMA", "SET", "COPY", "CALL", "BEGIN"] {
        let detail = refused(&format!("{word} things"));
        assert!(detail.contains(&format!("found `{word}`")), "{detail}");
    }
    refused("SELECT 1; SELECT 2");
    refused("SELECT 1; DROP TABLE things");
    refused("SELECT * FROM nowhere");
    refused("SELEKT 1");
    let of_its_own: &[&str] = match place.which {
        Which::Sqlite => &[
            "WITH x AS (SELECT 1) DELETE FROM things",
            "SELECT load_extension('x')",
            "WITH x AS (SELECT 1) INSERT INTO things SELECT 9, 'x'",
        ],
        Which::Mariadb => &[
            "SELECT 1 INTO OUTFILE '/tmp/twinflow-outfile'",
            "SELECT 1 INTO @x",
            "SELECT * FROM things FOR UPDATE; COMMIT",
            "/*!50000 DELETE FROM things */",
        ],
        Which::Postgres => &[
            "WITH x AS (DELETE FROM things RETURNING id) SELECT * FROM x",
            "SELECT 1 INTO other",
            "SELECT * FROM things FOR UPDATE",
            "SELECT set_config('transaction_read_only', 'off', false)",
        ],
    };
    of_its_own.iter().for_each(|sql| drop(refused(sql)));
    let wrong = |path: &str| {
        let answer = asked.node.post(path, "SELECT 1");
        (answer.status, answer.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    let (status, detail) = wrong("/api/v1/sql?store=testet");
    assert_eq!(status, 404);
    assert!(detail.contains("did you mean `tested`?"), "{detail}");
    let (status, detail) = wrong("/api/v1/sql");
    assert_eq!((status, detail.contains("parameter `store`")), (400, true), "{detail}");
    assert_eq!(wrong("/api/v1/sql?store=tested&limit=0").0, 400);
    assert_eq!(wrong("/api/v1/sql?store=tested&limit=99999999").0, 400);
    assert_eq!(wrong("/api/v1/sql?store=tested&format=xml").0, 400);
    asked.is_unharmed();
}

fn a_statement_that_runs_for_ever_is_ended(place: &Place) {
    let asked = Asked::start(place);
    for form in ["json", "jsonl", "csv"] {
        let answer = asked.ask(&format!("&time=300&format={form}"), endless(place.which));
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert_eq!(answer.json()["code"], "sql-too-slow");
        assert!(answer.text().contains("did not end within 300ms"), "{}", answer.text());
    }
    // One that is refused after the head has left.
    let late = asked.ask("&time=3000", endless(place.which));
    assert_eq!(late.status, 200);
    assert_eq!(late.json()["complete"], false, "{}", late.text());
    assert_eq!(late.json()["error"]["code"], "sql-too-slow");
    asked.is_unharmed();
}

/// The most memory that a process ever had; KiB.
fn peak(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.process())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn ten_million_rows_are_cut_or_told_without_being_held(place: &Place) {
    let asked = Asked::start(place);
    let sql = ten_million(place.which);
    let cut = asked.ask("", sql);
    let document = cut.json();
    assert_eq!(document["rows"].as_array().unwrap().len(), 1_000);
    assert_eq!(document["complete"], false);
    let said = document["cut"].as_str().unwrap();
    assert!(said.contains("more than the 1000 rows of `limit`"), "{said}");
    let csv = asked.ask("&format=csv", sql);
    assert_eq!(csv.header("twinflow-complete"), Some("false"));
    assert_eq!(csv.text().lines().count(), 1_001);
    let before = peak(&asked.node);
    let many = asked.ask("&limit=300000&time=60000&format=jsonl", sql).text();
    assert_eq!(many.lines().filter(|line| line.starts_with('[')).count(), 300_000);
    let grown = peak(&asked.node) - before;
    assert!(grown < 64 << 10, "{grown} KiB more for 300,000 rows");
    asked.is_unharmed();
}

fn a_statement_is_ended_by_its_id(place: &Place) {
    let asked = Asked::start(place);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| asked.ask("&time=60000&id=mine", endless(place.which)));
        asked.wait_until_running(1);
        let running = &asked.running()[0];
        assert_eq!((&running["id"], &running["store"]), (&json!("mine"), &json!("tested")));
        assert_eq!(running["sql"], endless(place.which));
        let again = asked.ask("&id=mine", "SELECT 1");
        assert_eq!(again.status, 400, "{}", again.text());
        let address = asked.node.address();
        let ended = client::ask(address, "DELETE", "/api/v1/sql/mine", &[], None);
        assert_eq!(ended.status, 202, "{}", ended.text());
        let answer = waiting.join().unwrap();
        let told = answer.json();
        let code = if answer.status == 200 { &told["error"]["code"] } else { &told["code"] };
        assert_eq!(code, "sql-stopped", "{}", answer.text());
        let none = client::ask(address, "DELETE", "/api/v1/sql/mine", &[], None);
        assert_eq!(none.status, 404);
    });
    asked.is_unharmed();
    let at_server = match place.which {
        Which::Sqlite => return,
        Which::Mariadb => {
            "SELECT count(*) FROM information_schema.processlist \
             WHERE info LIKE '%seq_1_to_1000000 a%' AND info NOT LIKE '%processlist%' \
             AND db = database()"
        }
        Which::Postgres => {
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%' \
             AND state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()"
        }
    };
    let end = Instant::now() + SOON;
    while asked.ask("", at_server).json()["rows"] != json!([[0]]) {
        assert!(Instant::now() < end, "it runs on at the server");
    }
}

fn a_client_that_goes_away_ends_its_statement(place: &Place) {
    let asked = Asked::start(place);
    for sql in [endless(place.which), ten_million(place.which)] {
        let mut stream = TcpStream::connect(asked.node.address()).unwrap();
        let path = "/api/v1/sql?store=tested&time=600000&limit=1000000";
        let length = sql.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{sql}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        asked.wait_until_running(1);
        if sql == ten_million(place.which) {
            // Some of the answer, and then no more.
            stream.read_exact(&mut [0; 1_000]).unwrap();
        }
        drop(stream);
        asked.wait_until_running(0);
    }
    asked.is_unharmed();
}

#[test]
fn the_command_prints_a_table_or_what_programs_read() {
    let place = Place::shared(Which::Sqlite);
    let asked = Asked::start(&place);
    let node = format!("http://{}", asked.node.address());
    let run = |arguments: &[&str]| {
        let program = env!("CARGO_BIN_EXE_twinflow");
        let done =
            Command::new(program).arg("sql").args(["--node", &node]).args(arguments).output();
        let done = done.expect("the program was built with the tests");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    };
    let sql = "SELECT id, name FROM things ORDER BY id";
    let (code, out, error) = run(&["tested", sql]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(out, "id  name\n--  ----------\n 1  nut\n 2  bolt, \"M8\"\n 3\n(3 rows)\n");
    let (_, out, error) = run(&["tested", "--limit", "1", "--format", "csv", sql]);
    assert_eq!(out, "id,name\r\n1,nut\r\n");
    assert!(error.contains("there are more rows"), "{error}");
    let (_, out, error) = run(&["tested", "--limit", "2", "--format", "jsonl", sql]);
    assert!(out.starts_with("{\"columns\":") && out.contains("\n[1,\"nut\"]\n"), "{out}");
    assert!(error.contains("there are more rows"), "{error}");
    let (code, out, error) = run(&["tested", "DROP TABLE things"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.contains("found `DROP`"), "{error}");
}
