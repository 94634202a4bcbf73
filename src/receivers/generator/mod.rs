//! `generator`: made-up events from a seed, for demonstrations and tests without outside data.

mod calendar;
mod chance;
mod login;
mod sshd;

use std::time::Duration;
use std::time::Instant;

use crate::event::Millis;
use crate::language::diagnostic::Diagnostic;
use crate::mappers::Arrival;
use crate::mappers::PASS_THROUGH;
use crate::mappers::options;
use crate::mappers::options::Form;
use crate::mappers::options::Options;
use crate::mappers::options::needed;
use crate::mappers::options::option;
use crate::mappers::options::optional;
use crate::receivers::Definition;
use crate::receivers::Door;
use crate::receivers::Mark;
use crate::receivers::Next;
use crate::receivers::Received;
use crate::receivers::Receiver;
use crate::receivers::ReceiverError;
use crate::receivers::Setup;
use crate::receivers::generator::login::Logins;
use crate::receivers::generator::sshd::Sshd;
use crate::receivers::now;
use crate::receivers::reading::Reading;

/// Makes events up.
pub const DEFINITION: Definition = Definition {
    options: &options::Definition {
        name: "generator",
        help: "Makes events up from a seed: lines of an SSH server's log, or logins.",
        options: &[
            needed(
                "kind",
                Form::Word(&["sshd", "login"]),
                "`sshd`: lines for a mapper of texts; `login`: JSON objects with `user`, `ip`, \
                 `country`, `success` and `ts`.",
            ),
            option("seed", Form::Whole(0, i64::MAX), "1", "What fixes all that is made up."),
            option("rate", Form::Whole(1, 1_000_000), "10", "Events a second."),
            optional("count", Form::Whole(0, i64::MAX), "Events in all; without it, no end."),
            optional(
                "start",
                Form::Whole(0, i64::MAX / 2),
                "The moment of the first event, in milliseconds since 1970, from which the others \
                 follow by the rate; without it, the present moment.",
            ),
        ],
        not_yet: &[],
        example: "@source(type='generator', kind='sshd', seed='7', rate='50')\n\
                  define stream Lines (line string);",
    },
    // What a login is made of is JSON; see `build`.
    default_mapper: PASS_THROUGH,
    build,
};

#[derive(Debug)]
enum Made {
    Lines(Sshd),
    Logins(Logins),
}

#[derive(Debug)]
struct Generator {
    reading: Reading,
    seed: u64,
    is_login: bool,
    made: Made,
    /// Events a second.
    rate: u64,
    count: u64,
    start: Option<Millis>,
    /// When the event numbered `began_with` was due, by both clocks.
    began: Option<(Instant, Millis)>,
    began_with: u64,
    /// Events made.
    done: u64,
}

