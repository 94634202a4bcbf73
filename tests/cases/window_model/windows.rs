//! The windows that are tried, and how they stand in a plan.

use crate::window_model::lists::Row;
use std::rc::Rc;
use twinflow::event::Millis;

/// From where batches by an attribute are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    First,
    At(Millis),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    Count(usize),
    Sum(i64),
    SameKey,
    Within(Millis),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Window {
    None,
    Length(usize),
    LengthBatch(usize, bool),
    Time(Millis),
    TimeBatch(Millis, Option<Millis>, bool),
    TimeLength(Millis, usize),
    ExternalTime(Millis),
    ExternalTimeBatch(Millis, Start, Option<Millis>),
    Delay(Millis),
    Batch(Option<usize>),
    /// The gap, whether there is a key, and for how long it is held.
    Session(Millis, bool, Millis),
    /// How many, and whether by `n desc, k` or by `v`.
    Sort(usize, bool),
    Cron,
    Expression(Condition),
    ExpressionBatch(Condition, bool, bool),
    Frequent(usize),
    LossyFrequent(f64, f64),
    UniqueEver,
    UniqueFirst,
    UniqueLength(usize),
    UniqueTime(Millis),
    UniqueLengthBatch(usize, bool),
    UniqueTimeBatch(Millis, Option<Millis>, bool),
}

impl Condition {
    pub fn text(self) -> String {
        match self {
            Condition::Count(most) => format!("'count() <= {most}'"),
            Condition::Sum(most) => format!("'sum(n) < {most}'"),
            Condition::SameKey => "'last.k == first.k'".to_owned(),
            Condition::Within(span) => {
                format!("'eventTimestamp(last) - eventTimestamp(first) < {span}'")
            }
        }
    }

    /// Whether it holds of what is counted and of the first and the last row.
    pub fn holds(self, counted: &[Rc<Row>], first: &Row, last: &Row) -> bool {
        match self {
            Condition::Count(most) => counted.len() <= most,
            Condition::Sum(most) => {
                let values: Vec<i64> =
                    counted.iter().filter_map(|row| row.n.map(i64::from)).collect();
                !values.is_empty() && values.iter().sum::<i64>() < most
            }
            Condition::SameKey => first.k.is_some() && first.k == last.k,
            Condition::Within(span) => last.own - first.own < span,
        }
    }
}

impl Window {
    /// As it stands in a plan.
    pub fn text(self) -> String {
        match self {
            Window::None => String::new(),
            Window::Length(most) => format!("length({most})"),
            Window::LengthBatch(most, false) => format!("lengthBatch({most})"),
            Window::LengthBatch(most, true) => format!("lengthBatch({most}, true)"),
            Window::Time(span) => format!("time({span})"),
            Window::TimeBatch(period, None, false) => format!("timeBatch({period})"),
            Window::TimeBatch(period, None, true) => format!("timeBatch({period}, true)"),
            Window::TimeBatch(period, Some(start), streams) => {
                format!("timeBatch({period}, {start}, {streams})")
            }
            Window::TimeLength(span, most) => format!("timeLength({span}, {most})"),
            Window::ExternalTime(span) => format!("externalTime(t, {span})"),
            Window::ExternalTimeBatch(period, start, timeout) => {
                let start = match (start, timeout) {
                    (Start::First, None) => return format!("externalTimeBatch(t, {period})"),
                    (Start::First, Some(_)) => unreachable!("a time-out stands behind a start"),
                    (Start::At(start), _) => start,
                };
                let timeout = timeout.map_or(String::new(), |timeout| format!(", {timeout}"));
                format!("externalTimeBatch(t, {period}, {start}{timeout})")
            }
            Window::Delay(span) => format!("delay({span})"),
            Window::Batch(None) => "batch()".to_owned(),
            Window::Batch(Some(piece)) => format!("batch({piece})"),
            Window::Session(gap, false, _) => format!("session({gap})"),
            Window::Session(gap, true, 0) => format!("session({gap}, k)"),
            Window::Session(gap, true, latency) => format!("session({gap}, k, {latency})"),
            Window::Sort(most, true) => format!("sort({most}, n, 'desc', k)"),
            Window::Sort(most, false) => format!("sort({most}, v)"),
            Window::Cron => "cron('* * * * * ?')".to_owned(),
            Window::Expression(condition) => format!("expression({})", condition.text()),
            Window::ExpressionBatch(condition, includes, streams) => {
                format!("expressionBatch({}, {includes}, {streams})", condition.text())
            }
            Window::Frequent(most) => format!("frequent({most}, k)"),
            Window::LossyFrequent(support, error) => {
                format!("lossyFrequent({support}, {error}, k)")
            }
            Window::UniqueEver => "unique:ever(k)".to_owned(),
            Window::UniqueFirst => "unique:first(k)".to_owned(),
            Window::UniqueLength(most) => format!("unique:length(k, {most})"),
            Window::UniqueTime(span) => format!("unique:time(k, {span})"),
            Window::UniqueLengthBatch(most, first) => {
                let name = if first { "firstLengthBatch" } else { "lengthBatch" };
                format!("unique:{name}(k, {most})")
            }
            Window::UniqueTimeBatch(period, start, first) => {
                let name = if first { "firstTimeBatch" } else { "timeBatch" };
                let start = start.map_or(String::new(), |start| format!(", {start}"));
                format!("unique:{name}(k, {period}{start})")
            }
        }
    }
}
