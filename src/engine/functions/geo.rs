//! Places on the earth: the functions `geo:…`.

use crate::engine::expressions::by_row::Arguments;
use crate::engine::expressions::by_row::Trouble;
use crate::engine::functions::Built;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::engine::functions::takes;
use crate::engine::geometry::Shape;
use crate::engine::geometry::distance;
use crate::event::DataType;
use crate::event::Text;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;

const DOUBLE: &[DataType] = &[DataType::Double];
const LONGITUDE: Parameter = Parameter::any("longitude", DOUBLE);
const LATITUDE: Parameter = Parameter::any("latitude", DOUBLE);
const SHAPE: Parameter = Parameter::any("geometry", &[DataType::Text]);
const FENCE: Parameter = Parameter::any("fence", &[DataType::Text]);
const METRES: Parameter = Parameter::any("metres", DOUBLE);

/// What may stand before a fence: a place, or a shape.
const FENCED: &[Overload] =
    &[takes(&[LONGITUDE, LATITUDE, FENCE], DataType::Bool), takes(&[SHAPE, FENCE], DataType::Bool)];

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
                Ok(Some(distance((at(1)?, at(0)?), (at(3)?, at(2)?))))
            })
        },
        "define stream Rides (car string, lat double, lon double, lastLat double, lastLon double);
from Rides select car, geo:distance(lat, lon, lastLat, lastLon) as metres insert into Ways;",
    ),
    FunctionDefinition::new(
        "geo:within",
        "Whether a place, or a shape, lies in a fence, not only on its edge; both shapes are \
         GeoJSON, such as a Polygon, a MultiPolygon, or a Circle with a radius in metres.",
        FENCED,
        |setup| fenced(setup, |shape, fence, _| shape.is_within(fence)),
        r#"define stream Rides (car string, lon double, lat double);
from Rides[geo:within(lon, lat, "{'type': 'Circle', 'coordinates': [8.5, 47.4], 'radius': 900}")]
select car insert into InTown;"#,
    ),
    FunctionDefinition::new(
        "geo:intersects",
        "Whether a place, or a shape, has a place in common with a fence, its edge included; both \
         shapes are GeoJSON, or a Circle with a radius in metres.",
        FENCED,
        |setup| fenced(setup, |shape, fence, _| shape.closest(fence).metres <= 0.0),
        r#"define stream Fields (name string, outline string);
from Fields[geo:intersects(outline, "{'type': 'LineString', 'coordinates': [[8, 47], [9, 48]]}")]
select name insert into UnderTheLine;"#,
    ),
    FunctionDefinition::new(
        "geo:withinDistance",
        "Whether a place, or a shape, is at most so many metres away from another shape, both of \
         GeoJSON.",
        &[
            takes(&[LONGITUDE, LATITUDE, FENCE, METRES], DataType::Bool),
            takes(&[SHAPE, FENCE, METRES], DataType::Bool),
        ],
        |setup| fenced(setup, |shape, fence, metres| shape.closest(fence).metres <= metres),
        r#"define stream Rides (car string, lon double, lat double);
from Rides[geo:withinDistance(lon, lat, "{'type': 'Point', 'coordinates': [8.5, 47.4]}", 900)]
select car insert into NearBy;"#,
    ),
];

/// The shape that a text was last, so that it is read once as long as it stays.
#[derive(Default)]
struct Known(Option<(Text, Shape)>);

impl Known {
    /// Begins with the text at a place, if that is constant.
    fn of(setup: &FunctionSetup<'_>, place: usize) -> Result<Known, ArgumentFault> {
        let mut known = Known::default();
        if let Some(text) = setup.constant_text(place) {
            let shape = known.shape(&text.into()).map(drop);
            shape.map_err(|why| ArgumentFault::at(place, why.into_owned()))?;
        }
        Ok(known)
    }

    fn shape(&mut self, text: &Text) -> Result<&Shape, Trouble> {
        if self.0.as_ref().is_none_or(|(last, _)| last != text) {
            self.0 = Some((text.clone(), Shape::parse(text)?));
        }
        Ok(&self.0.as_ref().expect("it was just read").1)
    }
}

/// A question about a place or a shape, a fence behind it, and metres where those stand last.
fn fenced(setup: FunctionSetup<'_>, test: fn(&Shape, &Shape, f64) -> bool) -> Built {
    let given = setup.arguments.first().map(|first| first.ty);
    let fence_at = if given == Some(DataType::Text) { 1 } else { 2 };
    let mut shapes = Known::of(&setup, 0)?;
    let mut fences = Known::of(&setup, fence_at)?;
    setup.by_row(move |row: Arguments<'_>| {
        let fence = fences.shape(row.needed::<Text>(fence_at)?)?;
        let metres = match row.count() > fence_at + 1 {
            true => *row.needed::<f64>(fence_at + 1)?,
            false => 0.0,
        };
        if fence_at == 1 {
            let shape = shapes.shape(row.needed::<Text>(0)?)?;
            return Ok(Some(test(shape, fence, metres)));
        }
        let place = (*row.needed::<f64>(0)?, *row.needed::<f64>(1)?);
        Ok(Some(test(&Shape::point(place), fence, metres)))
    })
}
