//! Dates and times: the functions `time:…`, in UTC and by the engine's clock.

use crate::engine::expressions::by_row::Arguments;
use crate::engine::expressions::by_row::Outcome;
use crate::engine::expressions::by_row::Trouble;
use crate::engine::expressions::number_text::whole_text;
use crate::engine::functions::Built;
use crate::engine::functions::FunctionDefinition;
use crate::engine::functions::FunctionSetup;
use crate::engine::functions::takes;
use crate::engine::functions::time_format::DAY;
use crate::engine::functions::time_format::Date;
use crate::engine::functions::time_format::Format;
use crate::engine::functions::time_format::USUAL;
use crate::event::DataType;
use crate::event::Millis;
use crate::event::Text;
use crate::plan::expression::Expr;
use crate::plan::signature::ArgumentFault;
use crate::plan::signature::Overload;
use crate::plan::signature::Parameter;

const DATE: Parameter = Parameter::any("date", &[DataType::Text]);
const MILLIS: Parameter = Parameter::any("timestamp", &[DataType::Long]);
const FORMAT: Parameter = Parameter::any("format", &[DataType::Text]);
const AMOUNT: Parameter = Parameter::any("amount", &[DataType::Int]);
const UNIT: Parameter = Parameter::constant("unit", &[DataType::Text]);
const LOCALE: Parameter = Parameter::constant("locale", &[DataType::Text]);

const SHIFT: &[Overload] = &[
    takes(&[MILLIS, AMOUNT, UNIT], DataType::Text),
    takes(&[DATE, AMOUNT, UNIT, FORMAT.optional()], DataType::Text),
];

/// All of them, in the order of the manual.
pub const ALL: &[FunctionDefinition] = &[
    FunctionDefinition::new(
        "time:currentDate",
        "The date by the engine's clock, as in `2024-02-29`.",
        &[takes(&[], DataType::Text)],
        |setup| clock(setup, "yyyy-MM-dd"),
        "define stream Orders (product string);
from Orders select product, time:currentDate() as day insert into Dated;",
    ),
    FunctionDefinition::new(
        "time:currentTime",
        "The time of day by the engine's clock, as in `13:05:00`.",
        &[takes(&[], DataType::Text)],
        |setup| clock(setup, "HH:mm:ss"),
        "define stream Orders (product string);
from Orders select product, time:currentTime() as time insert into Timed;",
    ),
    FunctionDefinition::new(
        "time:currentTimestamp",
        "Date and time by the engine's clock; a time zone may only be `UTC` or `GMT`.",
        &[takes(&[Parameter::constant("zone", &[DataType::Text]).optional()], DataType::Text)],
        |setup| {
            if let Some(zone) = setup.constant_text(0).filter(|zone| !["UTC", "GMT"].contains(zone))
            {
                let message = format!("the time zone '{zone}'");
                return Err(ArgumentFault { argument: Some(0), message, not_supported: true });
            }
            clock(setup, "yyyy-MM-dd HH:mm:ss")
        },
        "define stream Orders (product string);
from Orders select product, time:currentTimestamp() as at insert into Stamped;",
    ),
    FunctionDefinition::new(
        "time:utcTimestamp",
        "Date and time by the engine's clock in UTC.",
        &[takes(&[], DataType::Text)],
        |setup| clock(setup, "yyyy-MM-dd HH:mm:ss"),
        "define stream Orders (product string);
from Orders select product, time:utcTimestamp() as at insert into Stamped;",
    ),
    FunctionDefinition::new(
        "time:timestampInMilliseconds",
        "The moment that a date names, in milliseconds since 1970; that of the clock without one.",
        &[takes(&[], DataType::Long), takes(&[DATE, FORMAT.optional()], DataType::Long)],
        |setup| {
            if setup.operands.is_empty() {
                return setup.by_row(|row| Ok(Some(row.now)));
            }
            let mut format = Formats::new(setup.arguments, 1)?;
            setup.by_row(move |row| Ok(Some(format.read(row, 0, 1)?)))
        },
        "define stream Orders (product string, day string);
from Orders select product, time:timestampInMilliseconds(day, 'yyyy-MM-dd') as at insert into Out;",
    ),
    FunctionDefinition::new(
        "time:date",
        "The day of a date, as in `2024-02-29`.",
        &[takes(&[DATE, FORMAT.optional()], DataType::Text)],
        |setup| {
            let mut format = Formats::new(setup.arguments, 1)?;
            let day = known("yyyy-MM-dd");
            setup.by_row(move |row| Ok(Some(day.format(format.read(row, 0, 1)?))))
        },
        "define stream Orders (product string, at string);
from Orders select product, time:date(at) as day insert into Days;",
    ),
    FunctionDefinition::new(
        "time:dateFormat",
        "A date, or a moment in milliseconds, in another format; null for null.",
        &[
            takes(&[MILLIS, Parameter::any("target", &[DataType::Text])], DataType::Text),
            takes(
                &[DATE, Parameter::any("target", &[DataType::Text]), FORMAT.optional()],
                DataType::Text,
            ),
        ],
        date_format,
        "define stream Logins (user string, at long);
from Logins select user, time:dateFormat(at, 'dd.MM.yyyy HH:mm') as at insert into Shown;",
    ),
    FunctionDefinition::new(
        "time:dateAdd",
        "A date that is so many units later; of a moment in milliseconds the text of another.",
        SHIFT,
        |setup| shift(setup, 1),
        "define stream Loans (book string, day string);
from Loans select book, time:dateAdd(day, 2, 'week', 'yyyy-MM-dd') as due insert into Dues;",
    ),
    FunctionDefinition::new(
        "time:dateSub",
        "A date that is so many units earlier; of a moment in milliseconds the text of another.",
        SHIFT,
        |setup| shift(setup, -1),
        "define stream Loans (book string, due string);
from Loans select book, time:dateSub(due, 1, 'day', 'yyyy-MM-dd') as reminder insert into Dues;",
    ),
    FunctionDefinition::new(
        "time:dateDiff",
        "How many whole days the first date lies behind the second.",
        &[
            takes(&[MILLIS, Parameter::any("other", &[DataType::Long])], DataType::Long),
            takes(
                &[
                    DATE,
                    Parameter::any("other", &[DataType::Text]),
                    FORMAT.optional(),
                    Parameter::any("otherFormat", &[DataType::Text]).optional(),
                ],
                DataType::Long,
            ),
        ],
        difference,
        "define stream Loans (book string, back string, day string);
from Loans select book, time:dateDiff(back, day, 'yyyy-MM-dd', 'yyyy-MM-dd') as days
insert into Durations;",
    ),
    FunctionDefinition::new(
        "time:dayOfWeek",
        "The English name of a date's day of the week.",
        &[takes(&[DATE, FORMAT.optional()], DataType::Text)],
        |setup| {
            let mut format = Formats::new(setup.arguments, 1)?;
            setup.by_row(move |row| {
                let date = Date::of(format.read(row, 0, 1)?);
                Ok(Some(Text::from(date.weekday_name())))
            })
        },
        "define stream Orders (product string, day string);
from Orders select product, time:dayOfWeek(day, 'yyyy-MM-dd') as weekday insert into Weekdays;",
    ),
    FunctionDefinition::new(
        "time:extract",
        "A part of a date or of a moment in milliseconds: the year, month, day, hour, and so on.",
        &[
            takes(&[MILLIS, UNIT, LOCALE.optional()], DataType::Int),
            takes(&[UNIT, DATE, FORMAT.optional(), LOCALE.optional()], DataType::Int),
        ],
        extract,
        "define stream Logins (user string, at long);
from Logins[time:extract(at, 'hour') < 6] select user, at insert into AtNight;",
    ),
];

