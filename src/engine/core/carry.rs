//! State of one version of a plan, carried over to the next: what is the same goes on, the rest
//! begins anew.

use crate::engine::core::Address;
use crate::engine::core::PlanCore;
use crate::engine::core::persist::ERRANDS;
use crate::engine::core::persist::Head;
use crate::engine::core::persist::IDENTITY;
use crate::engine::core::persist::VERSION;
use crate::engine::core::persist::pattern_id;
use crate::engine::core::persist::rate_id;
use crate::engine::core::persist::step_id;
use crate::engine::core::persist::watermark_id;
use crate::engine::core::watermarks;
use crate::engine::patterns::PatternStep;
use crate::engine::rates;
use crate::engine::state::LoadError;
use crate::engine::state::SavedState;
use crate::engine::state::whole;
use crate::engine::timers::Timer;
use crate::engine::timers::Timers;
use crate::event::Millis;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::difference::Difference;
use crate::plan::difference::Dropped;
use crate::plan::difference::Pair;
use crate::plan::difference::compare;
use crate::plan::identity::Clock;
use crate::plan::identity::Identities;
use crate::plan::identity::Kind;
use crate::plan::identity::Unit;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What became of the state of the version before, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// What goes on.
    pub kept: Vec<String>,
    /// What ended, and why.
    pub dropped: Vec<Dropped>,
    /// What the version before did not have.
    pub fresh: Vec<String>,
}

/// What was saved of another version.
struct Before<'a> {
    saved: &'a SavedState<'a>,
    identities: Identities,
    operators: Vec<Address>,
}

impl PlanCore {
    /// Takes of the state that [`PlanCore::freeze`] gave, of this plan or of another version of it,
    /// what is surely the same. The plan must have been built and not started: it goes on from the
    /// moment at which the other version stood, and what is new in it starts at `at` by the wall
    /// clock. Counts of what was dropped begin anew.
    ///
    /// # Errors
    /// If the bytes are damaged; the plan must then not be used further.
    pub fn adopt(&mut self, saved: &SavedState<'_>, at: Millis) -> Result<Carried, LoadError> {
        self.start(at);
        self.go_on_asking(saved)?;
        if !saved.has(IDENTITY) {
            let what = "all state".to_owned();
            let why = "it was saved by a program that did not say what it belongs to".to_owned();
            return Ok(Carried { dropped: vec![Dropped { what, why }], ..Carried::default() });
        }
        let mut section = saved.section(IDENTITY, VERSION)?;
        let (identities, operators) = (section.get()?, section.get()?);
        let before = Before { saved, identities, operators };
        let difference = compare(&before.identities, &self.identities);
        let head = Head::read(&mut before.saved.section("core", VERSION)?)?;
        if self.plan.playback.is_some() && head.rows > 0 {
            // What is new waits for absences, and counts its periods, from where the other version
            // stood: the first row of all has come.
            self.context.now = head.now;
            self.begin_patterns();
        }
        if before.identities.clock() == Clock::Watermarks
            && let Some(marks) = &mut self.watermarks
        {
            let (section, version) = (watermarks::SECTION, watermarks::VERSION);
            whole(before.saved.section(section, version)?, |state| marks.load(state))?;
            if marks.begun {
                self.context.now = head.now;
                self.begin_patterns();
            }
        }
        for &pair in &difference.pairs {
            self.carry_unit(&before, pair)?;
        }
        self.carry_clock(&before, &difference.pairs)?;
        if let Some(marks) = &mut self.watermarks {
            // A stream that is new is waited for.
            marks.settle(self.wall);
        }
        let Difference { kept, dropped, fresh, .. } = difference;
        Ok(Carried { kept, dropped, fresh })
    }

    /// Of the state that [`PlanCore::freeze`] gave takes nothing but the number of the last
    /// question, and starts at `at` by the wall clock.
    ///
    /// # Errors
    /// If the bytes are damaged.
    pub fn start_after(&mut self, saved: &SavedState<'_>, at: Millis) -> Result<(), LoadError> {
        self.start(at);
        self.go_on_asking(saved)
    }

