//! What acquiring costs, held against bare deadpool with a wait time-out, in one run, in turn.
//!
//! ```text
//! cargo bench -p pool-core --bench acquire                 times: medians of rounds, and their ratio
//! cargo bench -p pool-core --bench acquire -- --callgrind  instructions for each operation; needs valgrind
//! cargo bench -p pool-core --bench acquire -- --fairness   operations of the busiest by those of the idlest task
//! ```
//!
//! Times on a shared machine vary by tens of per cent: trust the ratios, and the instructions more. The pool has its
//! defaults: every protection is on, no observer is attached.

use std::{
    convert::Infallible,
    future::Future,
    hint::black_box,
    pin::pin,
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Waker},
    time::Duration,
};

use deadpool::managed::{self, Metrics, RecycleResult, Timeouts};
use pool_core::*;
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

const ROUNDS: usize = 9;
const SLOTS: u32 = 16;
const PATIENCE: Duration = Duration::from_secs(30);
const LOADED_FOR: Duration = Duration::from_millis(200);
/// Long enough for each of 1024 tasks to have hundreds of turns.
const FAIR_FOR: Duration = Duration::from_secs(2);
const FAIR_ROUNDS: usize = 3;
const FAIR: f64 = 1.3;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Connections are numbers, so that only the pools cost anything.
#[derive(Debug)]
struct Numbers;

impl Endpoint for Numbers {
    type Transport = ();
    type Conn = u64;
    type Error = Infallible;

    async fn connect(&self, _: &ConnectCx) -> Result<(), Infallible> {
        Ok(())
    }

    async fn open(&self, _: &Arc<()>) -> Result<u64, Infallible> {
        Ok(7)
    }

    fn is_clean(&self, _: &u64) -> bool {
        true
    }

    async fn recycle(&self, _: &mut u64, _: &RecycleCx) -> Result<(), Infallible> {
        Ok(())
    }

    async fn check(&self, _: &CheckCx) -> Result<Report, Infallible> {
        Ok(Report::fit(None))
    }

    fn classify(&self, error: &Infallible) -> Verdict {
        match *error {}
    }
}

impl managed::Manager for Numbers {
    type Type = u64;
    type Error = Infallible;

    async fn create(&self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn recycle(&self, _: &mut u64, _: &Metrics) -> RecycleResult<Infallible> {
        Ok(())
    }
}

/// What is compared.
trait Side: Clone + Send + Sync + 'static {
    type Held: Send;

    fn get(&self) -> impl Future<Output = Result<Self::Held, Failure>> + Send;

    fn put(held: Self::Held);
}

impl Side for managed::Pool<Numbers> {
    type Held = managed::Object<Numbers>;

    async fn get(&self) -> Result<Self::Held, Failure> {
        Ok(Self::get(self).await?)
    }

    fn put(held: Self::Held) {
        drop(held);
    }
}

impl Side for Pool<Numbers> {
    type Held = Lease<Numbers>;

    async fn get(&self) -> Result<Self::Held, Failure> {
        Ok(self.acquire_within(PATIENCE).await?)
    }

    fn put(held: Self::Held) {
        held.succeed();
    }
}

fn theirs() -> Result<managed::Pool<Numbers>, Failure> {
    let timeouts = Timeouts {
        wait: Some(PATIENCE),
        create: None,
        recycle: None,
    };
    let builder = managed::Pool::builder(Numbers).max_size(SLOTS as usize);
    Ok(builder
        .runtime(deadpool::Runtime::Tokio1)
        .timeouts(timeouts)
        .build()?)
}

async fn ours(endpoints: usize) -> Result<Pool<Numbers>, Failure> {
    let mut builder = Pool::builder(PoolId::new("bench")?);
    for number in 0..endpoints {
        let settings = EndpointConfig::default().max_connections(SLOTS);
        builder = builder.endpoint(EndpointId::new(format!("e{number}"))?, Numbers, settings);
    }
    let pool = builder.build()?;
    while pool.snapshot().slots_usable < u64::from(SLOTS) * endpoints as u64 {
        tokio::task::yield_now().await;
    }
    Ok(pool)
}

/// One caller, never a queue: get, put.
async fn uncontended(side: &impl Side, operations: u64) -> Result<(), Failure> {
    for _ in 0..operations {
        put(side, black_box(side.get().await?));
    }
    Ok(())
}

fn put<S: Side>(_: &S, held: S::Held) {
    S::put(held);
}

