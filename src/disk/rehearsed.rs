//! A disk in memory that loses power, fills up, fails and decays when told, the same for each seed.
//!
//! It keeps what real ones promise and no more:
//!
//! - the end of the process ([`RehearsedDisk::kill`]) keeps all that was written;
//! - the loss of power ([`RehearsedDisk::lose_power`]) keeps what was synced. Of unsynced bytes
//!   each sector of 512 may be there or not, whatever was written first; a sector never written
//!   shows zeros; the file's length is any between the two. Names made, changed and removed since
//!   the folder was synced may be as before, each for itself;
//! - after a failed sync the bytes look written, some are not on the disk, and later syncs do not
//!   write them, as Linux has it.

use crate::disk::Disk;
use crate::disk::DiskFile;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

const SECTOR: usize = 512;

/// A handle to the disk, good for one life of a process.
#[derive(Clone, Debug)]
pub struct RehearsedDisk {
    world: Arc<Mutex<World>>,
    life: u64,
}

/// An open file of a [`RehearsedDisk`].
#[derive(Debug)]
pub struct RehearsedFile {
    disk: RehearsedDisk,
    file: Arc<Mutex<Content>>,
}

/// What happens to an operation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is done in part or not at all and reports an error; later ones go on.
    Error,
    /// The process ends in the middle of it: this and all later operations of this life fail.
    End,
}

#[derive(Debug)]
struct World {
    chance: u64,
    life: u64,
    /// The files by name, as the process sees them.
    names: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    /// The files by name, as they are after a loss of power.
    lasting: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    /// What was done to names since their folder was synced.
    pending: Vec<Change>,
    folders: BTreeSet<PathBuf>,
    room: u64,
    operations: u64,
    failure: Option<(u64, Failure)>,
}

#[derive(Debug, Default)]
struct Content {
    seen: Vec<u8>,
    lasting: Vec<u8>,
    /// Sectors written and not synced.
    dirty: BTreeSet<usize>,
}

#[derive(Debug)]
enum Change {
    Made(PathBuf, Arc<Mutex<Content>>),
    Renamed(PathBuf, PathBuf, Arc<Mutex<Content>>),
    Removed(PathBuf),
}

/// A failure that is due: how much of the operation is done, in 1/256, and what is reported.
type Fails = (u8, io::Error);

impl RehearsedDisk {
    /// An empty disk with endless room.
    pub fn new(seed: u64) -> RehearsedDisk {
        let world = World {
            chance: seed,
            life: 0,
            names: BTreeMap::new(),
            lasting: BTreeMap::new(),
            pending: Vec::new(),
            folders: BTreeSet::new(),
            room: u64::MAX,
            operations: 0,
            failure: None,
        };
        RehearsedDisk { world: Arc::new(Mutex::new(world)), life: 0 }
    }

    /// Ends the process: what it wrote stays. Its handles fail from now on; the one returned is for
    /// the next life.
    pub fn kill(&self) -> RehearsedDisk {
        let mut world = self.world();
        world.life += 1;
        world.failure = None;
        RehearsedDisk { world: Arc::clone(&self.world), life: world.life }
    }

    /// Ends the process and the machine: what was not synced stays or goes by chance.
    pub fn lose_power(&self) -> RehearsedDisk {
        let next = self.kill();
        self.world().forget_unsynced();
        next
    }

    /// Lets a changing operation fail after so many that succeed: 0 is the next one. Changing are
    /// create, rename, remove, write, truncate and both syncs.
    pub fn fail_after(&self, operations: u64, failure: Failure) {
        let mut world = self.world();
        world.failure = Some((world.operations + operations, failure));
    }

    /// How many changing operations there were so far, in all lives.
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Sets how many bytes fit in all files together.
    pub fn set_room(&self, bytes: u64) {
        self.world().room = bytes;
    }

    /// The bytes of all files together.
    pub fn used(&self) -> u64 {
        self.world().used()
    }

