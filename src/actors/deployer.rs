//! The deployer: watches the folder of plans and the log of deployments, and lets each follow the
//! other; what the log says is carried out by the office.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use actix::prelude::*;
use tracing::debug;
use tracing::warn;

use crate::actors::checking;
use crate::actors::clock;
use crate::actors::deployments::NotOrdered;
use crate::actors::marks;
use crate::actors::office::Office;
use crate::actors::office::RefusedFile;
use crate::actors::plan_folder::known::Known;
use crate::actors::plan_folder::watch::Watch;
use crate::actors::plan_folder::watch::watch;
use crate::actors::slot::Draft;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::catalogue::Base;
use crate::catalogue::Catalogue;
use crate::catalogue::Change;
use crate::catalogue::Deployed;
use crate::catalogue::Entry;
use crate::catalogue::Misfit;
use crate::catalogue::PlanText;
use crate::catalogue::Refusal;
use crate::catalogue::Step;
use crate::catalogue::Unwanted;
use crate::catalogue::Wish;
use crate::event::Text;
use crate::rehearsal::Reading;
use crate::rehearsal::Verdict;

/// A file that is written to all the time does not keep the node from being ready for longer.
const READY_AFTER: Duration = Duration::from_secs(3);
/// How soon it looks again while it is not known what runs.
const UNSETTLED: Duration = Duration::from_millis(20);
/// After a change is told, others often follow at once.
const GATHER: Duration = Duration::from_millis(5);

/// Watches the folder of plans and the log of deployments.
#[derive(Debug)]
pub struct Deployer {
    office: Arc<Office>,
    known: Arc<Mutex<Known>>,
    lifeline: Lifeline,
    _watch: Option<Watch>,
    /// When the next look is due, by the clock that only goes forward.
    next_look: Option<(Duration, SpawnHandle)>,
    unreadable: bool,
    began: Duration,
}

/// Something in the folder or in the log may have changed.
#[derive(Message)]
#[rtype(result = "()")]
struct Changed;

impl Deployer {
    /// A deployer with what its predecessor knew.
    #[must_use]
    pub fn new(office: Arc<Office>, known: Arc<Mutex<Known>>, lifeline: Lifeline) -> Self {
        Self {
            office,
            known,
            lifeline,
            _watch: None,
            next_look: None,
            unreadable: false,
            began: clock::elapsed(),
        }
    }

