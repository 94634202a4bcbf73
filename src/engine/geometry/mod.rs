//! Shapes on the earth as GeoJSON writes them, with circles: what lies in what, and how far apart.
//!
//! The earth is a sphere; between the corners of a shape its degrees are a plane. A shape must not
//! cross the 180th meridian.

mod closest;
mod within;

use crate::engine::expressions::by_row::Trouble;
use crate::engine::functions::json_text::read;
use crate::event::Structure;
use crate::event::Text;
use crate::event::Value;
use smallvec::SmallVec;
use smallvec::smallvec;

/// The mean radius of the earth, in metres.
const RADIUS: f64 = 6_371_000.0;

/// Longitude and latitude, in degrees.
pub type Place = (f64, f64);

/// The metres between two places.
pub fn distance(from: Place, to: Place) -> f64 {
    let (here, there) = (from.1.to_radians(), to.1.to_radians());
    let up = libm::sin((there - here) / 2.0);
    let along = libm::sin((to.0 - from.0).to_radians() / 2.0);
    let chord = up * up + libm::cos(here) * libm::cos(there) * along * along;
    2.0 * RADIUS * libm::asin(libm::sqrt(chord.min(1.0)))
}

/// The degrees of latitude that so many metres are.
pub fn degrees(metres: f64) -> f64 {
    (metres / RADIUS).to_degrees()
}

/// Places, lines and areas.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    parts: SmallVec<[Part; 1]>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// A middle and metres around it; a place is a disc of none.
    Disc(Place, f64),
    /// A line from place to place.
    Path(Vec<Place>),
    /// An outline and the outlines of its holes, each of which ends where it began.
    Area(Vec<Vec<Place>>),
}

impl Part {
    /// The lines that bound it.
    fn edges(&self) -> impl Iterator<Item = (Place, Place)> {
        let lines: &[Vec<Place>] = match self {
            Part::Disc(..) => &[],
            Part::Path(line) => std::slice::from_ref(line),
            Part::Area(rings) => rings,
        };
        lines.iter().flat_map(|line| line.windows(2).map(|ends| (ends[0], ends[1])))
    }

    /// Its corners.
    fn corners(&self) -> impl Iterator<Item = Place> {
        self.edges().map(|(start, _)| start).chain(match self {
            Part::Path(line) => line.last().copied(),
            _ => None,
        })
    }

    /// Whether a place lies on one of its edges.
    fn has_on_edge(&self, place: Place) -> bool {
        self.edges().any(|edge| is_on(edge, place))
    }

    /// Whether a place is of it, its edges included.
    fn covers(&self, place: Place) -> bool {
        match self {
            Part::Disc(middle, radius) => distance(*middle, place) <= *radius,
            Part::Path(_) => self.has_on_edge(place),
            Part::Area(_) => self.has_on_edge(place) || self.surrounds(place),
        }
    }

    /// Whether a place lies inside of it, beyond all edges.
    fn holds(&self, place: Place) -> bool {
        match self {
            Part::Area(_) => !self.has_on_edge(place) && self.surrounds(place),
            _ => self.covers(place),
        }
    }

    /// Whether a ray from a place crosses edges an odd number of times; in a hole it does so twice.
    fn surrounds(&self, (x, y): Place) -> bool {
        let crossed = |&((x1, y1), (x2, y2)): &(Place, Place)| {
            (y1 > y) != (y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1
        };
        self.edges().filter(crossed).count() % 2 == 1
    }
}

/// Twice the area of a triangle; 0 where its corners lie on a line.
fn turn((x, y): Place, (x1, y1): Place, (x2, y2): Place) -> f64 {
    (x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)
}

fn is_on((start, end): (Place, Place), place: Place) -> bool {
    let between = |a: f64, b: f64, value: f64| a.min(b) <= value && value <= a.max(b);
    turn(start, end, place) == 0.0
        && between(start.0, end.0, place.0)
        && between(start.1, end.1, place.1)
}

impl Shape {
    /// A single place.
    pub fn point(place: Place) -> Shape {
        Shape { parts: smallvec![Part::Disc(place, 0.0)] }
    }

    /// Reads GeoJSON: any geometry, or a `Circle` with `coordinates` and a `radius` in metres.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Shape, Trouble> {
        let mut parts = SmallVec::new();
        read_parts(&read(text)?, &mut parts)?;
        Ok(Shape { parts })
    }
}

const KNOWN: &str = "expected 'Polygon', 'MultiPolygon', 'Circle', 'Point', 'MultiPoint', \
                     'LineString', 'MultiLineString' or 'GeometryCollection'";

