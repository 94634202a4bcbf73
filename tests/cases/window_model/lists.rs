//! What each window says of a row, from lists of all it holds.

use crate::window_model::sessions::Sessions;
use crate::window_model::windows::Condition;
use crate::window_model::windows::Start;
use crate::window_model::windows::Window;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::rc::Rc;
use twinflow::event::Millis;

/// An event.
#[derive(Debug)]
pub struct Row {
    pub i: i32,
    pub p: Option<i32>,
    pub k: Option<&'static str>,
    pub n: Option<i32>,
    pub v: Option<f64>,
    pub b: Option<bool>,
    pub t: Option<Millis>,
    pub own: Millis,
    /// When it comes by the clock.
    pub at: Millis,
    pub ends_send: bool,
}

/// What a window says, with the time that the row carries then.
#[derive(Clone, Debug)]
pub enum Word {
    Comes(Rc<Row>, Millis),
    Leaves(Rc<Row>, Millis),
    Anew,
}

/// What is said at once.
pub type Chunk = Vec<Word>;

/// A window and what it holds of one partition key.
#[derive(Debug)]
pub struct Lists {
    window: Window,
    /// What has come and has not left.
    held: VecDeque<Rc<Row>>,
    /// What is still to come.
    open: Vec<Rc<Row>>,
    /// What a condition counts.
    counted: Vec<Rc<Row>>,
    /// How often the key of each row of `held` was counted, and a number with it.
    counts: Vec<(i64, i64)>,
    /// Rows since the window was last set back, or ever.
    count: usize,
    /// Where a period ends.
    end: Option<Millis>,
    /// When a batch by an attribute is looked after.
    due: Millis,
    /// The greatest time of an attribute.
    last: Millis,
    flushed: bool,
    sessions: Sessions,
}

fn comes(row: Rc<Row>) -> Word {
    let own = row.own;
    Word::Comes(row, own)
}

/// Orders as `asc` does, or `desc`; nothing stands last in both.
fn compare<T: PartialOrd>(left: Option<T>, right: Option<T>, descending: bool) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => {
            let order = left.partial_cmp(&right).expect("numbers");
            if descending { order.reverse() } else { order }
        }
        (left, right) => right.is_some().cmp(&left.is_some()),
    }
}

impl Lists {
    pub fn new(window: Window) -> Lists {
        let (gap, latency) = match window {
            Window::Session(gap, _, latency) => (gap, latency),
            _ => (0, 0),
        };
        Lists {
            window,
            held: VecDeque::new(),
            open: Vec::new(),
            counted: Vec::new(),
            counts: Vec::new(),
            count: 0,
            end: None,
            due: 0,
            last: Millis::MIN,
            flushed: false,
            sessions: Sessions::new(gap, latency),
        }
    }

    fn leave(&mut self, count: usize, now: Millis) -> Chunk {
        self.held.drain(..count).map(|row| Word::Leaves(row, now)).collect()
    }

    /// The batch before leaves, and the open one comes.
    fn close(&mut self, now: Millis, resets: bool) -> Chunk {
        let mut chunk = self.leave(self.held.len(), now);
        chunk.extend(resets.then_some(Word::Anew));
        chunk.extend(self.open.iter().cloned().map(comes));
        self.held.extend(self.open.drain(..));
        chunk
    }

    /// Where the period ends in which a row comes.
    fn find_end(&mut self, now: Millis, period: Millis, start: Option<Millis>) {
        let mut end = self.end.or(start).unwrap_or(now);
        while end <= now {
            end += period;
        }
        self.end = Some(end);
    }

