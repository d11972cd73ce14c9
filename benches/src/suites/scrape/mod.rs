//! What a scrape costs, and what it does to the requests beside it.

mod beside;

use std::{
    cell::RefCell,
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::meters::{self, Meter, Side};
use crate::frame::{
    Effort, Entry, Finding, Goal, Series, Suite, Table, callgrind,
    digest::{Cell, Line},
    goals, interleave,
};

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Scrapes;

/// Endpoints that are scraped.
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Those that are enough to see that it works.
const FEW: usize = 100;
/// From here on a scrape takes so long that rounds are few.
const MANY: usize = 10_000;
const ROUNDS_OF_MANY: u32 = 3;
/// What a line may cost at the most, in microseconds.
const MOST_MICROSECONDS: f64 = 1.6;
/// Endpoints of the scrape whose instructions are counted, and how often.
const COUNTED_SIZE: usize = 100;
const COUNTED: (u64, u64) = (2, 4);

/// Who is compared: bound or not, opentelemetry shows the same.
fn sides() -> impl Iterator<Item = Side> + Clone {
    Side::ALL
        .into_iter()
        .filter(|side| *side != Side::OpenTelemetryBound)
}

impl Suite for Scrapes {
    fn name(&self) -> &'static str {
        "scrape"
    }

    fn title(&self) -> &'static str {
        "Scraping"
    }

    fn packages(&self) -> &'static [&'static str] {
        meters::PEERS
    }

    fn digest(&self) -> Vec<Line> {
        let cell = |side| Cell::at(name(side), "1000");
        let line = Line::new(
            "a scrape of 1,000 endpoints; each of its lines",
            "",
            cell(Side::Ours),
        );
        vec![
            line.beside("opentelemetry-prometheus", cell(Side::OpenTelemetry))
                .beside("prometheus-client", cell(Side::PrometheusClient)),
        ]
    }

    fn run(&self, effort: &Effort) -> Result<Finding> {
        let mut reached = Vec::new();
        let mut text = String::new();
        let mut value = serde_json::Map::new();
        let sizes = SIZES
            .into_iter()
            .filter(|size| effort.wants(&size.to_string()) && (!effort.quick || *size <= FEW));
        let columns: Vec<Column> = sizes.map(|size| column(size, effort)).collect::<Result<_>>()?;
        for column in &columns {
            reached.push(Goal::at_most(
                format!("{} endpoints: µs a line", column.size),
                MOST_MICROSECONDS,
                column.each(Side::Ours),
            ));
        }
        text += &format!(
            "A whole scrape by number of endpoints, and one of its lines; behind them the ratio of \
             the times to ours.\n\n{}\n",
            times(&columns)
        );
        value.insert("times".to_owned(), columns.iter().map(Column::value).collect());
        if effort.wants("instructions") {
            let counts = callgrind::is_here().then(counted).transpose()?;
            text += &match &counts {
                Some(counts) => format!(
                    "Instructions (callgrind) of a line at {COUNTED_SIZE} endpoints:\n\n{}\n",
                    instructions(counts)
                ),
                None => "Instructions: **not counted**, valgrind is not here.\n\n".to_owned(),
            };
            value.insert("instructions".to_owned(), json!(counts));
        }
        if effort.wants("beside") {
            let beside = beside::measure(effort)?;
            reached.push(beside.goal());
            text += &beside.text();
            value.insert("beside".to_owned(), beside.value());
        }
        let (table, goal_value) = goals(&reached);
        text += &format!("Goals:\n\n{table}");
        value.insert("goals".to_owned(), goal_value);
        Ok(Finding {
            text,
            value: Value::Object(value),
            images: Vec::new(),
            met: reached.iter().all(Goal::met),
        })
    }

    fn case(&self, case: &str, operations: u64) -> Result<()> {
        let meter = filled(Side::of(case)?, COUNTED_SIZE)?;
        for _ in 0..operations {
            black_box(meter.scrape()?);
        }
        Ok(())
    }
}

/// What it is called here, where it makes no difference how it was recorded.
const fn name(side: Side) -> &'static str {
    match side {
        Side::OpenTelemetry => "opentelemetry and its exporter",
        side => side.name(),
    }
}

/// So many endpoints that have been used.
fn filled(side: Side, endpoints: usize) -> Result<Meter> {
    let meter = side.meter(endpoints)?;
    for (at, record) in (0_u64..).zip(&meter.records) {
        for step in 0..10 {
            record(Duration::from_micros((at * 997 + step * 7919) % 900_000));
        }
    }
    Ok(meter)
}

