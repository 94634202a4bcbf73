//! Things on the earth, each with those that are near it, found by bands of latitude.

use crate::engine::geometry::Place;
use crate::engine::geometry::degrees;
use crate::engine::geometry::distance;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::event::Map;
use crate::event::Text;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// All things of a slot.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    things: Vec<Thing>,
    numbers: Map<Text, u32>,
    /// By band and longitude, the numbers of the things there.
    bands: BTreeMap<(i64, i64, u32), Place>,
}

#[derive(Debug)]
struct Thing {
    id: Text,
    at: Place,
    near: BTreeSet<u32>,
}

/// Parts of a degree by which longitudes are told apart in the index.
const PARTS: f64 = 1e6;

/// Longitude in the index, rounded down.
fn along(longitude: f64) -> i64 {
    (longitude * PARTS).floor() as i64
}

/// The band of latitude, each as high as things see.
fn band(latitude: f64, radius: f64) -> i64 {
    (latitude / degrees(radius)).floor() as i64
}

impl Neighbours {
    /// A thing goes to a place; which others are near now that were not, and which are not any
    /// more, in the order in which things first appeared.
    pub(super) fn go(&mut self, id: &Text, at: Place, radius: f64) -> Vec<(Text, bool)> {
        let number = self.number(id, at);
        let own = number as usize;
        let before = self.things[own].at;
        self.bands.remove(&(band(before.1, radius), along(before.0), number));
        self.things[own].at = at;
        let near = self.near(at, radius);
        self.bands.insert((band(at.1, radius), along(at.0), number), at);
        let before = std::mem::replace(&mut self.things[own].near, near);
        let mut changed = Vec::new();
        for other in before.union(&self.things[own].near.clone()).copied() {
            let is_near = self.things[own].near.contains(&other);
            let thing = &mut self.things[other as usize];
            let changes = match is_near {
                true => thing.near.insert(number),
                false => thing.near.remove(&number),
            };
            if changes {
                changed.push((thing.id.clone(), is_near));
            }
        }
        changed
    }

    fn number(&mut self, id: &Text, at: Place) -> u32 {
        if let Some(&number) = self.numbers.get(id) {
            return number;
        }
        let number = self.things.len() as u32;
        self.numbers.insert(id.clone(), number);
        self.things.push(Thing { id: id.clone(), at, near: BTreeSet::new() });
        number
    }

    /// The things within a radius of a place.
    fn near(&self, at: Place, radius: f64) -> BTreeSet<u32> {
        let reach = degrees(radius);
        // Degrees of longitude are shortest where the circle is nearest to a pole.
        let widest = (at.1.abs() + reach).min(90.0).to_radians();
        let shrink = libm::cos(widest);
        let across = if shrink * 180.0 <= reach { 180.0 } else { reach / shrink };
        // Beyond the 180th meridian the earth goes on at the other end.
        let (west, east) = (at.0 - across, at.0 + across);
        let ranges = [(west, east), (west + 360.0, east + 360.0), (west - 360.0, east - 360.0)];
        let mut near = BTreeSet::new();
        for latitude in band(at.1 - reach, radius)..=band(at.1 + reach, radius) {
            for (west, east) in ranges {
                let (first, last) = (along(west), along(east));
                let found = self.bands.range((latitude, first, 0)..=(latitude, last, u32::MAX));
                let met = found.filter(|(_, there)| distance(at, **there) <= radius);
                near.extend(met.map(|((.., number), _)| *number));
            }
        }
        near
    }

    pub(super) fn save(&self, state: &mut StateWriter) {
        state.put(&(self.things.len() as u32));
        for thing in &self.things {
            state.put(&thing.id);
            state.put(&thing.at);
            state.put(&thing.near.iter().copied().collect::<Vec<_>>());
        }
    }

    /// Takes what [`Neighbours::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are not that.
    pub(super) fn load(
        &mut self,
        radius: f64,
        state: &mut StateReader<'_>,
    ) -> Result<(), LoadError> {
        *self = Neighbours::default();
        let count: u32 = state.get()?;
        for number in 0..count {
            let (id, at): (Text, Place) = (state.get()?, state.get()?);
            let near: BTreeSet<u32> = state.get::<Vec<u32>>()?.into_iter().collect();
            let known = self.numbers.insert(id.clone(), number).is_some();
            if known || near.iter().any(|&other| other >= count) {
                return Err(LoadError::Malformed);
            }
            self.bands.insert((band(at.1, radius), along(at.0), number), at);
            self.things.push(Thing { id, at, near });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(things: &mut Neighbours, id: &str, at: Place, radius: f64) -> String {
        let met = things.go(&id.into(), at, radius);
        let each =
            met.iter().map(|(other, near)| format!("{}{other}", if *near { '+' } else { '-' }));
        each.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn things_meet_and_part() {
        let mut things = Neighbours::default();
        let mut go = |id: &str, at: Place| told(&mut things, id, at, 111_000.0);
        assert_eq!(go("1", (0.0, 0.0)), "");
        assert_eq!(go("2", (1.0, 1.0)), "");
        assert_eq!(go("3", (2.0, 2.0)), "");
        assert_eq!(go("1", (1.5, 1.5)), "+2 +3");
        assert_eq!(go("1", (1.6, 1.6)), "");
        assert_eq!(go("2", (5.0, 5.0)), "-1");
        assert_eq!(go("1", (5.5, 5.5)), "+2 -3");
    }

    #[test]
    fn the_earth_is_round() {
        let mut things = Neighbours::default();
        let mut go = |id: &str, at: Place| told(&mut things, id, at, 5_000.0);
        assert_eq!(go("east", (179.99, 10.0)), "");
        assert_eq!(go("west", (-179.99, 10.0)), "+east");
        assert_eq!(go("pole", (0.0, 89.99)), "");
        assert_eq!(go("other side of the pole", (180.0, 89.99)), "+pole");
    }

    /// What the index finds is what looking at all finds.
    #[test]
    fn nothing_near_is_missed() {
        let mut things = Neighbours::default();
        let mut seed = 7u64;
        let mut next = |most: f64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 11) as f64 / (1u64 << 53) as f64 * most
        };
        let mut places: Vec<Option<Place>> = vec![None; 40];
        for _ in 0..2_000 {
            let thing = next(40.0) as usize;
            let at = (next(2.0) - 1.0, 59.0 + next(2.0));
            places[thing] = Some(at);
            things.go(&format!("{thing}").into(), at, 30_000.0);
            let near =
                |other: &Option<Place>| other.is_some_and(|other| distance(at, other) <= 30_000.0);
            let expected = places.iter().filter(|other| near(other)).count() - 1;
            let number = things.numbers[&Text::from(format!("{thing}"))];
            assert_eq!(things.things[number as usize].near.len(), expected);
        }
    }
}
