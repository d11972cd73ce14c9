//! Instructions for each operation, counted by callgrind. They repeat to within a per cent whatever else the machine does.

use std::{hint::black_box, process::Command, sync::Arc};

use pool_core::*;

use super::{
    Failure, SLOTS, Side, cancelled, ours,
    table::{heading, own, row},
    theirs, uncontended,
};

/// What is compared with deadpool, and how many times as much it may cost at the most.
const PAIRS: [(&str, [&str; 2], Option<f64>); 4] = [
    (
        "acquire and succeed, 3 endpoints",
        ["get-deadpool", "get-pool"],
        Some(1.25),
    ),
    ("cancelled waiter", ["cancel-deadpool", "cancel-pool"], Some(1.0)),
    // these have goals in time
    (
        "256 tasks on 16 slots",
        ["load-256-deadpool", "load-256-pool"],
        None,
    ),
    (
        "1024 tasks on 16 slots",
        ["load-1024-deadpool", "load-1024-pool"],
        None,
    ),
];

/// One pick, with few and many endpoints, and how many instructions it may take with few.
const PICKS: [(&str, &str, [usize; 2], Option<f64>); 4] = [
    ("P2C", "pick-p2c", [16, 4096], Some(150.0)),
    ("peak EWMA", "pick-ewma", [16, 4096], Some(400.0)),
    // these look at all
    ("least requests", "pick-least", [3, 16], None),
    ("shortest delay", "pick-delay", [3, 16], None),
];

/// How many times as much a pick among many may cost as one among few, where that has a goal.
const GROWTH: f64 = 1.2;

/// Multiples of the numbers of tasks.
const FEW: u64 = 4 * 1024;
const MANY: u64 = 4 * FEW;
/// Picks are counted alone: a pool of thousands of endpoints takes far longer to come up.
const PICKING: &str = "*Again*pick*";

/// Asks a balancer many times for each pick.
struct Again<B> {
    inner: B,
    times: u64,
}

impl<B: Balancer> Balancer for Again<B> {
    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        for _ in 1..self.times {
            black_box(self.inner.pick(black_box(among), cx));
        }
        self.inner.pick(among, cx)
    }
}

async fn picks(balancer: &str, endpoints: usize, times: u64) -> Result<(), Failure> {
    let balancer: Arc<dyn Balancer> = match balancer {
        "p2c" => Arc::new(Again {
            inner: P2c::new(),
            times,
        }),
        "ewma" => Arc::new(Again {
            inner: PeakEwma::new(),
            times,
        }),
        "least" => Arc::new(Again {
            inner: LeastRequests::new(),
            times,
        }),
        "delay" => Arc::new(Again {
            inner: ShortestDelay::new(),
            times,
        }),
        other => return Err(format!("{other} is no balancer of this benchmark").into()),
    };
    let pool = ours(endpoints, balancer).await?;
    pool.acquire().await?.succeed();
    Ok(())
}

/// Tasks that take turns on one thread, each yielding once while it holds a slot.
async fn taking_turns<S: Side>(side: &S, tasks: u64, operations: u64) -> Result<(), Failure> {
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let side = side.clone();
            tokio::spawn(async move {
                for _ in 0..operations / tasks {
                    let held = side.get().await?;
                    tokio::task::yield_now().await;
                    S::put(held);
                }
                Ok::<_, Failure>(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(())
}

/// What valgrind runs: so many operations of one case.
pub(super) async fn run(case: &str, operations: u64) -> Result<(), Failure> {
    let words: Vec<&str> = case.split('-').collect();
    let usual = || BalancerKind::default().build();
    match words[..] {
        ["get", "deadpool"] => uncontended(&theirs()?, operations).await,
        ["get", "pool"] => uncontended(&ours(3, usual()).await?, operations).await,
        ["cancel", "deadpool"] => cancelled(&theirs()?, operations, SLOTS).await,
        ["cancel", "pool"] => cancelled(&ours(1, usual()).await?, operations, SLOTS).await,
        ["load", tasks, "deadpool"] => taking_turns(&theirs()?, tasks.parse()?, operations).await,
        ["load", tasks, "pool"] => taking_turns(&ours(1, usual()).await?, tasks.parse()?, operations).await,
        ["pick", balancer, endpoints] => picks(balancer, endpoints.parse()?, operations).await,
        _ => Err(format!("{case} is no case; there are {PAIRS:?} and {PICKS:?}").into()),
    }
}

/// Instructions for each operation: those of many less those of few, by the difference.
fn instructions(case: &str, only: Option<&str>) -> Result<f64, Failure> {
    let collected = |operations: u64| -> Result<u64, Failure> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .args(only.map(|function| format!("--toggle-collect={function}")))
            .arg(std::env::current_exe()?)
            .args(["--case", case, &operations.to_string()])
            .output()
            .map_err(|error| format!("valgrind did not start ({error}); install it"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let line = told.lines().find_map(|line| line.split("Collected :").nth(1));
        let count = line.and_then(|count| count.trim().parse().ok());
        count.ok_or_else(|| format!("valgrind told no count: {told}").into())
    };
    Ok((collected(MANY)? as f64 - collected(FEW)? as f64) / (MANY - FEW) as f64)
}

/// Whether all goals are met.
pub(super) fn compare() -> Result<bool, Failure> {
    heading();
    let mut met = true;
    for (name, [theirs, ours], goal) in PAIRS {
        let counts = (vec![instructions(theirs, None)?], vec![instructions(ours, None)?]);
        met &= row(name, counts, "instr", goal);
    }
    for (balancer, case, [few, many], goal) in PICKS {
        let pick = |endpoints: usize| instructions(&format!("{case}-{endpoints}"), Some(PICKING));
        let (among_few, among_many) = (pick(few)?, pick(many)?);
        let name = |endpoints: usize| format!("pick of {balancer}, {endpoints} endpoints");
        met &= own(&name(few), among_few, "instr", goal);
        met &= own(&name(many), among_many, "instr", goal.map(|_| among_few * GROWTH));
    }
    Ok(met)
}
