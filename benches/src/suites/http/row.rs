//! All clients in turn, and what came of each.

use std::{cell::RefCell, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    CPU_GOAL, GOALS_FROM, RATE_GOAL, TURN,
    clients::Client,
    kind::{Kind, Who},
    runtime,
    server::Served,
    turn::{Turn, Until, turn},
};
use crate::frame::{Effort, Entry, Goal, Series, Table, interleave};

/// What came of one client.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) kind: Kind,
    in_flight: u32,
    /// Calls a second, round by round.
    rate: Series,
    /// Microseconds of processor time for each call, round by round.
    cpu: Series,
    /// What calls took, of all rounds, the shortest first.
    took: Vec<Duration>,
    /// Connections that it opened in all, those for health checks aside.
    opened: u64,
}

/// All clients in turn, with so many calls in flight. Each has a server of its own.
pub(super) fn measured(in_flight: u32, effort: &Effort) -> Result<Vec<Row>> {
    let runtime = runtime()?;
    let time = if effort.quick { TURN / 8 } else { TURN };
    let mut sides = Vec::new();
    for kind in Kind::all() {
        let served = Served::start()?;
        let client = runtime
            .block_on(Client::new(kind, &served, in_flight))
            .with_context(|| kind.name())?;
        sides.push((kind, served, client));
    }
    let failed = RefCell::new(None);
    let turns: Vec<RefCell<Vec<Turn>>> = sides.iter().map(|_| RefCell::default()).collect();
    let mut entries = Vec::new();
    for ((kind, _, client), turns) in sides.iter().zip(&turns) {
        let (runtime, failed) = (&runtime, &failed);
        let measure = move || match runtime.block_on(turn(client, in_flight, Until::Over(time))) {
            Ok(turn) => {
                let rate = turn.rate;
                turns.borrow_mut().push(turn);
                rate
            }
            Err(error) => {
                failed.borrow_mut().get_or_insert(error.context(kind.name()));
                f64::NAN
            }
        };
        entries.push(Entry {
            name: kind.name(),
            measure: Box::new(measure),
        });
    }
    let rates = interleave(&mut entries, effort.rounds);
    drop(entries);
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    let mut rows = Vec::new();
    for (((kind, served, client), turns), rate) in sides.into_iter().zip(turns).zip(rates) {
        // the first one was the warm-up
        let turns: Vec<Turn> = turns.into_inner().into_iter().skip(1).collect();
        let mut took: Vec<Duration> = turns.iter().flat_map(|turn| &turn.took).copied().collect();
        took.sort_unstable();
        rows.push(Row {
            kind,
            in_flight,
            rate,
            cpu: Series::new(turns.iter().map(|turn| turn.cpu)),
            took,
            opened: served.opened()?.saturating_sub(client.for_checks()),
        });
    }
    Ok(rows)
}

/// Clients below each other.
pub(super) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "",
        "calls/s",
        "p50 µs",
        "p99 µs",
        "CPU µs",
        "connections",
        "at most",
    ]);
    for row in rows {
        let floor = row.floor(rows);
        table.row([
            row.kind.name(),
            cell(&row.rate, floor.map(|floor| &floor.rate), 0),
            format!("{:.0}", row.quantile(0.5)),
            format!("{:.0}", row.quantile(0.99)),
            cell(&row.cpu, floor.map(|floor| &floor.cpu), 1),
            row.opened.to_string(),
            row.limit()
                .map_or("no limit".to_owned(), |limit| limit.to_string()),
        ]);
    }
    table
}

fn cell(series: &Series, floor: Option<&Series>, digits: usize) -> String {
    let ratios = floor.map_or_else(Series::default, |floor| series.ratio_to(floor));
    let (least, greatest) = ratios.spread();
    format!(
        "{:.digits$} ({:.2}; {least:.2}-{greatest:.2})",
        series.median(),
        ratios.median()
    )
}

impl Row {
    fn floor<'a>(&self, rows: &'a [Self]) -> Option<&'a Self> {
        rows.iter().find(|row| row.kind == self.kind.floor())
    }

    fn limit(&self) -> Option<u32> {
        self.kind.limit(self.in_flight)
    }

    /// In microseconds.
    fn quantile(&self, share: f64) -> f64 {
        let at = (self.took.len() as f64 * share) as usize;
        let took = self.took.get(at).or(self.took.last());
        took.map_or(f64::NAN, |took| took.as_secs_f64() * 1e6)
    }

    /// What ours is held to.
    pub(super) fn goals(&self, rows: &[Self]) -> Vec<Goal> {
        let what = format!(
            "{}, {} in flight",
            self.kind.name().replace("**", ""),
            self.in_flight
        );
        let mut goals = Vec::new();
        if self.kind.who != Who::Ours {
            return goals;
        }
        if let Some(limit) = self.limit() {
            goals.push(Goal::at_most(
                format!("{what}: connections"),
                f64::from(limit),
                self.opened as f64,
            ));
        }
        if self.in_flight >= GOALS_FROM {
            let ratio = |of: fn(&Self) -> &Series| {
                let floor = self.floor(rows);
                floor.map_or(f64::NAN, |floor| of(self).ratio_to(of(floor)).median())
            };
            goals.push(Goal::at_least(
                format!("{what}: calls/s by bare hyper's"),
                RATE_GOAL,
                ratio(|row| &row.rate),
            ));
            goals.push(Goal::at_most(
                format!("{what}: CPU by bare hyper's"),
                CPU_GOAL,
                ratio(|row| &row.cpu),
            ));
        }
        goals
    }

    /// For programs.
    pub(super) fn value(&self) -> Value {
        json!({
            "client": self.kind.name().replace("**", ""),
            "in_flight": self.in_flight,
            "calls_per_second": self.rate.rounds(),
            "cpu_us": self.cpu.rounds(),
            "p50_us": self.quantile(0.5),
            "p99_us": self.quantile(0.99),
            "connections": self.opened,
            "limit": self.limit(),
        })
    }
}
