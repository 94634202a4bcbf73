//! Every code that a message of this room can have, with what it means and an example.

use crate::language::codes::Explanation;

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
/// A function of the plan whose body cannot be read.
pub const FUNCTION_BODY: &str = "P0309";

/// Two queries of one name.
pub const QUERY_NAME_TAKEN: &str = "P0401";
/// Two outputs of one name.
pub const OUTPUT_TAKEN: &str = "P0402";
/// A limit or offset that is no constant whole number.
pub const BAD_LIMIT: &str = "P0403";
/// A window on a named window.
pub const WINDOW_ON_WINDOW: &str = "P0404";
/// A join that cannot be.
pub const BAD_JOIN: &str = "P0405";
/// A partition that cannot be.
pub const BAD_PARTITION: &str = "P0406";
/// An aggregation that cannot be.
pub const BAD_AGGREGATION: &str = "P0407";
/// Buckets of an aggregation that cannot be asked for.
pub const BAD_RANGE: &str = "P0409";
/// An output rate that means nothing.
pub const BAD_RATE: &str = "P0410";

/// A primary key or index that cannot be.
pub const BAD_KEY: &str = "P0501";
/// A trigger's time that cannot be read.
pub const BAD_TRIGGER: &str = "P0502";

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
/// More queries in a row, or more ways, than an event can run.
pub const TOO_FAR: &str = "P0703";

/// Something right that cannot be run yet.
pub const NOT_SUPPORTED: &str = "P0801";

/// State without bound.
pub const GROWS: &str = "P0901";
/// A stream that can hold up others for ever.
pub const STALLS: &str = "P0902";

/// The explanation of a code, in capital or small letters.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    ALL.iter().find(|explanation| explanation.code.eq_ignore_ascii_case(code))
}

const fn entry(
    code: &'static str,
    title: &'static str,
    text: &'static str,
    example: &'static str,
) -> Explanation {
    Explanation { code, title, text, example }
}

