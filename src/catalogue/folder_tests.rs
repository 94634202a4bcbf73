//! The folder of plans against the catalogue: one file at a time, and many at random.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalogue::records;
use crate::catalogue::tests::Dice;
use crate::catalogue::tests::text;
use crate::catalogue::*;
use crate::event::Text;

/// A file and what is in it: `name: text` names the plan inside, a `!` at the end makes it unsound.
fn content(written: &str) -> Content {
    if written == "?" {
        return Content::Unreadable("the file is binary".to_owned());
    }
    let name = written.split_once(": ").map(|(name, _)| name.to_owned());
    Content::Text { text: written.into(), name, sound: !written.ends_with('!') }
}

/// A node's folder, with a log of its own or that of another node.
#[derive(Default)]
struct Node {
    files: BTreeMap<String, String>,
    moving: BTreeSet<String>,
    folder: Folder,
    is_known: bool,
    /// How far this node has come in the log.
    catalogue: Catalogue,
    told: Vec<String>,
}

/// The log of deployments.
#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    all: Catalogue,
}

impl Log {
    fn order(&mut self, entry: Entry) -> Result<Base, Misfit> {
        self.all.check(&entry)?;
        let applied = self.all.apply(&entry).unwrap();
        self.entries.push(entry);
        Ok(applied.base)
    }
}

fn entry(file: &str, plan: &Text, wish: &Wish) -> Entry {
    let file: Text = file.into();
    let change = match wish {
        Wish::Deploy { source } => {
            Change::Deploy { file, text: text(source), version: 1, kept_by: None }
        }
        Wish::Update { base, source } => Change::Update { base: *base, file, text: text(source) },
        Wish::Move { base } => Change::Move { base: *base, file },
        Wish::Undeploy { base } => Change::Undeploy { base: *base },
    };
    Entry { at: 0, plan: plan.clone(), change }
}

impl Node {
    fn look(&self) -> Look {
        let is_read = |file: &String| !self.moving.contains(file) && is_file_name(file);
        let files = self.files.iter().filter(|(file, _)| is_read(file));
        let files = files.map(|(file, text)| (file.clone(), content(text))).collect();
        Look { files, moving: self.moving.clone(), is_known: self.is_known }
    }

    /// Looks once and does what follows.
    fn step(&mut self, log: &mut Log) -> usize {
        for entry in log.entries.iter().skip(self.catalogue.position() as usize) {
            let _ = self.catalogue.apply(entry);
        }
        let steps = self.folder.follow(&self.look(), &self.catalogue);
        self.is_known |= !self.files.is_empty();
        let count = steps.len();
        for step in steps {
            self.told.push(show(&step));
            self.carry_out(step, log);
        }
        count
    }

    fn carry_out(&mut self, step: Step, log: &mut Log) {
        match step {
            Step::Accept { .. } | Step::Refuse { .. } => {}
            Step::Offer { file, plan, wish } => {
                let answer = log.order(entry(&file, &plan, &wish));
                for entry in log.entries.iter().skip(self.catalogue.position() as usize) {
                    let _ = self.catalogue.apply(entry);
                }
                let answer = answer.map_err(|misfit| match misfit {
                    Misfit::Name(_) => Unwanted::Final(misfit.to_string()),
                    _ => Unwanted::Passing,
                });
                self.folder.answered(&plan, &wish, answer);
            }
            Step::PutAside { file, .. } => {
                let text = self.files.remove(&file).unwrap();
                let count = self.files.keys().filter(|of| of.starts_with(&*file)).count();
                let number = if count == 0 { String::new() } else { format!(".{}", count + 1) };
                self.files.insert(format!("{file}.conflict{number}"), text);
                self.folder.removed(&file);
            }
            Step::Write { file, plan } => {
                let there = self.catalogue.plan(&plan).unwrap();
                let source = there.text.source.to_string();
                self.folder.wrote(&file, &plan, there.base, &source);
                self.files.insert(file, source);
            }
            Step::Remove { file } => {
                self.files.remove(&file);
                self.folder.removed(&file);
            }
        }
    }

