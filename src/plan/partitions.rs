//! Partitions: by what streams are divided, what lives inside, and when idle keys leave.

use crate::event::Millis;
use crate::event::Text;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree;
use crate::language::tree::Annotation;
use crate::language::tree::Identifier;
use crate::language::tree::PartitionKeyKind;
use crate::plan::annotations::Before;
use crate::plan::annotations::find;
use crate::plan::annotations::info_name;
use crate::plan::annotations::value;
use crate::plan::checker::Checker;
use crate::plan::checker::with_known;
use crate::plan::codes;
use crate::plan::graph::Node;
use crate::plan::logical::KeyBy;
use crate::plan::logical::Partition;
use crate::plan::logical::PartitionKey;
use crate::plan::logical::Purge;
use crate::plan::logical::StreamId;
use crate::plan::names::Meaning;
use crate::plan::names::Names;
use crate::plan::scopes::Member;
use crate::plan::scopes::Scope;
use crate::plan::types::Place;

impl Checker<'_> {
    /// A partition and its queries; `number` counts the queries of the plan.
    pub(super) fn partition(&mut self, tree: &tree::Partition, number: &mut usize) {
        self.annotations(&tree.annotations, Before::Partition);
        let name =
            info_name(&tree.annotations).map_or(Text::new(), |name| name.value.as_str().into());
        let purge = find(&tree.annotations, "purge").and_then(|purge| self.purge(purge));
        let mut keys: Vec<PartitionKey> = Vec::new();
        let shown = tree.keys.first().map_or(tree.span, |first| first.span);
        let listed = if self.too_long(tree.keys.len(), "keys", shown) { &[] } else { &*tree.keys };
        for key in listed {
            let Some(read) = self.partition_key(key) else { continue };
            if keys.iter().any(|known| known.stream == read.stream) {
                let message = format!("`{}` is divided twice", key.stream.text);
                let fault = Diagnostic::error(codes::BAD_PARTITION, key.span, message);
                self.report(fault.help("one key a stream; join several values into one text"));
                continue;
            }
            keys.push(read);
        }
        self.plan.partitions.push(Partition { name, keys, purge, span: tree.span });
        self.partition = Some(self.plan.partitions.len() - 1);
        for query in &tree.queries {
            if self.has_enough() {
                break;
            }
            *number += 1;
            self.query(query, *number);
        }
        self.partition = None;
        self.inner = Names::default();
    }

    fn partition_key(&mut self, key: &tree::PartitionKey) -> Option<PartitionKey> {
        let stream = self.divided_stream(&key.stream)?;
        let schema = self.shared_schema(Node::Stream(stream));
        let scope = Scope::new(vec![Member::new(&key.stream.text, schema, 0)]);
        let mut place = Place::plain(&scope, "in the key of a partition");
        let by = match &key.kind {
            PartitionKeyKind::Value(value) => KeyBy::Value(self.expression(value, &mut place)?),
            PartitionKeyKind::Ranges(ranges) => {
                let mut read = Vec::new();
                for range in ranges {
                    let what = "the condition of a range";
                    let condition = self.condition(&range.condition, &mut place, what);
                    read.push(condition.map(|each| (each, range.label.value.as_str().into())));
                }
                KeyBy::Ranges(read.into_iter().collect::<Option<_>>()?)
            }
        };
        Some(PartitionKey { stream, by })
    }

    fn divided_stream(&mut self, name: &Identifier) -> Option<StreamId> {
        let word = name.text.as_str();
        let diagnostic = match self.names.get(word).map(|known| known.meaning) {
            Some(Meaning::Stream(id)) => return Some(id),
            Some(Meaning::Broken) => return None,
            Some(Meaning::Window(_)) => {
                self.not_supported(name.span, "dividing a named window");
                return None;
            }
            Some(other) => {
                let what = self.kind_of(other);
                let message = format!("a partition divides streams, but `{word}` is {what}");
                Diagnostic::error(codes::WRONG_KIND, name.span, message)
            }
            None => {
                let message = format!("there is no stream `{word}`");
                let fault = Diagnostic::error(codes::UNKNOWN_SOURCE, name.span, message);
                let known = self.names.all(|kind| matches!(kind, Meaning::Stream(_)));
                with_known(fault, word, name.span, known)
            }
        };
        self.report(diagnostic);
        None
    }

    /// `@purge(enable='true', interval='..', idle.period='..')`.
    fn purge(&mut self, annotation: &Annotation) -> Option<Purge> {
        let enabled = value(annotation, "enable").is_none_or(|text| self.switch(text));
        let interval = value(annotation, "interval").map(|text| self.duration(text));
        let idle = value(annotation, "idle.period").map(|text| self.duration(text));
        if !enabled {
            return None;
        }
        let Some(idle) = idle else {
            let message = "`@purge` of a partition needs `idle.period`";
            let fault = Diagnostic::error(codes::BAD_ANNOTATION, annotation.span, message);
            self.report(fault.help(
                "say after how long without events a key's state leaves: `idle.period='1 hour'`",
            ));
            return None;
        };
        const EVERY: Millis = 5 * 60_000;
        Some(Purge { interval: interval.unwrap_or(Some(EVERY))?, idle: idle? })
    }
}
