//! Makes up patterns and sequences over streams with the columns `k`, `n`, `v`, `b` and `t`.

use std::fmt::Write;
use twinflow::rehearsal::Dice;

/// What stands between `from` and `insert`, and whether groups and aggregates are in it.
pub fn query(dice: &mut Dice, sources: &[&str]) -> String {
    let mut maker = Maker { dice, sources, names: Vec::new(), seen: 0 };
    match maker.dice.below(3) {
        0 => maker.sequence(),
        _ => maker.pattern(),
    }
}

/// A pattern being made up.
struct Maker<'d> {
    dice: &'d mut Dice,
    sources: &'d [&'d str],
    /// References so far, each with whether it counts.
    names: Vec<(String, bool)>,
    /// How many of them the next filter can look at.
    seen: usize,
}

impl Maker<'_> {
    fn pattern(&mut self) -> String {
        let mut text = match self.dice.below(6) {
            0 => format!("every ({} -> {})", self.part(""), self.part("")),
            1 => format!("every ({})", self.sides()),
            2 | 3 => format!("every {}", self.part("")),
            _ => self.any_part(),
        };
        for _ in 0..1 + self.dice.below(2) {
            let every =
                if self.dice.below(6) == 0 && !text.contains("every") { "every " } else { "" };
            let part = if every.is_empty() { self.any_part() } else { self.part("") };
            let _ = write!(text, " -> {every}{part}");
        }
        self.whole(text)
    }

    fn sequence(&mut self) -> String {
        let every = *self.dice.pick(&["", "every ", "every "]);
        let first = self.part("");
        let mut text = format!("{every}{first}");
        for _ in 0..1 + self.dice.below(2) {
            let star = *self.dice.pick(&["", "", "", "+", "*", "?"]);
            let part = if star.is_empty() { self.any_part() } else { self.part(star) };
            let _ = write!(text, ", {part}");
        }
        self.whole(text)
    }

    fn whole(&mut self, mut text: String) -> String {
        if self.names.is_empty() {
            let part = self.part("");
            let link = if text.contains("->") { "->" } else { "," };
            text = format!("{text} {link} {part}");
        }
        if self.dice.below(2) == 0 {
            let _ = write!(text, " within {} millisec", self.dice.pick(&[20, 60, 150]));
        }
        format!("{text}\n  {}", self.selection())
    }

    fn any_part(&mut self) -> String {
        match self.dice.below(8) {
            0 | 1 => self.sides(),
            2 => self.absence(true),
            _ => self.part(""),
        }
    }

    /// One event, or several.
    fn part(&mut self, star: &str) -> String {
        let count = match (star, self.dice.below(5)) {
            ("", 0) => *self.dice.pick(&["<2>", "<1:2>", "<2:3>", "<0:2>", "<1:>"]),
            _ => star,
        };
        let text = self.event(!count.is_empty());
        format!("{text}{count}")
    }

    fn event(&mut self, counts: bool) -> String {
        let source = *self.dice.pick(self.sources);
        let filter = self.filter(counts);
        let name = format!("e{}", self.names.len() + 1);
        self.names.push((name.clone(), counts));
        self.seen = self.names.len();
        format!("{name}={source}{filter}")
    }

    fn absence(&mut self, timed: bool) -> String {
        let source = *self.dice.pick(self.sources);
        let filter = self.filter(false);
        let time =
            if timed { *self.dice.pick(&[" for 15 millisec", " for 40 millisec"]) } else { "" };
        format!("not {source}{filter}{time}")
    }

    /// Two joined by `and` or `or`.
    fn sides(&mut self) -> String {
        match self.dice.below(6) {
            0 => format!("{} and {}", self.absence(false), self.event(false)),
            1 => format!("{} and {}", self.absence(true), self.event(false)),
            2 => format!("{} or {}", self.absence(true), self.event(false)),
            kind => {
                let before = self.seen;
                let first = self.event(false);
                // The second cannot look at the first.
                self.seen = before;
                let word = if kind == 3 { "or" } else { "and" };
                format!("{first} {word} {}", self.event(false))
            }
        }
    }

    fn filter(&mut self, counts: bool) -> String {
        let own = format!("e{}", self.names.len() + 1);
        let earlier = self.seen.checked_sub(1).map(|last| {
            let (name, counted) = &self.names[self.dice.below(last as u64 + 1) as usize];
            match (counted, self.dice.below(3)) {
                (true, 0) => format!("{name}[0]"),
                (true, 1) => format!("{name}[last]"),
                _ => name.clone(),
            }
        });
        let plain =
            *self.dice.pick(&["n > 0", "b", "n != 1", "v > 0.5 and n < 4", "not (k is null)"]);
        let filter = match (self.dice.below(6), earlier) {
            (0, _) => return String::new(),
            (1 | 2, Some(earlier)) => format!("k == {earlier}.k"),
            (3, Some(earlier)) => format!("n >= {earlier}.n and {plain}"),
            (4, Some(earlier)) => format!("{earlier} is null or v > {earlier}.v"),
            (5, _) if counts => format!("{own}[last].n is null or {own}[last].n <= n"),
            _ => plain.to_owned(),
        };
        format!("[{filter}]")
    }

    fn selection(&mut self) -> String {
        let mut items = Vec::new();
        for (place, (name, counts)) in self.names.clone().iter().enumerate() {
            let column = *self.dice.pick(&["k", "n", "v"]);
            let of = match counts {
                true => *self.dice.pick(&["[0]", "[1]", "[last]", "[last-1]"]),
                false => "",
            };
            items.push(format!("{name}{of}.{column} as c{place}"));
        }
        let (first, counts) = self.names[0].clone();
        let of = if counts { "[0]" } else { "" };
        match self.dice.below(5) {
            0 => items.push("count() as c".to_owned()),
            1 => items.push(format!("sum({first}{of}.n) as c")),
            2 => items.push(format!("{first} is null as c")),
            _ => items.push(format!("eventTimestamp({first}) as c")),
        }
        let group = match self.dice.below(5) {
            0 => format!("\n  group by {first}{of}.k"),
            _ => String::new(),
        };
        format!("select {}{group}", items.join(", "))
    }
}
