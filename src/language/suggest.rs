//! "Did you mean": which of the known names is closest to what was written.

/// The candidate closest to `word`, if one is so close that it was probably meant.
///
/// Of several equally close ones the first wins, so the order of candidates decides.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let limit = allowed(word.chars().count().max(candidate.chars().count()));
        let Some(distance) = distance(word, candidate, limit) else { continue };
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How many slips make one word another, when the longer one has so many characters.
fn allowed(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=5 => 1,
        6..=11 => 2,
        _ => 3,
    }
}

/// The number of slips (a letter left out, added, wrong, or two neighbours swapped) between two
/// words, case aside; nothing if it is above `limit`.
fn distance(left: &str, right: &str, limit: usize) -> Option<usize> {
    // Names are short; a text of a megabyte is not compared letter by letter.
    if left.len().abs_diff(right.len()) > limit * 4 {
        return None;
    }
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let changed = last[column] + usize::from(letter != other);
            let mut least = changed.min(last[column + 1] + 1).min(next[column] + 1);
            if row > 0 && column > 0 && *letter == right[column - 1] && left[row - 1] == *other {
                least = least.min(before[column - 1] + 1);
            }
            next.push(least);
        }
        if next.iter().all(|steps| *steps > limit) {
            return None;
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().filter(|steps| *steps <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_of_the_finger() {
        assert_eq!(closest("form", ["from", "for"]), Some("from"));
        assert_eq!(closest("slect", ["insert", "select"]), Some("select"));
        assert_eq!(closest("Pirce", ["symbol", "price"]), Some("price"));
        assert_eq!(closest("integer", ["int", "string"]), None);
        assert_eq!(closest("xyz", ["price"]), None);
        assert_eq!(closest("ab", ["ac"]), None);
    }

    #[test]
    fn prefers_the_closest_and_then_the_first() {
        assert_eq!(closest("prise", ["prose", "price"]), Some("prose"));
        assert_eq!(closest("prices", ["prizes_", "price"]), Some("price"));
    }

    #[test]
    fn long_words_cost_little() {
        let long = "a".repeat(1_000_000);
        assert_eq!(closest(&long, ["price"]), None);
    }
}
