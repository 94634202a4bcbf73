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
