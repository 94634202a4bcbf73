//! `unionSet(set)`: all elements of the sets that are present.

use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::per_group::PerGroup;
use crate::engine::aggregators::per_group::Running;
use crate::event::DataType;
use crate::event::Map;
use crate::event::Structure;
use crate::event::Value;
use crate::event::codec::Encode;
use crate::event::codec::Malformed;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use std::sync::Arc;

/// `unionSet(set)`
pub const DEFINITION: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "unionSet",
        summary: "A set of all elements of the sets that are present.",
        traits: &[Trait::Remembers],
        overloads: &[Overload {
            parameters: &[Parameter::any("set", &[DataType::Object])],
            returns: Returns::Type(DataType::Object),
        }],
        example: "define stream Trades (symbol string);
from Trades select createSet(symbol) as symbols insert into Sets;
from Sets#window.lengthBatch(10) select unionSet(symbols) as symbols insert into Unions;",
    },
    build: |_| Ok(PerGroup::<Union>::boxed()),
};

/// The elements in order of first appearance, each with in how many sets it is.
#[derive(Default)]
struct Union {
    elements: Vec<Value>,
    counts: Map<Value, i64>,
    /// The union as last given; shared by all rows until it changes.
    given: Option<Arc<Structure>>,
}

/// The elements of a set; what is none has none.
fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Object(object) => match &**object {
            Structure::Set(elements) => elements,
            Structure::List(_) | Structure::Map(_) | Structure::Error(_) => &[],
        },
        _ => &[],
    }
}

impl Running for Union {
    type Argument = Value;
    type Result = Value;

    fn enter(&mut self, value: &Value) {
        for element in elements(value) {
            let count = self.counts.entry(element.clone()).or_insert(0);
            *count += 1;
            if *count == 1 {
                self.elements.push(element.clone());
                self.given = None;
            }
        }
    }

    fn leave(&mut self, value: &Value) {
        for element in elements(value) {
            let Some(count) = self.counts.get_mut(element) else { continue };
            *count -= 1;
            if *count == 0 {
                self.counts.remove(element);
                self.elements.retain(|each| each != element);
                self.given = None;
            }
        }
    }

    fn result(&mut self) -> Option<Value> {
        let elements = &self.elements;
        let union = || Arc::new(Structure::Set(elements.clone()));
        Some(Value::Object(Arc::clone(self.given.get_or_insert_with(union))))
    }
}

impl Encode for Union {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.elements.len() as u32).encode(out);
        for element in &self.elements {
            element.encode(out);
            self.counts.get(element).copied().unwrap_or(1).encode(out);
        }
    }

    fn decode(from: &mut &[u8]) -> Result<Self, Malformed> {
        let counted: Vec<(Value, i64)> = Encode::decode(from)?;
        let elements = counted.iter().map(|(element, _)| element.clone()).collect();
        Ok(Union { elements, counts: counted.into_iter().collect(), given: None })
    }
}
