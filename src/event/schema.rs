//! Names and types of a stream's attributes; no annotations.

use crate::event::DataType;
use crate::event::Text;

/// One attribute of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name; letter case matters.
    pub name: Text,
    /// Its type.
    pub ty: DataType,
}

/// The attributes of a stream, table or window, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The attributes; names are distinct.
    pub attributes: Vec<Attribute>,
}

impl Schema {
    /// A schema from names and types.
    pub fn new<N: Into<Text>>(attributes: impl IntoIterator<Item = (N, DataType)>) -> Schema {
        let attributes =
            attributes.into_iter().map(|(name, ty)| Attribute { name: name.into(), ty }).collect();
        Schema { attributes }
    }

    /// How many attributes there are.
    pub fn len(&self) -> usize {
        self.attributes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// The position of the attribute called `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.attributes.iter().position(|attribute| attribute.name == name)
    }

    /// The types in order.
    pub fn types(&self) -> Vec<DataType> {
        self.attributes.iter().map(|attribute| attribute.ty).collect()
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|attribute| attribute.name.as_str())
    }
}
