//! The events of all workloads: splitmix64 from one seed, so that every engine does the same work.

use twinflow::event::Batch;
use twinflow::event::DataType;
use twinflow::event::Kind;
use twinflow::event::Text;

/// The first event's own time.
pub const START: i64 = 1_700_000_000_000;

/// One draw of the generator after another.
pub fn draws() -> impl Iterator<Item = u64> {
    let mut x: u64 = 42;
    std::iter::from_fn(move || {
        x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some(z ^ z >> 31)
    })
}

/// `symbol string, price double, volume long, ts long`.
pub const TRADE: [DataType; 4] = [DataType::Text, DataType::Double, DataType::Long, DataType::Long];

/// Trades in batches of so many rows.
pub fn trades(events: usize, rows: usize) -> impl Iterator<Item = Batch> {
    let symbols: Vec<Text> = (0..1000).map(|n| Text::from(format!("S{n:03}"))).collect();
    let mut draws = draws().zip(0_i64..).take(events);
    let empty = Batch::new(&TRADE);
    std::iter::from_fn(move || {
        let mut batch = empty.empty_like(rows);
        for (z, i) in draws.by_ref().take(rows) {
            batch.columns[0].texts_mut().push(symbols[(z >> 44) as usize % 1000].clone());
            batch.columns[1].doubles_mut().push((z >> 20 & 0xFFFF) as f64 / 65536.0 * 100.0);
            batch.columns[2].longs_mut().push((z & 0x3FF) as i64);
            batch.columns[3].longs_mut().push(START + i);
            batch.push_head(START + i, Kind::Current, 0);
        }
        (!batch.is_empty()).then_some(batch)
    })
}

/// Trades in batches of so many rows, the even ones in one batch and the odd ones in the next.
pub fn alternating(events: usize, rows: usize) -> impl Iterator<Item = Batch> {
    trades(events, 2 * rows).flat_map(|both| {
        [0, 1].map(|first| {
            let mine: Vec<u32> = (first..both.len() as u32).step_by(2).collect();
            let mut side = both.empty_like(mine.len());
            side.gather(&both, &mine);
            side
        })
    })
}

/// `user string, ip string, success bool, ts long`.
pub const LOGIN: [DataType; 4] = [DataType::Text, DataType::Text, DataType::Bool, DataType::Long];

/// Logins in batches of so many rows.
pub fn logins(events: usize, rows: usize) -> impl Iterator<Item = Batch> {
    let users: Vec<Text> = (0..10_000).map(|n| Text::from(format!("u{n}"))).collect();
    let mut draws = draws().zip(0_i64..).take(events);
    let empty = Batch::new(&LOGIN);
    std::iter::from_fn(move || {
        let mut batch = empty.empty_like(rows);
        for (z, i) in draws.by_ref().take(rows) {
            let ip = format!("10.0.{}.{}", z >> 20 & 255, z >> 28 & 255);
            batch.columns[0].texts_mut().push(users[(z >> 44) as usize % 10_000].clone());
            batch.columns[1].texts_mut().push(Text::from(ip));
            batch.columns[2].bools_mut().push(z & 15 != 0);
            batch.columns[3].longs_mut().push(START + i);
            batch.push_head(START + i, Kind::Current, 0);
        }
        (!batch.is_empty()).then_some(batch)
    })
}

/// The thousand rows that the table workload looks up.
pub fn symbols() -> Batch {
    let mut batch = Batch::new(&[DataType::Text, DataType::Text, DataType::Double]);
    for n in 0..1000 {
        batch.columns[0].texts_mut().push(Text::from(format!("S{n:03}")));
        batch.columns[1].texts_mut().push(Text::from(format!("name {n}")));
        batch.columns[2].doubles_mut().push(1.0 + f64::from(n) / 1000.0);
        batch.push_head(START, Kind::Current, 0);
    }
    batch
}
