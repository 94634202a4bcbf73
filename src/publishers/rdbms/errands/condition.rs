//! A condition of an errand as SQL, which means there what it means in a plan: a comparison with
//! null does not hold, texts are compared byte by byte, and NaN is not even itself.

use crate::event::DataType;
use crate::event::Value;
use crate::plan::expression::Comparison;
use crate::plan::outside::Condition;
use crate::store::Dialect;
use crate::store::Table;
use std::cmp::Ordering;

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

    /// For which database it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
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
            self.sql.push_str(" WHERE ");
            self.put(condition, with);
        }
    }

    /// The condition over these parameters.
    pub fn put(&mut self, condition: &Condition, with: &[Value]) {
        let text = self.condition(condition, with);
        self.sql.push_str(&text);
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
        let sign = sign(how);
        let ty = self.table.schema.attributes[column].ty;
        let is_text = ty == DataType::Text;
        match holds_for_all(self.dialect, how, value) {
            Some(true) => return format!("({name} IS NOT NULL)"),
            Some(false) => return "(1 = 0)".to_owned(),
            None => {}
        }
        if self.dialect == Dialect::Postgres && is_text {
            return self.by_bytes(how, &name, value);
        }
        let place = self.place(value);
        match self.dialect {
            // There NaN is greater than all numbers.
            Dialect::Postgres
                if matches!(ty, DataType::Float | DataType::Double)
                    && matches!(how, Comparison::Greater | Comparison::GreaterOrEqual) =>
            {
                format!("({name} {sign} {place} AND {name} <> 'NaN'::float8)")
            }
            // A whole number that no double is, is compared as the double next to it.
            Dialect::Sqlite if ty == DataType::Long && matches!(value, Value::Double(_)) => {
                format!("(CAST({name} AS REAL) {sign} {place})")
            }
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

    /// A comparison of texts for PostgreSQL, whose columns may have a collation by which texts are
    /// in another order or equal though they differ.
    fn by_bytes(&mut self, how: Comparison, name: &str, value: &Value) -> String {
        // No text there has U+0000: what is less than one with it, is so up to that which stands
        // before it.
        let front = value.as_text().and_then(|text| text.split_once('\0')).map(|parts| parts.0);
        let (how, value) = match (how, front) {
            (Comparison::Less | Comparison::LessOrEqual, Some(front)) => {
                (Comparison::LessOrEqual, Value::from(front))
            }
            (Comparison::Greater | Comparison::GreaterOrEqual, Some(front)) => {
                (Comparison::Greater, Value::from(front))
            }
            // It is written with something else in its place, and found by it.
            _ => (how, value.clone()),
        };
        let place = self.place(&value);
        let exactly = format!("{name} COLLATE \"C\" {} {place}", sign(how));
        match how {
            // An index helps with the collation of the column alone.
            Comparison::Equal => {
                let again = self.place(&value);
                format!("({exactly} AND {name} = {again})")
            }
            _ => format!("({exactly})"),
        }
    }
}

fn sign(how: Comparison) -> &'static str {
    match how {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// Whether all that is not null compares so with a number to which the database has nothing equal,
/// and which it must not be asked about; `None` for other values.
fn holds_for_all(dialect: Dialect, how: Comparison, value: &Value) -> Option<bool> {
    let number = match value {
        Value::Float(number) => f64::from(*number),
        Value::Double(number) => *number,
        _ => return None,
    };
    let is_bounded = matches!(dialect, Dialect::Mysql | Dialect::Mariadb);
    let order = match number {
        number if number.is_nan() => None,
        number if is_bounded && number == f64::INFINITY => Some(Ordering::Less),
        number if is_bounded && number == f64::NEG_INFINITY => Some(Ordering::Greater),
        _ => return None,
    };
    Some(match how {
        Comparison::Equal => false,
        Comparison::NotEqual => true,
        Comparison::Less | Comparison::LessOrEqual => order == Some(Ordering::Less),
        Comparison::Greater | Comparison::GreaterOrEqual => order == Some(Ordering::Greater),
    })
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

    /// The SQL of a comparison of a column with a value, and the values of its places.
    fn compared(dialect: Dialect, condition: &str, value: Value) -> (String, Vec<Value>) {
        let schema = [("k", DataType::Text), ("n", DataType::Long), ("v", DataType::Double)];
        let table = Table::new("t", Schema::new(schema));
        let errand = Errand::from_text(&format!("ask 0 {condition} 0")).unwrap();
        let mut statement = Statement::new(dialect, &table, String::new());
        statement.whose(errand.condition.as_ref(), &[value]);
        (statement.sql.trim_start_matches(" WHERE ").to_owned(), statement.values)
    }

    #[test]
    fn postgres_compares_texts_byte_by_byte() {
        let sql = |condition, text: &str| {
            let (sql, values) = compared(Dialect::Postgres, condition, Value::from(text));
            (sql, values[0].as_text().unwrap().to_owned())
        };
        let text = |sql: &str, value: &str| (sql.to_owned(), value.to_owned());
        let equal = "(\"k\" COLLATE \"C\" = $1 AND \"k\" = $2)";
        assert_eq!(sql("= 0", "a"), text(equal, "a"));
        assert_eq!(sql("!= 0", "a"), text("(\"k\" COLLATE \"C\" <> $1)", "a"));
        assert_eq!(sql("< 0", "a"), text("(\"k\" COLLATE \"C\" < $1)", "a"));
        assert_eq!(sql("< 0", "a\0b"), text("(\"k\" COLLATE \"C\" <= $1)", "a"));
        assert_eq!(sql(">= 0", "a\0b"), text("(\"k\" COLLATE \"C\" > $1)", "a"));
    }

    #[test]
    fn numbers_that_a_database_sees_otherwise_are_compared_as_in_a_plan() {
        let sql = |dialect, condition, value| compared(dialect, condition, Value::Double(value)).0;
        for dialect in [Dialect::Postgres, Dialect::Sqlite, Dialect::Mysql] {
            assert_eq!(sql(dialect, "<= 2", f64::NAN), "(1 = 0)");
            assert!(sql(dialect, "!= 2", f64::NAN).ends_with("IS NOT NULL)"));
        }
        assert_eq!(sql(Dialect::Postgres, "< 2", 1.0), "(\"v\" < $1)");
        let greater = "(\"v\" >= $1 AND \"v\" <> 'NaN'::float8)";
        assert_eq!(sql(Dialect::Postgres, ">= 2", 1.0), greater);
        assert_eq!(sql(Dialect::Sqlite, "= 1", 1.0), "(CAST(\"n\" AS REAL) = ?1)");
        assert_eq!(sql(Dialect::Mysql, "< 2", f64::INFINITY), "(`v` IS NOT NULL)");
        assert_eq!(sql(Dialect::Mariadb, "<= 2", f64::NEG_INFINITY), "(1 = 0)");
        assert_eq!(sql(Dialect::Sqlite, "< 2", f64::INFINITY), "(\"v\" < ?1)");
    }
}
