//! Time zones: how far the clocks of a place stand before those of UTC, and when its days begin.
//!
//! Zones are known by their distance to UTC or by their names in the IANA database. Its rules are
//! part of the program, so that two machines agree whatever is installed on them.

use crate::event::Millis;
use crate::plan::calendar::DAY;
use crate::plan::calendar::offset;
use jiff::Timestamp;
use jiff::tz::Offset;
use jiff::tz::TimeZone;
use jiff::tz::TimeZoneDatabase;
use std::fmt;

/// The clocks of a place.
#[derive(Clone, PartialEq)]
pub enum Zone {
    /// They always stand so far before those of UTC.
    Fixed(Millis),
    /// They follow the rules of a named zone.
    Named(TimeZone),
}

impl Zone {
    /// The clocks of UTC.
    pub const UTC: Zone = Zone::Fixed(0);

    /// Reads `+05:30`, `UTC` or a name such as `Europe/Berlin`.
    pub fn read(text: &str) -> Option<Zone> {
        if let Some(offset) = offset(text) {
            return Some(Zone::Fixed(offset));
        }
        TimeZoneDatabase::bundled().get(text.trim()).ok().map(Zone::Named)
    }

    /// All names, in the order of the alphabet.
    pub fn names() -> Vec<String> {
        let names = TimeZoneDatabase::bundled();
        names.available().map(|name| name.as_str().to_owned()).collect()
    }

    /// What clocks there show at a moment, in milliseconds since they showed 1970-01-01.
    pub fn local(&self, at: Millis) -> Millis {
        at.saturating_add(self.offset(at))
    }

    fn offset(&self, at: Millis) -> Millis {
        match self {
            Zone::Fixed(offset) => *offset,
            Zone::Named(zone) => i64::from(zone.to_offset(timestamp(at)).seconds()) * 1_000,
        }
    }

    /// From when on clocks there never again show less than this. Where they leap over it, that is
    /// the moment at which they do.
    pub fn moment(&self, local: Millis) -> Millis {
        let nearest = timestamp(local);
        let zone = match self {
            Zone::Named(zone) if nearest.as_millisecond() == local => zone,
            _ => return local.saturating_sub(self.offset(local)),
        };
        let shown = Offset::UTC.to_datetime(nearest);
        let ambiguous = || zone.to_ambiguous_timestamp(shown);
        let (Ok(earlier), Ok(later)) = (ambiguous().compatible(), ambiguous().later()) else {
            return local.saturating_sub(self.offset(local));
        };
        let (earlier, later) = (earlier.as_millisecond(), later.as_millisecond());
        // Clocks that are turned back at a quarter past midnight show the day before once more.
        if self.local(later.saturating_sub(1)) < local { later } else { earlier }
    }

    /// The day that holds a moment, in days since 1970-01-01.
    pub fn day(&self, at: Millis) -> i64 {
        let day = self.local(at).div_euclid(DAY);
        if self.moment(day.saturating_mul(DAY)) > at { day - 1 } else { day }
    }
}

/// The nearest moment that the database knows of; it knows those of 19,000 years.
fn timestamp(at: Millis) -> Timestamp {
    let (first, last) =
        (Timestamp::MIN.as_millisecond() + DAY, Timestamp::MAX.as_millisecond() - DAY);
    Timestamp::from_millisecond(at.clamp(first, last)).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Default for Zone {
    fn default() -> Zone {
        Zone::UTC
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Zone::Fixed(offset) => write!(to, "{offset}"),
            Zone::Named(zone) => to.write_str(zone.iana_name().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::calendar::Period;
    use crate::plan::calendar::moment;

    const HOUR: Millis = 3_600_000;

    fn utc(text: &str) -> Millis {
        moment(text).expect("it is a moment")
    }

    fn zone(name: &str) -> Zone {
        Zone::read(name).expect("it is a zone")
    }

    #[test]
    fn zones_have_names_and_distances() {
        assert_eq!(zone("+05:30"), Zone::Fixed(19_800_000));
        assert_eq!(zone("UTC"), Zone::UTC);
        assert_eq!(zone("europe/berlin"), zone("Europe/Berlin"));
        assert_eq!(format!("{:?}", zone("Europe/Berlin")), "Europe/Berlin");
        assert!(Zone::read("Europe/Atlantis").is_none());
        assert!(Zone::names().contains(&"Asia/Colombo".to_owned()));
    }

    #[test]
    fn days_have_twenty_three_to_twenty_five_hours() {
        let berlin = zone("Europe/Berlin");
        let length = |text: &str| {
            let at = utc(text);
            Period::Day.next(at, &berlin) - Period::Day.start(at, &berlin)
        };
        assert_eq!(length("2024-01-10 12:00:00"), 24 * HOUR);
        assert_eq!(length("2024-03-31 12:00:00"), 23 * HOUR);
        assert_eq!(length("2024-10-27 12:00:00"), 25 * HOUR);
        assert_eq!(
            Period::Day.start(utc("2024-07-01 22:30:00"), &berlin),
            utc("2024-07-01 22:00:00")
        );
        assert_eq!(
            Period::Month.start(utc("2024-07-31 21:59:59"), &berlin),
            utc("2024-06-30 22:00:00")
        );
        assert_eq!(
            Period::Year.next(utc("2024-07-01 00:00:00"), &berlin),
            utc("2024-12-31 23:00:00")
        );
    }

    /// Midnight does not exist in São Paulo on some days, comes twice in the Azores, is followed by
    /// a minute and the hour before in Goose Bay, and half an hour is turned back on Lord Howe.
    #[test]
    fn buckets_follow_each_other_without_a_gap_through_every_change_of_clocks() {
        let turns = [
            ("America/Sao_Paulo", "2017-10-15 00:00:00"),
            ("Atlantic/Azores", "2023-10-28 20:00:00"),
            ("America/Goose_Bay", "2010-11-06 20:00:00"),
            ("Australia/Lord_Howe", "2024-04-06 10:00:00"),
            ("Pacific/Apia", "2011-12-29 20:00:00"),
            ("Europe/Berlin", "2024-10-26 20:00:00"),
            ("Africa/Monrovia", "1972-01-06 20:00:00"),
        ];
        for (name, from) in turns {
            let zone = zone(name);
            for period in Period::ALL.into_iter().skip(1) {
                let (mut at, end) = (utc(from), utc(from) + 48 * HOUR);
                while at < end {
                    let (start, next) = (period.start(at, &zone), period.next(at, &zone));
                    assert!(start <= at && at < next, "{name} {period:?} {at}: {start}..{next}");
                    assert_eq!(period.start(start, &zone), start, "{name} {period:?} {at}");
                    assert_eq!(period.start(next - 1, &zone), start, "{name} {period:?} {at}");
                    assert_eq!(period.start(next, &zone), next, "{name} {period:?} {at}");
                    at = next;
                }
            }
        }
    }

    #[test]
    fn moments_far_away_have_buckets_too() {
        for at in [Millis::MIN / 4, Millis::MAX / 4] {
            for period in Period::ALL {
                let start = period.start(at, &zone("Europe/Berlin"));
                assert!((start - at).abs() <= 366 * DAY, "{period:?}");
            }
        }
    }
}
