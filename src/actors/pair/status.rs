//! The pair as people see it.

use serde::Serialize;
use tracing::info;

use crate::actors::clock;
use crate::actors::pair::HaManager;
use crate::actors::pair::manager::Watched;
use crate::actors::pair::manager::now;
use crate::ha::protocol::Plan;
use crate::ha::protocol::Reason;
use crate::ha::protocol::Role;

/// The pair at a moment, as this node knows it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PairStatus {
    /// This node's name.
    pub node: String,
    /// `a` or `b`.
    pub place: String,
    /// `active`, `passive`, or `starting` while the manager is not at work.
    pub role: String,
    /// Since when, milliseconds.
    pub role_age_ms: u64,
    /// Why.
    pub reason: String,
    /// The epoch acted in or followed.
    pub epoch: u64,
    /// The history that results are part of.
    pub generation: Option<String>,
    /// This life of the node.
    pub incarnation: u64,
    /// Whether results may leave here now.
    pub may_act: bool,
    /// The other node's name, once it was connected.
    pub peer: Option<String>,
    /// Whether it is connected.
    pub connected: bool,
    /// Milliseconds since it was heard.
    pub peer_silent_ms: Option<u64>,
    /// Whether the passive could take over without loss.
    pub in_sync: bool,
    /// Entries that the other node does not have yet; only at the active.
    pub lag_entries: Option<u64>,
    /// For how long it has lacked entries, in milliseconds; only at the active.
    pub lag_ms: Option<u64>,
    /// Whether a planned switch would be done now.
    pub safe_to_switch: bool,
    /// Why not.
    pub switch_refusal: Option<String>,
    /// When this node took over last, in milliseconds since 1970.
    pub failover_at: Option<i64>,
    /// Why.
    pub failover_reason: Option<String>,
    /// What a person has to know: why this node waits for a word, that the arbiter does not answer,
    /// or else what was last to be told.
    pub alarm: Option<String>,
    /// Why there is no connection.
    pub trouble: Option<String>,
    /// The position at which the states of the nodes were compared last; only at the passive.
    pub compared: Option<u64>,
    /// The plans' logs.
    pub plans: Vec<PlanState>,
}

/// A plan's log in the pair.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PlanState {
    /// The plan.
    pub plan: String,
    /// The last entry here.
    pub last: u64,
    /// On disk here up to this one.
    pub synced: u64,
    /// May be applied up to this one.
    pub committed: u64,
    /// The other node has entries up to this one; only at the active.
    pub peer: Option<u64>,
    /// It stays down here, since only the other node has all of its entries.
    pub down: bool,
    /// The other node does not have all of its entries.
    pub peer_lacks: bool,
}

impl Watched {
    /// What a person has to know; what holds now comes before what was told once.
    fn alarm(&self) -> Option<String> {
        const SILENT: &str =
            "the arbiter does not answer: until it does no node starts to act or takes over";
        let silent = self.is_arbiter_silent.then(|| SILENT.to_owned());
        self.waits.clone().or(silent).or_else(|| self.alarm.clone())
    }
}