    /// An answer to a question of before must not be taken for one to another.
    fn go_on_asking(&mut self, saved: &SavedState<'_>) -> Result<(), LoadError> {
        if saved.has(ERRANDS) {
            self.context.errands.go_on_after(saved.section(ERRANDS, VERSION)?.get()?);
        }
        Ok(())
    }

    fn carry_unit(&mut self, before: &Before<'_>, pair: Pair) -> Result<(), LoadError> {
        let saved = before.saved;
        let (old, new) = (&before.identities.units[pair.old], &self.identities.units[pair.new]);
        let (from, to) = (old.id, new.id);
        match new.kind {
            Kind::Table => {
                let section = saved.section(&format!("table:{}", old.name), VERSION)?;
                let table = self.context.tables[to].as_mut().expect("nobody searches now");
                whole(section, |state| table.load(state))
            }
            Kind::Window => {
                let window = self.context.windows[to].as_mut().expect("it takes no rows now");
                let section = saved.section(&format!("window:{}", old.name), window.version())?;
                whole(section, |state| window.load(state))
            }
            Kind::Aggregation => {
                let aggregation = self.context.aggregations[to].as_mut();
                let aggregation = aggregation.expect("nobody reads it now");
                let section = saved.section(&format!("aggregation:{}", old.name), VERSION)?;
                whole(section, |state| aggregation.load(state))
            }
            Kind::Watermark => {
                let section = saved.section(&watermark_id(&old.name), watermarks::VERSION)?;
                let waiting = self.watermarks.as_mut().and_then(|marks| {
                    let place = marks.place(to)?;
                    marks.streams.get_mut(place)
                });
                let waiting = waiting.expect("a watermark that goes on is in both plans");
                whole(section, |state| waiting.load(state))?;
                waiting.count_anew();
                Ok(())
            }
            // All there is to it is its timer.
            Kind::Trigger => Ok(()),
            Kind::Partition => {
                let section = saved.section(&format!("partition:{from}"), VERSION)?;
                let partition = &mut self.partitions[to];
                whole(section, |state| partition.load(state))
            }
            Kind::Query => self.carry_query(saved, &old.section_name(), to, pair),
            Kind::Rate => {
                let limiter = self.pipelines[to].limiter.as_mut();
                let limiter = limiter.expect("a rate that goes on is in both plans");
                let section = saved.section(&rate_id(&old.section_name()), rates::VERSION)?;
                whole(section, |state| limiter.load(state))
            }
        }
    }

    fn carry_query(
        &mut self,
        saved: &SavedState<'_>,
        old_name: &str,
        query: usize,
        pair: Pair,
    ) -> Result<(), LoadError> {
        let pipeline = &mut self.pipelines[query];
        let ports = pipeline.ports.iter_mut().zip(&self.plan.queries[query].ports).enumerate();
        for (port, (way, known)) in ports.filter(|_| pair.rows) {
            for (place, step) in way.steps.iter_mut().enumerate() {
                if known.stages[place].holds_rows() {
                    let id = step_id(old_name, port, place);
                    whole(saved.section(&id, step.version())?, |state| step.load(state))?;
                }
            }
        }
        if let Some(pattern) = pipeline.pattern.as_mut().filter(|_| pair.rows) {
            let section = saved.section(&pattern_id(old_name), PatternStep::VERSION)?;
            whole(section, |state| pattern.step.load(state))?;
        }
        if pair.groups {
            let section = saved.section(&format!("query:{old_name}:select"), VERSION)?;
            whole(section, |state| pipeline.selector.load(state))?;
        }
        Ok(())
    }

