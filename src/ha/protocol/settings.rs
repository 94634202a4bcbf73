//! The times of the pair, what a producer waits for, and the rules that only a simulation may
//! drop.

/// What has to be true of an entry before its producer is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckMode {
    /// It was numbered in this process; survives nothing.
    Memory,
    /// It is fsynced here.
    Disk,
    /// It is committed: in the journals of both nodes or, alone, on this disk.
    Peer,
    /// It is committed, and a commit needs the disks of both.
    PeerDisk,
}

/// How a member behaves. All times are milliseconds of the node's own clock.
///
/// The defaults, and why. A stall of 500 ms (a long collection of garbage elsewhere, a busy disk,
/// a swapped page) must never be a failover, so nothing that ends a role may run out before a
/// second is over: the grant is 1.5 s and the lease 2 s, of which their users count 80 %. The
/// holder renews every 400 ms, so that even a renewal that takes long leaves it a second of
/// lease. A killed holder on the same machine is not waited for: its kernel lock is free, which
/// the passive tests as soon as it has heard nothing for 150 ms, three times the heartbeat; kill
/// to promotion is about a quarter of a second. A node that is cut off is replaced after lease,
/// one poll of the arbiter and two answers: about 2.3 s. A peer that says nothing for a second is
/// no longer waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The full lease: what a candidate waits, by its own clock, after it first saw a version.
    pub lease: u64,
    /// The full grant: what the passive promises with each answer to a heartbeat. At most the
    /// lease.
    pub grant: u64,
    /// Per cent of lease and grant that their user does not count: above the worst difference of
    /// the rates of the two clocks.
    pub margin: u64,
    /// Between two heartbeats of the active.
    pub heartbeat: u64,
    /// Between two renewals of the lease.
    pub renew: u64,
    /// Between two reads of a passive that hears its active.
    pub poll: u64,
    /// After this much silence of the active the passive reads at once and tests the kernel lock.
    pub silence: u64,
    /// After this much silence of the passive the active goes on alone.
    pub patience: u64,
    /// After this long without an answer of the arbiter the question is given up; a write may
    /// still land.
    pub answer: u64,
    /// A planned switch that is not done after this time is called off.
    pub switch: u64,
    /// At most so many entries in one message to the peer.
    pub ship: u64,
    /// At most so many entries on their way to the peer, a plan.
    pub window: u64,
    /// Both nodes are on one machine and hold a kernel lock each.
    pub lock: bool,
    /// No arbiter but the operator: the record is this node's own file, and nothing is promoted
    /// without a word.
    pub bare: bool,
    /// When producers are answered.
    pub ack: AckMode,
    /// All on, always, but in the simulation's mutants.
    pub rules: Rules,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            lease: 2_000,
            grant: 1_500,
            margin: 20,
            heartbeat: 50,
            renew: 400,
            poll: 200,
            silence: 150,
            patience: 1_000,
            answer: 1_000,
            switch: 1_000,
            ship: 1_024,
            window: 16_384,
            lock: false,
            bare: false,
            ack: AckMode::Peer,
            rules: Rules::default(),
        }
    }
}

/// Settings that cannot hold the promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A restarted passive could stand while the active acts on its old promise.
    #[error("the grant of {grant} ms is longer than the lease of {lease} ms; make it at most that")]
    GrantAboveLease {
        /// As given.
        grant: u64,
        /// As given.
        lease: u64,
    },
    /// The clocks of two machines need room to differ.
    #[error("a margin of {0} % is not between 1 and 90; 20 is good")]
    Margin(u64),
    /// Three renewals must fit into what the holder counts of its lease.
    #[error("renewing every {renew} ms is too seldom for {counted} ms of lease; a third at most")]
    RenewTooSeldom {
        /// As given.
        renew: u64,
        /// The lease less the margin.
        counted: u64,
    },
    /// Three heartbeats must fit into what the active counts of its grant.
    #[error("a heartbeat every {heartbeat} ms is too seldom for {counted} ms; a third at most")]
    HeartbeatTooSeldom {
        /// As given.
        heartbeat: u64,
        /// The shortest of silence, patience and the grant less the margin.
        counted: u64,
    },
}

