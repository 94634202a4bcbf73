//! Functions of where and when a row stands: `currentTimeMillis`, `eventTimestamp`, `UUID`.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::lift::Output;
use crate::engine::functions::FunctionDefinition;
use crate::event::Column;
use crate::event::DataType;
use crate::event::Text;
use crate::plan::signature::Overload;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;
use crate::plan::signature::Trait;
use std::fmt::Write;

/// `currentTimeMillis()`
pub const CURRENT_TIME_MILLIS: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "currentTimeMillis",
        summary: "The engine's clock in milliseconds since 1970; under playback, the events' time.",
        traits: &[],
        overloads: &[Overload { parameters: &[], returns: Returns::Type(DataType::Long) }],
        example: "define stream Readings (room int);
from Readings select room, currentTimeMillis() as seen insert into Seen;",
    },
    build: |_| Ok(Box::new(CurrentTime { output: Output::new() })),
};

/// `eventTimestamp()`
pub const EVENT_TIMESTAMP: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "eventTimestamp",
        summary: "The event's own time in milliseconds since 1970.",
        traits: &[],
        overloads: &[Overload { parameters: &[], returns: Returns::Type(DataType::Long) }],
        example: "define stream Readings (room int);
from Readings select room, eventTimestamp() as happened insert into Happened;",
    },
    build: |_| Ok(Box::new(EventTime { output: Output::new() })),
};

/// `UUID()`
pub const UUID: FunctionDefinition = FunctionDefinition {
    signature: Signature {
        name: "UUID",
        summary: "An identifier that no other event has.",
        traits: &[Trait::Counts],
        overloads: &[Overload { parameters: &[], returns: Returns::Type(DataType::Text) }],
        example: "define stream Orders (product string);
from Orders select UUID() as id, product insert into Numbered;",
    },
    build: |setup| Ok(Box::new(Uuid { site: setup.site, output: Output::new() })),
};

struct CurrentTime {
    output: Output<i64>,
}

impl Kernel for CurrentTime {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let (output, _) = self.output.begin(frame.len());
        output.fill(context.now);
        self.output.column()
    }
}

struct EventTime {
    output: Output<i64>,
}

impl Kernel for EventTime {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, _: &mut Context) -> &'a Column {
        let (output, _) = self.output.begin(frame.len());
        output.copy_from_slice(frame.timestamps);
        self.output.column()
    }
}

struct Uuid {
    site: u32,
    output: Output<Text>,
}

impl Kernel for Uuid {
    fn evaluate<'a>(&'a mut self, frame: &Frame<'a>, context: &mut Context) -> &'a Column {
        let (output, _) = self.output.begin(frame.len());
        for result in output {
            *result = uuid(context.entropy.draw(self.site));
        }
        self.output.column()
    }
}

/// 128 bits in the form of RFC 4122, version 4: 122 of them count.
fn uuid(bits: u128) -> Text {
    let bits = bits & !(0xf << 76) | 4 << 76;
    let bits = bits & !(0b11 << 62) | 0b10 << 62;
    let field = |low: u32, width: u32| bits >> low & ((1 << width) - 1);
    let (a, b, c, d, e) =
        (field(96, 32), field(80, 16), field(64, 16), field(48, 16), field(0, 48));
    let mut text = Text::new();
    write!(text, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}").expect("texts take everything");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_the_form_of_version_4() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(
            uuid(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            "01234567-89ab-4def-8123-456789abcdef"
        );
    }
}