/// Lines with a value.
fn lines(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

/// One size, for every side.
struct Column {
    size: usize,
    /// Milliseconds, and lines.
    rows: Vec<(Side, Series, usize)>,
}

impl Column {
    fn of(&self, side: Side) -> Option<&(Side, Series, usize)> {
        self.rows.iter().find(|(own, ..)| *own == side)
    }

    /// Microseconds of a line.
    fn each(&self, side: Side) -> f64 {
        self.of(side)
            .map_or(f64::NAN, |(_, time, lines)| time.median() * 1e3 / *lines as f64)
    }

    fn cell(&self, side: Side) -> String {
        let (Some((_, time, _)), Some((_, ours, _))) = (self.of(side), self.of(Side::Ours)) else {
            return "-".to_owned();
        };
        let ratio = time.ratio_to(ours);
        let (least, greatest) = ratio.spread();
        format!(
            "{:.2} ms, {:.2} µs ({:.2}; {least:.2}-{greatest:.2})",
            time.median(),
            self.each(side),
            ratio.median()
        )
    }

    fn value(&self) -> Value {
        let rows = self.rows.iter().map(|(side, time, lines)| {
            json!({ "side": side.name().trim_matches('*'), "lines": lines, "milliseconds": time.rounds() })
        });
        json!({ "endpoints": self.size, "rows": rows.collect::<Vec<_>>() })
    }
}

fn column(size: usize, effort: &Effort) -> Result<Column> {
    let rounds = if size >= MANY {
        effort.rounds.min(ROUNDS_OF_MANY)
    } else {
        effort.rounds
    };
    let failed = RefCell::new(None);
    let meters: Vec<Meter> = sides().map(|side| filled(side, size)).collect::<Result<_>>()?;
    let mut entries: Vec<_> = sides()
        .zip(&meters)
        .map(|(side, meter)| Entry {
            name: side.name().to_owned(),
            measure: Box::new(|| {
                let begun = Instant::now();
                match meter.scrape() {
                    Ok(text) => {
                        let took = begun.elapsed();
                        drop(black_box(text));
                        took.as_secs_f64() * 1e3
                    }
                    Err(error) => {
                        failed.borrow_mut().get_or_insert(error);
                        f64::NAN
                    }
                }
            }),
        })
        .collect();
    let figures = interleave(&mut entries, rounds);
    drop(entries);
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    let rows = sides().zip(figures).zip(&meters).map(|((side, time), meter)| {
        let lines = lines(&meter.scrape()?);
        Ok((side, time, lines))
    });
    Ok(Column {
        size,
        rows: rows.collect::<Result<_>>()?,
    })
}

fn times(columns: &[Column]) -> Table {
    let head = columns.iter().map(|column| {
        let lines = column.of(Side::Ours).map_or(0, |(.., lines)| *lines);
        format!("{} ({lines} lines)", column.size)
    });
    let mut table = Table::new(std::iter::once(String::new()).chain(head));
    for side in sides() {
        let cells = columns.iter().map(|column| column.cell(side));
        table.row(std::iter::once(name(side).to_owned()).chain(cells));
    }
    table
}

/// Instructions of a line.
fn counted() -> Result<Vec<f64>> {
    let of = |side: Side| {
        let lines = lines(&filled(side, COUNTED_SIZE)?.scrape()?);
        let all = callgrind::instructions("scrape", side.case(), COUNTED).context(side.name())?;
        Ok(all / lines as f64)
    };
    sides().map(of).collect()
}

fn instructions(counts: &[f64]) -> Table {
    let mut table = Table::new(["", "instructions"]);
    for (side, count) in sides().zip(counts) {
        table.row([name(side).to_owned(), format!("{count:.0}")]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_with_a_value() {
        assert_eq!(
            lines("# HELP a b\n# TYPE a counter\na 1\na{b=\"c\"} 2\n# EOF\n"),
            2
        );
    }

    #[test]
    fn a_line_costs_its_part_of_the_scrape() {
        let column = Column {
            size: 10,
            rows: vec![(Side::Ours, Series::new([1.0, 2.0, 3.0]), 1_000)],
        };
        assert_eq!(column.each(Side::Ours), 2.0);
        assert!(column.each(Side::Prometheus).is_nan());
    }
}
