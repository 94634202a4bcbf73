//! A look at a folder of plans: what its files hold, what they ask for, and what is to be done.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::catalogue::Base;
use crate::catalogue::is_file_name;
use crate::catalogue::is_plan_name;
use crate::catalogue::names::NAME_CHARS_MAX;
use crate::catalogue::stem;
use crate::event::Text;
use crate::event::hash_bytes;

/// What a file holds, after reading and checking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A text.
    Text {
        /// All of it.
        text: Arc<str>,
        /// The name inside, if it gives one.
        name: Option<String>,
        /// Whether the check found no error.
        sound: bool,
    },
    /// Nothing that could be read as a text, and why.
    Unreadable(String),
}

impl Content {
    /// The hash of the text.
    #[must_use]
    pub fn hash(&self) -> Option<u64> {
        match self {
            Self::Text { text, .. } => Some(hash_bytes(text.as_bytes())),
            Self::Unreadable(_) => None,
        }
    }
}

/// A folder as a look shows it.
#[derive(Debug, Default)]
pub struct Look {
    /// The files at rest.
    pub files: BTreeMap<String, Content>,
    /// Files that are there, but are being written or were not read yet.
    pub moving: BTreeSet<String>,
    /// This process has seen files in this very folder before: if there are none now, somebody has
    /// deleted them. Otherwise an empty folder may be one that is not there.
    pub is_known: bool,
}

impl Look {
    /// Whether a file that is not there was taken away by somebody.
    pub(super) fn tells_absence(&self) -> bool {
        self.is_known || !self.files.is_empty() || !self.moving.is_empty()
    }
}

/// Why a file is not deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The check found errors; the diagnostics say which.
    Unsound,
    /// It could not be read.
    Unreadable(String),
    /// A plan may not be called so.
    Name(String),
    /// A plan file may not be called so.
    FileName,
    /// It was offered and refused.
    Refused(String),
    /// Another file holds a plan of this name.
    Taken {
        /// The name.
        plan: String,
        /// The file that has it.
        by: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsound => f.write_str("the plan has errors"),
            Self::Unreadable(reason) | Self::Refused(reason) => f.write_str(reason),
            Self::Name(name) => write!(
                f,
                "a plan may not be called `{name}`: expected 1 to {NAME_CHARS_MAX} letters, \
                 digits, `_`, `-` or `.`, not beginning with `.`"
            ),
            Self::FileName => f.write_str("the file's name is too long or has a `\\` in it"),
            Self::Taken { plan, by } => {
                write!(f, "the plan `{plan}` is already defined in `{by}`; rename one of them")
            }
        }
    }
}

/// What a file asks for by its content alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// To run as this plan.
    Run {
        /// The plan.
        plan: String,
        /// Its text.
        text: Arc<str>,
    },
    /// Nothing: it cannot run.
    Nothing(Refusal),
}

impl Claim {
    /// The claim of a file.
    #[must_use]
    pub fn of(file: &str, content: &Content) -> Self {
        match content {
            Content::Unreadable(reason) => Self::Nothing(Refusal::Unreadable(reason.clone())),
            Content::Text { sound: false, .. } => Self::Nothing(Refusal::Unsound),
            Content::Text { .. } if !is_file_name(file) => Self::Nothing(Refusal::FileName),
            Content::Text { text, name, .. } => {
                let plan = name.as_deref().unwrap_or_else(|| stem(file)).to_owned();
                if is_plan_name(&plan) {
                    Self::Run { plan, text: Arc::clone(text) }
                } else {
                    Self::Nothing(Refusal::Name(plan))
                }
            }
        }
    }
}

/// A change that the folder asks of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A plan is new.
    Deploy {
        /// Its text.
        source: Arc<str>,
    },
    /// A plan has another text, and perhaps lies in another file.
    Update {
        /// What it was made against.
        base: Base,
        /// Its text.
        source: Arc<str>,
    },
    /// A plan lies in another file.
    Move {
        /// What it was made against.
        base: Base,
    },
    /// A plan's file is gone.
    Undeploy {
        /// What it was made against.
        base: Base,
    },
}

/// One thing to do so that the log follows the folder, and the folder the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A file refused before is so no longer, or is gone.
    Accept {
        /// Its name.
        file: String,
    },
    /// A file is not deployed.
    Refuse {
        /// Its name.
        file: String,
        /// The plan it is about, as far as one can tell.
        plan: String,
        /// Why.
        refusal: Refusal,
    },
    /// A user's change is to be offered to the log. Until
    /// [`Folder::answered`](crate::catalogue::Folder::answered) is called nothing else is wished
    /// for this plan.
    Offer {
        /// The file.
        file: String,
        /// The plan.
        plan: Text,
        /// The change.
        wish: Wish,
    },
    /// A user's change came second: it is to be put aside, beside the file, where no plan lies.
    PutAside {
        /// The file.
        file: String,
        /// The plan that it is about.
        plan: Text,
        /// The version it was made against, if that is known, and the one that runs, if one does.
        versions: (Option<u64>, Option<u64>),
    },
    /// The text of a plan is to be written into its file.
    Write {
        /// The file.
        file: String,
        /// The plan.
        plan: Text,
    },
    /// A file is to be removed, since its plan is gone or lies in another file.
    Remove {
        /// The file.
        file: String,
    },
}
