//! What a connection to the peer is spoken over: TCP as it is, or TLS on it.
//!
//! With TLS at one node alone neither waits for the other: who is dialled looks at the first bytes,
//! and says what it is in plain text where TLS is what is missing.

use crate::ha::link::greeting;
use crate::ha::link::greeting::GreetingError;
use crate::ha::link::greeting::LINGER;
use crate::ha::link::greeting::Origin;
use crate::ha::link::greeting::Refusal;
use crate::ha::tls;
use crate::ha::tls::Tls;
use std::io;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::TlsConnector;

/// Both directions of a connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A connection, whatever it is spoken over.
pub(super) type Wire = Box<dyn Duplex>;

/// Makes a wire of a new connection; `peer` is who was dialled, as `host:port`.
pub(super) async fn open(
    stream: TcpStream,
    origin: Origin,
    tls: Option<&Tls>,
    peer: &str,
) -> Result<Wire, GreetingError> {
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    match origin {
        Origin::Dialled => {
            let host = tls::host(peer).map_err(io::Error::other)?;
            let connector = TlsConnector::from(tls.client());
            Ok(Box::new(connector.connect(host, stream).await?))
        }
        Origin::Accepted => {
            let mut first = [0; 2];
            let count = stream.peek(&mut first).await?;
            if !tls::is_tls(&first[..count]) {
                let mut wire: Wire = Box::new(stream);
                // Whoever says something else than a greeting is told nothing.
                greeting::hear_hello(&mut wire).await?;
                return Err(greeting::refuse(&mut wire, Refusal::PeerPlain.into()).await);
            }
            match TlsAcceptor::from(tls.server()).accept(stream).into_fallible().await {
                Ok(stream) => Ok(Box::new(stream)),
                Err((error, mut stream)) => {
                    // Closing with something unread would take back the reason that TLS gave.
                    linger(&mut stream).await;
                    Err(error.into())
                }
            }
        }
    }
}

/// Says that nothing more will be said, and waits a little for the other's end.
pub(super) async fn linger(stream: &mut (impl Duplex + ?Sized)) {
    let _ = stream.shutdown().await;
    let mut rest = [0; 1024];
    let read = async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} };
    let _ = timeout(LINGER, read).await;
}
