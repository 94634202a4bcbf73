//! What plans and their files may be called. Names become parts of addresses and of paths.

/// The endings of plan files.
pub const ENDINGS: [&str; 2] = [".siddhi", ".siddhiql"];

pub(super) const NAME_CHARS_MAX: usize = 100;
const FILE_BYTES_MAX: usize = 200;

/// Whether a plan may be called so: it becomes part of addresses and of file names.
#[must_use]
pub fn is_plan_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('.')
}

/// Whether a plan file may be called so: it lies in the folder of plans itself, is not hidden and
/// has one of the [`ENDINGS`].
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let is_plain = !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    is_plain && name.len() <= FILE_BYTES_MAX && ENDINGS.iter().any(|end| name.ends_with(end))
}

/// A file's name without its ending.
#[must_use]
pub fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_plans_are_checked() {
        assert!(is_plan_name(&"x".repeat(100)) && !is_plan_name(&"x".repeat(101)));
        assert!(!is_plan_name("..") && !is_plan_name("") && is_plan_name("A-1_b.c"));
        assert!(
            !is_plan_name("x/y") && !is_plan_name("a b") && !is_plan_name(crate::catalogue::NAME)
        );
    }

    #[test]
    fn names_of_files_lead_nowhere_else() {
        assert!(is_file_name("a.siddhi") && is_file_name("a b.siddhiql"));
        for name in ["", "a", ".a.siddhi", "../a.siddhi", "b/a.siddhi", "a.siddhi.conflict"] {
            assert!(!is_file_name(name), "{name}");
        }
    }
}