/// All explanations, by code.
pub const ALL: &[Explanation] = &[
    entry(
        UNKNOWN_SOURCE,
        "unknown stream, table or window",
        "Nothing of this name is defined, and no query before this one fills a stream of \
         this name. Letter case counts.",
        "define stream A (a int, b string);\nfrom B select a insert into Out;",
    ),
    entry(
        UNKNOWN_ATTRIBUTE,
        "unknown attribute",
        "None of the sources at this place has such an attribute. A query sees what its \
         `from` names; `having` and `order by` see its outputs too; `set` and `on` see \
         its outputs and the table.",
        "define stream A (a int, b string);\nfrom A select c insert into Out;",
    ),
    entry(
        AMBIGUOUS_ATTRIBUTE,
        "ambiguous attribute",
        "Both sides of a join have an attribute of this name. Write the side before it, \
         as in `A.a`.",
        "define stream A (a int, b string);\ndefine table T (a int, v int);\nfrom A join \
         T on a == v select A.b as b insert into Out;",
    ),
    entry(
        UNKNOWN_REFERENCE,
        "unknown source before a point",
        "What stands before the point must be a source of this query: the name after \
         `from` or, where one is given, the name after `as`.",
        "define stream A (a int, b string);\nfrom A select B.a as a insert into Out;",
    ),
    entry(
        NAME_TAKEN,
        "name taken",
        "Streams, tables, windows, triggers and aggregations share one set of names. The \
         same definition may stand twice if it says the same.",
        "define stream A (a int, b string);\ndefine table A (a int);",
    ),
    entry(
        ATTRIBUTE_TAKEN,
        "attribute defined twice",
        "The attributes of a stream, table or window have different names.",
        "define stream A (a int, a long);",
    ),
    entry(
        WRONG_KIND,
        "wrong kind of thing",
        "Streams and windows are read, tables are looked up and changed, aggregations are \
         joined. Here stands one where another is needed.",
        "define table T (k string, v int);\nfrom T select k insert into Out;",
    ),
    entry(
        READ_BEFORE_FILLED,
        "read before filled",
        "A stream that is not defined gets its attributes from the first query that \
         inserts into it, so that query must stand before those that read it.",
        "define stream A (a int, b string);\nfrom B select a insert into C;\nfrom A \
         select a insert into B;",
    ),
    entry(
        SCHEMA_MISMATCH,
        "other attributes than the target's",
        "What a query gives must have the attributes of its target: the same names, types \
         and order. A stream that is not defined takes those of the first query that \
         inserts into it.",
        "define stream A (a int, b string);\ndefine stream Out (a long);\nfrom A select a \
         insert into Out;",
    ),
    entry(
        INNER_OUTSIDE,
        "inner stream outside of a partition",
        "`#Name` is a stream inside of one partition, with rows of its own for each key. \
         Outside it has no meaning.",
        "define stream A (a int, b string);\nfrom A select a insert into #Out;",
    ),
    entry(
        NO_FAULT_STREAM,
        "no fault stream",
        "`!Name` holds the events of `Name` that failed. It exists where \
         `@OnError(action='STREAM')` stands before the definition.",
        "define stream A (a int, b string);\nfrom !A select a insert into Out;",
    ),
    entry(
        PREFIX_PLACE,
        "prefix in a definition",
        "`#` and `!` stand before names that are used, never before names that are \
         defined.",
        "define stream #A (a int);",
    ),
    entry(
        CIRCLE,
        "stream that feeds itself",
        "Following the queries from this stream leads back to it. An event would go round \
         for ever.",
        "define stream A (a int, b string);\nfrom A select a + 1 as a, b insert into A;",
    ),
    entry(
        NOT_COMPARABLE,
        "values that cannot be compared",
        "Numbers compare with numbers of any type; texts with texts and bools with bools, \
         but only by `==` and `!=`. Objects do not compare.",
        "define stream A (a int, b string);\nfrom A[a == b] select a insert into Out;",
    ),
    entry(
        NOT_A_NUMBER,
        "arithmetic without numbers",
        "`+`, `-`, `*`, `/` and `%` take numbers.",
        "define stream A (a int, b string);\nfrom A select b + 1 as c insert into Out;",
    ),
    entry(
        NOT_A_CONDITION,
        "no condition",
        "Filters, `having`, `on`, `in` and the sides of `and`, `or` and `not` must be \
         true or false. `not` binds tighter than `==`: write `not (a == b)`.",
        "define stream A (a int, b string);\nfrom A[a] select a insert into Out;",
    ),
    entry(
        TYPE_MISMATCH,
        "value of another type",
        "A table's attribute takes values of its type; numbers widen (int, long, float, \
         double).",
        "define stream A (a int, b string);\ndefine table T (k string, v int);\nfrom A \
         select a, b update T set T.v = b on T.k == b;",
    ),
    entry(
        UNKNOWN_FUNCTION,
        "unknown function",
        "There is no function or aggregator of this name. Letter case counts, and so does \
         the namespace, as in `str:length`.",
        "define stream A (a int, b string);\nfrom A select summ(a) as s insert into Out;",
    ),
    entry(
        UNKNOWN_WINDOW,
        "unknown window",
        "There is no window of this name.",
        "define stream A (a int, b string);\nfrom A#window.lenght(5) select a insert into \
         Out;",
    ),
    entry(
        UNKNOWN_STREAM_FUNCTION,
        "unknown stream function",
        "There is no stream function of this name. Windows are written \
         `#window.name(..)`.",
        "define stream A (a int, b string);\nfrom A#logg('x') select a insert into Out;",
    ),
    entry(
        ARGUMENT_COUNT,
        "wrong number of arguments",
        "The message says how the function is used; `[x: int]` may be left out, `x: int, \
         ...` may stand several times.",
        "define stream A (a int, b string);\nfrom A select sum() as s insert into Out;",
    ),
    entry(
        ARGUMENT_TYPE,
        "argument of the wrong type",
        "The function takes no value of this type here. Numbers widen by themselves where \
         a wider type is taken; `convert(value, 'type')` does the rest.",
        "define stream A (a int, b string);\nfrom A select sum(b) as s insert into Out;",
    ),
    entry(
        ARGUMENT_FORM,
        "argument of the wrong form",
        "Some arguments are needed before events come and must be constants; `1 + 1` is \
         none. Others name an attribute and cannot be computed.",
        "define stream A (a int, b string);\nfrom A#window.length(a) select a insert into \
         Out;",
    ),
    entry(
        ARGUMENT_VALUE,
        "argument with an impossible value",
        "The type is right, but not the value.",
        "define stream A (a int, b string);\nfrom A select convert(a, 'number') as s \
         insert into Out;",
    ),
    entry(
        AGGREGATOR_PLACE,
        "aggregator out of place",
        "Aggregators such as `sum` stand in `select` and `having`. To filter by one, give \
         it a name in `select` and use that in `having`.",
        "define stream A (a int, b string);\nfrom A[sum(a) > 5] select a insert into Out;",
    ),
    entry(
        FUNCTION_BODY,
        "function with a wrong body",
        "The body of a function is JavaScript, as far as it is supported: statements, \
         functions, texts, lists, objects, `Math` and `JSON`. It sees its arguments alone, \
         as `data`.",
        "define function f[javascript] return int { return wrong; };\n\
         define stream A (a int, b string);\nfrom A select f(a) as c insert into Out;",
    ),
    entry(
        QUERY_NAME_TAKEN,
        "query name taken",
        "Each query has a name of its own, by which results are watched.",
        "define stream A (a int, b string);\n@info(name='q') from A select a insert into \
         Out;\n@info(name='q') from A select b insert into Out2;",
    ),
    entry(
        OUTPUT_TAKEN,
        "two outputs of one name",
        "The outputs of a query have different names; `as` gives another.",
        "define stream A (a int, b string);\nfrom A select a, b as a insert into Out;",
    ),
    entry(
        BAD_LIMIT,
        "bad limit or offset",
        "`limit` and `offset` take a constant whole number that is not negative.",
        "define stream A (a int, b string);\nfrom A select a limit -1 insert into Out;",
    ),
    entry(
        WINDOW_ON_WINDOW,
        "window on a window",
        "A named window is a window already. Insert from it into a stream and put the \
         other window on that.",
        "define window W (a int) length(5);\nfrom W#window.length(1) select a insert into \
         Out;",
    ),
    entry(
        BAD_JOIN,
        "impossible join",
        "A join has a side whose events set it off, a stream or window, and both sides \
         have different names.",
        "define table T (k string, v int);\nfrom T as l join T as r select l.k as k \
         insert into Out;",
    ),
    entry(
        BAD_PARTITION,
        "impossible partition",
        "A partition divides each of its streams by one key.",
        "define stream A (a int, b string);\npartition with (a of A, b of A) begin from A \
         select a insert into Out; end;",
    ),
    entry(
        BAD_AGGREGATION,
        "impossible aggregation",
        "Buckets last a second, minute, hour, day, month or year; their time is a long or \
         a text.",
        "define stream A (a int, b string);\ndefine aggregation G from A select sum(a) as \
         s aggregate by a every sec;",
    ),
    entry(
        BAD_RANGE,
        "impossible range of buckets",
        "`within` says which buckets of an aggregation are read: two moments, each a long or a \
         text as '2024-06-01 04:05:50 +02:00', or one text with stars at its end as \
         '2024-06-** **:**:**'. `per` names one of the aggregation's lengths.",
        "define stream A (a int, b string);\ndefine aggregation G from A select sum(a) as s \
         aggregate every sec;\nfrom A join G within '2024-06-**' per 'seconds' select s \
         insert into Out;",
    ),
    entry(
        BAD_RATE,
        "impossible output rate",
        "A turn lasts at least one event or millisecond, and a snapshot needs `all events`.",
        "define stream A (a int, b string);\nfrom A select a output every 0 events insert into \
         Out;",
    ),
    entry(
        BAD_KEY,
        "impossible key or index",
        "`@primaryKey('a', 'b')` stands once and names the attributes that identify a \
         row; `@index('a')` names one attribute and may be repeated.",
        "@index('a', 'b') define table T (a int, b int);",
    ),
    entry(
        BAD_TRIGGER,
        "unreadable trigger",
        "A trigger fires at 'start', by a cron expression of six or seven fields, or \
         `every` so much time.",
        "define trigger T at 'noon';",
    ),
    entry(
        UNKNOWN_ANNOTATION,
        "unknown annotation",
        "It is passed over, since other tools may read it.",
        "@asink(type='log') define stream A (a int);",
    ),
    entry(
        UNKNOWN_KEY,
        "unknown key",
        "The annotation has no such key.",
        "@async(buffer='8') define stream A (a int);",
    ),
    entry(
        BAD_ANNOTATION,
        "impossible value of an annotation",
        "The message says what the annotation takes.",
        "@async(workers='0') define stream A (a int);",
    ),
    entry(
        BAD_MAPPING,
        "mapping that does not fit",
        "`@attributes` gives every attribute of its stream once, by name or in order; \
         `{{name}}` in a text of a sink names an attribute of the stream.",
        "@sink(type='log', prefix='{{z}}') define stream A (a int);",
    ),
    entry(
        BAD_PLAN_NAME,
        "impossible name of a plan",
        "A plan's name has 1 to 100 characters: letters a to z, digits, `_`, `-` and `.`.",
        "@app:name('a plan') define stream A (a int);",
    ),
    entry(
        TOO_MANY,
        "too many messages",
        "More is wrong than anyone reads at once. Mend the first ones.",
        "…",
    ),
    entry(
        TOO_WIDE,
        "too many of something",
        "A stream has at most 1,000 attributes, and lists of a query are as long at most.",
        "…",
    ),
    entry(
        TOO_FAR,
        "too many queries for one event",
        "An event runs through at most 250 queries one after the other, and sets off at most \
         1,000,000 runs of queries. Streams that part and meet again double the runs each time.",
        "…",
    ),
    entry(
        NOT_SUPPORTED,
        "not supported yet",
        "The plan is right, but this engine cannot run this part of the language yet.",
        "define stream A (a int, b string);\nfrom (from A select a return) select a insert \
         into Out;",
    ),
    entry(
        GROWS,
        "state without bound",
        "What this keeps grows as long as the plan runs, until memory is used up. A \
         window, a purge, a primary key or a query that deletes sets a bound.",
        "define stream A (a int, b string);\nfrom A select b, count() as n group by b \
         insert into Out;",
    ),
    entry(
        STALLS,
        "a stream that can hold up others",
        "The clock of a plan goes with the least watermark of its streams. A stream of which \
         nothing comes holds it up, unless `idle` says for how long.",
        "@watermark(attribute='t', lateness='5 sec') define stream A (t long);\n\
         @watermark(attribute='t', lateness='5 sec', idle='1 min') define stream B (t long);",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;
    use crate::plan::check;
    use crate::plan::testing::TestCatalog;

    #[test]
    fn codes_rise_and_are_explained() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
        for explanation in ALL {
            assert!(!explanation.title.is_empty() && explanation.text.ends_with('.'));
        }
        assert_eq!(explain("p0113").map(|found| found.code), Some(CIRCLE));
        assert!(explain("P9999").is_none());
    }

    #[test]
    fn every_example_earns_its_message() {
        for explanation in ALL.iter().filter(|entry| !entry.example.ends_with('…')) {
            let parsed = language::parse(explanation.example);
            assert!(!parsed.has_errors(), "{}: {:?}", explanation.code, parsed.diagnostics);
            let found = check(&parsed.tree, explanation.example, &TestCatalog).diagnostics;
            let codes: Vec<_> = found.iter().map(|diagnostic| diagnostic.code).collect();
            assert!(codes.contains(&explanation.code), "{}: {codes:?}", explanation.code);
        }
    }
}
