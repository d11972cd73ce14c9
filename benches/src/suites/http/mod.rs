//! What a call through the pool costs, beside bare hyper connections that each belong to one task, and other clients.
//!
//! The server is a process of its own, so that the client's processor time can be told.

mod clients;
mod kind;
mod row;
mod server;
mod turn;
mod wire;

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use self::{
    clients::Client,
    kind::{Kind, Version, Who},
    server::Served,
    turn::{Until, turn},
};
use crate::frame::{
    Effort, Finding, Goal, Suite, Table, callgrind,
    digest::{Cell, Line, NOT_MEASURED},
    goals,
};

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Calls;

/// Tasks that call, each one call after the other.
const IN_FLIGHT: [u32; 3] = [1, 16, 128];
/// With fewer in flight there is no goal: the time is that of the network.
const GOALS_FROM: u32 = 16;
/// Calls a second, at least so many times those of bare hyper.
const RATE_GOAL: f64 = 0.9;
/// Processor time for each call, at most so many times that of bare hyper.
const CPU_GOAL: f64 = 1.15;
/// Each client works for so long in each round.
const TURN: Duration = Duration::from_millis(400);
/// Where instructions are counted, and calls of all tasks together.
const COUNTED_AT: u32 = 16;
const COUNTED: (u64, u64) = (1024, 4096);

impl Suite for Calls {
    fn name(&self) -> &'static str {
        "http"
    }

    fn title(&self) -> &'static str {
        "Calls over HTTP"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["hyper", "hyper-util", "reqwest", "alloy-transport-http", "tokio"]
    }

    fn digest(&self) -> Vec<Line> {
        let line = |what, unit, version, column: &str, above: &str| {
            let cell = |who| Cell::at(Kind { who, version }.name(), column).after(above);
            Line::new(what, unit, cell(Who::Ours))
                .beside("bare hyper", cell(Who::Hyper))
                .beside("reqwest", cell(Who::Reqwest))
                .beside("alloy", cell(Who::Alloy))
        };
        let (rate, counted) = ("calls/s", "instructions");
        vec![
            line(
                "calls over HTTP/1.1, 16 in flight",
                "a second",
                Version::One,
                rate,
                "16 in flight",
            ),
            line(
                "calls over HTTP/2, 16 in flight",
                "a second",
                Version::Two,
                rate,
                "16 in flight",
            ),
            line(
                "a call over HTTP/1.1",
                "instructions",
                Version::One,
                counted,
                "Instructions",
            ),
        ]
    }

    fn run(&self, effort: &Effort) -> Result<Finding> {
        let mut text = String::from(
            "One client thread; the server is a process of its own. Ratios are to bare hyper of the same HTTP version, round by \
             round; behind the median stand their least and greatest. Latencies are over all rounds, *CPU* is the client's for \
             each call.\n\n",
        );
        let (mut reached, mut values) = (Vec::new(), Vec::new());
        for in_flight in IN_FLIGHT {
            let rows = row::measured(in_flight, effort)?;
            text += &format!("{in_flight} in flight:\n\n{}\n", row::table(&rows));
            reached.extend(rows.iter().flat_map(|row| row.goals(&rows)));
            values.extend(rows.iter().map(row::Row::value));
        }
        let (table, counts) = counted(effort)?;
        text += &format!(
            "Instructions for each call with {COUNTED_AT} in flight (callgrind), those of this process alone: what the kernel does \
             for it, more than half of the processor time, is the same for all and missing here. So these ratios are higher.\
             \n\n{table}\n"
        );
        let (goal_table, goal_value) = goals(&reached);
        text += &format!("Goals:\n\n{goal_table}");
        Ok(Finding {
            text,
            value: json!({ "rows": values, "instructions": counts, "goals": goal_value }),
            images: Vec::new(),
            met: reached.iter().all(Goal::met),
        })
    }

    fn case(&self, case: &str, operations: u64) -> Result<()> {
        if case == server::CASE {
            return server::main();
        }
        let (in_flight, name) = case.split_once(':').context("a case is IN_FLIGHT:CLIENT")?;
        let in_flight: u32 = in_flight.parse()?;
        let mut all = Kind::all().into_iter();
        let kind = all
            .find(|kind| kind.name() == name)
            .context("there is no such client")?;
        let served = Served::start()?;
        let calls = usize::try_from(operations / u64::from(in_flight))?;
        runtime()?.block_on(async {
            let client = Client::new(kind, &served, in_flight).await?;
            turn(&client, in_flight, Until::Calls(calls)).await.map(drop)
        })
    }
}

/// The work is done by its one worker; whoever blocks on it only waits.
fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}

/// Instructions for each call, of every client; where valgrind is not here the table says that they were not measured.
fn counted(effort: &Effort) -> Result<(Table, Value)> {
    let (few, many) = COUNTED;
    let counted = if effort.quick {
        (few / 4, many / 4)
    } else {
        COUNTED
    };
    let is_here = callgrind::is_here();
    let mut counts: Vec<(Kind, f64)> = Vec::new();
    for kind in Kind::all() {
        let case = format!("{COUNTED_AT}:{}", kind.name());
        let count = is_here.then(|| callgrind::instructions("http", &case, counted));
        counts.push((kind, count.transpose()?.unwrap_or(f64::NAN)));
    }
    let mut table = Table::new(["", "instructions", "ratio"]);
    let mut values = serde_json::Map::new();
    for (kind, count) in &counts {
        let floor = counts.iter().find(|(other, _)| *other == kind.floor());
        let ratio = floor.map_or(f64::NAN, |(_, floor)| count / floor);
        let cell = |text: String| if is_here { text } else { NOT_MEASURED.to_owned() };
        table.row([
            kind.name(),
            cell(format!("{count:.0}")),
            cell(format!("{ratio:.2}")),
        ]);
        values.insert(kind.name().replace("**", ""), json!(count));
    }
    Ok((table, Value::Object(values)))
}
