//! A condition of an errand as SQL, which means there what it means in a plan: a comparison with
//! null does not hold, and texts are compared byte by byte.

use crate::event::DataType;
use crate::event::Value;
use crate::plan::expression::Comparison;
use crate::plan::outside::Condition;
use crate::store::Dialect;
use crate::store::Table;

/// A statement in the making, with the values of its places.
#[derive(Debug)]
pub struct Statement<'a> {
    dialect: Dialect,
    table: &'a Table,
    /// The text.
    pub sql: String,
    /// The values, in order of their places.
    pub values: Vec<Value>,
}

impl<'a> Statement<'a> {
    /// Begins with this text.
    pub fn new(dialect: Dialect, table: &'a Table, sql: String) -> Statement<'a> {
        Statement { dialect, table, sql, values: Vec::new() }
    }

    /// The name of a column, in quotes.
    pub fn name(&self, column: usize) -> String {
        self.dialect.quote(&self.table.schema.attributes[column].name)
    }

    /// A place for a value.
    pub fn place(&mut self, value: &Value) -> String {
        self.values.push(value.clone());
        self.dialect.placeholder(self.values.len())
    }

    /// ` WHERE` and the condition, if there is one, over these parameters.
    pub fn whose(&mut self, condition: Option<&Condition>, with: &[Value]) {
        if let Some(condition) = condition {
            let text = self.condition(condition, with);
            self.sql.push_str(" WHERE ");
            self.sql.push_str(&text);
        }
    }

    fn condition(&mut self, condition: &Condition, with: &[Value]) -> String {
        match condition {
            Condition::And(left, right) => {
                let left = self.condition(left, with);
                format!("({left} AND {})", self.condition(right, with))
            }
            Condition::Or(left, right) => {
                let left = self.condition(left, with);
                format!("({left} OR {})", self.condition(right, with))
            }
            // What is null is not true, and what is not true is not so.
            Condition::Not(inner) => {
                let inner = self.condition(inner, with);
                format!("({inner} IS NOT TRUE)")
            }
            Condition::IsNull(column) => format!("({} IS NULL)", self.name(*column)),
            Condition::Holds(parameter) => {
                let truth = with.get(*parameter).and_then(Value::as_bool) == Some(true);
                if truth { "(1 = 1)".to_owned() } else { "(1 = 0)".to_owned() }
            }
            Condition::Compare(how, column, parameter) => {
                let value = with.get(*parameter).unwrap_or(&Value::Null);
                self.comparison(*how, *column, value)
            }
        }
    }

    fn comparison(&mut self, how: Comparison, column: usize, value: &Value) -> String {
        let name = self.name(column);
        let sign = match how {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        };
        let is_text = self.table.schema.attributes[column].ty == DataType::Text;
        let place = self.place(value);
        match self.dialect {
            Dialect::Sqlite if is_text => format!("({name} {sign} {place} COLLATE BINARY)"),
            // The column may have another collation, by which an index finds more.
            Dialect::Mysql | Dialect::Mariadb if is_text => {
                let bytes = format!("CAST(CONVERT({name} USING utf8mb4) AS BINARY)");
                let exactly = format!("{bytes} {sign} CAST({place} AS BINARY)");
                match how {
                    Comparison::Equal => {
                        let again = self.place(value);
                        format!("({exactly} AND {name} = {again})")
                    }
                    _ => format!("({exactly})"),
                }
            }
            _ => format!("({name} {sign} {place})"),
        }
    }
}

/// The names of all columns, in quotes.
pub fn columns(dialect: Dialect, table: &Table) -> String {
    let names: Vec<String> = table.schema.names().map(|name| dialect.quote(name)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Schema;
    use crate::plan::outside::Errand;

    #[test]
    fn conditions_mean_in_sql_what_they_mean_in_a_plan() {
        let schema = Schema::new([("k", DataType::Text), ("n", DataType::Long)]);
        let table = Table::new("t", schema).with_key(&["k"]);
        let sql = |dialect, condition: &str| {
            let errand = Errand::from_text(&format!("ask 0 {condition}")).unwrap();
            let mut statement = Statement::new(dialect, &table, String::new());
            let with = [Value::from("a"), Value::Long(3), Value::Bool(true)];
            statement.whose(errand.condition.as_ref(), &with);
            (statement.sql, statement.values.len())
        };
        let text = "and not < 1 1 or null 1 holds 2";
        let expected = " WHERE (((\"n\" < $1) IS NOT TRUE) AND ((\"n\" IS NULL) OR (1 = 1)))";
        assert_eq!(sql(Dialect::Postgres, text), (expected.to_owned(), 1));
        let (text, values) = sql(Dialect::Mariadb, "= 0 0");
        assert!(text.ends_with("AND `k` = ?)") && values == 2, "{text}");
        let expected = " WHERE (\"k\" = ?1 COLLATE BINARY)";
        assert_eq!(sql(Dialect::Sqlite, "= 0 0"), (expected.to_owned(), 1));
    }
}
