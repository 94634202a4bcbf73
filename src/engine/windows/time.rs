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
