//! `externalTime(attribute, t)`: the rows of the last t by an attribute's clock.

use crate::engine::windows::WindowDefinition;
use crate::engine::windows::arguments::takes;
use crate::engine::windows::arguments::time;
use crate::engine::windows::arguments::time_attribute;
use crate::engine::windows::sliding::Age;
use crate::engine::windows::sliding::Sliding;
use crate::plan::signature::Signature;

/// The rows of the last t by an attribute. Rows leave only when another arrives: those from which
/// it is t away or more. They leave at its time, which is this window's clock.
pub const DEFINITION: WindowDefinition = WindowDefinition {
    signature: Signature {
        name: "externalTime",
        summary: "Slides over the events of the last `time` by an attribute that holds their time.",
        traits: &[],
        overloads: &[takes(&[time_attribute("timestamp"), time("time")])],
        example: "define stream Logins (user string, at long);\n\
            from Logins#window.externalTime(at, 60 sec)\n\
            select user, count() as logins group by user insert into Rates;",
    },
    build: |setup| {
        let age = Age::Column { column: setup.column(0)?, keep: setup.number(1)? };
        Ok(Box::new(Sliding::new(setup, u64::MAX, age)))
    },
};

#[cfg(test)]
mod tests {
    use crate::engine::windows::testing::contents;
    use crate::engine::windows::testing::play;

    #[test]
    fn rows_leave_when_another_is_so_far_ahead() {
        let seen = play("externalTime", "at, 10", "@0 1=100 2=105 3=110 @7 4=130 @99");
        assert_eq!(seen, "@0 C1 | C2 | X1^110 C3 | @7 X2^130 X3^130 C4");
        assert_eq!(contents("externalTime", "at, 10", "@0 1=100 2=105 3=110"), "2 3");
    }

    #[test]
    fn rows_out_of_order_wait_behind_later_ones() {
        let seen = play("externalTime", "at, 10", "@0 1=100 2=90 3=105 4=111");
        assert_eq!(seen, "@0 C1 | C2 | C3 | X1^111 X2^111 C4");
    }

    #[test]
    fn a_row_without_time_is_a_fault() {
        assert_eq!(play("externalTime", "at, 10", "@0 1=100 2 3=111"), "@0 C1 | X1^111 C3");
    }
}
