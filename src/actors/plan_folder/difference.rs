//! From the files of a folder to the steps that make the running plans follow it. Pure.
//!
//! The rules: a plan's name is the name inside the file, else the file's name without its ending.
//! Of two files with one name the one that runs stays, else the first by file name; the other is
//! refused. A file that is broken leaves the version that ran before running. A file renamed with
//! the same plan inside changes nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

const NAME_CHARS_MAX: usize = 100;

/// What a file holds, after reading and checking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A text.
    Text {
        /// All of it.
        text: Arc<str>,
        /// The name inside, if it gives one.
        name: Option<String>,
        /// Whether the check found no error.
        sound: bool,
    },
    /// Nothing that could be read as a text, and why.
    Unreadable(String),
}

/// Why a file is not deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The check found errors; the diagnostics say which.
    Unsound,
    /// It could not be read.
    Unreadable(String),
    /// A plan may not be called so.
    Name(String),
    /// It is sound, yet it could not be started.
    Failed(String),
    /// Another file holds a plan of this name.
    Taken {
        /// The name.
        plan: String,
        /// The file that has it.
        by: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsound => f.write_str("the plan has errors"),
            Self::Unreadable(reason) | Self::Failed(reason) => f.write_str(reason),
            Self::Name(name) => write!(
                f,
                "a plan may not be called `{name}`: expected 1 to {NAME_CHARS_MAX} letters, \
                 digits, `_`, `-` or `.`, not beginning with `.`"
            ),
            Self::Taken { plan, by } => {
                write!(f, "the plan `{plan}` is already defined in `{by}`; rename one of them")
            }
        }
    }
}

/// One thing to do so that what runs follows the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Stop a plan and forget it.
    Undeploy {
        /// Its name.
        plan: String,
    },
    /// A file refused before is so no longer, or is gone.
    Accept {
        /// Its name.
        file: String,
    },
    /// A plan lies in another file now; it runs on untouched.
    Move {
        /// The plan's name.
        plan: String,
        /// The file that holds it now.
        file: String,
    },
    /// A running plan has a new version.
    Update {
        /// The plan's name.
        plan: String,
        /// The file that holds it.
        file: String,
        /// The new version.
        text: Arc<str>,
    },
    /// A plan is new.
    Deploy {
        /// The plan's name.
        plan: String,
        /// The file that holds it.
        file: String,
        /// The plan.
        text: Arc<str>,
    },
    /// A file is not deployed.
    Refuse {
        /// Its name.
        file: String,
        /// The plan it is about, as far as one can tell.
        plan: String,
        /// Why.
        refusal: Refusal,
    },
}

/// What is known of the folder and what runs because of it.
#[derive(Debug, Default)]
pub struct Folder {
    /// Which file each running plan comes from, and which text runs.
    plans: BTreeMap<String, (String, Arc<str>)>,
    /// Why files are refused, and with which content.
    refused: BTreeMap<String, (Content, Refusal)>,
    /// The files as last followed.
    files: BTreeMap<String, Content>,
}

/// What a file asks for.
enum Claim {
    /// To run as this plan.
    Run(String, Arc<str>),
    /// Nothing new: refused, and the plan it ran as, if any, runs on.
    Keep(Refusal),
}

