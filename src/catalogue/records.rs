//! What a node last wrote or read in its folder of plans: by this a user's change is told.

use std::collections::BTreeMap;

use crate::catalogue::Base;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::event::hash_bytes;

/// The version of the bytes.
const FORMAT: u8 = 1;

/// The files of a folder of plans that hold versions from the log, each as it was last written or
/// read.
pub type Records = BTreeMap<String, Seen>;

/// A file as a node last wrote or read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The hash of its text.
    pub hash: u64,
    /// The plan in it.
    pub plan: Text,
    /// The version in it.
    pub base: Base,
}

impl Encode for Seen {
    fn encode(&self, out: &mut Vec<u8>) {
        self.hash.encode(out);
        self.plan.encode(out);
        self.base.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let hash = u64::decode(from)?;
        Ok(Self { hash, plan: Text::decode(from)?, base: Base::decode(from)? })
    }
}

/// Records as bytes with their checksum.
#[must_use]
pub fn to_bytes(records: &Records) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    let each = records.iter().map(|(file, seen)| (Text::from(file.as_str()), seen.clone()));
    each.collect::<Vec<_>>().encode(&mut bytes);
    hash_bytes(&bytes).encode(&mut bytes);
    bytes
}

/// The records that [`to_bytes`] gave.
///
/// # Errors
/// [`Malformed`] if the bytes are none.
pub fn from_bytes(bytes: &[u8]) -> Result<Records, Malformed> {
    let (body, mut check) = bytes.split_at(bytes.len().checked_sub(8).ok_or(Malformed)?);
    if u64::decode(&mut check)? != hash_bytes(body) {
        return Err(Malformed);
    }
    let from = &mut { body };
    if u8::decode(from)? != FORMAT {
        return Err(Malformed);
    }
    let each: Vec<(Text, Seen)> = Vec::decode(from)?;
    if !from.is_empty() {
        return Err(Malformed);
    }
    Ok(each.into_iter().map(|(file, seen)| (file.to_string(), seen)).collect())
}
