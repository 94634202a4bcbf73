//! `timeLength(t, n)`: the rows of the last t by the engine's clock, but at most n.

use crate::engine::windows::WindowDefinition;
use crate::engine::windows::arguments::count;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arguments::time;
use crate::engine::windows::sliding::Age;
use crate::engine::windows::sliding::Sliding;
use crate::plan::signature::Signature;

/// The rows of the last t, but at most n. With n = 0 rows pass and are never held.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "timeLength",
        summary: "Slides over the events of the last `time`, but at most over the last `length`.",
        traits: &[],
        overloads: &[takes(&[time("time"), count("length")])],
        example: "define stream Trades (symbol string, price double);\n\
            from Trades#window.timeLength(10 sec, 50)\n\
            select symbol, max(price) as top group by symbol insert into Tops;",
    },
    build: |setup| {
        let age = Age::Clock { keep: setup.number(0)? };
        Ok(Box::new(Sliding::new(setup, setup.number(1)? as u64, age)))
    },
};

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;

    #[test]
    fn rows_leave_when_too_old_or_too_many() {
        let seen = play("timeLength", "10, 2", "@0 1 @4 2 @5 3 @30");
        assert_eq!(seen, "@0 C1 | @4 C2 | @5 X1 C3 | @14 X2 | @15 X3");
        assert_eq!(contents("timeLength", "10, 2", "@0 1 @4 2 @5 3 @14"), "3");
    }

    #[test]
    fn with_length_0_rows_pass_and_are_not_held() {
        assert_eq!(play("timeLength", "10, 0", "@0 1 2 @20"), "@0 C1 | C2");
    }

    #[test]
    fn a_row_that_others_hid_leaves_once_it_is_the_oldest() {
        assert_eq!(play("timeLength", "10, 2", "@50 1 2~20 3"), "@50 C1 | C2^30 | X1 C3 | X2");
    }
}
