//! The active is halted for a while, as a machine that swaps or a debugger would, and goes on.

use std::thread::sleep;
use std::time::Duration;
use std::time::Instant;

use crate::node::SOON;
use crate::pair::accounts::check;
use crate::pair::from_environment;
use crate::pair::load::At;
use crate::pair::load::Rate;
use crate::pair::nodes::Pair;
use crate::pair::nodes::Plot;
use crate::pair::say;

const WHILE: Duration = Duration::from_millis(400);
/// How long the receiver thinks about the call during which the active is halted.
const CALL: Duration = Duration::from_millis(800);

fn halt(pair: &Pair, node: usize, time: Duration) {
    pair.nodes[node].signal("STOP");
    sleep(time);
    pair.nodes[node].signal("CONT");
}

#[test]
fn a_short_halt_of_the_active_is_no_reason_to_take_over() {
    let pair = Pair::start(Plot::default());
    let load = pair.load(Rate { at: At::First(pair.active()), ..Rate::default() });
    sleep(WHILE);
    let (active, epoch) = (pair.active(), pair.epoch(pair.active()));
    for milliseconds in [300, 500] {
        halt(&pair, active, Duration::from_millis(milliseconds));
        sleep(WHILE);
        assert!(pair.acts(active), "halted for {milliseconds} ms; {}", pair.tell());
        assert_eq!((pair.epoch(active), pair.epoch(1 - active)), (epoch, epoch));
    }
    let found = check(&pair, &load.stop());
    assert_eq!((found.plain_repeated, found.again), (0, 0), "nobody took over: {found:?}");
}

/// Halts the active with a call to the receiver in flight, until the other node has taken over and
/// for at least this time; gives how long the other one took to its first result.
fn halt_in_a_call(pair: &Pair, time: Duration) -> Duration {
    let active = pair.wait_in_sync();
    let epoch = pair.epoch(active);
    pair.receiver.delay(CALL);
    let before = pair.receiver.book().results.len();
    pair.wait(SOON, "a call is in flight", || {
        (pair.receiver.book().results.len() > before).then_some(())
    });
    let halted = Instant::now();
    pair.nodes[active].signal("STOP");
    pair.receiver.delay(Duration::ZERO);
    let first = pair.wait(Duration::from_secs(10), "the other node takes over", || {
        pair.receiver.first_above(epoch)
    });
    sleep(time.saturating_sub(halted.elapsed()));
    pair.nodes[active].signal("CONT");
    let woke = Instant::now();
    pair.wait_in_sync();
    sleep(WHILE);
    let book = pair.receiver.book();
    let late = book.results.iter().filter(|result| result.epoch <= epoch && result.at > woke);
    // A request that lay in the kernel when the process was halted may still come.
    assert!(late.count() <= 1, "the old active began something new; {}", pair.tell());
    first - halted
}

#[test]
fn a_long_halt_of_the_active_ends_its_time_and_it_begins_nothing_when_it_goes_on() {
    let (seconds, times) = (from_environment("HALT", 3), from_environment("HALTS", 1));
    let pair = Pair::start(Plot::default());
    let load = pair.load(Rate::default());
    sleep(WHILE);
    let mut firsts: Vec<Duration> =
        (0..times).map(|_| halt_in_a_call(&pair, Duration::from_secs(seconds))).collect();
    let report = load.stop();
    let found = check(&pair, &report);
    // At most the parcel that was in flight at each halt is in doubt.
    assert!(found.uncertain <= times, "{found:?}");
    // Did the receiver of these calls not know ids, it would have seen just them twice.
    assert_eq!((found.again, pair.uncertain_calls()), (times, times), "{found:?}");
    firsts.sort();
    say(&format!(
        "halted {times} times for {seconds} s with a call in flight, {} requests: {found:?}; the \
         other node's first result after {firsts:?}",
        report.requests(),
    ));
}

#[test]
fn a_busy_machine_is_no_reason_to_take_over() {
    let pair = Pair::start(Plot::default());
    let active = pair.active();
    let epoch = pair.epoch(active);
    let until = Instant::now() + Duration::from_secs(from_environment("BUSY", 2));
    let load = pair.load(Rate::default());
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
            });
        }
    });
    let report = load.stop();
    let found = check(&pair, &report);
    assert!(pair.acts(active), "{}", pair.tell());
    assert_eq!((pair.epoch(active), pair.epoch(1 - active)), (epoch, epoch));
    assert_eq!((found.plain_repeated, found.again), (0, 0), "nobody took over: {found:?}");
    let requests = report.requests();
    say(&format!("{cores} cores kept busy, {requests} requests: nobody took over; {found:?}"));
}

#[test]
fn a_halt_of_the_passive_holds_nobody_up_for_long() {
    let pair = Pair::start(Plot::default());
    let active = pair.active();
    let answer = Duration::from_secs(5);
    let load = pair.load(Rate { at: At::First(active), answer, ..Rate::default() });
    sleep(WHILE);
    let epoch = pair.epoch(active);
    halt(&pair, 1 - active, Duration::from_secs(3));
    pair.wait_in_sync();
    assert!(pair.acts(active), "{}", pair.tell());
    assert_eq!(pair.epoch(active), epoch);
    sleep(WHILE);
    let report = load.stop();
    let found = check(&pair, &report);
    assert_eq!((found.plain_repeated, found.again), (0, 0), "nobody took over: {found:?}");
    // The active waits for `ha.patience` and then goes on alone.
    let slowest = report.quantile(1.0);
    assert!(slowest < Duration::from_millis(2_500), "an answer took {slowest:?}");
    say(&format!("the passive halted for 3 s: the slowest answer took {slowest:?}"));
}
