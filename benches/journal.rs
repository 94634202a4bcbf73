//! What the journal costs: appending, writing, syncing, reading, opening, on this machine's disk.
//!
//! `cargo bench --bench journal --no-default-features`. The numbers are of one core and one disk;
//! fsync belongs to the disk, all else mostly to the processor and the page cache.

#![expect(clippy::print_stdout, reason = "what is measured is printed")]

use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use std::time::Instant;
use twinflow::disk::RealDisk;
use twinflow::journal::Journal;
use twinflow::journal::Options;

/// A batch of some 500 events, and a single small one.
const BODIES: [usize; 2] = [20_000, 100];

fn main() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for bytes in BODIES {
        let records = if bytes > 1000 { 20_000 } else { 1_000_000 };
        for together in [1, 100] {
            let folder = tempfile::tempdir_in(place).expect("a folder for the journal");
            append(folder.path(), bytes, records, together);
            if together == 100 {
                read(folder.path());
            }
        }
    }
    for bytes in BODIES {
        let folder = tempfile::tempdir_in(place).expect("a folder for the journal");
        sync_each(folder.path(), bytes);
        let folder = tempfile::tempdir_in(place).expect("a folder for the journal");
        sync_beside(folder.path(), bytes);
    }
}

/// Appends with a flush every so many records, while a thread syncs five times a second, as where
/// nobody waits for the disk.
fn append(folder: &Path, bytes: usize, records: usize, together: usize) {
    let mut journal = open(folder);
    let syncer = journal.syncer();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        while ended.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
            syncer.sync(u64::MAX).expect("synced");
        }
    });
    let body = vec![0x5a; bytes];
    let mut flushes = Vec::with_capacity(records / together);
    let start = Instant::now();
    for number in 1..=records {
        journal.append(1, &body).expect("appended");
        if number % together == 0 {
            let begun = Instant::now();
            journal.flush().expect("flushed");
            flushes.push(begun.elapsed());
        }
    }
    let what = format!("append {bytes} bytes, flush every {together}");
    speed(&what, records, journal.bytes(), start.elapsed());
    percentiles("    a flush", flushes);
    drop(end);
    thread.join().expect("the thread ends");
}

fn read(folder: &Path) {
    let start = Instant::now();
    let mut journal = open(folder);
    let (records, bytes) = (journal.last() as usize, journal.bytes());
    speed("    open, all checked", records, bytes, start.elapsed());
    let start = Instant::now();
    let mut from = journal.reader().read(1).expect("begun");
    let mut count = 0;
    while from.read_next().expect("read").is_some() {
        count += 1;
    }
    speed("    read", count, bytes, start.elapsed());
    let start = Instant::now();
    journal.truncate_after(journal.last() / 2).expect("cut");
    println!("{:<44} {:>9.1} ms", "    cut in the middle", millis(start.elapsed()));
}

/// One record, one flush, one fsync, again and again.
fn sync_each(folder: &Path, bytes: usize) {
    let mut journal = open(folder);
    let body = vec![0x5a; bytes];
    let mut waits = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        journal.append(1, &body).expect("appended");
        journal.flush().expect("flushed");
        let begun = Instant::now();
        journal.sync().expect("synced");
        waits.push(begun.elapsed());
    }
    let what = format!("append {bytes} bytes, fsync each");
    speed(&what, waits.len(), journal.bytes(), start.elapsed());
    percentiles("    an fsync", waits);
}

/// A thread syncs while this one appends and flushes, held back to 64 records ahead of the disk for
/// large ones and 10,000 for small ones.
fn sync_beside(folder: &Path, bytes: usize) {
    let mut journal = open(folder);
    let syncer = journal.syncer();
    let body = vec![0x5a; bytes];
    let ahead = if bytes > 1000 { 64 } else { 10_000 };
    let (done, ended) = std::sync::mpsc::channel::<(u64, Instant)>();
    let (tell, go) = std::sync::mpsc::channel::<u64>();
    let thread = std::thread::spawn(move || {
        while let Ok(upto) = go.recv() {
            // What was asked for meanwhile is served by the same fsync.
            let upto = go.try_iter().last().unwrap_or(upto);
            let synced = syncer.sync(upto).expect("synced");
            if done.send((synced, Instant::now())).is_err() {
                return;
            }
        }
    });
    let mut flushed: std::collections::VecDeque<Instant> = std::collections::VecDeque::new();
    let (mut waits, mut synced) = (Vec::new(), 0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        let position = journal.append(1, &body).expect("appended");
        journal.flush().expect("flushed");
        flushed.push_back(Instant::now());
        tell.send(position).expect("the thread lives");
        while position - synced > ahead || synced == 0 {
            let (upto, at) = ended.recv().expect("the thread lives");
            let acked = upto.saturating_sub(synced) as usize;
            waits.extend(flushed.drain(..acked).map(|flush| at.saturating_duration_since(flush)));
            synced = upto.max(synced);
        }
    }
    let what = format!("append {bytes} bytes, a thread fsyncs");
    speed(&what, synced as usize, journal.bytes(), start.elapsed());
    percentiles("    flush to synced", waits);
    drop((tell, ended));
    thread.join().expect("the thread ends");
}

fn open(folder: &Path) -> Journal<RealDisk> {
    Journal::open(RealDisk, folder, Options::new(1)).expect("opened").0
}

fn speed(what: &str, records: usize, bytes: u64, took: Duration) {
    let seconds = took.as_secs_f64();
    let (rate, megabytes) = (records as f64 / seconds, bytes as f64 / seconds / 1e6);
    println!("{what:<44} {rate:>9.0} records/s {megabytes:>8.1} MB/s");
}

fn percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| millis(times[((times.len() - 1) as f64 * share) as usize]);
    println!(
        "{what:<44} p50 {:.3} ms, p90 {:.3}, p99 {:.3}, p99.9 {:.3}, max {:.3}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