    /// Goes on from the moment at which the other version stood, with the timers of what goes on.
    fn carry_clock(&mut self, before: &Before<'_>, pairs: &[Pair]) -> Result<(), LoadError> {
        let head = Head::read(&mut before.saved.section("core", VERSION)?)?;
        self.rows = head.rows;
        self.fired = head.fired;
        self.in_send = head.in_send;
        if before.identities.clock() != self.identities.clock() {
            return Ok(());
        }
        let (old, new) = (before.identities.playback, self.identities.playback);
        self.wall = head.wall;
        self.context.now = head.now;
        if old == new {
            self.idle_due = head.idle_due;
        }
        let moves = self.moves(before, pairs);
        for (mine, theirs) in
            [(&mut self.context.timers, head.timers), (&mut self.wall_timers, head.wall_timers)]
        {
            carry_timers(mine, theirs, &moves);
        }
        Ok(())
    }

    /// For each operator that goes on its id before, with its id now.
    fn moves(&self, before: &Before<'_>, pairs: &[Pair]) -> BTreeMap<u32, u32> {
        let mut units: BTreeMap<(u8, usize), usize> = BTreeMap::new();
        for pair in pairs.iter().filter(|pair| pair.rows) {
            let (old, new) = (&before.identities.units[pair.old], &self.identities.units[pair.new]);
            // Another rhythm begins anew, though the keys go on.
            if old.rhythm == new.rhythm {
                units.insert((old.kind.tag(), old.id), new.id);
            }
        }
        let ids = self.operators.iter().zip(0u32..);
        let now: BTreeMap<[usize; 4], u32> = ids.map(|(to, id)| (to.key(), id)).collect();
        let moved = |address: &Address| {
            let of = |kind: Kind, id| units.get(&(kind.tag(), id)).copied();
            Some(match *address {
                Address::Window(id) => Address::Window(of(Kind::Window, id)?),
                Address::Trigger(id) => Address::Trigger(of(Kind::Trigger, id)?),
                Address::Purge(id) => Address::Purge(of(Kind::Partition, id)?),
                Address::Discard(id) => Address::Discard(of(Kind::Aggregation, id)?),
                Address::Rate(id) => Address::Rate(of(Kind::Rate, id)?),
                Address::Step { query, port, step } => {
                    Address::Step { query: of(Kind::Query, query)?, port, step }
                }
            })
        };
        let operators = before.operators.iter().zip(0u32..);
        operators
            .filter_map(|(address, id)| Some((id, *now.get(&moved(address)?.key())?)))
            .collect()
    }
}

/// Puts the timers of operators that go on in the place of those they were just given.
fn carry_timers(mine: &mut Timers, mut theirs: Timers, moves: &BTreeMap<u32, u32>) {
    let stay: BTreeSet<u32> = moves.values().copied().collect();
    let started: Vec<Timer> = mine.drain().filter(|each| !stay.contains(&each.operator)).collect();
    let carried = theirs.drain().filter_map(|timer| {
        moves.get(&timer.operator).map(|&operator| Timer { operator, ..timer })
    });
    started.into_iter().chain(carried).for_each(|timer| mine.set(timer));
}

impl Unit {
    /// The name under which its query saves.
    fn section_name(&self) -> String {
        match self.is_named {
            true => self.name.to_string(),
            false => format!("query_{}", self.id + 1),
        }
    }
}

impl Address {
    /// The same numbers for the same operator, with an order.
    fn key(self) -> [usize; 4] {
        match self {
            Address::Window(id) => [0, id, 0, 0],
            Address::Trigger(id) => [1, id, 0, 0],
            Address::Purge(id) => [2, id, 0, 0],
            Address::Step { query, port, step } => [3, query, port, step],
            Address::Discard(id) => [4, id, 0, 0],
            Address::Rate(id) => [5, id, 0, 0],
        }
    }
}

impl Encode for Address {
    fn encode(&self, out: &mut Vec<u8>) {
        self.key().iter().for_each(|number| number.encode(out));
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let (tag, id) = <(usize, usize)>::decode(from)?;
        let (port, step) = <(usize, usize)>::decode(from)?;
        Ok(match tag {
            0 => Address::Window(id),
            1 => Address::Trigger(id),
            2 => Address::Purge(id),
            3 => Address::Step { query: id, port, step },
            4 => Address::Discard(id),
            5 => Address::Rate(id),
            _ => return Err(Malformed),
        })
    }
}
