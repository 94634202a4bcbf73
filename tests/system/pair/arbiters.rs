//! The arbiter is gone, cut off or slow for a while, be it a process of its own or a database.

use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use crate::node::SOON;
use crate::pair::accounts::check;
use crate::pair::from_environment;
use crate::pair::load::Rate;
use crate::pair::nodes::Arbiter;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;
use crate::servers::Place;
use crate::servers::Server;
use crate::servers::Which;

const WHILE: Duration = Duration::from_millis(400);
/// How long each piece of what is said takes on a slow way; an answer is waited for for a second.
const SLOW: Duration = Duration::from_millis(60);

#[test]
fn while_both_nodes_live_nobody_misses_the_witness_and_later_it_is_asked_again() {
    let mut pair = Pair::start(Plot { arbiter: Arbiter::Witness, ..Plot::default() });
    let load = pair.load(Rate::default());
    sleep(WHILE);
    let active = pair.wait_in_sync();
    let epoch = pair.epoch(active);
    pair.kill_witness();
    // Longer than a lease.
    sleep(Duration::from_secs(4));
    assert!(pair.acts(active), "{}", pair.tell());
    assert_eq!(pair.epoch(active), epoch);
    pair.start_witness();
    sleep(Duration::from_secs(1));
    pair.wait_in_sync();
    assert_eq!(pair.epoch(active), epoch, "{}", pair.tell());
    pair.kill(active);
    pair.wait(SOON, "the other node takes over", || pair.receiver.first_above(epoch));
    pair.start_again(active);
    pair.wait_in_sync();
    let report = load.stop();
    let found = check(&pair, &report);
    say(&format!("witness gone for 4 s, then the active killed: {found:?}"));
}

#[test]
fn kills_are_found_out_by_the_witness_in_the_time_of_a_lease() {
    let kills = from_environment("KILLS", 1);
    let mut pair = Pair::start(Plot { arbiter: Arbiter::Witness, ..Plot::default() });
    let load = pair.load(Rate::default());
    let mut times = Vec::new();
    for _ in 0..kills {
        sleep(WHILE);
        let active = pair.wait_in_sync();
        let epoch = pair.epoch(active);
        pair.kill(active);
        let killed = Instant::now();
        let first =
            pair.wait(SOON, "the other node's first result", || pair.receiver.first_above(epoch));
        times.push(first - killed);
        pair.start_again(active);
    }
    pair.wait_in_sync();
    let report = load.stop();
    let found = check(&pair, &report);
    times.sort();
    say(&format!("witness, {kills} kills: {found:?}; from kill to result {times:?}"));
}

/// A pair whose record is a row in a database, of which nobody else makes use meanwhile.
fn kept_by(which: Which) -> (Place, &'static Server, Pair) {
    let (place, server) = Place::alone(which);
    let settings = Box::leak(place.settings().to_owned().into_boxed_str());
    let arbiter = Arbiter::Server { settings, port: server.port };
    let pair = Pair::start(Plot { arbiter, ..Plot::default() });
    (place, server, pair)
}

/// Whoever acted still does, in the same epoch.
fn goes_on(pair: &Pair, active: usize, epoch: u64) {
    assert!(pair.acts(active), "{}", pair.tell());
    assert_eq!(pair.epoch(active), epoch, "{}", pair.tell());
}

fn kill_and_wait(pair: &mut Pair, active: usize) -> Duration {
    let epoch = pair.epoch(active);
    pair.kill(active);
    let killed = Instant::now();
    let first =
        pair.wait(SOON, "the other node's first result", || pair.receiver.first_above(epoch));
    pair.start_again(active);
    first - killed
}

/// A database that is cut off or slow while events come: nobody misses it while both nodes live,
/// and as soon as it can be asked again it decides.
fn a_database_that_is_cut_off_or_slow(which: Which) {
    let (_place, _server, mut pair) = kept_by(which);
    let load = pair.load(Rate::default());
    sleep(WHILE);
    let active = pair.wait_in_sync();
    let epoch = pair.epoch(active);
    (0..2).for_each(|node| pair.stall_arbiter(node, true));
    // Longer than a lease.
    sleep(Duration::from_secs(4));
    goes_on(&pair, active, epoch);
    (0..2).for_each(|node| pair.stall_arbiter(node, false));
    pair.slow_arbiter(SLOW);
    sleep(Duration::from_secs(3));
    goes_on(&pair, active, epoch);
    pair.wait_in_sync();
    let slowly = kill_and_wait(&mut pair, active);
    pair.wait_in_sync();
    pair.slow_arbiter(Duration::ZERO);
    sleep(WHILE);
    // Only one node is cut off from the other and from the database: that one is replaced.
    let active = pair.wait_in_sync();
    let epoch = pair.epoch(active);
    let cut = Instant::now();
    pair.stall_link(true, true);
    pair.stall_arbiter(active, true);
    let replaced =
        pair.wait(SOON, "the other node takes over", || pair.receiver.first_above(epoch)) - cut;
    assert!(!pair.acts(active), "both act; {}", pair.tell());
    pair.stall_link(false, false);
    pair.cut_link();
    pair.stall_arbiter(active, false);
    pair.wait_in_sync();
    sleep(WHILE);
    let report = load.stop();
    let found = check(&pair, &report);
    say(&format!(
        "record at {which:?}, cut off for 4 s, then {SLOW:?} slow: {found:?}; from kill to result \
         {slowly:?}, from cut to result {replaced:?}"
    ));
}

/// A database that dies while events come, first by itself and then together with the active.
fn a_database_that_is_killed(which: Which) {
    let (_place, server, mut pair) = kept_by(which);
    let load = pair.load(Rate::default());
    sleep(WHILE);
    let active = pair.wait_in_sync();
    let epoch = pair.epoch(active);
    server.kill();
    sleep(Duration::from_secs(4));
    goes_on(&pair, active, epoch);
    server.start_again();
    // It has to have been asked again before it is needed.
    sleep(Duration::from_secs(2));
    pair.wait_in_sync();
    goes_on(&pair, active, epoch);
    server.kill();
    pair.kill(active);
    sleep(Duration::from_secs(4));
    assert!(!pair.acts(1 - active), "nobody could tell it that it may; {}", pair.tell());
    server.start_again();
    let back = Instant::now();
    let first = pair.wait(SOON, "the other node acts", || pair.receiver.first_above(epoch));
    pair.start_again(active);
    pair.wait_in_sync();
    sleep(WHILE);
    let report = load.stop();
    let found = check(&pair, &report);
    say(&format!(
        "record at {which:?}, killed, and killed again with the active: {found:?}; from its return \
         to the first result {:?}",
        first - back
    ));
}

#[test]
fn mariadb_that_is_cut_off_or_slow() {
    a_database_that_is_cut_off_or_slow(Which::Mariadb);
}

#[test]
fn postgres_that_is_cut_off_or_slow() {
    a_database_that_is_cut_off_or_slow(Which::Postgres);
}

#[test]
fn mariadb_that_is_killed() {
    a_database_that_is_killed(Which::Mariadb);
}

#[test]
fn postgres_that_is_killed() {
    a_database_that_is_killed(Which::Postgres);
}
