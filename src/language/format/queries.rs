//! Prints queries, partitions, selections, outputs and on-demand queries.

use crate::language::format::printer::Gap;
use crate::language::format::printer::Printer;
use crate::language::tree::Assignment;
use crate::language::tree::EventKind;
use crate::language::tree::Expression;
use crate::language::tree::OnDemandKind;
use crate::language::tree::OnDemandQuery;
use crate::language::tree::Order;
use crate::language::tree::Output;
use crate::language::tree::OutputKind;
use crate::language::tree::OutputRate;
use crate::language::tree::Partition;
use crate::language::tree::PartitionKey;
use crate::language::tree::PartitionKeyKind;
use crate::language::tree::Query;
use crate::language::tree::RateKind;
use crate::language::tree::RateTrigger;
use crate::language::tree::SelectItem;
use crate::language::tree::SelectItems;
use crate::language::tree::Selection;
use crate::language::tree::SourceName;

impl Printer<'_> {
    /// A query, each clause on a line of its own.
    pub(super) fn query(&mut self, query: &Query) {
        self.annotations(&query.annotations);
        self.word("from");
        self.gap(Gap::Space);
        self.input(&query.input);
        self.gap(Gap::Line);
        if let Some(selection) = &query.selection {
            self.selection(selection);
            self.gap(Gap::Line);
        }
        if let Some(rate) = &query.rate {
            self.output_rate(rate);
            self.gap(Gap::Line);
        }
        self.output(&query.output);
    }

    pub(super) fn partition(&mut self, partition: &Partition) {
        self.annotations(&partition.annotations);
        self.words("partition with");
        self.gap(Gap::Space);
        self.list(&partition.keys, Printer::partition_key);
        self.gap(Gap::Line);
        self.word("begin");
        self.indent();
        for (at, query) in partition.queries.iter().enumerate() {
            self.gap_between_statements(if at == 0 { Gap::Line } else { Gap::Blank });
            self.query(query);
            self.word(";");
        }
        self.dedent();
        self.gap(Gap::Line);
        self.word("end");
    }

    fn partition_key(&mut self, key: &PartitionKey) {
        match &key.kind {
            PartitionKeyKind::Value(value) => self.expression(value),
            PartitionKeyKind::Ranges(ranges) => {
                self.open();
                self.indent();
                for (at, range) in ranges.iter().enumerate() {
                    if at > 0 {
                        self.gap(Gap::Soft);
                        self.word("or");
                        self.gap(Gap::Space);
                    }
                    self.expression(&range.condition);
                    self.gap(Gap::Space);
                    self.word("as");
                    self.gap(Gap::Space);
                    self.string(&range.label);
                }
                self.dedent();
                self.close();
            }
        }
        self.gap(Gap::Space);
        self.word("of");
        self.gap(Gap::Space);
        self.name(&key.stream);
    }

    pub(super) fn selection(&mut self, selection: &Selection) {
        match &selection.items {
            SelectItems::All => {
                self.word("select");
                self.gap(Gap::Space);
                self.word("*");
            }
            SelectItems::List(items) => {
                self.clause("select", |printer| printer.items(items, Printer::select_item));
            }
        }
        if !selection.group_by.is_empty() {
            self.gap(Gap::Line);
            self.clause("group by", |printer| {
                printer.items(&selection.group_by, Printer::attribute_reference);
            });
        }
        if let Some(having) = &selection.having {
            self.gap(Gap::Line);
            self.word("having");
            self.gap(Gap::Space);
            self.expression(having);
        }
        if !selection.order_by.is_empty() {
            self.gap(Gap::Line);
            self.clause("order by", |printer| {
                printer.items(&selection.order_by, |printer, order| {
                    printer.attribute_reference(&order.attribute);
                    if order.order == Order::Descending {
                        printer.gap(Gap::Space);
                        printer.word("desc");
                    }
                });
            });
        }
        for (word, value) in [("limit", &selection.limit), ("offset", &selection.offset)] {
            if let Some(value) = value {
                self.gap(Gap::Line);
                self.word(word);
                self.gap(Gap::Space);
                self.expression(value);
            }
        }
    }

    /// Keywords and a list that begins on the next line if it does not fit.
    fn clause(&mut self, words: &str, print: impl FnOnce(&mut Self)) {
        self.words(words);
        self.open();
        self.indent();
        self.gap(Gap::Soft);
        print(self);
        self.dedent();
        self.close();
    }

    fn select_item(&mut self, item: &SelectItem) {
        self.expression(&item.expression);
        if let Some(name) = &item.name {
            self.gap(Gap::Space);
            self.word("as");
            self.gap(Gap::Space);
            self.name(name);
        }
    }

    fn output_rate(&mut self, rate: &OutputRate) {
        self.words(match rate.kind {
            RateKind::All => "output every",
            RateKind::First => "output first every",
            RateKind::Last => "output last every",
            RateKind::Snapshot => "output snapshot every",
        });
        self.gap(Gap::Space);
        match &rate.every {
            RateTrigger::Events(count) => {
                self.word(&count.to_string());
                self.gap(Gap::Space);
                self.word("events");
            }
            RateTrigger::Time(time) => self.time(time),
        }
    }

    fn output(&mut self, output: &Output) {
        match &output.kind {
            OutputKind::Insert { target } => {
                self.word("insert");
                self.gap(Gap::Space);
                if let Some(kind) = output.events {
                    self.event_kind(kind);
                    self.gap(Gap::Space);
                }
                self.word("into");
                self.gap(Gap::Space);
                self.source_name(target);
            }
            OutputKind::Delete { target, on } => {
                self.write("delete", target, output.events);
                self.on(on.as_ref());
            }
            OutputKind::Update { target, set, on } => {
                self.write("update", target, output.events);
                self.set(set);
                self.on(Some(on));
            }
            OutputKind::UpdateOrInsert { target, set, on } => {
                self.write("update or insert into", target, output.events);
                self.set(set);
                self.on(Some(on));
            }
            OutputKind::Return => {
                self.word("return");
                if let Some(kind) = output.events {
                    self.gap(Gap::Space);
                    self.event_kind(kind);
                }
            }
        }
    }

    /// What is done to a table, the table, and with which events.
    fn write(&mut self, words: &str, target: &SourceName, events: Option<EventKind>) {
        self.words(words);
        self.gap(Gap::Space);
        self.source_name(target);
        if let Some(kind) = events {
            self.gap(Gap::Space);
            self.word("for");
            self.gap(Gap::Space);
            self.event_kind(kind);
        }
    }

    fn set(&mut self, set: &[Assignment]) {
        if set.is_empty() {
            return;
        }
        self.indent();
        self.gap(Gap::Line);
        self.clause("set", |printer| {
            printer.items(set, |printer, assignment| {
                printer.attribute_reference(&assignment.attribute);
                printer.gap(Gap::Space);
                printer.word("=");
                printer.gap(Gap::Space);
                printer.expression(&assignment.value);
            });
        });
        self.dedent();
    }

    fn on(&mut self, on: Option<&Expression>) {
        let Some(on) = on else { return };
        self.indent();
        self.gap(Gap::Line);
        self.word("on");
        self.gap(Gap::Space);
        self.expression(on);
        self.dedent();
    }

    pub(super) fn event_kind(&mut self, kind: EventKind) {
        self.words(match kind {
            EventKind::Current => "current events",
            EventKind::Expired => "expired events",
            EventKind::All => "all events",
        });
    }

    pub(super) fn on_demand(&mut self, query: &OnDemandQuery) {
        if let OnDemandKind::Find { source, alias, on, range } = &query.kind {
            self.word("from");
            self.gap(Gap::Space);
            self.name(source);
            if let Some(alias) = alias {
                self.gap(Gap::Space);
                self.word("as");
                self.gap(Gap::Space);
                self.name(alias);
            }
            self.on(on.as_ref());
            if let Some(range) = range {
                self.indent();
                self.gap(Gap::Line);
                self.open();
                self.aggregation_range(range);
                self.close();
                self.dedent();
            }
        }
        let finds = matches!(query.kind, OnDemandKind::Find { .. });
        if let Some(selection) = &query.selection {
            if finds {
                self.gap(Gap::Line);
            }
            self.selection(selection);
            if !finds {
                self.gap(Gap::Line);
            }
        }
        match &query.kind {
            OnDemandKind::Find { .. } => {}
            OnDemandKind::Insert { target } => self.write("insert into", target, None),
            OnDemandKind::Delete { target, on } => {
                self.write("delete", target, None);
                self.on(on.as_ref());
            }
            OnDemandKind::Update { target, set, on } => {
                self.write("update", target, None);
                self.set(set);
                self.on(Some(on));
            }
            OnDemandKind::UpdateOrInsert { target, set, on } => {
                self.write("update or insert into", target, None);
                self.set(set);
                self.on(Some(on));
            }
        }
    }
}
