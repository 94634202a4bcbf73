//! `#log([priority,] [message,] [isEventLogged])`: passes rows on and says so in the node's log.

use crate::engine::context::Context;
use crate::engine::context::Level;
use crate::engine::context::Note;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Kernel;
use crate::engine::expressions::compile;
use crate::engine::expressions::number_text::value_text;
use crate::engine::library::Library;
use crate::engine::operator::Operator;
use crate::engine::state::LoadError;
use crate::engine::state::StateReader;
use crate::engine::state::StateWriter;
use crate::engine::stream_functions::StreamFunctionDefinition;
use crate::event::Batch;
use crate::event::DataType;
use crate::event::Kind;
use crate::event::Slot;
use crate::event::Text;
use crate::plan::expression::Expr;
use crate::plan::logical::FunctionCall;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;
use crate::plan::signature::Returns;
use crate::plan::signature::Signature;

const PRIORITY: Parameter = Parameter::any("priority", &[DataType::Text]);
const MESSAGE: Parameter = Parameter::any("message", &[DataType::Text]);
const IS_EVENT_LOGGED: Parameter = Parameter::any("isEventLogged", &[DataType::Bool]);
const RETURNS: Returns = Returns::Type(DataType::Object);

/// `log(…)`
pub const DEFINITION: StreamFunctionDefinition = StreamFunctionDefinition {
    signature: Signature {
        name: "log",
        summary: "Writes each row, a message or both into the node's log; passes the rows on.",
        traits: &[],
        overloads: &[
            Overload { parameters: &[], returns: RETURNS },
            Overload { parameters: &[MESSAGE], returns: RETURNS },
            Overload { parameters: &[IS_EVENT_LOGGED], returns: RETURNS },
            Overload { parameters: &[MESSAGE, IS_EVENT_LOGGED], returns: RETURNS },
            Overload { parameters: &[PRIORITY, MESSAGE], returns: RETURNS },
            Overload { parameters: &[PRIORITY, MESSAGE, IS_EVENT_LOGGED], returns: RETURNS },
        ],
        example: "define stream Logins (user string, address string);
from Logins#log('WARN', 'a login') select user insert into Users;",
    },
    added: |_| &[],
    build,
};

/// How grave the lines are.
enum Priority {
    /// The same for all; `None` writes nothing.
    Fixed(Option<Level>),
    /// Named by each row.
    Computed(Box<dyn Kernel>),
}

struct Log {
    priority: Priority,
    message: Option<Box<dyn Kernel>>,
    is_event_logged: Option<Box<dyn Kernel>>,
    stream: Text,
}

fn build(call: &FunctionCall, library: &Library) -> Result<Box<dyn Operator>, ArgumentFault> {
    let layout = [call.types.len()];
    let mut arguments = call.arguments.iter().peekable();
    let texts = call.arguments.iter().filter(|argument| argument.ty == DataType::Text).count();
    let priority = match (texts, arguments.peek()) {
        (2, Some(argument)) => {
            let priority = priority(argument, &layout, library)?;
            arguments.next();
            priority
        }
        _ => Priority::Fixed(Some(Level::Info)),
    };
    let mut of_type = |ty| {
        let argument = arguments.next_if(|argument| argument.ty == ty);
        argument.map(|argument| compile(argument, &layout, library)).transpose()
    };
    let (message, is_event_logged) = (of_type(DataType::Text)?, of_type(DataType::Bool)?);
    Ok(Box::new(Log { priority, message, is_event_logged, stream: call.stream.clone() }))
}

fn priority(
    argument: &Expr,
    layout: &[usize],
    library: &Library,
) -> Result<Priority, ArgumentFault> {
    let Some(name) = argument.as_constant().and_then(|constant| constant.as_text()) else {
        return Ok(Priority::Computed(compile(argument, layout, library)?));
    };
    level(name).map(Priority::Fixed).ok_or_else(|| {
        let levels = "'TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL' or 'OFF'";
        ArgumentFault::at(0, format!("expected {levels}, found '{name}'"))
    })
}

/// The level of a priority; `Some(None)` for the one that writes nothing.
fn level(priority: &str) -> Option<Option<Level>> {
    let levels = [
        ("TRACE", Some(Level::Trace)),
        ("DEBUG", Some(Level::Debug)),
        ("INFO", Some(Level::Info)),
        ("WARN", Some(Level::Warn)),
        ("ERROR", Some(Level::Error)),
        ("FATAL", Some(Level::Error)),
        ("OFF", None),
    ];
    let found = levels.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(priority));
    found.map(|(_, level)| level)
}

