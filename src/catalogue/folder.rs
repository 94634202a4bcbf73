//! The folder of plans against the catalogue: which of the two follows the other, file by file.
//!
//! A file whose hash is the recorded one was not touched: it follows the log. Any other content, or
//! a file that is gone, is a user's change, made against the version that was recorded. If that
//! version runs, the change is offered to the log; if not, it came second: it is put aside and the
//! file is written anew. No conclusion is drawn from a folder that is missing or empty.
//!
//! A plan's name is the name inside the file, else the file's name without its ending. Of two files
//! with one name the one that is in the log stays, else the first by file name; the other is
//! refused. A file that is broken leaves the version that ran before running.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalogue::Base;
use crate::catalogue::Catalogue;
use crate::catalogue::Claim;
use crate::catalogue::Content;
use crate::catalogue::Deployed;
use crate::catalogue::Look;
use crate::catalogue::Records;
use crate::catalogue::Refusal;
use crate::catalogue::Seen;
use crate::catalogue::Step;
use crate::catalogue::Wish;
use crate::catalogue::stem;
use crate::event::Text;
use crate::event::hash_bytes;

/// What a node knows of its folder of plans.
#[derive(Debug, Default)]
pub struct Folder {
    records: Records,
    /// Why files are refused, and with which content, as it was told.
    refused: BTreeMap<String, (Content, Refusal)>,
    /// Files of which an offer was refused, with what they held.
    declined: BTreeMap<String, (Content, String)>,
    /// Plans of which a change is offered and not answered, with the file and what it held.
    offered: BTreeMap<Text, (String, Option<Content>)>,
}

/// Why an offer has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwanted {
    /// It will not have one either if it is made again; for people.
    Final(String),
    /// Something stood in its way that may be gone later.
    Passing,
}

/// What a file is taken for, in view of what is recorded of it.
enum State<'a> {
    /// It is as it was recorded.
    Untouched(&'a Seen),
    /// It has changed, or is new, and asks for this.
    Claims(String, Arc<str>),
    /// It has changed, or is new, and cannot run.
    Broken(Refusal),
    /// It is there, but nobody knows what it holds.
    Moving,
    /// It is not there.
    Absent,
}

/// The work of one look.
struct Following<'a> {
    folder: &'a Folder,
    look: &'a Look,
    catalogue: &'a Catalogue,
    /// Which files claim a plan, by its name.
    claims: BTreeMap<String, Vec<String>>,
    steps: Vec<Step>,
    refused: BTreeMap<String, (Content, Refusal)>,
    records: Records,
    offered: BTreeMap<Text, (String, Option<Content>)>,
}

impl Folder {
    /// A folder of which this is recorded.
    #[must_use]
    pub fn new(records: Records) -> Self {
        Self { records, ..Self::default() }
    }

    /// What is to be kept of the folder over a restart.
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Compares what lies in the folder with the catalogue. Offers count as made; refusals as told;
    /// of files written, put aside and removed the folder has to be told.
    pub fn follow(&mut self, look: &Look, catalogue: &Catalogue) -> Vec<Step> {
        let mut following = Following::new(self, look, catalogue);
        for file in &look.moving {
            following.keep_refusal(file);
        }
        for (name, plan) in catalogue.plans() {
            following.plan(name, plan);
        }
        for file in look.files.keys().filter(|file| catalogue.in_file(file).is_none()) {
            following.newcomer(file);
        }
        following.forget();
        following.tell_refusals();
        let Following { steps, refused, records, offered, .. } = following;
        (self.refused, self.records) = (refused, records);
        self.declined.retain(|file, (content, _)| {
            look.moving.contains(file) || look.files.get(file) == Some(content)
        });
        self.offered.extend(offered);
        steps
    }

    /// Takes note of the answer to an offer: the version that runs because of it, or why there is
    /// none. After a `Passing` refusal the offer is made again.
    pub fn answered(&mut self, plan: &Text, wish: &Wish, answer: Result<Base, Unwanted>) {
        let Some((file, content)) = self.offered.remove(plan) else { return };
        match (answer, wish) {
            (Ok(base), Wish::Undeploy { .. }) => {
                self.records.retain(|_, seen| seen.base.number != base.number);
            }
            (Ok(base), Wish::Deploy { source } | Wish::Update { source, .. }) => {
                self.wrote(&file, plan, base, source);
            }
            (Ok(base), Wish::Move { .. }) => {
                let mut seen = self.records.values();
                if let Some(seen) = seen.find(|seen| seen.base == base).cloned() {
                    self.records.insert(file, seen);
                }
            }
            (Err(Unwanted::Final(reason)), _) => {
                self.declined.extend(content.map(|content| (file, (content, reason))));
            }
            (Err(Unwanted::Passing), _) => {}
        }
    }

    /// Takes note that a file holds this version.
    pub fn wrote(&mut self, file: &str, plan: &Text, base: Base, source: &str) {
        let seen = Seen { hash: hash_bytes(source.as_bytes()), plan: plan.clone(), base };
        self.records.insert(file.to_owned(), seen);
    }

