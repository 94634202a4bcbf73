//! Every code that a message of this room can have, with what it means and an example.

/// A name that nothing has.
pub const UNKNOWN_SOURCE: &str = "P0101";
/// An attribute that nothing has.
pub const UNKNOWN_ATTRIBUTE: &str = "P0102";
/// An attribute that several sources have.
pub const AMBIGUOUS_ATTRIBUTE: &str = "P0103";
/// A name before a point that means no source of the query.
pub const UNKNOWN_REFERENCE: &str = "P0104";
/// A name that is taken.
pub const NAME_TAKEN: &str = "P0105";
/// An attribute defined twice.
pub const ATTRIBUTE_TAKEN: &str = "P0106";
/// Something of the wrong kind: a table where a stream must stand, and so on.
pub const WRONG_KIND: &str = "P0107";
/// A stream read before the query that fills it.
pub const READ_BEFORE_FILLED: &str = "P0108";
/// Attributes that are not those of the target.
pub const SCHEMA_MISMATCH: &str = "P0109";
/// An inner stream outside of a partition.
pub const INNER_OUTSIDE: &str = "P0110";
/// A fault stream of a stream that has none.
pub const NO_FAULT_STREAM: &str = "P0111";
/// A prefix where none can stand.
pub const PREFIX_PLACE: &str = "P0112";
/// A stream that feeds itself.
pub const CIRCLE: &str = "P0113";

/// Values that cannot be compared.
pub const NOT_COMPARABLE: &str = "P0201";
/// Arithmetic on something that is no number.
pub const NOT_A_NUMBER: &str = "P0202";
/// A condition that is not true or false.
pub const NOT_A_CONDITION: &str = "P0203";
/// A value of a type that does not fit.
pub const TYPE_MISMATCH: &str = "P0204";

/// A function that does not exist.
pub const UNKNOWN_FUNCTION: &str = "P0301";
/// A window that does not exist.
pub const UNKNOWN_WINDOW: &str = "P0302";
/// A stream function that does not exist.
pub const UNKNOWN_STREAM_FUNCTION: &str = "P0303";
/// Too many or too few arguments.
pub const ARGUMENT_COUNT: &str = "P0304";
/// An argument of the wrong type.
pub const ARGUMENT_TYPE: &str = "P0305";
/// An argument that must be a constant or an attribute and is not.
pub const ARGUMENT_FORM: &str = "P0306";
/// An argument with a value that cannot be.
pub const ARGUMENT_VALUE: &str = "P0307";
/// An aggregator where none can stand.
pub const AGGREGATOR_PLACE: &str = "P0308";

/// Two queries of one name.
pub const QUERY_NAME_TAKEN: &str = "P0401";
/// Two outputs of one name.
pub const OUTPUT_TAKEN: &str = "P0402";
/// A limit or offset that is no constant whole number.
pub const BAD_LIMIT: &str = "P0403";
/// A window on a named window.
pub const WINDOW_ON_WINDOW: &str = "P0404";

/// A primary key or index that cannot be.
pub const BAD_KEY: &str = "P0501";
/// A trigger's time that cannot be read.
pub const BAD_TRIGGER: &str = "P0502";

/// A join that cannot be.
pub const BAD_JOIN: &str = "P0405";
/// A partition that cannot be.
pub const BAD_PARTITION: &str = "P0406";

/// An aggregation that cannot be.
pub const BAD_AGGREGATION: &str = "P0407";

/// An annotation that is not known.
pub const UNKNOWN_ANNOTATION: &str = "P0601";
/// A key that an annotation does not have.
pub const UNKNOWN_KEY: &str = "P0602";
/// A value that an annotation cannot have.
pub const BAD_ANNOTATION: &str = "P0603";
/// A mapping that does not fit its stream.
pub const BAD_MAPPING: &str = "P0604";
/// A name that a plan cannot have.
pub const BAD_PLAN_NAME: &str = "P0605";

/// More messages than help.
pub const TOO_MANY: &str = "P0701";
/// More attributes or aggregates than can be.
pub const TOO_WIDE: &str = "P0702";
/// State without bound.
pub const GROWS: &str = "P0901";

/// Something right that cannot be run yet.
pub const NOT_SUPPORTED: &str = "P0801";
