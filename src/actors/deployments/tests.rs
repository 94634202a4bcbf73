//! The log of deployments over restarts of one node.

use std::path::Path;
use std::sync::Arc;

use crate::actors::deployments::*;
use crate::catalogue::Base;
use crate::catalogue::Verb;

fn text(source: &str) -> PlanText {
    PlanText { source: source.into(), kept: source.into() }
}

fn deploy(plan: &str, source: &str) -> Entry {
    let file = format!("{plan}.siddhi").into();
    let change = Change::Deploy { file, text: text(source), version: 1, kept_by: None };
    Entry { at: 0, plan: plan.into(), change }
}

fn update(plan: &str, base: Base, source: &str) -> Entry {
    let file = format!("{plan}.siddhi").into();
    Entry { at: 0, plan: plan.into(), change: Change::Update { base, file, text: text(source) } }
}

fn start(data: Option<&Path>) -> Arc<Deployments> {
    let deployments = Arc::new(Deployments::open(data).unwrap());
    let folder = data.map(|data| data.join("journal").join(TENANT).join(NAME));
    SoloLog::start(folder, &deployments).unwrap();
    deployments
}

fn show(deployments: &Deployments) -> Vec<String> {
    let catalogue = deployments.catalogue();
    let plans = catalogue.plans();
    plans.map(|(name, plan)| format!("{name} {:?} {}", plan.base, plan.text.source)).collect()
}

#[actix::test]
async fn what_was_ordered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=100 {
        let deployments = start(Some(folder.path()));
        let plan = format!("p{round}");
        let applied = deployments.offer(deploy(&plan, "1")).await.unwrap();
        assert_eq!((applied.verb, applied.base.number), (Verb::Deployed, round));
        let applied = deployments.offer(update(&plan, applied.base, "2")).await.unwrap();
        assert_eq!((applied.verb, applied.base.version), (Verb::Updated, 2));
        assert_eq!(deployments.position(), u64::from(round) * 2);
    }
    let snapshots = folder.path().join("snapshots").join(TENANT).join(NAME);
    assert_eq!(std::fs::read_dir(snapshots).unwrap().count(), 2, "snapshots bound the log");
    let deployments = start(Some(folder.path()));
    assert_eq!(deployments.catalogue().plans().count(), 100);
    assert!(deployments.unsaved() < 100);
}

#[actix::test]
async fn of_two_changes_of_one_version_the_second_is_refused() {
    for data in [None, Some(tempfile::tempdir().unwrap())] {
        let deployments = start(data.as_ref().map(tempfile::TempDir::path));
        let base = deployments.offer(deploy("a", "1")).await.unwrap().base;
        let (one, other) = tokio::join!(
            deployments.offer(update("a", base, "2")),
            deployments.offer(update("a", base, "3"))
        );
        assert!(one.is_ok());
        assert!(matches!(other, Err(NotOrdered::Misfit(Misfit::Conflict { .. }))));
        assert_eq!(show(&deployments), ["a Base { number: 1, version: 2 } 2"]);
    }
}

#[actix::test]
async fn a_log_that_cannot_be_opened_is_told_and_works_again_later() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal").join(TENANT).join(NAME);
    let deployments = start(Some(folder.path()));
    deployments.offer(deploy("a", "1")).await.unwrap();
    deployments.offer(deploy("b", "1")).await.unwrap();
    drop(deployments);
    // Something is in the way of the log.
    std::fs::rename(&journal, journal.with_extension("aside")).unwrap();
    std::fs::write(&journal, "in the way").unwrap();
    let deployments = Arc::new(Deployments::open(Some(folder.path())).unwrap());
    assert!(SoloLog::start(Some(journal.clone()), &deployments).is_err());
    std::fs::remove_file(&journal).unwrap();
    std::fs::rename(journal.with_extension("aside"), &journal).unwrap();
    assert_eq!(show(&start(Some(folder.path()))).len(), 2);
}

/// A log whose entries are committed by somebody else, as on the passive node of a pair.
#[derive(Debug)]
struct Remote;

impl DeploymentLog for Remote {
    fn offer(&self, _: Entry) -> Ordered {
        Box::pin(async { Ok(2) })
    }
}

#[actix::test]
async fn another_log_may_commit_before_or_after_it_answers() {
    let deployments = Arc::new(Deployments::open(None).unwrap());
    let nowhere = deployments.offer(deploy("a", "1")).await;
    assert!(matches!(nowhere, Err(NotOrdered::Unavailable(_))));
    deployments.attach(Arc::new(Remote));
    let one = deploy("a", "1").to_bytes();
    deployments.committed(1, &one).unwrap();
    deployments.committed(1, &one).unwrap();
    assert_eq!(deployments.position(), 1, "it counts once");
    let gap = deployments.committed(3, &one);
    assert!(matches!(gap, Err(DeploymentsError::Gap { position: 3, next: 2 })));
    let unreadable = deployments.committed(2, b"?");
    assert!(matches!(unreadable, Err(DeploymentsError::Unreadable { position: 2 })));
    let offered = deployments.offer(deploy("a", "2"));
    let later = async { deployments.committed(2, &one).unwrap() };
    let (outcome, ()) = tokio::join!(offered, later);
    assert!(matches!(outcome, Err(NotOrdered::Misfit(Misfit::Exists { .. }))));
    let other = Deployments::open(None).unwrap();
    other.install(&deployments.catalogue().to_bytes()).unwrap();
    assert_eq!((other.position(), show(&other)), (2, show(&deployments)));
    assert!(other.install(b"?").is_err());
}

#[test]
fn an_offer_from_elsewhere_is_checked_and_its_variables_are_replaced() {
    let deployments = Deployments::open(None).unwrap();
    let sound = deploy("a", "define stream S (n long); -- ${CARGO_PKG_NAME}");
    let examined = deployments.examine(sound).unwrap();
    let Change::Deploy { text, .. } = &examined.change else { panic!("{examined:?}") };
    assert!(text.source.contains("${CARGO_PKG_NAME}") && examined.at > 0);
    let unsound = deployments.examine(deploy("a", "define stream"));
    assert!(matches!(unsound, Err(NotOrdered::Unsound(_))));
    let gone = update("a", Base { number: 1, version: 1 }, "define stream S (n long);");
    let gone = deployments.examine(gone);
    assert!(matches!(gone, Err(NotOrdered::Misfit(Misfit::Gone { .. }))));
}
