//! `twinflow sql`: one SELECT over a store of a running node.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use crate::cli::client::Node;
use crate::cli::client::fail;
use crate::cli::client::say;

/// Beyond the statement's own time, for the way.
const GRACE: Duration = Duration::from_secs(10);

/// Ask a store by SQL: one SELECT, over a running node.
///
/// Whatever would write is refused. Ctrl-C ends the statement, too. The stores are those of the
/// node's settings, such as EVENT_STORE.
///
/// Exit status: 0 done, also where the answer was cut, which is said; 1 refused, too slow, or the
/// node does not answer.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// The store, by its name in the settings
    store: String,
    /// The statement
    sql: String,
    /// At most so many rows
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// At most so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    time: u64,
    /// How it is printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    node: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// A document a line: columns, rows, and how it ended
    Jsonl,
    /// With a line of names first
    Csv,
}

/// Asks, and prints the answer.
pub fn run(arguments: &Arguments) -> ExitCode {
    match ask(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            let limit = arguments.limit;
            eprintln!("there are more rows; `--limit` names more than {limit}, or LIMIT fewer");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// Says whether all rows were printed.
fn ask(arguments: &Arguments) -> Result<bool, String> {
    let form = if arguments.format == Format::Csv { "csv" } else { "jsonl" };
    let (limit, milliseconds) = (arguments.limit, arguments.time.saturating_mul(1_000));
    let path = format!("/api/v1/sql?limit={limit}&time={milliseconds}&format={form}");
    let wait = Duration::from_secs(arguments.time) + GRACE;
    let sql = [("store", arguments.store.as_str())];
    let mut answer = arguments.node.ask(&path, &sql, &arguments.sql, wait)?;
    let complete = answer.headers().get("twinflow-complete");
    let complete = complete.is_none_or(|complete| complete == "true");
    let mut lines = BufReader::new(answer.body_mut().as_reader());
    if arguments.format == Format::Csv {
        let copied = std::io::copy(&mut lines, &mut std::io::stdout().lock());
        return copied.map(|_| complete).map_err(|error| format!("the answer broke off: {error}"));
    }
    let mut table = Table::default();
    let mut line = String::new();
    loop {
        line.clear();
        let read = lines.read_line(&mut line);
        if read.map_err(|error| format!("the answer broke off: {error}"))? == 0 {
            return Err("the answer broke off".to_owned());
        }
        let said: Value = match line.trim() {
            // The node is still at it.
            "" => continue,
            text => serde_json::from_str(text).map_err(|error| format!("`{text}`: {error}"))?,
        };
        if let Some(error) = said["error"]["detail"].as_str() {
            return Err(error.to_owned());
        }
        match (arguments.format, said["complete"].as_bool()) {
            (Format::Table, None) => table.take(&said),
            (Format::Table, Some(complete)) => {
                say(&table.print());
                return Ok(complete);
            }
            (_, None) => say(&line),
            (_, Some(complete)) => {
                say(&line);
                let _ = std::io::stdout().flush();
                return Ok(complete);
            }
        }
    }
}

/// An answer for people: columns as wide as what stands in them, numbers to the right.
#[derive(Debug, Default)]
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug)]
struct Cell {
    text: String,
    is_number: bool,
}

impl Table {
    fn take(&mut self, said: &Value) {
        if let Some(columns) = said["columns"].as_array() {
            let name = |column: &Value| column["name"].as_str().unwrap_or_default().to_owned();
            self.names = columns.iter().map(name).collect();
        }
        if let Some(row) = said.as_array() {
            self.rows.push(row.iter().map(Cell::of).collect());
        }
    }

    fn print(&self) -> String {
        let width = |(index, name): (usize, &String)| {
            let cells = self.rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| cell.text.chars().count()).max();
            widest.unwrap_or(0).max(name.chars().count())
        };
        let widths: Vec<usize> = self.names.iter().enumerate().map(width).collect();
        let mut out = String::new();
        let mut line = |cells: Vec<String>| {
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        };
        let pad = |(name, &width): (&String, &usize)| format!("{name:<width$}");
        line(self.names.iter().zip(&widths).map(pad).collect());
        line(widths.iter().map(|&width| "-".repeat(width)).collect());
        for row in &self.rows {
            let pad = |(cell, &width): (&Cell, &usize)| match cell.is_number {
                true => format!("{:>width$}", cell.text),
                false => format!("{:<width$}", cell.text),
            };
            line(row.iter().zip(&widths).map(pad).collect());
        }
        let rows = self.rows.len();
        out.push_str(&format!("({rows} row{})\n", if rows == 1 { "" } else { "s" }));
        out
    }
}

impl Cell {
    fn of(value: &Value) -> Cell {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => text.replace(['\n', '\r', '\t'], " "),
            other => other.to_string(),
        };
        Cell { text, is_number: value.is_number() }
    }
}