    /// Turns bits of a byte over, as decay does: the process sees it, and it lasts.
    ///
    /// # Panics
    /// If there is no such byte.
    pub fn flip(&self, path: &Path, offset: u64, bits: u8) {
        let world = self.world();
        let file = world.names.get(path).expect("the file to damage exists");
        let mut content = open_content(file);
        let at = usize::try_from(offset).expect("the byte to damage exists");
        content.seen[at] ^= bits;
        if let Some(byte) = content.lasting.get_mut(at) {
            *byte ^= bits;
        }
    }

    /// The content of a file, if it exists.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        self.world().names.get(path).map(|file| open_content(file).seen.clone())
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, if this life has not ended.
    fn living(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.world();
        if world.life == self.life { Ok(world) } else { Err(ended()) }
    }

    /// Counts a changing operation.
    fn change(&self) -> io::Result<(MutexGuard<'_, World>, Option<Fails>)> {
        let mut world = self.living()?;
        world.operations += 1;
        let fails = match world.failure {
            Some((after, failure)) if world.operations > after => {
                world.failure = None;
                let error = match failure {
                    Failure::Error => io::Error::other("the rehearsed disk fails as told"),
                    Failure::End => {
                        world.life += 1;
                        ended()
                    }
                };
                Some((world.draw(256) as u8, error))
            }
            _ => None,
        };
        Ok((world, fails))
    }

    /// Does something to a name; in a failure it is done or not.
    fn change_name(&self, change: impl FnOnce(&mut World) -> io::Result<()>) -> io::Result<()> {
        let (mut world, fails) = self.change()?;
        match fails {
            None => change(&mut world),
            Some((share, error)) => {
                if share >= 128 {
                    change(&mut world)?;
                }
                Err(error)
            }
        }
    }

    fn file(&self, file: &Arc<Mutex<Content>>) -> RehearsedFile {
        RehearsedFile { disk: self.clone(), file: Arc::clone(file) }
    }
}

impl Disk for RehearsedDisk {
    type File = RehearsedFile;

    fn create(&self, path: &Path) -> io::Result<RehearsedFile> {
        let file = Arc::new(Mutex::new(Content::default()));
        self.change_name(|world| {
            if !path.parent().is_some_and(|folder| world.folders.contains(folder)) {
                return Err(io::ErrorKind::NotFound.into());
            }
            if world.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            world.names.insert(path.to_owned(), Arc::clone(&file));
            world.pending.push(Change::Made(path.to_owned(), Arc::clone(&file)));
            Ok(())
        })?;
        Ok(self.file(&file))
    }

