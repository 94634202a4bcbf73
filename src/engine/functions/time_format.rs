//! Dates as text, in the letters of Java: `yyyy-MM-dd HH:mm:ss.SSS`. In UTC and in English,
//! whatever the machine is set to.

use crate::event::Millis;
use crate::event::Text;
use std::fmt::Write;

/// The format of dates that say nothing else.
pub const USUAL: &str = "yyyy-MM-dd HH:mm:ss.SSS";

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
pub const DAY: Millis = 24 * HOUR;
/// Days of 400 years, after which the calendar repeats itself.
const ERA: i64 = 146_097;
/// Days from the first of March of the year 0 to 1970.
const EPOCH: i64 = 719_468;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A moment by the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// Of the month, from 1.
    pub day: i64,
    /// Milliseconds of the day.
    pub time: Millis,
}

impl Date {
    /// The date of a moment.
    pub fn of(millis: Millis) -> Date {
        let days = millis.div_euclid(DAY) + EPOCH;
        let of_era = days.rem_euclid(ERA);
        // Years count from March, so that the leap day is a year's last.
        let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * years + years / 4 - years / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = days.div_euclid(ERA) * 400 + years + i64::from(month <= 2);
        Date { year, month, day, time: millis.rem_euclid(DAY) }
    }

    /// The moment; months and days beyond their range count on.
    pub fn millis(self) -> Millis {
        let months = self.year.saturating_mul(12).saturating_add(self.month - 1);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let year = year - i64::from(month <= 2);
        let of_era = year.rem_euclid(400);
        let from_march = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * from_march + 2) / 5;
        let days = year.div_euclid(400).saturating_mul(ERA) + of_era * 365 + of_era / 4
            - of_era / 100
            + of_year;
        let days = days.saturating_add(self.day - 1).saturating_sub(EPOCH);
        days.saturating_mul(DAY).saturating_add(self.time)
    }

    /// The same day of another month, or that month's last.
    pub fn plus_months(self, months: i64) -> Date {
        let months = self.year * 12 + self.month - 1 + months;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        Date { year, month, day: self.day.min(length_of_month(year, month)), time: self.time }
    }

    /// From 0 for Sunday.
    pub fn weekday(self) -> i64 {
        // The first of January 1970 was a Thursday.
        (self.millis().div_euclid(DAY) + 4).rem_euclid(7)
    }

    /// From 1.
    pub fn day_of_year(self) -> i64 {
        let first = Date { month: 1, day: 1, time: 0, ..self };
        (self.millis() - first.millis()).div_euclid(DAY) + 1
    }

    /// Weeks begin with Sunday; the first is that with the first of January.
    pub fn week(self) -> i64 {
        let next = Date { year: self.year + 1, month: 1, day: 1, time: 0 };
        let until_next = (next.millis() - self.millis() + self.time).div_euclid(DAY);
        if until_next <= next.weekday() {
            return 1;
        }
        let first = Date { month: 1, day: 1, time: 0, ..self };
        (self.day_of_year() + first.weekday() - 1) / 7 + 1
    }

    /// The English name of the day of the week.
    pub fn weekday_name(self) -> &'static str {
        DAYS[self.weekday() as usize]
    }

    /// The hour of the day.
    pub fn hour(self) -> i64 {
        self.time / HOUR
    }

    /// The minute of the hour.
    pub fn minute(self) -> i64 {
        self.time / MINUTE % 60
    }

    /// The second of the minute.
    pub fn second(self) -> i64 {
        self.time / SECOND % 60
    }
}

fn length_of_month(year: i64, month: i64) -> i64 {
    let first = |month| Date { year, month, day: 1, time: 0 }.millis();
    (first(month + 1) - first(month)) / DAY
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(String),
    /// A letter, how often it stands there, and whether a number follows without a gap.
    Field(char, usize, bool),
}

/// A format that was understood.
#[derive(Clone, Debug)]
pub struct Format(Vec<Part>);

const LETTERS: &str = "yMdHhKkmsSEaDwuzZX";

