//! The routes. Each reads a request, asks the node and writes an answer; none decides anything.

pub mod checks;
pub mod dead_letters;
pub mod edits;
pub mod faults;
pub mod home;
pub mod pair;
pub mod plans;
pub mod queries;
pub mod receivers;
pub mod snapshots;
pub mod sql;
pub mod status;
pub mod streams;
pub mod tails;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::Route;
use actix_web::guard;
use actix_web::http::Method;
use actix_web::web;

use crate::http::problem;
use crate::http::problem::Refusal;

/// Lists every route to actix, with the one that makes actors fall if that is wanted; returns
/// path and methods of each.
pub fn list(service: &mut web::ServiceConfig, with_faults: bool) -> Vec<(String, &'static str)> {
    const PLAN: &str = "/api/v1/plans/{plan}";
    const STREAM: &str = "/api/v1/plans/{plan}/streams/{stream}";
    let mut listing = Listing { service, listed: Vec::new() };
    listing.at("/", get().to(home::home), GET);
    listing.at("/problems", get().to(home::problems), GET);
    listing.at("/problems/{code}", get().to(home::problem), GET);
    listing.at("/health/live", get().to(status::live), GET);
    listing.at("/health/ready", get().to(status::ready), GET);
    listing.at("/metrics", get().to(status::metrics), GET);
    listing.at("/api/v1/openapi.json", get().to(home::description), GET);
    listing.at("/api/v1/status", get().to(status::status), GET);
    listing.at("/api/v1/ha", get().to(pair::pair), GET);
    listing.at("/api/v1/ha/switch", web::post().to(pair::switch), POST);
    listing.at("/api/v1/ha/promote", web::post().to(pair::promote), POST);
    listing.at("/api/v1/ha/give-up", web::post().to(pair::give_up), POST);
    listing.at("/api/v1/ha/discard", web::post().to(pair::discard), POST);
    listing.at("/api/v1/check", web::post().to(checks::check), POST);
    listing.at("/api/v1/plans", get().to(plans::all), GET);
    let plan = [get().to(plans::one), web::put().to(edits::put), web::delete().to(edits::remove)];
    listing.at_all(PLAN, plan, ANY_OF_PLAN);
    let letters = [get().to(dead_letters::all), web::delete().to(dead_letters::discard_all)];
    listing.at_all(&format!("{PLAN}/dead-letters"), letters, GET_AND_DELETE);
    let replay = web::post().to(dead_letters::replay_all);
    listing.at(&format!("{PLAN}/dead-letters/replay"), replay, POST);
    let letter = [get().to(dead_letters::one), web::delete().to(dead_letters::discard)];
    listing.at_all(&format!("{PLAN}/dead-letters/{{id}}"), letter, GET_AND_DELETE);
    let replay = web::post().to(dead_letters::replay);
    listing.at(&format!("{PLAN}/dead-letters/{{id}}/replay"), replay, POST);
    listing.at(&format!("{PLAN}/query"), web::post().to(queries::query), POST);
    let snapshots = [get().to(snapshots::all), web::post().to(snapshots::take)];
    listing.at_all(&format!("{PLAN}/snapshots"), snapshots, GET_AND_POST);
    listing.at_all("/api/v1/sql", [get().to(sql::running), web::post().to(sql::ask)], GET_AND_POST);
    listing.at("/api/v1/sql/{id}", web::delete().to(sql::end), "DELETE");
    listing.at(STREAM, web::post().to(streams::send), POST);
    listing.at(&format!("{STREAM}/events"), get().to(tails::events), GET);
    listing.at(&format!("{STREAM}/tail"), web::get().to(tails::tail), "GET");
    listing.at("/api/v1/receivers", get().to(receivers::all), GET);
    listing.at("/api/v1/receivers/{path:.+}", web::post().to(receivers::send), POST);
    if with_faults {
        listing.at("/api/v1/faults/{actor:.+}", web::post().to(faults::fall), POST);
    }
    listing.listed
}

struct Listing<'a> {
    service: &'a mut web::ServiceConfig,
    listed: Vec<(String, &'static str)>,
}

impl Listing<'_> {
    /// A path with its only route.
    fn at(&mut self, path: &str, route: Route, allow: &'static str) {
        self.at_all(path, [route], allow);
    }

    /// A path with its routes; other methods are refused with what is allowed.
    fn at_all<const N: usize>(&mut self, path: &str, routes: [Route; N], allow: &'static str) {
        let refuse = move |method: Method| async move {
            Err::<HttpResponse, _>(Refusal::method_not_allowed(method.as_str(), allow))
        };
        let resource = routes.into_iter().fold(web::resource(path), actix_web::Resource::route);
        self.service.service(resource.default_service(web::to(refuse)));
        self.listed.push((path.replace(":.+", ""), allow));
    }
}

const GET: &str = "GET, HEAD";
const POST: &str = "POST";
const ANY_OF_PLAN: &str = "GET, HEAD, PUT, DELETE";
const GET_AND_DELETE: &str = "GET, HEAD, DELETE";
const GET_AND_POST: &str = "GET, HEAD, POST";

/// Answers where there is nothing.
///
/// # Errors
/// Always.
pub async fn nothing(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let detail = format!("there is nothing at `{}`; `/` lists what there is", request.path());
    Err(Refusal::new(problem::NOT_FOUND, detail))
}

fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::description::document;
    use actix_web::App;

    #[test]
    fn the_document_describes_every_route_and_no_other() {
        let mut listed = Vec::new();
        let _ = App::new().configure(|service| listed = list(service, false));
        let document = serde_json::to_value(document()).unwrap();
        let mut described: Vec<(String, &str)> = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let methods: Vec<_> = methods.as_object().unwrap().keys().map(String::as_str).collect();
            let method = match methods.as_slice() {
                ["get"] if path.ends_with("/tail") => "GET",
                ["get"] => GET,
                ["post"] => POST,
                ["delete"] => "DELETE",
                ["delete", "get", "put"] => ANY_OF_PLAN,
                ["delete", "get"] => GET_AND_DELETE,
                ["get", "post"] => GET_AND_POST,
                other => panic!("{path}: {other:?}"),
            };
            described.push((path.clone(), method));
        }
        described.sort();
        listed.sort();
        assert_eq!(described, listed);
    }
}
