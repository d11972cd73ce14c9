//! What recording and scraping cost, held against prometheus-client, prometheus and metrics-exporter-prometheus in one run,
//! in turn.
//!
//! ```text
//! cargo bench -p pool-metrics                 times of recording and of scrapes, and what scrapes do to requests
//! cargo bench -p pool-metrics -- --recording  only the first of these
//! cargo bench -p pool-metrics -- --beside     only the last of these
//! cargo bench -p pool-metrics -- --callgrind  instructions of recording and of scrapes; needs valgrind
//! ```
//!
//! Recording is all of it for one request: one counter and one histogram of its endpoint, with the handles resolved
//! ahead, and from the duration to the number that the histogram takes. The histograms have the same buckets. What the loop
//! around it costs is taken off the instructions. A scrape gathers and encodes; the peers hold as many series of the same kinds as the catalogue has for an
//! endpoint. Times on a shared machine vary by tens of per cent: the least of many rounds is shown, and the instructions
//! are what repeats. That recording allocates nothing is shown by the test `allocation`.

mod beside;
mod peers;

use std::{
    hint::black_box,
    process::{Command, ExitCode},
    sync::Barrier,
    thread,
};

use peers::{Record, Side};
use tokio::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What one request may cost at the most.
const MOST_INSTRUCTIONS: f64 = 300.0;
const MOST_NANOSECONDS: f64 = 60.0;
/// By how much it may be more than the cheapest peer's.
const MOST_RATIO: f64 = 1.5;
/// What a line of a scrape may cost at the most.
const MOST_MICROSECONDS: f64 = 1.6;

/// Endpoints of the scrape whose instructions are counted.
const SCRAPED: usize = 100;
const SCRAPING: &str = "scrape:";
/// The loop around a record.
const LOOP: &str = "the loop around it (taken off)";
const ALONE: &str = "opentelemetry's bound histogram alone";

/// Records whose instructions are counted: those of many less those of few.
const FEW: u64 = 20_000;
const MANY: u64 = 400_000;

const ROUNDS: usize = 25;
/// Rounds are repeated while other programs disturb them, but not for ever.
const MOST_ROUNDS: usize = 12 * ROUNDS;
/// Which part of a round the threads must have run at the same time.
const TOGETHER: f64 = 0.9;
/// Fewer than fill a time slice of the scheduler: threads that take turns do not overlap then.
const RECORDS: u64 = 50_000;
const RECORDS_AND_WORK: u64 = 1_500;
/// Steps of the work between two records: about a microsecond.
const WORK: u64 = 4_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["--case", side, records] => case(side, records),
        ["--callgrind"] => instructions(),
        ["--recording"] => recording(),
        ["--beside"] => beside::show().map(|()| true),
        [] => times(),
        _ => Err(format!("{words:?}: give --callgrind, --recording, --beside, or nothing").into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Latencies up to a second that fall into all parts of the buckets.
fn latency(number: u64) -> Duration {
    Duration::new(0, (number * 37 % 4096) as u32 * 240_000)
}

fn record(record: &Record, records: u64) {
    for number in 0..records {
        record(black_box(latency(number)));
    }
}

/// The same, with some work between: no thread does nothing but record.
fn record_and_work(record: &Record, records: u64) {
    for number in 0..records {
        record(black_box(latency(number)));
        for step in 0..WORK {
            black_box(step);
        }
    }
}

/// What valgrind runs: so many records, or scrapes of so many endpoints.
fn case(side: &str, times: &str) -> Result<bool, Failure> {
    let times = times.parse()?;
    if let Some(side) = side.strip_prefix(SCRAPING) {
        let side = Side::named(side)?;
        let records = side.records(SCRAPED)?;
        records.iter().for_each(|one| record(one, 1));
        for _ in 0..times {
            black_box(side.scrape()?);
        }
        return Ok(true);
    }
    let one = match side {
        LOOP => peers::nothing(),
        ALONE => peers::opentelemetry_alone()?,
        side => Side::named(side)?.records(1)?.remove(0),
    };
    record(&one, times);
    Ok(true)
}

fn verdict(value: f64, most: f64) -> &'static str {
    if value <= most { "within" } else { "MISSED" }
}

