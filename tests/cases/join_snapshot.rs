//! What a snapshot of a join shows, from lists of all that is there.

/// A group by its key.
pub type Group = Option<&'static str>;

/// How a query looks at its matches. Without a window a row leaves as soon as it has come, so that
/// nothing is ever there.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// How many of the values selected are a match's own; the others are aggregates.
    pub own: usize,
    /// Whether each group is shown but once.
    pub once: bool,
}

/// What a partition key has.
#[derive(Default)]
pub struct Present {
    /// What has come and has not left.
    rows: Vec<(Group, Vec<Option<f64>>)>,
    /// Groups with rows in order of appearance, how many came more than left, and the last one.
    groups: Vec<(Group, usize, Vec<Option<f64>>)>,
}

impl Present {
    /// A match comes or leaves, with what is selected of it.
    pub fn take(&mut self, view: View, group: Group, values: Vec<Option<f64>>, leaves: bool) {
        let equal = |row: &(Group, Vec<Option<f64>>)| {
            row.0 == group && row.1[..view.own] == values[..view.own]
        };
        let was_there = match leaves {
            false => true,
            true if view.own == 0 => true,
            true => {
                let oldest = self.rows.iter().position(equal);
                oldest.map(|place| self.rows.remove(place)).is_some()
            }
        };
        if !leaves && view.own > 0 {
            self.rows.push((group, values.clone()));
        }
        let known = self.groups.iter().position(|known| known.0 == group);
        let Some(known) = known else {
            if !leaves {
                self.groups.push((group, 1, values));
            }
            return;
        };
        let of = &mut self.groups[known];
        of.2 = values;
        match leaves {
            false => of.1 += 1,
            true => of.1 -= usize::from(was_there),
        }
        if of.1 == 0 {
            self.groups.remove(known);
        }
    }

    /// What is shown at the end of a period.
    pub fn show(&self, view: View) -> Vec<Vec<Option<f64>>> {
        if view.own == 0 {
            return self.groups.iter().map(|group| group.2.clone()).collect();
        }
        let mut shown: Vec<Group> = Vec::new();
        let mut rows = Vec::new();
        for (group, values) in &self.rows {
            if view.once {
                if shown.contains(group) {
                    continue;
                }
                shown.push(*group);
            }
            let last = self.groups.iter().find(|known| known.0 == *group).expect("it has rows");
            rows.push([&values[..view.own], &last.2[view.own..]].concat());
        }
        rows
    }
}
