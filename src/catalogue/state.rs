//! The catalogue: which plans there are, as a state machine over the log of deployments.

use std::collections::BTreeMap;
use std::fmt;

use crate::catalogue::Base;
use crate::catalogue::Change;
use crate::catalogue::Entry;
use crate::catalogue::PlanText;
use crate::catalogue::is_file_name;
use crate::catalogue::is_plan_name;
use crate::event::Millis;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::event::hash_bytes;

/// The version of the bytes; a catalogue of a newer one is refused.
const FORMAT: u8 = 1;

/// The plans after an entry of the log of deployments. The same entries give the same catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    position: u64,
    /// Tells this log from every other.
    id: u64,
    plans: BTreeMap<Text, Deployed>,
    /// The number that the next new plan gets.
    next: u32,
}

/// A plan that is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// The plan's number and that of its version.
    pub base: Base,
    /// The file it lies in.
    pub file: Text,
    /// Its text.
    pub text: PlanText,
    /// When this version was ordered, in milliseconds since 1970.
    pub at: Millis,
    /// The node that has state of it from before it was in the log, if one does.
    pub kept_by: Option<Text>,
}

/// What an entry did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// There is a new plan.
    Deployed,
    /// There is a new version.
    Updated,
    /// The plan lies in another file.
    Moved,
    /// The plan is gone.
    Undeployed,
}

/// What an entry did, and to which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What it did.
    pub verb: Verb,
    /// The version that runs now, or the last one that ran.
    pub base: Base,
}

/// Why an entry has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A plan or a file may not be called so.
    Name(Text),
    /// There is a plan of this name already.
    Exists {
        /// The plan.
        plan: Text,
        /// The file it lies in.
        file: Text,
    },
    /// Another plan lies in this file.
    FileTaken {
        /// The file.
        file: Text,
        /// The plan that lies in it.
        by: Text,
    },
    /// It was made against a plan that is there no more.
    Gone {
        /// The plan.
        plan: Text,
    },
    /// It was made against another version than the one that runs.
    Conflict {
        /// The plan.
        plan: Text,
        /// The version it was made against.
        against: u64,
        /// The version that runs.
        runs: u64,
    },
    /// It changes nothing.
    Same {
        /// The plan.
        plan: Text,
    },
    /// No more plans can be numbered.
    Full,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "no plan or file may be called `{name}`"),
            Self::Exists { plan, file } => {
                write!(f, "the plan `{plan}` is already defined in `{file}`; rename one of them")
            }
            Self::FileTaken { file, by } => {
                write!(f, "the file `{file}` holds the plan `{by}`")
            }
            Self::Gone { plan } => write!(f, "the plan `{plan}` has been undeployed meanwhile"),
            Self::Conflict { plan, against, runs } => write!(
                f,
                "the change of the plan `{plan}` was made against version {against}, but version \
                 {runs} runs"
            ),
            Self::Same { plan } => write!(f, "this text of the plan `{plan}` runs already"),
            Self::Full => f.write_str("no more plans can be numbered"),
        }
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self { position: 0, id: 0, plans: BTreeMap::new(), next: 1 }
    }
}