/// Date formats that are an argument: known when the plan is compiled, or named by each row.
struct Formats {
    /// The format compiled last, and its text if it may change.
    known: Format,
    text: Option<Text>,
}

impl Formats {
    /// The format at a place of the arguments; the usual one if there is none.
    fn new(arguments: &[Expr], place: usize) -> Result<Formats, ArgumentFault> {
        let Some(argument) = arguments.get(place) else {
            return Ok(Formats { known: known(USUAL), text: None });
        };
        match argument.as_constant().and_then(|value| value.as_text()) {
            Some(text) => {
                let format = Format::parse(text);
                let known = format.map_err(|message| ArgumentFault::at(place, message))?;
                Ok(Formats { known, text: None })
            }
            None => Ok(Formats { known: known(USUAL), text: Some(USUAL.into()) }),
        }
    }

    /// The format of a row.
    fn of(&mut self, row: Arguments<'_>, place: usize) -> Result<&Format, Trouble> {
        if let Some(text) = &mut self.text {
            let wanted = row.needed::<Text>(place)?;
            if text != wanted {
                self.known = Format::parse(wanted)?;
                *text = wanted.clone();
            }
        }
        Ok(&self.known)
    }

    /// The moment that a row names at a place, in the format at another.
    fn read(&mut self, row: Arguments<'_>, date: usize, format: usize) -> Result<Millis, Trouble> {
        let text = row.needed::<Text>(date)?;
        let read = self.of(row, format)?.read(text);
        read.ok_or_else(|| format!("'{text}' is no date of the expected format").into())
    }
}

fn known(text: &str) -> Format {
    Format::parse(text).expect("the format is one of ours")
}

