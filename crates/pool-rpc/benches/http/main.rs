//! What a call through the pool costs, held against bare hyper connections that each belong to one task, and against
//! reqwest, in one run, in turn.
//!
//! ```text
//! cargo bench -p pool-rpc --bench http                     all rows, with one client thread
//! cargo bench -p pool-rpc --bench http -- --workers 2      the same with two
//! cargo bench -p pool-rpc --bench http -- --rounds 3       fewer rounds; the default is 9
//! cargo bench -p pool-rpc --bench http -- --only pool --at 16
//! cargo bench -p pool-rpc --bench http -- --check          fails if a goal is missed
//! cargo bench -p pool-rpc --bench http -- --callgrind      instructions for each call; needs valgrind
//! ... -- --only "pool, HTTP/1.1" --at 16 --calls 3000      so many calls and no figures: for valgrind --tool=callgrind
//! ```
//!
//! The server is a process of its own, so that the client's processor time can be told. Figures are medians of rounds;
//! ratios are medians of each round's ratio to bare hyper of the same HTTP version and in the same round. Times on a shared
//! machine vary by tens of per cent: trust the ratios. Latencies are over all rounds.
//!
//! The pool is as it comes, with two endpoints, a deadline for each request, breakers, balancer, health checks and the
//! judgement of answers; together its endpoints may open as many connections as bare hyper has. All write the same
//! request, with the same headers, and take the same answer apart.
//!
//! The goals hold at 16 and 128 in flight. Instructions are those of the process alone: what the kernel does for it, more
//! than half of the processor time, is the same on both sides and missing there. So their ratios are higher.

mod clients;
mod instructions;
mod server;

use std::{process::ExitCode, time::Duration};

use clients::{Client, KINDS, Kind};
use rustix::time::{ClockId, clock_gettime};
use server::Served;
use tokio::{task::JoinSet, time::Instant};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const IN_FLIGHT: [u32; 3] = [1, 16, 128];
/// With fewer in flight there is no goal: the time is that of the network.
const GOALS_FROM: u32 = 16;
/// Calls a second, at least so many times those of bare hyper.
const RATE_GOAL: f64 = 0.9;
/// Processor time for each call, at most so many times that of bare hyper.
const CPU_GOAL: f64 = 1.15;
/// Each kind works for so long in each round.
const TURN: Duration = Duration::from_millis(600);

