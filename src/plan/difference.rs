//! What a new version of a plan keeps of the state of the one before, what it drops and why.
//!
//! Rows and the aggregates over them go together: where one begins anew so does the other, or rows
//! would be taken back from sums that they were never added to.

use crate::event::Text;
use crate::plan::identity::Aspect;
use crate::plan::identity::Clock;
use crate::plan::identity::Held;
use crate::plan::identity::Identities;
use crate::plan::identity::Kind;
use crate::plan::identity::Unit;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What becomes of the state of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What goes on, for people.
    pub kept: Vec<String>,
    /// What ends, and why.
    pub dropped: Vec<Dropped>,
    /// What the plan before did not have.
    pub fresh: Vec<String>,
    /// What goes on, for the engine.
    pub pairs: Vec<Pair>,
}

/// State that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// What, as in ``window of query `Rates` ``.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A unit that goes on, by the positions in the units of both plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// In the plan before.
    pub old: usize,
    /// In the new plan.
    pub new: usize,
    /// Whether its rows go on.
    pub rows: bool,
    /// Whether its aggregates go on.
    pub groups: bool,
}

impl std::fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.what, self.why)
    }
}

/// Why a part does not go on; `None` if it does, or if there is none.
type Fault = Option<String>;

/// A unit of the new plan beside the one of the same name in the plan before.
struct Match {
    old: usize,
    rows: Fault,
    groups: Fault,
}

/// Sets two versions of a plan beside each other.
pub fn compare(old: &Identities, new: &Identities) -> Difference {
    let partners = partners(old, new);
    let mut matches: Vec<Option<Match>> = new.units.iter().map(|_| None).collect();
    for (place, partner) in partners.iter().enumerate() {
        let Some(partner) = *partner else { continue };
        let (before, after) = (&old.units[partner], &new.units[place]);
        let mut found = faults(before, after);
        found.old = partner;
        if old.clock() != new.clock() && after.kind != Kind::Table {
            let why = match (old.clock(), new.clock()) {
                (Clock::Watermarks, _) | (_, Clock::Watermarks) => "`@watermark`",
                _ => "`@app:playback`",
            };
            let why = format!("the plan's clock is another one ({why})");
            found.rows = Some(why.clone());
            found.groups = Some(why);
        }
        matches[place] = Some(found);
    }
    settle(new, &mut matches);
    told(old, new, &matches)
}

/// For each unit of the new plan the one it was before.
fn partners(old: &Identities, new: &Identities) -> Vec<Option<usize>> {
    let named = old.units.iter().enumerate().filter(|(_, unit)| unit.is_named);
    let named: BTreeMap<_, usize> =
        named.map(|(place, unit)| ((unit.kind.tag(), &unit.name), place)).collect();
    let partner =
        |unit: &Unit| named.get(&(unit.kind.tag(), &unit.name)).copied().filter(|_| unit.is_named);
    let mut partners: Vec<Option<usize>> = new.units.iter().map(partner).collect();
    pair_partitions(old, new, &mut partners);
    pair_by_text(old, new, Kind::Query, &mut partners);
    pair_by_text(old, new, Kind::Rate, &mut partners);
    partners
}

/// Partitions that divide the same streams by the same keys.
#[derive(Default)]
struct Alike<'a> {
    old: Vec<(usize, &'a Unit)>,
    new: Vec<(usize, &'a Unit)>,
}

fn pair_partitions(old: &Identities, new: &Identities, partners: &mut [Option<usize>]) {
    pair_by_text(old, new, Kind::Partition, partners);
    let taken: BTreeSet<usize> = partners.iter().flatten().copied().collect();
    let mut alike: BTreeMap<&Option<Vec<Aspect>>, Alike<'_>> = BTreeMap::new();
    for (place, unit) in of_kind(old, Kind::Partition) {
        alike.entry(&unit.rows).or_default().old.push((place, unit));
    }
    for (place, unit) in of_kind(new, Kind::Partition) {
        alike.entry(&unit.rows).or_default().new.push((place, unit));
    }
    for Alike { old, new } in alike.into_values() {
        // The only one with such keys is what the only one with such keys was.
        if let ([(before, was)], [(after, is)]) = (&old[..], &new[..]) {
            if may_be(was, is) && !taken.contains(before) && partners[*after].is_none() {
                partners[*after] = Some(*before);
            }
            continue;
        }
        // A query with a name tells which partition is which, if all those inside say the same.
        let (homes_before, homes_after) = (homes(&old), homes(&new));
        for (after, is) in new {
            if partners[after].is_some() {
                continue;
            }
            let befores: BTreeSet<usize> =
                is.inside.iter().filter_map(|name| homes_before.get(name).copied()).collect();
            let Some(&before) = befores.first().filter(|_| befores.len() == 1) else { continue };
            let place = old.binary_search_by_key(&before, |(place, _)| *place);
            let was = old[place.expect("it is the home of a query")].1;
            let mut afters = was.inside.iter().filter_map(|name| homes_after.get(name));
            if afters.all(|&home| home == after) && may_be(was, is) && !taken.contains(&before) {
                partners[after] = Some(before);
            }
        }
    }
}

/// In which partition each query with a name stands.
fn homes<'a>(partitions: &[(usize, &'a Unit)]) -> BTreeMap<&'a Text, usize> {
    let names =
        partitions.iter().flat_map(|(place, unit)| unit.inside.iter().map(|name| (name, *place)));
    names.collect()
}

