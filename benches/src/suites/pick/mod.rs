//! What one choice among endpoints costs, beside other balancers.

mod floors;
mod ours;
#[cfg(feature = "pingora")]
mod pingora;
mod theirs;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::frame::{Effort, Entry, Finding, Goal, Series, Suite, Table, callgrind, goals, interleave};

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Picks;

/// Endpoints to choose from.
const ENDPOINTS: [usize; 4] = [3, 16, 256, 4096];
const THREADS: [usize; 2] = [1, 2];

/// Instructions that our balancers may take among 16, and by how much more among 4,096.
const GOALS: [(&str, f64); 2] = [(ours::P2C, 150.0), (ours::EWMA, 400.0)];
const GROWTH: f64 = 1.2;
/// Picks whose instructions are counted.
const COUNTED: (u64, u64) = (4096, 16384);

/// Somebody who picks, as often as is asked; made for so many endpoints and threads. Returns the nanoseconds of each pick.
type Picker = Box<dyn FnMut(u64) -> Result<f64>>;
type Make = fn(usize, usize) -> Result<Picker>;

/// All who pick: ours are the first.
fn pickers() -> Vec<(&'static str, Make)> {
    let mut all: Vec<(&'static str, Make)> = Vec::new();
    all.extend(ours::PICKERS);
    all.extend(theirs::PICKERS);
    #[cfg(feature = "pingora")]
    all.extend(pingora::PICKERS);
    all.extend(floors::PICKERS);
    all
}

impl Suite for Picks {
    fn name(&self) -> &'static str {
        "pick"
    }

    fn title(&self) -> &'static str {
        "Choosing an endpoint"
    }

    fn run(&self, effort: &Effort) -> Result<Finding> {
        let names: Vec<&str> = pickers().iter().map(|(name, _)| *name).collect();
        let mut columns: Vec<(String, Vec<Series>)> = Vec::new();
        for endpoints in ENDPOINTS {
            for threads in THREADS {
                columns.push((
                    format!("{endpoints}, {threads}t"),
                    timed(endpoints, threads, effort)?,
                ));
            }
        }
        let mut table = Table::new(std::iter::once("").chain(columns.iter().map(|(name, _)| name.as_str())));
        for (row, name) in names.iter().enumerate() {
            let cells = columns
                .iter()
                .map(|(_, series)| format!("{:.1}", series[row].median()));
            table.row(std::iter::once((*name).to_owned()).chain(cells));
        }
        let mut text = format!(
            "Nanoseconds for each choice, by the number of endpoints and of threads that choose at once (t). Ours is what a \
             request pays within `acquire` for its balancer. tower's is `poll_ready`, `call` and the response of a service that \
             does nothing, since it chooses in `poll_ready`: on two threads each has a balancer of its own, as tower's must. \
             Its queue of ready services is part of it.\n\n{table}\n"
        );
        if !cfg!(feature = "pingora") {
            text += "pingora-load-balancing: **not measured** (built without `--features pingora`, which needs cmake).\n\n";
        }
        let mut reached = Vec::new();
        let counts = if callgrind::is_here() {
            let (table, counts) = counted(&mut reached)?;
            text += &format!("Instructions of ours (callgrind):\n\n{table}\n");
            counts
        } else {
            text += "Instructions: **not counted**, valgrind is not here.\n\n";
            reached.push(Goal::at_most("instructions", 0.0, f64::NAN));
            Value::Null
        };
        let (goal_table, goal_value) = goals(&reached);
        text += &format!("Goals:\n\n{goal_table}");
        let rows = names.iter().enumerate().map(|(row, name)| {
            let figures = columns.iter().map(|(case, series)| (case.clone(), json!(series[row].rounds())));
            json!({ "name": name.trim_matches('*'), "nanoseconds": figures.collect::<serde_json::Map<_, _>>() })
        });
        Ok(Finding {
            value: json!({ "rows": rows.collect::<Vec<_>>(), "instructions": counts, "goals": goal_value }),
            text,
            images: Vec::new(),
            met: reached.iter().all(Goal::met),
        })
    }

    fn case(&self, case: &str, operations: u64) -> Result<()> {
        let (endpoints, name) = case.split_once(':').context("a case is ENDPOINTS:BALANCER")?;
        let all = pickers();
        let (_, make) = all
            .iter()
            .find(|(own, _)| *own == name)
            .context("no such balancer")?;
        make(endpoints.parse()?, 1)?(operations).map(drop)
    }
}

/// All of them in turn.
fn timed(endpoints: usize, threads: usize, effort: &Effort) -> Result<Vec<Series>> {
    let failed = Rc::new(RefCell::new(None));
    let picks = if effort.quick { 2_000 } else { 20_000 };
    let mut entries = Vec::new();
    for (name, make) in pickers() {
        let mut picker =
            make(endpoints, threads).with_context(|| format!("{name}, {endpoints} endpoints"))?;
        let failed = Rc::clone(&failed);
        entries.push(Entry {
            name: name.to_owned(),
            measure: Box::new(move || {
                picker(picks).unwrap_or_else(|error| {
                    failed.borrow_mut().get_or_insert(error.context(name));
                    f64::NAN
                })
            }),
        });
    }
    let figures = interleave(&mut entries, effort.rounds);
    drop(entries);
    let failed = failed.borrow_mut().take();
    failed.map_or(Ok(figures), Err)
}

/// Instructions of our own, alone: a pool of thousands takes far longer to come up than to pick.
fn counted(reached: &mut Vec<Goal>) -> Result<(Table, Value)> {
    let sizes = [16, 4096];
    let mut table = Table::new(["", "16 endpoints", "4,096 endpoints"]);
    let mut values = serde_json::Map::new();
    for (name, _) in ours::PICKERS {
        let mut counts = Vec::new();
        for endpoints in sizes {
            let case = format!("{endpoints}:{name}");
            counts.push(callgrind::instructions(
                "pick",
                &case,
                COUNTED,
                Some(ours::COUNTED),
            )?);
        }
        table.row([
            name.to_owned(),
            format!("{:.0}", counts[0]),
            format!("{:.0}", counts[1]),
        ]);
        if let Some((_, most)) = GOALS.iter().find(|(own, _)| *own == name) {
            let plain = name.trim_matches('*');
            reached.push(Goal::at_most(
                format!("{plain}: instructions, 16 endpoints"),
                *most,
                counts[0],
            ));
            let growth = counts[1] / counts[0];
            reached.push(Goal::at_most(
                format!("{plain}: 4,096 endpoints by 16"),
                GROWTH,
                growth,
            ));
        }
        values.insert(name.trim_matches('*').to_owned(), json!(counts));
    }
    Ok((table, Value::Object(values)))
}

/// So many picks on each of the threads at once; the nanoseconds of each pick of a thread.
fn on_threads(threads: usize, picks: u64, pick: &Arc<dyn Fn() + Send + Sync>) -> Result<f64> {
    let begin = Arc::new(std::sync::Barrier::new(threads));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (begin, pick) = (Arc::clone(&begin), Arc::clone(pick));
            std::thread::spawn(move || {
                begin.wait();
                let begun = Instant::now();
                for _ in 0..picks {
                    pick();
                }
                begun.elapsed()
            })
        })
        .collect();
    let mut longest = Duration::ZERO;
    for worker in workers {
        let took = worker.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?;
        longest = longest.max(took);
    }
    Ok(longest.as_nanos() as f64 / picks as f64)
}