fn build(
    setup: &Setup<'_>,
    options: &Options,
    faults: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Receiver>> {
    let number = |key| options.number(key).and_then(|number| u64::try_from(number).ok());
    let is_login = options.word("kind")? == "login";
    let default_mapper = if is_login { "json" } else { DEFINITION.default_mapper };
    let seed = number("seed")?;
    Some(Box::new(Generator {
        reading: Reading::build(setup, default_mapper, faults)?,
        seed,
        is_login,
        made: made(is_login, seed),
        rate: number("rate")?,
        count: number("count").unwrap_or(u64::MAX),
        start: options.number("start"),
        began: None,
        began_with: 0,
        done: 0,
    }))
}

fn made(is_login: bool, seed: u64) -> Made {
    match is_login {
        true => Made::Logins(Logins::new(seed)),
        false => Made::Lines(Sshd::new(seed)),
    }
}

impl Generator {
    /// The moment of the event to be made next, as it says itself.
    fn moment(&self, began: Millis) -> Millis {
        match self.start {
            Some(start) => start.saturating_add(self.span(self.done)),
            None => began.saturating_add(self.span(self.done - self.began_with)),
        }
    }

    /// Milliseconds that so many events take.
    fn span(&self, events: u64) -> Millis {
        let span = u128::from(events) * 1000 / u128::from(self.rate);
        Millis::try_from(span).unwrap_or(Millis::MAX)
    }

    fn event(&mut self, moment: Millis) -> String {
        self.done += 1;
        match &mut self.made {
            Made::Lines(sshd) => sshd.line(moment),
            Made::Logins(logins) => {
                let mut text = String::with_capacity(128);
                logins.write(moment, &mut text);
                text
            }
        }
    }
}

impl Receiver for Generator {
    fn open(&mut self, _: &Door, mark: Option<&Mark>) -> Result<(), ReceiverError> {
        self.made = made(self.is_login, self.seed);
        self.done = 0;
        let seen = mark.and_then(|mark| mark.0.parse().ok()).unwrap_or(0);
        // What was made before is made again and thrown away.
        while self.done < seen {
            self.event(0);
        }
        self.began_with = seen;
        self.began = Some((Instant::now(), now()));
        Ok(())
    }

    fn poll(&mut self) -> Result<(Received, Next), ReceiverError> {
        let Some((began, began_at)) = self.began else {
            return Err(ReceiverError::permanent("polled before it was opened"));
        };
        let due = began.elapsed().as_micros() * u128::from(self.rate) / 1_000_000;
        let due = self.began_with.saturating_add(u64::try_from(due).unwrap_or(u64::MAX) + 1);
        let due = due.min(self.count);
        while self.done < due && !self.reading.is_full() {
            let moment = self.moment(began_at);
            let text = self.event(moment);
            self.reading.message(text.as_bytes(), &Arrival::at(now()));
        }
        let mut received = self.reading.finish();
        received.mark = Some(Mark(self.done.to_string()));
        let next = if self.done >= self.count {
            Next::Never
        } else if self.done < due {
            Next::Now
        } else {
            Next::After(Duration::from_micros(1_000_000 / self.rate).max(Duration::from_millis(1)))
        };
        Ok((received, next))
    }

    fn detail(&self) -> String {
        format!("{} events made, {} a second, seed {}", self.done, self.rate, self.seed)
    }
}

/// Lines of an SSH server's log, four a second, for tests of what reads such lines.
#[cfg(test)]
pub fn sshd_lines(seed: u64, count: usize) -> Vec<String> {
    let mut sshd = Sshd::new(seed);
    (0..count as Millis).map(|n| sshd.line(n * 250)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::DataType;
    use crate::event::Schema;
    use crate::event::Value;
    use crate::receivers::harness::Source;

    fn all(source: &Source, mark: Option<&Mark>) -> (Vec<Vec<Value>>, Option<Mark>) {
        let mut receiver = source.build();
        receiver.open(&source.door(), mark).unwrap();
        let (mut rows, mut mark) = (Vec::new(), None);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < deadline, "{}", receiver.detail());
            let (received, next) = receiver.poll().unwrap();
            assert!(received.unreadable.is_empty(), "{:?}", received.unreadable);
            assert!(received.batch.len() <= 1024);
            rows.extend((0..received.batch.len()).map(|row| received.batch.row(row)));
            mark = received.mark.or(mark);
            if next == Next::Never {
                return (rows, mark);
            }
        }
    }

    #[test]
    fn lines_come_as_they_are_and_go_on_after_a_fall() {
        let schema = Schema::new([("line", DataType::Text)]);
        let source = |count: &str| {
            Source::new("generator", &schema)
                .option("kind", "sshd")
                .option("rate", "1000000")
                .option("start", "1000000000000")
                .option("count", count)
        };
        let (whole, _) = all(&source("5000"), None);
        assert_eq!(whole.len(), 5000);
        let (first, mark) = all(&source("1700"), None);
        let (second, _) = all(&source("5000"), mark.as_ref());
        assert_eq!([first, second].concat(), whole);
        assert!(whole[0][0].as_text().unwrap().starts_with("Sep  9 01:46:40 gate sshd["));
    }

    #[test]
    fn logins_fill_the_attributes_that_the_stream_has() {
        let schema = Schema::new([("ts", DataType::Long), ("user", DataType::Text)]);
        let source = Source::new("generator", &schema)
            .option("kind", "login")
            .option("rate", "100000")
            .option("count", "2000")
            .option("start", "5000");
        let (rows, _) = all(&source, None);
        assert_eq!(rows.len(), 2000);
        assert_eq!(rows[100][0], Value::Long(5001));
        assert!(rows[0][1].as_text().unwrap().starts_with("user"));
    }

    #[test]
    fn unknown_kinds_are_refused() {
        let schema = Schema::new([("line", DataType::Text)]);
        let faults = Source::new("generator", &schema).option("kind", "mail").faults();
        assert!(faults[0].message.contains("one of `sshd`, `login`"), "{faults:?}");
    }
}
