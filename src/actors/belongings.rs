//! What is kept of plans on this node's disk: whose it is, and when it goes.

use std::io;
use std::path::Path;

use tracing::info;
use tracing::warn;

use crate::actors::clock;
use crate::actors::marks;
use crate::actors::marks::Lying;
use crate::actors::marks::Mark;
use crate::actors::office::Office;
use crate::actors::plan::Folders;
use crate::actors::plan::Kept;
use crate::event::Text;

impl Office {
    /// The folder of data, if anything is kept.
    fn data(&self) -> Option<&Path> {
        self.config.persistence.enabled.then_some(self.config.node.data.as_path())
    }

    /// Whether there is data of a plan from before this log of deployments: the version it has come
    /// to, and its text.
    pub(super) fn kept_before(&self, plan: &str, log: u64) -> Option<Option<(u64, Text)>> {
        let data = self.data()?;
        match marks::look(&Folders::of(data, plan)) {
            Ok(Lying::Unmarked) => {}
            Ok(Lying::Marked(mark)) if mark.log != log => {}
            Ok(_) | Err(_) => return None,
        }
        // What cannot be opened is told of when the plan starts.
        let kept = Kept::open(data, plan).ok()?;
        Some(kept.deployment.map(|deployment| (deployment.number, deployment.text)))
    }

    /// Sees to it that what lies in a plan's folders is the plan's: the rest of another plan that
    /// had its name goes, what comes from elsewhere is put aside.
    pub(super) fn claim(&self, plan: &str, mark: Mark, kept_by: Option<&str>) -> io::Result<()> {
        let Some(data) = self.data() else { return Ok(()) };
        let folders = Folders::of(data, plan);
        match marks::look(&folders)? {
            Lying::Marked(lying) if lying == mark => return Ok(()),
            Lying::Marked(lying) if lying.log == mark.log => self.forget(plan),
            Lying::Nothing => {}
            _ if kept_by == Some(&self.config.node.name) => {}
            _ => {
                warn!(plan, "data of another plan of this name was found and is put aside");
                marks::put_aside(&folders, plan, clock::now_ms())?;
            }
        }
        marks::set(&folders, mark)
    }

    /// Removes what is kept of a plan that was undeployed: one of that name begins empty.
    pub(super) fn forget(&self, plan: &str) {
        let Folders { journal, snapshots } = Folders::of(&self.config.node.data, plan);
        // The mark lies with the journal: it goes last.
        for folder in [snapshots, journal] {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    warn!(plan, folder = %folder.display(), %error, "cannot remove what was kept");
                    return;
                }
                _ => {}
            }
        }
    }

    /// Looks for data of plans that do not run: of those that this log has undeployed it goes, of
    /// others it is told.
    pub(super) async fn sweep(&self) {
        let Some(data) = self.data() else { return };
        for plan in marks::plans(data) {
            let turn = self.turn(&plan);
            let _turn = turn.lock().await;
            let catalogue = self.deployments.catalogue();
            if catalogue.plan(&plan).is_some() {
                continue;
            }
            let folders = Folders::of(data, &plan);
            match marks::look(&folders) {
                Ok(Lying::Marked(mark))
                    if mark.log == catalogue.id() && catalogue.has_given(mark.number) =>
                {
                    info!(plan, "what was kept of a plan that was undeployed is removed");
                    self.forget(&plan);
                }
                Ok(Lying::Nothing) => {}
                Ok(_) | Err(_) => warn!(
                    plan,
                    journal = %folders.journal.display(),
                    snapshots = %folders.snapshots.display(),
                    "there is data of a plan that is not deployed: put its file back, and it goes \
                     on, or remove these folders"
                ),
            }
        }
    }
}