impl Operator for Log {
    fn run(&mut self, input: &Batch, context: &mut Context, output: &mut Batch) {
        let frame = Frame::new(&input.columns, &input.timestamps);
        let levels = match &mut self.priority {
            Priority::Fixed(level) => Err(*level),
            Priority::Computed(kernel) => Ok(kernel.evaluate(&frame, context).texts()),
        };
        let message = self.message.as_mut().map(|kernel| kernel.evaluate(&frame, context));
        let logged = self.is_event_logged.as_mut().map(|kernel| kernel.evaluate(&frame, context));
        for row in (0..input.len()).filter(|&row| input.kind(row) != Kind::Reset) {
            let level = match levels {
                Err(level) => level,
                // A word that is no level must not hide the line.
                Ok(names) => level(&names[row]).unwrap_or(Some(Level::Info)),
            };
            let Some(level) = level else { continue };
            let message = message.map(|column| value_text(&column.value(row)));
            let shows_event = logged.is_none_or(|column| column.bools()[row]);
            let text = match (message, shows_event) {
                (Some(message), true) => format!("{message}, {}", show(&self.stream, input, row)),
                (Some(message), false) => message.to_string(),
                (None, true) => show(&self.stream, input, row),
                (None, false) => "event arrived".to_owned(),
            };
            context.notes.push(Note { level, text });
        }
        output.extend(input, 0, input.len());
    }

    fn forget(&mut self, _: Slot) {}

    fn save(&self, _: &mut StateWriter) {}

    fn load(&mut self, _: &mut StateReader<'_>) -> Result<(), LoadError> {
        Ok(())
    }
}

/// A row for people: `Logins[root, 10.0.0.1] at 1700000000000`.
fn show(stream: &str, input: &Batch, row: usize) -> String {
    let values: Vec<Text> = input.row(row).iter().map(value_text).collect();
    let expired = if input.kind(row) == Kind::Expired { ", expired" } else { "" };
    format!("{stream}[{}] at {}{expired}", values.join(", "), input.timestamps[row])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stream_functions::testing::call;
    use crate::engine::stream_functions::testing::rows;
    use crate::event::Value;

    fn lines(arguments: Vec<Expr>) -> Vec<Note> {
        let types = [DataType::Text, DataType::Int];
        let call = call("log", arguments, &types);
        let mut log = build(&call, &Library::standard()).expect("it is well typed");
        let mut context = Context::default();
        let mut input =
            rows(&types, &[&["root".into(), Value::Int(7)], &["off".into(), Value::Null]]);
        input.push_nulls(0, Kind::Reset, 0);
        input.join_chunk(0);
        let mut output = Batch::new(&types);
        log.run(&input, &mut context, &mut output);
        assert_eq!(output, input, "what comes passes");
        context.notes
    }

    fn text(text: &str) -> Expr {
        Expr::constant(text.into())
    }

    fn truth(truth: bool) -> Expr {
        Expr::constant(Value::Bool(truth))
    }

    fn first(arguments: Vec<Expr>) -> String {
        lines(arguments)[0].text.clone()
    }

    #[test]
    fn lines_hold_what_is_asked_for() {
        let event = "Stream[root, 7] at 1000";
        assert_eq!(first(vec![]), event);
        assert_eq!(first(vec![text("m")]), format!("m, {event}"));
        assert_eq!(first(vec![truth(true)]), event);
        assert_eq!(first(vec![truth(false)]), "event arrived");
        assert_eq!(first(vec![text("m"), truth(false)]), "m");
        assert_eq!(first(vec![text("m"), truth(true)]), format!("m, {event}"));
        assert_eq!(first(vec![text("warn"), text("m")]), format!("m, {event}"));
        assert_eq!(first(vec![text("warn"), text("m"), truth(false)]), "m");
        assert_eq!(lines(vec![])[1].text, "Stream[off, null] at 1001");
    }

    #[test]
    fn lines_are_as_grave_as_asked_for() {
        let level = |name: &str| lines(vec![text(name), text("m")])[0].level;
        assert_eq!(level("WARN"), Level::Warn);
        assert_eq!(level("fatal"), Level::Error);
        assert_eq!(lines(vec![])[0].level, Level::Info);
        assert!(lines(vec![text("OFF"), text("m")]).is_empty());
        let named = lines(vec![Expr::column(0, DataType::Text), text("m")]);
        assert_eq!(named.len(), 1, "the second row names `off`");
        assert_eq!(named[0].level, Level::Info, "`root` is no level");
        let unknown = call("log", vec![text("LOUD"), text("m")], &[]);
        assert_eq!(build(&unknown, &Library::standard()).err().expect("refused").argument, Some(0));
    }
}
