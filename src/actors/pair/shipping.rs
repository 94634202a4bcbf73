//! Entries on their way to the other node: read from the journal as there is room for them.
//!
//! The protocol counts entries; bytes are counted here. What finds no room is not read: the
//! protocol is told where to go on, and does so when the other node says how far it has come. Of
//! what the other node lacks only so much is sent at once that this thread can turn to what else
//! there is. A plan of which nothing is on its way may always send one frame: so none waits until
//! another one has caught up.

use bytes::Bytes;
use tracing::error;
use tracing::warn;

use crate::actors::pair::HaManager;
use crate::actors::plan::hold;
use crate::disk::RealDisk;
use crate::ha::link::Shipped;
use crate::ha::link::freight::ENTRIES_MAX;
use crate::ha::link::freight::Entries;
use crate::ha::link::freight::Entry;
use crate::ha::link::freight::Freight;
use crate::ha::protocol::Body;
use crate::ha::protocol::Epoch;
use crate::ha::protocol::Message;
use crate::ha::protocol::Plan;
use crate::ha::protocol::Position;
use crate::journal::JournalError;
use crate::journal::Records;
use crate::replica::LogEntry;

/// Entries of one frame; bytes. Small, so that what is more urgent need not wait for long.
const FRAME_BYTES: usize = 256 << 10;
/// Bytes of entries on their way beyond which nothing is read: enough to keep a link busy.
const IN_FLIGHT_BYTES: u64 = 4 << 20;
/// Bytes that are read for one happening, whatever there is room for.
const AT_ONCE_BYTES: usize = 1 << 20;

/// Where a journal is read for the other node.
#[derive(Debug)]
pub struct Reading {
    next: u64,
    records: Records<RealDisk>,
}

impl HaManager {
    /// Sends a message with the entries it is about, as far as there is room.
    pub(super) fn ship(&mut self, message: Message, plan: Plan, after: Position, upto: Position) {
        let Body::Entries { epoch, committed, .. } = message.body else {
            return self.ship_whole(message, plan, after, upto);
        };
        if self.unshipped.contains_key(&plan) {
            return; // It would leave a gap.
        }
        let matched = self.life.as_ref().and_then(|life| life.member.matched(plan));
        let mut last = after.0;
        while last < upto.0
            && let Some(life) = &self.life
            && (matched == Some(Position(last))
                || self.shipped < AT_ONCE_BYTES && life.link.has_room_for_entries(IN_FLIGHT_BYTES))
        {
            let entries = match self.read(plan, last + 1, upto.0, FRAME_BYTES) {
                Ok(entries) if entries.is_empty() => break,
                Ok(entries) => entries,
                Err(error) => {
                    self.reading.remove(&plan);
                    return warn!(%plan, %error, "entries cannot be read for the other node");
                }
            };
            let (by, first) = ((message.from, epoch), Position(last + 1));
            let part = Entries::of(by, plan, first, entries, committed, LogEntry::events);
            let sent = part.entries.len() as u64;
            self.shipped += part.entries.iter().map(|entry| entry.body.len()).sum::<usize>();
            let Some(life) = &self.life else { return };
            match life.link.ship(&Freight::Entries(part)) {
                Ok(Shipped::Queued) => last += sent,
                Ok(Shipped::Full | Shipped::NoPeer) => break,
                Err(error) => return error!(%plan, %error, "entries cannot be sent"),
            }
        }
        if last < upto.0 {
            self.unshipped.insert(plan, Position(last));
        }
    }

    /// Sends a message that is about all of its entries at once. Who asked for it asks again where
    /// it finds no room.
    fn ship_whole(&mut self, message: Message, plan: Plan, after: Position, upto: Position) {
        let entries = match self.read(plan, after.0 + 1, upto.0, usize::MAX) {
            Ok(entries) => entries,
            Err(error) => {
                self.reading.remove(&plan);
                return warn!(%plan, %error, "entries cannot be read for the other node");
            }
        };
        let Some(life) = &self.life else { return };
        let events = entries.iter().map(|entry| LogEntry::events(&entry.body)).sum();
        let all = Entries { message, plan, first: after.next(), entries, events };
        if let Err(error) = life.link.ship(&Freight::Entries(all)) {
            error!(%plan, %error, "entries cannot be sent");
        }
    }

    /// Entries from a position up to another one, until they have so many bytes.
    fn read(
        &mut self,
        plan: Plan,
        from: u64,
        upto: u64,
        bytes: usize,
    ) -> Result<Vec<Entry>, JournalError> {
        let Some(log) = self.estate.hub.log(plan) else { return Ok(Vec::new()) };
        let mut reading = match self.reading.remove(&plan) {
            Some(reading) if reading.next == from => reading,
            _ => {
                let held = hold(&log.journal);
                let Some(journal) = held.as_ref() else { return Ok(Vec::new()) };
                Reading { next: from, records: journal.read(from)? }
            }
        };
        let (mut entries, mut read) = (Vec::new(), 0);
        while reading.next <= upto
            && read < bytes
            && entries.len() < ENTRIES_MAX
            && let Some(record) = reading.records.read_next()?
        {
            let body = Bytes::copy_from_slice(record.body);
            read += body.len();
            entries.push(Entry { epoch: Epoch(record.epoch), body });
            reading.next += 1;
        }
        self.reading.insert(plan, reading);
        Ok(entries)
    }
}
