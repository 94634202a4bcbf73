//! The hash map of pure rooms: fast, and the same on every node and in every run.
//!
//! Its iteration order is a function of the insertions alone, but nothing may show it in a result:
//! keep what must be ordered in a vector beside the map.

use crate::event::Column;
use crate::event::Values;
use std::hash::BuildHasher;
use std::hash::Hasher;

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
    let mut hasher = HASHER.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// Mixes the hash of each row's value into the hash that `hashes` holds for the row. Equal columns
/// of values give equal hashes; nulls are equal to each other.
pub fn hash_column(column: &Column, hashes: &mut [u64]) {
    match &column.values {
        Values::Absent => {}
        Values::Int(vector) => mix(vector, hashes, |&value| value as u64),
        Values::Long(vector) => mix(vector, hashes, |&value| value as u64),
        Values::Float(vector) => mix(vector, hashes, |value| u64::from(value.to_bits())),
        Values::Double(vector) => mix(vector, hashes, |value| value.to_bits()),
        Values::Bool(vector) => mix(vector, hashes, |&value| u64::from(value)),
        Values::Text(vector) => mix(vector, hashes, |value| hash_bytes(value.as_bytes())),
        Values::Object(vector) => {
            mix(vector, hashes, |value| SameEverywhere::default().hash_one(value))
        }
    }
    if column.nulls.any() {
        for (_, hash) in hashes.iter_mut().enumerate().filter(|(row, _)| column.is_null(*row)) {
            *hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
        }
    }
}

/// The hash of one row, as [`hash_column`] would give it for a hash of `seed`.
#[inline]
pub fn hash_cell(column: &Column, row: usize, seed: u64) -> u64 {
    let mut hash = [seed];
    match &column.values {
        Values::Absent => {}
        Values::Int(vector) => mix(&vector[row..=row], &mut hash, |&value| value as u64),
        Values::Long(vector) => mix(&vector[row..=row], &mut hash, |&value| value as u64),
        Values::Text(vector) => {
            mix(&vector[row..=row], &mut hash, |value| hash_bytes(value.as_bytes()));
        }
        _ => {
            mix(&[column.value(row)], &mut hash, |value| SameEverywhere::default().hash_one(value))
        }
    }
    hash[0]
}

/// Folds the halves of a product together: one multiplication spreads every bit of both.
#[inline]
fn mix<T>(vector: &[T], hashes: &mut [u64], number: impl Fn(&T) -> u64) {
    for (hash, value) in hashes.iter_mut().zip(vector) {
        let product =
            u128::from(*hash ^ number(value) ^ 0x2d35_8dcc_aa6c_78a5) * 0x8bb8_4b93_962e_acc9_u128;
        *hash = (product >> 64) as u64 ^ product as u64;
    }
}