    /// Takes note that a file was removed or put aside.
    pub fn removed(&mut self, file: &str) {
        self.records.remove(file);
        self.declined.remove(file);
    }

    /// Takes note that a change of a plan is offered of which no file tells.
    pub fn offering(&mut self, file: &str, plan: &Text) {
        self.offered.insert(plan.clone(), (file.to_owned(), None));
    }

    /// Whether a file is recorded to hold the version that runs.
    #[must_use]
    pub fn holds(&self, file: &str, plan: &Deployed) -> bool {
        let is_it = |seen: &Seen| seen.base == plan.base && seen.hash == plan.text.hash();
        self.records.get(file).is_some_and(is_it)
    }

    /// Whether any change is offered and not answered.
    #[must_use]
    pub fn awaits_any(&self) -> bool {
        !self.offered.is_empty()
    }

    /// Whether a change of this plan is offered and not answered.
    #[must_use]
    pub fn awaits(&self, plan: &str) -> bool {
        self.offered.contains_key(plan)
    }
}

impl<'a> Following<'a> {
    fn new(folder: &'a Folder, look: &'a Look, catalogue: &'a Catalogue) -> Self {
        let (steps, refused, offered) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut this = Self {
            folder,
            look,
            catalogue,
            claims: BTreeMap::new(),
            steps,
            refused,
            records: folder.records.clone(),
            offered,
        };
        for file in look.files.keys() {
            if let State::Claims(plan, _) = this.state(file) {
                this.claims.entry(plan).or_default().push(file.clone());
            }
        }
        this
    }

