//! The hash map of pure rooms: fast, and the same on every node and in every run.
//!
//! Its iteration order is a function of the insertions alone, but nothing may show it in a result:
//! keep what must be ordered in a vector beside the map.

use std::hash::BuildHasher;

/// A seed that is the same everywhere, so that two nodes build the same tables.
const HASHER: foldhash::fast::FixedState =
    foldhash::fast::FixedState::with_seed(0x7477_696e_666c_6f77);

/// Builds hashers that agree between nodes.
#[derive(Clone, Debug)]
pub struct SameEverywhere(foldhash::fast::FixedState);

impl Default for SameEverywhere {
    fn default() -> Self {
        SameEverywhere(HASHER)
    }
}

impl BuildHasher for SameEverywhere {
    type Hasher = foldhash::fast::FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// A map whose behaviour depends on its content alone.
pub type Map<K, V> = hashbrown::HashMap<K, V, SameEverywhere>;

/// A set whose behaviour depends on its content alone.
pub type Set<K> = hashbrown::HashSet<K, SameEverywhere>;

/// Hashes bytes as [`Map`] does.
#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = HASHER.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
