//! The deployer: watches the folder of plans and has the steps carried out that follow from it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use actix::prelude::*;
use tracing::warn;

use crate::actors::checking;
use crate::actors::clock;
use crate::actors::office::Office;
use crate::actors::office::RefusedFile;
use crate::actors::plan_folder::difference::Content;
use crate::actors::plan_folder::difference::Folder;
use crate::actors::plan_folder::difference::Refusal;
use crate::actors::plan_folder::difference::Step;
use crate::actors::plan_folder::reading;
use crate::actors::plan_folder::reading::Reading as FileReading;
use crate::actors::plan_folder::settle::Settler;
use crate::actors::plan_folder::settle::Signature;
use crate::actors::plan_folder::watch::Watch;
use crate::actors::plan_folder::watch::watch;
use crate::actors::slot::Draft;
use crate::actors::tree::Control;
use crate::actors::tree::Exit;
use crate::actors::tree::Lifeline;
use crate::rehearsal::Reading;
use crate::rehearsal::Verdict;

/// A file that is written to all the time does not keep the node from being ready for longer.
const READY_AFTER: Duration = Duration::from_secs(3);
/// After a change is told, others often follow at once.
const GATHER: Duration = Duration::from_millis(5);

/// What the deployer knows of the folder; it outlives the actor, so that a fall undeploys nothing.
#[derive(Debug)]
pub struct Known {
    settler: Settler,
    files: BTreeMap<String, File>,
    folder: Folder,
}

/// A file as it was last read.
#[derive(Debug)]
struct File {
    signature: Signature,
    content: Content,
    reading: Option<Arc<Reading>>,
}

impl Known {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(settle: Duration) -> Self {
        let (files, folder) = (BTreeMap::new(), Folder::default());
        Self { settler: Settler::new(settle), files, folder }
    }
}

/// Watches the folder of plans.
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

/// Something in the folder may have changed.
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
        match reading::list(&plans.folder) {
            Ok(listing) => {
                self.unreadable = false;
                let known = Arc::clone(&self.known);
                let mut known = lock(&known);
                let look = known.settler.look(&listing, clock::elapsed());
                if let Some(again) = look.again {
                    wait = wait.min(again);
                }
                let moved = look.changed && self.read(&mut known);
                if moved {
                    wait = wait.min(plans.settle);
                }
                if look.changed {
                    self.follow(&mut known);
                }
                let patient = clock::elapsed().saturating_sub(self.began) < READY_AFTER;
                let moving = (look.again.is_some() || moved) && patient;
                if !moving && !self.office.is_ready() {
                    self.ready_after_these();
                }
            }
            Err(error) => {
                let folder = plans.folder.display();
                if !std::mem::replace(&mut self.unreadable, true) {
                    warn!(%folder, %error, "the folder of plans cannot be read; plans run on");
                }
            }
        }
        self.look_in(wait, ctx);
    }

    /// Reads and checks what has changed; whether something is still moving.
    fn read(&self, known: &mut Known) -> bool {
        let plans = &self.office.config.plans;
        let rest = known.settler.rest().clone();
        let mut moving = false;
        known.files.retain(|name, _| rest.contains_key(name));
        for (name, signature) in rest {
            if known.files.get(&name).is_some_and(|file| file.signature == signature) {
                continue;
            }
            let read = reading::read(&plans.folder, &name, &signature, plans.file_bytes_max);
            let (content, reading) = match read {
                FileReading::Moving => {
                    known.settler.disturb(&name);
                    moving = true;
                    continue;
                }
                FileReading::Unreadable(reason) => (Content::Unreadable(reason), None),
                FileReading::Text(text) => {
                    let reading = checking::check(&name, &text);
                    let inside = checking::name_inside(reading.source.text());
                    let sound = reading.plan.is_some();
                    let text = text.into();
                    (Content::Text { text, name: inside, sound }, Some(Arc::new(reading)))
                }
            };
            known.files.insert(name, File { signature, content, reading });
        }
        moving
    }

    /// Takes the steps that follow; those that take time wait for the plan's turn.
    fn follow(&self, known: &mut Known) {
        let files = known.files.iter().map(|(name, file)| (name.clone(), file.content.clone()));
        for step in known.folder.follow(&files.collect()) {
            let office = &self.office;
            let reading = |file: &str| known.files.get(file).and_then(|file| file.reading.clone());
            match step {
                Step::Accept { file } => office.accept(&file),
                Step::Move { plan, file } => office.moved(&plan, &file),
                Step::Refuse { file, plan, refusal } => {
                    let reading = reading(&file);
                    let reason = reason(&refusal, reading.as_deref());
                    office.refuse(RefusedFile { file, plan, reason, reading });
                }
                Step::Undeploy { plan } => {
                    let (office, turn) = (Arc::clone(office), office.turn(&plan));
                    actix::spawn(async move {
                        let _turn = turn.lock().await;
                        office.undeploy(&plan).await;
                        office.forget(&plan);
                    });
                }
                Step::Update { plan, file, text } | Step::Deploy { plan, file, text } => {
                    let reading = reading(&file).expect("a sound file was read");
                    self.deploy(plan, file, text, reading);
                }
            }
        }
    }

    fn deploy(&self, plan: String, file: String, text: Arc<str>, reading: Arc<Reading>) {
        let warnings = reading.diagnostics.iter().filter(|each| !each.is_error()).cloned();
        let draft = Draft {
            name: plan.as_str().into(),
            file,
            text,
            plan: reading.plan.clone().expect("a sound file holds a plan"),
            warnings: warnings.collect(),
        };
        let (office, turn) = (Arc::clone(&self.office), self.office.turn(&plan));
        let known = Arc::clone(&self.known);
        actix::spawn(async move {
            let _turn = turn.lock().await;
            if let Err(reason) = office.deploy(draft, reading).await {
                lock(&known).folder.failed(&plan, &reason);
            }
        });
    }

    /// The node is ready when the steps begun so far are done.
    fn ready_after_these(&self) {
        let office = Arc::clone(&self.office);
        actix::spawn(async move {
            office.after_all_turns().await;
            office.set_ready();
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
