//! The cases: one kind of work, given to every pool in turn.

use std::{cell::RefCell, time::Duration};

use anyhow::{Context, Error, Result};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::{
    sides::{All, Side, Visit, YARDSTICK},
    work::{self, Storm},
};
use crate::frame::{Effort, Entry, Series, Table, callgrind, interleave};

/// Endpoints of our pool where it has to choose.
const CHOICE: usize = 3;
/// So short that in most turns the system takes no core away: else p99 is its slice of time. So there are many.
const CROWD_FOR: Duration = Duration::from_millis(25);
const CROWD_TURNS: u32 = 5;
/// Operations whose instructions are counted.
const COUNTED: (u64, u64) = (4096, 16384);

/// One measure of every pool.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    rows: Vec<(&'static str, Series)>,
}

impl Column {
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.rows.iter().map(|(name, _)| *name)
    }

    fn of(&self, name: &str) -> Option<&Series> {
        self.rows
            .iter()
            .find(|(own, _)| *own == name)
            .map(|(_, series)| series)
    }

    fn ratios(&self, name: &str) -> Option<Series> {
        Some(self.of(name)?.ratio_to(self.of(YARDSTICK)?))
    }

    /// The median of the ratios to the yardstick.
    pub(super) fn ratio(&self, name: &str) -> f64 {
        self.ratios(name).map_or(f64::NAN, |ratios| ratios.median())
    }

    /// The greatest of all rounds.
    pub(super) fn worst(&self, name: &str) -> f64 {
        self.of(name).map_or(f64::NAN, |series| series.spread().1)
    }

    pub(super) fn cell(&self, name: &str, digits: usize) -> String {
        let (Some(series), Some(ratios)) = (self.of(name), self.ratios(name)) else {
            return "-".to_owned();
        };
        let ((least, greatest), median) = (ratios.spread(), series.median());
        if series.rounds().len() == 1 {
            return format!("{median:.digits$} ({least:.2})");
        }
        format!(
            "{median:.digits$} ({:.2}; {least:.2}-{greatest:.2})",
            ratios.median()
        )
    }

    pub(super) fn value(&self) -> Value {
        let rows = self.rows.iter().map(|(name, series)| {
            json!({ "pool": name.trim_matches('*'), "rounds": series.rounds(), "ratio": self.ratio(name) })
        });
        json!({ "measure": self.name, "rows": rows.collect::<Vec<_>>() })
    }
}

fn runtime(threads: usize) -> Result<Runtime> {
    let mut builder = if threads == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    Ok(builder.worker_threads(threads).enable_all().build()?)
}

/// What to do with whichever pool.
trait Task {
    type Out;

    fn work<S: Side>(&self, side: &S) -> Result<Self::Out>;
}

/// Makes entries of a task; what fails is kept, and counts as no figure.
struct Entries<'a, T: Task> {
    task: &'a T,
    failed: &'a RefCell<Option<Error>>,
    /// Everything that came out, by pool.
    seen: &'a RefCell<Vec<(&'static str, T::Out)>>,
    figure: fn(&T::Out) -> f64,
    entries: Vec<Entry<'a>>,
    names: Vec<&'static str>,
}

impl<'a, T: Task> Visit<'a> for Entries<'a, T> {
    fn visit<S: Side>(&mut self, name: &'static str, side: &'a S) {
        let (task, failed, seen, figure) = (self.task, self.failed, self.seen, self.figure);
        self.names.push(name);
        self.entries.push(Entry {
            name: name.to_owned(),
            measure: Box::new(move || match task.work(side) {
                Ok(out) => {
                    let value = figure(&out);
                    seen.borrow_mut().push((name, out));
                    value
                }
                Err(error) => {
                    failed.borrow_mut().get_or_insert(error.context(name));
                    f64::NAN
                }
            }),
        });
    }
}

/// Gives the task to all pools in turn. Returns the figures, and all that came out after the warm-up.
#[expect(clippy::type_complexity, reason = "two lists by pool")]
fn compare<T: Task>(
    all: &All,
    task: &T,
    figure: fn(&T::Out) -> f64,
    rounds: u32,
) -> Result<(Vec<(&'static str, Series)>, Vec<(&'static str, T::Out)>)> {
    let (failed, seen) = (RefCell::new(None), RefCell::new(Vec::new()));
    let mut entries = Entries {
        task,
        failed: &failed,
        seen: &seen,
        figure,
        entries: Vec::new(),
        names: Vec::new(),
    };
    all.each(&mut entries);
    let figures = interleave(&mut entries.entries, rounds);
    let names = std::mem::take(&mut entries.names);
    drop(entries);
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    let warm_up = names.len();
    let seen = seen.into_inner().into_iter().skip(warm_up).collect();
    Ok((names.into_iter().zip(figures).collect(), seen))
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Work {
    Get,
    Cancel,
}

impl Work {
    fn endpoints(self) -> usize {
        match self {
            Self::Get => CHOICE,
            Self::Cancel => 1,
        }
    }
}

struct Single<'a> {
    runtime: &'a Runtime,
    work: Work,
    operations: u64,
}

impl Task for Single<'_> {
    type Out = f64;

    fn work<S: Side>(&self, side: &S) -> Result<f64> {
        let operations = self.operations;
        self.runtime.block_on(async {
            match self.work {
                Work::Get => work::timed(operations, work::uncontended(side, operations)).await,
                Work::Cancel => work::timed(operations, work::cancelled(side, operations)).await,
            }
        })
    }
}

