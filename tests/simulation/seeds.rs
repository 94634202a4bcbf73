//! Walks a seed from its first fault to the quiet after the last, and sums up many of them.

use crate::faults::NODES;
use crate::person::Person;
use crate::world::Making;
use crate::world::Things;
use crate::world::Violation;
use crate::world::World;
use std::collections::BTreeMap;
use std::time::Instant;
use twinflow::ha::protocol::NodeId;

/// What a seed saw.
#[derive(Clone, Debug)]
pub struct Walk {
    pub things: Things,
    pub events: u64,
    pub answered: u64,
    pub faults: u64,
    pub role_changes: u64,
    pub promotions: u64,
    pub switches: u64,
    pub generations: u64,
    pub milliseconds: f64,
    pub counts: BTreeMap<&'static str, u64>,
}

/// Runs one seed in a world made like this.
pub fn walk(seed: u64, making: Making, trace: bool) -> Result<Walk, Violation> {
    let began = Instant::now();
    let mut world = World::new(seed, making, trace);
    run(&mut world)?;
    let mut counts = world.faults.counts.clone();
    let faults = counts.values().sum();
    let messages = world.network.counts;
    counts.insert("message lost", messages.lost);
    counts.insert("message doubled", messages.doubled);
    counts.insert("message late", messages.late);
    counts.insert("message reordered", messages.reordered);
    counts.insert("event sent again", world.workload.repeated);
    for seen in &world.history.seen {
        *counts.entry("result seen twice, by id").or_default() += seen.repeated;
        *counts.entry("parcel of an old epoch refused").or_default() += seen.refused;
    }
    Ok(Walk {
        things: world.making.things,
        events: world.workload.sent,
        answered: world.workload.answered,
        faults,
        role_changes: world.history.role_changes,
        promotions: world.history.promotions,
        switches: world.history.switches,
        generations: world.history.generations,
        milliseconds: began.elapsed().as_secs_f64() * 1_000.0,
        counts,
    })
}

fn run(world: &mut World) -> Result<(), Violation> {
    let lease = world.lease();
    world.run_until(world.making.length)?;
    world.heal();
    settle(world)?;
    // Only the arbiter is away: the active goes on, and takes events.
    world.workload.stopped = false;
    world.run_until(world.now + 2 * lease)?;
    world.tell(|| "only the arbiter goes away".to_owned());
    world.arbiter.up = false;
    let (end, answered) = (world.now + 6 * lease, world.workload.answered);
    while world.now < end {
        world.run_until(world.now + 5_000)?;
        if !world.acts(NodeId::A) && !world.acts(NodeId::B) {
            return Err(Violation("the active stops though only the arbiter is away".to_owned()));
        }
    }
    if world.workload.answered == answered {
        return Err(Violation("no producer is answered while only the arbiter is away".to_owned()));
    }
    Ok(())
}

/// The pair has to find itself: one acts, the other is in sync, both have the same.
fn settle(world: &mut World) -> Result<(), Violation> {
    world.workload.stopped = true;
    let began = world.now;
    let mut person = Person::called(world);
    loop {
        world.run_until(world.now + 50_000)?;
        if world.has_settled() && world.all_received() {
            world.check_producers();
            return world.violation.take().map_or(Ok(()), Err);
        }
        if person.gives_up(world) {
            for node in NODES {
                let member = world.host(node).member.as_ref();
                let status = member.map(|member| member.status(world.time(node)));
                world.tell(|| format!("{node}: {status:?}"));
            }
            world.tell(|| format!("received: {:?}", world.history.seen));
            return Err(Violation(format!(
                "nothing is settled {} s after the last fault",
                (world.now - began) / 1_000_000
            )));
        }
        person.look(world);
    }
}

/// The middle one.
fn median<T: Copy + PartialOrd>(mut figures: Vec<T>) -> Option<T> {
    figures.sort_by(|a, b| a.partial_cmp(b).expect("figures can be compared"));
    figures.get(figures.len() / 2).copied()
}

/// Many seeds, summed up: those with bare entries, those with real ones, all faults.
pub fn report(walks: &[Walk]) -> String {
    let mut text = String::new();
    for things in [Things::Bare, Things::Real] {
        let walks: Vec<&Walk> = walks.iter().filter(|walk| walk.things == things).collect();
        if !walks.is_empty() {
            text.push_str(&format!("{things:?} entries: {}\n", medians(&walks)));
        }
    }
    let total = |figure: fn(&Walk) -> u64| walks.iter().map(figure).sum::<u64>();
    text.push_str(&format!(
        "in all: {} promotions, {} switches, {} new generations\n",
        total(|walk| walk.promotions),
        total(|walk| walk.switches),
        total(|walk| walk.generations),
    ));
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for walk in walks {
        for (kind, times) in &walk.counts {
            *counts.entry(kind).or_default() += times;
        }
    }
    for (kind, times) in counts {
        text.push_str(&format!("  {kind}: {times}\n"));
    }
    text
}

fn medians(walks: &[&Walk]) -> String {
    let of = |figure: fn(&Walk) -> u64| {
        let figures = walks.iter().map(|walk| figure(walk)).collect();
        median(figures).unwrap_or_default()
    };
    let time = median(walks.iter().map(|walk| walk.milliseconds).collect()).unwrap_or_default();
    format!(
        "{} seeds; a seed in the median: {} client events ({} answered), {} faults, \
         {} role changes, {time:.0} ms",
        walks.len(),
        of(|walk| walk.events),
        of(|walk| walk.answered),
        of(|walk| walk.faults),
        of(|walk| walk.role_changes),
    )
}