/// Every slot is held; a caller joins the line, and goes away.
async fn cancelled<S: Side>(side: &S, operations: u64, slots: u32) -> Result<(), Failure> {
    let mut held = Vec::new();
    for _ in 0..slots {
        held.push(side.get().await?);
    }
    for _ in 0..operations {
        let mut waiter = pin!(side.get());
        let polled = waiter.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if polled.is_ready() {
            return Err("there was a free slot".into());
        }
    }
    held.into_iter().for_each(S::put);
    Ok(())
}

/// So many tasks on the slots of one endpoint, each yielding once while it holds one.
async fn loaded<S: Side>(side: &S, tasks: usize) -> Result<Loaded, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let (side, stop, done) = (side.clone(), Arc::clone(&stop), Arc::clone(&done));
            tokio::spawn(async move {
                let mut waits = Vec::new();
                let mut operations = 0_u64;
                while !stop.load(Relaxed) {
                    let sampled = operations.is_multiple_of(8);
                    let asked = sampled.then(Instant::now);
                    let held = side.get().await?;
                    waits.extend(asked.map(|asked| asked.elapsed()));
                    tokio::task::yield_now().await;
                    S::put(held);
                    operations += 1;
                }
                done.fetch_add(operations, Relaxed);
                Ok::<_, Failure>(waits)
            })
        })
        .collect();
    tokio::time::sleep(LOADED_FOR).await;
    stop.store(true, Relaxed);
    let mut waits = Vec::new();
    for worker in workers {
        waits.extend(worker.await??);
    }
    let nanos = begun.elapsed().as_nanos() as f64;
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_nanos() as f64;
    Ok(Loaded {
        nanos: nanos / done.load(Relaxed) as f64,
        spread: at(0.99) / at(0.5).max(1.0),
    })
}

struct Loaded {
    nanos: f64,
    /// p99 of the wait by its median.
    spread: f64,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(name: &str, theirs: Vec<f64>, ours: Vec<f64>, unit: &str) {
    let (theirs, ours) = (median(theirs), median(ours));
    println!(
        "{name:<34} {theirs:>9.1} {ours:>9.1} {unit:<9} {:>5.2}",
        ours / theirs
    );
}

/// Nanoseconds for each operation.
async fn timed(operations: u64, work: impl Future<Output = Result<(), Failure>>) -> Result<f64, Failure> {
    let begun = Instant::now();
    work.await?;
    Ok(begun.elapsed().as_nanos() as f64 / operations as f64)
}

fn runtime(threads: usize) -> Result<Runtime, Failure> {
    let mut builder = if threads == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    Ok(builder.worker_threads(threads).enable_all().build()?)
}

async fn single() -> Result<(), Failure> {
    const OPERATIONS: u64 = 50_000;
    let (theirs, ours, one) = (theirs()?, ours(3).await?, ours(1).await?);
    uncontended(&theirs, OPERATIONS).await?;
    uncontended(&ours, OPERATIONS).await?;
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(timed(OPERATIONS, uncontended(&theirs, OPERATIONS)).await?);
        times[1].push(timed(OPERATIONS, uncontended(&ours, OPERATIONS)).await?);
        times[2].push(timed(OPERATIONS, cancelled(&theirs, OPERATIONS, SLOTS)).await?);
        times[3].push(timed(OPERATIONS, cancelled(&one, OPERATIONS, SLOTS)).await?);
    }
    let [their_gets, our_gets, their_cancels, our_cancels] = times;
    row("acquire and succeed, 3 endpoints", their_gets, our_gets, "ns");
    row("cancelled waiter", their_cancels, our_cancels, "ns");
    Ok(())
}

async fn under_load(threads: usize) -> Result<(), Failure> {
    let (theirs, ours) = (theirs()?, ours(1).await?);
    for tasks in [256, 1024] {
        let (mut their_times, mut our_times, mut their_spread, mut our_spread) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (a, b) = (loaded(&theirs, tasks).await?, loaded(&ours, tasks).await?);
            their_times.push(a.nanos);
            our_times.push(b.nanos);
            their_spread.push(a.spread);
            our_spread.push(b.spread);
        }
        let name = format!("{tasks} tasks on {SLOTS} slots, {threads} threads");
        row(&name, their_times, our_times, "ns");
        row("  wait p99/p50", their_spread, our_spread, "");
    }
    Ok(())
}

