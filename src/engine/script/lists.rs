//! What lists can do.

use crate::engine::script::heap::Datum;
use crate::engine::script::heap::Stop;
use crate::engine::script::heap::trouble;
use crate::engine::script::heap::truth;
use crate::engine::script::members::Arguments;
use crate::engine::script::members::from_end;
use crate::engine::script::members::no_method;
use crate::engine::script::operators::same;
use crate::engine::script::run::Run;
use crate::event::Text;
use std::cmp::Ordering;

impl Run<'_> {
    pub(super) fn list_method(
        &mut self,
        place: usize,
        word: &Text,
        arguments: &Arguments,
    ) -> Result<Datum, Stop> {
        self.heap.step(self.heap.items(place).len() / 16)?;
        match word.as_str() {
            "push" => {
                self.heap.take(arguments.0.len() * 32)?;
                self.heap.items_mut(place).extend(arguments.0.iter().cloned());
                Ok(Datum::Number(self.heap.items(place).len() as f64))
            }
            "pop" => Ok(self.heap.items_mut(place).pop().unwrap_or(Datum::Undefined)),
            "shift" => {
                let items = self.heap.items_mut(place);
                Ok(if items.is_empty() { Datum::Undefined } else { items.remove(0) })
            }
            "unshift" => {
                self.heap.take(arguments.0.len() * 32)?;
                self.heap.items_mut(place).splice(0..0, arguments.0.iter().cloned());
                Ok(Datum::Number(self.heap.items(place).len() as f64))
            }
            "reverse" => {
                self.heap.items_mut(place).reverse();
                Ok(Datum::List(place))
            }
            "slice" => {
                let length = self.heap.items(place).len() as f64;
                let from = from_end(self.whole(arguments, 0, 0.0)?, length) as usize;
                let to = from_end(self.whole(arguments, 1, length)?, length) as usize;
                let part = self.heap.items(place).get(from..to).unwrap_or_default().to_vec();
                self.heap.list(part)
            }
            "splice" => self.splice(place, arguments),
            "concat" => {
                let mut all = self.heap.items(place).to_vec();
                for argument in &arguments.0 {
                    match argument {
                        Datum::List(other) => all.extend_from_slice(self.heap.items(*other)),
                        other => all.push(other.clone()),
                    }
                    self.heap.take(all.len() * 32)?;
                }
                self.heap.list(all)
            }
            "join" | "toString" => self.join(place, arguments),
            "indexOf" | "lastIndexOf" | "includes" => Ok(self.look(place, word, arguments)),
            "sort" => self.sort(place, &arguments.get(0)),
            "reduce" => self.reduce(place, arguments),
            _ => self.go_through(place, word, &arguments.get(0)),
        }
    }

    fn splice(&mut self, place: usize, arguments: &Arguments) -> Result<Datum, Stop> {
        let length = self.heap.items(place).len() as f64;
        let from = from_end(self.whole(arguments, 0, 0.0)?, length);
        let count = self.whole(arguments, 1, length)?.clamp(0.0, length - from);
        let (from, count) = (from as usize, count as usize);
        let new: Vec<Datum> = arguments.0.iter().skip(2).cloned().collect();
        self.heap.take(new.len() * 32)?;
        let items = self.heap.items_mut(place);
        let gone = items.splice(from..from + count, new).collect();
        self.heap.list(gone)
    }

    fn join(&mut self, place: usize, arguments: &Arguments) -> Result<Datum, Stop> {
        let between = match arguments.is_given(0) {
            true => self.heap.text_of(&arguments.get(0))?,
            false => Text::from(","),
        };
        let mut out = Text::new();
        for (at, item) in self.heap.items(place).to_vec().iter().enumerate() {
            if at > 0 {
                out.push_str(&between);
                self.heap.take(between.len())?;
            }
            if !matches!(item, Datum::Undefined | Datum::Null) {
                out.push_str(&self.heap.text_of(item)?);
            }
        }
        self.heap.text(out)
    }

    fn look(&self, place: usize, word: &str, arguments: &Arguments) -> Datum {
        let wanted = arguments.get(0);
        let items = self.heap.items(place);
        let found = match word {
            "lastIndexOf" => items.iter().rposition(|item| same(item, &wanted)),
            _ => items.iter().position(|item| same(item, &wanted)),
        };
        match word {
            "includes" => Datum::Truth(found.is_some()),
            _ => Datum::Number(found.map_or(-1.0, |at| at as f64)),
        }
    }

    fn reduce(&mut self, place: usize, arguments: &Arguments) -> Result<Datum, Stop> {
        let items = self.heap.items(place).to_vec();
        self.heap.take(items.len() * 32)?;
        let mut items = items.into_iter().enumerate();
        let mut total = match (arguments.0.len() > 1, items.len()) {
            (true, _) => arguments.get(1),
            (false, 0) => return trouble("`reduce` of an empty list needs a first value"),
            (false, _) => items.next().map_or(Datum::Undefined, |(_, item)| item),
        };
        for (at, item) in items {
            let given = [total, item, Datum::Number(at as f64), Datum::List(place)];
            total = self.apply(&arguments.get(0), &given)?;
        }
        Ok(total)
    }

    /// `map`, `filter` and their kin: a function called with each item and its index.
    fn go_through(&mut self, place: usize, word: &Text, called: &Datum) -> Result<Datum, Stop> {
        let known = ["map", "filter", "forEach", "some", "every", "find", "findIndex"];
        if !known.contains(&word.as_str()) {
            return no_method(&Datum::List(place), word);
        }
        let items = self.heap.items(place).to_vec();
        self.heap.take(items.len() * 32)?;
        let mut made = Vec::new();
        for (at, item) in items.into_iter().enumerate() {
            let index = Datum::Number(at as f64);
            let result = self.apply(called, &[item.clone(), index.clone(), Datum::List(place)])?;
            let holds = truth(&result);
            match word.as_str() {
                "map" => made.push(result),
                "filter" if holds => made.push(item),
                "some" if holds => return Ok(Datum::Truth(true)),
                "every" if !holds => return Ok(Datum::Truth(false)),
                "find" if holds => return Ok(item),
                "findIndex" if holds => return Ok(index),
                _ => {}
            }
        }
        match word.as_str() {
            "map" | "filter" => self.heap.list(made),
            "some" => Ok(Datum::Truth(false)),
            "every" => Ok(Datum::Truth(true)),
            "findIndex" => Ok(Datum::Number(-1.0)),
            _ => Ok(Datum::Undefined),
        }
    }

    /// Sorts in place, items of equal rank as they stood; without a function by their texts.
    fn sort(&mut self, place: usize, called: &Datum) -> Result<Datum, Stop> {
        let mut sorted = self.heap.items(place).to_vec();
        self.heap.take(sorted.len() * 64)?;
        if *called == Datum::Undefined {
            let mut keyed = Vec::with_capacity(sorted.len());
            for item in sorted {
                keyed.push((self.heap.text_of(&item)?, item));
            }
            self.heap.step(keyed.len())?;
            keyed.sort_by(|left, right| left.0.encode_utf16().cmp(right.0.encode_utf16()));
            sorted = keyed.into_iter().map(|(_, item)| item).collect();
        } else {
            // Merges by hand: the function may contradict itself.
            let mut width = 1;
            while width < sorted.len() {
                sorted = self.merged(&sorted, width, called)?;
                width *= 2;
            }
        }
        *self.heap.items_mut(place) = sorted;
        Ok(Datum::List(place))
    }

    /// Merges neighbouring runs of so many items.
    fn merged(
        &mut self,
        items: &[Datum],
        width: usize,
        called: &Datum,
    ) -> Result<Vec<Datum>, Stop> {
        let mut out = Vec::with_capacity(items.len());
        for pair in items.chunks(width * 2) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let ([first, rest @ ..], [second, others @ ..]) = (left, right) {
                let rank = self.apply(called, &[first.clone(), second.clone()])?;
                let rank = self.heap.number_of(&rank)?;
                if rank.partial_cmp(&0.0) == Some(Ordering::Greater) {
                    out.push(second.clone());
                    right = others;
                } else {
                    out.push(first.clone());
                    left = rest;
                }
            }
            out.extend_from_slice(left);
            out.extend_from_slice(right);
        }
        Ok(out)
    }
}