    fn look_in(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        let at = clock::elapsed() + wait;
        match self.next_look.take() {
            // A file that is written to all the time must not put the look off for ever.
            Some((due, handle)) if due <= at => self.next_look = Some((due, handle)),
            before => {
                if let Some((_, handle)) = before {
                    ctx.cancel_future(handle);
                }
                self.next_look = Some((at, ctx.run_later(wait, |this, ctx| this.look(ctx))));
            }
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        self.next_look = None;
        let plans = &self.office.config.plans;
        let mut wait = plans.poll;
        let known = Arc::clone(&self.known);
        let mut known = lock(&known);
        // In a pair nobody knows at the start how far the log is committed, and a folder must not
        // be compared with an old state of it.
        known.settled |= self.office.knows_what_runs();
        if !known.settled {
            drop(known);
            return self.look_in(UNSETTLED, ctx);
        }
        let looked = known.look(clock::elapsed());
        let patient = clock::elapsed().saturating_sub(self.began) < READY_AFTER;
        let may_run = match looked {
            Ok(again) => {
                self.unreadable = false;
                wait = wait.min(again.unwrap_or(wait));
                self.follow(&mut known, ctx);
                again.is_none() || !patient
            }
            Err(error) => {
                let folder = plans.folder.display();
                if !std::mem::replace(&mut self.unreadable, true) {
                    warn!(%folder, %error, "the folder of plans cannot be read; plans run on");
                }
                true
            }
        };
        if may_run || known.looked {
            self.run(&mut known, ctx);
        }
        known.save();
        self.look_in(wait, ctx);
    }

    /// Takes the steps that follow from the folder and the catalogue as they stand.
    fn follow(&self, known: &mut Known, ctx: &mut Context<Self>) {
        let catalogue = self.office.deployments.catalogue();
        for step in known.follow(&catalogue) {
            match step {
                Step::Accept { file } => self.office.accept(&file),
                Step::Refuse { file, plan, refusal } => {
                    let reading = known.reading(&file);
                    let reason = reason(&refusal, reading.as_deref());
                    self.office.refuse(RefusedFile { file, plan, reason, reading });
                }
                Step::Offer { file, plan, wish } => self.offer(&file, plan, wish, &catalogue, ctx),
                Step::PutAside { file, plan, versions: (made, runs) } => {
                    let Some(aside) = known.put_aside(&file) else { continue };
                    warn!(
                        %plan, file, aside, made_against = made, runs,
                        "refused: the file was changed against another version than the one that \
                         runs; the change is kept beside it"
                    );
                }
                Step::Write { file, plan } => {
                    if let Some(there) = catalogue.plan(&plan) {
                        known.write(&file, &plan, there);
                    }
                }
                Step::Remove { file } => known.remove(&file),
            }
        }
    }

    /// Offers a user's change to the log; the answer leads to another look.
    fn offer(
        &self,
        file: &str,
        plan: Text,
        wish: Wish,
        catalogue: &Catalogue,
        ctx: &mut Context<Self>,
    ) {
        let entry = self.entry(file, &plan, &wish, catalogue);
        let (office, known, me) =
            (Arc::clone(&self.office), Arc::clone(&self.known), ctx.address());
        // The answer has to be noted also if this actor falls before it comes.
        actix::spawn(async move {
            let answer = office.deployments.offer(entry).await;
            let is_unavailable = matches!(answer, Err(NotOrdered::Unavailable(_)));
            let answer = answer.map(|applied| applied.base).map_err(|error| {
                debug!(%plan, %error, "the folder's change was not ordered");
                unwanted(&error)
            });
            lock(&known).folder.answered(&plan, &wish, answer);
            if !is_unavailable {
                // A mailbox that is full holds this message already.
                let _ = me.try_send(Changed);
            }
        });
    }

    fn entry(&self, file: &str, plan: &Text, wish: &Wish, catalogue: &Catalogue) -> Entry {
        let text = |source: &str| PlanText {
            source: source.into(),
            kept: checking::text_to_keep(source).into(),
        };
        let file = Text::from(file);
        let change = match wish {
            Wish::Deploy { source } => {
                let text = text(source);
                let (version, kept_by) = match self.office.kept_before(plan, catalogue.id()) {
                    Some(before) => {
                        let version = before
                            .map_or(1, |(number, kept)| number + u64::from(*kept != *text.kept));
                        (version, Some(self.office.config.node.name.as_str().into()))
                    }
                    None => (1, None),
                };
                Change::Deploy { file, text, version, kept_by }
            }
            Wish::Update { base, source } => {
                Change::Update { base: *base, file, text: text(source) }
            }
            Wish::Move { base } => Change::Move { base: *base, file },
            Wish::Undeploy { base } => Change::Undeploy { base: *base },
        };
        Entry { at: clock::now_ms(), plan: plan.clone(), change }
    }

    /// Has the office run what the catalogue says.
    fn run(&self, known: &mut Known, ctx: &mut Context<Self>) {
        let catalogue = self.office.deployments.catalogue();
        if !std::mem::replace(&mut known.looked, true) {
            self.offer_new_values(known, &catalogue, ctx);
        }
        let is_gone = |(name, (base, _)): &(&Text, &(Base, Text))| {
            catalogue.plan(name).is_none_or(|plan| plan.base.number != base.number)
        };
        let gone = known.running.iter().filter(is_gone);
        let gone: Vec<_> = gone.map(|(name, (_, file))| (name.clone(), file.clone())).collect();
        for (plan, file) in gone {
            known.running.remove(&plan);
            self.office.accept(&file);
            let (office, turn) = (Arc::clone(&self.office), self.office.turn(&plan));
            actix::spawn(async move {
                let _turn = turn.lock().await;
                office.undeploy(&plan).await;
                office.forget(&plan);
            });
        }
        for (name, plan) in catalogue.plans() {
            match known.running.get(name) {
                Some((base, file)) if *base == plan.base && *file == plan.file => continue,
                Some((base, _)) if *base == plan.base => self.office.moved(name, &plan.file),
                Some((_, file)) => {
                    self.office.accept(file);
                    self.deploy(name, plan, &catalogue);
                }
                // What was done to it while the node was down comes first.
                None if known.folder.awaits(name) => continue,
                None => self.deploy(name, plan, &catalogue),
            }
            known.running.insert(name.clone(), (plan.base, plan.file.clone()));
        }
        let may = !known.folder.awaits_any() && self.office.knows_what_runs();
        if !self.office.is_ready() && may {
            self.ready_after_these();
        }
    }

    /// A variable outside options may have another value than when its plan was ordered.
    fn offer_new_values(&self, known: &mut Known, catalogue: &Catalogue, ctx: &mut Context<Self>) {
        for (name, plan) in catalogue.plans() {
            let (file, source) = (&*plan.file, &*plan.text.source);
            if known.folder.holds(file, plan) && checking::text_to_keep(source) != *plan.text.kept {
                let wish = Wish::Update { base: plan.base, source: source.into() };
                known.folder.offering(file, name);
                self.offer(file, name.clone(), wish, catalogue, ctx);
            }
        }
    }

    fn deploy(&self, name: &Text, plan: &Deployed, catalogue: &Catalogue) {
        let file = plan.file.to_string();
        let reading =
            Arc::new(checking::check_for(&file, &plan.text.kept, Some(&self.office.ports.stores)));
        let Some(checked) = reading.plan.clone() else {
            let reason = reason(&Refusal::Unsound, Some(&reading));
            let (plan, reading) = (name.to_string(), Some(reading));
            return self.office.refuse(RefusedFile { file, plan, reason, reading });
        };
        let warnings = reading.diagnostics.iter().filter(|each| !each.is_error()).cloned();
        let draft = Draft {
            name: (&**name).into(),
            file,
            text: (&*plan.text.source).into(),
            kept_text: (&*plan.text.kept).into(),
            plan: checked,
            warnings: warnings.collect(),
            version: plan.base.version,
            mark: marks::Mark { log: catalogue.id(), number: plan.base.number },
            kept_by: plan.kept_by.clone(),
        };
        let (office, turn) = (Arc::clone(&self.office), self.office.turn(name));
        actix::spawn(async move {
            let _turn = turn.lock().await;
            office.deploy(draft, reading).await;
        });
    }

    /// The node is ready when the steps begun so far are done.
    fn ready_after_these(&self) {
        let office = Arc::clone(&self.office);
        actix::spawn(async move {
            office.after_all_turns().await;
            if office.set_ready() {
                office.sweep().await;
            }
        });
    }
}

impl Actor for Deployer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let address = ctx.address();
        let folder = &self.office.config.plans.folder;
        // A mailbox that is full holds this message already.
        self._watch = Some(watch(folder, move || {
            let _ = address.try_send(Changed);
        }));
        let (address, mut changes) = (ctx.address(), self.office.deployments.subscribe());
        let follow = async move {
            while changes.changed().await.is_ok() {
                let _ = address.try_send(Changed);
            }
        };
        ctx.spawn(follow.into_actor(self));
        self.look(ctx);
    }
}

