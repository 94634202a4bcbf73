//! State of a whole plan: frozen in a moment, loaded into a plan just built.

use crate::engine::context::Drops;
use crate::engine::core::PlanCore;
use crate::engine::core::watermarks;
use crate::engine::patterns::PatternStep;
use crate::engine::rates;
use crate::engine::state::Frozen;
use crate::engine::state::LoadError;
use crate::engine::state::SavedState;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::timers::Timers;
use crate::event::Millis;

pub(super) const VERSION: u16 = 1;

/// The section that says what of the plan holds the state in the others.
pub(super) const IDENTITY: &str = "identity";

impl PlanCore {
    /// The whole state as it stands. Rows that windows and tables keep are shared, not copied: the
    /// plan may go on at once while another thread turns the state into bytes.
    pub fn freeze(&self) -> Frozen {
        let mut state = StateWriter::default();
        state.section("core", VERSION);
        state.put(&self.wall);
        state.put(&self.context.now);
        state.put(&self.context.timers);
        state.put(&self.wall_timers);
        state.put(&self.idle_due);
        state.put(&self.rows);
        state.put(&self.fired);
        state.put(&self.in_send);
        state.put(&self.context.entropy.secret);
        let drops = self.context.drops;
        state.put(&vec![drops.key_taken, drops.no_key, drops.fault, drops.late]);
        state.section(IDENTITY, VERSION);
        state.put(&*self.identities);
        state.put(&self.operators);
        if let Some(marks) = &self.watermarks {
            state.section(watermarks::SECTION, watermarks::VERSION);
            marks.save(&mut state);
            for waiting in &marks.streams {
                let name = &self.plan.streams[waiting.stream].name;
                state.section(watermark_id(name), watermarks::VERSION);
                waiting.save(&mut state);
            }
        }
        for (table, known) in self.context.tables.iter().zip(&self.plan.tables) {
            state.section(format!("table:{}", known.name), VERSION);
            table.as_ref().expect("nobody searches now").save(&mut state);
        }
        for (aggregation, known) in self.context.aggregations.iter().zip(&self.plan.aggregations) {
            state.section(format!("aggregation:{}", known.name), VERSION);
            aggregation.as_ref().expect("nobody reads it now").save(&mut state);
        }
        for (window, known) in self.context.windows.iter().zip(&self.plan.windows) {
            let window = window.as_ref().expect("no window takes rows now");
            state.section(format!("window:{}", known.name), window.version());
            window.save(&mut state);
        }
        for (id, partition) in self.partitions.iter().enumerate() {
            state.section(format!("partition:{id}"), VERSION);
            partition.save(&mut state);
        }
        for (pipeline, query) in self.pipelines.iter().zip(&self.plan.queries) {
            for (port, way) in pipeline.ports.iter().enumerate() {
                for (place, step) in way.steps.iter().enumerate() {
                    state.section(step_id(&query.name, port, place), step.version());
                    step.save(&mut state);
                }
            }
            if let Some(pattern) = &pipeline.pattern {
                state.section(pattern_id(&query.name), PatternStep::VERSION);
                pattern.step.save(&mut state);
            }
            state.section(format!("query:{}:select", query.name), VERSION);
            pipeline.selector.save(&mut state);
            if let Some(limiter) = &pipeline.limiter {
                state.section(rate_id(&query.name), rates::VERSION);
                limiter.save(&mut state);
            }
        }
        state.freeze()
    }

