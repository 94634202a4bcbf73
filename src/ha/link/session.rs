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
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadHalf;
use tokio::io::WriteHalf;
use tokio::io::split;
use tokio::time::Instant;
use tokio::time::timeout;

/// Read at once at most; memory for a long frame grows as it arrives.
const STEP: usize = 1 << 20;

/// There is room for so much at least where something is read, so that frames that come together
/// are read together.
const ROOM: usize = 64 << 10;
/// Room is made anew when it is less than that, or than what the frame at hand needs.
const ROOM_LEAST: usize = 4 << 10;

/// Bytes of frames that are sent together.
const TOGETHER: usize = 16 << 10;

/// After so long the peer is told of everything that was consumed, however little, though nothing
/// else is sent.
const CREDIT_PAUSE: Duration = Duration::from_millis(10);

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
    pub hear: Rc<dyn Fn(Heard)>,
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
        let mut small = Vec::new();
        let mut untold: Option<Instant> = None;
        loop {
            let late = untold.is_some_and(|since| since.elapsed() >= CREDIT_PAUSE);
            // What was consumed travels along with whatever else is sent.
            let along = |small: &Vec<u8>| late || !small.is_empty();
            while let Some(frame) = self.queue.next(consumed, &self.windows, along(&small)) {
                if small.is_empty() {
                    small = frame;
                } else {
                    small.extend_from_slice(&frame);
                }
                if small.len() >= TOGETHER {
                    to.write_all(&small).await?;
                    small.clear();
                }
            }
            if !small.is_empty() {
                to.write_all(&small).await?;
                small.clear();
            }
            // TLS keeps back what the kernel did not take at once.
            to.flush().await?;
            untold = consumed.is_untold().then(|| untold.unwrap_or_else(Instant::now));
            let wait = if untold.is_some() { CREDIT_PAUSE } else { self.idle / 4 };
            if timeout(wait, self.queue.wake.notified()).await.is_err() && untold.is_none() {
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
            let lacking = length - buffer.len();
            if buffer.capacity() - buffer.len() < lacking.clamp(ROOM_LEAST, STEP) {
                buffer.reserve(lacking.clamp(ROOM, STEP));
            }
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