    /// Looks until nothing follows any more; what was told.
    fn settle(&mut self, log: &mut Log) -> Vec<String> {
        for _ in 0..20 {
            if self.step(log) == 0 {
                return std::mem::take(&mut self.told);
            }
        }
        panic!("it never comes to rest: {:?}", self.told);
    }

    fn put(&mut self, file: &str, text: &str) {
        self.files.insert(file.to_owned(), text.to_owned());
    }

    /// The node ends; what happens until it starts again happens unseen.
    fn restart(&mut self) {
        let kept = records::from_bytes(&records::to_bytes(self.folder.records())).unwrap();
        self.folder = Folder::new(kept);
        self.is_known = false;
    }

    fn plans(&self) -> Vec<String> {
        let plans = self.catalogue.plans();
        let show = |(name, plan): (&Text, &Deployed)| {
            format!("{name} v{} from {}: {}", plan.base.version, plan.file, plan.text.source)
        };
        plans.map(show).collect()
    }
}

fn show(step: &Step) -> String {
    match step {
        Step::Accept { file } => format!("accept {file}"),
        Step::Refuse { file, plan, refusal } => format!("refuse {file} ({plan}): {refusal}"),
        Step::Offer { file, plan, wish } => match wish {
            Wish::Deploy { source } => format!("deploy {plan} from {file}: {source}"),
            Wish::Update { source, .. } => format!("update {plan} from {file}: {source}"),
            Wish::Move { .. } => format!("move {plan} to {file}"),
            Wish::Undeploy { .. } => format!("undeploy {plan}"),
        },
        Step::PutAside { file, .. } => format!("put {file} aside"),
        Step::Write { file, plan } => format!("write {plan} into {file}"),
        Step::Remove { file } => format!("remove {file}"),
    }
}

/// A node on which these files came to rest.
fn node(log: &mut Log, files: &[(&str, &str)]) -> Node {
    let mut node = Node::default();
    files.iter().for_each(|(file, text)| node.put(file, text));
    node.settle(log);
    node
}

/// What follows from putting these files (an empty text removes one).
fn then(node: &mut Node, log: &mut Log, files: &[(&str, &str)]) -> Vec<String> {
    for (file, text) in files {
        if text.is_empty() { drop(node.files.remove(*file)) } else { node.put(file, text) }
    }
    node.settle(log)
}

const NOTHING: [&str; 0] = [];

#[test]
fn plans_come_change_and_go_with_their_files() {
    let (mut log, mut node) = (Log::default(), Node::default());
    let told = then(&mut node, &mut log, &[("a.siddhi", "one")]);
    assert_eq!(told, ["deploy a from a.siddhi: one"]);
    assert_eq!(node.settle(&mut log), NOTHING);
    let told = then(&mut node, &mut log, &[("a.siddhi", "two")]);
    assert_eq!(told, ["update a from a.siddhi: two"]);
    assert_eq!(then(&mut node, &mut log, &[("a.siddhi", "")]), ["undeploy a"]);
    assert_eq!(node.plans(), NOTHING);
    assert!(node.folder.records().is_empty());
}

#[test]
fn what_happened_to_files_while_the_node_was_down_is_a_users_change() {
    let mut log = Log::default();
    let mut node = node(&mut log, &[("a.siddhi", "1"), ("b.siddhi", "1"), ("c.siddhi", "1")]);
    node.restart();
    assert_eq!(node.settle(&mut log), NOTHING, "nothing happened");
    node.restart();
    let told = then(&mut node, &mut log, &[("a.siddhi", ""), ("b.siddhi", "2"), ("d.siddhi", "1")]);
    assert_eq!(
        told,
        ["undeploy a", "update b from b.siddhi: 2", "deploy d from d.siddhi: 1"],
        "deleted, changed and new"
    );
}