fn instructions() -> Result<bool, Failure> {
    let collected = |case: &str, times: u64| -> Result<f64, Failure> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe()?)
            .args(["--case", case, &times.to_string()])
            .output()
            .map_err(|error| format!("valgrind did not start ({error}); install it"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let line = told.lines().find_map(|line| line.split("Collected :").nth(1));
        let count = line.and_then(|count| count.trim().parse().ok());
        count.ok_or_else(|| format!("valgrind told no count: {told}").into())
    };
    let of_one = |case: &str| -> Result<f64, Failure> {
        Ok((collected(case, MANY)? - collected(case, FEW)?) / (MANY - FEW) as f64)
    };
    println!("{:<40} {:>12}", "recording one request", "instructions");
    let around = of_one(LOOP)?;
    println!("{LOOP:<40} {around:>12.1}");
    let mut ours = 0.0;
    let mut cheapest = f64::INFINITY;
    for side in Side::ALL {
        let each = of_one(side.name())? - around;
        println!("{:<40} {each:>12.1}", side.name());
        match side {
            Side::Ours => ours = each,
            _ => cheapest = cheapest.min(each),
        }
    }
    println!("{ALONE:<40} {:>12.1}", of_one(ALONE)? - around);
    let ratio = ours / cheapest;
    println!(
        "goal: at most {MOST_INSTRUCTIONS}: {}; at most {MOST_RATIO} times the cheapest peer: {ratio:.2}, {}",
        verdict(ours, MOST_INSTRUCTIONS),
        verdict(ratio, MOST_RATIO)
    );
    println!(
        "\n{:<36} {:>12}",
        format!("a line of a scrape of {SCRAPED} endpoints"),
        "instructions"
    );
    for side in Side::ALL {
        let _records = side.records(SCRAPED)?;
        let lines = side
            .scrape()?
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count();
        let case = format!("{SCRAPING}{}", side.name());
        let each = (collected(&case, 4)? - collected(&case, 2)?) / 2.0;
        println!("{:<36} {:>12.0}", side.name(), each / lines as f64);
    }
    Ok(ours <= MOST_INSTRUCTIONS && ratio <= MOST_RATIO)
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

/// The median of so many rounds in which the threads ran at the same time; nothing if there were too few of those.
fn settled(rounds: &[f64]) -> Option<f64> {
    let mut rounds = rounds.to_vec();
    rounds.sort_by(f64::total_cmp);
    (rounds.len() >= ROUNDS).then(|| rounds[rounds.len() / 2])
}

/// Whose records are timed: by one thread; by two, each of an endpoint of its own, or both of the same, with nothing between
/// the records or with some work.
const CASES: [&str; 4] = [
    "1 thread",
    "2 threads, 2 endpoints",
    "2 threads, 1 endpoint",
    "the same, with work between",
];

/// The rounds of each case.
fn rounds(records: &[Record], nothing: &Record, rounds: &mut [Vec<f64>; CASES.len()]) {
    let (one, other) = (&records[0], &records[1]);
    let hurried = |series: &[&Record]| nanoseconds(series, RECORDS, record);
    let working = |series: &[&Record]| nanoseconds(series, RECORDS_AND_WORK, record_and_work);
    let cases: [&dyn Fn() -> Option<f64>; CASES.len()] = [
        &|| hurried(&[one]),
        &|| hurried(&[one, other]),
        &|| hurried(&[one, one]),
        // one after the other, so that what else the machine does meets both
        &|| Some(working(&[one, one])? - working(&[nothing, nothing])?),
    ];
    for (rounds, case) in rounds.iter_mut().zip(cases) {
        if rounds.len() < ROUNDS {
            rounds.extend(case());
        }
    }
}

fn recording() -> Result<bool, Failure> {
    let nothing = peers::nothing();
    let sides = Side::ALL.iter().map(|side| side.records(2));
    let sides: Vec<Vec<Record>> = sides.collect::<Result<_, Failure>>()?;
    let mut timed: Vec<[Vec<f64>; CASES.len()]> = sides.iter().map(|_| Default::default()).collect();
    for _ in 0..MOST_ROUNDS {
        for (timed, records) in timed.iter_mut().zip(&sides) {
            rounds(records, &nothing, timed);
        }
    }
    println!("recording one request, the median of {ROUNDS} rounds");
    let [a, b, c, d] = CASES;
    println!("{:<28} {a:>9} {b:>23} {c:>23} {d:>28}", "");
    let mut ours = f64::NAN;
    let mut cheapest = f64::INFINITY;
    for (side, timed) in Side::ALL.iter().zip(&timed) {
        let [one, apart, same, working] = timed.each_ref().map(|rounds| settled(rounds));
        let one = one.ok_or("one thread alone was never timed")?;
        // how many times as much two threads get done: 2 is perfect
        let scaled = |two: Option<f64>| match two {
            Some(two) => format!("{two:.1} ns (x {:.2})", 2.0 * one / two),
            None => "too busy to tell".to_owned(),
        };
        let working = working.map_or("too busy to tell".to_owned(), |working| {
            format!("{working:.1} ns")
        });
        println!(
            "{:<28} {one:>6.1} ns {:>23} {:>23} {working:>28}",
            side.name(),
            scaled(apart),
            scaled(same)
        );
        match side {
            Side::Ours => ours = one,
            _ => cheapest = cheapest.min(one),
        }
    }
    let ratio = ours / cheapest;
    println!(
        "goal: at most {MOST_NANOSECONDS} ns: {}; at most {MOST_RATIO} times the cheapest peer: {ratio:.2}, {}",
        verdict(ours, MOST_NANOSECONDS),
        verdict(ratio, MOST_RATIO)
    );
    Ok(true)
}

fn times() -> Result<bool, Failure> {
    recording()?;
    // times judge nothing on a machine that others share
    scrapes()?;
    beside::show().map(|()| true)
}

fn scrapes() -> Result<(), Failure> {
    for endpoints in [100, 1000] {
        println!(
            "\n{:<36} {:>10} {:>10} {:>10}",
            format!("a scrape of {endpoints} endpoints"),
            "ms",
            "lines",
            "us a line"
        );
        for side in Side::ALL {
            let records = side.records(endpoints)?;
            records.iter().for_each(|one| record(one, 10));
            let rounds = if endpoints > 100 { 5 } else { ROUNDS };
            let (mut least, mut lines) = (f64::INFINITY, 0);
            for _ in 0..rounds {
                let begun = Instant::now();
                let text = side.scrape()?;
                least = least.min(begun.elapsed().as_secs_f64());
                lines = text.lines().filter(|line| !line.starts_with('#')).count();
            }
            let each = least * 1e6 / lines as f64;
            let goal = if side == Side::Ours {
                verdict(each, MOST_MICROSECONDS)
            } else {
                ""
            };
            println!(
                "{:<36} {:>10.2} {lines:>10} {each:>10.2} {goal}",
                side.name(),
                least * 1e3
            );
        }
    }
    Ok(())
}
