//! `@attributes(a='$.x.y[0]')`: where attributes lie in an event, as one tree that is walked once
//! an event.
//!
//! A subset of JSONPath: `$`, `.name`, `['name']` and `[n]`. The `$.` may be left out.

use crate::event::Column;
use crate::mappers::json::decode::Failure;
use crate::mappers::json::decode::Filler;
use crate::mappers::json::scanner::Scanner;

/// A step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The member of an object.
    Member(String),
    /// The element of an array, counted from 0.
    Element(usize),
}

/// Reads a path; the error says what is wrong with it.
pub fn parse(path: &str) -> Result<Vec<Step>, String> {
    let bad = |what: &str| {
        let text = "a path is `$`, then `.name`, `['name']` or `[0]`, as in `$.login.ips[0]`";
        Err(format!("{what} in the path `{path}`: {text}"))
    };
    let mut steps = Vec::new();
    let mut rest = path.trim();
    match rest.strip_prefix('$') {
        Some(after) => rest = after,
        None if rest.is_empty() => return bad("nothing"),
        // `a.b` is `$.a.b`.
        None if !rest.starts_with(['.', '[']) => {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(Step::Member(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        None => {}
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            match &after[..end] {
                "" => return bad("a point without a name"),
                "*" => return bad("`*`, which is not supported yet,"),
                name => steps.push(Step::Member(name.to_owned())),
            }
            rest = &after[end..];
        } else if let Some(after) = rest.strip_prefix('[') {
            let Some((inside, after)) = bracket(after) else {
                return bad("`[` without `]`");
            };
            match inside {
                Inside::Quoted(name) => steps.push(Step::Member(name.to_owned())),
                Inside::Bare(digits) => match digits.trim().parse() {
                    Ok(element) => steps.push(Step::Element(element)),
                    Err(_) => return bad(&format!("`[{digits}]`")),
                },
            }
            rest = after;
        } else {
            return bad(&format!("`{rest}`"));
        }
    }
    Ok(steps)
}

enum Inside<'a> {
    Quoted(&'a str),
    Bare(&'a str),
}

/// What stands in brackets, and what comes after them.
fn bracket(text: &str) -> Option<(Inside<'_>, &str)> {
    for quote in ['\'', '"'] {
        if let Some(after) = text.strip_prefix(quote) {
            let end = after.find(quote)?;
            let rest = after[end + 1..].strip_prefix(']')?;
            return Some((Inside::Quoted(&after[..end]), rest));
        }
    }
    let (inside, rest) = text.split_once(']')?;
    Some((Inside::Bare(inside), rest))
}

/// The paths of all attributes as one tree.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// Attributes whose path ends here.
    attributes: Vec<usize>,
    members: Vec<(String, Paths)>,
    elements: Vec<(usize, Paths)>,
}

impl Paths {
    /// Adds the path of an attribute.
    pub fn add(&mut self, steps: &[Step], attribute: usize) {
        let Some((first, rest)) = steps.split_first() else {
            return self.attributes.push(attribute);
        };
        let child = match first {
            Step::Member(name) => child_of(&mut self.members, name),
            Step::Element(element) => child_of(&mut self.elements, element),
        };
        child.add(rest, attribute);
    }

    /// Walks one event and fills the attributes that it has.
    pub(super) fn read(
        &self,
        scanner: &mut Scanner<'_>,
        filler: &mut Filler,
        columns: &mut [Column],
        scratch: &mut String,
    ) -> Result<(), Failure> {
        self.walk(0, scanner, filler, columns, scratch)
    }

    fn walk(
        &self,
        depth: usize,
        scanner: &mut Scanner<'_>,
        filler: &mut Filler,
        columns: &mut [Column],
        scratch: &mut String,
    ) -> Result<(), Failure> {
        scanner.peek();
        let start = scanner.at();
        for &attribute in &self.attributes {
            scanner.go_to(start);
            filler.fill(attribute, start, scanner, columns, scratch)?;
        }
        let inside = !self.members.is_empty() || !self.elements.is_empty();
        if !inside && !self.attributes.is_empty() {
            return Ok(());
        }
        scanner.go_to(start);
        // The scanner's own walk passes plain faults on; a fault with an attribute waits here.
        let mut failure = None;
        let walked = match scanner.peek() {
            Some(b'{') if !self.members.is_empty() => {
                scanner.members(depth, scratch, |scanner, key, scratch| {
                    match self.members.iter().find(|(name, _)| *name == key.as_str()) {
                        None => scanner.skip(depth + 1, scratch),
                        Some((_, child)) => child
                            .walk(depth + 1, scanner, filler, columns, scratch)
                            .map_err(|inner| keep(inner, &mut failure)),
                    }
                })
            }
            Some(b'[') if !self.elements.is_empty() => {
                let mut index = 0;
                scanner.elements(depth, scratch, |scanner, scratch| {
                    let child = self.elements.iter().find(|(element, _)| *element == index);
                    index += 1;
                    match child {
                        None => scanner.skip(depth + 1, scratch),
                        Some((_, child)) => child
                            .walk(depth + 1, scanner, filler, columns, scratch)
                            .map_err(|inner| keep(inner, &mut failure)),
                    }
                })
            }
            _ => scanner.skip(depth, scratch),
        };
        match (walked, failure) {
            (_, Some(failure)) => Err(failure),
            (walked, None) => Ok(walked?),
        }
    }
}

fn keep(inner: Failure, place: &mut Option<Failure>) -> crate::mappers::json::scanner::Bad {
    let bad = inner.bad;
    *place = Some(inner);
    bad
}

fn child_of<'a, K: PartialEq + Clone>(children: &'a mut Vec<(K, Paths)>, key: &K) -> &'a mut Paths {
    let at = children.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
        children.push((key.clone(), Paths::default()));
        children.len() - 1
    });
    &mut children[at].1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Step {
        Step::Member(name.to_owned())
    }

    #[test]
    fn paths_are_read_with_and_without_the_dollar() {
        assert_eq!(parse("$").unwrap(), []);
        assert_eq!(parse("$.a.b").unwrap(), [member("a"), member("b")]);
        assert_eq!(parse("a.b").unwrap(), [member("a"), member("b")]);
        let expected = [member("a b"), Step::Element(3), member("c")];
        assert_eq!(parse("$['a b'][3].c").unwrap(), expected);
        assert_eq!(parse("[0][\"x\"]").unwrap(), [Step::Element(0), member("x")]);
    }

    #[test]
    fn a_path_that_cannot_be_read_is_explained() {
        for path in ["", "$a", "$.", "$..a", "$.*", "$[x]", "$['a'", "$['a'x]", "$[-1]"] {
            let error = parse(path).unwrap_err();
            assert!(error.contains("a path is"), "{path}: {error}");
        }
    }
}
