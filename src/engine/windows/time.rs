//! `time(t)`: the rows of the last t by the engine's clock.

use crate::engine::windows::WindowDefinition;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arguments::time;
use crate::engine::windows::sliding::Age;
use crate::engine::windows::sliding::Sliding;
use crate::plan::signature::Signature;

/// The rows of the last t. A row leaves when the clock reaches its own time plus t.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "time",
        summary: "Slides over the events of the last `time`; they leave by the clock.",
        traits: &[],
        overloads: &[takes(&[time("time")])],
        example: "define stream Logins (user string, success bool);\n\
            from Logins[not success]#window.time(5 min)\n\
            select user, count() as failures group by user insert into Failures;",
    },
    build: |setup| {
        let keep = setup.number(0)?;
        Ok(Box::new(Sliding::new(setup, u64::MAX, Age::Clock { keep })))
    },
};

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;

    #[test]
    fn rows_leave_by_the_clock_and_with_its_time() {
        let seen = play("time", "10", "@0 1 2 @4 3 @30 4");
        assert_eq!(seen, "@0 C1 | C2 | @4 C3 | @10 X1 X2 | @14 X3 | @30 C4");
        assert_eq!(contents("time", "10", "@0 1 @4 2 @10"), "2");
    }

    #[test]
    fn a_row_that_is_due_at_once_leaves_after_its_chunk() {
        assert_eq!(play("time", "10", "@50 1~20 2"), "@50 C1^30 | X1 | C2");
        assert_eq!(play("time", "0", "@5 1+ 2 3"), "@5 C1 C2 | X1 X2 | C3 | X3");
    }

    #[test]
    fn a_late_row_leaves_no_sooner_than_those_before_it() {
        assert_eq!(play("time", "10", "@50 1 2~9 @90"), "@50 C1 | C2^41 | @60 X1 X2");
    }
}
