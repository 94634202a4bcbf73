//! Runs the statements of a function.

use crate::engine::script::heap::Cell;
use crate::engine::script::heap::Datum;
use crate::engine::script::heap::Heap;
use crate::engine::script::heap::Stop;
use crate::engine::script::heap::trouble;
use crate::engine::script::heap::truth;
use crate::engine::script::number;
use crate::engine::script::operators::same;
use crate::engine::script::tree::Each;
use crate::engine::script::tree::Expr;
use crate::engine::script::tree::Loop;
use crate::engine::script::tree::Place;
use crate::engine::script::tree::Script;
use crate::engine::script::tree::Statement;
use crate::engine::script::tree::Try;

/// How deep a run may go: statements, expressions and calls in each other.
const DEEPEST: usize = 300;

/// The scope around the body: there is none.
const NO_SCOPE: usize = usize::MAX;

/// One call.
pub struct Run<'s> {
    pub(super) script: &'s Script,
    pub(super) heap: &'s mut Heap,
    depth: usize,
    /// The scope of the function that runs.
    pub(super) scope: usize,
}

/// How a statement ends.
pub(super) enum Flow {
    Next,
    Break,
    Continue,
    Return(Datum),
}

/// Runs a body on arguments, in a heap that was reset.
///
/// # Errors
/// If it threw something, or met a bound.
pub fn call(script: &Script, heap: &mut Heap, data: Vec<Datum>) -> Result<Datum, Stop> {
    let data = heap.list(data)?;
    let mut run = Run { script, heap, depth: 0, scope: NO_SCOPE };
    run.enter(0, NO_SCOPE, std::slice::from_ref(&data))
}

