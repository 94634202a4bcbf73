//! Makes up joins of two sides.

use twinflow::rehearsal::Dice;

/// A query up to its selection, which gives `k`, `n`, `v` and `t`; `shared` says whether there is a
/// named window `W`, `windows` what the sides may have.
pub fn query(dice: &mut Dice, shared: bool, windows: &[String; 2]) -> String {
    let left = side(dice, shared, &windows[0], "l");
    let right = side(dice, shared, &windows[1], "r");
    let (one, other) = match dice.below(6) {
        4 => (" unidirectional", ""),
        5 => ("", " unidirectional"),
        _ => ("", ""),
    };
    let join =
        dice.pick(&["join", "join", "left outer join", "right outer join", "full outer join"]);
    let on = dice.pick(&[
        "",
        " on l.k == r.k",
        " on l.k == r.k",
        " on l.n > r.n",
        " on l.k == r.k and l.n == r.n + 1",
        " on r.n == l.n and r.v != l.v and r.k is null",
        " on l.v == r.v",
    ]);
    let select = dice.pick(&[
        "l.k as k, l.n as n, r.v as v, r.t as t",
        "l.k as k, r.n as n, sum(l.v) as v, count() as t",
        "r.k as k, max(r.n) as n, avg(l.v) as v, count() as t group by l.k",
        "l.k as k, r.n as n, l.v as v, r.t as t order by n limit 2",
        "r.k as k, l.n as n, sum(r.v) as v, l.t as t having n > 0",
    ]);
    format!("from {left}{one} {join} {right}{other}{on}\n  select {select}")
}

fn side(dice: &mut Dice, shared: bool, window: &str, name: &str) -> String {
    let source = match shared && dice.below(4) == 0 {
        true => "W",
        false => *dice.pick(&["S", "R"]),
    };
    let filter = dice.pick(&["", "", "[n > -1]"]);
    let window = match source != "W" && dice.below(5) > 0 {
        true => format!("#window.{window}"),
        false => String::new(),
    };
    format!("{source}{filter}{window} as {name}")
}
