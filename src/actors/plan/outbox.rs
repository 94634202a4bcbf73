//! Results that were computed and have not left yet: kept with each snapshot, since the log before
//! it is not applied again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::event::Batch;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;

/// Stands before state that results stand in front of; the state itself begins with its own format.
const FORMAT: u8 = 0xF0;

/// A result on its way.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The publisher's name in the plan.
    pub publisher: Text,
    /// The number of the first row.
    pub number: u64,
    /// The rows.
    pub rows: Arc<Batch>,
}

/// What one publisher was given and has not confirmed.
#[derive(Debug, Default)]
pub struct Outbox(Mutex<VecDeque<(u64, Arc<Batch>)>>);

impl Outbox {
    fn pending(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<Batch>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of rows that are on their way.
    pub fn put(&self, number: u64, rows: &Arc<Batch>) {
        self.pending().push_back((number, Arc::clone(rows)));
    }

    /// Results up to this number have left.
    pub fn forget(&self, upto: u64) {
        let mut pending = self.pending();
        while pending.front().is_some_and(|(number, rows)| number + rows.len() as u64 <= upto + 1) {
            pending.pop_front();
        }
    }

    /// How many rows wait, if those up to the number `confirmed` have left.
    #[must_use]
    pub fn waiting(&self, confirmed: u64) -> u64 {
        let waits = |(number, rows): &(u64, Arc<Batch>)| {
            let rows = rows.len() as u64;
            rows.min((number + rows - 1).saturating_sub(confirmed))
        };
        self.pending().iter().map(waits).sum()
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.pending().clear();
    }

    /// What is on its way.
    #[must_use]
    pub fn list(&self) -> Vec<(u64, Arc<Batch>)> {
        self.pending().iter().cloned().collect()
    }
}

/// The bytes of a snapshot: results on their way, then the state.
#[must_use]
pub fn with_state(pending: &[Pending], mut state: Vec<u8>) -> Vec<u8> {
    if pending.is_empty() {
        return state;
    }
    let mut bytes = vec![FORMAT];
    (pending.len() as u64).encode(&mut bytes);
    for Pending { publisher, number, rows } in pending {
        publisher.encode(&mut bytes);
        number.encode(&mut bytes);
        rows.encode(&mut bytes);
    }
    bytes.append(&mut state);
    bytes
}

/// The results in a snapshot's bytes, and the state behind them.
///
/// # Errors
/// [`Malformed`] if they are none.
pub fn split(bytes: &[u8]) -> Result<(Vec<Pending>, &[u8]), Malformed> {
    let Some((&FORMAT, mut rest)) = bytes.split_first() else { return Ok((Vec::new(), bytes)) };
    let mut pending = Vec::new();
    for _ in 0..u64::decode(&mut rest)? {
        let (publisher, number) = (Text::decode(&mut rest)?, u64::decode(&mut rest)?);
        pending.push(Pending { publisher, number, rows: Arc::new(Batch::decode(&mut rest)?) });
    }
    Ok((pending, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Value;

    fn rows(values: &[i64]) -> Arc<Batch> {
        let mut batch = Batch::new(&[DataType::Long]);
        values.iter().for_each(|value| batch.push_row(1, &[Value::Long(*value)]));
        Arc::new(batch)
    }

    #[test]
    fn what_has_left_whole_is_forgotten() {
        let outbox = Outbox::default();
        outbox.put(1, &rows(&[10, 20]));
        outbox.put(3, &rows(&[30]));
        outbox.forget(1);
        assert_eq!(outbox.list().len(), 2, "a part of a parcel has not left");
        assert_eq!([0, 1, 2, 3, 4].map(|left| outbox.waiting(left)), [3, 2, 1, 0, 0]);
        outbox.forget(2);
        assert_eq!(outbox.list().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3]);
        outbox.forget(9);
        assert!(outbox.list().is_empty());
    }

    #[test]
    fn results_stand_in_front_of_the_state_and_state_of_before_is_read() {
        let publisher: Text = "publisher:Out:1".into();
        let pending = [Pending { publisher: publisher.clone(), number: 7, rows: rows(&[1, 2]) }];
        let bytes = with_state(&pending, vec![1, 2, 3]);
        let (found, state) = split(&bytes).unwrap();
        assert_eq!((found[0].publisher.clone(), found[0].number), (publisher, 7));
        assert_eq!((found[0].rows.len(), state), (2, &[1, 2, 3][..]));
        assert_eq!(with_state(&[], vec![1, 2]), [1, 2]);
        let (none, state) = split(&[1, 2]).unwrap();
        assert!(none.is_empty() && state == [1, 2]);
        for length in 1..bytes.len() - 3 {
            assert!(split(&bytes[..length]).is_err(), "{length}");
        }
    }
}