fn clock(setup: FunctionSetup<'_>, format: &str) -> Built {
    let format = known(format);
    setup.by_row(move |row| Ok(Some(format.format(row.now))))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

/// The unit that a constant names.
fn unit(setup: &FunctionSetup<'_>, place: usize) -> Result<Unit, ArgumentFault> {
    let word = setup.constant_text(place).unwrap_or_default();
    let units = [
        ("YEAR", Unit::Year),
        ("QUARTER", Unit::Quarter),
        ("MONTH", Unit::Month),
        ("WEEK", Unit::Week),
        ("DAY", Unit::Day),
        ("HOUR", Unit::Hour),
        ("MINUTE", Unit::Minute),
        ("SECOND", Unit::Second),
    ];
    let found = units.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    found.map(|(_, unit)| unit).ok_or_else(|| {
        let names = "'YEAR', 'QUARTER', 'MONTH', 'WEEK', 'DAY', 'HOUR', 'MINUTE' or 'SECOND'";
        ArgumentFault::at(place, format!("expected {names}, found '{word}'"))
    })
}

fn date_format(setup: FunctionSetup<'_>) -> Built {
    let mut target = Formats::new(setup.arguments, 1)?;
    if setup.arguments[0].ty == DataType::Long {
        return setup.by_row(move |row| match (row.get::<Millis>(0), row.text(1)) {
            (Some(&millis), Some(_)) => Ok(Some(target.of(row, 1)?.format(millis))),
            _ => Ok(None),
        });
    }
    let mut source = Formats::new(setup.arguments, 2)?;
    setup.by_row(move |row| {
        if (0..row.count()).any(|place| row.text(place).is_none()) {
            return Ok(None);
        }
        let millis = source.read(row, 0, 2)?;
        Ok(Some(target.of(row, 1)?.format(millis)))
    })
}

fn moved(millis: Millis, amount: i64, unit: Unit) -> Millis {
    let date = Date::of(millis);
    match unit {
        Unit::Year => date.plus_months(amount * 12).millis(),
        Unit::Quarter => date.plus_months(amount * 3).millis(),
        Unit::Month => date.plus_months(amount).millis(),
        Unit::Week => millis.saturating_add(amount * 7 * DAY),
        Unit::Day => millis.saturating_add(amount * DAY),
        Unit::Hour => millis.saturating_add(amount * 3_600_000),
        Unit::Minute => millis.saturating_add(amount * 60_000),
        Unit::Second => millis.saturating_add(amount * 1000),
    }
}

fn shift(setup: FunctionSetup<'_>, sign: i64) -> Built {
    let unit = unit(&setup, 2)?;
    if setup.arguments[0].ty == DataType::Long {
        return setup.by_row(move |row| match (row.get::<Millis>(0), row.get::<i32>(1)) {
            (Some(&millis), Some(&amount)) => {
                Ok(Some(whole_text(moved(millis, sign * i64::from(amount), unit))))
            }
            _ => Ok(None),
        });
    }
    let mut format = Formats::new(setup.arguments, 3)?;
    setup.by_row(move |row| {
        let Some(amount) = row.get::<i32>(1).filter(|_| row.text(0).is_some()) else {
            return Ok(None);
        };
        if row.count() > 3 && row.text(3).is_none() {
            return Ok(None);
        }
        let millis = moved(format.read(row, 0, 3)?, sign * i64::from(*amount), unit);
        Ok(Some(format.of(row, 3)?.format(millis)))
    })
}

fn difference(setup: FunctionSetup<'_>) -> Built {
    if setup.arguments[0].ty == DataType::Long {
        return setup.by_row(|row| {
            let (first, second) = (row.needed::<Millis>(0)?, row.needed::<Millis>(1)?);
            Ok(Some(first.saturating_sub(*second) / DAY))
        });
    }
    let (mut first, mut second) =
        (Formats::new(setup.arguments, 2)?, Formats::new(setup.arguments, 3)?);
    setup.by_row(move |row| {
        let between = first.read(row, 0, 2)?.saturating_sub(second.read(row, 1, 3)?);
        Ok(Some(between / DAY))
    })
}

fn part(millis: Millis, unit: Unit) -> i32 {
    let date = Date::of(millis);
    let part = match unit {
        Unit::Year => date.year,
        Unit::Quarter => (date.month - 1) / 3 + 1,
        Unit::Month => date.month,
        Unit::Week => date.week(),
        Unit::Day => date.day,
        Unit::Hour => date.hour(),
        Unit::Minute => date.minute(),
        Unit::Second => date.second(),
    };
    part as i32
}

fn extract(setup: FunctionSetup<'_>) -> Built {
    let of_moment = setup.arguments[0].ty == DataType::Long;
    let locale = if of_moment { 2 } else { 3 };
    if let Some(name) = setup.constant_text(locale).filter(|name| !name.starts_with("en")) {
        let message = format!("the locale '{name}'");
        return Err(ArgumentFault { argument: Some(locale), message, not_supported: true });
    }
    if of_moment {
        let unit = unit(&setup, 1)?;
        return setup.by_row(move |row| -> Outcome<i32> {
            Ok(Some(part(*row.needed::<Millis>(0)?, unit)))
        });
    }
    let unit = unit(&setup, 0)?;
    let mut format = Formats::new(setup.arguments, 2)?;
    setup.by_row(move |row| Ok(Some(part(format.read(row, 1, 2)?, unit))))
}
