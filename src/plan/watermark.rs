//! `@watermark`: the rows of a stream are put in order of a time of their own, within bounds.

use crate::event::DataType;
use crate::event::Millis;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree::Annotation;
use crate::language::tree::Span;
use crate::language::tree::StringLiteral;
use crate::plan::annotations::value;
use crate::plan::checker::Checker;
use crate::plan::checker::shown;
use crate::plan::checker::with_known;
use crate::plan::checker::with_nearest;
use crate::plan::codes;
use crate::plan::known_annotations::Key;
use crate::plan::known_annotations::key;
use crate::plan::logical::Origin;
use crate::plan::logical::Output;
use crate::plan::logical::Plan;
use crate::plan::logical::StreamId;
use crate::plan::names::Meaning;

/// How many rows of a stream wait at most, if the plan does not say.
pub const BUFFER: usize = 1_000_000;

/// How many rows of a stream a plan can let wait at most.
const LARGEST_BUFFER: usize = 10_000_000;

const TIME: &str = "a span of time";

/// The keys of the annotation.
pub(super) const KEYS: &[Key] = &[
    key(
        "attribute",
        "an attribute of type long",
        "must be given",
        "The event time, in milliseconds since 1970.",
    ),
    key(
        "lateness",
        TIME,
        "must be given",
        "How far an event may be behind the newest of its stream; so long all wait.",
    ),
    key(
        "idle",
        TIME,
        "",
        "After this long without an event, by the clock of arrival, the stream is not waited for.",
    ),
    key(
        "ahead",
        TIME,
        "",
        "An event whose time lies further beyond its arrival is put aside, and moves nothing.",
    ),
    key(
        "late.stream",
        "a stream of the same attributes",
        "",
        "Takes events that come too late, which are dropped and counted without it.",
    ),
    key(
        "ahead.stream",
        "a stream of the same attributes",
        "",
        "Takes events too far ahead, which are dropped and counted without it.",
    ),
    key(
        "buffer.size",
        "1 to 10000000 events",
        "`1000000`",
        "When more wait, the first leave before their time.",
    ),
];

/// `@watermark` on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The attribute with a row's event time: a long, in milliseconds since 1970.
    pub attribute: usize,
    /// How far behind the newest row of the stream one may come.
    pub lateness: Millis,
    /// For how long, by the clock of arrival, the others wait for a stream of which nothing comes.
    pub idle: Option<Millis>,
    /// How far beyond the clock of arrival an event time may lie.
    pub ahead: Option<Millis>,
    /// Where rows go that come too late.
    pub late_stream: Option<StreamId>,
    /// Where rows go whose event time lies too far ahead.
    pub ahead_stream: Option<StreamId>,
    /// How many rows wait at most.
    pub buffer: usize,
    /// Where the annotation stands.
    pub span: Span,
}

impl Plan {
    /// Whether the clock goes with the watermarks of streams.
    pub fn has_watermarks(&self) -> bool {
        self.streams.iter().any(|stream| stream.watermark.is_some())
    }
}

/// A side stream as it is named, until all streams are known.
pub(super) struct SideStream {
    of: StreamId,
    key: &'static str,
    name: StringLiteral,
}