#[test]
fn an_empty_folder_undeploys_nothing_unless_it_was_seen_to_become_empty() {
    let mut log = Log::default();
    let mut node = node(&mut log, &[("a.siddhi", "1"), ("b.siddhi", "1")]);
    node.restart();
    let told = then(&mut node, &mut log, &[("a.siddhi", ""), ("b.siddhi", "")]);
    assert_eq!(told, ["write a into a.siddhi", "write b into b.siddhi"]);
    assert_eq!(node.files["a.siddhi"], "1");
    node.is_known = false;
    let told = then(&mut node, &mut log, &[("a.siddhi", ""), ("b.siddhi", "")]);
    assert_eq!(told.len(), 2, "another folder is there now: {told:?}");
    let told = then(&mut node, &mut log, &[("a.siddhi", ""), ("b.siddhi", "")]);
    assert_eq!(told, ["undeploy a", "undeploy b"], "in the folder that it knows");
}

#[test]
fn a_stale_file_is_written_anew_and_an_edited_one_is_put_aside() {
    let mut log = Log::default();
    let mut node = node(&mut log, &[("a.siddhi", "1"), ("b.siddhi", "1"), ("c.siddhi", "1")]);
    for (plan, number) in [("a", 1), ("b", 2), ("c", 3)] {
        let base = Base { number, version: 1 };
        let wish = Wish::Update { base, source: "2".into() };
        log.order(entry(&format!("{plan}.siddhi"), &plan.into(), &wish)).unwrap();
    }
    node.restart();
    node.put("b.siddhi", "mine");
    node.files.remove("c.siddhi");
    let told = node.settle(&mut log);
    let expected = [
        "write a into a.siddhi",
        "put b.siddhi aside",
        "write b into b.siddhi",
        "write c into c.siddhi",
    ];
    assert_eq!(told, expected);
    assert_eq!((&*node.files["a.siddhi"], &*node.files["b.siddhi"]), ("2", "2"));
    assert_eq!(node.files["b.siddhi.conflict"], "mine");
    assert_eq!(node.settle(&mut log), NOTHING);
}

#[test]
fn what_was_undeployed_elsewhere_takes_its_file_along_but_not_an_edited_one() {
    let mut log = Log::default();
    let mut node = node(&mut log, &[("a.siddhi", "1"), ("b.siddhi", "1"), ("c.siddhi", "1")]);
    for (plan, number) in [("a", 1), ("b", 2)] {
        let wish = Wish::Undeploy { base: Base { number, version: 1 } };
        log.order(entry("", &plan.into(), &wish)).unwrap();
    }
    let told = then(&mut node, &mut log, &[("b.siddhi", "mine")]);
    assert_eq!(told, ["remove a.siddhi", "put b.siddhi aside"]);
    assert_eq!(node.files.keys().collect::<Vec<_>>(), ["b.siddhi.conflict", "c.siddhi"]);
}

#[test]
fn an_empty_standby_gets_all_files_and_one_with_other_files_keeps_them_beside() {
    let mut log = Log::default();
    node(&mut log, &[("a.siddhi", "1"), ("b.siddhi", "N: 1")]);
    let standby = node(&mut log, &[]);
    assert_eq!(standby.plans(), ["N v1 from b.siddhi: N: 1", "a v1 from a.siddhi: 1"]);
    assert_eq!((&*standby.files["a.siddhi"], &*standby.files["b.siddhi"]), ("1", "N: 1"));
    let mut other = Node::default();
    let files =
        [("a.siddhi", "old"), ("b.siddhi", "N: 1"), ("c.siddhi", "new"), ("d.siddhi", "N: 2")];
    let told = then(&mut other, &mut log, &files);
    let refused = "refuse d.siddhi (N): the plan `N` is already defined in `b.siddhi`; rename one \
                   of them";
    let expected =
        [refused, "put a.siddhi aside", "write a into a.siddhi", "deploy c from c.siddhi: new"];
    assert_eq!(told, expected);
    assert_eq!((&*other.files["a.siddhi"], &*other.files["a.siddhi.conflict"]), ("1", "old"));
}

