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

/// The section that says which question was the last.
pub(super) const ERRANDS: &str = "errands";

/// The section that says what of the plan holds the state in the others.
pub(super) const IDENTITY: &str = "identity";

impl PlanCore {
    /// The whole state as it stands. Rows that windows and tables keep are shared, not copied: the
    /// plan may go on at once while another thread turns the state into bytes.
    pub fn freeze(&self) -> Frozen {
        let mut state = StateWriter::default();
        self.save(&mut state);
        state.freeze()
    }

    /// How many bytes the whole state is when written, as it stands. Two engines in the same state
    /// give the same; what it costs grows with the number of segments, texts, groups and matches.
    pub fn state_bytes(&self) -> u64 {
        let mut state = StateWriter::counting();
        self.save(&mut state);
        state.counted()
    }

    fn save(&self, state: &mut StateWriter) {
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
        // Also where this version asks nothing: a later one must not use a number again.
        let asked = self.context.errands.asked();
        if asked > 0 || self.asks_externals() {
            state.section(ERRANDS, VERSION);
            state.put(&asked);
        }
        state.section(IDENTITY, VERSION);
        state.put(&*self.identities);
        state.put(&self.operators);
        if let Some(marks) = &self.watermarks {
            state.section(watermarks::SECTION, watermarks::VERSION);
            marks.save(state);
            for waiting in &marks.streams {
                let name = &self.plan.streams[waiting.stream].name;
                state.section(watermark_id(name), watermarks::VERSION);
                waiting.save(state);
            }
        }
        for (table, known) in self.context.tables.iter().zip(&self.plan.tables) {
            state.section(format!("table:{}", known.name), VERSION);
            table.as_ref().expect("nobody searches now").save(state);
        }
        for (aggregation, known) in self.context.aggregations.iter().zip(&self.plan.aggregations) {
            state.section(format!("aggregation:{}", known.name), VERSION);
            aggregation.as_ref().expect("nobody reads it now").save(state);
        }
        for (window, known) in self.context.windows.iter().zip(&self.plan.windows) {
            let window = window.as_ref().expect("no window takes rows now");
            state.section(format!("window:{}", known.name), window.version());
            window.save(state);
        }
        for (id, partition) in self.partitions.iter().enumerate() {
            state.section(format!("partition:{id}"), VERSION);
            partition.save(state);
        }
        for (pipeline, query) in self.pipelines.iter().zip(&self.plan.queries) {
            for (port, way) in pipeline.ports.iter().enumerate() {
                for (place, step) in way.steps.iter().enumerate() {
                    state.section(step_id(&query.name, port, place), step.version());
                    step.save(state);
                }
            }
            if let Some(pattern) = &pipeline.pattern {
                state.section(pattern_id(&query.name), PatternStep::VERSION);
                pattern.step.save(state);
            }
            state.section(format!("query:{}:select", query.name), VERSION);
            pipeline.selector.save(state);
            if let Some(limiter) = &pipeline.limiter {
                state.section(rate_id(&query.name), rates::VERSION);
                limiter.save(state);
            }
        }
    }

    /// Takes the state that [`PlanCore::freeze`] gave, of the same plan, in place of what it has.
    /// Watchers stay.
    ///
    /// # Errors
    /// If the bytes are damaged or of another plan; the plan must then not be used further.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        self.take_state(SavedState::parse(bytes)?)
    }

    /// As [`PlanCore::load`]; the state may be on its way.
    ///
    /// # Errors
    /// As [`PlanCore::load`], or the bytes do not come.
    pub fn take_state(&mut self, mut saved: SavedState<'_>) -> Result<(), LoadError> {
        saved.load("core", VERSION, |state| self.load_core(state))?;
        if self.asks_externals() || saved.is_next(ERRANDS)? {
            saved.load(ERRANDS, VERSION, |state| {
                self.context.errands.go_on_after(state.get()?);
                Ok(())
            })?;
        }
        if let Some(marks) = &mut self.watermarks {
            let version = watermarks::VERSION;
            saved.load(watermarks::SECTION, version, |state| marks.load(state))?;
            for waiting in &mut marks.streams {
                let id = watermark_id(&self.plan.streams[waiting.stream].name);
                saved.load(&id, version, |state| waiting.load(state))?;
            }
        }
        for (table, known) in self.context.tables.iter_mut().zip(&self.plan.tables) {
            let table = table.as_mut().expect("nobody searches now");
            saved.load(&format!("table:{}", known.name), VERSION, |state| table.load(state))?;
        }
        for (aggregation, known) in
            self.context.aggregations.iter_mut().zip(&self.plan.aggregations)
        {
            let aggregation = aggregation.as_mut().expect("nobody reads it now");
            let id = format!("aggregation:{}", known.name);
            saved.load(&id, VERSION, |state| aggregation.load(state))?;
        }
        for (window, known) in self.context.windows.iter_mut().zip(&self.plan.windows) {
            let window = window.as_mut().expect("no window takes rows now");
            let (id, version) = (format!("window:{}", known.name), window.version());
            saved.load(&id, version, |state| window.load(state))?;
        }
        for (id, partition) in self.partitions.iter_mut().enumerate() {
            saved.load(&format!("partition:{id}"), VERSION, |state| partition.load(state))?;
        }
        for (pipeline, query) in self.pipelines.iter_mut().zip(&self.plan.queries) {
            for (port, way) in pipeline.ports.iter_mut().enumerate() {
                for (place, step) in way.steps.iter_mut().enumerate() {
                    let (id, version) = (step_id(&query.name, port, place), step.version());
                    saved.load(&id, version, |state| step.load(state))?;
                }
            }
            if let Some(pattern) = &mut pipeline.pattern {
                let id = pattern_id(&query.name);
                saved.load(&id, PatternStep::VERSION, |state| pattern.step.load(state))?;
            }
            let id = format!("query:{}:select", query.name);
            saved.load(&id, VERSION, |state| pipeline.selector.load(state))?;
            if let Some(limiter) = &mut pipeline.limiter {
                saved.load(&rate_id(&query.name), rates::VERSION, |state| limiter.load(state))?;
            }
        }
        saved.end()
    }

    fn asks_externals(&self) -> bool {
        self.plan.tables.iter().any(|table| table.is_external)
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
