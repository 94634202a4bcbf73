//! What was found, as entries of a plan's log: rows that several questions found are said once, and
//! no entry is longer than it must be.

use crate::event::Batch;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::plan::answers::Answers;
use crate::publishers::rdbms::errands::ask::Finds;

/// Bytes of the rows in an entry at most; more only where one question finds more.
const BYTES_MAX: u64 = 4 << 20;

/// The answers to questions of these numbers about a table.
pub fn entries(table: &Text, numbers: &[u64], finds: &Finds) -> Vec<Answers> {
    let fresh = || Answers {
        table: table.clone(),
        numbers: Vec::new(),
        starts: Vec::new(),
        counts: Vec::new(),
        rows: finds.rows.empty_like(0),
        failure: None,
    };
    let mut found = Vec::new();
    let mut failures: Vec<Answers> = Vec::new();
    for (&number, finds) in numbers.iter().zip(&finds.found) {
        match finds {
            Ok(rows) => found.push((number, rows)),
            Err(reason) => {
                let is_same =
                    |last: &&mut Answers| last.failure.as_deref() == Some(reason.as_str());
                if failures.last_mut().filter(is_same).is_none() {
                    failures.push(Answers { failure: Some(reason.as_str().into()), ..fresh() });
                }
                failures.iter_mut().last().into_iter().for_each(|last| last.add(number, 0, 0));
            }
        }
    }
    // Those that share rows stand side by side.
    found.sort_by_key(|(_, rows)| rows.start);
    let (mut entries, mut entry, mut bytes) = (Vec::new(), fresh(), 0);
    // Which rows were said last, and where they stand in the entry.
    let mut said = (&(0..0), 0);
    for (number, rows) in found {
        if rows != said.0 && !rows.is_empty() {
            let mut piece: Batch = finds.rows.empty_like(rows.len());
            piece.extend(&finds.rows, rows.start, rows.end);
            let more = piece.encoded_bytes();
            if bytes > 0 && bytes + more > BYTES_MAX {
                entries.push(std::mem::replace(&mut entry, fresh()));
                bytes = 0;
            }
            said = (rows, entry.rows.len());
            entry.rows.extend(&piece, 0, piece.len());
            bytes += more;
        }
        let start = if rows.is_empty() { 0 } else { said.1 };
        entry.add(number, start, rows.len());
    }
    if !entry.numbers.is_empty() {
        entries.push(entry);
    }
    entries.extend(failures);
    entries
}
