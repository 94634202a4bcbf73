//! Computes expressions.

use crate::engine::script::heap::Cell;
use crate::engine::script::heap::Datum;
use crate::engine::script::heap::Stop;
use crate::engine::script::heap::trouble;
use crate::engine::script::heap::truth;
use crate::engine::script::heap::type_name;
use crate::engine::script::number::bits;
use crate::engine::script::run::Run;
use crate::engine::script::tree::Binary;
use crate::engine::script::tree::Expr;
use crate::engine::script::tree::Logic;
use crate::engine::script::tree::Unary;
use crate::event::Text;
use std::cmp::Ordering;

/// What gets a value.
enum Target {
    Name(usize),
    Member(Datum, Text),
    Index(Datum, Datum),
}

impl Run<'_> {
    /// The value of an expression.
    pub(super) fn value(&mut self, expr: &Expr) -> Result<Datum, Stop> {
        self.heap.step(1)?;
        Ok(match expr {
            Expr::Undefined => Datum::Undefined,
            Expr::Null => Datum::Null,
            Expr::Truth(truth) => Datum::Truth(*truth),
            Expr::Number(number) => Datum::Number(*number),
            Expr::Text(text) => Datum::Text(text.clone()),
            Expr::Name(number) => self.name(*number),
            Expr::Pattern(number) => Datum::Pattern(*number),
            Expr::Function(number) => {
                let closure = Cell::Closure { function: *number, scope: self.scope };
                Datum::Function(self.heap.put(closure)?)
            }
            other => return self.deeper(|run| run.compound_value(other)),
        })
    }

    /// An expression with others inside.
    fn compound_value(&mut self, expr: &Expr) -> Result<Datum, Stop> {
        match expr {
            Expr::Binary(operator, sides) => {
                let left = self.value(&sides.0)?;
                let right = self.value(&sides.1)?;
                self.binary(*operator, &left, &right)
            }
            Expr::Logic(logic, sides) => {
                let left = self.value(&sides.0)?;
                let settled = match logic {
                    Logic::And => !truth(&left),
                    Logic::Or => truth(&left),
                    Logic::Else => !matches!(left, Datum::Undefined | Datum::Null),
                };
                if settled { Ok(left) } else { self.value(&sides.1) }
            }
            Expr::Choice(parts) => {
                let chosen = if truth(&self.value(&parts.0)?) { &parts.1 } else { &parts.2 };
                self.value(chosen)
            }
            Expr::Unary(operator, inner) => self.unary(*operator, inner),
            Expr::Assign(operator, sides) => self.assign(*operator, &sides.0, &sides.1),
            Expr::Step(difference, prefix, target) => {
                let target = self.target(target)?;
                let before = self.get(&target)?;
                let before = self.heap.number_of(&before)?;
                let after = before + difference;
                self.set(target, Datum::Number(after))?;
                Ok(Datum::Number(if *prefix { after } else { before }))
            }
            Expr::Member(of, word) => {
                let of = self.value(of)?;
                self.member(&of, word)
            }
            Expr::Index(parts) => {
                let of = self.value(&parts.0)?;
                let index = self.value(&parts.1)?;
                self.index(&of, &index)
            }
            Expr::Call(called, arguments) => self.call_expr(called, arguments),
            Expr::List(items) => {
                let items = items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?;
                self.heap.list(items)
            }
            Expr::Object(entries) => {
                let place = self.heap.put(Cell::Object(Vec::new()))?;
                for (key, value) in entries {
                    let value = self.value(value)?;
                    self.heap.set_entry(place, key, value)?;
                }
                Ok(Datum::Object(place))
            }
            Expr::Sequence(list) => {
                let mut last = Datum::Undefined;
                for each in list {
                    last = self.value(each)?;
                }
                Ok(last)
            }
            _ => unreachable!("the others were computed before"),
        }
    }

    fn unary(&mut self, operator: Unary, inner: &Expr) -> Result<Datum, Stop> {
        if operator == Unary::Delete {
            return self.delete(inner);
        }
        let value = self.value(inner)?;
        Ok(match operator {
            Unary::Not => Datum::Truth(!truth(&value)),
            Unary::TypeOf => Datum::Text(type_name(&value).into()),
            Unary::Void => Datum::Undefined,
            Unary::Minus => Datum::Number(-self.heap.number_of(&value)?),
            Unary::Plus => Datum::Number(self.heap.number_of(&value)?),
            Unary::BitNot => Datum::Number(f64::from(!bits(self.heap.number_of(&value)?))),
            Unary::Delete => unreachable!("it was done before"),
        })
    }

    fn delete(&mut self, target: &Expr) -> Result<Datum, Stop> {
        let (of, key) = match target {
            Expr::Member(of, word) => (self.value(of)?, word.clone()),
            Expr::Index(parts) => {
                let of = self.value(&parts.0)?;
                let key = self.value(&parts.1)?;
                (of, self.heap.text_of(&key)?)
            }
            _ => return trouble("only members can be deleted"),
        };
        if let Datum::Object(place) = of
            && let Cell::Object(entries) = self.heap.cell_mut(place)
        {
            entries.retain(|(known, _)| *known != key);
        }
        Ok(Datum::Truth(true))
    }

    fn assign(
        &mut self,
        operator: Option<Binary>,
        target: &Expr,
        value: &Expr,
    ) -> Result<Datum, Stop> {
        let target = self.target(target)?;
        let value = match operator {
            None => self.value(value)?,
            Some(operator) => {
                let before = self.get(&target)?;
                let value = self.value(value)?;
                self.binary(operator, &before, &value)?
            }
        };
        self.set(target, value.clone())?;
        Ok(value)
    }

    /// What gets a value, with all that stands in it computed once.
    fn target(&mut self, target: &Expr) -> Result<Target, Stop> {
        match target {
            Expr::Name(number) => Ok(Target::Name(*number)),
            Expr::Member(of, word) => Ok(Target::Member(self.value(of)?, word.clone())),
            Expr::Index(parts) => {
                let of = self.value(&parts.0)?;
                Ok(Target::Index(of, self.value(&parts.1)?))
            }
            _ => trouble("this cannot be given a value"),
        }
    }

    fn get(&mut self, target: &Target) -> Result<Datum, Stop> {
        match target {
            Target::Name(number) => Ok(self.name(*number)),
            Target::Member(of, word) => self.member(of, word),
            Target::Index(of, index) => self.index(of, index),
        }
    }

    fn set(&mut self, target: Target, value: Datum) -> Result<(), Stop> {
        match target {
            Target::Name(number) => self.set_name(number, value),
            Target::Member(of, word) => self.set_member(&of, &word, value),
            Target::Index(Datum::List(place), Datum::Number(at)) => self.set_item(place, at, value),
            Target::Index(of, index) => {
                let key = self.heap.text_of(&index)?;
                self.set_member(&of, &key, value)
            }
        }
    }

    fn set_item(&mut self, place: usize, at: f64, value: Datum) -> Result<(), Stop> {
        let index = at as usize;
        if index as f64 != at {
            return trouble("a list has whole numbers from 0 as its indexes");
        }
        let length = self.heap.items(place).len();
        if index >= length {
            let more = index + 1 - length;
            self.heap.take(more.saturating_mul(32))?;
            self.heap.step(more)?;
            self.heap.items_mut(place).resize(index + 1, Datum::Undefined);
        }
        self.heap.items_mut(place)[index] = value;
        Ok(())
    }

    fn set_member(&mut self, of: &Datum, word: &Text, value: Datum) -> Result<(), Stop> {
        match of {
            Datum::Object(place) => self.heap.set_entry(*place, word, value),
            Datum::List(place) if word == "length" => {
                let length = self.heap.number_of(&value)? as usize;
                let items = self.heap.items_mut(*place);
                items.truncate(length);
                Ok(())
            }
            other => trouble(format!("`{word}` cannot be set on a {}", type_name(other))),
        }
    }

    pub(super) fn binary(
        &mut self,
        operator: Binary,
        left: &Datum,
        right: &Datum,
    ) -> Result<Datum, Stop> {
        match operator {
            Binary::Add => return self.add(left, right),
            Binary::Equal => return Ok(Datum::Truth(self.equal(left, right)?)),
            Binary::NotEqual => return Ok(Datum::Truth(!self.equal(left, right)?)),
            Binary::Same => return Ok(Datum::Truth(same(left, right))),
            Binary::NotSame => return Ok(Datum::Truth(!same(left, right))),
            Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
                let order = self.order(left, right)?;
                return Ok(Datum::Truth(match operator {
                    Binary::Less => order == Some(Ordering::Less),
                    Binary::Greater => order == Some(Ordering::Greater),
                    Binary::LessOrEqual => order.is_some_and(Ordering::is_le),
                    _ => order.is_some_and(Ordering::is_ge),
                }));
            }
            Binary::In => {
                let key = self.heap.text_of(left)?;
                return match right {
                    Datum::Object(place) => {
                        let mut entries = self.heap.entries(*place).iter();
                        Ok(Datum::Truth(entries.any(|(known, _)| *known == key)))
                    }
                    Datum::List(place) => {
                        let at = key.parse::<usize>();
                        let length = self.heap.items(*place).len();
                        Ok(Datum::Truth(at.is_ok_and(|at| at < length)))
                    }
                    _ => trouble("`in` looks into objects and lists only"),
                };
            }
            _ => {}
        }
        let (x, y) = (self.heap.number_of(left)?, self.heap.number_of(right)?);
        let shift = bits(y) as u32 & 31;
        Ok(Datum::Number(match operator {
            Binary::Subtract => x - y,
            Binary::Multiply => x * y,
            Binary::Divide => x / y,
            Binary::Remainder => libm::fmod(x, y),
            Binary::Power => libm::pow(x, y),
            Binary::BitAnd => f64::from(bits(x) & bits(y)),
            Binary::BitOr => f64::from(bits(x) | bits(y)),
            Binary::BitXor => f64::from(bits(x) ^ bits(y)),
            Binary::ShiftLeft => f64::from(bits(x) << shift),
            Binary::ShiftRight => f64::from(bits(x) >> shift),
            _ => f64::from((bits(x) as u32) >> shift),
        }))
    }

    fn add(&mut self, left: &Datum, right: &Datum) -> Result<Datum, Stop> {
        if let (Datum::Number(left), Datum::Number(right)) = (left, right) {
            return Ok(Datum::Number(left + right));
        }
        let plain = |value: &Datum| {
            matches!(
                value,
                Datum::Number(_)
                    | Datum::Whole(_)
                    | Datum::Undefined
                    | Datum::Null
                    | Datum::Truth(_)
            )
        };
        if plain(left) && plain(right) {
            return Ok(Datum::Number(self.heap.number_of(left)? + self.heap.number_of(right)?));
        }
        let (mut text, more) = (self.heap.text_of(left)?, self.heap.text_of(right)?);
        self.heap.take(text.len() + more.len())?;
        self.heap.step((text.len() + more.len()) / 64)?;
        text.push_str(&more);
        Ok(Datum::Text(text))
    }

    /// Equality with conversions.
    fn equal(&mut self, left: &Datum, right: &Datum) -> Result<bool, Stop> {
        let missing = |value: &Datum| matches!(value, Datum::Undefined | Datum::Null);
        if missing(left) || missing(right) {
            return Ok(missing(left) && missing(right));
        }
        let number =
            |value: &Datum| matches!(value, Datum::Number(_) | Datum::Whole(_) | Datum::Truth(_));
        if number(left) || number(right) {
            return Ok(self.heap.number_of(left)? == self.heap.number_of(right)?);
        }
        match (left, right) {
            (Datum::Text(text), other @ Datum::List(_))
            | (other @ Datum::List(_), Datum::Text(text)) => Ok(*text == self.heap.text_of(other)?),
            _ => Ok(same(left, right)),
        }
    }

    fn order(&mut self, left: &Datum, right: &Datum) -> Result<Option<Ordering>, Stop> {
        if let (Datum::Text(left), Datum::Text(right)) = (left, right) {
            self.heap.step(left.len().min(right.len()) / 64)?;
            return Ok(Some(left.encode_utf16().cmp(right.encode_utf16())));
        }
        Ok(self.heap.number_of(left)?.partial_cmp(&self.heap.number_of(right)?))
    }
}

/// Equality without conversions.
pub fn same(left: &Datum, right: &Datum) -> bool {
    match (left, right) {
        (Datum::Whole(whole), Datum::Number(number))
        | (Datum::Number(number), Datum::Whole(whole)) => *whole as f64 == *number,
        _ => left == right,
    }
}