impl Format {
    /// Reads a format.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Format, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let literal = match character {
                '\'' => quoted(&mut characters)
                    .ok_or_else(|| format!("the format `{text}` opens a `'` that never ends"))?,
                letter if LETTERS.contains(letter) => {
                    let mut count = 1;
                    while characters.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    parts.push(Part::Field(letter, count, false));
                    continue;
                }
                letter if letter.is_ascii_alphabetic() => {
                    return Err(format!(
                        "the format `{text}` holds the letter `{letter}`, which means nothing \
                         here; expected some of {LETTERS}"
                    ));
                }
                other => other.to_string(),
            };
            match parts.last_mut() {
                Some(Part::Literal(before)) => before.push_str(&literal),
                _ => parts.push(Part::Literal(literal)),
            }
        }
        for place in 1..parts.len() {
            if matches!(&parts[place], Part::Field(letter, count, _) if is_number(*letter, *count))
                && let Part::Field(_, _, followed) = &mut parts[place - 1]
            {
                *followed = true;
            }
        }
        Ok(Format(parts))
    }

    /// The moment as text.
    pub fn format(&self, millis: Millis) -> Text {
        let date = Date::of(millis);
        let mut out = Text::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => out.push_str(literal),
                Part::Field(letter, count, _) => write_field(date, *letter, *count, &mut out),
            }
        }
        out
    }

    /// The moment that a text names; `None` if it is not of this format. What stands behind it is
    /// passed over.
    pub fn read(&self, text: &str) -> Option<Millis> {
        let mut found = Found { rest: text, ..Found::default() };
        for part in &self.0 {
            match part {
                Part::Literal(literal) => found.rest = found.rest.strip_prefix(literal.as_str())?,
                Part::Field(letter, count, followed) => found.field(*letter, *count, *followed)?,
            }
        }
        Some(found.millis())
    }
}

/// Whether a field is written in digits.
fn is_number(letter: char, count: usize) -> bool {
    !(matches!(letter, 'E' | 'a' | 'z' | 'Z' | 'X') || letter == 'M' && count > 2)
}

/// What stands up to the next `'`; two of them are one that is meant.
fn quoted(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    if characters.next_if_eq(&'\'').is_some() {
        return Some("'".to_owned());
    }
    let mut out = String::new();
    loop {
        match characters.next()? {
            '\'' if characters.next_if_eq(&'\'').is_some() => out.push('\''),
            '\'' => return Some(out),
            other => out.push(other),
        }
    }
}

fn write_field(date: Date, letter: char, count: usize, out: &mut Text) {
    let hour = date.hour();
    let number = match letter {
        'y' if count == 2 => date.year.rem_euclid(100),
        'y' => date.year,
        'M' if count > 2 => {
            let name = MONTHS[(date.month - 1) as usize];
            return out.push_str(if count == 3 { &name[..3] } else { name });
        }
        'M' => date.month,
        'd' => date.day,
        'H' => hour,
        'k' => (hour + 23) % 24 + 1,
        'K' => hour % 12,
        'h' => (hour + 11) % 12 + 1,
        'm' => date.minute(),
        's' => date.second(),
        'S' => date.time % SECOND,
        'D' => date.day_of_year(),
        'w' => date.week(),
        'u' => (date.weekday() + 6) % 7 + 1,
        'E' => {
            let name = date.weekday_name();
            return out.push_str(if count <= 3 { &name[..3] } else { name });
        }
        'a' => return out.push_str(if hour < 12 { "AM" } else { "PM" }),
        'Z' => return out.push_str("+0000"),
        'X' => return out.push('Z'),
        _ => return out.push_str("UTC"),
    };
    write!(out, "{number:0count$}").expect("texts take everything");
}

/// What a text has said so far.
#[derive(Debug, Default)]
struct Found<'t> {
    rest: &'t str,
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    /// Whether the hour is one of twelve, and whether it is after noon.
    half: Option<bool>,
    minute: i64,
    second: i64,
    millis: i64,
    offset: Millis,
}