    fn state(&self, file: &str) -> State<'a> {
        let Some(content) = self.look.files.get(file) else {
            return if self.look.moving.contains(file) { State::Moving } else { State::Absent };
        };
        let seen = self.folder.records.get(file);
        // A number that the log never gave stands in a record of another log.
        let seen = seen.filter(|seen| self.catalogue.has_given(seen.base.number));
        if let Some(seen) = seen
            && content.hash() == Some(seen.hash)
        {
            return State::Untouched(seen);
        }
        if let Some((before, reason)) = self.folder.declined.get(file)
            && before == content
        {
            return State::Broken(Refusal::Refused(reason.clone()));
        }
        match Claim::of(file, content) {
            Claim::Run { plan, text } => State::Claims(plan, text),
            Claim::Nothing(refusal) => State::Broken(refusal),
        }
    }

    /// What was recorded of a file, if it is of this plan.
    fn base_in(&self, file: &str, plan: &Deployed) -> Option<Base> {
        let seen = self.folder.records.get(file)?;
        (seen.base.number == plan.base.number).then_some(seen.base)
    }

    fn waits(&self, plan: &str) -> bool {
        self.folder.offered.contains_key(plan)
    }

    /// A plan of the catalogue and the file it lies in.
    fn plan(&mut self, name: &Text, plan: &Deployed) {
        let home = plan.file.as_str();
        if self.waits(name) {
            return self.keep_refusal(home);
        }
        let base = self.base_in(home, plan);
        match self.state(home) {
            State::Moving => {}
            State::Untouched(_) if base == Some(plan.base) => {}
            State::Untouched(_) => self.write(name, home),
            State::Claims(_, text) if *text == *plan.text.source => {
                let (hash, base) = (plan.text.hash(), plan.base);
                self.records.insert(home.to_owned(), Seen { hash, plan: name.clone(), base });
            }
            State::Claims(..) | State::Broken(_) if base != Some(plan.base) => {
                self.put_aside(name, home, base, Some(plan.base));
                self.write(name, home);
            }
            State::Claims(claimed, text) if claimed == **name => {
                let wish = Wish::Update { base: plan.base, source: text };
                self.offer(home, name, wish);
            }
            State::Claims(claimed, _) => self.left(name, plan, &claimed),
            State::Broken(refusal) => self.refuse(home, refusal),
            State::Absent => self.absent(name, plan, base),
        }
    }

    /// A plan's file holds another plan now.
    fn left(&mut self, name: &Text, plan: &Deployed, claimed: &str) {
        let home = plan.file.as_str();
        if let Some(file) = self.claimant(name) {
            return self.follow_to(&file, name, plan);
        }
        let other = self.catalogue.plan(claimed);
        match other.filter(|other| !matches!(self.state(&other.file), State::Absent)) {
            Some(other) => {
                let (plan, by) = (claimed.to_owned(), other.file.to_string());
                self.refuse(home, Refusal::Taken { plan, by });
            }
            None => self.offer(home, name, Wish::Undeploy { base: plan.base }),
        }
    }

    /// A plan's file is not there.
    fn absent(&mut self, name: &Text, plan: &Deployed, base: Option<Base>) {
        let home = plan.file.as_str();
        if base != Some(plan.base) {
            // Whatever was done, it was not done to this version.
            return self.write(name, home);
        }
        match self.claimant(name) {
            Some(file) => self.follow_to(&file, name, plan),
            // The file of another plan claims it, which has to give way first.
            None if self.claims.contains_key(&**name) => {}
            None if self.look.tells_absence() => {
                self.offer(home, name, Wish::Undeploy { base: plan.base });
            }
            None => self.write(name, home),
        }
    }

    /// A file that claims a plan and in which no plan of the catalogue lies.
    fn claimant(&self, plan: &str) -> Option<String> {
        let files = self.claims.get(plan)?;
        files.iter().find(|file| self.catalogue.in_file(file).is_none()).cloned()
    }

    /// A plan lies in another file now, perhaps with another text.
    fn follow_to(&mut self, file: &str, name: &Text, plan: &Deployed) {
        let State::Claims(_, text) = self.state(file) else { return };
        let base = plan.base;
        if *text == *plan.text.source {
            self.offer(file, name, Wish::Move { base });
        } else {
            self.offer(file, name, Wish::Update { base, source: text });
        }
    }

    /// A file in which no plan of the catalogue lies.
    fn newcomer(&mut self, file: &str) {
        match self.state(file) {
            State::Moving | State::Absent => {}
            State::Untouched(seen) => {
                // Its plan is gone or lies elsewhere, and nobody touched the file.
                if !self.waits(&seen.plan) {
                    self.steps.push(Step::Remove { file: file.to_owned() });
                }
            }
            State::Broken(refusal) => self.refuse(file, refusal),
            State::Claims(plan, text) => self.claim(file, plan, text),
        }
    }

    fn claim(&mut self, file: &str, plan: String, text: Arc<str>) {
        let name = Text::from(plan.as_str());
        if self.waits(&plan) {
            return self.keep_refusal(file);
        }
        let is_offered = |step: &Step| matches!(step, Step::Offer { file: of, .. } if of == file);
        if self.steps.iter().any(is_offered) {
            return;
        }
        let seen = self.folder.records.get(file);
        let edited =
            seen.filter(|seen| self.catalogue.has_given(seen.base.number) && *seen.plan == *plan);
        let there = self.catalogue.plan(&plan);
        if let Some(seen) = edited
            && there.is_none_or(|there| there.base.number != seen.base.number)
        {
            // Somebody else has undeployed what the change was made against.
            let runs = there.map(|there| there.base);
            return self.put_aside(&name, file, Some(seen.base), runs);
        }
        if let Some(there) = there {
            let by = there.file.to_string();
            return self.refuse(file, Refusal::Taken { plan, by });
        }
        match self.claimant(&plan) {
            Some(by) if by != file => {
                self.refuse(file, Refusal::Taken { plan, by });
            }
            _ => self.offer(file, &name, Wish::Deploy { source: text }),
        }
    }

    fn offer(&mut self, file: &str, plan: &Text, wish: Wish) {
        let content = self.look.files.get(file).cloned();
        self.offered.insert(plan.clone(), (file.to_owned(), content));
        self.steps.push(Step::Offer { file: file.to_owned(), plan: plan.clone(), wish });
    }

    fn write(&mut self, plan: &Text, file: &str) {
        self.steps.push(Step::Write { file: file.to_owned(), plan: plan.clone() });
    }

    fn put_aside(&mut self, plan: &Text, file: &str, made: Option<Base>, runs: Option<Base>) {
        let versions = (made.map(|base| base.version), runs.map(|base| base.version));
        self.steps.push(Step::PutAside { file: file.to_owned(), plan: plan.clone(), versions });
    }

    fn refuse(&mut self, file: &str, refusal: Refusal) {
        let content = self.look.files[file].clone();
        self.refused.insert(file.to_owned(), (content, refusal));
    }

    /// What was told of a file stands while an answer is waited for.
    fn keep_refusal(&mut self, file: &str) {
        let told = self.folder.refused.get(file);
        self.refused.extend(told.map(|told| (file.to_owned(), told.clone())));
    }

    /// Files that are gone, and in which no plan lies, need no record.
    fn forget(&mut self) {
        let (look, catalogue) = (self.look, self.catalogue);
        let is_there = |file: &str| look.files.contains_key(file) || look.moving.contains(file);
        self.records.retain(|file, _| is_there(file) || catalogue.in_file(file).is_some());
    }

    fn tell_refusals(&mut self) {
        let mut told = Vec::new();
        for file in self.folder.refused.keys().filter(|file| !self.refused.contains_key(*file)) {
            told.push(Step::Accept { file: file.clone() });
        }
        for (file, (content, refusal)) in &self.refused {
            let known = |(c, r): &(Content, Refusal)| c == content && r == refusal;
            if !self.folder.refused.get(file).is_some_and(known) {
                let runs = self.catalogue.in_file(file).map(|(plan, _)| plan.to_string());
                let plan = runs.unwrap_or_else(|| match content {
                    Content::Text { name: Some(name), .. } => name.clone(),
                    _ => stem(file).to_owned(),
                });
                let (file, refusal) = (file.clone(), refusal.clone());
                told.push(Step::Refuse { file, plan, refusal });
            }
        }
        // What was told before gives way first.
        told.append(&mut self.steps);
        self.steps = told;
    }
}
