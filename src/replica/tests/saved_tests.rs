//! Saved state on its way back: of programs before, cut short, damaged, in pieces of any length;
//! and how much of it there is.

use super::*;

/// State as programs before wrote it, without a tally: plain; with what is remembered of events
/// that come on both nodes; with dead letters, too.
const SAMPLES: [&[u8]; 3] = [
    include_bytes!("../../../tests/formats/state-v1"),
    include_bytes!("../../../tests/formats/state-v2"),
    include_bytes!("../../../tests/formats/state-v3"),
];

/// Scenes in the states of the samples.
fn scenes() -> [Scene; 3] {
    let [mut plain, mut copies, mut letters] = [Scene::new(), Scene::new(), Scene::new()];
    entries().into_iter().for_each(|entry| drop(plain.apply(entry)));
    for scene in [&mut copies, &mut letters] {
        scene.apply(copied_deploy(PLAN));
        scene.apply(twice().remove(1));
    }
    letters.apply(LogEntry::new(1002, Body::PutAside(Box::new(letter_tests::aside(None)))));
    [plain, copies, letters]
}

fn restore(pieces: Pieces) -> Result<Replica, String> {
    Replica::restore(Arc::new(EngineMaker), pieces)
}

/// The bytes in pieces of this length.
fn cut(bytes: &[u8], length: usize) -> Pieces {
    let mut pieces: Vec<Vec<u8>> = bytes.chunks(length).rev().map(<[u8]>::to_vec).collect();
    Pieces::new(move |into| {
        let piece = pieces.pop();
        piece.iter().for_each(|piece| into.extend_from_slice(piece));
        Ok(piece.is_some())
    })
}

#[test]
fn state_of_programs_before_is_read() {
    for (sample, scene) in SAMPLES.into_iter().zip(scenes()) {
        let here = scene.replica.save().unwrap();
        for length in [1, 7, 1000] {
            let mut found = restore(cut(sample, length)).unwrap();
            assert_eq!(found.tally(), Tally::default());
            found.tally = scene.replica.tally();
            let found = found.save().unwrap();
            assert_eq!(found.to_bytes(), here.to_bytes());
            assert_eq!(found.fingerprint(), here.fingerprint());
        }
    }
}

#[test]
fn the_extent_is_what_is_written_and_the_fingerprint_is_of_all_of_it() {
    let mut prints = Vec::new();
    for scene in scenes() {
        let saved = scene.replica.save().unwrap();
        assert_eq!(saved.extent().bytes, saved.to_bytes().len() as u64);
        prints.push(saved.fingerprint());
    }
    // What is in it besides the machine: the head, what is remembered of copies, and letters.
    let with = |change: &dyn Fn(&mut Scene)| {
        let [_, _, mut scene] = scenes();
        let machine = scene.replica.machine().unwrap().freeze().to_bytes();
        change(&mut scene);
        assert_eq!(scene.replica.machine().unwrap().freeze().to_bytes(), machine);
        scene.replica.save().unwrap().fingerprint()
    };
    prints.push(with(&|scene| scene.replica.now += 1));
    prints.push(with(&|scene| scene.replica.tally.take(1)));
    prints.push(with(&|scene| drop(scene.replica.marks.insert("a".into(), "1".into()))));
    prints.push(with(&|scene| scene.replica.copies = Copies::default()));
    prints.push(with(&|scene| drop(scene.replica.letters.close(1, Closing::Discarded))));
    prints.push(with(&|scene| scene.replica.letters = Letters::default()));
    assert_eq!(with(&|_| ()), prints[2]);
    let count = prints.len();
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), count);
}

#[test]
fn state_that_is_cut_short_or_goes_on_is_refused() {
    let [_, _, scene] = scenes();
    let here = scene.replica.save().unwrap().to_bytes();
    for sample in SAMPLES.into_iter().chain([&here[..]]) {
        for length in 0..sample.len() {
            assert!(restore(Pieces::of(&sample[..length])).is_err(), "{length}");
        }
        let longer = [sample, &[0]].concat();
        assert!(restore(Pieces::of(&longer[..])).is_err());
    }
}

