//! Calendar time: the lengths of an aggregation's buckets, moments written as text, and texts with
//! stars that stand for a span of time.

use crate::event::Millis;
use crate::plan::zone::Zone;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
/// A day without a change of clocks.
pub(super) const DAY: Millis = 24 * HOUR;

/// How long the buckets of an aggregation are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// `sec`
    Second,
    /// `min`
    Minute,
    /// `hour`
    Hour,
    /// `day`
    Day,
    /// `month`: a month of the calendar.
    Month,
    /// `year`: a year of the calendar.
    Year,
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Period; 6] =
        [Period::Second, Period::Minute, Period::Hour, Period::Day, Period::Month, Period::Year];

    /// The period that a text names, as in `sec`, `seconds` or `SECONDS`.
    pub fn named(text: &str) -> Option<Period> {
        let short = text.trim().to_ascii_lowercase();
        Some(match short.as_str() {
            "sec" | "second" | "seconds" => Period::Second,
            "min" | "minute" | "minutes" => Period::Minute,
            "hour" | "hours" => Period::Hour,
            "day" | "days" => Period::Day,
            "month" | "months" => Period::Month,
            "year" | "years" => Period::Year,
            _ => return None,
        })
    }

    /// Its name as questions write it: `'seconds'`.
    pub fn name(self) -> &'static str {
        match self {
            Period::Second => "seconds",
            Period::Minute => "minutes",
            Period::Hour => "hours",
            Period::Day => "days",
            Period::Month => "months",
            Period::Year => "years",
        }
    }

    /// The word for it in `aggregate every`: `sec`.
    pub fn keyword(self) -> &'static str {
        match self {
            Period::Second => "sec",
            Period::Minute => "min",
            Period::Hour => "hour",
            Period::Day => "day",
            Period::Month => "month",
            Period::Year => "year",
        }
    }

    /// The start of the bucket that holds `at` by the clocks of a zone.
    pub fn start(self, at: Millis, zone: &Zone) -> Millis {
        if let (Some(length), Zone::Fixed(_)) = (self.fixed(), zone) {
            return at.saturating_sub(zone.local(at).rem_euclid(length));
        }
        let day = zone.day(at);
        let (year, month, _) = date(day);
        let from = zone.moment(match self {
            Period::Month => days(year, month, 1).saturating_mul(DAY),
            Period::Year => days(year, 1, 1).saturating_mul(DAY),
            _ => day.saturating_mul(DAY),
        });
        match self.fixed() {
            // Counted from the start of the day, so that none is in two days.
            Some(length) => from.saturating_add((at - from) / length * length),
            None => from,
        }
    }

    /// The start of the bucket after the one that holds `at`.
    pub fn next(self, at: Millis, zone: &Zone) -> Millis {
        if let (Some(length), Zone::Fixed(_)) = (self.fixed(), zone) {
            return self.start(at, zone).saturating_add(length);
        }
        let day = zone.day(at);
        let (year, month, _) = date(day);
        let until = zone.moment(match (self, month) {
            (Period::Year, _) | (Period::Month, 12) => days(year + 1, 1, 1).saturating_mul(DAY),
            (Period::Month, _) => days(year, month + 1, 1).saturating_mul(DAY),
            _ => (day + 1).saturating_mul(DAY),
        });
        match self.fixed() {
            Some(length) => self.start(at, zone).saturating_add(length).min(until),
            None => until,
        }
    }

    /// Its length, if all are of one length and never longer than a day.
    fn fixed(self) -> Option<Millis> {
        match self {
            Period::Second => Some(SECOND),
            Period::Minute => Some(MINUTE),
            Period::Hour => Some(HOUR),
            Period::Day | Period::Month | Period::Year => None,
        }
    }
}

/// The days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March, so that the day of a leap year is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let century = year.div_euclid(400);
    let of_century = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_centuries = of_century * 365 + of_century / 4 - of_century / 100 + of_year;
    century * 146_097 + of_centuries - 719_468
}

