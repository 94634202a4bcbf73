//! What stands in the log of deployments, as bytes and back.

use crate::event::Millis;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::event::hash_bytes;

/// The version of the bytes; an entry of a newer one is refused.
const FORMAT: u8 = 1;

/// An entry of the log of deployments. Its position and epoch are the log's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The wall clock of the node that ordered it, in milliseconds since 1970.
    pub at: Millis,
    /// The plan's name.
    pub plan: Text,
    /// What is to become of it.
    pub change: Change,
}

/// What is to become of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new, and gets a number.
    Deploy {
        /// The file it lies in.
        file: Text,
        /// Its text.
        text: PlanText,
        /// The number of the version: 1, or what its own log has come to already.
        version: u64,
        /// The node that has state of it from before it was in the log of deployments, if one does.
        kept_by: Option<Text>,
    },
    /// A new version takes over.
    Update {
        /// What it was made against.
        base: Base,
        /// The file it lies in, which may be another one now.
        file: Text,
        /// Its text.
        text: PlanText,
    },
    /// It lies in another file and runs on untouched.
    Move {
        /// What it was made against.
        base: Base,
        /// The file it lies in now.
        file: Text,
    },
    /// It ends, and what is kept of it goes.
    Undeploy {
        /// What it was made against.
        base: Base,
    },
}

/// A version of a plan, as others refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Base {
    /// The plan's number, never given to another plan: also not to one of its name, later.
    pub number: u32,
    /// Counts the plan's versions.
    pub version: u64,
}

/// The text of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanText {
    /// As it lies in the file.
    pub source: Text,
    /// As it runs: the node that ordered it has replaced the variables outside options.
    pub kept: Text,
}

impl PlanText {
    /// A number that equal files share.
    #[must_use]
    pub fn hash(&self) -> u64 {
        hash_bytes(self.source.as_bytes())
    }
}

impl Entry {
    /// The entry as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }

    /// The entry that [`Entry::to_bytes`] gave.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are no entry, or more than one.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, Malformed> {
        let entry = Self::decode(&mut bytes)?;
        if bytes.is_empty() { Ok(entry) } else { Err(Malformed) }
    }
}

const DEPLOY: u8 = 1;
const UPDATE: u8 = 2;
const MOVE: u8 = 3;
const UNDEPLOY: u8 = 4;

impl Encode for Entry {
    fn encode(&self, out: &mut Vec<u8>) {
        FORMAT.encode(out);
        self.at.encode(out);
        self.plan.encode(out);
        match &self.change {
            Change::Deploy { file, text, version, kept_by } => {
                DEPLOY.encode(out);
                file.encode(out);
                text.encode(out);
                version.encode(out);
                kept_by.encode(out);
            }
            Change::Update { base, file, text } => {
                UPDATE.encode(out);
                base.encode(out);
                file.encode(out);
                text.encode(out);
            }
            Change::Move { base, file } => {
                MOVE.encode(out);
                base.encode(out);
                file.encode(out);
            }
            Change::Undeploy { base } => {
                UNDEPLOY.encode(out);
                base.encode(out);
            }
        }
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        if u8::decode(from)? != FORMAT {
            return Err(Malformed);
        }
        let (at, plan) = (Millis::decode(from)?, Text::decode(from)?);
        let change = match u8::decode(from)? {
            DEPLOY => Change::Deploy {
                file: Text::decode(from)?,
                text: PlanText::decode(from)?,
                version: u64::decode(from)?,
                kept_by: Option::decode(from)?,
            },
            UPDATE => Change::Update {
                base: Base::decode(from)?,
                file: Text::decode(from)?,
                text: PlanText::decode(from)?,
            },
            MOVE => Change::Move { base: Base::decode(from)?, file: Text::decode(from)? },
            UNDEPLOY => Change::Undeploy { base: Base::decode(from)? },
            _ => return Err(Malformed),
        };
        Ok(Self { at, plan, change })
    }
}

impl Encode for Base {
    fn encode(&self, out: &mut Vec<u8>) {
        self.number.encode(out);
        self.version.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self { number: u32::decode(from)?, version: u64::decode(from)? })
    }
}

impl Encode for PlanText {
    fn encode(&self, out: &mut Vec<u8>) {
        self.source.encode(out);
        let kept = (self.kept != self.source).then(|| self.kept.clone());
        kept.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let source = Text::decode(from)?;
        let kept = Option::decode(from)?.unwrap_or_else(|| source.clone());
        Ok(Self { source, kept })
    }
}
