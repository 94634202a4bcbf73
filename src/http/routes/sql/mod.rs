//! SQL: one read-only SELECT over a named store, told as it comes.
//!
//! A thread of its own runs the statement. Between it and the answer lie a few parts, so a slow
//! reader slows the database down and costs no memory. While nothing comes an answer in JSON says
//! an empty line from time to time: that is how it is noticed that nobody reads any more.

mod statements;
mod write;

pub use statements::Statements;

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::Bytes;
use actix_web::web::Data;
use actix_web::web::Path;
use actix_web::web::Payload;
use futures_util::stream;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::http::Api;
use crate::http::body;
use crate::http::documents;
use crate::http::parameters;
use crate::http::parameters::Parameters;
use crate::http::problem;
use crate::http::problem::Problem;
use crate::http::problem::Refusal;
use crate::http::routes::sql::statements::Running;
use crate::http::routes::sql::statements::Word;
use crate::http::routes::sql::write::Form;
use crate::http::routes::sql::write::Writer;
use crate::store::End;
use crate::store::Kind;
use crate::store::Select;
use crate::store::Stop;
use crate::store::StoreError;

/// The longest text of a statement; bytes.
const SQL_BYTES_MAX: usize = 64 << 10;
/// Rows where the request does not say.
const ROWS: usize = 1_000;
/// The most rows that can be asked for.
const ROWS_MAX: usize = 1_000_000;
/// Time where the request does not say.
const TIME: Duration = Duration::from_secs(10);
/// The most time that can be asked for.
const TIME_MAX: Duration = Duration::from_secs(600);
/// So long a statement that is still at work may yet be refused with a status of its own.
const HEAD_TIME: Duration = Duration::from_secs(2);
/// After so long without a word an empty line is said.
const QUIET_TIME: Duration = Duration::from_secs(1);
/// The longest answer in CSV, which is gathered before it is sent; bytes.
const CSV_BYTES_MAX: usize = 16 << 20;

/// Runs one SELECT over a store; whatever would write is refused.
///
/// The body is the statement, or `{"query": "…"}`. An answer with more rows than `limit` is cut and
/// says so: `complete` is false then, and of CSV the header `Twinflow-Complete`. A client that goes
/// away ends the statement.
#[utoipa::path(post, path = "/api/v1/sql", tag = "stores",
    params(
        ("store" = String, Query, description = "The store, by its name in the settings"),
        ("limit" = Option<usize>, Query, description = "At most so many rows; 1,000 by default, \
            up to 1,000,000"),
        ("time" = Option<usize>, Query, description = "At most so many milliseconds; 10,000 by \
            default, up to 600,000"),
        ("format" = Option<String>, Query, description = "`json` (default), `jsonl`: a document \
            a line, the columns first, then rows, then how it ended; or `csv`, at most 16 MiB"),
        ("id" = Option<String>, Query, description = "A name of yours, by which it can be ended"),
    ),
    request_body(content((String = "text/plain"), (Object = "application/json"))),
    responses(
        (status = 200, description = "The rows", content(
            (documents::Selected = "application/json"),
            (String = "application/jsonl"),
            (String = "text/csv"),
        )),
        (status = 400, description = "`malformed`, `not-utf-8`, `bad-parameter`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 404, description = "`unknown-store`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 409, description = "`sql-stopped`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 413, description = "`body-too-large`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 415, description = "`unsupported-media-type`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 422, description = "`sql-refused`, `sql-too-slow`", body = Problem,
            content_type = problem::MEDIA_TYPE),
        (status = 503, description = "`store-away`, `overloaded`: try again after \
            `Retry-After` seconds", body = Problem, content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn ask(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    let known = ["store", "limit", "time", "format", "id"];
    let parameters = Parameters::read(&request, &known)?;
    let form = Form::named(parameters.word("format", &["json", "jsonl", "csv"])?);
    let rows_max = bounded(&parameters, "limit", ROWS, ROWS_MAX)?;
    let milliseconds = |time: Duration| usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
    let time = bounded(&parameters, "time", milliseconds(TIME), milliseconds(TIME_MAX))?;
    let store = parameters.text("store").filter(|name| !name.is_empty()).ok_or_else(|| {
        parameters::refuse("parameter `store`: expected the name of a store".to_owned())
    })?;
    let store = api.store(store)?;
    let body = body::read(&request, payload, body::SQL, SQL_BYTES_MAX).await?;
    let sql = body::text(&request, &body, "query")?;
    let time_max = Duration::from_millis(time as u64);
    let select = Select { sql, time_max, rows_max, stop: Stop::default() };
    let id = parameters.text("id");
    let (running, words) = api.statements().start(&store, select, id)?;
    let writer = Writer::new(form);
    match form {
        Form::Csv => gather(running, words, writer).await,
        Form::Json | Form::Lines => tell(running, words, writer).await,
    }
}

fn bounded(
    parameters: &Parameters,
    name: &str,
    usual: usize,
    most: usize,
) -> Result<usize, Refusal> {
    let number = parameters.count(name)?.unwrap_or(usual);
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(parameters::refuse(format!("parameter `{name}`: expected 1 to {most}, found {number}")))
}

/// Lists the statements that run.
#[utoipa::path(get, path = "/api/v1/sql", tag = "stores",
    responses((status = 200, description = "They", body = documents::RunningStatements)),
)]
pub async fn running(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    let statements = api.statements().all();
    Ok(HttpResponse::Ok().json(documents::RunningStatements { statements }))
}