    /// A row comes.
    pub fn take(&mut self, row: Rc<Row>, now: Millis) -> Vec<Chunk> {
        let mut said = match self.window {
            Window::None => vec![vec![comes(row)]],
            Window::Length(0) | Window::LengthBatch(0, _) => {
                vec![vec![comes(Rc::clone(&row)), Word::Leaves(row, now), Word::Anew]]
            }
            Window::Length(most) | Window::TimeLength(_, most) => {
                if most == 0 {
                    return vec![vec![comes(row)]];
                }
                let mut chunk = self.leave((self.held.len() + 1).saturating_sub(most), now);
                self.held.push_back(Rc::clone(&row));
                chunk.push(comes(row));
                vec![chunk]
            }
            Window::Time(_) => {
                self.held.push_back(Rc::clone(&row));
                vec![vec![comes(row)]]
            }
            Window::ExternalTime(span) => {
                let time = row.t.expect("it has one");
                let old = |row: &&Rc<Row>| row.t.expect("it has one") + span <= time;
                let mut chunk = self.leave(self.held.iter().take_while(old).count(), time);
                self.held.push_back(Rc::clone(&row));
                chunk.push(comes(row));
                vec![chunk]
            }
            Window::Delay(_) => {
                self.open.push(row);
                Vec::new()
            }
            Window::Batch(_) => {
                self.open.push(row);
                Vec::new()
            }
            Window::Cron => {
                self.open.push(row);
                self.end.get_or_insert(now - now % 1000 + 1000);
                Vec::new()
            }
            Window::LengthBatch(..) | Window::TimeBatch(..) | Window::ExternalTimeBatch(..) => {
                self.take_batched(row, now)
            }
            Window::Session(..) => {
                let keyed = matches!(self.window, Window::Session(_, true, _));
                self.sessions.take(if keyed { row.k } else { Some("") }, row)
            }
            Window::Sort(..) => vec![self.take_sorted(row, now)],
            Window::Expression(condition) => vec![self.take_while(row, condition, now)],
            Window::ExpressionBatch(..) => self.take_until(row, now),
            Window::Frequent(_) | Window::LossyFrequent(..) => vec![self.take_counted(row, now)],
            _ => self.take_unique(row, now),
        };
        said.push(self.over(now));
        said.retain(|chunk| !chunk.is_empty());
        said
    }

    fn take_batched(&mut self, row: Rc<Row>, now: Millis) -> Vec<Chunk> {
        let mut chunk = Vec::new();
        match self.window {
            Window::LengthBatch(most, false) => {
                self.open.push(row);
                if self.open.len() == most {
                    chunk = self.close(now, true);
                }
            }
            Window::LengthBatch(most, true) => {
                if self.held.len() == most {
                    chunk = self.leave(most, now);
                    chunk.push(Word::Anew);
                }
                self.held.push_back(Rc::clone(&row));
                chunk.push(comes(row));
            }
            Window::TimeBatch(period, start, streams) => {
                self.find_end(now, period, start);
                if streams {
                    self.held.push_back(Rc::clone(&row));
                    chunk.push(comes(row));
                } else {
                    self.open.push(row);
                }
            }
            Window::ExternalTimeBatch(period, start, timeout) => {
                chunk = self.take_by_attribute(row, now, period, start, timeout);
            }
            _ => unreachable!("these are all"),
        }
        vec![chunk]
    }

    fn take_by_attribute(
        &mut self,
        row: Rc<Row>,
        now: Millis,
        period: Millis,
        start: Start,
        timeout: Option<Millis>,
    ) -> Chunk {
        let time = row.t.expect("it has one");
        let timeout = timeout.unwrap_or(Millis::MAX / 2);
        if self.end.is_none() {
            let start = match start {
                Start::First => time,
                Start::At(start) => start,
            };
            self.end = Some(start + ((time - start) / period + 1) * period);
            self.due = now + timeout;
        }
        self.last = self.last.max(time);
        let mut chunk = Vec::new();
        let end = self.end.expect("it was just found");
        if time >= end {
            if !self.open.is_empty() {
                chunk = self.flush(self.last);
            }
            self.flushed = false;
            self.end = Some(end + ((self.last - end) / period + 1) * period);
            self.due = now + timeout;
        }
        while self.due <= now {
            self.due += timeout;
        }
        self.open.push(row);
        chunk
    }

    /// Puts out the open batch; what was put out of it before comes once more.
    fn flush(&mut self, now: Millis) -> Chunk {
        if !self.flushed {
            return self.close(now, true);
        }
        let mut chunk: Chunk =
            self.held.iter().map(|row| Word::Leaves(Rc::clone(row), now)).collect();
        chunk.push(Word::Anew);
        self.held.extend(self.open.drain(..));
        chunk.extend(self.held.iter().cloned().map(comes));
        chunk
    }

    fn take_sorted(&mut self, row: Rc<Row>, now: Millis) -> Chunk {
        let Window::Sort(most, by_number) = self.window else { unreachable!("it sorts") };
        self.held.push_back(Rc::clone(&row));
        let mut chunk = vec![comes(row)];
        if self.held.len() > most {
            self.held.make_contiguous().sort_by(|a, b| match by_number {
                true => compare(a.n, b.n, true).then(compare(a.k, b.k, false)),
                false => compare(a.v, b.v, false),
            });
            chunk.extend(self.held.pop_back().map(|row| Word::Leaves(row, now)));
        }
        chunk
    }