impl HaManager {
    pub(super) fn describe(&self) -> PairStatus {
        let config = &self.estate.config;
        let place = crate::ha::settings::node(&config.ha).to_string().to_lowercase();
        let failover = self.status.failover.as_ref();
        let status = self.life.as_ref().map(|life| life.member.status(now()));
        let name = |plan: Plan| {
            self.estate.hub.log(plan).map_or_else(|| plan.to_string(), |log| log.name.to_string())
        };
        let Some(status) = status else { return self.starting(place) };
        let is_active = status.role == Role::Active;
        let lag: Option<u64> =
            is_active.then(|| status.plans.iter().filter_map(|plan| plan.lag()).sum());
        let since = self.status.behind.values().min();
        let (changed, reason) = status.changed;
        PairStatus {
            node: config.node.name.clone(),
            place,
            role: if is_active { "active" } else { "passive" }.to_owned(),
            role_age_ms: now().since(changed),
            reason: words(reason).to_owned(),
            epoch: status.epoch.0,
            generation: status.generation.map(|generation| generation.to_string()),
            incarnation: status.incarnation.0,
            may_act: status.may_act,
            peer: self.status.peer.as_ref().map(|peer| peer.name.clone()),
            connected: self.status.linked,
            peer_silent_ms: status.peer_silent,
            in_sync: status.in_sync,
            lag_entries: lag,
            lag_ms: is_active.then(|| since.map_or(0, |since| clock::boot_ms() - since)),
            safe_to_switch: status.switch_refusal.is_none(),
            switch_refusal: status.switch_refusal.map(|refusal| refusal.to_string()),
            failover_at: failover.map(|(at, _)| *at),
            failover_reason: failover.map(|(_, reason)| reason.clone()),
            alarm: self.status.alarm(),
            trouble: self.status.trouble.clone(),
            compared: self.status.compared,
            plans: status
                .plans
                .iter()
                .map(|plan| PlanState {
                    plan: name(plan.plan),
                    last: plan.last.0,
                    synced: plan.synced.0,
                    committed: plan.committed.0,
                    peer: plan.peer.map(|peer| peer.0),
                    down: status.down.contains(&plan.plan),
                    peer_lacks: status.lacks.contains(&plan.plan),
                })
                .collect(),
        }
    }

    fn starting(&self, place: String) -> PairStatus {
        PairStatus {
            node: self.estate.config.node.name.clone(),
            place,
            role: "starting".to_owned(),
            role_age_ms: 0,
            reason: String::new(),
            epoch: 0,
            generation: None,
            incarnation: 0,
            may_act: false,
            peer: None,
            connected: false,
            peer_silent_ms: None,
            in_sync: false,
            lag_entries: None,
            lag_ms: None,
            safe_to_switch: false,
            switch_refusal: None,
            failover_at: None,
            failover_reason: None,
            alarm: self.status.alarm(),
            trouble: self.status.trouble.clone(),
            compared: self.status.compared,
            plans: Vec::new(),
        }
    }

    /// Watches how far the other node is behind, and says when it is in sync and when not.
    pub(super) fn watch(&mut self) {
        let Some(life) = &self.life else { return };
        let (status, at) = (life.member.status(now()), clock::boot_ms());
        let behind = &mut self.status.behind;
        for plan in &status.plans {
            if plan.lag().unwrap_or(0) > 0 {
                behind.entry(plan.plan).or_insert(at);
            } else {
                behind.remove(&plan.plan);
            }
        }
        for plan in &status.plans {
            if let Some(log) = self.estate.hub.log(plan.plan) {
                log.mirrored.set_follows(plan.follows);
            }
        }
        self.estate.hub.set_in_sync(status.role == Role::Active && status.named);
        let figures = self.estate.metrics.pair();
        figures.active.set(i64::from(status.role == Role::Active));
        figures.in_sync.set(i64::from(status.in_sync));
        figures.connected.set(i64::from(self.status.linked));
        figures.epoch.set(status.epoch.0.cast_signed());
        let lag: u64 = status.plans.iter().filter_map(|plan| plan.lag()).sum();
        figures.lag.set(lag.cast_signed());
        if status.role == Role::Active && self.status.told_sync != Some(status.named) {
            if status.named {
                info!("the other node is in sync: it can take over without loss");
            } else if self.status.told_sync.is_some() {
                info!("the other node is not in sync any more: this one goes on alone");
            }
            self.status.told_sync = Some(status.named);
        } else if status.role == Role::Passive {
            self.status.told_sync = None;
        }
    }
}

/// Why a role changed, in a word or two.
fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::Started => "started",
        Reason::LeaseRanOut => "lease ran out",
        Reason::HolderEnded => "the other process ended",
        Reason::HandedOver => "handed over",
        Reason::Operator => "operator",
        Reason::NewerEpoch => "newer epoch seen",
        Reason::TailTaken => "plans completed",
    }
}
