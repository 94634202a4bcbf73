//! `twinflow witness`: the third process that keeps the record of a pair.

use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::Log;
use crate::config::LogFormat;
use crate::config::TlsFiles;
use crate::ha::arbiter::server::Witness;
use crate::ha::secret::Secret;
use crate::ha::tls::Tls;
use crate::telemetry;

/// Wrong arguments, as for all commands.
const EXIT_ARGUMENTS: u8 = 2;

/// Keep the record by which two nodes decide who of them acts.
///
/// Run it on a third machine, or wherever it does not fail together with both nodes. Both name it
/// as `ha.arbiter = "witness:HOST:PORT"` and know the same secret. It serves one pair and keeps one
/// small file; it may be killed and started at any time. While it is away the pair goes on, but
/// cannot lose a node as well.
///
/// With --tls-certificate, --tls-key and --tls-authority it speaks TLS, and only with nodes that
/// do.
///
/// Exit status: 1 it could not start; 2 the secret or a file of TLS cannot be used.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Where it listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7421")]
    listen: SocketAddr,
    /// The file that keeps the record; its folder must exist
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
    /// The file that holds the secret of the pair and nothing else; at least 16 bytes
    #[arg(long, value_name = "PATH")]
    secret_file: PathBuf,
    /// The PEM file of its certificate, for the host by which the nodes name it
    #[arg(long, value_name = "PATH", requires_all = ["tls_key", "tls_authority"])]
    tls_certificate: Option<PathBuf>,
    /// The PEM file of the certificate's private key
    #[arg(long, value_name = "PATH", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// The PEM file of the certificate that signed those of witness and nodes
    #[arg(long, value_name = "PATH", requires = "tls_certificate")]
    tls_authority: Option<PathBuf>,
}

impl Arguments {
    fn tls(&self) -> Result<Option<Tls>, String> {
        let given = (&self.tls_certificate, &self.tls_key, &self.tls_authority);
        let (Some(certificate), Some(key), Some(authority)) = given else { return Ok(None) };
        let [certificate, key, authority] = [certificate, key, authority].map(Clone::clone);
        let names = ["--tls-certificate", "--tls-key", "--tls-authority"];
        let files = TlsFiles { certificate, key, authority };
        Tls::read(&files, names).map(Some).map_err(|error| error.to_string())
    }
}

/// Serves until the process is ended.
pub fn run(arguments: &Arguments) -> ExitCode {
    telemetry::start_log(&Log { level: "info".to_owned(), format: LogFormat::Text });
    let secret = Secret::read(&arguments.secret_file).map_err(|error| error.to_string());
    let (secret, tls) = match secret.and_then(|secret| Ok((secret, arguments.tls()?))) {
        Ok(both) => both,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_ARGUMENTS);
        }
    };
    match start(arguments, secret) {
        Ok((witness, address)) => {
            let text = format!("Twinflow witness listens on {address}\n");
            let mut out = std::io::stdout().lock();
            // Whoever read it may have gone, which is no reason to stop.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            drop(out);
            witness.with_tls(tls).serve();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments, secret: Secret) -> Result<(Witness, SocketAddr), String> {
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen).map_err(|error| {
        format!("cannot listen on {listen}: {error}; `--listen` names another address")
    })?;
    let witness = Witness::new(listener, &arguments.file, secret).map_err(|e| e.to_string())?;
    let address = witness.address().map_err(|error| error.to_string())?;
    Ok((witness, address))
}
