//! Whether a shape lies within another.

use crate::engine::geometry::Part;
use crate::engine::geometry::Place;
use crate::engine::geometry::Shape;
use crate::engine::geometry::closest::nearest_on_edge;
use crate::engine::geometry::distance;
use crate::engine::geometry::turn;

impl Shape {
    /// Whether each part lies within one of the other shape's.
    pub fn is_within(&self, other: &Shape) -> bool {
        self.parts.iter().all(|part| other.parts.iter().any(|other| is_within(part, other)))
    }
}

fn is_within(part: &Part, other: &Part) -> bool {
    match (part, other) {
        (Part::Disc(middle, radius), Part::Disc(around, reach)) => {
            distance(*middle, *around) + radius <= *reach
        }
        (Part::Disc(middle, radius), other) => {
            let reach = || distance(nearest_on_edge(other, *middle), *middle);
            other.holds(*middle) && (*radius == 0.0 || reach() >= *radius)
        }
        (part, Part::Disc(..)) => part.corners().all(|corner| other.covers(corner)),
        (Part::Area(_), Part::Path(_)) => false,
        (part, Part::Path(_)) => part.corners().all(|corner| other.covers(corner)),
        (part, Part::Area(rings)) => {
            let in_hole = |hole: &Vec<Place>| hole.iter().any(|&corner| part.holds(corner));
            part.edges().all(|edge| is_covered(edge, other))
                && !(matches!(part, Part::Area(_)) && rings[1..].iter().any(in_hole))
        }
    }
}

/// Whether an edge leaves an area nowhere: it is cut where it meets the area's edges, and each
/// piece lies inside or outside as its middle does.
fn is_covered((start, end): (Place, Place), area: &Part) -> bool {
    let at =
        |share: f64| (start.0 + (end.0 - start.0) * share, start.1 + (end.1 - start.1) * share);
    let mut cuts: Vec<f64> = vec![0.0, 1.0];
    for (one, other) in area.edges() {
        let (from, to) = (turn(one, other, start), turn(one, other, end));
        if from != to {
            cuts.push(from / (from - to));
        } else if from == 0.0 {
            // Along an edge the pieces end where that does.
            cuts.extend([one, other].map(|corner| share_of((start, end), corner)));
        }
    }
    cuts.retain(|cut| (0.0..=1.0).contains(cut));
    cuts.sort_by(f64::total_cmp);
    let along = |middle: Place| area.edges().any(|edge| is_along(edge, (start, end), middle));
    cuts.windows(2).filter(|piece| piece[0] < piece[1]).all(|piece| {
        let middle = at((piece[0] + piece[1]) / 2.0);
        area.surrounds(middle) || along(middle)
    })
}

/// How far along an edge a place on its line lies.
fn share_of((start, end): (Place, Place), place: Place) -> f64 {
    let (x, y) = (end.0 - start.0, end.1 - start.1);
    match x.abs() > y.abs() {
        true => (place.0 - start.0) / x,
        false => (place.1 - start.1) / y,
    }
}

/// Whether an edge lies on the line of another one, and a place of it between the other's ends.
fn is_along(edge: (Place, Place), (start, end): (Place, Place), place: Place) -> bool {
    let on_line = turn(edge.0, edge.1, start) == 0.0 && turn(edge.0, edge.1, end) == 0.0;
    on_line && (0.0..=1.0).contains(&share_of(edge, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(one: &str, other: &str) -> bool {
        let shape = |text: &str| Shape::parse(text).expect("it is a shape");
        shape(one).is_within(&shape(other))
    }

    fn polygon(corners: &str) -> String {
        format!("{{'type':'Polygon','coordinates':[[{corners}]]}}")
    }

    #[test]
    fn an_area_lies_within_another() {
        let square = polygon("[0,0],[4,0],[4,4],[0,4],[0,0]");
        assert!(within(&polygon("[1,1],[2,1],[2,2],[1,1]"), &square));
        assert!(within(&square, &square), "it may share edges");
        assert!(within(&polygon("[0,0],[4,0],[4,2],[0,0]"), &square));
        assert!(!within(&polygon("[1,1],[5,1],[2,2],[1,1]"), &square));
        assert!(!within(&square, &polygon("[1,1],[2,1],[2,2],[1,1]")));
    }

    #[test]
    fn an_area_must_not_leave_through_a_notch() {
        let notched = polygon("[0,0],[4,0],[4,4],[2,1],[0,4],[0,0]");
        assert!(!within(&polygon("[0,0],[4,0],[4,4],[0,4],[0,0]"), &notched));
        assert!(!within(&polygon("[0,3],[4,3],[4,0],[0,0],[0,3]"), &notched));
        assert!(within(&polygon("[1,0.5],[3,0.5],[2,1],[1,0.5]"), &notched));
        let holed = "{'type':'Polygon','coordinates':[[[0,0],[9,0],[9,9],[0,9],[0,0]],\
                     [[4,4],[5,4],[5,5],[4,5],[4,4]]]}";
        assert!(!within(&polygon("[1,1],[8,1],[8,8],[1,8],[1,1]"), holed), "around the hole");
        assert!(within(&polygon("[1,1],[3,1],[3,3],[1,3],[1,1]"), holed));
    }

    #[test]
    fn circles_and_places_lie_within() {
        let circle = |at: &str, radius: u32| {
            format!("{{'type':'Circle','coordinates':{at},'radius':{radius}}}")
        };
        let field = polygon("[0,0],[0,4],[3,4],[3,0],[0,0]");
        assert!(within(&circle("[1.5,1.5]", 110_575), &field));
        assert!(!within(&circle("[0.5,1.5]", 110_575), &field));
        assert!(within(&circle("[0.5,1.5]", 10), &circle("[0.5,1.5]", 110_575)));
        assert!(!within(&circle("[0.5,1.5]", 20), &circle("[0.5,1.5]", 10)));
        let small = polygon("[0.5,0.5],[0.5,-0.5],[-0.5,-0.5],[-0.5,0.5],[0.5,0.5]");
        assert!(within(&small, &circle("[0,0]", 110_575)));
        assert!(within("{'type':'Point','coordinates':[1,1]}", &field));
        assert!(!within("{'type':'Point','coordinates':[0,1]}", &field), "on the edge");
    }
}
