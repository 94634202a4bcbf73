//! Where two shapes are closest, and how far apart they are there.

use crate::engine::geometry::Part;
use crate::engine::geometry::Place;
use crate::engine::geometry::Shape;
use crate::engine::geometry::distance;
use crate::engine::geometry::turn;

/// A place of one shape, one of the other, and the metres between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Closest {
    /// In the first shape.
    pub one: Place,
    /// In the second.
    pub other: Place,
    /// 0 where the shapes meet.
    pub metres: f64,
}

impl Closest {
    fn between(one: Place, other: Place) -> Closest {
        Closest { one, other, metres: distance(one, other) }
    }

    /// A place that both shapes have.
    fn at(place: Place) -> Closest {
        Closest { one: place, other: place, metres: 0.0 }
    }

    fn turned(self) -> Closest {
        Closest { one: self.other, other: self.one, ..self }
    }

    fn nearer(self, other: Closest) -> Closest {
        if other.metres < self.metres { other } else { self }
    }
}

impl Shape {
    /// Where this and another shape are closest.
    pub fn closest(&self, other: &Shape) -> Closest {
        let pairs = self
            .parts
            .iter()
            .flat_map(|one| other.parts.iter().map(move |other| closest(one, other)));
        pairs.reduce(Closest::nearer).expect("a shape has parts")
    }
}

fn closest(one: &Part, other: &Part) -> Closest {
    match (one, other) {
        (Part::Disc(middle, radius), other) => to_disc(other, *middle, *radius).turned(),
        (one, Part::Disc(middle, radius)) => to_disc(one, *middle, *radius),
        (one, other) => of_lines(one, other),
    }
}

/// The place on the way from one place to another, so many metres along.
fn towards(from: Place, to: Place, metres: f64) -> Place {
    let whole = distance(from, to);
    let share = if whole > 0.0 { (metres / whole).min(1.0) } else { 0.0 };
    (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share)
}

/// Where a part is closest to a disc.
fn to_disc(part: &Part, middle: Place, radius: f64) -> Closest {
    let nearest = match part {
        part if part.covers(middle) => middle,
        Part::Disc(own, own_radius) => towards(*own, middle, *own_radius),
        part => nearest_on_edge(part, middle),
    };
    if distance(nearest, middle) <= radius {
        return Closest::at(nearest);
    }
    Closest::between(nearest, towards(middle, nearest, radius))
}

/// The place on the edges of a part that is nearest to a place.
pub(super) fn nearest_on_edge(part: &Part, place: Place) -> Place {
    let ends = part.edges().map(|edge| Closest::between(nearest_of(edge, place), place));
    ends.reduce(Closest::nearer).map_or(place, |found| found.one)
}

/// The place of an edge that is nearest to a place, by degrees as long as they are there.
fn nearest_of((start, end): (Place, Place), place: Place) -> Place {
    let shrink = libm::cos(place.1.to_radians());
    let along = |to: Place| ((to.0 - start.0) * shrink, to.1 - start.1);
    let ((x, y), (to_x, to_y)) = (along(end), along(place));
    let squared = x * x + y * y;
    let share = if squared > 0.0 { ((x * to_x + y * to_y) / squared).clamp(0.0, 1.0) } else { 0.0 };
    (start.0 + (end.0 - start.0) * share, start.1 + (end.1 - start.1) * share)
}

/// Where two edges cross, between their ends.
fn crossing((a, b): (Place, Place), (c, d): (Place, Place)) -> Option<Place> {
    let (from, to) = (turn(c, d, a), turn(c, d, b));
    let apart = turn(a, b, c) * turn(a, b, d) < 0.0 && from * to < 0.0;
    let share = from / (from - to);
    apart.then_some((a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share))
}

/// Where paths and areas are closest.
fn of_lines(one: &Part, other: &Part) -> Closest {
    let meets = one.corners().find(|&corner| other.covers(corner));
    let meets = meets.or_else(|| other.corners().find(|&corner| one.covers(corner)));
    let crosses =
        || one.edges().find_map(|edge| other.edges().find_map(|across| crossing(edge, across)));
    if let Some(place) = meets.or_else(crosses) {
        return Closest::at(place);
    }
    let mine = one.corners().map(|at| Closest::between(at, nearest_on_edge(other, at)));
    let theirs = other.corners().map(|at| Closest::between(nearest_on_edge(one, at), at));
    mine.chain(theirs).reduce(Closest::nearer).expect("lines have corners")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(one: &str, other: &str) -> Closest {
        let shape = |text: &str| Shape::parse(text).expect("it is a shape");
        shape(one).closest(&shape(other))
    }

    const SQUARE: &str = "{'type':'Polygon','coordinates':[[[0,0],[4,0],[4,4],[0,4],[0,0]]]}";

    #[test]
    fn the_nearest_place_may_lie_between_corners() {
        let point = "{'type':'Point','coordinates':[5,0.5]}";
        let Closest { one, other, metres } = found(point, SQUARE);
        assert_eq!((one, other), ((5.0, 0.5), (4.0, 0.5)));
        assert_eq!(metres, distance(one, other));
        assert_eq!(found(SQUARE, point), Closest { one: other, other: one, metres });
    }

    #[test]
    fn shapes_that_meet_are_not_apart() {
        let inside = "{'type':'Point','coordinates':[2,3]}";
        assert_eq!(found(inside, SQUARE), Closest::at((2.0, 3.0)));
        let across = "{'type':'LineString','coordinates':[[-1,2],[5,2]]}";
        let Closest { one, other, metres } = found(across, SQUARE);
        assert_eq!((one, one.1, metres), (other, 2.0, 0.0));
        let circle = "{'type':'Circle','coordinates':[5,2],'radius':112000}";
        assert_eq!(found(circle, SQUARE).metres, 0.0);
        let other = "{'type':'Polygon','coordinates':[[[3,3],[9,3],[9,9],[3,9],[3,3]]]}";
        assert_eq!(found(SQUARE, other).metres, 0.0);
    }

    #[test]
    fn a_circle_is_as_far_as_its_edge() {
        let circle = "{'type':'Circle','coordinates':[6,2],'radius':100000}";
        let Closest { one, other, metres } = found(circle, SQUARE);
        let whole = distance((6.0, 2.0), (4.0, 2.0));
        assert!((metres - (whole - 100_000.0)).abs() < 1.0, "{metres}");
        assert!((one.0 - 5.1).abs() < 0.01 && other == (4.0, 2.0), "{one:?} {other:?}");
        let further = "{'type':'Circle','coordinates':[9,2],'radius':100000}";
        let between = found(circle, further).metres;
        assert!((between - (distance((6.0, 2.0), (9.0, 2.0)) - 200_000.0)).abs() < 1.0);
    }
}