/// Whether one was the other before, by what names there are.
fn may_be(old: &Unit, new: &Unit) -> bool {
    !(old.is_named && (!new.is_named || old.name != new.name))
}

/// Pairs what has no name, or had none, by its text. Where there are as many of a text as before
/// they are the same in their order; else nobody can say which is which.
fn pair_by_text(old: &Identities, new: &Identities, kind: Kind, partners: &mut [Option<usize>]) {
    type Places = (Vec<usize>, Vec<usize>);
    let mut texts: BTreeMap<(u64, Option<usize>), Places> = BTreeMap::new();
    let homes = partners.iter().enumerate().filter_map(|(after, before)| Some(((*before)?, after)));
    let homes: BTreeMap<usize, usize> = homes.collect();
    for (place, unit) in of_kind(old, kind).filter(|(_, unit)| !unit.is_named) {
        // Where its partition is now; without one that goes on it cannot go on either.
        let home = unit.partition.map(|home| homes.get(&home).copied());
        if let Some(home) = home.map_or(Some(None), |home| home.map(Some)) {
            texts.entry((unit.whole, home)).or_default().0.push(place);
        }
    }
    let is_new = |place: usize| partners[place].is_none();
    for (place, unit) in of_kind(new, kind).filter(|(place, _)| is_new(*place)) {
        if let Some(places) = texts.get_mut(&(unit.whole, unit.partition)) {
            places.1.push(place);
        }
    }
    for (befores, afters) in texts.into_values().filter(|(old, new)| old.len() == new.len()) {
        for (before, after) in befores.into_iter().zip(afters) {
            partners[after] = Some(before);
        }
    }
}

fn of_kind(all: &Identities, kind: Kind) -> impl Iterator<Item = (usize, &Unit)> {
    all.units.iter().enumerate().filter(move |(_, unit)| unit.kind == kind)
}

/// What keeps the parts of a unit from going on, seen alone.
fn faults(old: &Unit, new: &Unit) -> Match {
    let rows = match (&old.rows, &new.rows) {
        (Some(before), Some(after)) => changed(before, after).or_else(|| {
            old.windows.iter().zip(&new.windows).find_map(|(before, after)| fits(before, after))
        }),
        _ => None,
    };
    let groups = match (&old.groups, &new.groups) {
        (Some(_), Some(_)) if rows.is_some() => Some("its window begins anew".to_owned()),
        (Some(before), Some(after)) => changed(before, after),
        (None, Some(_)) => Some("there were no aggregates before".to_owned()),
        _ => None,
    };
    Match { old: 0, rows, groups }
}

fn changed(old: &[Aspect], new: &[Aspect]) -> Fault {
    let pairs = || old.iter().zip(new);
    if let Some((_, (what, _))) = pairs().find(|(before, after)| before != after) {
        return Some(format!("{} changed", said(what)));
    }
    (old.len() != new.len()).then(|| "it is of another kind now".to_owned())
}

fn said(what: &Text) -> String {
    match what.starts_with("wh") {
        true => what.to_string(),
        false => format!("its {what}"),
    }
}

/// Whether the rows that a window kept are enough for what the new plan reads of them.
fn fits(old: &Held, new: &Held) -> Fault {
    let lacks =
        |had: &[bool], wants: &[bool]| had.iter().zip(wants).any(|(had, want)| *want && !had);
    if lacks(&old.keep, &new.keep) || lacks(&old.leaving, &new.leaving) {
        return Some("the new plan reads an attribute that was not kept with its rows".to_owned());
    }
    match (old.expired, new.expired) {
        (false, true) => Some("it did not keep rows for when they leave".to_owned()),
        (true, false) => Some("rows that leave it are not read any more".to_owned()),
        _ => None,
    }
}

/// Carries faults on from part to part until all that goes on fits together.
fn settle(new: &Identities, matches: &mut [Option<Match>]) {
    loop {
        let mut moved = false;
        for (place, unit) in new.units.iter().enumerate() {
            moved |= settle_unit(new, matches, place, unit);
        }
        if !moved {
            return;
        }
    }
}

/// Whether the rows of a unit go on.
fn goes_on(matches: &[Option<Match>], place: usize) -> bool {
    matches[place].as_ref().is_some_and(|found| found.rows.is_none())
}

