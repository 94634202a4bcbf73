//! The snapshots of one plan: which there are, which is the newest good one, which may go.

use crate::disk::Disk;
use crate::snapshot::SnapshotError;
use crate::snapshot::SnapshotReader;
use crate::snapshot::SnapshotReceiver;
use crate::snapshot::SnapshotWriter;
use crate::snapshot::format::Header;
use crate::snapshot::format::NAME_MAX;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

/// The end of a temporary name.
pub(crate) const PART: &str = ".part";

/// How many snapshots of a plan are kept.
const KEPT: usize = 2;

/// The snapshots of one plan, in `<data>/snapshots/<tenant>/<plan>`. Clones share what is under
/// way; make only one of a plan and clone it.
#[derive(Clone, Debug)]
pub struct Snapshots<D: Disk> {
    disk: D,
    folder: PathBuf,
    tenant: String,
    plan: String,
    /// Names of snapshots that are being written.
    busy: Arc<Mutex<BTreeSet<String>>>,
}

/// A snapshot in the folder.
#[derive(Debug)]
pub struct Listed {
    /// The file's name.
    pub name: String,
    /// The time in the name: milliseconds since 1970, raised where two would have been the same.
    pub stamp: u64,
    /// What it says of itself, by a look at its front and its end; or what is wrong.
    pub header: Result<Header, SnapshotError>,
}

/// The newest snapshot that is right in every byte.
#[derive(Debug)]
pub struct Newest {
    /// The snapshot, if there is one: its name, its header, the bytes of its state.
    pub found: Option<(String, Header, u64)>,
    /// Newer ones that are not right, the newest first: name and reason.
    pub passed_over: Vec<(String, SnapshotError)>,
}

impl<D: Disk> Snapshots<D> {
    /// The snapshots of a plan below the folder of data. Touches no file.
    ///
    /// # Errors
    /// [`SnapshotError::Name`] if tenant or plan cannot be in a file's name.
    pub fn new(disk: D, data: &Path, tenant: &str, plan: &str) -> Result<Self, SnapshotError> {
        for name in [tenant, plan] {
            check_name(name)?;
        }
        let folder = data.join("snapshots").join(tenant).join(plan);
        let (tenant, plan) = (tenant.to_owned(), plan.to_owned());
        Ok(Snapshots { disk, folder, tenant, plan, busy: Arc::default() })
    }

    /// Begins to write a snapshot. Its name has the time of the header, or a later one if there is
    /// a snapshot of that time or later already: the newest has always the largest.
    ///
    /// # Errors
    /// The header is another plan's, [`SnapshotError::Full`], or what the system says.
    pub fn write(&self, header: &Header) -> Result<SnapshotWriter<D>, SnapshotError> {
        self.check_owner(&self.folder, header)?;
        let wanted = u64::try_from(header.created).unwrap_or(0);
        SnapshotWriter::begin(self, self.reserve(wanted)?, header)
    }

    /// A name with the time wanted, or a later one that makes it the newest.
    fn reserve(&self, wanted: u64) -> Result<Reserved, SnapshotError> {
        let existing = self.names()?;
        let mut busy = self.busy();
        let taken = existing.iter().chain(busy.iter()).filter_map(|name| self.stamp(name));
        let stamp = taken.max().map_or(wanted, |last| wanted.max(last.saturating_add(1)));
        let name = format!("{stamp:013}_{}", self.plan);
        busy.insert(name.clone());
        Ok(Reserved { busy: Arc::clone(&self.busy), name })
    }

    /// Begins to take over the file of a snapshot that another node made. It keeps the time in its
    /// name, unless there is a snapshot of that time or later already, made by another clock: what
    /// is taken over counts as the newest.
    ///
    /// # Errors
    /// The name is no snapshot's of this plan, [`SnapshotError::Full`], or what the system says.
    pub fn receive(&self, name: &str) -> Result<SnapshotReceiver<D>, SnapshotError> {
        let stamp = self.stamp(name);
        let wanted = stamp.ok_or_else(|| SnapshotError::Name { name: name.to_owned() })?;
        SnapshotReceiver::begin(self, self.reserve(wanted)?)
    }