impl Handler<Changed> for Deployer {
    type Result = ();

    fn handle(&mut self, _: Changed, ctx: &mut Self::Context) {
        self.look_in(GATHER, ctx);
    }
}

impl Handler<Control> for Deployer {
    type Result = ();

    fn handle(&mut self, control: Control, ctx: &mut Self::Context) {
        match control {
            Control::Stop => {
                self.lifeline.end(Exit::Asked);
                ctx.stop();
            }
            Control::Fall => Control::fall(),
        }
    }
}

/// What an offer that was not ordered means for the file.
fn unwanted(error: &NotOrdered) -> Unwanted {
    match error {
        NotOrdered::Misfit(Misfit::Name(_) | Misfit::Full)
        | NotOrdered::Unsound(_)
        | NotOrdered::Refused(_) => Unwanted::Final(error.to_string()),
        // The catalogue has changed, or somebody orders again: the next look shows what follows.
        NotOrdered::Misfit(_) | NotOrdered::Unavailable(_) => Unwanted::Passing,
    }
}

/// Why a file is refused, in a sentence.
fn reason(refusal: &Refusal, reading: Option<&Reading>) -> String {
    let verdict = reading.map(Reading::verdict);
    if *refusal == Refusal::Unsound && verdict == Some(Verdict::NotSupported) {
        return "the plan uses what is not supported yet".to_owned();
    }
    refusal.to_string()
}

/// What is guarded is whole between the calls that change it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
