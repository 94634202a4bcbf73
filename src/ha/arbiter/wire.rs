//! What a conversation with a witness is spoken over: TCP as it is, or TLS on it.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;
use tokio_rustls::rustls::ClientConnection;
use tokio_rustls::rustls::ServerConnection;
use tokio_rustls::rustls::StreamOwned;

/// So long the end is waited for of who was refused.
const LINGER: Duration = Duration::from_secs(1);

/// A connection whose reads all end by one moment, however slowly the bytes drip.
#[derive(Debug)]
pub(super) struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Timed {
    /// Reads may take so long from now on, and each write.
    pub(super) fn new(stream: TcpStream, wait: Duration) -> io::Result<Timed> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(wait))?;
        Ok(Timed { stream, until: Instant::now() + wait })
    }

    /// Looks at the first bytes without taking them.
    pub(super) fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until_then(|| self.stream.peek(buffer))
    }

    /// Waits a little for the other's end, so that it can read why it was refused: closing with
    /// something unread would take that back.
    pub(super) fn linger(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.until = Instant::now() + LINGER;
        let mut rest = [0; 1024];
        while matches!(self.read(&mut rest), Ok(1..)) {}
    }

    fn until_then(&self, mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
        use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(TimedOut, "no answer in time"));
            }
            self.stream.set_read_timeout(Some(left))?;
            match read() {
                Err(error) if matches!(error.kind(), Interrupted | TimedOut | WouldBlock) => {}
                done => return done,
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until_then(|| (&self.stream).read(buffer))
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A connection, whatever it is spoken over.
#[derive(Debug)]
pub(super) enum Wire {
    Plain(Timed),
    Node(Box<StreamOwned<ClientConnection, Timed>>),
    Witness(Box<StreamOwned<ServerConnection, Timed>>),
}

impl Wire {
    /// Reads may take so long from now on.
    pub(super) fn allow(&mut self, wait: Duration) {
        self.timed().until = Instant::now() + wait;
    }

    /// Waits a little for the other's end.
    pub(super) fn linger(&mut self) {
        self.timed().linger();
    }

    fn timed(&mut self) -> &mut Timed {
        match self {
            Wire::Plain(timed) => timed,
            Wire::Node(stream) => &mut stream.sock,
            Wire::Witness(stream) => &mut stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Node(stream) => stream.read(buffer),
            Wire::Witness(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(buffer),
            Wire::Node(stream) => stream.write(buffer),
            Wire::Witness(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.flush(),
            Wire::Node(stream) => stream.flush(),
            Wire::Witness(stream) => stream.flush(),
        }
    }
}
