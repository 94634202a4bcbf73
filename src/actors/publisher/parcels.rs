//! Parcels as they are published: of which history they are, and some of their rows.

use std::ops::Range;
use std::sync::Arc;

use crate::event::Batch;
use crate::event::hash_bytes;
use crate::publishers::Parcel;

/// Sets results of one history of the pair apart from those of another that was forced apart from
/// it; both nodes say the same.
pub(super) fn generation(plan: u64, pair: &str) -> u64 {
    if pair.is_empty() { plan } else { hash_bytes(format!("{plan} {pair}").as_bytes()) }
}

/// Some rows of a parcel as a parcel of their own.
pub(super) fn part(parcel: &Parcel, rows: Range<usize>) -> Parcel {
    let mut batch = Batch::new(&parcel.schema.types());
    batch.extend(&parcel.batch, rows.start, rows.end);
    let number = parcel.number + rows.start as u64;
    Parcel { number, batch: Arc::new(batch), ..parcel.clone() }
}
