//! Nodes of annotations and definitions.

use super::AttributeReference;
use super::Call;
use super::EventKind;
use super::Identifier;
use super::Selection;
use super::SingleInput;
use super::Span;
use super::StringLiteral;
use super::TimeLiteral;

/// `@source(type='http', @map(type='json'))`; `@app:name('x')` has `app` as its namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// `app` in `@app:name`, `Plan` in `@Plan:name`.
    pub namespace: Option<Identifier>,
    /// `source` in `@source(..)`; annotation names are compared without regard to case.
    pub name: Identifier,
    /// What stands in the brackets, in order.
    pub elements: Vec<AnnotationElement>,
    /// All of it, from the `@`.
    pub span: Span,
}

/// One thing in the brackets of an annotation.
#[derive(Clone, Debug, PartialEq)]
pub enum AnnotationElement {
    /// `type='http'` or `'http'`.
    Property {
        /// `type`; absent in `@app:name('x')`.
        key: Option<PropertyKey>,
        /// The text given.
        value: StringLiteral,
        /// Key and value.
        span: Span,
    },
    /// `@map(..)` inside another annotation.
    Annotation(Annotation),
}

/// The key of an annotation's property, as one text: `type`, `buffer.size`, `cache.policy`.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyKey {
    /// Its words with the points, dashes or colons between them and no blanks.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// Anything that `define` introduces.
#[expect(clippy::large_enum_variant, reason = "few of them; they read better without boxes")]
#[derive(Clone, Debug, PartialEq)]
pub enum Definition {
    /// `define stream`.
    Stream(StreamDefinition),
    /// `define table`.
    Table(TableDefinition),
    /// `define window`.
    Window(WindowDefinition),
    /// `define trigger`.
    Trigger(TriggerDefinition),
    /// `define aggregation`.
    Aggregation(AggregationDefinition),
    /// `define function`.
    Function(FunctionDefinition),
}

impl Definition {
    /// All of it, annotations included.
    pub fn span(&self) -> Span {
        match self {
            Definition::Stream(definition) => definition.span,
            Definition::Table(definition) => definition.span,
            Definition::Window(definition) => definition.span,
            Definition::Trigger(definition) => definition.span,
            Definition::Aggregation(definition) => definition.span,
            Definition::Function(definition) => definition.span,
        }
    }

    /// The annotations before it; triggers and functions have none.
    pub fn annotations(&self) -> &[Annotation] {
        match self {
            Definition::Stream(definition) => &definition.annotations,
            Definition::Table(definition) => &definition.annotations,
            Definition::Window(definition) => &definition.annotations,
            Definition::Aggregation(definition) => &definition.annotations,
            Definition::Trigger(_) | Definition::Function(_) => &[],
        }
    }

    /// The name it introduces.
    pub fn name(&self) -> &Identifier {
        match self {
            Definition::Stream(definition) => &definition.name.name,
            Definition::Table(definition) => &definition.name.name,
            Definition::Window(definition) => &definition.name.name,
            Definition::Trigger(definition) => &definition.name,
            Definition::Aggregation(definition) => &definition.name,
            Definition::Function(definition) => &definition.name,
        }
    }
}

/// `define stream S (a int, b string)`.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamDefinition {
    /// Annotations before it.
    pub annotations: Vec<Annotation>,
    /// Its name; the grammar lets a prefix stand here, which only the checker can judge.
    pub name: super::SourceName,
    /// Its attributes, at least one.
    pub attributes: Vec<Attribute>,
    /// All of it, annotations included.
    pub span: Span,
}

/// `define table T (a int, b string)`.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    /// Annotations before it.
    pub annotations: Vec<Annotation>,
    /// Its name.
    pub name: super::SourceName,
    /// Its attributes, at least one.
    pub attributes: Vec<Attribute>,
    /// All of it, annotations included.
    pub span: Span,
}

/// `define window W (a int) length(5) output all events`.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowDefinition {
    /// Annotations before it.
    pub annotations: Vec<Annotation>,
    /// Its name.
    pub name: super::SourceName,
    /// Its attributes, at least one.
    pub attributes: Vec<Attribute>,
    /// What kind of window.
    pub window: Call,
    /// Which events leave it; all if not said.
    pub output: Option<EventKind>,
    /// All of it, annotations included.
    pub span: Span,
}

/// `define trigger T at every 5 sec`.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerDefinition {
    /// Its name.
    pub name: Identifier,
    /// When it fires.
    pub at: TriggerTime,
    /// All of it.
    pub span: Span,
}

/// When a trigger fires.
#[derive(Clone, Debug, PartialEq)]
pub enum TriggerTime {
    /// `every 5 sec`.
    Every(TimeLiteral),
    /// `'start'` or a cron expression.
    Text(StringLiteral),
}

/// `define aggregation A from S select .. group by .. aggregate by t every sec ... year`.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregationDefinition {
    /// Annotations before it.
    pub annotations: Vec<Annotation>,
    /// Its name.
    pub name: Identifier,
    /// Where its events come from.
    pub input: SingleInput,
    /// What it computes; has only items and `group by`.
    pub selection: Selection,
    /// The attribute that holds the time; the time of arrival if not said.
    pub by: Option<AttributeReference>,
    /// The lengths of its buckets.
    pub periods: AggregationPeriods,
    /// All of it, annotations included.
    pub span: Span,
}

/// The lengths of an aggregation's buckets.
#[derive(Clone, Debug, PartialEq)]
pub enum AggregationPeriods {
    /// `sec ... year`: both and all between them.
    Range {
        /// The first one named.
        from: Period,
        /// The last one named.
        to: Period,
    },
    /// `sec, day`.
    List(Vec<Period>),
}

/// One length of a bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Period {
    /// The unit named.
    pub unit: super::TimeUnit,
    /// Where it stands.
    pub span: Span,
}

/// `define function f[javascript] return string { .. }`.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionDefinition {
    /// Its name.
    pub name: Identifier,
    /// The language of its body.
    pub language: Identifier,
    /// What it returns.
    pub returns: TypeName,
    /// Its text.
    pub body: Script,
    /// All of it.
    pub span: Span,
}

/// The body of a function, in another language.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// What stands between the outer braces, exactly.
    pub text: String,
    /// Where it stands, braces included.
    pub span: Span,
}

/// One attribute of a definition: `price double`.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its name.
    pub name: Identifier,
    /// Its type.
    pub type_name: TypeName,
    /// Both.
    pub span: Span,
}

/// The name of a type at its place.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeName {
    /// Which type.
    pub kind: TypeKind,
    /// Where it stands.
    pub span: Span,
}

/// The types of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// `string`
    String,
    /// `int`: 32 bits.
    Int,
    /// `long`: 64 bits.
    Long,
    /// `float`: 32 bits.
    Float,
    /// `double`: 64 bits.
    Double,
    /// `bool`
    Bool,
    /// `object`
    Object,
    /// A word that is no type; a diagnostic says so.
    Unknown,
}

impl TypeKind {
    /// The type as the language spells it.
    pub fn keyword(self) -> &'static str {
        match self {
            TypeKind::String => "string",
            TypeKind::Int => "int",
            TypeKind::Long => "long",
            TypeKind::Float => "float",
            TypeKind::Double => "double",
            TypeKind::Bool => "bool",
            TypeKind::Object => "object",
            TypeKind::Unknown => "unknown",
        }
    }
}
