//! Cron expressions as Quartz has them, in UTC: seconds first, an optional year last, days of the
//! week from 1 for Sunday to 7 for Saturday.

use crate::event::Millis;
use croner::CivilDate;
use croner::CivilDateTime;
use croner::CivilTime;
use croner::CronDateTime;
use croner::Resolution;
use croner::Weekday;
use croner::errors::CronError;
use croner::parser::CronParser;
use croner::parser::Seconds;
use std::cmp::Ordering;

/// A cron expression that was understood.
#[derive(Clone, Debug)]
pub struct Cron {
    schedule: croner::Cron,
}

impl Cron {
    /// Reads an expression such as `0 30 9 ? * MON-FRI`.
    ///
    /// # Errors
    /// What is wrong with it, and what was expected.
    pub fn parse(text: &str) -> Result<Cron, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if !(6..=7).contains(&fields.len()) {
            return Err(format!(
                "expected six fields, or seven with the year (seconds, minutes, hours, day of \
                 month, month, day of week), found {} in `{text}`",
                fields.len()
            ));
        }
        let is_open = |field: &str| matches!(field, "*" | "?");
        if !is_open(fields[3]) && !is_open(fields[5]) {
            return Err(format!(
                "day of month (`{}`) and day of week (`{}`) cannot both be given; write `?` for \
                 the one that is open",
                fields[3], fields[5]
            ));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .alternative_weekdays(true)
            .sloppy_ranges(true)
            .build();
        let schedule = parser
            .parse(text)
            .map_err(|error| format!("`{text}` is no cron expression: {error}"))?;
        let cron = Cron { schedule };
        match cron.next_after(0) {
            Some(_) => Ok(cron),
            None => Err(format!("the moment that `{text}` names never comes")),
        }
    }

    /// The first moment after `millis` at which the expression fires; `None` if there is none.
    pub fn next_after(&self, millis: Millis) -> Option<Millis> {
        let from = Moment { seconds: millis.div_euclid(1000) };
        let next = self.schedule.find_next_occurrence(&from, false).ok()?;
        next.seconds.checked_mul(1000)
    }
}

/// A second of UTC, counted from 1970.
#[derive(Clone, Copy, Debug)]
struct Moment {
    seconds: i64,
}

const DAY: i64 = 24 * 60 * 60;
/// Days of 400 years, after which the calendar repeats itself.
const ERA: i64 = 146_097;
/// Days from the first of March of the year 0 to 1970.
const EPOCH: i64 = 719_468;

impl Moment {
    /// Counts years from March, so that the leap day is a year's last.
    fn date(self) -> CivilDate {
        let days = self.seconds.div_euclid(DAY) + EPOCH;
        let of_era = days.rem_euclid(ERA);
        let years = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * years + years / 4 - years / 100);
        // Months from March on have 153 days in each five.
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = days.div_euclid(ERA) * 400 + years + i64::from(month <= 2);
        CivilDate::from_ymd_opt(year as i32, month as u32, day as u32).unwrap_or(
            // Beyond the years that the calendar has, where nothing fires any more.
            CivilDate::from_parts_unchecked(croner::YEAR_UPPER_LIMIT, 1, 1),
        )
    }

    fn of(civil: CivilDateTime) -> Moment {
        let (month, day) = (i64::from(civil.month()), i64::from(civil.day()));
        let year = i64::from(civil.year()) - i64::from(month <= 2);
        let of_era = year.rem_euclid(400);
        let from_march = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * from_march + 2) / 5 + day - 1;
        let days = year.div_euclid(400) * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        let time = i64::from(civil.hour()) * 3600
            + i64::from(civil.minute()) * 60
            + i64::from(civil.second());
        Moment { seconds: (days - EPOCH) * DAY + time }
    }
}

impl CronDateTime for Moment {
    fn to_civil(&self) -> CivilDateTime {
        let of_day = self.seconds.rem_euclid(DAY) as u32;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        CivilDateTime::new(self.date(), CivilTime::from_parts_unchecked(hour, minute, second))
    }