#[test]
fn of_two_files_with_one_name_the_second_is_refused_and_follows_when_the_first_goes() {
    let (mut log, mut node) = (Log::default(), Node::default());
    let told = then(&mut node, &mut log, &[("a.siddhi", "N: 1"), ("b.siddhi", "N: 2")]);
    let refusal = "the plan `N` is already defined in `a.siddhi`; rename one of them";
    let refused = format!("refuse b.siddhi (N): {refusal}");
    assert_eq!(told, [&*refused, "deploy N from a.siddhi: N: 1"]);
    let told = then(&mut node, &mut log, &[("a.siddhi", "")]);
    assert_eq!(told, ["accept b.siddhi", "update N from b.siddhi: N: 2"]);
    let told = then(&mut node, &mut log, &[("a.siddhi", "N: 1")]);
    assert_eq!(told, [format!("refuse a.siddhi (N): {}", refusal.replace("a.s", "b.s"))]);
}

#[test]
fn both_endings_make_one_name() {
    let (mut log, mut node) = (Log::default(), Node::default());
    let told = then(&mut node, &mut log, &[("a.siddhi", "1"), ("a.siddhiql", "2")]);
    assert!(told[0].starts_with("refuse a.siddhiql (a): "), "{told:?}");
    assert_eq!(told[1], "deploy a from a.siddhi: 1");
}

#[test]
fn a_name_changed_inside_is_another_plan_and_a_name_that_is_taken_changes_nothing() {
    let mut log = Log::default();
    let mut node = node(&mut log, &[("a.siddhi", "N: 1"), ("b.siddhi", "O: 1")]);
    let told = then(&mut node, &mut log, &[("a.siddhi", "M: 1")]);
    assert_eq!(told, ["undeploy N", "deploy M from a.siddhi: M: 1"]);
    let told = then(&mut node, &mut log, &[("a.siddhi", "O: 2")]);
    assert!(told[0].starts_with("refuse a.siddhi (M): the plan `O` is already"), "{told:?}");
    assert_eq!(node.plans(), ["M v1 from a.siddhi: M: 1", "O v1 from b.siddhi: O: 1"]);
    let told = then(&mut node, &mut log, &[("b.siddhi", "M: 2")]);
    assert_eq!((told.len(), node.plans().len()), (1, 2), "two may not change places: {told:?}");
    let told = then(&mut node, &mut log, &[("b.siddhi", "O: 3")]);
    assert_eq!(told, ["accept b.siddhi", "update O from b.siddhi: O: 3"]);
}

#[test]
fn a_renamed_file_with_the_same_plan_inside_changes_nothing() {
    let mut log = Log::default();
    let mut node = node(&mut log, &[("a.siddhi", "N: 1"), ("c.siddhi", "text")]);
    for is_down in [false, true] {
        let (from, to) = if is_down { ("b", "e") } else { ("a", "b") };
        if is_down {
            node.restart();
        }
        let (from, to) = (format!("{from}.siddhi"), format!("{to}.siddhi"));
        let told = then(&mut node, &mut log, &[(&from, ""), (&to, "N: 1")]);
        assert_eq!(told, [format!("move N to {to}")]);
    }
    let told = then(&mut node, &mut log, &[("c.siddhi", ""), ("d.siddhi", "text")]);
    assert_eq!(told, ["undeploy c", "deploy d from d.siddhi: text"], "named by its file");
    let told = then(&mut node, &mut log, &[("e.siddhi", ""), ("d.siddhi", "N: 2")]);
    let expected = ["undeploy d", "update N from d.siddhi: N: 2"];
    assert_eq!(told, expected, "it takes the place of another");
    assert_eq!(node.plans(), ["N v2 from d.siddhi: N: 2"]);
}

#[test]
fn a_rename_follows_on_the_other_node() {
    let mut log = Log::default();
    let mut active = node(&mut log, &[("a.siddhi", "N: 1"), ("z.siddhi", "1")]);
    let mut standby = node(&mut log, &[]);
    then(&mut active, &mut log, &[("a.siddhi", ""), ("b.siddhi", "N: 1")]);
    let told = standby.settle(&mut log);
    assert_eq!(told, ["write N into b.siddhi", "remove a.siddhi"]);
    assert_eq!(standby.files, active.files);
}

