//! The log of deployments as a state machine, and its entries as bytes.

use crate::catalogue::*;
use crate::event::Text;

pub(super) fn text(source: &str) -> PlanText {
    PlanText { source: source.into(), kept: source.into() }
}

pub(super) fn deploy(plan: &str, file: &str, source: &str) -> Entry {
    let (file, text) = (file.into(), text(source));
    let change = Change::Deploy { file, text, version: 1, kept_by: None };
    Entry { at: 7, plan: plan.into(), change }
}

fn base(number: u32, version: u64) -> Base {
    Base { number, version }
}

fn change(plan: &str, change: Change) -> Entry {
    Entry { at: 8, plan: plan.into(), change }
}

fn update(plan: &str, base: Base, file: &str, source: &str) -> Entry {
    change(plan, Change::Update { base, file: file.into(), text: text(source) })
}

fn done(catalogue: &mut Catalogue, entry: &Entry) -> (Verb, u32, u64) {
    let Applied { verb, base } = catalogue.apply(entry).unwrap();
    (verb, base.number, base.version)
}

#[test]
fn plans_come_change_move_and_go() {
    let mut all = Catalogue::default();
    assert!(all.is_new());
    assert_eq!(done(&mut all, &deploy("a", "a.siddhi", "1")), (Verb::Deployed, 1, 1));
    assert_eq!(done(&mut all, &deploy("b", "b.siddhi", "1")), (Verb::Deployed, 2, 1));
    let changed = update("a", base(1, 1), "a.siddhi", "2");
    assert_eq!(done(&mut all, &changed), (Verb::Updated, 1, 2));
    let moved = change("b", Change::Move { base: base(2, 1), file: "c.siddhi".into() });
    assert_eq!(done(&mut all, &moved), (Verb::Moved, 2, 1));
    assert_eq!(all.in_file("c.siddhi").unwrap().0, "b");
    let gone = change("a", Change::Undeploy { base: base(1, 2) });
    assert_eq!(done(&mut all, &gone), (Verb::Undeployed, 1, 2));
    assert_eq!((all.position(), all.plans().count()), (5, 1));
    let mut other = Catalogue::default();
    assert_eq!(other.id(), 0);
    other.apply(&deploy("b", "b.siddhi", "1")).unwrap();
    assert!(all.id() > 0 && all.id() != other.id(), "logs are told apart");
}

#[test]
fn a_number_is_never_given_twice() {
    let mut all = Catalogue::default();
    for number in 1..=3 {
        assert_eq!(done(&mut all, &deploy("a", "a.siddhi", "1")), (Verb::Deployed, number, 1));
        all = Catalogue::from_bytes(&all.to_bytes()).unwrap();
        done(&mut all, &change("a", Change::Undeploy { base: base(number, 1) }));
        all = Catalogue::from_bytes(&all.to_bytes()).unwrap();
        assert!(all.has_given(number) && !all.has_given(number + 1) && !all.is_new());
    }
}

#[test]
fn what_does_not_fit_has_no_effect_but_its_position() {
    let mut all = Catalogue::default();
    all.apply(&deploy("a", "a.siddhi", "1")).unwrap();
    all.apply(&deploy("b", "b.siddhi", "1")).unwrap();
    all.apply(&update("a", base(1, 1), "a.siddhi", "2")).unwrap();
    for (entry, told) in [
        (deploy("a", "x.siddhi", "1"), "already defined in `a.siddhi`"),
        (deploy("c", "a.siddhi", "1"), "the file `a.siddhi` holds the plan `a`"),
        (deploy("../c", "c.siddhi", "1"), "may be called `../c`"),
        (deploy("c", "../c.siddhi", "1"), "may be called `../c.siddhi`"),
        (update("a", base(1, 1), "a.siddhi", "3"), "against version 1, but version 2 runs"),
        (update("a", base(1, 2), "a.siddhi", "2"), "runs already"),
        (update("a", base(1, 2), "b.siddhi", "3"), "holds the plan `b`"),
        (update("a", base(9, 2), "a.siddhi", "3"), "undeployed meanwhile"),
        (update("c", base(1, 2), "c.siddhi", "3"), "undeployed meanwhile"),
        (change("a", Change::Undeploy { base: base(1, 1) }), "against version 1"),
        (change("a", Change::Move { base: base(1, 2), file: "b.siddhi".into() }), "holds"),
        (change("a", Change::Move { base: base(1, 2), file: "a.siddhi".into() }), "already"),
    ] {
        let before = all.clone();
        let misfit = all.apply(&entry).unwrap_err();
        assert!(misfit.to_string().contains(told), "{misfit} should say {told}");
        assert_eq!(before.check(&entry), Err(misfit), "it is known before");
        assert_eq!(all.position(), before.position() + 1);
        assert!(all.plans().eq(before.plans()));
    }
}