#[test]
fn damaged_state_is_refused_or_something_else_but_never_a_panic() {
    let [_, _, scene] = scenes();
    let sample = scene.replica.save().unwrap().to_bytes();
    for place in 0..sample.len() {
        let mut bytes = sample.clone();
        bytes[place] ^= [0x01, 0x80, 0xff][place % 3];
        if let Ok(replica) = restore(Pieces::of(bytes)) {
            drop(replica.save().map(|saved| saved.to_bytes()));
        }
    }
}

#[test]
fn state_of_a_newer_program_is_refused_and_says_so() {
    for format in [0, 5, 0xf0] {
        let mut bytes = SAMPLES[0].to_vec();
        bytes[0] = format;
        let told = restore(Pieces::of(bytes)).map(drop).unwrap_err();
        let newer = format!("saved state has format {format}, this version knows up to 4");
        assert_eq!(told, if format == 0 { "saved state is damaged" } else { &newer });
    }
}

#[test]
fn why_state_does_not_come_is_told() {
    for length in [0, 1, 100] {
        let mut begin = Some(SAMPLES[2][..length].to_vec());
        let pieces = Pieces::new(move |into| {
            into.extend(begin.take().ok_or("the disk is gone")?);
            Ok(true)
        });
        assert_eq!(restore(pieces).map(drop), Err("the disk is gone".to_owned()), "{length}");
    }
}

#[test]
fn state_is_counted_when_enough_came_or_is_held_or_time_has_passed() {
    let mut scene = Scene::new();
    let bytes = |scene: &Scene| scene.replica.machine().unwrap().freeze().measure().bytes;
    scene.apply(deploy(1000));
    let begun = scene.replica.tally().bytes();
    assert_eq!(begun, bytes(&scene), "a version that takes over is counted");
    scene.apply(rows(1500, &[1, 2, 3]));
    assert_eq!(scene.replica.tally().bytes(), begun, "it is good enough");
    assert!(bytes(&scene) > begun);
    scene.apply(rows(1500, &(100..4_000).collect::<Vec<_>>()));
    assert_eq!(scene.replica.tally().bytes(), begun);
    scene.apply(rows(1500, &(10_000..12_000).collect::<Vec<_>>()));
    let many = scene.replica.tally().bytes();
    assert_eq!(many, bytes(&scene), "the table has more rows");
    assert!(many > begun + 10_000 * 8, "{many}");
    scene.apply(LogEntry::new(2499, Body::Tick));
    assert_eq!(scene.replica.tally().bytes(), many);
    scene.apply(LogEntry::new(2500, Body::Tick));
    assert_eq!(scene.replica.tally().bytes(), bytes(&scene), "time has passed");
    assert!(scene.replica.tally().bytes() < many, "the window is empty");
}

#[test]
fn what_the_plan_falls_over_counts_for_nothing_wherever_it_is_known() {
    let (mut live, mut later) = (Scene::new(), Scene::new());
    let bad = rows(1000, &(1..9_000).chain([POISON]).collect::<Vec<_>>());
    [&mut live, &mut later].into_iter().for_each(|scene| drop(scene.apply(deploy(1000))));
    let back = fall(&mut live, bad.clone());
    live.replica.skip(2);
    live.apply(back);
    later.replica.skip(2);
    later.apply(bad);
    assert_eq!(live.replica.tally(), later.replica.tally());
    for scene in [&mut live, &mut later] {
        let skip = Body::Skip { position: 2, reason: "fell".into() };
        scene.apply(LogEntry::new(1000, skip));
    }
    assert_eq!(live.replica.tally(), later.replica.tally());
}

#[test]
fn nodes_that_took_state_without_a_count_agree_when_they_compare() {
    let mut scenes = [Scene::new(), Scene::new()];
    let entries = [deploy(1000), rows(1500, &[1]), rows(1600, &[2]), rows(1700, &[3])];
    for (place, entry) in entries.into_iter().enumerate() {
        for (node, scene) in scenes.iter_mut().enumerate() {
            scene.apply(entry.clone());
            if place == node + 1 {
                scene.replica.tally = Tally::default();
            }
        }
    }
    let print = |scene: &mut Scene| scene.replica.save().unwrap().fingerprint();
    let [one, other] = scenes.each_mut().map(print);
    assert_ne!(one, other, "they did not begin to count at the same entry");
    scenes.iter_mut().for_each(|scene| drop(scene.apply(LogEntry::new(1800, Body::Compare))));
    let [one, other] = scenes.each_mut().map(print);
    assert_eq!(one, other);
}
