//! What the names in a body stand for: places of functions, or something that is always there.

use crate::engine::script::tree::Function;
use crate::engine::script::tree::Global;
use crate::engine::script::tree::Place;
use crate::event::Text;
use crate::plan::signature::ScriptFault;

const GLOBALS: &[(&str, Global)] = &[
    ("Math", Global::Math),
    ("JSON", Global::Json),
    ("Object", Global::Object),
    ("Array", Global::Array),
    ("String", Global::String),
    ("Number", Global::Number),
    ("Boolean", Global::Boolean),
    ("Error", Global::Error),
    ("parseInt", Global::ParseInt),
    ("parseFloat", Global::ParseFloat),
    ("isNaN", Global::IsNan),
    ("isFinite", Global::IsFinite),
];

/// Names of JavaScript that would give other results on another node, or in another run.
const FICKLE: &[&str] = &["Date", "Java", "java", "print", "console", "load", "setTimeout"];

/// A name where it is used.
struct Use {
    word: Text,
    at: usize,
    /// The function in which it is used.
    function: usize,
    assigned: bool,
}

/// The names that a function has places for.
struct Owner {
    outer: Option<usize>,
    words: Vec<Text>,
    /// Where each block that is open began among the names that are blocks' own.
    blocks: Vec<usize>,
    own: Vec<Text>,
}

/// The names of a body while it is read.
pub struct Names {
    owners: Vec<Owner>,
    /// The functions that are open, the innermost last.
    open: Vec<usize>,
    uses: Vec<Use>,
}

impl Names {
    /// Those of a body of which nothing was read: `data` alone.
    pub fn new() -> Names {
        let words = vec![Text::from("data")];
        let body = Owner { outer: None, words, blocks: vec![0], own: Vec::new() };
        Names { owners: vec![body], open: vec![0], uses: Vec::new() }
    }

    /// The function that is read.
    pub fn current(&self) -> usize {
        *self.open.last().expect("the body is always open")
    }

    /// A function begins.
    pub fn open_function(&mut self) {
        let outer = Some(self.current());
        self.open.push(self.owners.len());
        self.owners.push(Owner { outer, words: Vec::new(), blocks: vec![0], own: Vec::new() });
    }

    /// The function that was begun last ends.
    pub fn close_function(&mut self) {
        self.open.pop();
    }

    /// A block begins.
    pub fn open_block(&mut self) {
        let current = self.current();
        let owner = &mut self.owners[current];
        owner.blocks.push(owner.own.len());
    }

    /// The block that was begun last ends.
    pub fn close_block(&mut self) {
        let current = self.current();
        let owner = &mut self.owners[current];
        let begin = owner.blocks.pop().unwrap_or_default();
        owner.own.truncate(begin);
    }

    /// Gives a name a place in the function that is read. A name that a block declares for itself
    /// must not be one that is seen there already: there is one place for both.
    pub fn declare(&mut self, word: &Text, at: usize, block: bool) -> Result<(), ScriptFault> {
        let current = self.current();
        let owner = &mut self.owners[current];
        if block {
            if owner.own.contains(word) {
                let message = format!("`{word}` is declared twice; give one another name");
                return Err(ScriptFault::at(at, message));
            }
            owner.own.push(word.clone());
        }
        if !owner.words.contains(word) {
            owner.words.push(word.clone());
        }
        Ok(())
    }

    /// Notes the use of a name; gives the number of the use.
    pub fn used(&mut self, word: Text, at: usize) -> usize {
        let function = self.current();
        self.uses.push(Use { word, at, function, assigned: false });
        self.uses.len() - 1
    }

    /// Notes the use of a name that gets a value there.
    pub fn assigned(&mut self, word: Text, at: usize) -> usize {
        let number = self.used(word, at);
        self.uses[number].assigned = true;
        number
    }

    /// Notes that a use of a name gives it a value.
    pub fn assign(&mut self, number: usize) {
        self.uses[number].assigned = true;
    }

    /// What each use stands for. A name that gets a value but is declared nowhere is one of the
    /// body.
    ///
    /// # Errors
    /// A name that stands for nothing.
    pub fn resolve(mut self, functions: &mut [Function]) -> Result<Vec<Place>, ScriptFault> {
        for number in 0..self.uses.len() {
            let used = &self.uses[number];
            if used.assigned && self.find(used).is_none() {
                if global(&used.word).is_some() {
                    let message = format!("`{}` cannot be given another value", used.word);
                    return Err(ScriptFault::at(used.at, message));
                }
                let word = used.word.clone();
                self.owners[0].words.push(word);
            }
        }
        for (function, owner) in functions.iter_mut().zip(&self.owners) {
            function.places = owner.words.len();
        }
        let place = |used: &Use| self.find(used).or_else(|| global(&used.word));
        self.uses.iter().map(|used| place(used).ok_or_else(|| self.unknown(used))).collect()
    }

    fn find(&self, used: &Use) -> Option<Place> {
        let mut levels = 0;
        let mut function = Some(used.function);
        while let Some(number) = function {
            let owner = &self.owners[number];
            if let Some(place) = owner.words.iter().position(|word| *word == used.word) {
                return Some(Place::Local(levels, place));
            }
            levels += 1;
            function = owner.outer;
        }
        None
    }

    fn unknown(&self, used: &Use) -> ScriptFault {
        let word = &used.word;
        if FICKLE.contains(&word.as_str()) {
            let message =
                format!("`{word}` in a function of a plan, which sees its arguments alone");
            return ScriptFault { not_supported: true, ..ScriptFault::at(used.at, message) };
        }
        let own = self.owners.iter().flat_map(|owner| owner.words.iter().map(Text::to_string));
        let known = own.chain(GLOBALS.iter().map(|(name, _)| (*name).to_owned())).collect();
        let fault = ScriptFault::at(used.at, format!("there is no `{word}`"));
        ScriptFault { unknown: (word.to_string(), known), ..fault }
    }
}

fn global(word: &str) -> Option<Place> {
    let found = GLOBALS.iter().find(|(name, _)| *name == word);
    found.map(|(_, global)| Place::Global(*global))
}
