//! Texts with `{{attribute}}` in them, filled from a row.

use crate::event::Batch;
use crate::event::Schema;
use crate::language::suggest::closest;
use crate::mappers::options::list;

/// A text with places for attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Words that stand as they are.
    Words(String),
    /// The value of an attribute, by its position in the stream.
    Attribute(usize),
}

impl Template {
    /// Reads a text; the error says which `{{…}}` is wrong and what could stand there.
    pub fn parse(text: &str, schema: &Schema) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            let after = &rest[open + 2..];
            let Some(close) = after.find("}}") else {
                return Err(format!("`{{{{` without `}}}}` at `{}`", shorten(&rest[open..])));
            };
            let name = after[..close].trim();
            let Some(attribute) = schema.position(name) else {
                return Err(no_attribute(name, schema));
            };
            if open > 0 {
                parts.push(Part::Words(rest[..open].to_owned()));
            }
            parts.push(Part::Attribute(attribute));
            rest = &after[close + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Words(rest.to_owned()));
        }
        Ok(Template { parts })
    }

    /// The pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether every row gives the same text.
    pub fn is_fixed(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Words(_)))
    }

    /// Appends the text for one row; null is written `null`.
    pub fn fill(&self, batch: &Batch, row: usize, into: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Words(words) => into.extend_from_slice(words.as_bytes()),
                Part::Attribute(attribute) => {
                    crate::mappers::plain::write(&batch.columns[*attribute], row, into);
                }
            }
        }
    }

    /// The text for one row, with each attribute's value changed, such as escaped.
    pub fn text_with(&self, batch: &Batch, row: usize, change: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Words(words) => text.push_str(words),
                Part::Attribute(attribute) => {
                    let mut bytes = Vec::new();
                    crate::mappers::plain::write(&batch.columns[*attribute], row, &mut bytes);
                    let value = String::from_utf8(bytes).expect("printed values are UTF-8");
                    text.push_str(&change(&value));
                }
            }
        }
        text
    }

    /// The text for one row.
    pub fn text(&self, batch: &Batch, row: usize) -> String {
        let mut bytes = Vec::new();
        self.fill(batch, row, &mut bytes);
        String::from_utf8(bytes).expect("words and printed values are UTF-8")
    }
}

/// The message for a name that is no attribute.
pub fn no_attribute(name: &str, schema: &Schema) -> String {
    let names: Vec<&str> = schema.names().collect();
    match closest(name, names.iter().copied()) {
        Some(near) => format!("the stream has no attribute `{name}`; did you mean `{near}`?"),
        None => format!("the stream has no attribute `{name}`; it has {}", list(&names)),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(24).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Value;

    #[test]
    fn attributes_stand_where_they_are_named() {
        let schema = Schema::new([("ip", DataType::Text), ("count", DataType::Long)]);
        let mut batch = Batch::new(&schema.types());
        batch.push_row(0, &[Value::from("10.0.0.1"), Value::Long(3)]);
        batch.push_row(0, &[Value::Null, Value::Long(-1)]);
        let template = Template::parse("{{count}} from {{ ip }}!", &schema).unwrap();
        assert_eq!(template.text(&batch, 0), "3 from 10.0.0.1!");
        assert_eq!(template.text(&batch, 1), "-1 from null!");
        assert!(!template.is_fixed());
        assert!(Template::parse("a } b", &schema).unwrap().is_fixed());
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_one() {
        let schema = Schema::new([("address", DataType::Text)]);
        let error = Template::parse("{{adress}}", &schema).unwrap_err();
        assert!(error.contains("did you mean `address`?"), "{error}");
        let error = Template::parse("{{zzzz}}", &schema).unwrap_err();
        assert!(error.contains("it has `address`"), "{error}");
        assert!(Template::parse("x {{address", &schema).unwrap_err().contains("without"));
    }
}
