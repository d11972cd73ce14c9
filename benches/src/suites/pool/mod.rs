//! What acquiring costs, and whether all who wait get their turn, beside other pools.

mod cases;
mod sides;
mod work;

use anyhow::{Context, Result, bail};
use serde_json::json;

use self::cases::{Column, Work};
use crate::frame::{
    Effort, Finding, Goal, Suite, Table, callgrind,
    digest::{Cell, Line},
    goals,
};
use sides::{OURS, YARDSTICK};

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Pools;

/// Tasks on [`sides::SLOTS`] connections.
const CROWDS: [usize; 4] = [16, 64, 256, 1024];
/// Those whose turns are counted on one thread.
const FAIR: [usize; 2] = [64, 1024];

/// What the yardstick's figures may be multiplied with at the most, and by how much the busiest may be ahead.
const MOST_INSTRUCTIONS: f64 = 1.25;
const MOST_TIME: f64 = 1.0;
const MOST_SPREAD: f64 = 1.1;
const MOST_UNFAIR: f64 = 1.3;

impl Suite for Pools {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn title(&self) -> &'static str {
        "Acquire and release"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["deadpool", "bb8", "mobc", "fast_pool", "tokio"]
    }

    fn digest(&self) -> Vec<Line> {
        let all = |what, column: &str| {
            Line::new(what, "ns", Cell::at(OURS, column))
                .beside("deadpool with a wait time-out", Cell::at(YARDSTICK, column))
                .beside("bb8", Cell::at("bb8", column))
        };
        vec![
            all("acquire and release, one caller", "one caller"),
            all("... 1,024 tasks on 16 connections, one thread", "1024 on 1"),
            all("... the same on two threads", "1024 on 2"),
        ]
    }

    fn run(&self, effort: &Effort) -> Result<Finding> {
        let mut columns = cases::single(effort)?;
        let mut reached = Vec::new();
        let mut spreads = Vec::new();
        for threads in [1, 2] {
            for tasks in CROWDS {
                let (time, spread) = cases::crowd(threads, tasks, effort)?;
                if tasks >= 256 {
                    let what = format!("{tasks} tasks, {threads} thread(s)");
                    reached.push(Goal::at_most(
                        format!("{what}: time"),
                        MOST_TIME,
                        time.ratio(OURS),
                    ));
                    reached.push(Goal::at_most(
                        format!("{what}: p99/p50 of the wait"),
                        MOST_SPREAD,
                        spread.ratio(OURS),
                    ));
                }
                columns.push(time);
                spreads.push(spread);
            }
        }
        let mut fair = Vec::new();
        for tasks in FAIR {
            let column = cases::fairness(tasks, effort)?;
            let what = format!("{tasks} tasks, 1 thread: most by fewest operations of a task");
            reached.push(Goal::at_most(what, MOST_UNFAIR, column.worst(OURS)));
            fair.push(column);
        }
        let storms = cases::storms(effort)?;
        let counts = counted(&mut reached)?;

        let (goal_table, goal_value) = goals(&reached);
        let mut text = format!(
            "Each pool has {} connections that cost nothing. Ratios are to \"{YARDSTICK}\", round by round; behind the \
             median stand their least and greatest.\n\nNanoseconds for each acquire and release; *cancelled* is a caller who \
             joins the line and goes away.\n\n{}\n",
            sides::SLOTS,
            table(&columns, 0)
        );
        text += &format!(
            "99th percentile of the wait by its median:\n\n{}\n",
            table(&spreads, 1)
        );
        text += &format!(
            "Operations of the busiest task by those of the idlest, all on one thread (a task that got none counts as one):\
             \n\n{}\n",
            table(&fair, 2)
        );
        text += &format!(
            "A storm: 256 tasks hold a connection for 1 ms each, every other one gives up after waiting for 1 ms. *left* is how \
             many of the {} connections can be had afterwards.\n\n{}\n",
            sides::SLOTS,
            storms.0
        );
        text += &match &counts {
            Some(counts) => format!("Instructions (callgrind):\n\n{}\n", table(counts, 0)),
            None => "Instructions: **not counted**, valgrind is not here.\n\n".to_owned(),
        };
        text += &format!("Goals:\n\n{goal_table}");
        let all = columns
            .iter()
            .chain(&spreads)
            .chain(&fair)
            .chain(counts.iter().flatten());
        let value = json!({
            "columns": all.map(Column::value).collect::<Vec<_>>(),
            "storms": storms.1,
            "goals": goal_value,
        });
        Ok(Finding {
            text,
            value,
            images: Vec::new(),
            met: reached.iter().all(Goal::met),
        })
    }

    fn case(&self, case: &str, operations: u64) -> Result<()> {
        let (work, name) = case.split_once(':').context("a case is WORK:POOL")?;
        let work = match work {
            "get" => Work::Get,
            "cancel" => Work::Cancel,
            other => bail!("{other} is no work of this suite"),
        };
        cases::alone(work, name, operations)
    }
}

/// Instructions, where they can be counted; else the goals are missed.
fn counted(reached: &mut Vec<Goal>) -> Result<Option<Vec<Column>>> {
    let counts = callgrind::is_here().then(cases::counts).transpose()?;
    let names = [
        "acquire and release, 3 endpoints: instructions",
        "cancelled waiter: instructions",
    ];
    for (at, (what, most)) in names.into_iter().zip([MOST_INSTRUCTIONS, MOST_TIME]).enumerate() {
        let got = counts.as_ref().map_or(f64::NAN, |counts| counts[at].ratio(OURS));
        reached.push(Goal::at_most(what, most, got));
    }
    Ok(counts)
}

/// Pools below each other, columns beside each other.
fn table(columns: &[Column], digits: usize) -> Table {
    let head = columns.iter().map(|column| column.name.clone());
    let mut table = Table::new(std::iter::once(String::new()).chain(head));
    for name in columns.first().into_iter().flat_map(Column::names) {
        let cells = columns.iter().map(|column| column.cell(name, digits));
        table.row(std::iter::once(name.to_owned()).chain(cells));
    }
    table
}
