//! The workloads written by hand: one thread, the same ready batches, the same output columns.

use crate::generator;
use std::collections::VecDeque;
use std::hint::black_box;
use twinflow::event::Batch;
use twinflow::event::Map;
use twinflow::event::Text;

/// W01.
pub fn filter(batches: &[Batch]) -> usize {
    let mut rows = 0;
    let (mut symbols, mut amounts) = (Vec::new(), Vec::new());
    for batch in batches {
        symbols.clear();
        amounts.clear();
        let (texts, prices, volumes) = columns(batch);
        for row in 0..batch.len() {
            if prices[row] > 50.0 && volumes[row] > 100 {
                symbols.push(texts[row].clone());
                amounts.push(prices[row] * volumes[row] as f64);
            }
        }
        rows += symbols.len();
        black_box((&symbols, &amounts));
    }
    rows
}

/// W02.
pub fn length(batches: &[Batch]) -> usize {
    let mut rows = 0;
    let mut window: VecDeque<(f64, i64)> = VecDeque::with_capacity(1001);
    let (mut price_sum, mut volume_sum) = (0.0, 0);
    let mut out = Averages::default();
    for batch in batches {
        out.clear();
        let (texts, prices, volumes) = columns(batch);
        for row in 0..batch.len() {
            if window.len() == 1000
                && let Some((price, volume)) = window.pop_front()
            {
                price_sum -= price;
                volume_sum -= volume;
            }
            window.push_back((prices[row], volumes[row]));
            price_sum += prices[row];
            volume_sum += volumes[row];
            out.push(&texts[row], price_sum / window.len() as f64, volume_sum);
        }
        rows += out.symbols.len();
        black_box(&out);
    }
    rows
}

/// W03.
pub fn time_group(batches: &[Batch]) -> usize {
    #[derive(Default, Clone)]
    struct Group {
        count: u64,
        price: f64,
        volume: i64,
    }
    let mut rows = 0;
    let mut numbers: Map<Text, usize> = Map::default();
    let mut groups: Vec<Group> = Vec::new();
    let mut window: VecDeque<(i64, usize, f64, i64)> = VecDeque::new();
    let mut out = Averages::default();
    for batch in batches {
        out.clear();
        let (texts, prices, volumes) = columns(batch);
        let times = batch.columns[3].longs();
        for row in 0..batch.len() {
            while window.front().is_some_and(|&(time, ..)| time + 10_000 <= times[row]) {
                let (_, group, price, volume) = window.pop_front().expect("there is a front");
                groups[group].count -= 1;
                groups[group].price -= price;
                groups[group].volume -= volume;
            }
            let number = number_of(&mut numbers, &mut groups, &texts[row]);
            let group = &mut groups[number];
            group.count += 1;
            group.price += prices[row];
            group.volume += volumes[row];
            window.push_back((times[row], number, prices[row], volumes[row]));
            out.push(&texts[row], group.price / group.count as f64, group.volume);
        }
        rows += out.symbols.len();
        black_box(&out);
    }
    rows
}

/// W04.
pub fn batch_group(batches: &[Batch]) -> usize {
    #[derive(Default, Clone)]
    struct Group {
        symbol: Text,
        count: i64,
        price: f64,
        most: f64,
        volume: i64,
    }
    let mut rows = 0;
    let mut numbers: Map<Text, usize> = Map::default();
    let mut groups: Vec<Group> = Vec::new();
    let mut held = 0;
    let mut out = (Averages::default(), Vec::new(), Vec::new());
    for batch in batches {
        let (texts, prices, volumes) = columns(batch);
        for row in 0..batch.len() {
            let number = match numbers.get(&texts[row]) {
                Some(&number) => number,
                None => {
                    groups.push(Group { symbol: texts[row].clone(), ..Group::default() });
                    numbers.insert(texts[row].clone(), groups.len() - 1);
                    groups.len() - 1
                }
            };
            let group = &mut groups[number];
            group.most = if group.count == 0 { prices[row] } else { group.most.max(prices[row]) };
            group.count += 1;
            group.price += prices[row];
            group.volume += volumes[row];
            held += 1;
            if held == 1000 {
                out.0.clear();
                out.1.clear();
                out.2.clear();
                for group in &groups {
                    out.0.push(&group.symbol, group.price / group.count as f64, group.volume);
                    out.1.push(group.most);
                    out.2.push(group.count);
                }
                rows += groups.len();
                black_box(&out);
                held = 0;
                groups.clear();
                numbers.clear();
            }
        }
    }
    rows
}

