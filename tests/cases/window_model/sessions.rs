//! Sessions as lists: the one that is open, and the one before, held for what is late.

use crate::window_model::lists::Chunk;
use crate::window_model::lists::Row;
use crate::window_model::lists::Word;
use std::rc::Rc;
use twinflow::event::Millis;

#[derive(Debug)]
struct Session {
    rows: Vec<Rc<Row>>,
    start: Millis,
    end: Millis,
}

/// The sessions of a key.
#[derive(Debug)]
struct Key {
    key: Option<&'static str>,
    open: Option<Session>,
    before: Option<Session>,
}

/// The sessions of all keys, in order of their coming.
#[derive(Debug)]
pub struct Sessions {
    gap: Millis,
    latency: Millis,
    keys: Vec<Key>,
}

impl Key {
    /// Two sessions without a gap between them are one.
    fn join(&mut self, gap: Millis) {
        if let (Some(before), Some(open)) = (&mut self.before, &mut self.open)
            && before.end >= open.start - gap
        {
            before.rows.append(&mut open.rows);
            open.rows.append(&mut before.rows);
            open.start = before.start;
            self.before = None;
        }
    }
}

impl Sessions {
    pub fn new(gap: Millis, latency: Millis) -> Sessions {
        Sessions { gap, latency, keys: Vec::new() }
    }

    /// A row passes, unless it is too late.
    pub fn take(&mut self, key: Option<&'static str>, row: Rc<Row>) -> Vec<Chunk> {
        let gap = self.gap;
        let place = self.keys.iter().position(|known| known.key == key).unwrap_or_else(|| {
            self.keys.push(Key { key, open: None, before: None });
            self.keys.len() - 1
        });
        let key = &mut self.keys[place];
        let (own, passes) = (row.own, vec![vec![Word::Comes(Rc::clone(&row), row.own)]]);
        let Some(open) = &mut key.open else {
            key.open = Some(Session { rows: vec![row], start: own, end: own + gap });
            return passes;
        };
        assert!(own <= open.end, "a session that is over is not open");
        if own >= open.start {
            open.end = open.end.max(own + gap);
            open.rows.push(row);
        } else if own >= open.start - gap {
            open.rows.insert(0, row);
            open.start = own;
            key.join(gap);
        } else {
            let Some(before) = key.before.as_mut().filter(|before| own >= before.start - gap)
            else {
                return Vec::new();
            };
            before.rows.push(row);
            // What comes in front of it brings it no nearer to the next.
            if own < before.start {
                before.start = own;
            } else {
                before.end = before.end.max(own + gap);
                key.join(gap);
            }
        }
        passes
    }

    /// When the next one is over.
    pub fn due(&self) -> Option<Millis> {
        let ends = self.keys.iter().flat_map(|key| {
            let before = key.before.as_ref().map(|before| before.end + self.latency);
            key.open.as_ref().map(|open| open.end).into_iter().chain(before)
        });
        ends.min()
    }

    /// All that leaves by now, the earliest first.
    pub fn over(&mut self, now: Millis) -> Chunk {
        let mut gone = Vec::new();
        for (place, key) in self.keys.iter_mut().enumerate() {
            if let Some(open) = key.open.take_if(|open| open.end <= now) {
                let before = key.before.replace(open);
                gone.extend(before.map(|before| (before.end + self.latency, place, before)));
            }
            let over = key.before.take_if(|before| before.end + self.latency <= now);
            gone.extend(over.map(|over| (over.end + self.latency, place, over)));
        }
        self.keys.retain(|key| key.open.is_some() || key.before.is_some());
        gone.sort_by_key(|(end, place, _)| (*end, *place));
        let rows = gone.into_iter().flat_map(|(_, _, session)| session.rows);
        rows.map(|row| Word::Leaves(row, now)).collect()
    }
}
