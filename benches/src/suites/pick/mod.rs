//! What one choice among endpoints costs, beside other balancers.

mod floors;
mod ours;
#[cfg(feature = "pingora")]
mod pingora;
mod theirs;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::frame::{
    Effort, Entry, Finding, Goal, Series, Suite, Table, callgrind,
    digest::{Cell, Line, NOT_MEASURED},
    goals, interleave,
};

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
const COUNTED: u64 = 16_384;
/// Before, there are so many times fewer.
const FEWER: u64 = 4;

/// Somebody who picks, as often as is asked; made for so many endpoints and threads. Returns the nanoseconds of each pick.
type Picker = Box<dyn FnMut(u64) -> Result<f64>>;
type Make = fn(usize, usize) -> Result<Picker>;

/// All who pick from so many endpoints on so many threads: ours, who share a pool, are the first.
fn pickers(
    ours: &Rc<ours::Arena>,
    (endpoints, threads): (usize, usize),
) -> Result<Vec<(&'static str, Picker)>> {
    let mut others: Vec<(&'static str, Make)> = Vec::new();
    others.extend(theirs::PICKERS);
    #[cfg(feature = "pingora")]
    others.extend(pingora::PICKERS);
    others.extend(floors::PICKERS);
    let mut all = ours.pickers(threads);
    for (name, make) in others {
        let picker = make(endpoints, threads).with_context(|| format!("{name}, {endpoints} endpoints"))?;
        all.push((name, picker));
    }
    Ok(all)
}

impl Suite for Picks {
    fn name(&self) -> &'static str {
        "pick"
    }

    fn title(&self) -> &'static str {
        "Choosing an endpoint"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["tower", "pingora-load-balancing", "tokio"]
    }

    fn digest(&self) -> Vec<Line> {
        vec![
            Line::new(
                "choosing among 16 endpoints, P2C",
                "ns",
                Cell::at(ours::P2C, "16, 1t"),
            )
            .beside("tower", Cell::at(theirs::PENDING, "16, 1t")),
            Line::new(
                "choosing among 4,096, P2C by peak EWMA",
                "ns",
                Cell::at(ours::EWMA, "4096, 1t"),
            )
            .beside("tower", Cell::at(theirs::EWMA, "4096, 1t")),
            Line::new("... instructions", "", Cell::at(ours::EWMA, "4,096 endpoints")),
        ]
    }

    fn run(&self, effort: &Effort) -> Result<Finding> {
        let mut names = Vec::new();
        let mut columns: Vec<(String, Vec<Series>)> = Vec::new();
        for endpoints in ENDPOINTS {
            let ours = ours::Arena::new(endpoints)?;
            for threads in THREADS {
                let figures = timed(&ours, (endpoints, threads), effort)?;
                names = figures.iter().map(|(name, _)| *name).collect();
                let series = figures.into_iter().map(|(_, series)| series).collect();
                columns.push((format!("{endpoints}, {threads}t"), series));
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
        let (table, counts) = counted(&mut reached)?;
        text += &format!("Instructions of ours (callgrind):\n\n{table}\n");
        let (goal_table, goal_value) = goals(&reached);
        text += &format!("Goals:\n\n{goal_table}");
        let rows = names.iter().enumerate().map(|(row, name)| {
            let figures = columns.iter().map(|(case, series)| (case.clone(), json!(series[row].rounds())));
            json!({ "name": name.replace("**", ""), "nanoseconds": figures.collect::<serde_json::Map<_, _>>() })
        });
        Ok(Finding {
            value: json!({ "rows": rows.collect::<Vec<_>>(), "instructions": counts, "goals": goal_value }),
            text,
            images: Vec::new(),
            met: reached.iter().all(Goal::met),
        })
    }

    /// Each of ours in turn, in one pool: a part of so many picks, then all of them.
    fn case(&self, endpoints: &str, operations: u64) -> Result<()> {
        let endpoints = endpoints.parse().context("a case is a number of endpoints")?;
        for (_, mut picker) in ours::Arena::new(endpoints)?.pickers(1) {
            picker(operations / FEWER)?;
            picker(operations)?;
        }
        Ok(())
    }
}

/// All of them in turn.
fn timed(
    ours: &Rc<ours::Arena>,
    size: (usize, usize),
    effort: &Effort,
) -> Result<Vec<(&'static str, Series)>> {
    let failed = RefCell::new(None);
    let picks = if effort.quick { 2_000 } else { 20_000 };
    let (mut names, mut entries) = (Vec::new(), Vec::new());
    for (name, mut picker) in pickers(ours, size)? {
        let failed = &failed;
        names.push(name);
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
    let figures = names.into_iter().zip(figures).collect();
    failed.into_inner().map_or(Ok(figures), Err)
}

/// Instructions of our own; where valgrind is not here the goals are missed and the table says that nothing was measured. All
/// are counted in one run for each size, because under callgrind a pool of thousands takes far longer to come up than to pick.
fn counted(reached: &mut Vec<Goal>) -> Result<(Table, Value)> {
    let is_here = callgrind::is_here();
    let of = |endpoints| {
        let nothing = || vec![f64::NAN; ours::names().len()];
        let counts = is_here.then(|| instructions(endpoints)).transpose()?;
        anyhow::Ok(counts.unwrap_or_else(nothing))
    };
    let (few, many) = (of(16)?, of(4096)?);
    let mut table = Table::new(["", "16 endpoints", "4,096 endpoints"]);
    let mut values = serde_json::Map::new();
    for (name, (few, many)) in ours::names().into_iter().zip(few.into_iter().zip(many)) {
        let cell = |count: f64| {
            if is_here {
                format!("{count:.0}")
            } else {
                NOT_MEASURED.to_owned()
            }
        };
        table.row([name.to_owned(), cell(few), cell(many)]);
        let plain = name.replace("**", "");
        if let Some((_, most)) = GOALS.iter().find(|(own, _)| *own == name) {
            reached.push(Goal::at_most(
                format!("{plain}: instructions, 16 endpoints"),
                *most,
                few,
            ));
            reached.push(Goal::at_most(
                format!("{plain}: 4,096 endpoints by 16"),
                GROWTH,
                many / few,
            ));
        }
        values.insert(plain, json!([few, many]));
    }
    Ok((table, Value::Object(values)))
}

/// Instructions for each pick among so many endpoints, of each of ours.
fn instructions(endpoints: usize) -> Result<Vec<f64>> {
    let counts = callgrind::calls("pick", &endpoints.to_string(), COUNTED, &ours::COUNTED)?;
    let of = ours::names().len();
    ensure!(
        counts.len() == 2 * of,
        "callgrind saw {} picks of {}",
        counts.len(),
        2 * of
    );
    // twice each, so that what is not the picking does not count
    let pairs = counts.chunks_exact(2);
    let fewer = COUNTED - COUNTED / FEWER;
    Ok(pairs
        .map(|pair| (pair[1] as f64 - pair[0] as f64) / fewer as f64)
        .collect())
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
