//! `output … every …`: how often results leave.

use crate::event::DataType;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree;
use crate::language::tree::OutputRate;
use crate::language::tree::RateTrigger;
use crate::language::tree::Span;
use crate::plan::checker::Checker;
use crate::plan::codes;
use crate::plan::logical::OutputEvents;
use crate::plan::logical::Port;
use crate::plan::logical::Rate;
use crate::plan::logical::RateKind;
use crate::plan::logical::RateTurn;
use crate::plan::logical::Selection;

impl Checker<'_> {
    /// The output rate of a query that puts out `events`, which is said at `output`.
    pub(super) fn rate(
        &mut self,
        tree: &OutputRate,
        events: OutputEvents,
        output: Span,
    ) -> Option<Rate> {
        let turn = match &tree.every {
            RateTrigger::Events(count) => {
                u64::try_from(*count).ok().filter(|&count| count > 0).map(RateTurn::Events)
            }
            RateTrigger::Time(time) => {
                Some(time.milliseconds()).filter(|&time| time > 0).map(RateTurn::Time)
            }
        };
        let Some(turn) = turn else {
            let message = "a turn of an output rate lasts at least one event or one millisecond";
            let fault = Diagnostic::error(codes::BAD_RATE, tree.span, message);
            self.report(fault.help("without `output ..` every result leaves at once"));
            return None;
        };
        let kind = match tree.kind {
            tree::RateKind::All => RateKind::All,
            tree::RateKind::First => RateKind::First,
            tree::RateKind::Last => RateKind::Last,
            tree::RateKind::Snapshot => RateKind::Snapshot,
        };
        if kind == RateKind::Snapshot && events != OutputEvents::All {
            let message = "a snapshot must see events come and leave";
            let fault = Diagnostic::error(codes::BAD_RATE, tree.span, message)
                .also(output, "it sees only some of them")
                .help("write `insert all events into ..`");
            self.report(fault);
            return None;
        }
        Some(Rate { kind, turn })
    }

    /// Warns of groups that an output rate would keep for ever.
    pub(super) fn rate_growth(
        &mut self,
        tree: &tree::Query,
        rate: Option<Rate>,
        ports: &[Port],
        selection: &Selection,
    ) {
        let purged = self.partition.is_some_and(|id| self.plan.partitions[id].purge.is_some());
        let free = selection.group_by.iter().any(|key| key.ty != DataType::Bool);
        let keeps = match rate {
            Some(Rate { kind: RateKind::First, turn: RateTurn::Events(count) }) => count > 1,
            Some(Rate { kind: RateKind::Snapshot, .. }) => !ports.iter().any(Port::has_window),
            _ => false,
        };
        if let (true, Some(rate)) = (keeps && free && !purged, &tree.rate) {
            let message = "this output rate keeps every group for ever".to_owned();
            let help = "group by something that has few values";
            self.report(Diagnostic::warning(codes::GROWS, rate.span, message).help(help));
        }
    }
}