    fn open(&self, path: &Path) -> io::Result<RehearsedFile> {
        match self.living()?.names.get(path) {
            Some(file) => Ok(self.file(file)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let world = self.living()?;
        if !world.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = world.names.keys().filter(|path| path.parent() == Some(folder));
        let names = inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
        Ok(names.collect())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.living()?;
        world.folders.extend(folder.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change_name(|world| {
            let file = world.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            world.names.insert(to.to_owned(), Arc::clone(&file));
            world.pending.push(Change::Renamed(from.to_owned(), to.to_owned(), file));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change_name(|world| {
            world.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
            world.pending.push(Change::Removed(path.to_owned()));
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.change_name(|world| {
            let pending = std::mem::take(&mut world.pending);
            for change in pending {
                if change.path().parent() == Some(folder) {
                    change.make_last(&mut world.lasting);
                } else {
                    world.pending.push(change);
                }
            }
            Ok(())
        })
    }
}

impl DiskFile for RehearsedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (world, fails) = self.disk.change()?;
        let used = world.used();
        let mut content = open_content(&self.file);
        let at = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let grows = |count: usize| (at + count).saturating_sub(content.seen.len()) as u64;
        let mut count = match &fails {
            Some((share, _)) => bytes.len() * usize::from(*share) / 256,
            None => bytes.len(),
        };
        let fits = world.room.saturating_sub(used);
        let is_full = grows(count) > fits;
        if is_full {
            count -= usize::try_from(grows(count) - fits).unwrap_or(count).min(count);
        }
        content.write(&bytes[..count], at);
        match fails {
            Some((_, error)) => Err(error),
            None if is_full => Err(io::ErrorKind::StorageFull.into()),
            None => Ok(()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let _living = self.disk.living()?;
        let content = open_content(&self.file);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.seen.len());
        let count = buffer.len().min(content.seen.len() - from);
        buffer[..count].copy_from_slice(&content.seen[from..from + count]);
        Ok(count)
    }

    fn length(&self) -> io::Result<u64> {
        let _living = self.disk.living()?;
        Ok(open_content(&self.file).seen.len() as u64)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.change_name(|_| {
            let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
            open_content(&self.file).seen.resize(length, 0);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let (mut world, fails) = self.disk.change()?;
        let mut content = open_content(&self.file);
        match fails {
            None => {
                content.keep(|_| true);
                Ok(())
            }
            Some((_, error)) => {
                // What did not get there is not tried again.
                let length = content.lasting.len();
                content.keep(|_| world.draw(2) == 0);
                content.lasting.truncate(length);
                Err(error)
            }
        }
    }
}

impl World {
    /// The next number of the seed's sequence (splitmix64), below `limit`.
    fn draw(&mut self, limit: u64) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn used(&self) -> u64 {
        self.names.values().map(|file| open_content(file).seen.len() as u64).sum()
    }

    fn forget_unsynced(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            if self.draw(2) == 0 {
                change.make_last(&mut self.lasting);
            }
        }
        let files: Vec<_> = self.lasting.values().cloned().collect();
        for file in files {
            let mut content = open_content(&file);
            let (from, to) = (content.lasting.len(), content.seen.len());
            let length = match self.draw(4) {
                0 => from,
                1 if from < to => from + self.draw((to - from) as u64) as usize,
                _ => to,
            };
            // Sometimes nearly all got there, sometimes nearly nothing.
            let share = 1 + self.draw(9);
            let cut_off = content.lasting.get(to..).map(<[u8]>::to_vec).unwrap_or_default();
            content.keep(|_| self.draw(10) < share);
            if length > to {
                content.lasting.extend_from_slice(&cut_off);
            }
            content.lasting.resize(length, 0);
            content.seen = content.lasting.clone();
        }
        self.names = self.lasting.clone();
    }
}

impl Content {
    fn write(&mut self, bytes: &[u8], at: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = at + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[at..end].copy_from_slice(bytes);
        self.dirty.extend(at / SECTOR..=(end - 1) / SECTOR);
    }

    /// Brings the unsynced sectors to the disk, as far as they are chosen, and the length.
    fn keep(&mut self, mut chosen: impl FnMut(usize) -> bool) {
        self.lasting.resize(self.seen.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            if chosen(sector) {
                let end = ((sector + 1) * SECTOR).min(self.seen.len());
                let range = (sector * SECTOR).min(end)..end;
                self.lasting[range.clone()].copy_from_slice(&self.seen[range]);
            }
        }
    }
}

impl Change {
    fn path(&self) -> &Path {
        match self {
            Change::Made(path, _) | Change::Removed(path) | Change::Renamed(_, path, _) => path,
        }
    }

    fn make_last(self, names: &mut BTreeMap<PathBuf, Arc<Mutex<Content>>>) {
        match self {
            Change::Made(path, file) => {
                names.insert(path, file);
            }
            Change::Renamed(from, to, file) => {
                names.remove(&from);
                names.insert(to, file);
            }
            Change::Removed(path) => {
                names.remove(&path);
            }
        }
    }
}

fn open_content(file: &Mutex<Content>) -> MutexGuard<'_, Content> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ended() -> io::Error {
    io::Error::other("this life of the process has ended")
}