impl Folder {
    /// Compares what lies in the folder with what runs and takes note of the steps as done.
    pub fn follow(&mut self, files: &BTreeMap<String, Content>) -> Vec<Step> {
        let mut plans = BTreeMap::new();
        let mut refused = BTreeMap::new();
        let mut wishes: BTreeMap<String, Vec<(String, Arc<str>)>> = BTreeMap::new();
        for (file, content) in files {
            match self.claim(file, content) {
                Claim::Run(plan, text) => {
                    wishes.entry(plan).or_default().push((file.clone(), text));
                }
                Claim::Keep(refusal) => {
                    if let Some((plan, text)) = self.runs_as(file) {
                        plans.insert(plan.to_owned(), (file.clone(), text));
                    }
                    refused.insert(file.clone(), (content.clone(), refusal));
                }
            }
        }
        for (plan, mut wishes) in wishes {
            // The file that runs comes first; the others stand in order of their names.
            let runs = self.plans.get(&plan).map(|(file, _)| file);
            wishes.sort_by_key(|(file, _)| Some(file) != runs);
            let mut wishes = wishes.into_iter();
            if !plans.contains_key(&plan) {
                plans.extend(wishes.next().map(|first| (plan.clone(), first)));
            }
            let by = plans[&plan].0.clone();
            for (file, _) in wishes {
                let refusal = Refusal::Taken { plan: plan.clone(), by: by.clone() };
                refused.insert(file.clone(), (files[&file].clone(), refusal));
            }
        }
        let steps = self.steps(&plans, &refused);
        self.plans = plans;
        self.refused = refused;
        self.files.clone_from(files);
        steps
    }

    /// Takes note that a plan could not be started: its file is tried again once it changes.
    pub fn failed(&mut self, plan: &str, reason: &str) {
        if let Some((file, _)) = self.plans.remove(plan)
            && let Some(content) = self.files.get(&file)
        {
            let refusal = Refusal::Failed(reason.to_owned());
            self.refused.insert(file, (content.clone(), refusal));
        }
    }

    fn claim(&self, file: &str, content: &Content) -> Claim {
        match self.refused.get(file) {
            Some((before, failed @ Refusal::Failed(_))) if before == content => {
                Claim::Keep(failed.clone())
            }
            _ => claim(file, content),
        }
    }

    fn runs_as(&self, file: &str) -> Option<(&str, Arc<str>)> {
        let mut plans = self.plans.iter();
        plans.find(|(_, (of, _))| of == file).map(|(plan, (_, text))| (&**plan, Arc::clone(text)))
    }

    fn steps(
        &self,
        plans: &BTreeMap<String, (String, Arc<str>)>,
        refused: &BTreeMap<String, (Content, Refusal)>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for plan in self.plans.keys().filter(|plan| !plans.contains_key(*plan)) {
            steps.push(Step::Undeploy { plan: plan.clone() });
        }
        for file in self.refused.keys().filter(|file| !refused.contains_key(*file)) {
            steps.push(Step::Accept { file: file.clone() });
        }
        for (plan, (file, text)) in plans {
            let (plan, file, text) = (plan.clone(), file.clone(), Arc::clone(text));
            match self.plans.get(&plan) {
                None => steps.push(Step::Deploy { plan, file, text }),
                Some((_, runs)) if *runs != text => {
                    steps.push(Step::Update { plan, file, text });
                }
                Some((before, _)) if *before != file => steps.push(Step::Move { plan, file }),
                Some(_) => {}
            }
        }
        for (file, (content, refusal)) in refused {
            let known = |(c, r): &(Content, Refusal)| c == content && r == refusal;
            if !self.refused.get(file).is_some_and(known) {
                let runs = self.runs_as(file).map(|(plan, _)| plan.to_owned());
                let plan = match content {
                    Content::Text { name: Some(name), .. } => runs.unwrap_or_else(|| name.clone()),
                    _ => runs.unwrap_or_else(|| stem(file).to_owned()),
                };
                let refusal = refusal.clone();
                steps.push(Step::Refuse { file: file.clone(), plan, refusal });
            }
        }
        steps
    }
}

fn claim(file: &str, content: &Content) -> Claim {
    match content {
        Content::Unreadable(reason) => Claim::Keep(Refusal::Unreadable(reason.clone())),
        Content::Text { sound: false, .. } => Claim::Keep(Refusal::Unsound),
        Content::Text { text, name, .. } => {
            let name = name.as_deref().unwrap_or_else(|| stem(file));
            if is_plan_name(name) {
                Claim::Run(name.to_owned(), Arc::clone(text))
            } else {
                Claim::Keep(Refusal::Name(name.to_owned()))
            }
        }
    }
}