    fn take_while(&mut self, row: Rc<Row>, condition: Condition, now: Millis) -> Chunk {
        self.held.push_back(Rc::clone(&row));
        let mut chunk = Vec::new();
        while let Some(first) = self.held.front().cloned() {
            if condition.holds(self.held.make_contiguous(), &first, &row) {
                break;
            }
            chunk.extend(self.leave(1, now));
        }
        chunk.push(comes(row));
        chunk
    }

    fn take_until(&mut self, row: Rc<Row>, now: Millis) -> Vec<Chunk> {
        let Window::ExpressionBatch(condition, includes, streams) = self.window else {
            unreachable!("it ends by a condition")
        };
        self.counted.push(Rc::clone(&row));
        let batch = if streams { self.held.front() } else { self.open.first() };
        let first = batch.cloned().unwrap_or_else(|| Rc::clone(&row));
        let is_alone = batch.is_none();
        let mut chunk = Vec::new();
        if condition.holds(&self.counted, &first, &row) {
            if streams {
                self.held.push_back(Rc::clone(&row));
                chunk.push(comes(row));
            } else {
                self.open.push(row);
            }
            return vec![chunk];
        }
        self.counted = vec![Rc::clone(&row)];
        if streams && includes && !is_alone {
            chunk.push(comes(Rc::clone(&row)));
            chunk.extend(self.leave(self.held.len(), now));
            chunk.push(Word::Leaves(row, now));
            return vec![chunk];
        }
        chunk.extend(self.leave(self.held.len(), now));
        if is_alone {
            chunk.extend([Word::Leaves(Rc::clone(&row), now), Word::Comes(row, now)]);
        } else if streams {
            self.held.push_back(Rc::clone(&row));
            chunk.push(comes(row));
        } else {
            chunk.extend(self.open.iter().map(|row| Word::Comes(Rc::clone(row), now)));
            self.held.extend(self.open.drain(..));
            if includes {
                self.held.push_back(Rc::clone(&row));
                chunk.push(comes(row));
            } else {
                self.open.push(row);
            }
        }
        vec![chunk]
    }

    fn take_counted(&mut self, row: Rc<Row>, now: Millis) -> Chunk {
        let mut chunk = Vec::new();
        let known = self.held.iter().position(|held| held.k == row.k);
        self.count += 1;
        match self.window {
            Window::Frequent(most) => {
                if let Some(place) = known {
                    self.held[place] = Rc::clone(&row);
                    self.counts[place].0 += 1;
                    return vec![comes(row)];
                }
                if self.held.len() == most {
                    self.counts.iter_mut().for_each(|count| count.0 -= 1);
                    chunk = self.drop_counted(now, |count, _| count == 0);
                }
                if self.held.len() < most {
                    self.held.push_back(Rc::clone(&row));
                    self.counts.push((1, 0));
                    chunk.push(comes(row));
                }
            }
            Window::LossyFrequent(support, error) => {
                let width = (1.0 / error).ceil() as usize;
                let bucket = self.count.div_ceil(width) as i64;
                let place = known.unwrap_or(self.held.len());
                if known.is_none() {
                    self.held.push_back(Rc::clone(&row));
                    self.counts.push((0, bucket - 1));
                }
                self.held[place] = Rc::clone(&row);
                self.counts[place].0 += 1;
                if self.counts[place].0 as f64 >= (support - error) * self.count as f64 {
                    chunk.push(comes(row));
                }
                if self.count.is_multiple_of(width) {
                    chunk.extend(self.drop_counted(now, |count, mark| count + mark <= bucket));
                }
            }
            _ => unreachable!("it counts"),
        }
        chunk
    }

    fn drop_counted(&mut self, now: Millis, leaves: impl Fn(i64, i64) -> bool) -> Chunk {
        let both: Vec<_> = self.held.drain(..).zip(self.counts.drain(..)).collect();
        let mut chunk = Vec::new();
        for (row, (count, mark)) in both {
            if leaves(count, mark) {
                chunk.push(Word::Leaves(row, now));
            } else {
                self.held.push_back(row);
                self.counts.push((count, mark));
            }
        }
        chunk
    }

