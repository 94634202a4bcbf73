//! State is written and read in pieces, and says so where it is damaged.

use crate::engine::pieces::Pieces;
use crate::engine::state::*;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Text;
use crate::event::Value;
use std::convert::Infallible;
use std::sync::Arc;

fn rows(count: i64) -> Arc<Batch> {
    let mut batch = Batch::new(&[DataType::Long, DataType::Text]);
    for number in 0..count {
        let text = Value::from(format!("the text of row {number}").as_str());
        batch.push_row(number, &[Value::Long(number), text]);
    }
    Arc::new(batch)
}

/// Sections of all kinds of parts; one is longer than a piece, one has nothing.
fn frozen(rows: &Arc<Batch>) -> Frozen {
    let mut state = StateWriter::default();
    write(&mut state, rows);
    state.freeze()
}

fn write(state: &mut StateWriter, rows: &Arc<Batch>) {
    state.section("small", 1);
    state.put(&7u64);
    state.section("none", 3);
    state.section("large", 2);
    state.put(&3u32);
    (0..3).for_each(|_| state.share(rows));
    state.share_list(&Arc::new((0..1000).collect::<Vec<u64>>()));
    state.put(&Text::from("the end"));
}

fn in_pieces(bytes: &[u8], length: usize) -> Pieces {
    let mut pieces: Vec<Vec<u8>> = bytes.chunks(length).rev().map(<[u8]>::to_vec).collect();
    Pieces::new(move |into| {
        let piece = pieces.pop();
        piece.iter().for_each(|piece| into.extend_from_slice(piece));
        Ok(piece.is_some())
    })
}

fn load(saved: &mut SavedState<'_>, wanted: &Arc<Batch>, ids: &[&str]) {
    for id in ids {
        let read = |state: &mut StateReader<'_>| match *id {
            "small" => state.get::<u64>().map(|number| assert_eq!(number, 7)),
            "none" => Ok(()),
            _ => {
                assert_eq!(state.get::<u32>(), Ok(3));
                (0..3).for_each(|_| assert_eq!(state.rows().as_ref(), Ok(wanted)));
                assert_eq!(state.get::<Vec<u64>>().map(|list| list.len()), Ok(1000));
                state.get::<Text>().map(|text| assert_eq!(text, "the end"))
            }
        };
        saved.load(id, 3, read).unwrap();
    }
}

#[test]
fn what_is_written_in_pieces_is_read_whole_or_as_it_comes_in_any_order() {
    let rows = rows(10_000);
    let frozen = frozen(&rows);
    let (bytes, measure) = (frozen.to_bytes(), frozen.measure());
    assert_eq!(bytes.len() as u64, measure.bytes);
    assert!(bytes.len() > 2 * PIECE, "{}", bytes.len());
    let mut longest = 0;
    let Ok(()) = frozen.write(&measure, |piece| {
        longest = longest.max(piece.len());
        Ok::<(), Infallible>(())
    });
    assert_eq!(longest, PIECE);
    for ids in [["small", "none", "large"], ["large", "small", "none"]] {
        load(&mut SavedState::parse(&bytes).unwrap(), &rows, &ids);
        for length in [1000, 300_000, bytes.len()] {
            let mut saved = SavedState::coming(in_pieces(&bytes, length)).unwrap();
            load(&mut saved, &rows, &ids);
            saved.end().unwrap();
        }
    }
    let mut saved = SavedState::coming(in_pieces(&bytes, 999)).unwrap();
    let missing = saved.load("other", 1, |_| Ok(())).unwrap_err();
    assert!(missing.to_string().contains("another plan"), "{missing}");
}

#[test]
fn state_that_ends_early_or_late_is_refused_as_it_comes() {
    let rows = rows(3);
    let bytes = frozen(&rows).to_bytes();
    let read = |bytes: &[u8]| {
        let mut saved = SavedState::coming(in_pieces(bytes, 100))?;
        saved.load("small", 1, |state| state.get::<u64>().map(drop))?;
        saved.end()
    };
    assert_eq!(read(&bytes), Ok(()));
    for length in 0..bytes.len() {
        assert_eq!(read(&bytes[..length]), Err(LoadError::Malformed), "{length}");
    }
    assert_eq!(read(&[&bytes[..], &[0]].concat()), Err(LoadError::Malformed));
    let mut saved = SavedState::coming(in_pieces(&bytes, 100)).unwrap();
    assert_eq!(saved.load("small", 1, |_| Ok(())), Err(LoadError::Malformed), "some is left");
    let newer = LoadError::Newer { found: 2, known: 1 };
    let mut saved = SavedState::coming(in_pieces(&bytes, 100)).unwrap();
    assert_eq!(saved.load("large", 1, |_| Ok(())), Err(newer));
}

#[test]
fn bytes_are_counted_without_being_made() {
    let rows = rows(5000);
    let mut counted = StateWriter::counting();
    write(&mut counted, &rows);
    assert_eq!(counted.counted(), frozen(&rows).measure().bytes);
}

#[test]
fn the_fingerprint_tells_states_apart() {
    let of = |rows: &Arc<Batch>| frozen(rows).measure().fingerprint;
    let (mut other, long) = (rows(10_000), rows(10_000));
    assert_eq!(of(&long), of(&rows(10_000)));
    Arc::make_mut(&mut other).timestamps[5_000] += 1;
    assert_ne!(of(&long), of(&other));
    assert_ne!(of(&rows(3)), of(&rows(4)));
}

#[test]
fn state_is_the_same_read_as_it_is_made() {
    let rows = rows(3_000);
    for state in [Arc::new(frozen(&rows)), Arc::new(StateWriter::default().freeze())] {
        let mut pieces = state.pieces();
        let bytes = state.to_bytes();
        assert_eq!(pieces.take(bytes.len() as u64), Ok(bytes));
        assert_eq!(pieces.peek(), Ok(None));
    }
    let state = Arc::new(frozen(&rows));
    let mut saved = SavedState::coming(state.pieces()).unwrap();
    load(&mut saved, &rows, &["small", "none", "large"]);
    saved.end().unwrap();
}

#[test]
fn sections_of_frozen_state_are_read_as_they_are_made_in_any_order_and_again() {
    let rows = rows(3_000);
    let mut saved = SavedState::of(&Arc::new(frozen(&rows)));
    assert!(saved.has("none") && !saved.has("another"));
    load(&mut saved, &rows, &["large", "small", "none", "large"]);
    let newer = saved.section("none", 2).unwrap_err();
    assert_eq!(newer, LoadError::Newer { found: 3, known: 2 });
    let mut section = saved.section("small", 1).unwrap();
    assert!(!section.is_at_end());
    assert_eq!((section.get::<u64>(), section.is_at_end()), (Ok(7), true));
    assert_eq!(section.get::<u8>(), Err(LoadError::Malformed));
    saved.end().unwrap();
}
