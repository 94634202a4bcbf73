//! Places on the earth: the functions `geo:…`.

use crate::engine::expressions::by_row::Trouble;
use crate::engine::functions::Built;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::engine::functions::json_text::read;
use crate::engine::functions::takes;
use crate::event::DataType;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Parameter;

/// The mean radius of the earth, in metres.
const RADIUS: f64 = 6_371_000.0;

const DOUBLE: &[DataType] = &[DataType::Double];
const LONGITUDE: Parameter = Parameter::any("longitude", DOUBLE);
const LATITUDE: Parameter = Parameter::any("latitude", DOUBLE);
const FENCE: Parameter = Parameter::any("fence", &[DataType::Text]);

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    FunctionDefinition::new(
        "geo:distance",
        "The metres between two places, each given by latitude and longitude in degrees.",
        &[takes(
            &[
                LATITUDE,
                LONGITUDE,
                Parameter::any("otherLatitude", DOUBLE),
                Parameter::any("otherLongitude", DOUBLE),
            ],
            DataType::Double,
        )],
        |setup| {
            setup.by_row(|row| {
                let at = |place: usize| row.needed::<f64>(place).copied();
                Ok(Some(distance((at(0)?, at(1)?), (at(2)?, at(3)?))))
            })
        },
        "define stream Rides (car string, lat double, lon double, lastLat double, lastLon double);
from Rides select car, geo:distance(lat, lon, lastLat, lastLon) as metres insert into Ways;",
    ),
    FunctionDefinition::new(
        "geo:within",
        "Whether a place lies in a fence: GeoJSON of a Polygon, MultiPolygon or Circle.",
        &[takes(&[LONGITUDE, LATITUDE, FENCE], DataType::Bool)],
        |setup| fenced(setup, 2, |fence, place, _| fence.holds(place)),
        r#"define stream Rides (car string, lon double, lat double);
from Rides[geo:within(lon, lat, "{'type': 'Circle', 'coordinates': [8.5, 47.4], 'radius': 900}")]
select car insert into InTown;"#,
    ),
    FunctionDefinition::new(
        "geo:withinDistance",
        "Whether a place is at most so many metres away from another one, a GeoJSON Point.",
        &[takes(&[LONGITUDE, LATITUDE, FENCE, Parameter::any("metres", DOUBLE)], DataType::Bool)],
        |setup| fenced(setup, 2, |fence, place, metres| fence.is_near(place, metres)),
        r#"define stream Rides (car string, lon double, lat double);
from Rides[geo:withinDistance(lon, lat, "{'type': 'Point', 'coordinates': [8.5, 47.4]}", 900)]
select car insert into NearBy;"#,
    ),
];

/// Longitude and latitude.
type Place = (f64, f64);

/// The metres between two places of latitude and longitude, on a sphere.
fn distance(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (here, there) = (from.0.to_radians(), to.0.to_radians());
    let up = libm::sin((there - here) / 2.0);
    let along = libm::sin((to.1 - from.1).to_radians() / 2.0);
    let chord = up * up + libm::cos(here) * libm::cos(there) * along * along;
    2.0 * RADIUS * libm::asin(libm::sqrt(chord.min(1.0)))
}

/// A region.
enum Fence {
    /// Polygons, each an outline and its holes.
    Polygons(Vec<Vec<Vec<Place>>>),
    /// A middle and metres around it.
    Circle(Place, f64),
}

impl Fence {
    /// Reads GeoJSON.
    fn parse(text: &str) -> Result<Fence, Trouble> {
        let json = read(text)?;
        let kind = member(&json, "type").and_then(Value::as_text).unwrap_or_default();
        let coordinates = member(&json, "coordinates").ok_or("the fence has no `coordinates`")?;
        let wrong = || Trouble::from("the `coordinates` of the fence are not those of its type");
        match kind {
            "Polygon" => Ok(Fence::Polygons(vec![rings(coordinates).ok_or_else(wrong)?])),
            "MultiPolygon" => {
                let polygons =
                    elements(coordinates).and_then(|all| all.iter().map(rings).collect());
                polygons.map(Fence::Polygons).ok_or_else(wrong)
            }
            "Point" | "Circle" => {
                let middle = place(coordinates).ok_or_else(wrong)?;
                let radius = member(&json, "radius").and_then(Value::as_double);
                Ok(Fence::Circle(middle, radius.unwrap_or(0.0)))
            }
            other => Err(format!(
                "the fence is of type '{other}'; expected 'Polygon', 'MultiPolygon', 'Circle' or \
                 'Point'"
            )
            .into()),
        }
    }