/// Ends a statement that runs; whoever asked it is told so.
#[utoipa::path(delete, path = "/api/v1/sql/{id}", tag = "stores",
    params(("id" = String, Path, description = "The statement's id, from the list or of yours")),
    responses(
        (status = 202, description = "It is being ended", body = documents::RunningStatement),
        (status = 404, description = "`unknown-statement`", body = Problem,
            content_type = problem::MEDIA_TYPE),
    ),
)]
pub async fn end(
    api: Data<Api>,
    request: HttpRequest,
    id: Path<String>,
) -> Result<HttpResponse, Refusal> {
    Parameters::read(&request, &[])?;
    match api.statements().stop(&id) {
        Some(statement) => Ok(HttpResponse::Accepted().json(statement)),
        None => {
            let detail = format!("no statement `{id}` runs; `/api/v1/sql` lists them");
            Err(Refusal::new(problem::UNKNOWN_STATEMENT, detail))
        }
    }
}

/// Answers as rows come. What is known soon to fail is refused with a status; what fails later says
/// so at the end of the answer.
async fn tell(
    running: Running,
    mut words: Receiver<Word>,
    mut writer: Writer,
) -> Result<HttpResponse, Refusal> {
    let mut begun = Vec::new();
    let first = async {
        while !writer.has_rows() {
            match words.recv().await {
                Some(Word::Part(part)) => writer.part(&part, &mut begun),
                Some(Word::End(end)) => return Some(end),
                None => return Some(Err(gone())),
            }
        }
        None
    };
    let ended = timeout(HEAD_TIME, first).await.unwrap_or(None);
    let mut answer = HttpResponse::Ok();
    answer.content_type(writer.media_type());
    let teller = match ended {
        Some(Err(error)) => return Err(refuse(&error)),
        Some(Ok(end)) => {
            writer.end(end, &mut begun);
            return Ok(answer.body(begun));
        }
        None => Teller { _running: running, words, writer, begun, ended: false },
    };
    Ok(answer.streaming(stream::unfold(teller, |mut teller| async move {
        let bytes = teller.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), teller))
    })))
}

/// An answer on its way. When it is dropped, also since nobody reads it any more, its statement
/// ends.
struct Teller {
    _running: Running,
    words: Receiver<Word>,
    writer: Writer,
    /// What was gathered before the answer's head left.
    begun: Vec<u8>,
    ended: bool,
}

impl Teller {
    /// The next piece of the body; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut out = std::mem::take(&mut self.begun);
        if out.is_empty() {
            match timeout(QUIET_TIME, self.words.recv()).await {
                // Between two rows it means nothing.
                Err(_) => out.push(b'\n'),
                Ok(Some(Word::Part(part))) => self.writer.part(&part, &mut out),
                Ok(Some(Word::End(Ok(end)))) => {
                    self.writer.end(end, &mut out);
                    self.ended = true;
                }
                Ok(word) => {
                    let error = match word {
                        Some(Word::End(Err(error))) => error,
                        _ => gone(),
                    };
                    self.writer.fail(&refuse(&error), &mut out);
                    self.ended = true;
                }
            }
        }
        Some(out.into())
    }
}

/// Gathers an answer and then sends it, for CSV has no place to say that it is not whole.
async fn gather(
    _running: Running,
    mut words: Receiver<Word>,
    mut writer: Writer,
) -> Result<HttpResponse, Refusal> {
    let mut out = Vec::new();
    let mut complete = true;
    loop {
        match words.recv().await {
            Some(Word::Part(part)) => writer.part(&part, &mut out),
            Some(Word::End(end)) => {
                complete &= end.map_err(|error| refuse(&error))? == End::Whole;
                break;
            }
            None => return Err(refuse(&gone())),
        }
        if out.len() > CSV_BYTES_MAX {
            // With whole lines, and with that the statement ends.
            complete = false;
            break;
        }
    }
    let mut answer = HttpResponse::Ok();
    answer.insert_header(("Twinflow-Complete", complete.to_string()));
    Ok(answer.content_type(writer.media_type()).body(out))
}

fn gone() -> StoreError {
    StoreError::new(Kind::Lost, "the thread of the statement ended without a word")
}

fn refuse(error: &StoreError) -> Refusal {
    let kind = match error.kind {
        Kind::Refused | Kind::Conflict => problem::SQL_REFUSED,
        Kind::Slow => problem::SQL_TOO_SLOW,
        Kind::Stopped => problem::SQL_STOPPED,
        Kind::Lost | Kind::Busy | Kind::Deposed | Kind::Broken => problem::STORE_AWAY,
    };
    Refusal::new(kind, error.message.clone())
}