struct Options {
    workers: usize,
    rounds: usize,
    only: Option<String>,
    at: Option<u32>,
    /// For each caller.
    calls: Option<usize>,
    callgrind: bool,
    check: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let ended = match args.get(1).map(String::as_str) {
        Some(server::ARGUMENT) => server::main(),
        _ => bench(&options(&args)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options(args: &[String]) -> Options {
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let number = |name: &str| value(name)?.parse().ok();
    Options {
        workers: number("--workers").unwrap_or(1),
        rounds: number("--rounds").unwrap_or(9),
        only: value("--only"),
        at: value("--at").and_then(|at| at.parse().ok()),
        calls: number("--calls"),
        callgrind: args.iter().any(|arg| arg == "--callgrind"),
        check: args.iter().any(|arg| arg == "--check"),
    }
}

fn bench(options: &Options) -> Result<(), Failure> {
    if options.callgrind {
        return instructions::compare(options.at);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers)
        .enable_all()
        .build()?;
    println!("{} client thread(s), {} rounds", options.workers, options.rounds);
    println!(
        "{:>9} {:<22} {:>9} {:>6} {:>8} {:>8} {:>9} {:>6} {:>6} {:>6}  goals: {RATE_GOAL:.2}, {CPU_GOAL:.2}",
        "in flight", "", "calls/s", "ratio", "p50 µs", "p99 µs", "CPU µs", "ratio", "opened", "limit"
    );
    let mut missed = 0;
    for in_flight in IN_FLIGHT {
        if options.at.is_none_or(|at| at == in_flight) {
            // the work is done by the workers; this thread only waits
            missed += runtime.block_on(rows(options, in_flight))?;
        }
    }
    if options.check && missed > 0 {
        return Err(format!("{missed} goal(s) missed").into());
    }
    Ok(())
}

/// What came of one kind.
struct Row {
    kind: Kind,
    client: Client,
    served: Served,
    /// Of each round: calls a second, and microseconds of processor time for each call.
    rounds: Vec<(f64, f64)>,
    latencies: Vec<Duration>,
}

/// Returns how many goals were missed.
async fn rows(options: &Options, in_flight: u32) -> Result<usize, Failure> {
    let mut rows = Vec::new();
    for kind in KINDS {
        if options
            .only
            .as_deref()
            .is_none_or(|only| kind.name().starts_with(only))
        {
            let served = Served::start()?;
            let client = Client::new(kind, &served, in_flight).await?;
            rows.push(Row {
                kind,
                client,
                served,
                rounds: Vec::new(),
                latencies: Vec::new(),
            });
        }
    }
    if let Some(calls) = options.calls {
        for row in &rows {
            turn(&row.client, in_flight, TURN * 1000, calls).await?;
        }
        return Ok(0);
    }
    // connections are opened, and caches are warm
    for row in &mut rows {
        turn(&row.client, in_flight, TURN / 2, usize::MAX).await?;
    }
    let count = rows.len();
    for round in 0..options.rounds {
        for place in 0..count {
            let row = &mut rows[(round + place) % count];
            let (took, figures) = turn(&row.client, in_flight, TURN, usize::MAX).await?;
            row.rounds.push(figures);
            row.latencies.extend(took);
        }
    }
    let mut missed = 0;
    for index in 0..count {
        missed += print(&rows, index, in_flight)?;
    }
    Ok(missed)
}

/// Lets so many tasks call one after the other for a while, `most` times at the most. Returns how long each call took, calls a second, and processor
/// time in microseconds for each call.
async fn turn(
    client: &Client,
    in_flight: u32,
    time: Duration,
    most: usize,
) -> Result<(Vec<Duration>, (f64, f64)), Failure> {
    // valgrind hides from rustix what it needs to tell the time
    let cpu = || if most == usize::MAX { cpu() } else { Duration::ZERO };
    let (used, begun) = (cpu(), Instant::now());
    let mut tasks = JoinSet::new();
    for number in 0..in_flight {
        let mut caller = client.caller(number);
        tasks.spawn(async move {
            let mut took = Vec::with_capacity(50_000);
            let mut now = Instant::now();
            while now - begun < time && took.len() < most {
                caller.call().await?;
                let ended = Instant::now();
                took.push(ended - now);
                now = ended;
            }
            Ok::<_, Failure>(took)
        });
    }
    let mut took = Vec::new();
    while let Some(task) = tasks.join_next().await {
        took.extend(task??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let used = (cpu() - used).as_secs_f64();
    let calls = took.len() as f64;
    Ok((took, (calls / seconds, used * 1e6 / calls)))
}

/// Processor time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Returns how many goals the row misses.
fn print(rows: &[Row], index: usize, in_flight: u32) -> Result<usize, Failure> {
    let row = &rows[index];
    let floor = rows.iter().find(|floor| floor.kind == row.kind.floor());
    let ratio = |of: fn(&(f64, f64)) -> f64| {
        let floor = floor.map_or(&row.rounds, |floor| &floor.rounds);
        median(
            row.rounds
                .iter()
                .zip(floor)
                .map(|(row, floor)| of(row) / of(floor))
                .collect(),
        )
    };
    let mut latencies = row.latencies.clone();
    latencies.sort_unstable();
    let quantile = |per_mille: usize| latencies[latencies.len() * per_mille / 1000].as_secs_f64() * 1e6;
    let opened = row.served.opened()? - row.client.for_checks();
    let limit = row.kind.limit(in_flight);
    let (rate, cpu) = (ratio(|round| round.0), ratio(|round| round.1));
    let goals = match row.kind {
        Kind::Pool1 | Kind::Pool2 if in_flight >= GOALS_FROM && floor.is_some() => {
            vec![rate >= RATE_GOAL, cpu <= CPU_GOAL]
        }
        _ => Vec::new(),
    };
    let verdict = |met: &bool| if *met { "met" } else { "MISSED" };
    println!(
        "{in_flight:>9} {:<22} {:>9.0} {rate:>6.2} {:>8.0} {:>8.0} {:>9.1} {cpu:>6.2} {opened:>6} {:>6}  {}",
        row.kind.name(),
        median(row.rounds.iter().map(|round| round.0).collect()),
        quantile(500),
        quantile(990),
        median(row.rounds.iter().map(|round| round.1).collect()),
        limit.map_or("none".to_owned(), |limit| limit.to_string()),
        goals.iter().map(verdict).collect::<Vec<_>>().join(", "),
    );
    if limit.is_some_and(|limit| opened > u64::from(limit)) {
        return Err(format!("{} opened more connections than it may", row.kind.name()).into());
    }
    Ok(goals.iter().filter(|met| !**met).count())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