#[test]
fn a_text_that_moves_and_stays_is_no_new_version() {
    let mut all = Catalogue::default();
    all.apply(&deploy("a", "a.siddhi", "1")).unwrap();
    let moved = update("a", base(1, 1), "b.siddhi", "1");
    assert_eq!(done(&mut all, &moved), (Verb::Moved, 1, 1));
}

/// A source of chance that gives the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

fn any_entry(dice: &mut Dice) -> Entry {
    let plan = ["a", "b", "c"][dice.roll(3) as usize];
    let file: Text = format!("{}.siddhi", ["a", "b", "c", "d"][dice.roll(4) as usize]).into();
    let mut text = text(&format!("text {}", dice.roll(3)));
    if dice.roll(3) == 0 {
        text.kept = format!("{} resolved", text.source).into();
    }
    let base = base(dice.roll(5) as u32, 1 + dice.roll(3));
    let kept_by = (dice.roll(2) == 0).then(|| Text::from("n"));
    let change = match dice.roll(6) {
        0 | 1 => Change::Deploy { file, text, version: 1 + dice.roll(2), kept_by },
        2 | 3 => Change::Update { base, file, text },
        4 => Change::Move { base, file },
        _ => Change::Undeploy { base },
    };
    Entry { at: dice.roll(1000) as i64, plan: plan.into(), change }
}

#[test]
fn entries_and_catalogues_come_back_from_bytes_and_go_on_alike() {
    let mut dice = Dice(0x5eed);
    for _ in 0..300 {
        let (mut one, mut other) = (Catalogue::default(), Catalogue::default());
        for _ in 0..20 {
            let entry = any_entry(&mut dice);
            assert_eq!(Entry::from_bytes(&entry.to_bytes()).unwrap(), entry);
            assert_eq!(one.apply(&entry), other.apply(&entry));
            if dice.roll(4) == 0 {
                other = Catalogue::from_bytes(&other.to_bytes()).unwrap();
            }
            assert_eq!(one.to_bytes(), other.to_bytes());
            let numbers: std::collections::BTreeSet<_> =
                one.plans().map(|(_, plan)| plan.base.number).collect();
            let files: std::collections::BTreeSet<_> =
                one.plans().map(|(_, plan)| plan.file.clone()).collect();
            assert_eq!((numbers.len(), files.len()), (one.plans().count(), one.plans().count()));
        }
    }
}

#[test]
fn bytes_that_are_cut_or_changed_are_refused_or_something_else_but_never_a_panic() {
    let mut dice = Dice(77);
    let mut all = Catalogue::default();
    for _ in 0..200 {
        let entry = any_entry(&mut dice);
        let _ = all.apply(&entry);
        let whole = entry.to_bytes();
        for end in 0..whole.len() {
            assert!(Entry::from_bytes(&whole[..end]).is_err(), "cut at {end}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(Entry::from_bytes(&longer).is_err());
        for mut bytes in [whole, all.to_bytes()] {
            let place = dice.roll(bytes.len() as u64) as usize;
            bytes[place] ^= 1 << dice.roll(8);
            if let Ok(entry) = Entry::from_bytes(&bytes) {
                let _ = all.clone().apply(&entry);
            }
            if let Ok(mut catalogue) = Catalogue::from_bytes(&bytes) {
                let _ = catalogue.apply(&entry);
            }
        }
    }
    let mut newer = deploy("a", "a.siddhi", "1").to_bytes();
    newer[0] = 2;
    assert!(Entry::from_bytes(&newer).is_err(), "of a newer version");
}

#[test]
fn records_come_back_from_bytes_and_damage_shows() {
    let mut all = Records::new();
    let seen = Seen { hash: 5, plan: "a".into(), base: base(1, 2) };
    all.insert("a.siddhi".to_owned(), seen);
    let bytes = records::to_bytes(&all);
    assert_eq!(records::from_bytes(&bytes).unwrap(), all);
    assert!(records::from_bytes(&[]).is_err());
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        assert!(records::from_bytes(&damaged).is_err(), "byte {place}");
    }
}