fn read_parts(json: &Value, parts: &mut SmallVec<[Part; 1]>) -> Result<(), Trouble> {
    let kind = member(json, "type").and_then(Value::as_text).unwrap_or_default();
    if kind == "GeometryCollection" {
        let all = member(json, "geometries").and_then(elements);
        let all = all.ok_or("the shape has no list of `geometries`")?;
        return all.iter().try_for_each(|each| read_parts(each, parts));
    }
    let coordinates = member(json, "coordinates").ok_or("the shape has no `coordinates`")?;
    let radius = member(json, "radius").and_then(Value::as_double).unwrap_or(0.0);
    let each = |make: fn(&Value) -> Option<Part>| {
        elements(coordinates)?.iter().map(make).collect::<Option<Vec<_>>>()
    };
    let found = match kind {
        "Point" | "Circle" => place(coordinates).map(|at| vec![Part::Disc(at, radius)]),
        "MultiPoint" => each(|value| place(value).map(|at| Part::Disc(at, 0.0))),
        "LineString" => path(coordinates).map(|line| vec![line]),
        "MultiLineString" => each(path),
        "Polygon" => area(coordinates).map(|area| vec![area]),
        "MultiPolygon" => each(area),
        other => return Err(format!("the shape is of type '{other}'; {KNOWN}").into()),
    };
    let found = found.filter(|found| !found.is_empty() && radius >= 0.0);
    parts.extend(found.ok_or("the `coordinates` of the shape are not those of its type")?);
    Ok(())
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Object(object) = value else { return None };
    let Structure::Map(entries) = &**object else { return None };
    let entry = entries.iter().find(|(key, _): &&(Text, Value)| key == name)?;
    Some(&entry.1)
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

fn path(value: &Value) -> Option<Part> {
    let line: Vec<Place> = elements(value)?.iter().map(place).collect::<Option<_>>()?;
    (line.len() >= 2).then_some(Part::Path(line))
}

fn area(value: &Value) -> Option<Part> {
    let ring = |value: &Value| {
        let mut ring: Vec<Place> = elements(value)?.iter().map(place).collect::<Option<_>>()?;
        let first = *ring.first().filter(|_| ring.len() >= 3)?;
        if ring.last() != Some(&first) {
            ring.push(first);
        }
        Some(ring)
    };
    let rings: Vec<Vec<Place>> = elements(value)?.iter().map(ring).collect::<Option<_>>()?;
    (!rings.is_empty()).then_some(Part::Area(rings))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: &str = "{'type':'Polygon','coordinates':[[[0,0],[4,0],[4,4],[0,4],[0,0]],\
                          [[1,1],[2,1],[2,2],[1,2],[1,1]]]}";

    #[test]
    fn places_are_as_far_apart_as_they_are() {
        let (bern, zurich) = ((7.4474, 46.948), (8.5417, 47.3769));
        assert!((distance(bern, zurich) - 95_500.0).abs() < 500.0);
        assert_eq!(distance(bern, bern), 0.0);
        assert!((distance((0.0, 0.0), (180.0, 0.0)) - RADIUS * std::f64::consts::PI).abs() < 1e-6);
        assert!((degrees(RADIUS) - 57.295_779_513).abs() < 1e-9);
    }

    fn holds(shape: &Shape, place: Place) -> bool {
        Shape::point(place).is_within(shape)
    }

    #[test]
    fn shapes_hold_what_is_inside() {
        let square = Shape::parse(SQUARE).expect("it is a shape");
        assert!(holds(&square, (3.0, 3.0)));
        assert!(!holds(&square, (1.5, 1.5)), "in the hole");
        assert!(!holds(&square, (5.0, 3.0)));
        for edge in [(0.0, 2.0), (4.0, 2.0), (2.0, 0.0), (2.0, 4.0), (0.0, 0.0), (1.0, 1.5)] {
            assert!(!holds(&square, edge), "{edge:?} lies on an edge");
        }
        let circle = Shape::parse("{'type':'Circle','coordinates':[0,0],'radius':1000}");
        let circle = circle.expect("it is a shape");
        assert!(holds(&circle, (0.005, 0.0)));
        assert!(!holds(&circle, (0.05, 0.0)));
        let both = format!(
            "{{'type':'GeometryCollection','geometries':[{SQUARE},{{'type':'MultiPoint',\
             'coordinates':[[9,9],[8,8]]}}]}}"
        );
        assert!(holds(&Shape::parse(&both).expect("it is a shape"), (8.0, 8.0)));
    }

    #[test]
    fn what_is_no_shape_is_refused() {
        for wrong in [
            "{}",
            "{'type':'Line','coordinates':[]}",
            "{'type':'Polygon','coordinates':1}",
            "{'type':'Polygon','coordinates':[]}",
            "{'type':'Polygon','coordinates':[[[0,0],[1,1]]]}",
            "{'type':'LineString','coordinates':[[0,0]]}",
            "{'type':'Circle','coordinates':[0,0],'radius':-1}",
            "{'type':'GeometryCollection'}",
        ] {
            assert!(Shape::parse(wrong).is_err(), "{wrong}");
        }
    }
}
