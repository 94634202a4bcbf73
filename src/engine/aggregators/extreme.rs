//! `min(x)`, `max(x)`: over the values that are present.

use crate::engine::aggregators::Aggregator;
use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::AggregatorSetup;
use crate::engine::aggregators::number;
use crate::engine::aggregators::number::Greatest;
use crate::engine::aggregators::number::Least;
use crate::engine::aggregators::number::Wanted;
use crate::engine::aggregators::per_group::PerGroup;
use crate::engine::aggregators::per_group::Running;
use crate::engine::expressions::Number;
use crate::engine::expressions::native::for_number;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::NUMBER;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::collections::btree_map::Entry;
use std::marker::PhantomData;

const OVERLOAD: Overload =
    Overload { parameters: &[Parameter::any("value", NUMBER)], returns: Returns::Argument(0) };

/// `min(x)`
pub const MIN: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "min",
        summary: "The least of the values; null while there is none.",
        traits: &[],
        overloads: &[OVERLOAD],
        example: "define stream Readings (room int, celsius double);
from Readings#window.time(1 hour) select room, min(celsius) as coldest group by room
insert into Coldest;",
    },
    build: build::<Least>,
};

/// `max(x)`
pub const MAX: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "max",
        summary: "The greatest of the values; null while there is none.",
        traits: &[],
        overloads: &[OVERLOAD],
        example: "define stream Readings (room int, celsius double);
from Readings#window.time(1 hour) select room, max(celsius) as hottest group by room
insert into Hottest;",
    },
    build: build::<Greatest>,
};

fn build<W: Wanted>(setup: &AggregatorSetup<'_>) -> Result<Box<dyn Aggregator>, ArgumentFault> {
    let ty = setup.arguments[0].ty;
    for_number!(ty, T => Ok(if setup.expired {
        PerGroup::<Present<T, W>>::boxed()
    } else {
        PerGroup::<Best<T, W>>::boxed()
    }), else Err(number::expected(ty)))
}

/// The best value alone, while none is taken back.
struct Best<T, W> {
    value: Option<T>,
    wanted: PhantomData<W>,
}

impl<T, W> Default for Best<T, W> {
    fn default() -> Self {
        Best { value: None, wanted: PhantomData }
    }
}

impl<T: Number + Encode + PartialOrd, W: Wanted> Running for Best<T, W> {
    type Argument = T;
    type Result = T;

    #[inline]
    fn enter(&mut self, value: &T) {
        if self.value.is_none_or(|best| W::is_better(value, &best)) {
            self.value = Some(*value);
        }
    }

    fn leave(&mut self, _: &T) {
        debug_assert!(false, "who builds says whether expired rows can come");
    }

    #[inline]
    fn result(&mut self) -> Option<T> {
        self.value
    }
}

impl<T: Encode, W> Encode for Best<T, W> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.value.encode(out);
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Best { value: Encode::decode(from)?, wanted: PhantomData })
    }
}

/// The values that are present. As long as they leave in the order in which they came, which is so
/// in most windows, the best is found without looking at the others.
enum Present<T, W> {
    /// So far the oldest left first.
    InOrder(Queue<T, W>),
    /// How often each value is there, by rank.
    InAnyOrder(BTreeMap<i64, u64>),
}

/// Values in order of arrival.
struct Queue<T, W> {
    values: VecDeque<T>,
    /// The values that are the best or will be once those before them have left, best and oldest
    /// first, each with its number.
    candidates: VecDeque<(u64, T)>,
    /// How many values came, and how many of them have left.
    entered: u64,
    left: u64,
    wanted: PhantomData<W>,
}

impl<T, W> Default for Present<T, W> {
    fn default() -> Self {
        Present::InOrder(Queue {
            values: VecDeque::new(),
            candidates: VecDeque::new(),
            entered: 0,
            left: 0,
            wanted: PhantomData,
        })
    }
}

impl<T: Number + PartialOrd, W: Wanted> Queue<T, W> {
    #[inline]
    fn enter(&mut self, value: T) {
        while self.candidates.back().is_some_and(|(_, last)| W::is_better(&value, last)) {
            self.candidates.pop_back();
        }
        self.candidates.push_back((self.entered, value));
        self.values.push_back(value);
        self.entered += 1;
    }

    /// Takes back the oldest value; `false` if that is another one.
    #[inline]
    fn leave(&mut self, value: T) -> bool {
        if self.values.front() != Some(&value) {
            return false;
        }
        self.values.pop_front();
        if self.candidates.front().is_some_and(|(number, _)| *number == self.left) {
            self.candidates.pop_front();
        }
        self.left += 1;
        true
    }

    #[cold]
    fn counts(&self) -> BTreeMap<i64, u64> {
        let mut counts = BTreeMap::new();
        for value in &self.values {
            *counts.entry(value.to_rank()).or_insert(0) += 1;
        }
        counts
    }
}

impl<T: Number + Encode + PartialOrd, W: Wanted> Running for Present<T, W> {
    type Argument = T;
    type Result = T;

    #[inline]
    fn enter(&mut self, value: &T) {
        match self {
            Present::InOrder(queue) => queue.enter(*value),
            Present::InAnyOrder(counts) => *counts.entry(value.to_rank()).or_insert(0) += 1,
        }
    }

    #[inline]
    fn leave(&mut self, value: &T) {
        match self {
            Present::InOrder(queue) => {
                if !queue.leave(*value) {
                    let counts = queue.counts();
                    *self = Present::InAnyOrder(counts);
                    self.leave(value);
                }
            }
            Present::InAnyOrder(counts) => {
                if let Entry::Occupied(mut entry) = counts.entry(value.to_rank()) {
                    *entry.get_mut() -= 1;
                    if *entry.get() == 0 {
                        entry.remove();
                    }
                }
                if counts.is_empty() {
                    *self = Self::default();
                }
            }
        }
    }

    #[inline]
    fn result(&mut self) -> Option<T> {
        match self {
            Present::InOrder(queue) => queue.candidates.front().map(|(_, value)| *value),
            Present::InAnyOrder(counts) => {
                let (first, last) = (counts.first_key_value(), counts.last_key_value());
                let (first, last) = (T::from_rank(*first?.0), T::from_rank(*last?.0));
                Some(if W::is_better(&first, &last) { first } else { last })
            }
        }
    }
}

impl<T: Number + Encode + PartialOrd, W: Wanted> Encode for Present<T, W> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Present::InOrder(queue) => {
                true.encode(out);
                (queue.values.len() as u32).encode(out);
                queue.values.iter().for_each(|value| value.encode(out));
            }
            Present::InAnyOrder(counts) => {
                false.encode(out);
                (counts.len() as u32).encode(out);
                counts.iter().for_each(|(&rank, &count)| (rank, count).encode(out));
            }
        }
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        if !bool::decode(from)? {
            let counts: Vec<(i64, u64)> = Vec::decode(from)?;
            return Ok(Present::InAnyOrder(counts.into_iter().collect()));
        }
        let mut present = Self::default();
        Vec::decode(from)?.iter().for_each(|value| present.enter(value));
        Ok(present)
    }
}
