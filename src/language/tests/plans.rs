//! Generated plans: annotations, definitions, partitions.

use crate::language::tests::dice::Dice;
use crate::language::tests::expressions::UNITS;
use crate::language::tree::AggregationDefinition;
use crate::language::tree::AggregationPeriods;
use crate::language::tree::Annotation;
use crate::language::tree::AnnotationElement;
use crate::language::tree::Attribute;
use crate::language::tree::Definition;
use crate::language::tree::Element;
use crate::language::tree::FunctionDefinition;
use crate::language::tree::Identifier;
use crate::language::tree::Partition;
use crate::language::tree::PartitionKey;
use crate::language::tree::PartitionKeyKind;
use crate::language::tree::Period;
use crate::language::tree::Plan;
use crate::language::tree::PropertyKey;
use crate::language::tree::RangeCondition;
use crate::language::tree::Script;
use crate::language::tree::Span;
use crate::language::tree::StreamDefinition;
use crate::language::tree::TableDefinition;
use crate::language::tree::TriggerDefinition;
use crate::language::tree::TriggerTime;
use crate::language::tree::TypeKind;
use crate::language::tree::TypeName;
use crate::language::tree::WindowDefinition;

const SPAN: Span = Span { start: 0, end: 0 };

impl Dice<'_> {
    pub(super) fn plan(&mut self) -> Plan {
        let annotations = self.some(0, |dice| {
            let text = dice.pick(&["app", "Plan"]).to_owned();
            let namespace = Some(Identifier { text, quoted: false, span: SPAN });
            Annotation { namespace, ..dice.annotation() }
        });
        let definitions = self.some(1, Dice::definition);
        let elements = self.some(0, |dice| match dice.below(4) {
            3 => Element::Partition(dice.partition()),
            _ => Element::Query(dice.query()),
        });
        Plan { annotations, definitions, elements, span: SPAN }
    }

    pub(super) fn annotation(&mut self) -> Annotation {
        let elements = self.deeper(|_| Vec::new(), |dice| dice.some(0, Dice::annotation_element));
        Annotation { namespace: None, name: self.name(), elements, span: SPAN }
    }

    fn annotation_element(&mut self) -> AnnotationElement {
        if self.below(4) == 3 {
            return AnnotationElement::Annotation(self.annotation());
        }
        let key = self.maybe(|dice| {
            let text = match dice.below(6) {
                0 => dice.text(),
                1 => "buffer.size".to_owned(),
                2 => "a-b:c".to_owned(),
                _ => "type".to_owned(),
            };
            PropertyKey { text, span: SPAN }
        });
        AnnotationElement::Property { key, value: self.string(), span: SPAN }
    }

    fn definition(&mut self) -> Definition {
        match self.below(7) {
            0 | 1 => Definition::Stream(StreamDefinition {
                annotations: self.some(0, Dice::annotation),
                name: self.source_name(),
                attributes: self.some(1, Dice::attribute),
                span: SPAN,
            }),
            2 => Definition::Table(TableDefinition {
                annotations: self.some(0, Dice::annotation),
                name: self.source_name(),
                attributes: self.some(1, Dice::attribute),
                span: SPAN,
            }),
            3 => Definition::Window(WindowDefinition {
                annotations: self.some(0, Dice::annotation),
                name: self.source_name(),
                attributes: self.some(1, Dice::attribute),
                window: self.call(),
                output: self.events(),
                span: SPAN,
            }),
            4 => Definition::Trigger(TriggerDefinition {
                name: self.name(),
                at: match self.flip() {
                    true => TriggerTime::Every(self.time()),
                    false => TriggerTime::Text(self.string()),
                },
                span: SPAN,
            }),
            5 => Definition::Aggregation(self.aggregation()),
            _ => Definition::Function(self.function()),
        }
    }

    fn attribute(&mut self) -> Attribute {
        Attribute { name: self.name(), type_name: self.type_name(), span: SPAN }
    }

    fn type_name(&mut self) -> TypeName {
        let kinds = [
            TypeKind::Int,
            TypeKind::Long,
            TypeKind::Float,
            TypeKind::Double,
            TypeKind::Bool,
            TypeKind::String,
            TypeKind::Object,
        ];
        TypeName { kind: self.pick(&kinds), span: SPAN }
    }

    fn aggregation(&mut self) -> AggregationDefinition {
        let period = |dice: &mut Self| Period { unit: dice.pick(&UNITS[..7]), span: SPAN };
        AggregationDefinition {
            annotations: self.some(0, Dice::annotation),
            name: self.name(),
            input: self.single_input(true),
            selection: self.plain_selection(),
            by: self.maybe(Dice::attribute_reference),
            periods: match self.flip() {
                true => AggregationPeriods::Range { from: period(self), to: period(self) },
                false => AggregationPeriods::List(self.some(1, period)),
            },
            span: SPAN,
        }
    }

    fn function(&mut self) -> FunctionDefinition {
        let bodies = ["", " return 1; ", "{ \"}\" }", "\n  // }\n  x = '{}';\n"];
        FunctionDefinition {
            name: self.name(),
            language: self.name(),
            returns: self.type_name(),
            body: Script { text: self.pick(&bodies).to_owned(), span: SPAN },
            span: SPAN,
        }
    }

    fn partition(&mut self) -> Partition {
        Partition {
            annotations: self.some(0, Dice::annotation),
            keys: self.some(1, Dice::partition_key),
            queries: self.some(1, Dice::query),
            span: SPAN,
        }
    }

    fn partition_key(&mut self) -> PartitionKey {
        let kind = match self.flip() {
            true => PartitionKeyKind::Ranges(self.some(1, |dice| RangeCondition {
                condition: dice.expression(),
                label: dice.string(),
                span: SPAN,
            })),
            false => PartitionKeyKind::Value(self.expression()),
        };
        PartitionKey { kind, stream: self.name(), span: SPAN }
    }
}