/// Whether a plan may be called so: it becomes part of addresses and of file names.
#[must_use]
pub fn is_plan_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('.')
}

/// A file's name without its ending.
#[must_use]
pub fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file and what is in it: `name: text` names the plan inside, `!` makes it unsound.
    fn follow(folder: &mut Folder, files: &[(&str, &str)]) -> Vec<String> {
        let content = |written: &str| {
            if written == "?" {
                return Content::Unreadable("the file is binary".to_owned());
            }
            let name = written.split_once(": ").map(|(name, _)| name.to_owned());
            Content::Text { text: written.into(), name, sound: !written.ends_with('!') }
        };
        let files = files.iter().map(|(file, text)| ((*file).to_owned(), content(text))).collect();
        folder.follow(&files).iter().map(show).collect()
    }

    fn show(step: &Step) -> String {
        match step {
            Step::Undeploy { plan } => format!("undeploy {plan}"),
            Step::Accept { file } => format!("accept {file}"),
            Step::Move { plan, file } => format!("move {plan} to {file}"),
            Step::Update { plan, file, text } => format!("update {plan} from {file}: {text}"),
            Step::Deploy { plan, file, text } => format!("deploy {plan} from {file}: {text}"),
            Step::Refuse { file, plan, refusal } => format!("refuse {file} ({plan}): {refusal}"),
        }
    }

    #[test]
    fn plans_come_change_and_go_with_their_files() {
        let mut folder = Folder::default();
        assert_eq!(follow(&mut folder, &[("a.siddhi", "one")]), ["deploy a from a.siddhi: one"]);
        assert_eq!(follow(&mut folder, &[("a.siddhi", "one")]), [] as [&str; 0]);
        assert_eq!(follow(&mut folder, &[("a.siddhi", "two")]), ["update a from a.siddhi: two"]);
        assert_eq!(follow(&mut folder, &[]), ["undeploy a"]);
    }

    #[test]
    fn of_two_files_with_one_name_the_second_is_refused_and_follows_when_the_first_goes() {
        let mut folder = Folder::default();
        let steps = follow(&mut folder, &[("a.siddhi", "N: 1"), ("b.siddhi", "N: 2")]);
        let refusal = "the plan `N` is already defined in `a.siddhi`; rename one of them";
        let refused = format!("refuse b.siddhi (N): {refusal}");
        assert_eq!(steps, ["deploy N from a.siddhi: N: 1", &refused]);
        let steps = follow(&mut folder, &[("b.siddhi", "N: 2")]);
        assert_eq!(steps, ["accept b.siddhi", "update N from b.siddhi: N: 2"]);
        let steps = follow(&mut folder, &[("a.siddhi", "N: 1"), ("b.siddhi", "N: 2")]);
        assert_eq!(steps, [format!("refuse a.siddhi (N): {}", refusal.replace("a.s", "b.s"))]);
    }

    #[test]
    fn both_endings_make_one_name() {
        let mut folder = Folder::default();
        let steps = follow(&mut folder, &[("a.siddhi", "1"), ("a.siddhiql", "2")]);
        assert_eq!(steps[0], "deploy a from a.siddhi: 1");
        assert!(steps[1].starts_with("refuse a.siddhiql (a): "), "{steps:?}");
    }

    #[test]
    fn a_name_changed_inside_is_another_plan() {
        let mut folder = Folder::default();
        follow(&mut folder, &[("a.siddhi", "N: 1")]);
        let steps = follow(&mut folder, &[("a.siddhi", "M: 1")]);
        assert_eq!(steps, ["undeploy N", "deploy M from a.siddhi: M: 1"]);
    }

    #[test]
    fn a_renamed_file_with_the_same_plan_inside_changes_nothing() {
        let mut folder = Folder::default();
        follow(&mut folder, &[("a.siddhi", "N: 1"), ("c.siddhi", "text")]);
        let steps = follow(&mut folder, &[("b.siddhi", "N: 1"), ("d.siddhi", "text")]);
        let expected = ["undeploy c", "move N to b.siddhi", "deploy d from d.siddhi: text"];
        assert_eq!(steps, expected, "a name from the file's name changes with it");
    }

    #[test]
    fn a_broken_file_leaves_the_version_before_running() {
        let mut folder = Folder::default();
        follow(&mut folder, &[("a.siddhi", "N: 1")]);
        let steps = follow(&mut folder, &[("a.siddhi", "N: 2!")]);
        assert_eq!(steps, ["refuse a.siddhi (N): the plan has errors"]);
        assert_eq!(follow(&mut folder, &[("a.siddhi", "N: 2!")]), [] as [&str; 0], "said once");
        let steps = follow(&mut folder, &[("a.siddhi", "?")]);
        assert_eq!(steps, ["refuse a.siddhi (N): the file is binary"]);
        let steps = follow(&mut folder, &[("a.siddhi", "M: 2!")]);
        assert_eq!(steps, ["refuse a.siddhi (N): the plan has errors"]);
        assert_eq!(follow(&mut folder, &[("a.siddhi", "N: 1")]), ["accept a.siddhi"]);
        follow(&mut folder, &[("a.siddhi", "N: 2!")]);
        let steps = follow(&mut folder, &[("a.siddhi", "N: 3")]);
        assert_eq!(steps, ["accept a.siddhi", "update N from a.siddhi: N: 3"]);
        follow(&mut folder, &[("a.siddhi", "N: 4!")]);
        assert_eq!(follow(&mut folder, &[]), ["undeploy N", "accept a.siddhi"]);
    }

    #[test]
    fn a_broken_newcomer_takes_no_name_away() {
        let mut folder = Folder::default();
        let steps = follow(&mut folder, &[("a.siddhi", "N: 1!"), ("b.siddhi", "N: 2")]);
        let refused = "refuse a.siddhi (N): the plan has errors";
        assert_eq!(steps, ["deploy N from b.siddhi: N: 2", refused]);
    }

    #[test]
    fn two_files_may_swap_their_names() {
        let mut folder = Folder::default();
        follow(&mut folder, &[("a.siddhi", "N: 1"), ("b.siddhi", "M: 1")]);
        let steps = follow(&mut folder, &[("a.siddhi", "M: 2"), ("b.siddhi", "N: 2")]);
        assert_eq!(steps, ["update M from a.siddhi: M: 2", "update N from b.siddhi: N: 2"]);
    }

    #[test]
    fn names_are_checked() {
        let mut folder = Folder::default();
        let steps = follow(&mut folder, &[("a b.siddhi", "1"), ("c.siddhi", "x/y: 1")]);
        assert!(steps[0].starts_with("refuse a b.siddhi (a b): a plan may not be called `a b`"));
        assert!(steps[1].starts_with("refuse c.siddhi (x/y): a plan may not be called `x/y`"));
        assert!(is_plan_name(&"x".repeat(100)) && !is_plan_name(&"x".repeat(101)));
        assert!(!is_plan_name("..") && !is_plan_name("") && is_plan_name("A-1_b.c"));
    }

    #[test]
    fn what_could_not_be_deployed_is_tried_again_when_it_changes() {
        let mut folder = Folder::default();
        follow(&mut folder, &[("a.siddhi", "1")]);
        folder.failed("a", "no luck");
        assert_eq!(follow(&mut folder, &[("a.siddhi", "1")]), [] as [&str; 0], "not by itself");
        let steps = follow(&mut folder, &[("a.siddhi", "2")]);
        assert_eq!(steps, ["accept a.siddhi", "deploy a from a.siddhi: 2"]);
        folder.failed("a", "no luck");
        assert_eq!(follow(&mut folder, &[]), ["accept a.siddhi"]);
    }
}
