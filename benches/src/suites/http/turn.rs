//! One client's turn.

use std::time::Duration;

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use tokio::{task::JoinSet, time::Instant};

use super::clients::Client;

/// How long a turn is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// So long, and processor time is told.
    Over(Duration),
    /// So many calls of each task; nothing is told. valgrind hides what it takes to read the processor's clock.
    Calls(usize),
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Turn {
    /// Calls a second.
    pub(super) rate: f64,
    /// Microseconds of this process' processor time for each call.
    pub(super) cpu: f64,
    /// What each call took.
    pub(super) took: Vec<Duration>,
}

/// Lets so many tasks call, each one call after the other.
pub(super) async fn turn(client: &Client, in_flight: u32, until: Until) -> Result<Turn> {
    let (time, most) = match until {
        Until::Over(time) => (time, usize::MAX),
        Until::Calls(calls) => (Duration::MAX, calls),
    };
    let cpu = || match until {
        Until::Over(_) => cpu(),
        Until::Calls(_) => Duration::ZERO,
    };
    let (used, begun) = (cpu(), Instant::now());
    let mut tasks = JoinSet::new();
    for number in 0..in_flight {
        let mut caller = client.caller(number);
        tasks.spawn(async move {
            let mut took = Vec::with_capacity(50_000);
            let mut now = Instant::now();
            // at least one, also if the machine has been away for all of the turn
            loop {
                caller.call().await?;
                let ended = Instant::now();
                took.push(ended - now);
                now = ended;
                if now - begun >= time || took.len() >= most {
                    return Ok::<_, anyhow::Error>(took);
                }
            }
        });
    }
    let mut took = Vec::new();
    while let Some(task) = tasks.join_next().await {
        took.extend(task??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let used = (cpu() - used).as_secs_f64();
    let calls = took.len() as f64;
    Ok(Turn {
        rate: calls / seconds,
        cpu: used * 1e6 / calls,
        took,
    })
}

/// Processor time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
