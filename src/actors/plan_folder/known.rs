//! What a node knows of its folder of plans; it outlives the actor, so that a fall undeploys
//! nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;
use tracing::warn;

use crate::actors::checking;
use crate::actors::plan_folder::reading;
use crate::actors::plan_folder::reading::Identity;
use crate::actors::plan_folder::reading::Reading as FileReading;
use crate::actors::plan_folder::settle::Listing;
use crate::actors::plan_folder::settle::Settler;
use crate::actors::plan_folder::settle::Signature;
use crate::actors::plan_folder::writing;
use crate::catalogue::Base;
use crate::catalogue::Catalogue;
use crate::catalogue::Content;
use crate::catalogue::Deployed;
use crate::catalogue::Folder;
use crate::catalogue::Look;
use crate::catalogue::Records;
use crate::catalogue::Step;
use crate::catalogue::records;
use crate::config::Plans;
use crate::event::Text;
use crate::rehearsal::Reading;
use crate::store::Stores;

/// What is known of the folder.
#[derive(Debug)]
pub struct Known {
    plans: Plans,
    settler: Settler,
    files: BTreeMap<String, File>,
    /// The files of the last look.
    listing: Listing,
    /// The folder in which files were seen.
    seen_in: Option<Identity>,
    identity: Option<Identity>,
    /// The folder against the catalogue.
    pub folder: Folder,
    /// Where the records lie, and what lies there.
    records: Option<PathBuf>,
    saved: Records,
    /// Files that could not be changed, as was told.
    stubborn: BTreeSet<String>,
    /// Plans that the office was told to run, the version and the file.
    pub running: BTreeMap<Text, (Base, Text)>,
    /// Whether the folder was looked at once, so that plans may start.
    pub looked: bool,
    /// Whether it was known once what runs, so that the folder can be compared with it.
    pub settled: bool,
    /// The stores that plans may name.
    stores: Stores,
}

/// A file as it was last read or written.
#[derive(Debug)]
struct File {
    signature: Signature,
    content: Content,
    reading: Option<Arc<Reading>>,
}

impl Known {
    /// What was kept of the folder below a folder of records, if anything is kept.
    #[must_use]
    pub fn new(plans: Plans, records: Option<PathBuf>, stores: Stores) -> Self {
        let saved = records.as_ref().map_or_else(Records::new, read_records);
        Self {
            settler: Settler::new(plans.settle),
            stores,
            plans,
            files: BTreeMap::new(),
            listing: Listing::new(),
            seen_in: None,
            identity: None,
            folder: Folder::new(saved.clone()),
            records,
            saved,
            stubborn: BTreeSet::new(),
            running: BTreeMap::new(),
            looked: false,
            settled: false,
        }
    }