impl Settings {
    /// What the holder counts of the lease.
    pub fn lease_counted(&self) -> u64 {
        self.less_margin(self.lease)
    }

    /// A duration promised by the other clock, as this clock may count it.
    pub fn less_margin(&self, duration: u64) -> u64 {
        if self.rules.margin { duration - duration * self.margin / 100 } else { duration }
    }

    /// Whether the times fit together.
    ///
    /// # Errors
    /// The first relation that does not hold, with what to change.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.grant > self.lease {
            let (grant, lease) = (self.grant, self.lease);
            return Err(SettingsError::GrantAboveLease { grant, lease });
        }
        if !(1..=90).contains(&self.margin) {
            return Err(SettingsError::Margin(self.margin));
        }
        let counted = self.lease_counted();
        if self.renew * 3 > counted {
            return Err(SettingsError::RenewTooSeldom { renew: self.renew, counted });
        }
        let counted = self.less_margin(self.grant).min(self.silence).min(self.patience);
        if self.heartbeat * 3 > counted {
            return Err(SettingsError::HeartbeatTooSeldom { heartbeat: self.heartbeat, counted });
        }
        Ok(())
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The rules without which a promise breaks, one flag each. They are all on; the
        /// simulation leaves out one at a time and must notice.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Rules {
            $($(#[$doc])* pub $name: bool,)*
        }

        impl Default for Rules {
            fn default() -> Rules {
                Rules { $($name: true,)* }
            }
        }

        impl Rules {
            /// The names of all rules.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// All rules but this one; `None` if there is none of that name.
            pub fn without(name: &str) -> Option<Rules> {
                let mut rules = Rules::default();
                match name {
                    $(stringify!($name) => rules.$name = false,)*
                    _ => return None,
                }
                Some(rules)
            }
        }
    };
}

rules! {
    /// The grant is counted from when the heartbeat was sent, not from its answer.
    grant_from_send,
    /// The lease is counted from when the write was sent, not from its answer.
    lease_from_send,
    /// Lease and grant are counted less a margin for the clocks.
    margin,
    /// *Alone* is no ground to act from the moment *in sync* is sent.
    alone_ends_with_sync_sent,
    /// Only the answer to an own write is knowledge, a read is not.
    own_writes_only,
    /// The whole journal is on disk before *alone* is written.
    sync_before_alone,
    /// The whole journal is on disk before a stand is written.
    sync_before_stand,
    /// A stand writes *alone*.
    stand_writes_alone,
    /// A stand waits for the lease and the own grant to run out.
    stand_waits,
    /// A stand waits for the length of a grant after this life began.
    wait_after_start,
    /// No grant is given while a stand may land.
    no_grant_while_standing,
    /// No entry is taken or acknowledged while a stand may land.
    no_entries_while_standing,
    /// The passive applies what is committed, not what it received.
    passive_applies_committed,
    /// A journal that may have lost its tail does not start by itself.
    doubt,
    /// Every start of an active raises the epoch.
    epoch_on_start,
    /// A commit needs the disk while the record may say *alone*.
    disk_while_maybe_alone,
    /// A commit needs the peer from the moment *in sync* is sent.
    peer_from_sync_sent,
    /// Only acknowledgements and grants of the recorded life count.
    recorded_incarnation_only,
    /// The kernel lock is tested after the version was read.
    lock_after_read,
    /// Only a node recorded in sync may stand.
    in_sync_checked,
    /// A life is written in sync only when it holds every committed entry.
    in_sync_holds_committed,
    /// The common prefix of two logs is found by position and epoch, not by position alone.
    prefix_by_epoch,
    /// A message of an epoch below the highest seen is refused.
    old_epoch_refused,
    /// A plan whose committed entries this node lacks stays down.
    lacking_stays_down,
    /// What was noted of a whole log is taken back when the holder runs the plan without this node.
    whole_taken_back,
    /// A holder whose disk is blank does not start from a node that lacks a plan.
    blank_waits_for_lacking,
    /// A planned switch waits until the passive holds every entry.
    switch_waits_for_all,
    /// The active stops acting before it hands over.
    switch_stops_acting,
}