/// One caller at a time.
pub(super) fn single(effort: &Effort) -> Result<Vec<Column>> {
    let runtime = runtime(1)?;
    let operations = if effort.quick { 5_000 } else { 50_000 };
    let mut columns = Vec::new();
    for (work, name) in [(Work::Get, "one caller"), (Work::Cancel, "cancelled")] {
        let all = runtime.block_on(All::new(work.endpoints()))?;
        let task = Single {
            runtime: &runtime,
            work,
            operations,
        };
        let (rows, _) = compare(&all, &task, |nanos| *nanos, effort.rounds)?;
        columns.push(Column {
            name: name.to_owned(),
            rows,
        });
    }
    Ok(columns)
}

struct Crowd<'a> {
    runtime: &'a Runtime,
    tasks: usize,
    time: Duration,
}

impl Task for Crowd<'_> {
    type Out = work::Crowd;

    fn work<S: Side>(&self, side: &S) -> Result<work::Crowd> {
        let (side, tasks, time) = (side.clone(), self.tasks, self.time);
        // in a task of its own, so that it has the same standing as the workers
        let crowd = self
            .runtime
            .spawn(async move { work::crowd(&side, tasks, time).await });
        self.runtime.block_on(crowd)?
    }
}

/// So many tasks on so many threads: nanoseconds for each operation, and the spread of the waits.
pub(super) fn crowd(threads: usize, tasks: usize, effort: &Effort) -> Result<(Column, Column)> {
    let runtime = runtime(threads)?;
    let all = runtime.block_on(All::new(1))?;
    let task = Crowd {
        runtime: &runtime,
        tasks,
        time: CROWD_FOR,
    };
    let (rows, seen) = compare(&all, &task, |crowd| crowd.nanos, effort.rounds * CROWD_TURNS)?;
    let spreads = rows.iter().map(|(name, _)| {
        let own = seen.iter().filter(|(pool, _)| pool == name);
        (*name, Series::new(own.map(|(_, crowd)| crowd.spread)))
    });
    let spreads = spreads.collect();
    let name = format!("{tasks} on {threads}");
    Ok((
        Column {
            name: name.clone(),
            rows,
        },
        Column { name, rows: spreads },
    ))
}

/// Whether all get their turn as often, on one thread.
pub(super) fn fairness(tasks: usize, effort: &Effort) -> Result<Column> {
    let runtime = runtime(1)?;
    let all = runtime.block_on(All::new(1))?;
    let task = Crowd {
        runtime: &runtime,
        tasks,
        time: Duration::from_millis(if effort.quick { 200 } else { 2_000 }),
    };
    let (rows, _) = compare(&all, &task, |crowd| crowd.unfairness, effort.rounds.min(3))?;
    Ok(Column {
        name: format!("{tasks} tasks"),
        rows,
    })
}

struct Storms<'a> {
    runtime: &'a Runtime,
    time: Duration,
}

impl Task for Storms<'_> {
    type Out = Storm;

    fn work<S: Side>(&self, side: &S) -> Result<Storm> {
        self.runtime.block_on(work::storm(side, self.time))
    }
}

/// Callers who go away while they wait.
pub(super) fn storms(effort: &Effort) -> Result<(Table, Value)> {
    let runtime = runtime(2)?;
    let all = runtime.block_on(All::new(1))?;
    let task = Storms {
        runtime: &runtime,
        time: Duration::from_millis(if effort.quick { 100 } else { 400 }),
    };
    let (rows, seen) = compare(&all, &task, |storm| storm.served, effort.rounds)?;
    let mut table = Table::new(["", "served/s", "of the impatient went away", "left"]);
    let mut values = Vec::new();
    for (name, served) in &rows {
        let own = || {
            seen.iter()
                .filter(|(pool, _)| pool == name)
                .map(|(_, storm)| storm)
        };
        let gone = Series::new(own().map(|storm| storm.gone)).median();
        let left = own().map(|storm| storm.left).min().unwrap_or_default();
        table.row([
            (*name).to_owned(),
            format!("{:.0}", served.median()),
            format!("{:.0} %", gone * 100.0),
            left.to_string(),
        ]);
        values.push(json!({
            "pool": name.trim_matches('*'), "served": served.rounds(), "gone": gone, "left": left,
        }));
    }
    Ok((table, Value::Array(values)))
}

struct Named<'a, T: Task> {
    name: &'a str,
    task: &'a T,
    out: Option<Result<T::Out>>,
}

impl<'a, T: Task> Visit<'a> for Named<'_, T> {
    fn visit<S: Side>(&mut self, name: &'static str, side: &'a S) {
        if name == self.name {
            self.out = Some(self.task.work(side));
        }
    }
}

/// One pool alone, for a program that counts.
pub(super) fn alone(work: Work, name: &str, operations: u64) -> Result<()> {
    let runtime = runtime(1)?;
    let all = runtime.block_on(All::new(work.endpoints()))?;
    let task = Single {
        runtime: &runtime,
        work,
        operations,
    };
    let mut named = Named {
        name,
        task: &task,
        out: None,
    };
    all.each(&mut named);
    named
        .out
        .with_context(|| format!("no pool is called {name}"))?
        .map(drop)
}

/// Instructions of both kinds of work for all pools.
pub(super) fn counts() -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for (word, name) in [("get", "one caller"), ("cancel", "cancelled")] {
        let mut names = Names(Vec::new());
        let runtime = runtime(1)?;
        let all = runtime.block_on(All::new(1))?;
        all.each(&mut names);
        let rows = names.0.into_iter().map(|pool| {
            let count = callgrind::instructions("pool", &format!("{word}:{pool}"), COUNTED)?;
            Ok((pool, Series::new([count])))
        });
        columns.push(Column {
            name: name.to_owned(),
            rows: rows.collect::<Result<_>>()?,
        });
    }
    Ok(columns)
}

struct Names(Vec<&'static str>);

impl<'a> Visit<'a> for Names {
    fn visit<S: Side>(&mut self, name: &'static str, _: &'a S) {
        self.0.push(name);
    }
}