    /// Looks at the folder at the moment `now` of a clock that only goes forward; when to look
    /// again if something is still moving.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn look(&mut self, now: Duration) -> io::Result<Option<Duration>> {
        let identity = reading::identity(&self.plans.folder)?;
        self.listing = reading::list(&self.plans.folder)?;
        self.identity = Some(identity);
        let look = self.settler.look(&self.listing, now);
        let again = if look.changed && self.read() {
            Some(look.again.map_or(self.plans.settle, |again| again.min(self.plans.settle)))
        } else {
            look.again
        };
        Ok(again)
    }

    /// Reads and checks what has changed; whether something is still moving.
    fn read(&mut self) -> bool {
        let rest = self.settler.rest().clone();
        let mut moving = false;
        let listing = &self.listing;
        // What was written here is known before it has come to rest.
        let is_listed = |name: &str, file: &File| listing.get(name) == Some(&file.signature);
        self.files.retain(|name, file| rest.contains_key(name) || is_listed(name, file));
        for (name, signature) in rest {
            let known = self.files.get(&name);
            if known.is_some_and(|file| file.signature == signature || is_listed(&name, file)) {
                continue;
            }
            let (folder, bytes_max) = (&self.plans.folder, self.plans.file_bytes_max);
            let (content, reading) = match reading::read(folder, &name, &signature, bytes_max) {
                FileReading::Moving => {
                    self.settler.disturb(&name);
                    self.files.remove(&name);
                    moving = true;
                    continue;
                }
                FileReading::Unreadable(reason) => (Content::Unreadable(reason), None),
                FileReading::Text(text) => {
                    let reading = checking::check_for(&name, &text, Some(&self.stores));
                    let inside = checking::name_inside(reading.source.text());
                    let sound = reading.plan.is_some();
                    let text = text.into();
                    (Content::Text { text, name: inside, sound }, Some(Arc::new(reading)))
                }
            };
            self.files.insert(name, File { signature, content, reading });
        }
        moving
    }

    /// What is to be done so that the catalogue follows the folder, and the folder the catalogue.
    pub fn follow(&mut self, catalogue: &Catalogue) -> Vec<Step> {
        let files = self.files.iter().map(|(name, file)| (name.clone(), file.content.clone()));
        let moving = self.listing.keys().filter(|name| !self.files.contains_key(*name));
        let is_known = self.seen_in.is_some() && self.seen_in == self.identity;
        let look = Look { files: files.collect(), moving: moving.cloned().collect(), is_known };
        if !self.listing.is_empty() {
            self.seen_in = self.identity;
        }
        self.folder.follow(&look, catalogue)
    }

    /// What the check found in a file.
    #[must_use]
    pub fn reading(&self, file: &str) -> Option<Arc<Reading>> {
        self.files.get(file).and_then(|file| file.reading.clone())
    }

    /// Writes the text of a plan into its file, unless somebody else is at it.
    pub fn write(&mut self, file: &str, name: &Text, plan: &Deployed) {
        if !self.is_as_read(file) {
            return;
        }
        let (folder, source) = (&self.plans.folder, &plan.text.source);
        let written = writing::write(folder, file, source.as_bytes());
        if !self.done(file, "write", written) {
            return;
        }
        info!(plan = %name, file, version = plan.base.version, "written as the log has it");
        let content =
            Content::Text { text: (&**source).into(), name: Some(name.to_string()), sound: true };
        if let Some(signature) = reading::signature(&self.plans.folder.join(file)) {
            self.listing.insert(file.to_owned(), signature.clone());
            self.files.insert(file.to_owned(), File { signature, content, reading: None });
        }
        self.folder.wrote(file, name, plan.base, source);
    }

    /// Removes a file of a plan that is gone or lies elsewhere, unless somebody else is at it.
    pub fn remove(&mut self, file: &str) {
        if !self.is_as_read(file) {
            return;
        }
        let removed = writing::remove(&self.plans.folder, &[file.to_owned()]);
        if self.done(file, "remove", removed) {
            info!(file, "removed: its plan is gone, or lies in another file");
            self.let_go(file);
        }
    }

    /// Puts a file aside; the name it has now.
    pub fn put_aside(&mut self, file: &str) -> Option<String> {
        match writing::put_aside(&self.plans.folder, file) {
            Ok(name) => {
                self.let_go(file);
                Some(name)
            }
            Err(error) => {
                self.done(file, "put aside", Err(error));
                None
            }
        }
    }

    fn let_go(&mut self, file: &str) {
        self.files.remove(file);
        self.listing.remove(file);
        self.folder.removed(file);
    }

    /// Whether a change of a file came about; a file that resists is told of once.
    fn done(&mut self, file: &str, what: &str, done: io::Result<()>) -> bool {
        match done {
            Ok(()) => {
                self.stubborn.remove(file);
                true
            }
            Err(error) => {
                if self.stubborn.insert(file.to_owned()) {
                    warn!(file, %error, "cannot {what} a file of the folder of plans");
                }
                false
            }
        }
    }

    /// Whether a file still holds what was read, or is not there if nothing was.
    fn is_as_read(&self, file: &str) -> bool {
        let path = self.plans.folder.join(file);
        match self.files.get(file).map(|file| &file.content) {
            Some(Content::Text { text, .. }) => {
                std::fs::read(path).is_ok_and(|found| found == text.as_bytes())
            }
            Some(Content::Unreadable(_)) => true,
            None => std::fs::symlink_metadata(path).is_err(),
        }
    }

    /// Keeps the records for the next start, if they have changed.
    pub fn save(&mut self) {
        if self.saved == *self.folder.records() {
            return;
        }
        let records = self.folder.records().clone();
        if let Some(path) = &self.records
            && let (Some(folder), Some(name)) = (path.parent(), path.file_name())
        {
            let (name, bytes) = (name.to_string_lossy(), records::to_bytes(&records));
            let written = std::fs::create_dir_all(folder)
                .and_then(|()| writing::write(folder, &name, &bytes));
            if let Err(error) = written {
                // The next look tries again; until then a restart takes old for new and asks again.
                return warn!(file = %path.display(), %error, "cannot note the files of plans");
            }
        }
        self.saved = records;
    }
}

/// Records that cannot be read count as none: then nothing is taken for a user's change but what
/// nobody could have written.
fn read_records(path: &PathBuf) -> Records {
    match std::fs::read(path) {
        Ok(bytes) => records::from_bytes(&bytes).unwrap_or_else(|error| {
            warn!(file = %path.display(), %error, "what is noted of the files of plans is lost");
            Records::new()
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Records::new(),
        Err(error) => {
            warn!(file = %path.display(), %error, "what is noted of the files of plans is lost");
            Records::new()
        }
    }
}
