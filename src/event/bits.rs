//! Marks on rows: nulls, chunks that go on, ends of sends. Costs nothing while no row is marked.

/// A set of row numbers. Rows beyond the stored words are unmarked, so that an empty set needs no
/// memory and grows only when a row is marked.
#[derive(Clone, Debug, Default)]
pub struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// Nothing marked.
    pub const fn new() -> Bits {
        Bits { words: Vec::new() }
    }

    /// The marks of 64 rows a word, lowest row in the lowest bit.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Marks as [`Bits::words`] gives them.
    pub fn from_words(words: Vec<u64>) -> Bits {
        Bits { words }
    }

    /// Whether row `row` is marked.
    #[inline]
    pub fn get(&self, row: usize) -> bool {
        match self.words.get(row >> 6) {
            Some(word) => word >> (row & 63) & 1 != 0,
            None => false,
        }
    }

    /// Marks row `row`.
    #[inline]
    pub fn set(&mut self, row: usize) {
        let word = row >> 6;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (row & 63);
    }

    /// Marks rows 0, 2, 4 and so on among the first `length`, in place of what was marked.
    pub fn set_even(&mut self, length: usize) {
        self.words.clear();
        self.words.resize(length.div_ceil(64), 0x5555_5555_5555_5555);
        self.truncate(length);
    }

    /// Takes the mark off row `row`.
    pub fn unset(&mut self, row: usize) {
        if let Some(word) = self.words.get_mut(row >> 6) {
            *word &= !(1 << (row & 63));
        }
    }

    /// Whether a mark may be set somewhere; `false` is certain, `true` is not.
    #[inline]
    pub fn any(&self) -> bool {
        !self.words.is_empty()
    }

    /// Takes all marks off; keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.words.clear();
    }

    /// Takes the marks off row `length` and all after it.
    pub fn truncate(&mut self, length: usize) {
        let words = length.div_ceil(64);
        if words < self.words.len() {
            self.words.truncate(words);
        }
        if length & 63 != 0 && self.words.len() == words {
            self.words[words - 1] &= (1 << (length & 63)) - 1;
        }
    }

    /// Marks, from row `at` on, what `other` marks in `start..end`.
    #[inline]
    pub fn extend(&mut self, at: usize, other: &Bits, start: usize, end: usize) {
        if other.any() {
            self.extend_marked(at, other, start, end);
        }
    }

    fn extend_marked(&mut self, at: usize, other: &Bits, start: usize, end: usize) {
        for row in start..end.min(other.words.len() * 64) {
            if other.get(row) {
                self.set(at + row - start);
            }
        }
    }

    /// Marks all that `other` marks among the first `length` rows.
    pub fn union(&mut self, other: &Bits, length: usize) {
        let words = other.words.len().min(length.div_ceil(64));
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&other.words[..words]) {
            *mine |= theirs;
        }
        // Marks of rows that are not there must not show up when the set is filled further.
        if words * 64 > length && self.words.len() >= words && length & 63 != 0 {
            self.words[words - 1] &= (1 << (length & 63)) - 1;
        }
    }

    /// How many rows are marked.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The marked rows in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    index * 64 + bit
                })
            })
        })
    }
}

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_where_they_were_set() {
        let mut bits = Bits::new();
        assert!(!bits.any() && !bits.get(1000));
        bits.set(3);
        bits.set(130);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [3, 130]);
        bits.truncate(130);
        assert_eq!(bits.count(), 1);
        let mut more = Bits::new();
        more.extend(10, &bits, 2, 5);
        assert_eq!(more.iter().collect::<Vec<_>>(), [11]);
    }

    #[test]
    fn a_union_stops_at_its_length() {
        let mut left = Bits::new();
        let mut right = Bits::new();
        right.set(1);
        right.set(70);
        left.union(&right, 70);
        assert_eq!(left.iter().collect::<Vec<_>>(), [1]);
        assert!(
            left == {
                let mut one = Bits::new();
                one.set(1);
                one
            }
        );
    }
}