impl Run<'_> {
    /// Runs a function on arguments.
    pub(super) fn enter(
        &mut self,
        function: usize,
        outer: usize,
        arguments: &[Datum],
    ) -> Result<Datum, Stop> {
        let script = self.script;
        let called = &script.functions[function];
        let mut values = self.heap.values();
        values.extend(arguments.iter().take(called.parameters).cloned());
        values.resize(called.places, Datum::Undefined);
        let scope = self.heap.put(Cell::Scope { values, outer })?;
        let before = std::mem::replace(&mut self.scope, scope);
        let result = self.body(function);
        self.scope = before;
        match result? {
            Flow::Return(value) => Ok(value),
            Flow::Next | Flow::Break | Flow::Continue => Ok(Datum::Undefined),
        }
    }

    fn body(&mut self, function: usize) -> Result<Flow, Stop> {
        let script = self.script;
        let called = &script.functions[function];
        for &(name, number) in &called.declared {
            let scope = self.scope;
            let closure = Cell::Closure { function: number, scope };
            let closure = Datum::Function(self.heap.put(closure)?);
            self.set_name(name, closure)?;
        }
        self.all(&called.body)
    }

    /// Goes one level deeper.
    pub(super) fn deeper<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        if self.depth == DEEPEST {
            return Err(Stop::Exhausted(format!("went deeper than {DEEPEST} levels")));
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    fn all(&mut self, statements: &[Statement]) -> Result<Flow, Stop> {
        for statement in statements {
            match self.statement(statement)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow, Stop> {
        self.heap.step(1)?;
        match statement {
            Statement::Do(value) => {
                self.value(value)?;
                Ok(Flow::Next)
            }
            Statement::Return(None) => Ok(Flow::Return(Datum::Undefined)),
            Statement::Return(Some(value)) => Ok(Flow::Return(self.value(value)?)),
            Statement::Break => Ok(Flow::Break),
            Statement::Continue => Ok(Flow::Continue),
            Statement::Throw(value) => Err(Stop::Thrown(self.value(value)?)),
            other => self.deeper(|run| run.compound(other)),
        }
    }

    /// A statement with others inside.
    fn compound(&mut self, statement: &Statement) -> Result<Flow, Stop> {
        match statement {
            Statement::Block(list) => self.all(list),
            Statement::If(condition, then, otherwise) => {
                if truth(&self.value(condition)?) {
                    return self.statement(then);
                }
                otherwise.as_ref().map_or(Ok(Flow::Next), |otherwise| self.statement(otherwise))
            }
            Statement::Loop(parts) => self.rounds(parts),
            Statement::DoWhile(round, condition) => loop {
                match self.statement(round)? {
                    Flow::Break => return Ok(Flow::Next),
                    Flow::Return(value) => return Ok(Flow::Return(value)),
                    Flow::Next | Flow::Continue => {}
                }
                if !truth(&self.value(condition)?) {
                    return Ok(Flow::Next);
                }
            },
            Statement::Each(each) => self.each(each),
            Statement::Try(parts) => self.attempt(parts),
            Statement::Switch(value, cases) => self.switch(value, cases),
            _ => unreachable!("the others were run before"),
        }
    }

    fn rounds(&mut self, parts: &Loop) -> Result<Flow, Stop> {
        if let Some(first) = &parts.first {
            self.statement(first)?;
        }
        loop {
            self.heap.step(1)?;
            if let Some(condition) = &parts.while_
                && !truth(&self.value(condition)?)
            {
                return Ok(Flow::Next);
            }
            match self.statement(&parts.round)? {
                Flow::Break => return Ok(Flow::Next),
                Flow::Return(value) => return Ok(Flow::Return(value)),
                Flow::Next | Flow::Continue => {}
            }
            if let Some(then) = &parts.then {
                self.value(then)?;
            }
        }
    }

    fn each(&mut self, each: &Each) -> Result<Flow, Stop> {
        let of = self.value(&each.of)?;
        for item in self.members(&of, each.values)? {
            self.heap.step(1)?;
            self.set_name(each.place, item)?;
            match self.statement(&each.round)? {
                Flow::Break => break,
                Flow::Return(value) => return Ok(Flow::Return(value)),
                Flow::Next | Flow::Continue => {}
            }
        }
        Ok(Flow::Next)
    }

    /// The values of a list or text, or the keys of anything.
    fn members(&mut self, of: &Datum, values: bool) -> Result<Vec<Datum>, Stop> {
        let members: Vec<Datum> = match (of, values) {
            (Datum::List(place), true) => self.heap.items(*place).to_vec(),
            (Datum::List(place), false) => {
                let keys = 0..self.heap.items(*place).len();
                keys.map(|at| Datum::Text(number::text(at as f64))).collect()
            }
            (Datum::Object(place), false) => {
                let entries = self.heap.entries(*place).iter();
                entries.map(|(key, _)| Datum::Text(key.clone())).collect()
            }
            (Datum::Text(text), true) => {
                text.chars().map(|each| Datum::Text(each.to_string().into())).collect()
            }
            (_, true) => return trouble("only lists and texts have values to go through"),
            (_, false) => Vec::new(),
        };
        self.heap.take(members.len() * 32)?;
        self.heap.step(members.len() / 8)?;
        Ok(members)
    }

    fn attempt(&mut self, parts: &Try) -> Result<Flow, Stop> {
        let (depth, scope) = (self.depth, self.scope);
        let mut result = self.all(&parts.body);
        if let (Err(Stop::Thrown(thrown)), Some((place, body))) = (&result, &parts.caught) {
            self.depth = depth;
            self.scope = scope;
            let thrown = thrown.clone();
            result = match place {
                Some(place) => self.set_name(*place, thrown).and_then(|()| self.all(body)),
                None => self.all(body),
            };
        }
        if !matches!(result, Err(Stop::Exhausted(_))) {
            self.depth = depth;
            self.scope = scope;
            match self.all(&parts.finally)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        result
    }

    fn switch(
        &mut self,
        value: &Expr,
        cases: &[(Option<Expr>, Vec<Statement>)],
    ) -> Result<Flow, Stop> {
        let value = self.value(value)?;
        let mut found = None;
        for (place, (case, _)) in cases.iter().enumerate() {
            if let Some(case) = case {
                let case = self.value(case)?;
                if same(&value, &case) {
                    found = Some(place);
                    break;
                }
            }
        }
        let otherwise = || cases.iter().position(|(case, _)| case.is_none());
        let Some(first) = found.or_else(otherwise) else { return Ok(Flow::Next) };
        for (_, body) in &cases[first..] {
            match self.all(body)? {
                Flow::Next => {}
                Flow::Break => return Ok(Flow::Next),
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    /// The scope so many levels around the one that runs.
    fn scope_at(&self, levels: usize) -> usize {
        let mut scope = self.scope;
        for _ in 0..levels {
            if let Cell::Scope { outer, .. } = self.heap.cell(scope) {
                scope = *outer;
            }
        }
        scope
    }

    /// What a name stands for now.
    pub(super) fn name(&self, number: usize) -> Datum {
        match self.script.places[number] {
            Place::Global(global) => Datum::Global(global),
            Place::Local(levels, place) => match self.heap.cell(self.scope_at(levels)) {
                Cell::Scope { values, .. } => values[place].clone(),
                _ => unreachable!("a scope stays a scope"),
            },
        }
    }

    /// Gives a name a value.
    pub(super) fn set_name(&mut self, number: usize, value: Datum) -> Result<(), Stop> {
        let Place::Local(levels, place) = self.script.places[number] else {
            return trouble("what is always there cannot be given another value");
        };
        let scope = self.scope_at(levels);
        if let Cell::Scope { values, .. } = self.heap.cell_mut(scope) {
            values[place] = value;
        }
        Ok(())
    }
}
