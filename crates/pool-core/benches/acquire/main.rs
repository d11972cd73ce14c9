//! What acquiring costs, held against bare deadpool with a wait time-out, in one run, in turn.
//!
//! ```text
//! cargo bench -p pool-core --bench acquire                 times: medians of rounds, and their ratio
//! cargo bench -p pool-core --bench acquire -- --load 2     only those of many tasks on two threads
//! cargo bench -p pool-core --bench acquire -- --callgrind  instructions for each operation; needs valgrind
//! cargo bench -p pool-core --bench acquire -- --fairness   operations of the busiest by those of the idlest task
//! ```
//!
//! Each line tells the goal, if there is one, and whether it is met. With `--callgrind --check` a goal that is missed ends
//! it with status 1, and what could not be measured with 2: instructions repeat, so CI may rely on them.
//!
//! Times on a shared machine vary by tens of per cent: trust the ratios, and the instructions more. The pool has its
//! defaults: every protection is on, no observer is attached.

mod fairness;
mod instructions;
mod load;
mod numbers;
mod table;

use std::{
    convert::Infallible,
    future::Future,
    hint::black_box,
    pin::pin,
    process::ExitCode,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use deadpool::managed::{self, Metrics, RecycleResult, Timeouts};
use numbers::Numbers;
use pool_core::*;
use table::{heading, row};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

const ROUNDS: usize = 9;
const SLOTS: u32 = 16;
const PATIENCE: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error + Send + Sync>;

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

async fn ours(endpoints: usize, balancer: Arc<dyn Balancer>) -> Result<Pool<Numbers>, Failure> {
    let mut builder = Pool::builder(PoolId::new("bench")?).balancer(balancer);
    for number in 0..endpoints {
        let settings = EndpointConfig::default().max_connections(SLOTS);
        builder = builder.endpoint(EndpointId::new(format!("e{number}"))?, Numbers, settings);
    }
    let pool = builder.build()?;
    while pool.snapshot().slots_usable < u64::from(SLOTS) * endpoints as u64 {
        tokio::time::sleep(Duration::from_millis(50)).await;
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
    let (theirs, ours, one) = (
        theirs()?,
        ours(3, Arc::new(LeastRequests::new())).await?,
        ours(1, Arc::new(LeastRequests::new())).await?,
    );
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
    // these have goals in instructions
    row(
        "acquire and succeed, 3 endpoints",
        (their_gets, our_gets),
        "ns",
        None,
    );
    row("cancelled waiter", (their_cancels, our_cancels), "ns", None);
    Ok(())
}

/// On a runtime with so many threads.
fn load(threads: usize) -> Result<(), Failure> {
    let runtime = runtime(threads)?;
    let load = runtime.spawn(load::compare(threads));
    runtime.block_on(load)?
}

/// Whether all goals are met that a check relies on.
fn run() -> Result<bool, Failure> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            heading();
            runtime(1)?.block_on(single())?;
            for threads in [1, 2] {
                load(threads)?;
            }
        }
        ["--load", threads] => {
            heading();
            load(threads.parse()?)?;
        }
        ["--callgrind"] => {
            instructions::compare()?;
        }
        ["--callgrind", "--check"] => return instructions::compare(),
        ["--fairness"] => {
            heading();
            return runtime(1)?.block_on(fairness::compare());
        }
        ["--case", case, operations] => {
            runtime(1)?.block_on(instructions::run(case, operations.parse()?))?;
        }
        _ => {
            let allowed = "nothing, --load THREADS, --callgrind, --callgrind --check, --fairness, or --case NAME OPERATIONS";
            return Err(format!("allowed: {allowed}").into());
        }
    }
    Ok(true)
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a goal is missed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