/// The date so many days after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let century = shifted.div_euclid(146_097);
    let left = shifted.rem_euclid(146_097);
    let of_century = (left - left / 1_460 + left / 36_524 - left / 146_096) / 365;
    let of_year = left - (365 * of_century + of_century / 4 - of_century / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = century * 400 + of_century + i64::from(month <= 2);
    (year, month, day)
}

/// Reads `+05:30`; `Z` and `GMT` mean no distance.
pub fn offset(text: &str) -> Option<Millis> {
    let text = text.trim();
    if ["Z", "UTC", "GMT"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes() {
        [b'+', ..] => (1, &text[1..]),
        [b'-', ..] => (-1, &text[1..]),
        _ => return None,
    };
    let [a, b, b':', c, d] = *rest.as_bytes() else { return None };
    let (hours, minutes) = (number(&[a, b])?, number(&[c, d])?);
    let whole = hours * HOUR + minutes * MINUTE;
    (minutes < 60 && whole <= 18 * HOUR).then_some(sign * whole)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

/// A date, a time and the distance to UTC, each part as text or stars.
struct Parts<'t> {
    /// Year, month, day, hour, minute, second; `None` where stars stand.
    fields: [Option<i64>; 6],
    zone: &'t str,
}

impl<'t> Parts<'t> {
    /// Takes `2017-06-01 04:05:50` or `2017-06-01 04:05:50 +05:30` apart.
    fn read(text: &'t str) -> Option<Parts<'t>> {
        let text = text.trim();
        let zone = match text.len() {
            19 => "Z",
            26 if text.is_char_boundary(19) && text.as_bytes()[19] == b' ' => &text[20..],
            _ => return None,
        };
        let bytes = text.as_bytes();
        let marks = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
        if marks.iter().any(|&(place, mark)| bytes[place] != mark) {
            return None;
        }
        let mut fields = [None; 6];
        for (field, range) in fields.iter_mut().zip([0..4, 5..7, 8..10, 11..13, 14..16, 17..19]) {
            let part = &bytes[range];
            *field = match part {
                b"**" => None,
                _ => Some(number(part)?),
            };
        }
        Some(Parts { fields, zone })
    }

    /// The moment, stars standing for the least there is, and the distance to UTC.
    fn moment(&self) -> Option<(Millis, Millis)> {
        let [year, month, day, hour, minute, second] = self.fields;
        let (year, month, day) = (year?, month.unwrap_or(1), day.unwrap_or(1));
        let time = [hour.unwrap_or(0), minute.unwrap_or(0), second.unwrap_or(0)];
        let right = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && date(days(year, month, day)) == (year, month, day)
            && time[0] < 24
            && time[1] < 60
            && time[2] < 60;
        if !right {
            return None;
        }
        let zone = offset(self.zone)?;
        let clock = time[0] * HOUR + time[1] * MINUTE + time[2] * SECOND;
        Some((days(year, month, day) * DAY + clock - zone, zone))
    }
}

/// The moment that a text names: `2017-06-01 04:05:50`, in UTC, or with the distance to it behind,
/// `2017-06-01 04:05:50 +05:30`.
pub fn moment(text: &str) -> Option<Millis> {
    let parts = Parts::read(text)?;
    if parts.fields.iter().any(Option::is_none) {
        return None;
    }
    parts.moment().map(|(moment, _)| moment)
}

/// From when until when (exclusive) the moments last that a text with stars means: all of June 2017
/// for `2017-06-** **:**:**`. Stars stand at the end; without any it is the one second.
pub fn span(text: &str) -> Option<(Millis, Millis)> {
    let parts = Parts::read(text)?;
    let known = parts.fields.iter().take_while(|field| field.is_some()).count();
    if known == 0 || parts.fields[known..].iter().any(Option::is_some) {
        return None;
    }
    let (start, zone) = parts.moment()?;
    let length = Period::ALL[6 - known];
    Some((start, length.next(start, &Zone::Fixed(zone))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2017-06-01 04:05:50 UTC.
    const AT: Millis = 1_496_289_950_000;

    #[test]
    fn buckets_begin_where_the_calendar_says() {
        let starts = Period::ALL.map(|period| period.start(AT + 123, &Zone::UTC));
        let expected = ["2017-06-01 04:05:50", "2017-06-01 04:05:00", "2017-06-01 04:00:00"];
        let longer = ["2017-06-01 00:00:00", "2017-06-01 00:00:00", "2017-01-01 00:00:00"];
        let expected = [expected, longer].concat().iter().map(|text| moment(text)).collect();
        assert_eq!(starts.map(Some).to_vec(), Vec::from_iter::<Vec<_>>(expected));
        let zone = offset("+05:30").expect("it is one");
        let local = "2017-06-01 00:00:00 +05:30";
        assert_eq!(Some(Period::Day.start(AT, &Zone::Fixed(zone))), moment(local));
        let before = moment("1969-12-31 23:59:59").expect("it is one");
        assert_eq!(
            Period::Year.start(before, &Zone::UTC),
            moment("1969-01-01 00:00:00").expect("one")
        );
        assert_eq!(Period::Month.next(before, &Zone::UTC), 0);
        assert_eq!(Period::Second.start(before + 999, &Zone::UTC), before);
    }

    #[test]
    fn every_day_of_centuries_goes_there_and_back() {
        let mut last = date(-800_000);
        for day in -799_999..800_000 {
            let found = date(day);
            assert_eq!(days(found.0, found.1, found.2), day);
            assert!(found > last);
            last = found;
        }
        assert_eq!(date(days(2000, 2, 29)), (2000, 2, 29));
        assert_ne!(date(days(1900, 2, 29)), (1900, 2, 29));
    }

    #[test]
    fn moments_are_read_strictly() {
        assert_eq!(moment("2017-06-01 04:05:50"), Some(AT));
        assert_eq!(moment(" 2017-06-01 09:35:50 +05:30 "), Some(AT));
        assert_eq!(moment("2017-05-31 22:05:50 -06:00"), Some(AT));
        for wrong in [
            "",
            "2017-06-01",
            "2017-06-01T04:05:50",
            "2017-06-31 04:05:50",
            "2017-13-01 04:05:50",
            "2017-06-01 24:00:00",
            "2017-06-01 04:05:50 05:300",
            "2017-06-01 04:05:50 +19:00",
            "2017-06-01 04:05:50+05:30 ",
            "2017-06-01 04:05:**",
            "2017-06-01 04:05:5ü",
        ] {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn stars_stand_for_all_there_is() {
        let means = |text: &str, from: &str, to: &str| {
            assert_eq!(span(text), moment(from).zip(moment(to)), "{text}");
        };
        means("2017-06-01 04:05:50", "2017-06-01 04:05:50", "2017-06-01 04:05:51");
        means("2017-06-01 04:05:**", "2017-06-01 04:05:00", "2017-06-01 04:06:00");
        means("2017-06-01 04:**:**", "2017-06-01 04:00:00", "2017-06-01 05:00:00");
        means("2017-06-30 **:**:**", "2017-06-30 00:00:00", "2017-07-01 00:00:00");
        means("2017-12-** **:**:**", "2017-12-01 00:00:00", "2018-01-01 00:00:00");
        means("2017-**-** **:**:**", "2017-01-01 00:00:00", "2018-01-01 00:00:00");
        let local = "2017-06-** **:**:** +05:30";
        means(local, "2017-06-01 00:00:00 +05:30", "2017-07-01 00:00:00 +05:30");
        for wrong in ["2017-06-** 12:**:**", "**-06-01 04:05:50", "2017-06-** **:**:**:1000"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }
}