#[test]
fn a_broken_file_leaves_the_version_before_running() {
    let mut log = Log::default();
    let mut node = node(&mut log, &[("a.siddhi", "N: 1")]);
    let mut follow = |text: &str| then(&mut node, &mut log, &[("a.siddhi", text)]);
    assert_eq!(follow("N: 2!"), ["refuse a.siddhi (N): the plan has errors"]);
    assert_eq!(follow("N: 2!"), NOTHING, "said once");
    assert_eq!(follow("?"), ["refuse a.siddhi (N): the file is binary"]);
    assert_eq!(follow("M: 2!"), ["refuse a.siddhi (N): the plan has errors"]);
    assert_eq!(follow("N: 1"), ["accept a.siddhi"]);
    follow("N: 2!");
    assert_eq!(follow("N: 3"), ["accept a.siddhi", "update N from a.siddhi: N: 3"]);
    follow("N: 4!");
    assert_eq!(follow(""), ["accept a.siddhi", "undeploy N"]);
}

#[test]
fn a_broken_newcomer_takes_no_name_away() {
    let (mut log, mut node) = (Log::default(), Node::default());
    let told = then(&mut node, &mut log, &[("a.siddhi", "N: 1!"), ("b.siddhi", "N: 2")]);
    let refused = "refuse a.siddhi (N): the plan has errors";
    assert_eq!(told, [refused, "deploy N from b.siddhi: N: 2"]);
}

#[test]
fn names_are_checked() {
    let (mut log, mut node) = (Log::default(), Node::default());
    let told = then(&mut node, &mut log, &[("a b.siddhi", "1"), ("c.siddhi", "x/y: 1")]);
    assert!(told[0].starts_with("refuse a b.siddhi (a b): a plan may not be called `a b`"));
    assert!(told[1].starts_with("refuse c.siddhi (x/y): a plan may not be called `x/y`"));
}

#[test]
fn a_file_that_is_being_written_is_neither_new_nor_gone() {
    let mut log = Log::default();
    let mut node = node(&mut log, &[("a.siddhi", "1"), ("b.siddhi", "1!"), ("z.siddhi", "1")]);
    node.restart();
    node.settle(&mut log);
    node.moving = ["a.siddhi", "b.siddhi", "c.siddhi"].map(str::to_owned).into();
    assert_eq!(then(&mut node, &mut log, &[("a.siddhi", "2"), ("c.siddhi", "1")]), NOTHING);
    node.moving.clear();
    let told = node.settle(&mut log);
    assert_eq!(told, ["update a from a.siddhi: 2", "deploy c from c.siddhi: 1"]);
}

#[test]
fn an_offer_is_made_once_and_again_if_it_could_not_be_ordered() {
    let mut node = Node::default();
    node.put("a.siddhi", "1");
    let follow = |node: &mut Node| {
        let steps = node.folder.follow(&node.look(), &node.catalogue);
        steps.iter().map(show).collect::<Vec<_>>()
    };
    let offer = ["deploy a from a.siddhi: 1"];
    let wish = Wish::Deploy { source: "1".into() };
    assert_eq!(follow(&mut node), offer);
    assert_eq!(follow(&mut node), NOTHING, "no answer yet");
    assert!(node.folder.awaits("a"));
    node.folder.answered(&"a".into(), &wish, Err(Unwanted::Passing));
    assert_eq!(follow(&mut node), offer);
    node.folder.answered(&"a".into(), &wish, Err(Unwanted::Final("no luck".to_owned())));
    assert_eq!(follow(&mut node), ["refuse a.siddhi (a): no luck"]);
    assert_eq!(follow(&mut node), NOTHING, "not by itself");
    node.put("a.siddhi", "2");
    assert_eq!(follow(&mut node), ["accept a.siddhi", "deploy a from a.siddhi: 2"]);
}