    fn take_unique(&mut self, row: Rc<Row>, now: Millis) -> Vec<Chunk> {
        let mut chunk = Vec::new();
        match self.window {
            Window::UniqueFirst => {
                if !self.held.iter().any(|held| held.k == row.k) {
                    self.held.push_back(Rc::clone(&row));
                    chunk.push(comes(row));
                }
            }
            Window::UniqueLengthBatch(_, first) | Window::UniqueTimeBatch(_, _, first) => {
                let known = self.open.iter().position(|held| held.k == row.k);
                if !first {
                    known.map(|place| self.open.remove(place));
                }
                if known.is_none() || !first {
                    self.open.push(row);
                }
                match self.window {
                    Window::UniqueTimeBatch(period, start, _) => self.find_end(now, period, start),
                    Window::UniqueLengthBatch(most, _) if self.open.len() == most => {
                        chunk = self.close(now, true);
                    }
                    _ => {}
                }
            }
            _ => {
                let known = self.held.iter().position(|held| held.k == row.k);
                let most = match self.window {
                    Window::UniqueLength(most) => most,
                    _ => usize::MAX,
                };
                if let Some(place) = known {
                    chunk.extend(self.held.remove(place).map(|row| Word::Leaves(row, now)));
                } else if self.held.len() == most {
                    chunk = self.leave(1, now);
                }
                self.held.push_back(Rc::clone(&row));
                chunk.push(comes(row));
            }
        }
        vec![chunk]
    }

    /// What others find in it.
    pub fn found(&self) -> Box<dyn Iterator<Item = &Rc<Row>> + '_> {
        match self.window {
            Window::Delay(_) | Window::ExpressionBatch(..) => Box::new(self.open.iter()),
            _ => Box::new(self.held.iter()),
        }
    }

    /// When something happens by the clock alone.
    pub fn due(&self) -> Option<Millis> {
        let oldest = self.held.front();
        match self.window {
            Window::Time(span) | Window::TimeLength(span, _) => oldest.map(|row| row.own + span),
            Window::UniqueTime(span) => oldest.map(|row| row.at + span),
            Window::Delay(span) => self.open.first().map(|row| row.own + span),
            Window::ExternalTimeBatch(.., Some(_)) if !self.open.is_empty() => Some(self.due),
            Window::TimeBatch(..) | Window::UniqueTimeBatch(..) => {
                self.end.filter(|_| oldest.is_some() || !self.open.is_empty())
            }
            Window::Cron => self.end,
            Window::Session(..) => self.sessions.due(),
            _ => None,
        }
    }

    /// What leaves and comes as the clock shows what was due.
    pub fn wake(&mut self, now: Millis) -> Vec<Chunk> {
        let chunk = match self.window {
            Window::ExternalTimeBatch(.., timeout) => {
                self.due += timeout.expect("it was due");
                let chunk = self.flush(self.last);
                self.flushed = true;
                chunk
            }
            Window::TimeBatch(period, _, streams) => {
                self.end = self.end.map(|end| end + period);
                let resets = streams || !self.open.is_empty();
                self.close(now, resets)
            }
            Window::UniqueTimeBatch(period, ..) => {
                self.end = self.end.map(|end| end + period);
                let resets = !self.open.is_empty();
                self.close(now, resets)
            }
            Window::Cron => {
                self.end = None;
                self.close(now, false)
            }
            _ => self.over(now),
        };
        vec![chunk]
    }

    /// What the clock has left behind, or has reached.
    fn over(&mut self, now: Millis) -> Chunk {
        match self.window {
            Window::Time(span) | Window::TimeLength(span, _) => {
                let old = |row: &&Rc<Row>| row.own + span <= now;
                self.leave(self.held.iter().take_while(old).count(), now)
            }
            Window::UniqueTime(span) => {
                let old = |row: &&Rc<Row>| row.at + span <= now;
                self.leave(self.held.iter().take_while(old).count(), now)
            }
            Window::Delay(span) => {
                let ripe = |row: &&Rc<Row>| row.own + span <= now;
                let count = self.open.iter().take_while(ripe).count();
                self.open.drain(..count).map(|row| Word::Comes(row, now)).collect()
            }
            Window::Session(..) => self.sessions.over(now),
            _ => Vec::new(),
        }
    }

    /// The send is over.
    pub fn end_send(&mut self, now: Millis) -> Vec<Chunk> {
        let Window::Batch(piece) = self.window else { return Vec::new() };
        let count = self.held.len() + 1;
        let mut said = self.close(now, true);
        let rows = said.split_off(count);
        let mut pieces = rows.chunks(piece.unwrap_or(usize::MAX)).map(<[Word]>::to_vec);
        said.extend(pieces.next().expect("it has rows"));
        std::iter::once(said).chain(pieces).collect()
    }
}
