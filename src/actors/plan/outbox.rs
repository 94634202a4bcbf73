//! Results that were computed and have not left yet: kept with each snapshot, since the log before
//! it is not applied again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::engine::pieces::Pieces;
use crate::engine::state::LoadError;
use crate::event::Batch;
use crate::event::Text;
use crate::event::codec::Encode;

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

    /// The number of the last row of this kind, of those that have not left if `confirmed` have.
    #[must_use]
    pub fn last(&self, confirmed: u64, is_such: impl Fn(&Batch, usize) -> bool) -> Option<u64> {
        let pending = self.pending();
        let waits =
            |(number, rows): &&(u64, Arc<Batch>)| number + rows.len() as u64 > confirmed + 1;
        pending.iter().rev().take_while(waits).find_map(|(number, rows)| {
            let row = (0..rows.len()).rev().find(|&row| is_such(rows, row))?;
            Some(number + row as u64).filter(|number| *number > confirmed)
        })
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

/// Writes results on their way, which stand before the bytes of the state, parcel by parcel;
/// nothing if there are none. Gives how many bytes they are.
///
/// # Errors
/// What `put` says.
pub fn write<E>(
    pending: &[Pending],
    mut put: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<u64, E> {
    if pending.is_empty() {
        return Ok(0);
    }
    let mut bytes = vec![FORMAT];
    (pending.len() as u64).encode(&mut bytes);
    let mut written = 0;
    for Pending { publisher, number, rows } in pending {
        publisher.encode(&mut bytes);
        number.encode(&mut bytes);
        rows.encode(&mut bytes);
        put(&bytes)?;
        written += bytes.len() as u64;
        bytes.clear();
    }
    Ok(written)
}

/// The results in a snapshot's bytes; the state is left there.
///
/// # Errors
/// If the bytes are damaged or do not come.
pub fn read(bytes: &mut Pieces) -> Result<Vec<Pending>, LoadError> {
    let mut pending = Vec::new();
    if bytes.peek()? != Some(FORMAT) {
        return Ok(pending);
    }
    bytes.skip(1)?;
    for _ in 0..bytes.get::<u64>()? {
        let (publisher, number) = (bytes.get()?, bytes.get()?);
        pending.push(Pending { publisher, number, rows: Arc::new(bytes.get()?) });
    }
    Ok(pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Value;
    use std::convert::Infallible;

    fn rows(values: &[i64]) -> Arc<Batch> {
        let mut batch = Batch::new(&[DataType::Long]);
        values.iter().for_each(|value| batch.push_row(1, &[Value::Long(*value)]));
        Arc::new(batch)
    }

    fn written(pending: &[Pending]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let put = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok::<(), Infallible>(())
        };
        let Ok(count) = write(pending, put);
        assert_eq!(count, bytes.len() as u64);
        bytes
    }

    #[test]
    fn what_has_left_whole_is_forgotten() {
        let outbox = Outbox::default();
        outbox.put(1, &rows(&[10, 20]));
        outbox.put(3, &rows(&[30]));
        outbox.forget(1);
        assert_eq!(outbox.list().len(), 2, "a part of a parcel has not left");
        assert_eq!([0, 1, 2, 3, 4].map(|left| outbox.waiting(left)), [3, 2, 1, 0, 0]);
        let below =
            |most| move |rows: &Batch, row| rows.columns[0].value(row).as_long() <= Some(most);
        assert_eq!([0, 1, 2].map(|left| outbox.last(left, below(20))), [Some(2), Some(2), None]);
        assert_eq!([0, 1, 2].map(|left| outbox.last(left, below(10))), [Some(1), None, None]);
        assert_eq!([2, 3].map(|left| outbox.last(left, below(30))), [Some(3), None]);
        outbox.forget(2);
        assert_eq!(outbox.list().iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3]);
        outbox.forget(9);
        assert!(outbox.list().is_empty());
    }

    #[test]
    fn results_stand_in_front_of_the_state_and_state_of_before_is_read() {
        let publisher: Text = "publisher:Out:1".into();
        let pending = [Pending { publisher: publisher.clone(), number: 7, rows: rows(&[1, 2]) }];
        let front = written(&pending);
        let mut bytes = Pieces::of([&front[..], &[1, 2, 3]].concat());
        let found = read(&mut bytes).unwrap();
        assert_eq!((found[0].publisher.clone(), found[0].number), (publisher, 7));
        assert_eq!((found[0].rows.len(), bytes.take(3)), (2, Ok(vec![1, 2, 3])));
        assert!(written(&[]).is_empty());
        let mut bytes = Pieces::of([1, 2]);
        let none = read(&mut bytes).unwrap();
        assert!(none.is_empty() && bytes.take(2) == Ok(vec![1, 2]));
        for length in 1..front.len() {
            assert!(read(&mut Pieces::of(&front[..length])).is_err(), "{length}");
        }
    }
}
