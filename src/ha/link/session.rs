//! One connection from its greeting to its end: one future reads, one writes.

use crate::ha::link::Heard;
use crate::ha::link::Hold;
use crate::ha::link::Window;
use crate::ha::link::frame;
use crate::ha::link::frame::FrameError;
use crate::ha::link::frame::HEAD_BYTES;
use crate::ha::link::frame::Head;
use crate::ha::link::frame::Kind;
use crate::ha::link::freight::Freight;
use crate::ha::link::freight::from_bytes;
use crate::ha::link::queue::Amount;
use crate::ha::link::queue::Consumed;
use crate::ha::link::queue::Lane;
use crate::ha::link::queue::Queue;
use crate::ha::link::wire::Wire;
use crate::ha::protocol::Message;
use bytes::Bytes;
use bytes::BytesMut;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadHalf;
use tokio::io::WriteHalf;
use tokio::io::split;
use tokio::time::timeout;

/// Read at once at most; memory for a long frame grows as it arrives.
const STEP: usize = 1 << 20;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer sent {0}")]
    Frame(#[from] FrameError),
    #[error("nothing came from the peer for {0:?}")]
    Silent(Duration),
    #[error("the peer sent more than there was room for")]
    BeyondWindow,
    #[error("the peer sent a greeting in the middle of the conversation")]
    OutOfTurn,
}

/// What a connection needs of its link.
pub(super) struct Session {
    pub queue: Arc<Queue>,
    pub hear: Arc<dyn Fn(Heard) + Send + Sync>,
    /// What there is room for at this end.
    pub windows: [Window; 2],
    /// So long may the peer be silent.
    pub idle: Duration,
}

impl Session {
    /// Runs until the connection ends.
    pub(super) async fn run(&self, stream: Wire) -> SessionError {
        let consumed = Arc::new(Consumed::new(Arc::clone(&self.queue.wake)));
        let (from, to) = split(stream);
        let ended = tokio::select! {
            ended = self.read(from, &consumed) => ended,
            ended = self.write(to, &consumed) => ended,
        };
        match ended {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    async fn write(
        &self,
        mut to: WriteHalf<Wire>,
        consumed: &Consumed,
    ) -> Result<std::convert::Infallible, SessionError> {
        let ping = frame::encode(Kind::Ping, &[]).expect("it has no body");
        loop {
            while let Some(frame) = self.queue.next(consumed, &self.windows) {
                to.write_all(&frame).await?;
            }
            // TLS keeps back what the kernel did not take at once.
            to.flush().await?;
            if timeout(self.idle / 4, self.queue.wake.notified()).await.is_err() {
                to.write_all(&ping).await?;
                to.flush().await?;
            }
        }
    }

    async fn read(
        &self,
        mut from: ReadHalf<Wire>,
        consumed: &Arc<Consumed>,
    ) -> Result<std::convert::Infallible, SessionError> {
        let mut buffer = BytesMut::new();
        loop {
            self.fill(&mut from, &mut buffer, HEAD_BYTES).await?;
            let head = buffer.split_to(HEAD_BYTES);
            let head = Head::decode(head.first_chunk().expect("as long as a head"))?;
            self.fill(&mut from, &mut buffer, head.length).await?;
            let body = buffer.split_to(head.length).freeze();
            head.check(&body)?;
            self.take(head.kind, body, consumed)?;
        }
    }

    /// Reads until so many bytes are there; never waits longer than allowed for the next one.
    async fn fill(
        &self,
        from: &mut ReadHalf<Wire>,
        buffer: &mut BytesMut,
        length: usize,
    ) -> Result<(), SessionError> {
        while buffer.len() < length {
            buffer.reserve((length - buffer.len()).min(STEP));
            match timeout(self.idle, from.read_buf(buffer)).await {
                Err(_) => return Err(SessionError::Silent(self.idle)),
                Ok(Ok(0)) => return Err(SessionError::Closed),
                // So TLS says that the peer's process has ended without a word.
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(SessionError::Closed);
                }
                Ok(read) => drop(read?),
            }
        }
        Ok(())
    }

    fn take(&self, kind: Kind, body: Bytes, consumed: &Arc<Consumed>) -> Result<(), SessionError> {
        match kind {
            Kind::Ping => {}
            Kind::Message => match Message::decode(&body) {
                Ok(message) => (self.hear)(Heard::Message(message)),
                Err(error) => return Err(FrameError::Body(error.to_string()).into()),
            },
            Kind::Credit => {
                let (lane, amount): (Lane, Amount) = from_bytes(&body)?;
                if !self.queue.consumed(lane, amount) {
                    return Err(SessionError::BeyondWindow);
                }
            }
            Kind::Entries | Kind::Piece | Kind::Confirmed | Kind::Parcel => {
                let lane = Lane::of(kind);
                let bytes = (HEAD_BYTES + body.len()) as u64;
                let Some(freight) = Freight::decode(kind, body)? else {
                    return Err(SessionError::OutOfTurn);
                };
                let amount = Amount { bytes, events: freight.events() };
                if !consumed.arrive(lane, amount, self.windows[lane as usize]) {
                    return Err(SessionError::BeyondWindow);
                }
                let hold = Hold { consumed: Arc::clone(consumed), lane, amount };
                (self.hear)(Heard::Freight(freight, hold));
            }
            Kind::Hello | Kind::Proof | Kind::Refused | Kind::Settled => {
                return Err(SessionError::OutOfTurn);
            }
        }
        Ok(())
    }
}