impl Checker<'_> {
    /// Reads `@watermark(attribute='ts', lateness='5 sec', …)` of a stream.
    pub(super) fn watermark(&mut self, annotation: &Annotation, stream: StreamId) {
        let attribute = self.time_attribute(annotation, stream);
        let lateness = match value(annotation, "lateness") {
            Some(text) => self.time_from(text, 0),
            None => {
                let message = "`@watermark` does not say how late events may come";
                let fault = Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message);
                self.report(fault.help(
                    "add `lateness='5 sec'`: how far an event may be behind the newest of its \
                     stream; there is no default, since every choice loses or delays something",
                ));
                None
            }
        };
        let idle = value(annotation, "idle").and_then(|text| self.duration(text));
        let ahead = value(annotation, "ahead").and_then(|text| self.time_from(text, 0));
        let buffer = value(annotation, "buffer.size").map_or(Some(BUFFER), |text| {
            let size = text.value.trim().parse().ok();
            let size = size.filter(|size| (1..=LARGEST_BUFFER).contains(size));
            if size.is_none() {
                let message = format!(
                    "`buffer.size` takes a number of events from 1 to {LARGEST_BUFFER}, not `{}`",
                    text.value
                );
                self.report(Diagnostic::error(codes::BAD_ANNOTATION, text.span, message));
            }
            size
        });
        for key in ["late.stream", "ahead.stream"] {
            if let Some(name) = value(annotation, key) {
                self.side_streams.push(SideStream { of: stream, key, name: name.clone() });
            }
        }
        if self.plan.playback.is_some() {
            let message = "`@watermark` and `@app:playback` cannot stand in one plan";
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message);
            self.report(fault.help(
                "both let events move the plan's clock: `@watermark` orders them before, \
                 `@app:playback` takes them as they come",
            ));
        }
        if let (Some(attribute), Some(lateness), Some(buffer)) = (attribute, lateness, buffer) {
            self.plan.streams[stream].watermark = Some(Watermark {
                attribute,
                lateness,
                idle,
                ahead,
                late_stream: None,
                ahead_stream: None,
                buffer,
                span: annotation.span,
            });
        }
    }

    /// The attribute that holds the event time.
    fn time_attribute(&mut self, annotation: &Annotation, stream: StreamId) -> Option<usize> {
        let schema = self.plan.streams[stream].schema.clone();
        let longs = schema.attributes.iter().filter(|each| each.ty == DataType::Long);
        let longs: Vec<&str> = longs.map(|each| each.name.as_str()).collect();
        let Some(text) = value(annotation, "attribute") else {
            let message = "`@watermark` does not say which attribute holds the event time";
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message);
            let example = longs.first().unwrap_or(&"ts");
            self.report(fault.help(format!("add `attribute='{example}'`")));
            return None;
        };
        let Some(place) = schema.position(&text.value) else {
            let message = format!("there is no attribute `{}`", text.value);
            let fault = Diagnostic::error(codes::UNKNOWN_ATTRIBUTE, text.span, message);
            let fault = with_known(fault, &text.value, text.span, longs.iter().copied());
            self.report(quoted(fault));
            return None;
        };
        let ty = schema.attributes[place].ty;
        if ty != DataType::Long {
            let message = format!(
                "`{}` is of type {ty}; an event time is a long, in milliseconds since 1970",
                text.value
            );
            let fault = Diagnostic::error(codes::TYPE_MISMATCH, text.span, message);
            self.report(match longs[..] {
                [only] => {
                    fault.help(format!("`{only}` is one")).suggest(text.span, format!("'{only}'"))
                }
                [] => fault.help("the stream has no attribute of type long"),
                _ => fault.help(format!("of this type are {}", longs.join(", "))),
            });
            return None;
        }
        Some(place)
    }

    /// Finds the side streams of all watermarks; once all streams are defined.
    pub(super) fn find_side_streams(&mut self) {
        for side in std::mem::take(&mut self.side_streams) {
            let found = self.side_stream(&side);
            if let Some(watermark) = &mut self.plan.streams[side.of].watermark {
                match side.key {
                    "late.stream" => watermark.late_stream = found,
                    _ => watermark.ahead_stream = found,
                }
            }
        }
    }

    fn side_stream(&mut self, side: &SideStream) -> Option<StreamId> {
        let (name, span) = (side.name.value.as_str(), side.name.span);
        let of = &self.plan.streams[side.of];
        let Some(known) = self.names.get(name) else {
            let wanted = shown(&of.schema);
            let message = format!("there is no stream `{name}`");
            let fault = Diagnostic::error(codes::UNKNOWN_SOURCE, span, message);
            let like = |meaning| match meaning {
                Meaning::Stream(id) => self.may_take(id, side.of),
                _ => false,
            };
            let fault = quoted(with_nearest(fault, name, span, self.names.all(like)));
            self.report(match fault.help {
                Some(_) => fault,
                None => fault.help(format!("define it: `define stream {name} {wanted};`")),
            });
            return None;
        };
        let id = match known.meaning {
            Meaning::Stream(id) => id,
            Meaning::Broken => return None,
            other => {
                let message = format!("`{name}` is {}, not a stream", self.kind_of(other));
                let fault = Diagnostic::error(codes::WRONG_KIND, span, message);
                self.report(fault.also(known.span, "defined here"));
                return None;
            }
        };
        let taker = &self.plan.streams[id];
        if taker.schema != of.schema {
            let message = format!(
                "`{name}` takes {}, but what `{}` puts aside is {}",
                shown(&taker.schema),
                of.name,
                shown(&of.schema)
            );
            let fault = Diagnostic::error(codes::SCHEMA_MISMATCH, span, message);
            self.report(fault.also(known.span, "defined here").help("give it the same attributes"));
            return None;
        }
        if !self.may_take(id, side.of) {
            let message = match id == side.of {
                true => format!("what `{name}` puts aside cannot come back to it"),
                false => format!("`{name}` puts events in order itself, and cannot take late ones"),
            };
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, span, message);
            self.report(fault.help("name a stream without `@watermark`"));
            return None;
        }
        Some(id)
    }

    /// Whether a stream may take what another one puts aside.
    fn may_take(&self, id: StreamId, of: StreamId) -> bool {
        let (taker, of) = (&self.plan.streams[id], &self.plan.streams[of]);
        taker.schema == of.schema && taker.watermark.is_none() && taker.origin == Origin::Defined
    }

    /// Says which streams with a watermark are filled by the plan itself, and which can hold up
    /// others for ever; once all queries are known.
    pub(super) fn watermarked_inputs(&mut self) {
        let mut faults = Vec::new();
        for (id, query) in self.plan.queries.iter().enumerate() {
            let Output::Stream(target) = query.output else { continue };
            let stream = &self.plan.streams[target];
            let Some(watermark) = &stream.watermark else { continue };
            let message = format!("a query fills `{}`, which has a `@watermark`", stream.name);
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, self.targets[id], message);
            faults.push(fault.also(watermark.span, "orders what comes from outside").help(
                "what a query puts out is in order already; `@watermark` belongs before the \
                 stream that the query reads",
            ));
        }
        for trigger in &self.plan.triggers {
            if let Some(watermark) = &self.plan.streams[trigger.stream].watermark {
                let message = "`@watermark` cannot stand before the stream of a trigger";
                faults.push(Diagnostic::error(codes::BAD_ANNOTATION, watermark.span, message));
            }
        }
        let streams = self.plan.streams.iter();
        let watermarked: Vec<_> =
            streams.filter_map(|each| Some((each, each.watermark.as_ref()?))).collect();
        if watermarked.len() > 1 {
            for (stream, watermark) in watermarked {
                if watermark.idle.is_none() {
                    let name = &stream.name;
                    let message =
                        format!("while nothing comes to `{name}` the other streams wait for it");
                    let fault = Diagnostic::warning(codes::STALLS, watermark.span, message);
                    faults.push(fault.help("say for how long: `idle='30 sec'`"));
                }
            }
        }
        faults.into_iter().for_each(|fault| self.report(fault));
    }
}

