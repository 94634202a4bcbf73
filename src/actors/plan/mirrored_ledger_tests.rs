//! A plan's log whose other side is the pair: who appends, what was cut off, what may be applied.

use std::sync::Arc;

use crate::actors::gate::Gate;
use crate::actors::plan::JournalSource;
use crate::actors::plan::Ledger;
use crate::actors::plan::Mirrored;
use crate::actors::plan::Told;
use crate::actors::plan::hold;
use crate::event::codec::Encode;
use crate::ha::protocol::Plan;
use crate::journal::Options;
use crate::replica::Body;
use crate::replica::LogEntry;

struct Scene {
    ledger: Ledger,
    mirrored: Arc<Mirrored>,
    folder: tempfile::TempDir,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let (path, options) = (folder.path().join("p"), Options::new(7));
    let source =
        JournalSource { folder: path, options, pace: Arc::default(), wake: Arc::new(|_| ()) };
    let (journal, _) = source.open().unwrap();
    let mut ledger = Ledger::in_journal(source, journal, 0);
    let gate = Arc::new(Gate::closed());
    let mirrored = Arc::new(Mirrored::new(Plan(1), 0, None, gate, Arc::default()));
    ledger.mirror(Arc::clone(&mirrored));
    Scene { ledger, mirrored, folder }
}

fn tick(at: i64) -> LogEntry {
    LogEntry::new(at, Body::Tick)
}

impl Scene {
    /// Whether it was ordered.
    fn order(&mut self, at: i64) -> bool {
        self.ledger.orders() && self.ledger.order(tick(at), Told::Nobody, None).is_none()
    }

    /// What the other node sent.
    fn foreign(&self, epoch: u64, times: &[i64]) {
        let bytes = |at: &i64| {
            let mut bytes = Vec::new();
            tick(*at).encode(&mut bytes);
            bytes
        };
        let entries: Vec<_> = times.iter().map(bytes).collect();
        let mut held = hold(self.ledger.journal());
        let entries = entries.iter().map(|bytes| (epoch, bytes.as_slice()));
        held.as_mut().unwrap().append_foreign(entries).unwrap();
    }

    fn cut(&self, after: u64) {
        hold(self.ledger.journal()).as_mut().unwrap().cut(after).unwrap();
        self.mirrored.cut(after);
    }

    /// Applies what may be; the times of the entries.
    fn apply(&mut self) -> Vec<i64> {
        let mut times = Vec::new();
        loop {
            let safe = self.ledger.safe();
            if let Some(after) = self.mirrored.news().and_then(|news| news.cut) {
                self.ledger.cut(after);
            }
            match self.ledger.next_upto(safe).unwrap() {
                Some(waiting) => times.push(waiting.entry.unwrap().at),
                None => return times,
            }
        }
    }
}

#[test]
fn nothing_is_ordered_without_an_epoch_and_nothing_applied_before_it_is_committed() {
    let mut scene = scene();
    assert!(!scene.order(1));
    scene.mirrored.append_in(Some(4));
    assert!(scene.order(1) && scene.order(2) && scene.order(3));
    scene.ledger.flush().unwrap();
    assert_eq!(scene.apply(), Vec::<i64>::new());
    scene.mirrored.commit(2);
    assert_eq!(scene.apply(), [1, 2]);
    scene.mirrored.append_in(None);
    assert!(!scene.order(4));
    scene.mirrored.commit(3);
    assert_eq!(scene.apply(), [3], "what is in the log is applied whoever orders");
}

#[test]
fn what_was_cut_off_is_never_applied_in_place_of_what_came_instead() {
    let mut scene = scene();
    scene.mirrored.append_in(Some(1));
    assert!(scene.order(1) && scene.order(2) && scene.order(3));
    scene.ledger.flush().unwrap();
    scene.mirrored.append_in(None);
    // The other node had the first only, and went on in its own epoch.
    scene.cut(1);
    scene.foreign(2, &[20, 30, 40]);
    scene.mirrored.commit(3);
    assert_eq!(scene.apply(), [1, 20, 30]);
    // It takes over again, behind all that is there.
    scene.mirrored.append_in(Some(3));
    assert!(scene.order(50));
    scene.ledger.flush().unwrap();
    assert!(scene.ledger.is_catching_up(), "an entry of the other's time is still to be applied");
    scene.mirrored.commit(5);
    assert_eq!(scene.apply(), [40, 50]);
    assert!(!scene.ledger.is_catching_up());
}

#[test]
fn entries_cut_off_come_back_to_who_ordered_them() {
    let mut scene = scene();
    scene.mirrored.append_in(Some(1));
    assert!(scene.order(1) && scene.order(2));
    scene.ledger.flush().unwrap();
    scene.mirrored.append_in(None);
    scene.cut(0);
    let gone = scene.ledger.cut(0);
    let times: Vec<_> = gone.into_iter().map(|waiting| waiting.entry.unwrap().at).collect();
    assert_eq!(times, [1, 2]);
    assert!(scene.ledger.is_empty());
}

#[test]
fn what_the_pair_does_while_the_journal_is_opened_anew_is_done_to_it_then() {
    let mut scene = scene();
    scene.foreign(1, &[10, 20, 30]);
    // It cannot be opened: its folder is away.
    let folder = scene.folder.path().join("p");
    let aside = folder.with_extension("aside");
    let reopen = |scene: &mut Scene, meanwhile: &dyn Fn(&Mirrored)| {
        std::fs::rename(&folder, &aside).unwrap();
        std::fs::write(&folder, "in the way").unwrap();
        assert!(scene.ledger.reopen().is_err());
        assert!(hold(scene.ledger.journal()).is_none());
        meanwhile(&scene.mirrored);
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&aside, &folder).unwrap();
        scene.ledger.reopen().unwrap();
        hold(scene.ledger.journal()).as_ref().map(|journal| (journal.base(), journal.end()))
    };
    let cut = |mirrored: &Mirrored| {
        mirrored.miss_cut(2);
        mirrored.cut(2);
    };
    assert_eq!(reopen(&mut scene, &cut), Some((0, (1, 2))));
    let install = |mirrored: &Mirrored| {
        mirrored.miss_cut(1);
        mirrored.miss_install(7, 3);
        mirrored.install(7);
    };
    assert_eq!(reopen(&mut scene, &install), Some((7, (3, 7))));
    assert_eq!(reopen(&mut scene, &|_| ()), Some((7, (3, 7))), "it is done once");
}
