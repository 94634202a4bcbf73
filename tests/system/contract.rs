//! The API document says what is so: every route it describes answers as described.

use serde_json::Value;
use serde_json::json;

use crate::node::Node;
use crate::node::client;
use crate::node::client::Answer;

const PLAN: &str = "
@source(type='http', path='/door')
define stream In (n long);
define table Kept (n long);
from In select n insert into Out;
from In select n insert into Kept;
";

/// A request that is answered well, for each route.
fn example(method: &str, path: &str) -> (String, Option<&'static str>) {
    let body = match (method, path) {
        ("post", "/api/v1/check") => Some("define stream S (a int);"),
        ("post", "/api/v1/plans/{plan}/query") => Some("from Kept select n"),
        // Without rows, whose values may be of any type.
        ("post", "/api/v1/sql") => Some("SELECT 1 AS one WHERE 1 = 0"),
        ("post", _) => Some("{\"n\":1}"),
        ("put", "/api/v1/plans/{plan}") => Some("define stream S (a int);"),
        _ => None,
    };
    // Methods stand in order of their names: what is deleted is there again after the put.
    let plan = if matches!(method, "put" | "delete") { "q" } else { "p" };
    let filled = [
        ("{plan}", plan),
        ("{stream}", "In"),
        ("{code}", "malformed"),
        ("{path}", "door"),
        ("{id}", "7"),
    ];
    let several = path.ends_with("/dead-letters") && method == "delete"
        || path.ends_with("/dead-letters/replay");
    let path = filled.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    let needs = match (method, path.as_str()) {
        ("post", "/api/v1/sql") => "?store=EVENT_STORE",
        _ if several => "?all=true",
        _ => "",
    };
    (path + needs, body)
}

fn ask(node: &Node, method: &str, path: &str, body: Option<&str>) -> Answer {
    let method = method.to_uppercase();
    client::ask(node.address(), &method, path, &[], body.map(str::as_bytes))
}

#[test]
fn every_described_route_answers_as_described() {
    let node = Node::start(&[("p.siddhi", PLAN), ("q.siddhi", "define stream S (a int);")], "");
    node.wait_for_plan("p");
    node.wait_for_plan("q");
    node.wait(crate::node::SOON, "the receiver is open", || {
        let paths = node.get("/api/v1/receivers").json();
        (paths[0]["path"] == "/api/v1/receivers/door").then_some(())
    });
    let document = node.get("/api/v1/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let mut routes = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            routes += 1;
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            let (filled, body) = example(method, path);
            if path.ends_with("/tail") {
                drop(node.tail("p", "In", ""));
                continue;
            }
            let answer = ask(&node, method, &filled, body);
            if filled.starts_with("/api/v1/ha") {
                // This node is alone; the pair's own tests ask pairs.
                assert_eq!(answer.json()["code"], "no-pair", "{method} {filled}");
                assert!(operation["responses"]["409"].is_object(), "{method} {filled}");
                continue;
            }
            if filled.starts_with("/api/v1/sql/") {
                // No statement runs here; the tests of SQL end some.
                assert_eq!(answer.json()["code"], "unknown-statement", "{method} {filled}");
                assert!(operation["responses"]["404"].is_object(), "{method} {filled}");
                continue;
            }
            if filled.contains("/dead-letters/7") {
                // There is none; their own tests have some.
                assert_eq!(answer.json()["code"], "unknown-dead-letter", "{method} {filled}");
                assert!(operation["responses"]["404"].is_object(), "{method} {filled}");
                continue;
            }
            assert!(answer.status < 300, "{method} {filled}: {} {}", answer.status, answer.text());
            let described = &operation["responses"][answer.status.to_string()];
            assert!(described.is_object(), "{method} {filled}: {} is not told", answer.status);
            let form = answer.header("content-type").unwrap().to_owned();
            let forms = described["content"].as_object().unwrap();
            let told = forms.keys().any(|told| form == *told || form.starts_with(told.as_str()));
            assert!(told, "{method} {filled}: {form} is not told");
            if form == "application/json" {
                fits(&document, &described["content"][&form]["schema"], &answer.json(), &filled);
            }
            let refused = ask(&node, "options", &filled, None);
            assert_eq!(refused.status, 405, "{filled}");
            let allow = refused.header("allow").unwrap();
            assert!(allow.contains(&method.to_uppercase()), "{filled}: {allow}");
            if method == "get" && allow.contains("HEAD") {
                let head = ask(&node, "head", &filled, None);
                assert_eq!((head.status, head.body.len()), (answer.status, 0), "HEAD {filled}");
            }
        }
    }
    assert!(routes >= 15, "{routes}");
}

