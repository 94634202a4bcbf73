//! Decides which files have come to rest, so that half-written ones are left alone. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Bytes.
    pub length: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// Which file stands behind the name.
    pub inode: u64,
}

/// The files of a folder by name, as one look showed them.
pub type Listing = BTreeMap<String, Signature>;

/// Follows the looks at a folder.
#[derive(Debug)]
pub struct Settler {
    settle: Duration,
    /// What is at rest, as last told.
    rest: Listing,
    /// What differs from that, and since when it looks as it does; `None`: it is gone.
    moving: BTreeMap<String, (Option<Signature>, Duration)>,
}

/// What a look brought.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether what is at rest differs from the look before.
    pub changed: bool,
    /// When to look again, if something is still moving.
    pub again: Option<Duration>,
}

impl Settler {
    /// Nothing is known yet; a file is at rest once it has looked the same for `settle`.
    #[must_use]
    pub fn new(settle: Duration) -> Self {
        Self { settle, rest: Listing::new(), moving: BTreeMap::new() }
    }

    /// The files at rest.
    #[must_use]
    pub fn rest(&self) -> &Listing {
        &self.rest
    }

    /// Takes a file back among those that move, because reading showed that it is not at rest.
    pub fn disturb(&mut self, name: &str) {
        self.rest.remove(name);
    }

    /// Takes a look at the folder at the moment `now` of a clock that only goes forward.
    pub fn look(&mut self, listing: &Listing, now: Duration) -> Look {
        let names: BTreeSet<&String> = listing.keys().chain(self.rest.keys()).collect();
        let differs = |name: &&String| listing.get(*name) != self.rest.get(*name);
        let mut moving = BTreeMap::new();
        for name in names.into_iter().filter(differs) {
            let present = listing.get(name).cloned();
            let since = match self.moving.remove(name) {
                Some((before, since)) if before == present => since,
                _ => now,
            };
            moving.insert(name.clone(), (present, since));
        }
        let mut changed = false;
        let mut again: Option<Duration> = None;
        moving.retain(|name, (present, since)| {
            let rests_at = *since + self.settle;
            if now < rests_at {
                let wait = rests_at - now;
                again = Some(again.map_or(wait, |before| before.min(wait)));
                return true;
            }
            match present.take() {
                Some(signature) => self.rest.insert(name.clone(), signature),
                None => self.rest.remove(name),
            };
            changed = true;
            false
        });
        self.moving = moving;
        Look { changed, again }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_millis(100);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn listing(files: &[(&str, u64)]) -> Listing {
        let signature = |length| Signature { length, modified_ns: 0, inode: 0 };
        files.iter().map(|(name, length)| ((*name).to_owned(), signature(*length))).collect()
    }

    #[test]
    fn a_file_is_told_once_it_is_quiet() {
        let mut settler = Settler::new(SETTLE);
        let look = settler.look(&listing(&[("a", 1)]), at(0));
        assert_eq!(look, Look { changed: false, again: Some(at(100)) });
        let look = settler.look(&listing(&[("a", 2)]), at(60));
        assert_eq!(look, Look { changed: false, again: Some(at(100)) }, "still growing");
        let look = settler.look(&listing(&[("a", 2)]), at(130));
        assert_eq!(look, Look { changed: false, again: Some(at(30)) });
        let look = settler.look(&listing(&[("a", 2)]), at(160));
        assert_eq!(look, Look { changed: true, again: None });
        assert_eq!(settler.rest(), &listing(&[("a", 2)]));
        let look = settler.look(&listing(&[("a", 2)]), at(500));
        assert_eq!(look, Look { changed: false, again: None });
    }

    #[test]
    fn a_changed_file_is_told_once_it_is_quiet_again() {
        let mut settler = Settler::new(SETTLE);
        settler.look(&listing(&[("a", 1)]), at(0));
        settler.look(&listing(&[("a", 1)]), at(100));
        settler.look(&listing(&[("a", 2)]), at(200));
        let look = settler.look(&listing(&[("a", 2)]), at(260));
        assert_eq!(look, Look { changed: false, again: Some(at(40)) });
        assert!(settler.look(&listing(&[("a", 2)]), at(300)).changed);
        assert_eq!(settler.rest(), &listing(&[("a", 2)]));
    }

    #[test]
    fn one_that_never_rests_does_not_hold_up_the_others() {
        let mut settler = Settler::new(SETTLE);
        settler.look(&listing(&[("grows", 1), ("quiet", 7)]), at(0));
        assert!(settler.look(&listing(&[("grows", 2), ("quiet", 7)]), at(100)).changed);
        assert_eq!(settler.rest(), &listing(&[("quiet", 7)]));
    }

    #[test]
    fn a_file_replaced_by_delete_and_create_was_never_gone() {
        let mut settler = Settler::new(SETTLE);
        settler.look(&listing(&[("a", 1)]), at(0));
        settler.look(&listing(&[("a", 1)]), at(100));
        settler.look(&listing(&[]), at(200));
        assert_eq!(settler.rest(), &listing(&[("a", 1)]));
        assert!(!settler.look(&listing(&[("a", 1)]), at(250)).changed, "as it was");
        settler.look(&listing(&[]), at(300));
        assert!(settler.look(&listing(&[]), at(400)).changed);
        assert_eq!(settler.rest(), &listing(&[]));
    }

    #[test]
    fn a_renamed_file_goes_and_comes_in_one_look() {
        let mut settler = Settler::new(SETTLE);
        settler.look(&listing(&[("a", 1)]), at(0));
        settler.look(&listing(&[("a", 1)]), at(100));
        settler.look(&listing(&[("b", 1)]), at(200));
        assert!(settler.look(&listing(&[("b", 1)]), at(300)).changed);
        assert_eq!(settler.rest(), &listing(&[("b", 1)]));
    }

    #[test]
    fn a_disturbed_file_has_to_rest_again() {
        let mut settler = Settler::new(SETTLE);
        settler.look(&listing(&[("a", 1)]), at(0));
        settler.look(&listing(&[("a", 1)]), at(100));
        settler.disturb("a");
        assert_eq!(settler.look(&listing(&[("a", 1)]), at(110)).again, Some(at(100)));
        assert!(settler.look(&listing(&[("a", 1)]), at(210)).changed);
    }
}
