//! One HTTP request and its status; the only file here that knows the client.

/// A request.
// A build that has no client reads none.
#[cfg_attr(not(feature = "node"), allow(dead_code))]
#[derive(Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'static str,
    /// The whole address.
    pub url: &'a str,
    /// Names and values.
    pub headers: &'a [(String, String)],
    /// What is sent.
    pub body: &'a [u8],
}

#[cfg(feature = "node")]
pub use with_node::Client;
#[cfg(not(feature = "node"))]
pub use without_node::Client;

#[cfg(feature = "node")]
mod with_node {
    use super::Request;
    use base64::prelude::BASE64_STANDARD;
    use base64::prelude::Engine as _;
    use std::time::Duration;
    use ureq::Agent;
    use ureq::http;

    /// Keeps connections from request to request.
    #[derive(Debug)]
    pub struct Client(Agent);

    impl Client {
        /// A client that gives a request up after a time.
        pub fn new(connect: Duration, whole: Duration) -> Client {
            let config = Agent::config_builder()
                .timeout_connect(Some(connect))
                .timeout_global(Some(whole))
                .http_status_as_error(false)
                // A result is given to the address in the plan and to no other.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("twinflow/", env!("CARGO_PKG_VERSION")))
                .build();
            Client(config.into())
        }

        /// The value of the header `Authorization` for a name and a password.
        pub fn basic(name: &str, password: &str) -> String {
            format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
        }

        /// Sends a request and waits for the status of the answer.
        ///
        /// # Errors
        /// If there is no answer.
        pub fn send(&self, request: &Request<'_>) -> Result<u16, String> {
            let mut builder = http::Request::builder().method(request.method).uri(request.url);
            for (name, value) in request.headers {
                builder = builder.header(name, value);
            }
            let made = builder.body(request.body).map_err(|error| error.to_string())?;
            let mut answer = self.0.run(made).map_err(|error| error.to_string())?;
            let status = answer.status().as_u16();
            // A connection can serve again only when the answer was read to its end.
            let _ = answer.body_mut().with_config().limit(64 * 1024).read_to_vec();
            Ok(status)
        }
    }
}

#[cfg(not(feature = "node"))]
mod without_node {
    use super::Request;
    use std::time::Duration;

    /// Sends nothing: a build without the feature `node` checks plans and does not run them.
    #[derive(Debug)]
    pub struct Client;

    impl Client {
        /// A client that cannot send.
        pub fn new(_: Duration, _: Duration) -> Client {
            Client
        }

        /// Nothing will be sent.
        pub fn basic(_: &str, _: &str) -> String {
            String::new()
        }

        /// Always fails.
        ///
        /// # Errors
        /// Always: there is no client in this build.
        pub fn send(&self, _: &Request<'_>) -> Result<u16, String> {
            Err("this build has no HTTP client: it lacks the feature `node`".to_owned())
        }
    }
}
