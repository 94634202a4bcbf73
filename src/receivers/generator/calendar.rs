//! A moment as log lines write it: `Dec 10 06:55:46`, in UTC.

use std::fmt::Write as _;

use crate::event::Millis;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends a moment.
pub fn write(at: Millis, into: &mut String) {
    let seconds = at.div_euclid(1000);
    let (day, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (month, of_month) = month_and_day(day);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let month = MONTHS[month];
    write!(into, "{month} {of_month:2} {hour:02}:{minute:02}:{second:02}")
        .expect("a String takes everything");
}

/// Month from 0 and day from 1 of a day counted from 1970-01-01.
fn month_and_day(day: i64) -> (usize, i64) {
    // Years are counted from March, so that the leap day comes last: 146,097 days are 400 years.
    let of_era = (day + 719_468).rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    (((month + 2) % 12) as usize, of_year - (153 * month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_syslog_does() {
        for (seconds, text) in [
            (0, "Jan  1 00:00:00"),
            (951_782_400, "Feb 29 00:00:00"),
            (1_735_689_599, "Dec 31 23:59:59"),
            (1_740_787_200, "Mar  1 00:00:00"),
            (-1, "Dec 31 23:59:59"),
        ] {
            let mut written = String::new();
            write(seconds * 1000, &mut written);
            assert_eq!(written, text, "{seconds}");
        }
    }
}