/// So many tasks on the slots of one endpoint, all on one thread; the most operations of any by the fewest of any. They
/// begin together, and are counted from then on.
async fn fairness<S: Side>(side: &S, tasks: usize) -> Result<f64, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let begin = Arc::new(tokio::sync::Barrier::new(tasks + 1));
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let (side, stop, begin) = (side.clone(), Arc::clone(&stop), Arc::clone(&begin));
            tokio::spawn(async move {
                begin.wait().await;
                let mut operations = 0_u64;
                while !stop.load(Relaxed) {
                    let held = side.get().await?;
                    tokio::task::yield_now().await;
                    S::put(held);
                    operations += 1;
                }
                Ok::<_, Failure>(operations)
            })
        })
        .collect();
    begin.wait().await;
    tokio::time::sleep(FAIR_FOR).await;
    stop.store(true, Relaxed);
    let (mut most, mut fewest) = (0, u64::MAX);
    for worker in workers {
        let operations = worker.await??;
        (most, fewest) = (most.max(operations), fewest.min(operations));
    }
    Ok(most as f64 / fewest as f64)
}

async fn all_fairness() -> Result<(), Failure> {
    let (theirs, ours) = (theirs()?, ours(1).await?);
    for tasks in [64, 1024] {
        let (mut their_ratios, mut our_ratios) = (Vec::new(), Vec::new());
        for _ in 0..FAIR_ROUNDS {
            their_ratios.push(fairness(&theirs, tasks).await?);
            our_ratios.push(fairness(&ours, tasks).await?);
        }
        let worst = our_ratios.iter().copied().fold(0.0, f64::max);
        let name = format!("{tasks} tasks on {SLOTS} slots, 1 thread");
        row(&name, their_ratios, our_ratios, "max/min");
        if worst > FAIR {
            return Err(format!("{tasks} tasks: {worst:.2} in one round; at most {FAIR} is fair").into());
        }
    }
    Ok(())
}

const CASES: [&str; 4] = ["get-deadpool", "get-pool", "cancel-deadpool", "cancel-pool"];

/// What valgrind runs: so many operations of one case.
async fn counted(case: &str, operations: u64) -> Result<(), Failure> {
    match case {
        "get-deadpool" => uncontended(&theirs()?, operations).await,
        "get-pool" => uncontended(&ours(3).await?, operations).await,
        "cancel-deadpool" => cancelled(&theirs()?, operations, SLOTS).await,
        "cancel-pool" => cancelled(&ours(1).await?, operations, SLOTS).await,
        other => Err(format!("{other} is no case; there are {CASES:?}").into()),
    }
}

/// Instructions for each operation: those of many less those of few, by the difference.
fn instructions(case: &str) -> Result<f64, Failure> {
    const FEW: u64 = 2_000;
    const MANY: u64 = 12_000;
    let collected = |operations: u64| -> Result<u64, Failure> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe()?)
            .args(["--case", case, &operations.to_string()])
            .output()
            .map_err(|error| format!("valgrind did not start ({error}); install it"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let line = told.lines().find_map(|line| line.split("Collected :").nth(1));
        let count = line.and_then(|count| count.trim().parse().ok());
        count.ok_or_else(|| format!("valgrind told no count: {told}").into())
    };
    Ok((collected(MANY)? - collected(FEW)?) as f64 / (MANY - FEW) as f64)
}

fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            println!(
                "{:<34} {:>9} {:>9} {:<9} {:>5}",
                "", "deadpool", "pool", "", "ratio"
            );
            runtime(1)?.block_on(single())?;
            for threads in [1, 2] {
                let runtime = runtime(threads)?;
                let load = runtime.spawn(under_load(threads));
                runtime.block_on(load)??;
            }
            Ok(())
        }
        ["--callgrind"] => {
            println!(
                "{:<34} {:>9} {:>9} {:<9} {:>5}",
                "", "deadpool", "pool", "", "ratio"
            );
            for (name, pair) in ["acquire and succeed, 3 endpoints", "cancelled waiter"]
                .into_iter()
                .zip(CASES.chunks(2))
            {
                let counts = [instructions(pair[0])?, instructions(pair[1])?];
                row(name, vec![counts[0]], vec![counts[1]], "instr");
            }
            Ok(())
        }
        ["--fairness"] => {
            println!(
                "{:<34} {:>9} {:>9} {:<9} {:>5}",
                "", "deadpool", "pool", "", "ratio"
            );
            runtime(1)?.block_on(all_fairness())
        }
        ["--case", case, operations] => runtime(1)?.block_on(counted(case, operations.parse()?)),
        _ => Err("allowed: nothing, --callgrind, --fairness, or --case NAME OPERATIONS".into()),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
