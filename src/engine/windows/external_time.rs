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