    /// All snapshots, the newest first. Looks at front and end of each only.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, SnapshotError> {
        let mut listed: Vec<Listed> = Vec::new();
        for name in self.names()? {
            if let Some(stamp) = self.stamp(&name) {
                let header = self.open(&name, u64::MAX).and_then(SnapshotReader::glance);
                listed.push(Listed { name, stamp, header });
            }
        }
        listed.sort_by(|a, b| (b.stamp, &b.name).cmp(&(a.stamp, &a.name)));
        Ok(listed)
    }

    /// Finds the newest snapshot that is right in every byte, reading all of it.
    ///
    /// # Errors
    /// The folder cannot be read. What is wrong with a snapshot is no error but a reason in
    /// [`Newest::passed_over`].
    pub fn newest_valid(&self) -> Result<Newest, SnapshotError> {
        self.newest_that(|_| true)
    }

    /// As [`Snapshots::newest_valid`], but passes over in silence whatever does not fit.
    ///
    /// # Errors
    /// As there.
    pub fn newest_that(
        &self,
        mut fits: impl FnMut(&Header) -> bool,
    ) -> Result<Newest, SnapshotError> {
        let mut passed_over = Vec::new();
        for Listed { name, header, .. } in self.list()? {
            if header.is_ok_and(|header| !fits(&header)) {
                continue;
            }
            match self.open(&name, u64::MAX).and_then(SnapshotReader::verify) {
                Ok((header, bytes)) => {
                    return Ok(Newest { found: Some((name, header, bytes)), passed_over });
                }
                Err(reason) => passed_over.push((name, reason)),
            }
        }
        Ok(Newest { found: None, passed_over })
    }

    /// Opens a snapshot of this plan for reading. State of more than `limit` bytes is refused.
    ///
    /// # Errors
    /// There is none of that name, its head is damaged or says another plan, or what the system
    /// says.
    pub fn open(&self, name: &str, limit: u64) -> Result<SnapshotReader<D::File>, SnapshotError> {
        let path = self.path(name)?;
        let opened = self.disk.open(&path);
        let file = opened.map_err(|error| SnapshotError::io("open", &path, error))?;
        let reader = SnapshotReader::new(file, &path, limit)?;
        self.check_owner(&path, reader.header())?;
        Ok(reader)
    }

    /// Opens the file of a snapshot as it is, to send it to another node.
    ///
    /// # Errors
    /// There is none of that name, or what the system says.
    pub fn open_file(&self, name: &str) -> Result<D::File, SnapshotError> {
        let path = self.path(name)?;
        self.disk.open(&path).map_err(|error| SnapshotError::io("open", &path, error))
    }

    /// Removes all but the latest two, and what interrupted writing has left; returns the names
    /// removed. A snapshot that is seen to be damaged is kept only while there are not two that
    /// look right. Files that are no snapshots of this plan stay.
    ///
    /// # Errors
    /// What the system says.
    pub fn prune(&self) -> Result<Vec<String>, SnapshotError> {
        let (good, bad): (Vec<Listed>, Vec<Listed>) =
            self.list()?.into_iter().partition(|listed| listed.header.is_ok());
        let old = good.into_iter().chain(bad).skip(KEPT).map(|listed| listed.name);
        let mut removed: Vec<String> = old.collect();
        let names = self.names()?;
        let busy = self.busy().clone();
        removed.extend(names.into_iter().filter(|name| {
            let whole = name.strip_suffix(PART);
            whole.is_some_and(|whole| self.stamp(whole).is_some() && !busy.contains(whole))
        }));
        if removed.is_empty() {
            return Ok(removed);
        }
        // A name given in an earlier life may not last yet; what it replaces must not go first.
        self.sync_folder()?;
        for name in &removed {
            let path = self.folder.join(name);
            self.disk.remove(&path).map_err(|e| SnapshotError::io("remove", &path, e))?;
        }
        self.sync_folder()?;
        Ok(removed)
    }

    /// Removes every snapshot but this one.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep_only(&self, name: &str) -> Result<(), SnapshotError> {
        self.sync_folder()?;
        for other in self.names()? {
            if other != name && self.stamp(&other).is_some() {
                let path = self.folder.join(&other);
                match self.disk.remove(&path) {
                    // Somebody prunes at the same time.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    done => done.map_err(|e| SnapshotError::io("remove", &path, e))?,
                }
            }
        }
        self.sync_folder()
    }

    /// The position of the older of the latest two that look right: the journal may be released
    /// before the position after it, since from here on both last. Nothing while there are not two.
    ///
    /// # Errors
    /// The folder cannot be read or synced.
    pub fn older_of_two(&self) -> Result<Option<u64>, SnapshotError> {
        let good = self.list()?.into_iter().filter_map(|listed| listed.header.ok());
        let positions: Vec<u64> = good.take(KEPT).map(|header| header.position).collect();
        if positions.len() < KEPT {
            return Ok(None);
        }
        self.sync_folder()?;
        Ok(positions.into_iter().min())
    }

    /// The folder of the snapshots.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    pub(crate) fn check_owner(&self, file: &Path, header: &Header) -> Result<(), SnapshotError> {
        if header.tenant == self.tenant && header.plan == self.plan {
            return Ok(());
        }
        let (tenant, plan) = (header.tenant.clone(), header.plan.clone());
        Err(SnapshotError::Foreign { file: file.to_owned(), tenant, plan })
    }

    pub(crate) fn sync_folder(&self) -> Result<(), SnapshotError> {
        let synced = self.disk.sync_folder(&self.folder);
        synced.map_err(|error| SnapshotError::io("sync", &self.folder, error))
    }

    /// All files of the folder; none if it is not there.
    fn names(&self) -> Result<Vec<String>, SnapshotError> {
        match self.disk.list(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|error| SnapshotError::io("list", &self.folder, error)),
        }
    }

    /// The time in the name of a snapshot of this plan; nothing for other names.
    fn stamp(&self, name: &str) -> Option<u64> {
        let digits = name.strip_suffix(self.plan.as_str())?.strip_suffix('_')?;
        let fits = digits.len() >= 13 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if fits { digits.parse().ok() } else { None }
    }

    fn path(&self, name: &str) -> Result<PathBuf, SnapshotError> {
        match self.stamp(name) {
            Some(_) => Ok(self.folder.join(name)),
            None => Err(SnapshotError::Name { name: name.to_owned() }),
        }
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that is taken as long as this lives.
#[derive(Debug)]
pub(crate) struct Reserved {
    busy: Arc<Mutex<BTreeSet<String>>>,
    name: String,
}

impl Reserved {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// Whether a plan or tenant may be called so.
fn check_name(name: &str) -> Result<(), SnapshotError> {
    let is_short = (1..=NAME_MAX).contains(&name.len());
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if is_short && is_plain && !matches!(name, "." | "..") {
        return Ok(());
    }
    Err(SnapshotError::Name { name: name.to_owned() })
}