#[test]
fn records_of_another_log_are_not_believed() {
    let mut log = Log::default();
    let mut node = node(&mut log, &[("a.siddhi", "1")]);
    node.restart();
    node.catalogue = Catalogue::default();
    let told = node.settle(&mut Log::default());
    assert_eq!(told, ["deploy a from a.siddhi: 1"], "the file stays and is taken up");
}

/// Whatever users do to two folders, both come to hold what the log says.
#[test]
fn two_folders_come_to_agree() {
    for seed in 1..400 {
        let (mut dice, mut log) = (Dice(seed * 0x9e37_79b9), Log::default());
        let mut nodes = [Node::default(), Node::default()];
        let mut written = 0;
        for _ in 0..30 {
            let node = &mut nodes[dice.roll(2) as usize];
            let file = format!("{}.siddhi", ["a", "b", "c"][dice.roll(3) as usize]);
            match dice.roll(8) {
                0..=2 => {
                    written += 1;
                    let name = ["", "", "N: ", "a: "][dice.roll(4) as usize];
                    node.put(&file, &format!("{name}{seed}/{written}"));
                    let told = node.step(&mut log);
                    assert!(told < 20);
                }
                3 => drop(node.files.remove(&file)),
                4 => {
                    let other = format!("{}.siddhi", ["a", "b", "c"][dice.roll(3) as usize]);
                    if let Some(text) = node.files.remove(&file) {
                        node.files.entry(other).or_insert(text);
                    }
                }
                5 => node.restart(),
                _ => drop(node.settle(&mut log)),
            }
        }
        for _ in 0..4 {
            nodes.iter_mut().for_each(|node| drop(node.settle(&mut log)));
        }
        for node in &mut nodes {
            assert_eq!(node.catalogue, log.all, "seed {seed}");
            assert_eq!(node.settle(&mut log), NOTHING, "seed {seed}");
            for (name, plan) in log.all.plans() {
                let found = node.files.get(&*plan.file).map(String::as_str);
                let is_as_logged = found == Some(&*plan.text.source);
                assert!(is_as_logged || is_taken(node, &log, &plan.file), "seed {seed}: {name}");
            }
        }
    }
}

/// Whether a file asks for the name of a plan that lies elsewhere, which is refused.
fn is_taken(node: &Node, log: &Log, file: &str) -> bool {
    let Some(text) = node.files.get(file) else { return false };
    match Claim::of(file, &content(text)) {
        Claim::Run { plan, .. } => log.all.plan(&plan).is_some_and(|there| there.file != file),
        Claim::Nothing(_) => false,
    }
}

/// Texts that users wrote are in a file, or were the text of a plan.
#[test]
fn no_edit_is_lost() {
    for seed in 1..200_u64 {
        let (mut dice, mut log) = (Dice(seed * 0x51ed), Log::default());
        let mut nodes = [node(&mut log, &[("a.siddhi", "0")]), Node::default()];
        let (mut texts, mut edited) = (Vec::<Arc<str>>::new(), [false; 2]);
        for round in 1..12 {
            for (index, node) in nodes.iter_mut().enumerate() {
                // Not every look comes between two edits.
                if dice.roll(3) > 0 || edited[index] {
                    node.settle(&mut log);
                    edited[index] = false;
                }
                if node.files.contains_key("a.siddhi") && dice.roll(2) == 0 {
                    let text = format!("{round} of {index}");
                    node.put("a.siddhi", &text);
                    texts.push(text.into());
                    edited[index] = true;
                }
            }
        }
        nodes.iter_mut().for_each(|node| drop(node.settle(&mut log)));
        let logged = log.entries.iter().filter_map(|entry| match &entry.change {
            Change::Deploy { text, .. } | Change::Update { text, .. } => {
                Some(text.source.to_string())
            }
            _ => None,
        });
        let kept = nodes.iter().flat_map(|node| node.files.values().cloned());
        let found: BTreeSet<String> = logged.chain(kept).collect();
        for text in texts {
            assert!(found.contains(&*text), "seed {seed}: {text} of {found:?}");
        }
    }
}