fn settle_unit(new: &Identities, matches: &mut [Option<Match>], place: usize, unit: &Unit) -> bool {
    let mut rows = None;
    let mut groups = None;
    if unit.partition.is_some_and(|home| !goes_on(matches, home)) {
        let why = "the keys of its partition do not go on".to_owned();
        (rows, groups) = (Some(why.clone()), Some(why));
    } else if unit.groups.is_some() || unit.kind == Kind::Rate {
        if let Some(gone) = unit.rests_on.iter().find(|&&other| !goes_on(matches, other)) {
            let of = &new.units[*gone];
            let why = format!("{} does not go on", of.shown());
            (rows, groups) = (Some(why.clone()), Some(why));
        } else if let Some(found) = &matches[place] {
            rows = found.groups.as_ref().map(|why| format!("its aggregates begin anew: {why}"));
            groups = found.rows.as_ref().map(|_| "its window begins anew".to_owned());
        }
    }
    let mut moved = false;
    if let Some(found) = &mut matches[place] {
        for (slot, why, is_there) in [
            (&mut found.rows, rows, unit.rows.is_some()),
            (&mut found.groups, groups, unit.groups.is_some()),
        ] {
            if is_there && slot.is_none() && why.is_some() {
                *slot = why;
                moved = true;
            }
        }
    }
    let knows = matches[place].as_ref().is_some_and(|found| found.groups.is_none());
    if let Some(window) = unit.takes_back.filter(|_| unit.groups.is_some() && !knows)
        && let Some(found) = &mut matches[window]
        && found.rows.is_none()
    {
        let why = format!("{} does not know the rows in it", unit.shown());
        found.rows = Some(why);
        moved = true;
    }
    moved
}

/// Puts into words what becomes of all parts.
fn told(old: &Identities, new: &Identities, matches: &[Option<Match>]) -> Difference {
    let mut told = Difference::default();
    let mut seen = vec![(false, false); old.units.len()];
    for (place, unit) in new.units.iter().enumerate() {
        let Some(found) = &matches[place] else {
            told.fresh.extend(unit.rows.as_ref().map(|_| unit.rows_shown()));
            told.fresh.extend(unit.groups.as_ref().map(|_| unit.groups_shown()));
            continue;
        };
        let before = &old.units[found.old];
        let mut pair = Pair { old: found.old, new: place, rows: false, groups: false };
        let mut part = |had: bool, has: bool, fault: &Fault, what: String| match (had, has, fault) {
            (true, true, None) => {
                told.kept.push(what);
                true
            }
            (true, true, Some(why)) => {
                told.dropped.push(Dropped { what, why: why.clone() });
                false
            }
            (true, false, _) => {
                told.dropped.push(Dropped { what, why: "it has none any more".to_owned() });
                false
            }
            (false, true, _) => {
                told.fresh.push(what);
                false
            }
            (false, false, _) => false,
        };
        let rows = (before.rows.is_some(), unit.rows.is_some());
        pair.rows = part(rows.0, rows.1, &found.rows, unit.rows_shown());
        let groups = (before.groups.is_some(), unit.groups.is_some());
        pair.groups = part(groups.0, groups.1, &found.groups, unit.groups_shown());
        seen[found.old] = (true, true);
        if pair.rows || pair.groups {
            told.pairs.push(pair);
        }
    }
    for (unit, _) in old.units.iter().zip(seen).filter(|(_, seen)| *seen == (false, false)) {
        let why = match unit.is_named {
            true => "the new plan does not have it",
            false => {
                "the new plan does not have it, or not surely: what has no name is known \
                by its whole text"
            }
        };
        let whats = [
            unit.rows.as_ref().map(|_| unit.rows_shown()),
            unit.groups.as_ref().map(|_| unit.groups_shown()),
        ];
        let whats = whats.into_iter().flatten();
        told.dropped.extend(whats.map(|what| Dropped { what, why: why.to_owned() }));
    }
    told
}

impl Unit {
    /// What it is, for people.
    fn shown(&self) -> String {
        let name = &self.name;
        match (self.kind, self.is_named) {
            (Kind::Table, _) => format!("table `{name}`"),
            (Kind::Window, _) => format!("window `{name}`"),
            (Kind::Trigger, _) => format!("trigger `{name}`"),
            (Kind::Partition, true) => format!("partition `{name}`"),
            (Kind::Partition, false) => format!("the partition {name}"),
            (Kind::Aggregation, _) => format!("aggregation `{name}`"),
            (Kind::Watermark, _) => format!("stream `{name}`"),
            (Kind::Query | Kind::Rate, true) => format!("query `{name}`"),
            (Kind::Query | Kind::Rate, false) => format!("the query {name}"),
        }
    }

    fn rows_shown(&self) -> String {
        match self.kind {
            Kind::Table | Kind::Window | Kind::Trigger | Kind::Aggregation => self.shown(),
            Kind::Partition => format!("keys of {}", self.shown()),
            Kind::Query => format!("window of {}", self.shown()),
            Kind::Rate => format!("output rate of {}", self.shown()),
            Kind::Watermark => format!("watermark of {}", self.shown()),
        }
    }

    fn groups_shown(&self) -> String {
        format!("aggregates of {}", self.shown())
    }
}