impl Found<'_> {
    fn field(&mut self, letter: char, count: usize, followed: bool) -> Option<()> {
        match letter {
            'M' if count > 2 => self.month = Some(self.name(&MONTHS)? + 1),
            'E' => {
                self.name(&DAYS)?;
            }
            'a' => self.half = Some(self.name(&["AM", "PM"])? == 1),
            'z' | 'Z' | 'X' => self.offset = self.zone()?,
            _ => {
                let (value, digits) = self.number(followed.then_some(count))?;
                match letter {
                    // Two digits are of the years from 1970 to 2069.
                    'y' if count == 2 && digits == 2 => {
                        self.year = Some(if value < 70 { 2000 + value } else { 1900 + value });
                    }
                    'y' => self.year = Some(value),
                    'M' => self.month = Some(value),
                    'd' => self.day = Some(value),
                    'D' => self.day_of_year = Some(value),
                    'H' | 'K' => self.hour = value,
                    'k' => self.hour = value % 24,
                    'h' => self.hour = value % 12,
                    'm' => self.minute = value,
                    's' => self.second = value,
                    'S' => self.millis = value,
                    _ => {}
                }
            }
        }
        Some(())
    }

    fn number(&mut self, most: Option<usize>) -> Option<(i64, usize)> {
        if most.is_none() {
            self.rest = self.rest.trim_start();
        }
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let digits = digits.min(most.unwrap_or(usize::MAX));
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        Some((number.parse::<i32>().ok()?.into(), digits))
    }

    /// The place of the name that stands here, whole or by its first three letters.
    fn name(&mut self, names: &[&str]) -> Option<i64> {
        let matches = |name: &str| {
            let start = self.rest.get(..name.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        let found = names.iter().enumerate().find_map(|(place, name)| {
            let short = &name[..name.len().min(3)];
            let length = if matches(name) { name.len() } else { short.len() };
            matches(short).then_some((place, length))
        });
        let (place, length) = found?;
        self.rest = &self.rest[length..];
        Some(place as i64)
    }

    /// `Z`, `UTC`, `GMT`, `+0530`, `+05:30` or `GMT+5:30`.
    fn zone(&mut self) -> Option<Millis> {
        let mut named = false;
        for name in ["UTC", "GMT", "Z"] {
            if let Some(rest) = self.rest.strip_prefix(name) {
                self.rest = rest;
                named = true;
                break;
            }
        }
        let sign = match self.rest.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return named.then_some(0),
        };
        self.rest = &self.rest[1..];
        let (first, digits) = self.number(Some(4))?;
        let (hours, minutes) = match digits {
            3 | 4 => (first / 100, first % 100),
            _ => match self.rest.strip_prefix(':') {
                Some(rest) => {
                    self.rest = rest;
                    (first, self.number(Some(2))?.0)
                }
                None => (first, 0),
            },
        };
        Some(sign * (hours * HOUR + minutes * MINUTE))
    }

    fn millis(&self) -> Millis {
        let hour = match self.half {
            Some(after_noon) => self.hour % 12 + if after_noon { 12 } else { 0 },
            None => self.hour,
        };
        let time = hour * HOUR + self.minute * MINUTE + self.second * SECOND + self.millis;
        let (month, day) = match self.day_of_year {
            Some(day) if self.month.is_none() => (1, day),
            _ => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        let date = Date { year: self.year.unwrap_or(1970), month, day, time };
        date.millis().saturating_sub(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(format: &str, millis: Millis) -> String {
        Format::parse(format).expect("it can be read").format(millis).to_string()
    }

    fn read(format: &str, text: &str) -> Option<Millis> {
        Format::parse(format).expect("it can be read").read(text)
    }

    const MOMENT: Millis = 1_415_712_224_657;

    #[test]
    fn moments_are_written() {
        let cases = [
            (USUAL, "2014-11-11 13:23:44.657"),
            ("yy/M/d h:m a", "14/11/11 1:23 PM"),
            ("EEE, dd MMM yyyy", "Tue, 11 Nov 2014"),
            ("EEEE MMMM D w u", "Tuesday November 315 46 2"),
            ("yyyyMMdd'T'HHmmss''XZz", "20141111T132344'Z+0000UTC"),
            ("kk KK", "13 01"),
        ];
        for (pattern, text) in cases {
            assert_eq!(format(pattern, MOMENT), text, "{pattern}");
        }
        assert_eq!(format("kk KK hh", 0), "24 00 12");
        assert_eq!(format(USUAL, -1), "1969-12-31 23:59:59.999");
    }

    #[test]
    fn texts_are_read() {
        let cases = [
            (USUAL, "2014-11-11 13:23:44.657", MOMENT),
            ("yyyyMMddHHmmssSSS", "20141111132344657", MOMENT),
            ("yyyy-MM-dd'T'HH:mm:ssX", "2014-11-11T18:53:44+05:30", MOMENT - 657),
            ("dd MMM yyyy", "11 nov 2014", MOMENT - MOMENT % DAY),
            ("h:mm a", "12:05 AM", 5 * MINUTE),
            ("H:mm", "13:05 and more", 13 * HOUR + 5 * MINUTE),
            ("yyyy-MM-dd", "2014-13-01", Date { year: 2015, month: 1, day: 1, time: 0 }.millis()),
            ("dd/MM/yy", "1/1/70", 0),
            ("yyyy DDD", "1970 032", 31 * DAY),
        ];
        for (pattern, text, millis) in cases {
            assert_eq!(read(pattern, text), Some(millis), "{text}");
        }
        for (pattern, text) in [(USUAL, "2014-11-11"), ("yyyy", "no"), ("dd MMM", "1 xyz")] {
            assert_eq!(read(pattern, text), None, "{text}");
        }
    }

    #[test]
    fn wrong_formats_are_refused() {
        assert!(Format::parse("yyyy 'of").is_err());
        assert!(Format::parse("bb").is_err());
    }

    #[test]
    fn months_end_where_they_end() {
        let date = Date { year: 2024, month: 1, day: 31, time: 0 };
        assert_eq!(date.plus_months(1).day, 29);
        assert_eq!(date.plus_months(-2), Date { year: 2023, month: 11, day: 30, time: 0 });
        assert_eq!(Date::of(date.millis()), date);
        assert_eq!(Date { year: 2024, month: 12, day: 29, time: 0 }.week(), 1);
        assert_eq!(Date { year: 2024, month: 12, day: 28, time: 5 }.week(), 52);
    }
}