    fn holds(&self, place: Place) -> bool {
        match self {
            Fence::Circle(..) => self.is_near(place, 0.0),
            Fence::Polygons(polygons) => polygons.iter().any(|rings| {
                // A place in a hole is in two rings.
                rings.iter().filter(|ring| surrounds(ring, place)).count() % 2 == 1
            }),
        }
    }

    fn is_near(&self, place: Place, metres: f64) -> bool {
        match self {
            Fence::Circle(middle, radius) => {
                distance((place.1, place.0), (middle.1, middle.0)) <= radius + metres
            }
            Fence::Polygons(polygons) => {
                self.holds(place)
                    || polygons
                        .iter()
                        .flatten()
                        .flatten()
                        .any(|corner| distance((place.1, place.0), (corner.1, corner.0)) <= metres)
            }
        }
    }
}

/// Whether a ray from the place crosses the ring an odd number of times.
fn surrounds(ring: &[Place], (x, y): Place) -> bool {
    let mut inside = false;
    let mut last = ring.len().wrapping_sub(1);
    for at in 0..ring.len() {
        let ((x1, y1), (x2, y2)) = (ring[at], ring[last]);
        if (y1 > y) != (y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1 {
            inside = !inside;
        }
        last = at;
    }
    inside
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Object(object) = value else { return None };
    let Structure::Map(entries) = &**object else { return None };
    entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn elements(value: &Value) -> Option<&[Value]> {
    let Value::Object(object) = value else { return None };
    let Structure::List(values) = &**object else { return None };
    Some(values)
}

fn place(value: &Value) -> Option<Place> {
    match elements(value)? {
        [x, y, ..] => Some((x.as_double()?, y.as_double()?)),
        _ => None,
    }
}

fn rings(value: &Value) -> Option<Vec<Vec<Place>>> {
    elements(value)?.iter().map(|ring| elements(ring)?.iter().map(place).collect()).collect()
}

fn fenced(setup: FunctionSetup<'_>, at: usize, test: fn(&Fence, Place, f64) -> bool) -> Built {
    let mut known: Option<(Text, Fence)> = None;
    if let Some(text) = setup.constant_text(at) {
        let fence = Fence::parse(text);
        let fence = fence.map_err(|why| ArgumentFault::at(at, why.into_owned()))?;
        known = Some((text.into(), fence));
    }
    setup.by_row(move |row| {
        let text = row.needed::<Text>(at)?;
        if known.as_ref().is_none_or(|(last, _)| last != text) {
            known = Some((text.clone(), Fence::parse(text)?));
        }
        let metres = if row.count() > 3 { *row.needed::<f64>(3)? } else { 0.0 };
        let place = (*row.needed::<f64>(0)?, *row.needed::<f64>(1)?);
        Ok(known.as_ref().map(|(_, fence)| test(fence, place, metres)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_far_apart_as_they_are() {
        let (bern, zurich) = ((46.948, 7.4474), (47.3769, 8.5417));
        assert!((distance(bern, zurich) - 95_500.0).abs() < 500.0);
        assert_eq!(distance(bern, bern), 0.0);
        assert!((distance((0.0, 0.0), (0.0, 180.0)) - RADIUS * std::f64::consts::PI).abs() < 1e-6);
    }

    #[test]
    fn fences_hold_what_is_inside() {
        let square = "{'type':'Polygon','coordinates':[[[0,0],[4,0],[4,4],[0,4],[0,0]],\
                      [[1,1],[2,1],[2,2],[1,2],[1,1]]]}";
        let fence = Fence::parse(square).expect("it is a fence");
        assert!(fence.holds((3.0, 3.0)));
        assert!(!fence.holds((1.5, 1.5)), "in the hole");
        assert!(!fence.holds((5.0, 3.0)));
        let circle = "{'type':'Circle','coordinates':[0,0],'radius':1000}";
        let fence = Fence::parse(circle).expect("it is a fence");
        assert!(fence.holds((0.005, 0.0)));
        assert!(!fence.holds((0.05, 0.0)));
        for wrong in
            ["{}", "{'type':'Line','coordinates':[]}", "{'type':'Polygon','coordinates':1}"]
        {
            assert!(Fence::parse(wrong).is_err(), "{wrong}");
        }
    }
}