/// Compares an answer with its schema: types, required members, no member that is not told.
fn fits(document: &Value, schema: &Value, found: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        let schema = document.pointer(pointer).unwrap_or_else(|| panic!("no {reference}"));
        return fits(document, schema, found, place);
    }
    if let Some(all) = schema["allOf"].as_array() {
        let mut members = serde_json::Map::new();
        for part in all {
            let pointer = part["$ref"].as_str().map(|text| text.trim_start_matches('#'));
            let part = pointer.map_or(part, |pointer| {
                &document["components"]["schemas"][pointer.rsplit('/').next().unwrap_or_default()]
            });
            members.extend(part["properties"].as_object().cloned().unwrap_or_default());
        }
        let whole = json!({ "type": "object", "properties": members });
        return fits(document, &whole, found, place);
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => return,
        one => vec![one.clone()],
    };
    let is_a = |name: &str| match name {
        "object" => found.is_object(),
        "array" => found.is_array(),
        "string" => found.is_string(),
        "integer" => found.is_i64() || found.is_u64(),
        "number" => found.is_number(),
        "boolean" => found.is_boolean(),
        "null" => found.is_null(),
        other => panic!("{place}: type {other}"),
    };
    let fit = types.iter().any(|name| name.as_str().is_some_and(is_a));
    assert!(fit, "{place}: expected {types:?}, found {found}");
    if let (Some(members), Some(told)) = (found.as_object(), schema["properties"].as_object()) {
        for (name, member) in members {
            let schema = told.get(name);
            let schema = schema.unwrap_or_else(|| panic!("{place}: `{name}` is not told"));
            fits(document, schema, member, &format!("{place}.{name}"));
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(
                name.as_str().is_some_and(|name| members.contains_key(name)),
                "{place}: no {name}"
            );
        }
    }
    for element in found.as_array().into_iter().flatten() {
        fits(document, &schema["items"], element, &format!("{place}[]"));
    }
}

#[test]
fn a_problem_is_as_described_and_leads_to_its_explanation() {
    let node = Node::start(&[], "");
    let document = node.get("/api/v1/openapi.json").json();
    let answer = node.post("/api/v1/plans/p/streams/S", "{}");
    let problem = answer.json();
    fits(&document, &json!({ "$ref": "#/components/schemas/Problem" }), &problem, "problem");
    let about = node.get(problem["type"].as_str().unwrap()).json();
    assert_eq!((&about["code"], &about["title"]), (&problem["code"], &problem["title"]));
    let all = node.get("/problems").json();
    assert!(all.as_array().unwrap().contains(&about));
}

#[test]
fn the_first_page_leads_to_pages_that_are_there() {
    let node = Node::start(&[], "");
    let home = node.get("/").json();
    for link in home["links"].as_object().unwrap().keys() {
        let status = node.get(link).status;
        assert!(status == 200 || status == 503, "{link}: {status}");
    }
    let page = client::ask(node.address(), "GET", "/", &[("accept", "text/html,*/*")], None);
    assert!(page.text().contains("<a href=\"/api/v1/plans\">"), "{}", page.text());
}
