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
