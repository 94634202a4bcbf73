//! Plans changed from outside: their files are written or removed, and the deployer follows.
//!
//! The folder stays the one place that says what runs. An edit is checked first, so that nothing
//! is written that would be refused; then it is put into the folder, and whoever asked is told
//! once the deployer has followed.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::actors::checking;
use crate::actors::handle::Handle;
use crate::actors::handle::PlanView;
use crate::actors::plan_folder::writing;
use crate::catalogue::is_plan_name;
use crate::catalogue::stem;
use crate::rehearsal::Reading;

/// How long the deployer may take to follow.
const FOLLOW_TIME: Duration = Duration::from_secs(10);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(5);
/// The ending of a new plan's file.
const ENDING: &str = ".siddhi";

/// What became of a plan that was put into the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// There was none of this name.
    New,
    /// It replaced a text of this name.
    Changed,
    /// It lies in the folder, but does not run yet: the plan has much to do.
    Late,
}

/// Why a plan was not put into the folder, or not taken out of it.
#[derive(Debug)]
pub enum EditError {
    /// A plan may not be called so.
    Name,
    /// There is no such plan.
    Unknown,
    /// The text gives its plan another name.
    OtherName {
        /// That name, if it gives one.
        inside: Option<String>,
        /// The file in which it would lie.
        file: String,
    },
    /// A file of this name holds another plan.
    FileTaken {
        /// The file.
        file: String,
        /// The plan.
        plan: String,
    },
    /// The check found errors; nothing was written.
    Unsound(Box<Reading>),
    /// It is sound and was written, but could not be started.
    NotStarted(String),
    /// Somebody else changed the plan at the same time.
    Overtaken,
    /// The folder cannot be written to.
    Folder(io::Error),
}

impl Handle {
    /// Checks a plan and puts it into the folder: into the file it lies in, else into a new one.
    /// Returns when the deployer has followed.
    ///
    /// # Errors
    /// If the plan is refused; what ran before runs on.
    pub async fn put_plan(&self, plan: &str, text: &str) -> Result<Put, EditError> {
        if !is_plan_name(plan) {
            return Err(EditError::Name);
        }
        let edit = self.edits().lock().await;
        let views = self.plans();
        let before = views.iter().find(|view| view.name == plan);
        let file = match before {
            Some(view) => view.file.clone(),
            None => self.new_file(plan, &views)?,
        };
        let reading = self.check(&file, text);
        if reading.plan.is_none() {
            return Err(EditError::Unsound(Box::new(reading)));
        }
        let inside = checking::name_inside(reading.source.text());
        if inside.as_deref().unwrap_or(stem(&file)) != plan {
            return Err(EditError::OtherName { inside, file });
        }
        let put = if before.is_some() { Put::Changed } else { Put::New };
        self.change({
            let (file, text) = (file.clone(), text.to_owned());
            move |folder| writing::write(folder, &file, text.as_bytes())
        })
        .await?;
        drop(edit);
        let edit = Edit { plan, file: &file, text, reading: &reading };
        let judged = async {
            loop {
                if let Some(judged) = edit.judged(&self.plans()) {
                    break judged;
                }
                sleep(LOOK).await;
            }
        };
        match timeout(FOLLOW_TIME, judged).await {
            Ok(judged) => judged.map(|()| put),
            Err(_) if self.lies(&file, text) => Ok(Put::Late),
            Err(_) => Err(EditError::Overtaken),
        }
    }

    /// Takes a plan's file out of the folder; of a plan that never ran, all files that want to be
    /// it. Returns the files, when the deployer has followed or its time is over.
    ///
    /// # Errors
    /// If there is no such plan, or the folder cannot be changed.
    pub async fn remove_plan(&self, plan: &str) -> Result<Vec<String>, EditError> {
        let edit = self.edits().lock().await;
        let mut views = self.plans();
        views.retain(|view| view.name == plan);
        if views.iter().any(|view| view.version.is_some()) {
            views.retain(|view| view.version.is_some());
        }
        let files: Vec<_> = views.into_iter().map(|view| view.file).collect();
        if files.is_empty() {
            return Err(EditError::Unknown);
        }
        self.change({
            let files = files.clone();
            move |folder| writing::remove(folder, &files)
        })
        .await?;
        drop(edit);
        let gone = async {
            let lies = |view: &PlanView| view.name == plan && files.contains(&view.file);
            while self.plans().iter().any(lies) {
                sleep(LOOK).await;
            }
        };
        // The files are gone; the plan ends when it has finished what it took.
        let _ = timeout(FOLLOW_TIME, gone).await;
        Ok(files)
    }

    /// The file of a plan that has none yet.
    fn new_file(&self, plan: &str, views: &[PlanView]) -> Result<String, EditError> {
        let file = format!("{plan}{ENDING}");
        let holder = views.iter().find(|view| view.file == file);
        match holder {
            Some(view) => Err(EditError::FileTaken { file, plan: view.name.clone() }),
            None => Ok(file),
        }
    }

    /// Changes the folder on a thread that may wait for the disk.
    async fn change(
        &self,
        change: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
    ) -> Result<(), EditError> {
        let folder = self.config().plans.folder.clone();
        let changed = spawn_blocking(move || change(&folder)).await;
        changed.map_err(io::Error::other).and_then(|changed| changed).map_err(EditError::Folder)
    }

    /// Whether a file of the folder holds this text.
    fn lies(&self, file: &str, text: &str) -> bool {
        let path = self.config().plans.folder.join(file);
        std::fs::read(path).is_ok_and(|found| found == text.as_bytes())
    }
}

/// A text that was put into a file.
struct Edit<'a> {
    plan: &'a str,
    file: &'a str,
    text: &'a str,
    reading: &'a Reading,
}

impl Edit<'_> {
    /// What the deployer made of it; `None` until it has looked at it.
    fn judged(&self, views: &[PlanView]) -> Option<Result<(), EditError>> {
        let is_mine = |view: &&PlanView| view.name == self.plan && view.file == self.file;
        let view = views.iter().find(is_mine)?;
        if view.version.as_ref().is_some_and(|version| *version.text == *self.text) {
            return Some(Ok(()));
        }
        let refused = view.refused.as_ref().filter(|refused| refused.file == self.file)?;
        let is_this = |found: &Arc<Reading>| found.source.text() == self.reading.source.text();
        let is_this = refused.reading.as_ref().is_some_and(is_this);
        is_this.then(|| Err(EditError::NotStarted(refused.reason.clone())))
    }
}