impl Catalogue {
    /// The position of the last entry applied; 0 before the first.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// A number that no other log of deployments has; 0 before the first entry.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether no plan was ever deployed.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.next == 1
    }

    /// Whether this log has given this number to a plan.
    #[must_use]
    pub fn has_given(&self, number: u32) -> bool {
        (1..self.next).contains(&number)
    }

    /// The plan of this name.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<&Deployed> {
        self.plans.get(name)
    }

    /// All plans, by name.
    pub fn plans(&self) -> impl Iterator<Item = (&Text, &Deployed)> {
        self.plans.iter()
    }

    /// The plan of this number, and its name.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Option<(&Text, &Deployed)> {
        self.plans.iter().find(|(_, plan)| plan.base.number == number)
    }

    /// The plan that lies in a file, and its name.
    #[must_use]
    pub fn in_file(&self, file: &str) -> Option<(&Text, &Deployed)> {
        self.plans.iter().find(|(_, plan)| plan.file == file)
    }

    /// Whether an entry would have an effect as the next one.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, entry: &Entry) -> Result<(), Misfit> {
        let plan = &entry.plan;
        if !is_plan_name(plan) {
            return Err(Misfit::Name(plan.clone()));
        }
        match &entry.change {
            Change::Deploy { file, .. } => {
                if let Some(there) = self.plans.get(plan) {
                    return Err(Misfit::Exists { plan: plan.clone(), file: there.file.clone() });
                }
                if self.next == u32::MAX {
                    return Err(Misfit::Full);
                }
                self.check_file(plan, file)
            }
            Change::Update { base, file, text } => {
                let there = self.check_base(plan, *base)?;
                if there.text == *text && there.file == *file {
                    return Err(Misfit::Same { plan: plan.clone() });
                }
                self.check_file(plan, file)
            }
            Change::Move { base, file } => {
                let there = self.check_base(plan, *base)?;
                if there.file == *file {
                    return Err(Misfit::Same { plan: plan.clone() });
                }
                self.check_file(plan, file)
            }
            Change::Undeploy { base } => self.check_base(plan, *base).map(drop),
        }
    }

    fn check_base(&self, plan: &Text, base: Base) -> Result<&Deployed, Misfit> {
        let there = self.plans.get(plan).filter(|there| there.base.number == base.number);
        let there = there.ok_or_else(|| Misfit::Gone { plan: plan.clone() })?;
        let (against, runs) = (base.version, there.base.version);
        if against == runs {
            Ok(there)
        } else {
            Err(Misfit::Conflict { plan: plan.clone(), against, runs })
        }
    }

    fn check_file(&self, plan: &Text, file: &Text) -> Result<(), Misfit> {
        if !is_file_name(file) {
            return Err(Misfit::Name(file.clone()));
        }
        match self.in_file(file) {
            Some((by, _)) if by != plan => {
                Err(Misfit::FileTaken { file: file.clone(), by: by.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Applies the next entry. One that does not fit counts as a position and has no effect, on
    /// every node.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn apply(&mut self, entry: &Entry) -> Result<Applied, Misfit> {
        self.position += 1;
        if self.id == 0 {
            // The first entry says who began the log, by its time and all that is in it.
            self.id = hash_bytes(&entry.to_bytes()).max(1);
        }
        self.check(entry)?;
        let (plan, at) = (entry.plan.clone(), entry.at);
        Ok(match &entry.change {
            Change::Deploy { file, text, version, kept_by } => {
                let base = Base { number: self.next, version: *version };
                self.next += 1;
                let (file, text, kept_by) = (file.clone(), text.clone(), kept_by.clone());
                self.plans.insert(plan, Deployed { base, file, text, at, kept_by });
                Applied { verb: Verb::Deployed, base }
            }
            Change::Update { file, text, .. } => {
                let there = self.plans.get_mut(&plan).expect("checked");
                there.file = file.clone();
                if there.text == *text {
                    return Ok(Applied { verb: Verb::Moved, base: there.base });
                }
                there.text = text.clone();
                there.base.version = there.base.version.saturating_add(1);
                there.at = at;
                Applied { verb: Verb::Updated, base: there.base }
            }
            Change::Move { file, .. } => {
                let there = self.plans.get_mut(&plan).expect("checked");
                there.file = file.clone();
                Applied { verb: Verb::Moved, base: there.base }
            }
            Change::Undeploy { base } => {
                self.plans.remove(&plan);
                Applied { verb: Verb::Undeployed, base: *base }
            }
        })
    }

    /// The catalogue as bytes, which hold all that the entries up to here say.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        self.position.encode(&mut bytes);
        self.id.encode(&mut bytes);
        self.next.encode(&mut bytes);
        let plans = self.plans.iter().map(|(name, plan)| (name.clone(), plan.clone()));
        plans.collect::<Vec<_>>().encode(&mut bytes);
        bytes
    }

    /// The catalogue that [`Catalogue::to_bytes`] gave.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are none.
    pub fn from_bytes(mut from: &[u8]) -> Result<Self, Malformed> {
        let from = &mut from;
        if u8::decode(from)? != FORMAT {
            return Err(Malformed);
        }
        let (position, id) = (u64::decode(from)?, u64::decode(from)?);
        let next = u32::decode(from)?;
        let plans: Vec<(Text, Deployed)> = Vec::decode(from)?;
        let count = plans.len();
        let plans: BTreeMap<_, _> = plans.into_iter().collect();
        let known = |plan: &Deployed| (1..next).contains(&plan.base.number);
        if from.is_empty() && plans.len() == count && plans.values().all(known) {
            Ok(Self { position, id, plans, next })
        } else {
            Err(Malformed)
        }
    }
}

impl Encode for Deployed {
    fn encode(&self, out: &mut Vec<u8>) {
        self.base.encode(out);
        self.file.encode(out);
        self.text.encode(out);
        self.at.encode(out);
        self.kept_by.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self {
            base: Base::decode(from)?,
            file: Text::decode(from)?,
            text: PlanText::decode(from)?,
            at: Millis::decode(from)?,
            kept_by: Option::decode(from)?,
        })
    }
}
