//! `str:groupConcat(text)`: the texts that are present, one after the other.

use crate::engine::aggregators::AggregatorDefinition;
use crate::engine::aggregators::AggregatorSetup;
use crate::engine::aggregators::gathered::Gather;
use crate::engine::aggregators::gathered::Gathered;
use crate::engine::functions::takes;
use crate::event::DataType;
use crate::event::Value;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;

/// `str:groupConcat(text)`
pub const DEFINITION: AggregatorDefinition = AggregatorDefinition {
    signature: Signature {
        name: "str:groupConcat",
        summary: "The texts that are present, in order of their coming, with a separator (`,`) \
                  between them; each only once if asked for, and sorted by `'ASC'` or `'DESC'`. \
                  Nulls are passed over.",
        traits: &[Trait::Remembers],
        overloads: &[takes(
            &[
                Parameter::any("text", &[DataType::Text]),
                Parameter::constant("separator", &[DataType::Text]).optional(),
                Parameter::constant("distinct", &[DataType::Bool, DataType::Text]).optional(),
                Parameter::constant("order", &[DataType::Text]).optional(),
            ],
            DataType::Text,
        )],
        example: "define stream Visits (user string, page string);
from Visits#window.timeBatch(1 min)
select user, str:groupConcat(page, ' > ') as way group by user insert into Ways;",
    },
    build: |setup| Ok(Gathered::boxed(Joined::new(setup)?)),
};

struct Joined {
    separator: String,
    distinct: bool,
    order: Option<Order>,
}

enum Order {
    Ascending,
    Descending,
}

impl Joined {
    fn new(setup: &AggregatorSetup<'_>) -> Result<Joined, ArgumentFault> {
        let constant = |at: usize| setup.arguments.get(at).and_then(|each| each.as_constant());
        let text = |at: usize| constant(at).and_then(Value::as_text);
        let distinct = match text(2) {
            None => constant(2).and_then(Value::as_bool).unwrap_or(false),
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(_) => return Err(ArgumentFault::at(2, "expected `true` or `false`".to_owned())),
        };
        let order = match text(3) {
            None => None,
            Some(text) if text.eq_ignore_ascii_case("asc") => Some(Order::Ascending),
            Some(text) if text.eq_ignore_ascii_case("desc") => Some(Order::Descending),
            Some(_) => return Err(ArgumentFault::at(3, "expected 'ASC' or 'DESC'".to_owned())),
        };
        Ok(Joined { separator: text(1).unwrap_or(",").to_owned(), distinct, order })
    }
}

impl Gather for Joined {
    fn result(&self, present: &[Value]) -> Value {
        let mut texts: Vec<&str> = Vec::with_capacity(present.len());
        for text in present.iter().filter_map(Value::as_text) {
            if !self.distinct || !texts.contains(&text) {
                texts.push(text);
            }
        }
        match self.order {
            None => {}
            Some(Order::Ascending) => texts.sort_unstable(),
            Some(Order::Descending) => texts.sort_unstable_by(|left, right| right.cmp(left)),
        }
        Value::from(texts.join(&self.separator).as_str())
    }
}