/// W05.
pub fn pattern(batches: &[Batch]) -> usize {
    let mut rows = 0;
    let mut waiting: Map<Text, VecDeque<(i64, f64)>> = Map::default();
    let (mut symbols, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
    for batch in batches {
        symbols.clear();
        first.clear();
        second.clear();
        let (texts, prices, _) = columns(batch);
        for row in 0..batch.len() {
            let (price, time) = (prices[row], batch.timestamps[row]);
            if price < 50.0 {
                if let Some(waiting) = waiting.get_mut(&texts[row]) {
                    for (began, price_then) in waiting.drain(..) {
                        if time - began <= 1_000 {
                            symbols.push(texts[row].clone());
                            first.push(price_then);
                            second.push(price);
                        }
                    }
                }
            } else if price > 99.0 {
                waiting.entry(texts[row].clone()).or_default().push_back((time, price));
            }
        }
        rows += symbols.len();
        black_box((&symbols, &first, &second));
    }
    rows
}

/// W06.
pub fn sequence(batches: &[Batch]) -> usize {
    let mut rows = 0;
    let mut before = (f64::INFINITY, f64::INFINITY);
    let mut out = (Vec::new(), Vec::new(), Vec::new());
    for batch in batches {
        let prices = columns(batch).1;
        out.0.resize(prices.len(), 0.0);
        out.1.resize(prices.len(), 0.0);
        out.2.resize(prices.len(), 0.0);
        let mut count = 0;
        for &price in prices {
            // Written in any case: whether a match ends here is hard to foresee.
            (out.0[count], out.1[count], out.2[count]) = (before.0, before.1, price);
            count += usize::from((before.0 < before.1) & (before.1 < price));
            before = (before.1, price);
        }
        rows += count;
        black_box((&out.0[..count], &out.1[..count], &out.2[..count]));
    }
    rows
}

/// A hundred thousand matches that wait for nothing that comes.
pub fn pending(batches: &[Batch]) -> usize {
    let mut waiting: Map<(i64, Text), Vec<i64>> = Map::default();
    let mut order: VecDeque<(i64, (i64, Text))> = VecDeque::new();
    let (mut symbols, mut second) = (Vec::new(), Vec::new());
    let mut rows = 0;
    for batch in batches {
        symbols.clear();
        second.clear();
        let (texts, prices, volumes) = columns(batch);
        let times = batch.columns[3].longs();
        for row in 0..batch.len() {
            while order.front().is_some_and(|(began, _)| times[row] - began > 200_000) {
                let (_, key) = order.pop_front().expect("there is a front");
                waiting.remove(&key);
            }
            let wanted = (times[row], texts[row].clone());
            if waiting.get(&wanted).is_some() {
                symbols.push(texts[row].clone());
                second.push(prices[row]);
            }
            if prices[row] > 50.0 {
                let key = (volumes[row], texts[row].clone());
                waiting.entry(key.clone()).or_default().push(times[row]);
                order.push_back((times[row], key));
            }
        }
        rows += symbols.len();
        black_box((&symbols, &second));
    }
    rows
}

/// W10.
pub fn pipeline(batches: &[Batch]) -> usize {
    let mut rows = 0;
    let mut counts: Map<Text, i64> = Map::default();
    let mut failed: VecDeque<(i64, Text)> = VecDeque::new();
    let mut suspects: Map<Text, Vec<(i64, i64)>> = Map::default();
    let mut second: Option<i64> = None;
    let mut stats = [0_i64; 2];
    let (mut users, mut fails, mut ips) = (Vec::new(), Vec::new(), Vec::new());
    for batch in batches {
        users.clear();
        fails.clear();
        ips.clear();
        let (names, from) = (batch.columns[0].texts(), batch.columns[1].texts());
        let (success, times) = (batch.columns[2].bools(), batch.columns[3].longs());
        for row in 0..batch.len() {
            let (name, time) = (&names[row], times[row]);
            let end = *second.get_or_insert(time + 1_000);
            if time >= end {
                rows += stats.iter().filter(|&&count| count > 0).count();
                stats = [0; 2];
                second = Some(end + 1_000);
            }
            stats[usize::from(success[row])] += 1;
            if success[row] {
                for (began, count) in suspects.remove(name).unwrap_or_default() {
                    if time - began <= 5_000 {
                        users.push(name.clone());
                        fails.push(count);
                        ips.push(from[row].clone());
                    }
                }
                continue;
            }
            while failed.front().is_some_and(|(began, _)| began + 60_000 <= time) {
                let (_, gone) = failed.pop_front().expect("there is a front");
                *counts.get_mut(&gone).expect("it was counted") -= 1;
            }
            failed.push_back((time, name.clone()));
            let count = counts.entry(name.clone()).or_default();
            *count += 1;
            if *count >= 3 {
                suspects.entry(name.clone()).or_default().push((time, *count));
            }
        }
        rows += users.len();
        black_box((&users, &fails, &ips));
    }
    rows
}

/// Running values by second, minute, hour and day.
pub fn aggregation(batches: &[Batch]) -> usize {
    #[derive(Default, Clone)]
    struct Group {
        count: i64,
        price: f64,
        most: f64,
        volume: i64,
    }
    struct Level {
        length: i64,
        bucket: i64,
        groups: Vec<Group>,
        closed: Vec<(i64, u32, Group)>,
    }
    fn merge(group: &mut Group, other: &Group) {
        group.count += other.count;
        group.price += other.price;
        group.most = group.most.max(other.most);
        group.volume += other.volume;
    }
    fn close(levels: &mut [Level]) {
        let Some((this, above)) = levels.split_first_mut() else { return };
        let groups = std::mem::take(&mut this.groups);
        if let Some(next) = above.first_mut() {
            let bucket = this.bucket - this.bucket % next.length;
            if bucket != next.bucket {
                close(above);
                above[0].bucket = bucket;
            }
            above[0].groups.resize(groups.len().max(above[0].groups.len()), Group::default());
            above[0].groups.iter_mut().zip(&groups).for_each(|(mine, other)| merge(mine, other));
        }
        let live = groups.into_iter().zip(0_u32..).filter(|(group, _)| group.count > 0);
        this.closed.extend(live.map(|(group, number)| (this.bucket, number, group)));
    }
    let mut numbers: Map<Text, usize> = Map::default();
    let mut levels: Vec<Level> = [1_000, 60_000, 3_600_000, 86_400_000]
        .into_iter()
        .map(|length| Level { length, bucket: -1, groups: Vec::new(), closed: Vec::new() })
        .collect();
    for batch in batches {
        let (texts, prices, volumes) = columns(batch);
        let times = batch.columns[3].longs();
        for row in 0..batch.len() {
            if times[row] >= levels[0].bucket + 1_000 {
                close(&mut levels);
                levels[0].bucket = times[row] - times[row] % 1_000;
            }
            let known = numbers.len();
            let number = match numbers.get(&texts[row]) {
                Some(&number) => number,
                None => {
                    numbers.insert(texts[row].clone(), known);
                    known
                }
            };
            let groups = &mut levels[0].groups;
            if number >= groups.len() {
                groups.resize(number + 1, Group::default());
            }
            let (price, volume) = (prices[row], volumes[row]);
            merge(&mut groups[number], &Group { count: 1, price, most: price, volume });
        }
    }
    let closed = levels.iter().map(|level| level.closed.len()).sum::<usize>();
    black_box(closed);
    0
}

/// W07. Batches of the two sides come in turn.
pub fn join(batches: &[Batch]) -> usize {
    #[derive(Default)]
    struct Side {
        window: VecDeque<Text>,
        prices: Map<Text, VecDeque<f64>>,
    }
    let mut rows = 0;
    let mut sides = [Side::default(), Side::default()];
    let mut out: (Vec<Text>, [Vec<f64>; 2]) = Default::default();
    for (turn, batch) in batches.iter().enumerate() {
        out.0.clear();
        out.1.iter_mut().for_each(Vec::clear);
        let (texts, prices, _) = columns(batch);
        let own = turn % 2;
        for row in 0..batch.len() {
            let mine = &mut sides[own];
            if mine.window.len() == 100 {
                let oldest = mine.window.pop_front().expect("a hundred are there");
                mine.prices.get_mut(&oldest).expect("it is there").pop_front();
            }
            mine.window.push_back(texts[row].clone());
            mine.prices.entry(texts[row].clone()).or_default().push_back(prices[row]);
            for price in sides[1 - own].prices.get(&texts[row]).into_iter().flatten() {
                out.0.push(texts[row].clone());
                out.1[own].push(prices[row]);
                out.1[1 - own].push(*price);
            }
        }
        rows += out.0.len();
        black_box(&out);
    }
    rows
}

/// W08.
pub fn partition(batches: &[Batch]) -> usize {
    #[derive(Default, Clone)]
    struct Group {
        window: VecDeque<f64>,
        sum: f64,
    }
    let mut rows = 0;
    let mut numbers: Map<Text, usize> = Map::default();
    let mut groups: Vec<Group> = Vec::new();
    let (mut symbols, mut averages) = (Vec::new(), Vec::new());
    for batch in batches {
        symbols.clear();
        averages.clear();
        let (texts, prices, _) = columns(batch);
        for row in 0..batch.len() {
            let number = number_of(&mut numbers, &mut groups, &texts[row]);
            let group = &mut groups[number];
            if group.window.len() == 10 {
                group.sum -= group.window.pop_front().expect("ten are there");
            }
            group.window.push_back(prices[row]);
            group.sum += prices[row];
            symbols.push(texts[row].clone());
            averages.push(group.sum / group.window.len() as f64);
        }
        rows += symbols.len();
        black_box((&symbols, &averages));
    }
    rows
}

/// W09.
pub fn table(batches: &[Batch]) -> usize {
    let load = generator::symbols();
    let mut known: Map<Text, (Text, f64)> = Map::default();
    for row in 0..load.len() {
        let key = load.columns[0].texts()[row].clone();
        let name = load.columns[1].texts()[row].clone();
        known.insert(key, (name, load.columns[2].doubles()[row]));
    }
    let mut rows = 0;
    let (mut symbols, mut names, mut adjusted) = (Vec::new(), Vec::new(), Vec::new());
    for batch in batches {
        symbols.clear();
        names.clear();
        adjusted.clear();
        let (texts, prices, _) = columns(batch);
        for row in 0..batch.len() {
            if let Some((name, factor)) = known.get(&texts[row]) {
                symbols.push(texts[row].clone());
                names.push(name.clone());
                adjusted.push(prices[row] * factor);
            }
        }
        rows += symbols.len();
        black_box((&symbols, &names, &adjusted));
    }
    rows
}

fn columns(batch: &twinflow::event::Batch) -> (&[Text], &[f64], &[i64]) {
    (batch.columns[0].texts(), batch.columns[1].doubles(), batch.columns[2].longs())
}

fn number_of<G: Default>(
    numbers: &mut Map<Text, usize>,
    groups: &mut Vec<G>,
    symbol: &Text,
) -> usize {
    if let Some(&number) = numbers.get(symbol) {
        return number;
    }
    groups.push(G::default());
    numbers.insert(symbol.clone(), groups.len() - 1);
    groups.len() - 1
}

/// Output columns that several workloads share.
#[derive(Default)]
struct Averages {
    symbols: Vec<Text>,
    prices: Vec<f64>,
    volumes: Vec<i64>,
}

impl Averages {
    fn clear(&mut self) {
        self.symbols.clear();
        self.prices.clear();
        self.volumes.clear();
    }

    fn push(&mut self, symbol: &Text, price: f64, volume: i64) {
        self.symbols.push(symbol.clone());
        self.prices.push(price);
        self.volumes.push(volume);
    }
}
