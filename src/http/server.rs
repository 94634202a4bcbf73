//! Listens, and ends in order: an actor of the tree that holds the web server.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_web::App;
use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web;
use actix_web::web::Data;

use crate::actors::tree::ChildSpec;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::actors::tree::Policy;
use crate::actors::tree::WhenGivenUp;
use crate::http::Api;
use crate::http::guard::stand_before;
use crate::http::routes;

/// How long the head of a request may take.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// How long a connection may rest between two requests.
const REST_TIME: Duration = Duration::from_secs(75);
/// How long a client may take to close its side.
const LEAVE_TIME: Duration = Duration::from_secs(3);
/// How long requests at hand may take once the node stops; seconds.
const STOP_SECONDS: u64 = 5;
/// After everything it asks: it starts last and stops first.
const RANK: u8 = 2;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// The web server as an actor of the tree. The socket outlives it, so a server that falls and is
/// raised again refuses nobody.
#[must_use]
pub fn child(listener: TcpListener, api: Arc<Api>, with_faults: bool) -> ChildSpec {
    ChildSpec {
        name: "http".to_owned(),
        kind: "http",
        rank: RANK,
        policy: Policy::FIRM,
        when_given_up: WhenGivenUp::Escalate,
        grace: Duration::from_secs(STOP_SECONDS + 2),
        start: Box::new(move |lifeline| {
            let (api, listener) = (Arc::clone(&api), listener.try_clone());
            let actor = HttpActor { api, with_faults, lifeline, server: None };
            HttpActor::create(|ctx| {
                ctx.notify(Listen(listener));
                actor
            })
            .recipient()
        }),
    }
}

/// Holds the web server.
struct HttpActor {
    api: Arc<Api>,
    with_faults: bool,
    lifeline: Lifeline,
    server: Option<ServerHandle>,
}

/// Begins to serve on a socket.
#[derive(Message)]
#[rtype(result = "()")]
struct Listen(std::io::Result<TcpListener>);

impl Actor for HttpActor {
    type Context = Context<Self>;
}

impl HttpActor {
    fn listen(&mut self, listener: TcpListener) -> std::io::Result<actix_web::dev::Server> {
        let (api, with_faults) = (Data::from(Arc::clone(&self.api)), self.with_faults);
        let connections = self.api.limits().connections_max;
        let workers = std::thread::available_parallelism().map_or(2, usize::from).min(8);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(api.clone())
                .wrap(from_fn(stand_before))
                .configure(|service| drop(routes::list(service, with_faults)))
                .default_service(web::to(routes::nothing))
        })
        .workers(workers)
        .max_connections(connections.div_ceil(workers))
        .backlog(BACKLOG)
        .client_request_timeout(HEAD_TIME)
        .client_disconnect_timeout(LEAVE_TIME)
        .keep_alive(REST_TIME)
        // Whoever hangs up is noticed: else its connection is held until its answer is there.
        .h1_allow_half_closed(false)
        .tcp_nodelay(true)
        .shutdown_timeout(STOP_SECONDS)
        .disable_signals()
        .listen(listener)?
        .run();
        self.server = Some(server.handle());
        Ok(server)
    }

    fn end(&mut self, exit: Exit, ctx: &mut Context<Self>) {
        self.lifeline.end(exit);
        ctx.stop();
    }
}

impl Handler<Listen> for HttpActor {
    type Result = ();

    fn handle(&mut self, Listen(listener): Listen, ctx: &mut Self::Context) {
        match listener.and_then(|listener| self.listen(listener)) {
            Ok(server) => {
                // Apart from the actor, whose fall would take away the end of the server too.
                let ended = actix::spawn(server).into_actor(self).map(|ended, this, ctx| {
                    let error = ended.map_err(|e| e.to_string()).map(|e| e.err());
                    let reason = format!("the server ended: {error:?}");
                    this.end(Exit::transient(reason), ctx);
                });
                ctx.spawn(ended);
            }
            Err(error) => self.end(Exit::transient(format!("cannot listen: {error}")), ctx),
        }
    }
}

impl Handler<Control> for HttpActor {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Stop => {
                self.api.close();
                // The first word counts: the server's own end is then no failure.
                self.lifeline.end(Exit::Asked);
                match &self.server {
                    Some(server) => {
                        let stopped = server.stop(true).into_actor(self);
                        ctx.spawn(stopped.map(|(), this, ctx| this.end(Exit::Asked, ctx)));
                    }
                    None => ctx.stop(),
                }
            }
            Control::Fall => Control::fall(),
        }
    }
}

impl Drop for HttpActor {
    /// A fallen actor takes its server along, before the next life listens on the same socket.
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            actix::spawn(server.stop(false));
        }
    }
}