    /// Takes the state that [`PlanCore::freeze`] gave, of the same plan, in place of what it has.
    /// Watchers stay.
    ///
    /// # Errors
    /// If the bytes are damaged or of another plan; the plan must then not be used further.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        let saved = SavedState::parse(bytes)?;
        self.load_core(&mut saved.section("core", VERSION)?)?;
        if let Some(marks) = &mut self.watermarks {
            let version = watermarks::VERSION;
            whole(saved.section(watermarks::SECTION, version)?, |state| marks.load(state))?;
            for waiting in &mut marks.streams {
                let id = watermark_id(&self.plan.streams[waiting.stream].name);
                whole(saved.section(&id, version)?, |state| waiting.load(state))?;
            }
        }
        for (table, known) in self.context.tables.iter_mut().zip(&self.plan.tables) {
            let table = table.as_mut().expect("nobody searches now");
            whole(saved.section(&format!("table:{}", known.name), VERSION)?, |state| {
                table.load(state)
            })?;
        }
        for (aggregation, known) in
            self.context.aggregations.iter_mut().zip(&self.plan.aggregations)
        {
            let aggregation = aggregation.as_mut().expect("nobody reads it now");
            let section = saved.section(&format!("aggregation:{}", known.name), VERSION)?;
            whole(section, |state| aggregation.load(state))?;
        }
        for (window, known) in self.context.windows.iter_mut().zip(&self.plan.windows) {
            let window = window.as_mut().expect("no window takes rows now");
            let section = saved.section(&format!("window:{}", known.name), window.version())?;
            whole(section, |state| window.load(state))?;
        }
        for (id, partition) in self.partitions.iter_mut().enumerate() {
            let section = saved.section(&format!("partition:{id}"), VERSION)?;
            whole(section, |state| partition.load(state))?;
        }
        for (pipeline, query) in self.pipelines.iter_mut().zip(&self.plan.queries) {
            for (port, way) in pipeline.ports.iter_mut().enumerate() {
                for (place, step) in way.steps.iter_mut().enumerate() {
                    let id = step_id(&query.name, port, place);
                    whole(saved.section(&id, step.version())?, |state| step.load(state))?;
                }
            }
            if let Some(pattern) = &mut pipeline.pattern {
                let section = saved.section(&pattern_id(&query.name), PatternStep::VERSION)?;
                whole(section, |state| pattern.step.load(state))?;
            }
            let section = saved.section(&format!("query:{}:select", query.name), VERSION)?;
            whole(section, |state| pipeline.selector.load(state))?;
            if let Some(limiter) = &mut pipeline.limiter {
                let section = saved.section(&rate_id(&query.name), rates::VERSION)?;
                whole(section, |state| limiter.load(state))?;
            }
        }
        Ok(())
    }

    fn load_core(&mut self, state: &mut StateReader<'_>) -> Result<(), LoadError> {
        let head = Head::read(state)?;
        self.wall = head.wall;
        self.context.now = head.now;
        self.context.timers = head.timers;
        self.wall_timers = head.wall_timers;
        self.idle_due = head.idle_due;
        self.rows = head.rows;
        self.fired = head.fired;
        self.in_send = head.in_send;
        self.context.entropy.secret = head.secret;
        self.context.drops = head.drops;
        Ok(())
    }
}

/// What a plan as a whole saves.
pub(super) struct Head {
    pub(super) wall: Millis,
    pub(super) now: Millis,
    pub(super) timers: Timers,
    pub(super) wall_timers: Timers,
    pub(super) idle_due: Option<Millis>,
    pub(super) rows: u64,
    pub(super) fired: u64,
    pub(super) in_send: bool,
    secret: u64,
    drops: Drops,
}

impl Head {
    pub(super) fn read(state: &mut StateReader<'_>) -> Result<Head, LoadError> {
        let mut head = Head {
            wall: state.get()?,
            now: state.get()?,
            timers: state.get()?,
            wall_timers: state.get()?,
            idle_due: state.get()?,
            rows: state.get()?,
            fired: state.get()?,
            in_send: state.get()?,
            secret: state.get()?,
            drops: Drops::default(),
        };
        let drops: Vec<u64> = state.get()?;
        let [key_taken, no_key, fault, late] = drops[..] else { return Err(LoadError::Malformed) };
        head.drops = Drops { key_taken, no_key, fault, late };
        Ok(head)
    }
}

/// The section of a step of a query.
pub(super) fn step_id(query: &str, port: usize, place: usize) -> String {
    format!("query:{query}:{port}:{place}")
}

/// The section of the watermark of a stream.
pub(super) fn watermark_id(stream: &str) -> String {
    format!("watermark:{stream}")
}

/// The section of the pattern of a query.
pub(super) fn pattern_id(query: &str) -> String {
    format!("query:{query}:pattern")
}

/// The section of what an output rate holds back.
pub(super) fn rate_id(query: &str) -> String {
    format!("query:{query}:rate")
}

/// Reads a section, of which nothing may be left over.
pub(super) fn whole(
    mut state: StateReader<'_>,
    load: impl FnOnce(&mut StateReader<'_>) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    load(&mut state)?;
    if state.is_at_end() { Ok(()) } else { Err(LoadError::Malformed) }
}
