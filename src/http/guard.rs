//! Stands before every route: whom it lets in, and what an answer looks like when something broke.
//!
//! A node has no users yet and listens to this machine alone. A page of some site that is open in a
//! browser here could still send requests (or read, by a name that it lets point at this machine);
//! so a request must name this machine as its host, and may not come from another origin.

use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::pin;
use std::task::Poll;

use actix_web::Error;
use actix_web::ResponseError as _;
use actix_web::body::EitherBody;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceRequest;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::http::header::HeaderMap;
use actix_web::middleware::Next;
use tracing::error;

use crate::actors::tree::last_panic;
use crate::http::problem;
use crate::http::problem::Refusal;

/// The longest address that is looked at; bytes.
const ADDRESS_BYTES_MAX: usize = 8 << 10;

/// Lets a request through to its route, and makes a problem document of whatever goes wrong.
///
/// # Errors
/// A problem document.
pub async fn stand_before<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    check(&request)?;
    let (method, path) = (request.method().clone(), request.path().to_owned());
    match contain(next.call(request)).await {
        Some(Ok(answer)) => Ok(speak(answer)),
        Some(Err(error)) => Err(as_problem(error)),
        None => {
            error!(%method, path, panic = last_panic(), "a request could not be answered");
            let detail = "the request met a fault of the node; its log says more";
            Err(Refusal::new(problem::INTERNAL, detail).into())
        }
    }
}

fn check(request: &ServiceRequest) -> Result<(), Refusal> {
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if address > ADDRESS_BYTES_MAX {
        let detail = format!("expected at most {ADDRESS_BYTES_MAX} bytes, found {address}");
        return Err(Refusal::new(problem::ADDRESS_TOO_LONG, detail));
    }
    let host = text(request.headers(), header::HOST).unwrap_or_default();
    if !host.is_empty() && !is_here(host) {
        let detail = format!("expected a host such as `localhost`, found `{host}`");
        return Err(Refusal::new(problem::FOREIGN_REQUEST, detail));
    }
    match text(request.headers(), header::ORIGIN) {
        Some(origin) if origin.split_once("://").is_none_or(|(_, site)| site != host) => {
            let detail = format!("expected no origin but `http://{host}`, found `{origin}`");
            Err(Refusal::new(problem::FOREIGN_REQUEST, detail))
        }
        _ => Ok(()),
    }
}

/// The text of a header; of a value that is no text, something that is no host and no origin.
fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Whether a host, with or without a port, is this machine.
fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let loopback = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback || name.eq_ignore_ascii_case("localhost")
}

/// Runs a future; `None` when it panicked.
async fn contain<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        // A request that panics leaves nothing behind that another one sees: what they share is
        // behind locks whose contents are whole at every moment.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// Errors of actix itself, such as a body that breaks off, become problem documents.
fn as_problem(error: Error) -> Error {
    if error.as_error::<Refusal>().is_some() {
        return error;
    }
    let status = error.as_response_error().status_code();
    match bare(status, &error.to_string()) {
        Some(problem) => problem.into(),
        None => error,
    }
}

/// Gives words to an answer that says no without any.
fn speak<B: MessageBody>(answer: ServiceResponse<B>) -> ServiceResponse<EitherBody<B>> {
    let is_document = answer.headers().contains_key(header::CONTENT_TYPE);
    match bare(answer.status(), "the request could not be taken") {
        Some(problem) if !is_document => {
            answer.into_response(problem.error_response()).map_into_right_body()
        }
        _ => answer.map_into_left_body(),
    }
}

/// The problem that a mere status stands for; `None` if it stands for none.
fn bare(status: StatusCode, detail: &str) -> Option<Refusal> {
    let kind = match status.as_u16() {
        404 => problem::NOT_FOUND,
        405 => problem::METHOD_NOT_ALLOWED,
        408 => problem::TOO_SLOW,
        413 => problem::BODY_TOO_LARGE,
        414 => problem::ADDRESS_TOO_LONG,
        415 => problem::UNSUPPORTED_MEDIA_TYPE,
        503 => problem::NOT_READY,
        400..=499 => problem::MALFORMED,
        500..=599 => problem::INTERNAL,
        _ => return None,
    };
    Some(Refusal::new(kind, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::App;
    use actix_web::HttpResponse;
    use actix_web::middleware::from_fn;
    use actix_web::test;
    use actix_web::web;

    async fn ask(request: test::TestRequest) -> (u16, String) {
        let app = App::new()
            .wrap(from_fn(stand_before))
            .route("/panic", web::get().to(|| async { panic!("no leak") as HttpResponse }))
            .route("/bare", web::get().to(HttpResponse::BadRequest))
            .route("/good", web::get().to(HttpResponse::Ok));
        let app = test::init_service(app).await;
        match test::try_call_service(&app, request.to_request()).await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let body = test::read_body(answer).await;
                (status, String::from_utf8_lossy(&body).into_owned())
            }
            Err(error) => (error.as_response_error().status_code().as_u16(), error.to_string()),
        }
    }

    fn get(path: &str) -> test::TestRequest {
        test::TestRequest::get().uri(path)
    }

    #[actix_web::test]
    async fn a_panic_is_answered_and_tells_nothing() {
        let (status, body) = ask(get("/panic")).await;
        assert_eq!(status, 500);
        assert!(body.contains("internal") && !body.contains("no leak"), "{body}");
    }

    #[actix_web::test]
    async fn an_answer_without_words_gets_some() {
        let (status, body) = ask(get("/bare")).await;
        assert!(status == 400 && body.contains("malformed"), "{status} {body}");
        assert!(ask(get("/nowhere")).await.1.contains("not-found"));
        assert!(ask(get(&format!("/{}", "x".repeat(9000)))).await.1.contains("too-long"));
    }

    #[actix_web::test]
    async fn only_this_machine_is_let_in() {
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9"] {
            assert_eq!(ask(get("/good").insert_header(("host", host))).await.0, 200, "{host}");
        }
        for host in ["example.org", "127.0.0.1.example.org", "10.0.0.1", "[::2]", "localhost."] {
            assert_eq!(ask(get("/good").insert_header(("host", host))).await.0, 403, "{host}");
        }
        let from = |origin| {
            get("/good").insert_header(("host", "localhost:1")).insert_header(("origin", origin))
        };
        assert_eq!(ask(from("http://localhost:1")).await.0, 200);
        for origin in ["https://example.org", "null", "http://localhost:2"] {
            assert_eq!(ask(from(origin)).await.0, 403, "{origin}");
        }
    }
}
