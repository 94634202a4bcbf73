//! What a column is set to as SQL: calculated there as in a plan, or refused by the database where
//! a whole number does not fit its type.

use crate::event::DataType;
use crate::event::Value;
use crate::plan::expression::Arithmetic;
use crate::plan::terms::Term;
use crate::publishers::rdbms::errands::condition::Statement;
use crate::store::Dialect;
use crate::store::Table;

/// A term over the table's columns and these parameters.
pub fn value(statement: &mut Statement<'_>, table: &Table, term: &Term, with: &[Value]) -> String {
    let Term::Calculated(_, ty, ..) = term else {
        return match term {
            Term::Column(column) => statement.name(*column),
            Term::Parameter(parameter) => place(statement, *parameter, with),
            Term::Calculated(..) => String::new(),
        };
    };
    let mut parameters = Vec::new();
    term.parameters(&mut parameters);
    let is_null = |&parameter: &usize| with.get(parameter).is_none_or(Value::is_null);
    if parameters.iter().any(is_null) {
        // Whatever is calculated with null is null; a null alone has no type to calculate in.
        return statement.place(&Value::Null);
    }
    let sql = calculated(statement, table, *ty, term, with);
    let most = if *ty == DataType::Int { i64::from(i32::MAX) } else { i64::MAX };
    match (statement.dialect(), ty) {
        (_, DataType::Double) => sql,
        // What is too large becomes a real number there, which must not get into the column. The
        // absolute value of the least number is refused.
        (Dialect::Sqlite, _) => format!(
            "(CASE WHEN {sql} IS NULL OR typeof({sql}) = 'integer' AND {sql} BETWEEN -{most} - 1 \
             AND {most} THEN {sql} ELSE abs(-{} - 1) END)",
            i64::MAX
        ),
        (Dialect::Postgres, DataType::Int) => format!("{sql}::integer"),
        // What is too large is refused by the arithmetic, or by the column.
        _ => sql,
    }
}

fn place(statement: &mut Statement<'_>, parameter: usize, with: &[Value]) -> String {
    statement.place(with.get(parameter).unwrap_or(&Value::Null))
}

/// A term as numbers of this type; whole ones are calculated with 64 bits.
fn calculated(
    statement: &mut Statement<'_>,
    table: &Table,
    ty: DataType,
    term: &Term,
    with: &[Value],
) -> String {
    let is_whole = ty != DataType::Double;
    match (term, statement.dialect()) {
        (Term::Calculated(operator, _, left, right), _) => {
            let sign = match operator {
                Arithmetic::Subtract => '-',
                Arithmetic::Multiply => '*',
                _ => '+',
            };
            let left = calculated(statement, table, ty, left, with);
            format!("({left} {sign} {})", calculated(statement, table, ty, right, with))
        }
        (Term::Parameter(parameter), dialect) => {
            let place = place(statement, *parameter, with);
            match dialect {
                Dialect::Postgres if is_whole => format!("{place}::bigint"),
                Dialect::Postgres => format!("{place}::float8"),
                Dialect::Mysql | Dialect::Mariadb if is_whole => format!("CAST({place} AS SIGNED)"),
                _ => place,
            }
        }
        (Term::Column(column), dialect) => {
            let name = statement.name(*column);
            let is_same = table.schema.attributes[*column].ty == ty;
            match dialect {
                Dialect::Postgres if is_whole => format!("{name}::bigint"),
                Dialect::Postgres => format!("{name}::float8"),
                // It may be of a type without signs.
                Dialect::Mysql | Dialect::Mariadb if is_whole => format!("CAST({name} AS SIGNED)"),
                _ if is_whole || is_same => name,
                Dialect::Mysql | Dialect::Mariadb => format!("({name} + 0e0)"),
                Dialect::Sqlite => format!("CAST({name} AS REAL)"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Schema;
    use crate::plan::outside::Errand;

    fn sql(dialect: Dialect, set: &str, with: &[Value]) -> (String, usize) {
        let schema = [("n", DataType::Int), ("l", DataType::Long), ("d", DataType::Double)];
        let table = Table::new("t", Schema::new(schema));
        let errand = Errand::from_text(&format!("update 1 {set}")).unwrap();
        let mut statement = Statement::new(dialect, &table, String::new());
        let text = value(&mut statement, &table, &errand.sets[0].1, with);
        (text, statement.values.len())
    }

    #[test]
    fn each_database_calculates_in_the_type_of_the_plan() {
        let add = |dialect| sql(dialect, "0 + int column 0 0", &[Value::Int(1)]).0;
        assert_eq!(add(Dialect::Postgres), "(\"n\"::bigint + $1::bigint)::integer");
        assert_eq!(add(Dialect::Mariadb), "(CAST(`n` AS SIGNED) + CAST(? AS SIGNED))");
        assert!(add(Dialect::Sqlite).contains("BETWEEN -2147483647 - 1 AND 2147483647 THEN"));
        let mixed = |dialect| sql(dialect, "2 * double column 1 column 2", &[]).0;
        assert_eq!(mixed(Dialect::Postgres), "(\"l\"::float8 * \"d\"::float8)");
        assert_eq!(mixed(Dialect::Mariadb), "((`l` + 0e0) * `d`)");
        assert_eq!(mixed(Dialect::Sqlite), "(CAST(\"l\" AS REAL) * \"d\")");
    }

    #[test]
    fn null_is_not_calculated_with() {
        let set = "1 + long column 1 - long 0 1";
        let with = [Value::Long(1), Value::Null];
        assert_eq!(sql(Dialect::Postgres, set, &with), ("$1".to_owned(), 1));
        assert_eq!(sql(Dialect::Mysql, "0 0", &with), ("?".to_owned(), 1));
    }
}
