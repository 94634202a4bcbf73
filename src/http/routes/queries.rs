//! On-demand queries on the tables and windows of a plan.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Data;
use actix_web::web::Path;
use actix_web::web::Payload;

use crate::actors::plan::Answer;
use crate::actors::plan::AskError;
use crate::actors::plan::Closed;
use crate::http::Api;
use crate::http::body;
use crate::http::documents;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::http::reading;
use crate::http::routes::plans::attributes;
use crate::mappers::json::write_value;
use crate::store::Kind;

/// The longest text of a query; bytes.
const QUERY_BYTES_MAX: usize = 64 << 10;
/// The longest answer; rows.
const ROWS_MAX: usize = 100_000;
/// How long a query may wait and run.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Asks a table or a named window of a plan, or writes to a table.
///
/// The body is the query, or `{"query": "…"}`. It stands in line with the events: it sees all that
/// were accepted before it. An external table is read in its store, once what the plan wrote to it
/// before is there.
#[utoipa::path(post, path = "/api/v1/plans/{plan}/query", tag = "plans",
    params(
        ("plan" = String, Path, description = "The plan"),
        ("node" = Option<String>, Query, description = "`active`: only the active node of a pair \
            may answer; `any` by default"),
        ("Twinflow-At-Least" = Option<u64>, Header, description = "Answer once the entry of the \
            plan's log at this position was applied on this node; within 10 s"),
    ),
    request_body(content((String = "text/plain"), (Object = "application/json"))),
    responses(
        (status = 200, description = "The answer", body = documents::Answer),
        (status = 400, description = "`malformed`, `not-utf-8`, `bad-parameter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 404, description = "`unknown-plan`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`plan-not-running`, `plan-changed`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 413, description = "`body-too-large`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 415, description = "`unsupported-media-type`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 421, description = "`not-active`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 422, description = "`query-refused`, `answer-too-large`, `sql-too-slow`, \
            `poison`", body = Problem, content_type = problem::MEDIA_TYPE),
        (status = 503, description = "`not-in-time`, `overloaded`, `not-ready`, `store-away`, \
            `store-behind`: try again after `Retry-After` seconds", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn query(
    api: Data<Api>,
    request: HttpRequest,
    plan: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    let parameters = Parameters::read(&request, &[reading::NODE])?;
    reading::check_node(&api, &parameters).await?;
    let station = api.station(&plan)?;
    let body = body::read(&request, payload, body::TEXTS, QUERY_BYTES_MAX).await?;
    let text = body::text(&request, &body, "query")?;
    api.waiting().check(&plan)?;
    reading::wait(&api, &request, &station).await?;
    let asked = api.waiting().wait(&plan, ANSWER_TIME, station.ask(&text)).await?;
    let answer = asked.map_err(|error| refuse(&api, &plan, error))?;
    if !answer.schema.attributes.is_empty() {
        // A write counts, whoever ordered it.
        reading::check_node(&api, &parameters).await?;
    }
    if answer.rows.len() > ROWS_MAX {
        let rows = answer.rows.len();
        let detail = format!("expected at most {ROWS_MAX} rows, found {rows}; `limit` ends sooner");
        return Err(Refusal::new(problem::ANSWER_TOO_LARGE, detail));
    }
    let mut found = HttpResponse::Ok();
    reading::mark(&mut found, &station);
    Ok(found.content_type("application/json").body(write(&answer)))
}

fn refuse(api: &Api, plan: &str, error: AskError) -> Refusal {
    match error {
        AskError::Refused { source_text, diagnostics } => {
            Refusal::about_text(problem::QUERY_REFUSED, &source_text, &diagnostics)
        }
        AskError::Exceeded(complaint) => {
            Refusal::new(problem::OVERLOADED, format!("`{plan}`: {complaint}"))
        }
        AskError::TooLarge(text) => Refusal::new(problem::ANSWER_TOO_LARGE, text),
        AskError::Behind(text) => Refusal::new(problem::STORE_BEHIND, text),
        AskError::Store(error) => {
            let kind = match error.kind {
                Kind::Refused | Kind::Conflict => problem::QUERY_REFUSED,
                Kind::Slow => problem::SQL_TOO_SLOW,
                Kind::Stopped | Kind::Lost | Kind::Busy | Kind::Deposed | Kind::Broken => {
                    problem::STORE_AWAY
                }
            };
            Refusal::new(kind, error.message)
        }
        AskError::Misfit(misfit) => misfit.into(),
        AskError::Closed(Closed) => api.not_running(plan),
    }
}

/// The document [`Answer`](documents::Answer), without a value of `serde_json` for each cell.
fn write(answer: &Answer) -> Vec<u8> {
    let columns = serde_json::to_vec(&attributes(&answer.schema));
    let mut out = b"{\"columns\":".to_vec();
    out.extend(columns.expect("names and types are plain texts"));
    out.extend_from_slice(b",\"rows\":[");
    for (index, row) in answer.rows.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"[" } else { b",[" });
        for (column, value) in row.iter().enumerate() {
            if column > 0 {
                out.push(b',');
            }
            write_value(value, &mut out);
        }
        out.push(b']');
    }
    out.extend_from_slice(b"]}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Schema;
    use crate::event::Value;

    #[test]
    fn an_answer_is_written_as_json() {
        let schema = Schema::new([("a", DataType::Text), ("b", DataType::Double)]);
        let rows = vec![
            vec![Value::Text("x\"".into()), Value::Double(1.0)],
            vec![Value::Null, Value::Double(f64::NAN)],
        ];
        let written = write(&Answer { schema, rows });
        let document: serde_json::Value = serde_json::from_slice(&written).unwrap();
        let columns = serde_json::json!([
            { "name": "a", "type": "string" },
            { "name": "b", "type": "double" },
        ]);
        assert_eq!(document["columns"], columns);
        assert_eq!(document["rows"], serde_json::json!([["x\"", 1.0], [null, null]]));
    }
}