    fn civil_weekday(&self) -> Weekday {
        // The first of January 1970 was a Thursday.
        Weekday::Thursday.shift(self.seconds.div_euclid(DAY).rem_euclid(7) as i32)
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Moment>, CronError> {
        Ok(Resolution::Single(Moment::of(civil)))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Moment> {
        self.seconds.checked_add(seconds).map(|seconds| Moment { seconds })
    }

    fn cmp_instant(&self, other: &Moment) -> Ordering {
        self.seconds.cmp(&other.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: i32, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Millis {
        let civil = CivilDateTime::from_ymd_hms(year, month, day, hour, minute, second);
        Moment::of(civil.expect("a date")).seconds * 1000
    }

    #[test]
    fn days_and_dates_agree_over_the_centuries() {
        assert_eq!(at(1970, 1, 1, 0, 0, 0), 0);
        assert_eq!(at(2026, 11, 22, 10, 15, 30), 1_795_342_530_000);
        let mut moment = Moment { seconds: at(1899, 12, 31, 12, 0, 0) / 1000 };
        for _ in 0..100_000 {
            assert_eq!(Moment::of(moment.to_civil()).seconds, moment.seconds);
            let before = moment.date();
            moment.seconds += DAY;
            assert!(moment.date() > before);
        }
    }

    #[test]
    fn expressions_fire_as_quartz_says() {
        // A Sunday.
        let from = at(2026, 11, 22, 10, 15, 30);
        let cases = [
            ("*/5 * * * * ?", at(2026, 11, 22, 10, 15, 35)),
            ("0/5 * * * * ?", at(2026, 11, 22, 10, 15, 35)),
            ("* * * * * *", at(2026, 11, 22, 10, 15, 31)),
            ("30 15 10 * * ?", at(2026, 11, 23, 10, 15, 30)),
            ("0 0 12 1 * ?", at(2026, 12, 1, 12, 0, 0)),
            ("0 30 9 ? * MON-FRI", at(2026, 11, 23, 9, 30, 0)),
            ("0 30 9 ? * 2-6", at(2026, 11, 23, 9, 30, 0)),
            ("0 0 9 ? * 1", at(2026, 11, 29, 9, 0, 0)),
            ("0 0 9 ? * 7", at(2026, 11, 28, 9, 0, 0)),
            ("0 0 0 L * ?", at(2026, 11, 30, 0, 0, 0)),
            ("0 0 0 ? * 6L", at(2026, 11, 27, 0, 0, 0)),
            ("0 0 0 ? * 6#3", at(2026, 12, 18, 0, 0, 0)),
            ("0 0 0 15W * ?", at(2026, 12, 15, 0, 0, 0)),
            ("0 0 0 29 FEB ?", at(2028, 2, 29, 0, 0, 0)),
            ("0 0 0 1 1 ? 2030", at(2030, 1, 1, 0, 0, 0)),
            ("0,30 10-12 8/4 * * ?", at(2026, 11, 22, 12, 10, 0)),
        ];
        for (text, wanted) in cases {
            let cron = Cron::parse(text).expect(text);
            assert_eq!(cron.next_after(from), Some(wanted), "{text}");
            assert_eq!(cron.next_after(wanted - 1), Some(wanted), "{text}");
        }
        let past = Cron::parse("0 0 0 1 1 ? 2020").expect("it fired once");
        assert_eq!(past.next_after(from), None);
        assert_eq!(past.next_after(Millis::MAX), None);
        assert_eq!(past.next_after(-1), Some(at(2020, 1, 1, 0, 0, 0)));
    }

    #[test]
    fn what_is_no_expression_is_explained() {
        for (text, part) in [
            ("", "six fields"),
            ("*/5 * * * *", "found 5"),
            ("* * * * * * * *", "found 8"),
            ("0 0 0 1 * 2", "write `?`"),
            ("61 * * * * ?", "no cron expression"),
            ("a b c d e f", "cannot both be given"),
            ("0 0 0 30 2 ?", "never comes"),
        ] {
            let message = Cron::parse(text).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