/// A message whose change stands in quotes.
fn quoted(mut diagnostic: Diagnostic) -> Diagnostic {
    if let Some(change) = &mut diagnostic.suggestion {
        change.replacement = format!("'{}'", change.replacement);
    }
    diagnostic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language;
    use crate::language::source::Source;
    use crate::plan::check;
    use crate::plan::testing::TestCatalog;
    use crate::plan::testing::checked;

    const TIMES: &str = "attribute='t', lateness='5 sec'";

    /// Plans that are refused: the code, the plan with `§` before the place, and the change that
    /// the message proposes, or a word of its help.
    const REFUSED: &[(&str, &str, &str)] = &[
        ("P0603", "§@watermark(lateness='5 sec') define stream A (a int, t long);", "='t'`"),
        ("P0603", "§@watermark(attribute='t') define stream A (t long);", "no default"),
        (
            "P0102",
            "@watermark(attribute=§'tim', lateness='0 sec') define stream A (time long);",
            "'time'",
        ),
        (
            "P0204",
            "@watermark(attribute=§'a', lateness='1 sec') define stream A (a int, t long);",
            "'t'",
        ),
        (
            "P0204",
            "@watermark(attribute=§'a', lateness='1 sec') define stream A (a string);",
            "no attribute",
        ),
        (
            "P0603",
            "@watermark(attribute='t', lateness=§'-5 sec') define stream A (t long);",
            "'5 sec'",
        ),
        ("P0603", "@watermark(attribute='t', lateness=§'soon') define stream A (t long);", "5 sec"),
        ("P0603", "@watermark(TIMES, idle=§'0 sec') define stream A (t long);", "5 sec"),
        ("P0603", "@watermark(TIMES, ahead=§'-1 min') define stream A (t long);", "'1 min'"),
        ("P0603", "@watermark(TIMES, buffer.size=§'0') define stream A (t long);", ""),
        ("P0602", "@watermark(TIMES, §late='L') define stream A (t long);", ""),
        ("P0603", "@watermark(TIMES) §@watermark(TIMES) define stream A (t long);", ""),
        (
            "P0101",
            "@watermark(TIMES, late.stream=§'L') define stream A (t long);",
            "define stream L (t long)",
        ),
        (
            "P0101",
            "@watermark(TIMES, late.stream=§'Lat') define stream A (t long); \
             define stream Late (t long);",
            "'Late'",
        ),
        (
            "P0107",
            "@watermark(TIMES, late.stream=§'L') define stream A (t long); \
             define table L (t long);",
            "",
        ),
        (
            "P0109",
            "@watermark(TIMES, ahead.stream=§'L') define stream A (t long); \
             define stream L (t int);",
            "same attributes",
        ),
        ("P0603", "@watermark(TIMES, late.stream=§'A') define stream A (t long);", "without"),
        (
            "P0603",
            "@watermark(TIMES, late.stream=§'B') define stream A (t long); \
             @watermark(TIMES) define stream B (t long);",
            "without",
        ),
        ("P0603", "@app:playback §@watermark(TIMES) define stream A (t long);", "as they come"),
        (
            "P0603",
            "@watermark(TIMES) define stream A (t long); define stream B (t long); \
             from B select t §insert into A;",
            "in order already",
        ),
        (
            "P0603",
            "§@watermark(attribute='triggered_time', lateness='1 sec') \
             define stream T (triggered_time long); define trigger T at every 1 sec;",
            "",
        ),
    ];

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        for (code, marked, help) in REFUSED {
            let marked = marked.replace("TIMES", TIMES);
            let at = marked.find('§').expect("a mark");
            let text = marked.replacen('§', "", 1);
            let parsed = language::parse(&text);
            assert!(!parsed.has_errors(), "{text}");
            let found = check(&parsed.tree, &text, &TestCatalog).diagnostics;
            let [fault] = &found.iter().filter(|each| each.is_error()).collect::<Vec<_>>()[..]
            else {
                panic!("{text}: {found:?}")
            };
            let source = Source::new("plan", text.as_str());
            let place = source.place(fault.primary.span.start);
            assert_eq!((fault.code, place), (*code, source.place(at)), "{text}: {fault:?}");
            let change = fault.suggestion.as_ref().map_or("", |change| &change.replacement);
            let said = fault.help.as_deref().unwrap_or_default();
            assert!(change == *help || said.contains(help), "{text}: {fault:?}");
        }
    }

    #[test]
    fn all_of_it_reaches_the_plan() {
        let plan = checked(
            "@watermark(attribute='t', lateness='0 sec', idle='30 sec', ahead='1 min', \
             late.stream='Late', ahead.stream='Odd', buffer.size='7') \
             define stream S (a int, t long); define stream Late (a int, t long); \
             define stream Odd (a int, t long); from S select a insert into O;",
        );
        let watermark = plan.streams[0].watermark.as_ref().expect("said");
        assert_eq!((watermark.attribute, watermark.lateness, watermark.buffer), (1, 0, 7));
        assert_eq!((watermark.idle, watermark.ahead), (Some(30_000), Some(60_000)));
        assert_eq!((watermark.late_stream, watermark.ahead_stream), (Some(1), Some(2)));
        assert!(plan.has_watermarks());
    }

    #[test]
    fn a_stream_that_can_hold_up_others_is_warned_of() {
        let warned = |text: &str| {
            let text = text.replace("TIMES", TIMES);
            let found = check(&language::parse(&text).tree, &text, &TestCatalog).diagnostics;
            found.into_iter().map(|each| (each.code, each.message)).collect::<Vec<_>>()
        };
        let both = "@watermark(TIMES) define stream A (t long); \
                    @watermark(TIMES, idle='9 sec') define stream B (t long);";
        let message = "while nothing comes to `A` the other streams wait for it".to_owned();
        assert_eq!(warned(both), [(codes::STALLS, message)]);
        assert!(warned("@watermark(TIMES) define stream A (t long);").is_empty());
    }
}
