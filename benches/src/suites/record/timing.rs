//! The time of a record: by one thread; by two, each at an endpoint of its own, or both at the same.

use std::{hint::black_box, sync::Barrier, thread, time::Instant};

use anyhow::Result;

use super::{
    super::meters::{self, Record, Side},
    latency, run,
};
use crate::frame::{Effort, Entry, Series, interleave};

/// Whose records are timed. With work between, what the work takes is taken off.
pub(super) const CASES: [&str; 4] = [
    "1 thread",
    "2 threads, 2 endpoints",
    "2 threads, 1 endpoint",
    "the same, 1 µs of work between",
];

/// One side's figures, by case.
pub(super) type Timed = [Series; CASES.len()];

/// Turns of each side in a round.
const TURNS: u32 = 10;
/// Turns in which the threads did not run at the same time are repeated, but not for ever.
const TRIES: usize = 20;
/// Which part of a turn they must have run at the same time.
const TOGETHER: f64 = 0.9;
/// Few enough for a time slice of the scheduler: threads that take turns do not overlap then.
const RECORDS: u64 = 50_000;
const RECORDS_AND_WORK: u64 = 1_500;
/// Steps of the work between two records: about a microsecond.
const WORK: u64 = 4_000;

/// All sides in turn.
pub(super) fn measure(effort: &Effort) -> Result<Vec<Timed>> {
    let nothing = meters::nothing();
    let sides: Vec<Vec<Record>> = Side::ALL
        .iter()
        .map(|side| Ok(side.meter(2)?.records))
        .collect::<Result<_>>()?;
    let mut entries = Vec::new();
    for (side, records) in Side::ALL.iter().zip(&sides) {
        let (one, other) = (&records[0], &records[1]);
        let hurried = |series: &[&Record]| nanoseconds(series, RECORDS, run);
        let nothing = &nothing;
        let cases: [Box<dyn Fn() -> Option<f64>>; CASES.len()] = [
            Box::new(move || hurried(&[one])),
            Box::new(move || hurried(&[one, other])),
            Box::new(move || hurried(&[one, one])),
            Box::new(move || {
                // one after the other, so that what else the machine does meets both
                let working = |series: &[&Record]| nanoseconds(series, RECORDS_AND_WORK, run_and_work);
                Some(working(&[one, one])? - working(&[nothing, nothing])?)
            }),
        ];
        for (name, case) in CASES.iter().zip(cases) {
            entries.push(Entry {
                name: format!("{}, {name}", side.name()),
                measure: Box::new(move || (0..TRIES).find_map(|_| case()).unwrap_or(f64::NAN)),
            });
        }
    }
    let figures = interleave(&mut entries, effort.rounds * TURNS);
    let by_side = figures.chunks_exact(CASES.len());
    Ok(by_side
        .map(|cases| std::array::from_fn(|case| cases[case].clone()))
        .collect())
}

/// Records with some work between: no real thread does nothing but record.
fn run_and_work(record: &Record, records: u64) {
    for number in 0..records {
        record(black_box(latency(number)));
        for step in 0..WORK {
            black_box(step);
        }
    }
}

/// Nanoseconds of one record for who waits for it, with a thread for each of the series. Nothing if the threads did not run
/// at the same time: where other programs need the processors, two take turns, and nobody is in anybody's way.
fn nanoseconds(series: &[&Record], records: u64, course: fn(&Record, u64)) -> Option<f64> {
    let ready = Barrier::new(series.len());
    let timed = |one: &Record| {
        ready.wait();
        let begun = Instant::now();
        course(one, records);
        (begun, Instant::now())
    };
    let spans: Vec<_> = thread::scope(|scope| {
        let timed = &timed;
        let threads: Vec<_> = series.iter().map(|one| scope.spawn(move || timed(one))).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let begun = || spans.iter().map(|(begun, _)| *begun);
    let ended = || spans.iter().map(|(_, ended)| *ended);
    let took = (ended().max()? - begun().min()?).as_nanos() as f64;
    let together = ended().min()?.saturating_duration_since(begun().max()?);
    (together.as_nanos() as f64 / took > TOGETHER).then_some(took / records as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_one_record_is_found() {
        let slow: Record = Box::new(|_| thread::sleep(std::time::Duration::from_millis(2)));
        let nanos = nanoseconds(&[&slow], 5, run).unwrap();
        assert!(nanos >= 2e6, "{nanos}");
    }
}
