//! The codes of messages about `@source`, `@sink` and `@map`.

/// No receiver, publisher or mapper has this name.
pub const UNKNOWN_TYPE: &str = "M0001";
/// Right in the language, but this engine does not have it yet.
pub const NOT_SUPPORTED: &str = "M0002";
/// An option that the type does not have.
pub const UNKNOWN_OPTION: &str = "M0003";
/// An option without which the type cannot work.
pub const MISSING_OPTION: &str = "M0004";
/// An option whose value cannot be read.
pub const OPTION_VALUE: &str = "M0005";
/// An option given twice.
pub const REPEATED_OPTION: &str = "M0006";
/// `@attributes` or `@payload` do not fit the stream or the mapper.
pub const MAPPING: &str = "M0007";
/// A `{{template}}` that cannot be read or names no attribute.
pub const TEMPLATE: &str = "M0008";
/// A stream that the endpoint cannot serve.
pub const STREAM: &str = "M0009";
/// Copies of an event are known by its whole content alone.
pub const COPIES_WITHOUT_ID: &str = "M0010";

/// Each code with what it means and what to do, for the manual.
pub const ALL: &[(&str, &str)] = &[
    (
        UNKNOWN_TYPE,
        "No receiver, publisher or mapper has the name given as `type`; `twinflow check` lists \
         those there are.",
    ),
    (NOT_SUPPORTED, "The plan is right, but this version cannot run that part of it yet."),
    (
        UNKNOWN_OPTION,
        "The type has no option of this name; nothing is ignored silently: the plan is refused.",
    ),
    (MISSING_OPTION, "The type cannot work without this option."),
    (OPTION_VALUE, "The option's value is not of the form the option takes."),
    (REPEATED_OPTION, "The option stands twice; remove one."),
    (
        MAPPING,
        "`@attributes` must name attributes of the stream, each once, in the form the mapper \
         reads; `@payload` must have the form the mapper writes.",
    ),
    (TEMPLATE, "`{{name}}` stands for an attribute of the stream; a `{{` needs its `}}`."),
    (STREAM, "The stream's attributes do not fit what the mapper can read or write."),
    (
        COPIES_WITHOUT_ID,
        "Every event comes on both nodes, and none has an id: the copies are matched by equal \
         content. What is sent twice to one node counts twice. Name the attribute that tells \
         events apart by `events.duplicated.id`.",
    ),
];
