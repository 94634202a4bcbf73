//! Where the rows of a query go: streams, named windows, and changes of tables.

use crate::event::DataType;
use crate::event::Schema;
use crate::language::diagnostic::Diagnostic;
use crate::language::tree;
use crate::language::tree::Expression;
use crate::language::tree::OutputKind;
use crate::language::tree::SourceName;
use crate::language::tree::SourcePrefix;
use crate::language::tree::Span;
use crate::plan::checker::Checker;
use crate::plan::checker::with_known;
use crate::plan::codes;
use crate::plan::expression::Expr;
use crate::plan::graph::Node;
use crate::plan::logical::Assignment;
use crate::plan::logical::Origin;
use crate::plan::logical::Output;
use crate::plan::logical::Selection;
use crate::plan::logical::Table;
use crate::plan::logical::TableId;
use crate::plan::names::Meaning;
use crate::plan::scopes::Member;
use crate::plan::scopes::Scope;
use crate::plan::streams::Target;
use crate::plan::types::Place;
use std::rc::Rc;

impl Checker<'_> {
    /// What becomes of a query's rows. Without a selection, which then has been refused, the target
    /// still gets its name. `given_at` is where the rows' attributes are said.
    pub(super) fn output(
        &mut self,
        output: &tree::Output,
        selection: Option<&Selection>,
        given_at: Span,
    ) -> Option<Output> {
        let schema = selection.map(|selection| &selection.schema);
        match &output.kind {
            OutputKind::Insert { target } => self.insert(target, schema, given_at),
            OutputKind::Return => Some(Output::Return),
            OutputKind::Delete { target, on } => {
                let (table, schema) = (self.written_table(target)?, schema?);
                let on = self.rows_of(table, schema, on.as_ref())?;
                Some(Output::Delete(table, on))
            }
            OutputKind::Update { target, set, on } => {
                let (table, schema) = (self.written_table(target)?, schema?);
                let (on, set) = self.change(table, schema, on, set, given_at)?;
                Some(Output::Update(table, on, set))
            }
            OutputKind::UpdateOrInsert { target, set, on } => {
                let (table, schema) = (self.written_table(target)?, schema?);
                let whole = self.fits_table(table, schema, given_at);
                let (on, set) = self.change(table, schema, on, set, given_at)?;
                whole.then_some(Output::UpdateOrInsert(table, on, set))
            }
        }
    }

    fn insert(
        &mut self,
        target: &SourceName,
        schema: Option<&Schema>,
        given_at: Span,
    ) -> Option<Output> {
        let word = target.name.text.as_str();
        let known = match target.prefix {
            SourcePrefix::None => self.names.get(word).map(|name| name.meaning),
            SourcePrefix::Inner if self.partition.is_none() => {
                let message = format!("`#{word}` cannot be filled outside of a partition");
                let fault = Diagnostic::error(codes::INNER_OUTSIDE, target.span, message);
                let help = "inner streams live between `begin` and `end` of one partition";
                self.report(fault.help(help).suggest(target.span, word));
                return None;
            }
            SourcePrefix::Inner => self.inner.get(word).map(|name| name.meaning),
            SourcePrefix::Fault => Some(self.fault_stream(target)?),
        };
        match known {
            None => self.implicit(target, schema),
            Some(Meaning::Stream(id)) => {
                let schema_of = self.shared_schema(Node::Stream(id));
                let span = self.plan.streams[id].span;
                let what = Target { name: word, what: "the stream", schema: &schema_of, span };
                self.same_schema(schema?, given_at, &what).then_some(Output::Stream(id))
            }
            Some(Meaning::Window(id)) => {
                let schema_of = self.shared_schema(Node::Window(id));
                let span = self.plan.windows[id].span;
                let what = Target { name: word, what: "the window", schema: &schema_of, span };
                self.same_schema(schema?, given_at, &what).then_some(Output::Window(id))
            }
            Some(Meaning::Table(id)) => {
                self.fits_table(id, schema?, given_at).then_some(Output::Insert(id))
            }
            Some(Meaning::Broken) => None,
            Some(Meaning::Aggregation(_)) => {
                let message = format!("nothing can be inserted into the aggregation `{word}`");
                let fault = Diagnostic::error(codes::WRONG_KIND, target.span, message);
                self.report(fault.help("it takes its rows from the stream it is defined over"));
                None
            }
        }
    }

    /// A stream that this query defines.
    fn implicit(&mut self, target: &SourceName, schema: Option<&Schema>) -> Option<Output> {
        let word = target.name.text.as_str();
        let origin = match self.partition {
            Some(partition) if target.prefix == SourcePrefix::Inner => Origin::Inner(partition),
            _ => Origin::Implicit,
        };
        let id = schema.map(|schema| self.add_stream(word, schema.clone(), origin, target.span));
        let names =
            if target.prefix == SourcePrefix::Inner { &mut self.inner } else { &mut self.names };
        names.set(word, id.map_or(Meaning::Broken, Meaning::Stream), target.span);
        id.map(Output::Stream)
    }

    /// The table that `delete` or `update` names.
    pub(super) fn written_table(&mut self, target: &SourceName) -> Option<TableId> {
        let word = target.name.text.as_str();
        let known = match target.prefix {
            SourcePrefix::None => self.names.get(word).map(|name| name.meaning),
            SourcePrefix::Inner | SourcePrefix::Fault => None,
        };
        let diagnostic = match known {
            Some(Meaning::Table(id)) => return Some(id),
            Some(Meaning::Broken) => return None,
            None => {
                let message = format!("there is no table `{word}`");
                let fault = Diagnostic::error(codes::UNKNOWN_SOURCE, target.span, message);
                let tables = self.names.all(|kind| matches!(kind, Meaning::Table(_)));
                with_known(fault, word, target.name.span, tables)
            }
            Some(other) => {
                let what = self.kind_of(other);
                let message =
                    format!("only rows of a table can be changed, but `{word}` is {what}");
                Diagnostic::error(codes::WRONG_KIND, target.span, message)
            }
        };
        self.report(diagnostic);
        None
    }

    /// Whether rows can be inserted into a table as they are.
    pub(super) fn fits_table(&mut self, table: TableId, schema: &Schema, given_at: Span) -> bool {
        let schema_of = self.shared_schema(Node::Table(table));
        let Table { name, span, .. } = &self.plan.tables[table];
        let (name, span) = (name.clone(), *span);
        let target = Target { name: &name, what: "the table", schema: &schema_of, span };
        self.same_schema(schema, given_at, &target)
    }

    /// What conditions and assignments see: the outputs, then the table.
    fn change_scope(&mut self, table: TableId, outputs: &Schema) -> Scope {
        let schema = self.shared_schema(Node::Table(table));
        let outputs = Member::outputs(Rc::new(outputs.clone()), 0);
        Scope::new(vec![outputs]).farther(&self.plan.tables[table].name, schema)
    }

    /// Which rows of a table are meant; the inner nothing means all.
    pub(super) fn rows_of(
        &mut self,
        table: TableId,
        outputs: &Schema,
        on: Option<&Expression>,
    ) -> Option<Option<Expr>> {
        let scope = self.change_scope(table, outputs);
        self.row_condition(on, &scope)
    }

    fn row_condition(&mut self, on: Option<&Expression>, scope: &Scope) -> Option<Option<Expr>> {
        let Some(on) = on else { return Some(None) };
        let mut place = Place::plain(scope, "in the condition of a table");
        self.condition(on, &mut place, "the condition after `on`").map(Some)
    }

    /// The condition and the assignments of an update.
    pub(super) fn change(
        &mut self,
        table: TableId,
        outputs: &Schema,
        on: &Expression,
        set: &[tree::Assignment],
        given_at: Span,
    ) -> Option<(Option<Expr>, Vec<Assignment>)> {
        let scope = self.change_scope(table, outputs);
        let on = self.row_condition(Some(on), &scope);
        let set = if set.is_empty() {
            let mut read = Vec::new();
            on.iter().flatten().for_each(|on| on.columns(&mut read));
            self.set_same_names(table, outputs, &read, given_at)
        } else {
            let values: Vec<Option<Assignment>> =
                set.iter().map(|each| self.assignment(table, each, &scope)).collect();
            values.into_iter().collect()
        };
        Some((on?, set?))
    }

    /// Without `set` each output overwrites the attribute of its name.
    fn set_same_names(
        &mut self,
        table: TableId,
        outputs: &Schema,
        read: &[usize],
        given_at: Span,
    ) -> Option<Vec<Assignment>> {
        let columns = self.shared_schema(Node::Table(table));
        let mut set = Vec::new();
        for (place, output) in outputs.attributes.iter().enumerate() {
            let Some(column) = columns.position(&output.name) else {
                if read.contains(&place) {
                    continue;
                }
                let table = &self.plan.tables[table].name;
                let message = format!("the table `{table}` has no attribute `{}`", output.name);
                let fault = Diagnostic::error(codes::SCHEMA_MISMATCH, given_at, message)
                    .help("without `set` each output overwrites the attribute of its name");
                self.report(fault);
                return None;
            };
            let ty = columns.attributes[column].ty;
            if output.ty != ty && output.ty.arithmetic(ty) != Some(ty) {
                self.wrong_assignment(&output.name, output.ty, ty, given_at);
                return None;
            }
            set.push(Assignment { column, value: Expr::column(place, output.ty).widened(ty) });
        }
        Some(set)
    }

    fn assignment(
        &mut self,
        table: TableId,
        tree: &tree::Assignment,
        scope: &Scope,
    ) -> Option<Assignment> {
        let schema = self.shared_schema(Node::Table(table));
        let name = self.plan.tables[table].name.clone();
        let attribute = &tree.attribute;
        if let Some(source) = attribute.source.as_ref().filter(|source| source.name.text != name) {
            let message = format!("`set` changes attributes of `{name}`");
            let fault = Diagnostic::error(codes::UNKNOWN_REFERENCE, source.span, message);
            self.report(fault.suggest(source.span, name.as_str()));
            return None;
        }
        let column = schema.position(&attribute.name.text);
        if column.is_none() {
            let word = attribute.name.text.as_str();
            let message = format!("the table `{name}` has no attribute `{word}`");
            let fault = Diagnostic::error(codes::UNKNOWN_ATTRIBUTE, attribute.name.span, message);
            let diagnostic = with_known(fault, word, attribute.name.span, schema.names());
            self.report(diagnostic);
        }
        let mut place = Place::plain(scope, "in a `set`");
        let value = self.expression(&tree.value, &mut place)?;
        let column = column?;
        let wanted = &schema.attributes[column];
        if value.ty != wanted.ty && value.ty.arithmetic(wanted.ty) != Some(wanted.ty) {
            self.wrong_assignment(&wanted.name, value.ty, wanted.ty, tree.value.span);
            return None;
        }
        Some(Assignment { column, value: value.widened(wanted.ty) })
    }

    fn wrong_assignment(&mut self, name: &str, given: DataType, wanted: DataType, span: Span) {
        let message = format!("`{name}` is of type {wanted} in the table, but this is {given}");
        let fault = Diagnostic::error(codes::TYPE_MISMATCH, span, message);
        self.report(fault.help(format!("`convert(value, '{wanted}')` changes the type")));
    }
}
