//! Frames: what travels between the peers, each with a length, a kind, a version and a checksum.
//!
//! ```text
//! length of the body u32 │ kind u8 │ version u8 │ 0 u16 │ crc32c of all else u32 │ body
//! ```
//!
//! Numbers are little-endian. A frame that is too long for its kind, of an unknown kind or version,
//! or whose checksum does not fit ends the connection: there is no telling where the next begins.

/// Version of the frames and of all that is in them.
pub(super) const VERSION: u8 = 1;
/// Bytes before the body.
pub(super) const HEAD_BYTES: usize = 12;

/// A greeting; the only frames read from who has not proved anything.
const GREETING_BYTES_MAX: usize = 1 << 10;
/// A message of the protocol: a few bytes a plan, more while logs are compared.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Freight; who sends it cuts it far smaller where it can be cut.
pub(super) const FREIGHT_BYTES_MAX: usize = 64 << 20;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Who I am.
    Hello = 1,
    /// I know the secret.
    Proof = 2,
    /// You will not be talked to, and why.
    Refused = 3,
    /// This connection is the one; from the first node only.
    Settled = 4,
    /// I am here, and have nothing else to say.
    Ping = 5,
    /// So much of what you sent was consumed.
    Credit = 6,
    /// A message of the protocol.
    Message = 7,
    /// A message with entries.
    Entries = 8,
    /// A piece of a file.
    Piece = 9,
    /// Results that were published.
    Confirmed = 10,
    /// Bytes for whoever listens on a channel.
    Parcel = 11,
}

const KINDS: [Kind; 11] = [
    Kind::Hello,
    Kind::Proof,
    Kind::Refused,
    Kind::Settled,
    Kind::Ping,
    Kind::Credit,
    Kind::Message,
    Kind::Entries,
    Kind::Piece,
    Kind::Confirmed,
    Kind::Parcel,
];

impl Kind {
    /// Bodies of this kind are at most so long.
    pub(super) fn bytes_max(self) -> usize {
        match self {
            Kind::Hello | Kind::Proof | Kind::Refused | Kind::Settled => GREETING_BYTES_MAX,
            Kind::Ping => 0,
            Kind::Credit => 64,
            Kind::Message => MESSAGE_BYTES_MAX,
            Kind::Entries | Kind::Piece | Kind::Confirmed | Kind::Parcel => FREIGHT_BYTES_MAX,
        }
    }
}

/// Bytes that are no frame of this build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another build, or another program.
    #[error("a frame of version {0}; this build speaks version {VERSION}: run the same on both")]
    Version(u8),
    /// Another program, or damage.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// Another program, or damage.
    #[error("a frame of {length} bytes, where {most} is the most")]
    Long {
        /// As it says.
        length: usize,
        /// For its kind.
        most: usize,
    },
    /// Damage on the way.
    #[error("a frame whose checksum does not fit")]
    Checksum,
    /// It was made by a build that does not keep to the form.
    #[error("a frame whose body is malformed: {0}")]
    Body(String),
}

/// The head of a frame, checked but for the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub kind: Kind,
    pub length: usize,
    checksum: u32,
    sealed: u32,
}

impl Head {
    /// Reads a head.
    ///
    /// # Errors
    /// Version, kind or length are none of this build's.
    pub(super) fn decode(bytes: &[u8; HEAD_BYTES]) -> Result<Head, FrameError> {
        let [l0, l1, l2, l3, kind, version, _, _, c0, c1, c2, c3] = *bytes;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let kind =
            KINDS.into_iter().find(|known| *known as u8 == kind).ok_or(FrameError::Kind(kind))?;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let most = kind.bytes_max();
        if length > most {
            return Err(FrameError::Long { length, most });
        }
        let checksum = u32::from_le_bytes([c0, c1, c2, c3]);
        Ok(Head { kind, length, checksum, sealed: crc32c::crc32c(&bytes[..8]) })
    }

    /// Whether this is the body.
    ///
    /// # Errors
    /// The checksum does not fit.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), FrameError> {
        match crc32c::crc32c_append(self.sealed, body) == self.checksum {
            true => Ok(()),
            false => Err(FrameError::Checksum),
        }
    }
}

/// A frame as bytes.
///
/// # Errors
/// It is too long for its kind.
pub(super) fn encode(kind: Kind, parts: &[&[u8]]) -> Result<Vec<u8>, FrameError> {
    let length = parts.iter().map(|part| part.len()).sum();
    let most = kind.bytes_max();
    if length > most {
        return Err(FrameError::Long { length, most });
    }
    let mut frame = Vec::with_capacity(HEAD_BYTES + length);
    frame.extend((length as u32).to_le_bytes());
    frame.extend([kind as u8, VERSION, 0, 0]);
    let mut checksum = crc32c::crc32c(&frame);
    for part in parts {
        checksum = crc32c::crc32c_append(checksum, part);
    }
    frame.extend(checksum.to_le_bytes());
    for part in parts {
        frame.extend_from_slice(part);
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open(frame: &[u8]) -> Result<(Kind, &[u8]), FrameError> {
        let (head, body) = frame.split_first_chunk().expect("a head");
        let head = Head::decode(head)?;
        assert_eq!(head.length, body.len());
        head.check(body)?;
        Ok((head.kind, body))
    }

    #[test]
    fn a_frame_comes_back_and_its_form_is_that_of_the_sample() {
        for kind in KINDS.into_iter().filter(|kind| kind.bytes_max() > 4) {
            let frame = encode(kind, &[b"bo", b"dy"]).unwrap();
            assert_eq!(open(&frame), Ok((kind, b"body".as_slice())));
        }
        let sample = encode(Kind::Parcel, &[b"body"]).unwrap();
        let hex: String = sample.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "040000000b01000071c88371626f6479");
    }

    #[test]
    fn what_is_too_long_is_neither_made_nor_read() {
        let long = vec![0; GREETING_BYTES_MAX + 1];
        assert!(matches!(encode(Kind::Hello, &[&long]), Err(FrameError::Long { .. })));
        let mut frame = encode(Kind::Hello, &[b"body"]).unwrap();
        frame[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        let head = frame.first_chunk().unwrap();
        assert!(matches!(Head::decode(head), Err(FrameError::Long { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_048, ..ProptestConfig::default() })]

        #[test]
        fn a_flipped_bit_is_noticed(
            body in prop::collection::vec(any::<u8>(), 0..60),
            at in any::<prop::sample::Index>(), bit in 0..8_u32,
        ) {
            let mut frame = encode(Kind::Message, &[&body]).unwrap();
            let at = at.index(frame.len());
            frame[at] ^= 1 << bit;
            let (head, body) = frame.split_first_chunk().expect("a head");
            // A flipped length makes the reader wait for another body; the checksum tells then.
            if let Ok(head) = Head::decode(head) {
                prop_assert!(head.length != body.len() || head.check(body).is_err());
            }
        }

        #[test]
        fn any_head_is_read_or_refused(bytes in any::<[u8; HEAD_BYTES]>()) {
            if let Ok(head) = Head::decode(&bytes) {
                prop_assert!(head.length <= head.kind.bytes_max());
            }
        }
    }
}
