//! What recording and scraping cost, held against prometheus-client, prometheus and metrics-exporter-prometheus in one run,
//! in turn.
//!
//! ```text
//! cargo bench -p pool-metrics                 times of recording and of scrapes, and what scrapes do to requests
//! cargo bench -p pool-metrics -- --beside     only the last of these
//! cargo bench -p pool-metrics -- --callgrind  instructions of both; needs valgrind
//! ```
//!
//! Recording is all of it for one request: one counter and one histogram of its endpoint, with the handles resolved
//! ahead. A scrape gathers and encodes; the peers hold as many series of the same kinds as the catalogue has for an
//! endpoint. Times on a shared machine vary by tens of per cent: the least of many rounds is shown, and the instructions
//! are what repeats. That recording allocates nothing is shown by the test `allocation`.

mod beside;
mod peers;

use std::{
    hint::black_box,
    process::{Command, ExitCode},
    thread,
};

use peers::{Record, Side};
use tokio::time::Instant;

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

/// Records whose instructions are counted: those of many less those of few.
const FEW: u64 = 20_000;
const MANY: u64 = 400_000;

const ROUNDS: usize = 25;
const RECORDS: u64 = 100_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["--case", side, records] => case(side, records),
        ["--callgrind"] => instructions(),
        ["--beside"] => beside::show().map(|()| true),
        [] => times(),
        _ => Err(format!("{words:?}: give --callgrind, --beside, or nothing").into()),
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

/// Latencies in milliseconds that fall into all parts of the buckets.
fn latency(number: u64) -> f64 {
    (number * 37 % 4096) as f64 / 4.0
}

fn record(record: &Record, records: u64) {
    for number in 0..records {
        record(black_box(latency(number)));
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
    record(&Side::named(side)?.records(1)?[0], times);
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
    println!("{:<36} {:>12}", "recording one request", "instructions");
    let mut ours = 0.0;
    let mut cheapest = f64::INFINITY;
    for side in Side::ALL {
        let each = (collected(side.name(), MANY)? - collected(side.name(), FEW)?) / (MANY - FEW) as f64;
        println!("{:<36} {each:>12.1}", side.name());
        match side {
            Side::Ours => ours = each,
            _ => cheapest = cheapest.min(each),
        }
    }
    println!(
        "goal: at most {MOST_INSTRUCTIONS}: {}; {:.2} times the cheapest peer",
        verdict(ours, MOST_INSTRUCTIONS),
        ours / cheapest
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
    Ok(ours <= MOST_INSTRUCTIONS)
}

/// Nanoseconds of one record, by so many threads on the same series, the least of all rounds.
fn nanoseconds(records: &Record, threads: u64) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| record(records, RECORDS));
        }
        record(records, RECORDS);
    });
    begun.elapsed().as_nanos() as f64 / RECORDS as f64
}

fn times() -> Result<bool, Failure> {
    println!(
        "{:<36} {:>10} {:>10}",
        "recording one request", "1 thread", "2 threads"
    );
    let sides = Side::ALL;
    let records = sides.iter().map(|side| Ok(side.records(1)?.remove(0)));
    let records: Vec<Record> = records.collect::<Result<_, Failure>>()?;
    let mut least = vec![[f64::INFINITY; 2]; sides.len()];
    for _ in 0..ROUNDS {
        for (least, records) in least.iter_mut().zip(&records) {
            for (least, threads) in least.iter_mut().zip([1, 2]) {
                *least = least.min(nanoseconds(records, threads));
            }
        }
    }
    for (side, [one, two]) in sides.iter().zip(&least) {
        println!("{:<36} {one:>7.1} ns {two:>7.1} ns", side.name());
    }
    let ours = least[0][0];
    let cheapest = least[1..]
        .iter()
        .map(|[one, _]| *one)
        .fold(f64::INFINITY, f64::min);
    let ratio = ours / cheapest;
    println!(
        "goal: at most {MOST_NANOSECONDS} ns: {}; at most {MOST_RATIO} times the cheapest peer: {ratio:.2}, {}",
        verdict(ours, MOST_NANOSECONDS),
        verdict(ratio, MOST_RATIO)
    );
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
