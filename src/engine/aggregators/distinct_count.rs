//! `distinctCount(x)`: how many different values there are; null is one of them.

use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::per_group::PerGroup;
use crate::engine::aggregators::per_group::Running;
use crate::engine::expressions::Native;
use crate::event::DataType;
use crate::event::Map;
use crate::event::Text;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use std::hash::Hash;

/// `distinctCount(x)`
pub const DEFINITION: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "distinctCount",
        summary: "How many different values there are; null counts as one.",
        traits: &[Trait::Remembers],
        overloads: &[Overload {
            parameters: &[Parameter::any(
                "value",
                &[DataType::Int, DataType::Long, DataType::Float, DataType::Double, DataType::Text],
            )],
            returns: Returns::Type(DataType::Long),
        }],
        example: "define stream Visits (user string, page string);
from Visits#window.time(5 min) select user, distinctCount(page) as pages group by user
insert into Curious;",
    },
    build: |setup| match setup.arguments[0].ty {
        DataType::Int => Ok(PerGroup::<Distinct<i32>>::boxed()),
        DataType::Long => Ok(PerGroup::<Distinct<i64>>::boxed()),
        DataType::Float => Ok(PerGroup::<Distinct<f32>>::boxed()),
        DataType::Double => Ok(PerGroup::<Distinct<f64>>::boxed()),
        DataType::Text => Ok(PerGroup::<Distinct<Text>>::boxed()),
        ty => {
            let message = format!("expected a number or a string, found a `{ty}`");
            Err(ArgumentFault::at(0, message))
        }
    },
};

/// A value that can be told from others.
trait Distinguished: Native {
    /// What is equal for equal values.
    type Key: Clone + Encode + Eq + Hash + Ord + Send + 'static;
    fn key(&self) -> Self::Key;
}

macro_rules! distinguished {
    ($($ty:ty, $key:ty, $value:ident => $of:expr;)*) => {$(
        impl Distinguished for $ty {
            type Key = $key;
            #[inline]
            fn key(&self) -> $key {
                let $value = self;
                $of
            }
        }
    )*};
}

distinguished! {
    i32, i32, value => *value;
    i64, i64, value => *value;
    f32, u32, value => value.to_bits();
    f64, u64, value => value.to_bits();
    Text, Text, value => value.clone();
}

/// Each value with how often it is there.
struct Distinct<A: Distinguished> {
    counts: Map<A::Key, i64>,
    nulls: i64,
}

impl<A: Distinguished> Default for Distinct<A> {
    fn default() -> Self {
        Distinct { counts: Map::default(), nulls: 0 }
    }
}

impl<A: Distinguished> Running for Distinct<A> {
    type Argument = A;
    type Result = i64;

    #[inline]
    fn enter(&mut self, value: &A) {
        *self.counts.entry(value.key()).or_insert(0) += 1;
    }

    #[inline]
    fn leave(&mut self, value: &A) {
        let key = value.key();
        if let Some(count) = self.counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
    }

    fn enter_null(&mut self) {
        self.nulls += 1;
    }

    fn leave_null(&mut self) {
        self.nulls = (self.nulls - 1).max(0);
    }

    #[inline]
    fn result(&mut self) -> Option<i64> {
        Some(self.counts.len() as i64 + i64::from(self.nulls > 0))
    }
}

/// In order of the values, so that equal content gives equal bytes whatever its history.
impl<A: Distinguished> Encode for Distinct<A> {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut counts: Vec<(&A::Key, &i64)> = self.counts.iter().collect();
        counts.sort_unstable();
        self.nulls.encode(out);
        (counts.len() as u32).encode(out);
        for (key, count) in counts {
            key.encode(out);
            count.encode(out);
        }
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let nulls = Encode::decode(from)?;
        let counts: Vec<(A::Key, i64)> = Encode::decode(from)?;
        Ok(Distinct { counts: counts.into_iter().collect(), nulls })
    }
}
