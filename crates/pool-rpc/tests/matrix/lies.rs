//! What no single answer can tell: a node that lies. Each lie stands here with what meets it.

use std::{fmt, time::Duration};

use devnet::{Faults, Node, RpcError, When};
use pool_core::{ErrorType, Explanation, PoolConfig, RunError};
use pool_rpc::Quorum;

use crate::{
    calls::{Calls, Failed},
    cell::{Cell, NODES, Row},
    expect::{Judgement, told},
    stage::Stage,
    work::{Answer, Kind, METHODS, Work},
};

/// Blocks come fast, so that a head that stands still is soon behind.
const BLOCK_TIME: Duration = Duration::from_millis(20);
/// A second of blocks: honest nodes are never that far apart.
const MAX_LAG: u64 = 50;

#[derive(Clone, Debug)]
pub(crate) struct Lie {
    pub(crate) name: &'static str,
    pub(crate) faults: Faults,
    pub(crate) shows: Shows,
}

/// What shows that it is one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shows {
    /// The health check asks for it. The node is not used from then on.
    Check,
    /// The others' heads, while most nodes are honest; where most are not, whoever needs a height demands it.
    Heads,
    /// Nothing, and it does no harm to what is asked at a block. The honest ones stay in use while they are the most.
    Height,
    /// Nothing. The caller gets it as it is.
    Nothing(Judgement),
}

impl fmt::Display for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check => f.write_str("told by the check, and not used from then on"),
            Self::Heads => f.write_str("told by the others' heads; met by min_position where most nodes lag"),
            Self::Height => f.write_str("not told; it cannot put honest nodes out while they are the most"),
            Self::Nothing(judgement) => {
                write!(
                    f,
                    "not told: {}, for the caller; met by a quorum",
                    judgement.class.as_str()
                )
            }
        }
    }
}

pub(crate) fn lies() -> Vec<Lie> {
    let none = Faults::default;
    let lie = |name, shows, faults| Lie { name, faults, shows };
    let says = |name, code, message: &str, class| {
        let error = RpcError {
            when: When::methods(METHODS),
            ..RpcError::new(code, message)
        };
        let faults = Faults {
            rpc_errors: vec![error],
            ..none()
        };
        lie(name, Shows::Nothing(told(class).callers()), faults)
    };
    vec![
        lie(
            "another chain",
            Shows::Check,
            Faults {
                chain_id: Some("5".to_owned()),
                ..none()
            },
        ),
        lie(
            "syncing",
            Shows::Check,
            Faults {
                syncing: true,
                ..none()
            },
        ),
        lie(
            "lagging",
            Shows::Heads,
            Faults {
                lag_blocks: 500,
                ..none()
            },
        ),
        lie(
            "frozen head",
            Shows::Heads,
            Faults {
                frozen_head: true,
                ..none()
            },
        ),
        lie(
            "a head too high",
            Shows::Height,
            Faults {
                lie_high_blocks: LIE,
                ..none()
            },
        ),
        says("a false revert", 3, "execution reverted", ErrorType::Reverted),
        says("false blame", -32602, "invalid params", ErrorType::InvalidRequest),
        says(
            "a false nonce too low",
            -32000,
            "nonce too low",
            ErrorType::TxRejected,
        ),
        says(
            "a false already known",
            -32000,
            "already known",
            ErrorType::TxRejected,
        ),
    ]
}

/// By so much a head is too high.
const LIE: u64 = 5000;

fn config() -> PoolConfig {
    let mut config = PoolConfig::default();
    config.health.interval = Duration::from_millis(150);
    config.health.max_lag = Some(MAX_LAG);
    config
}

/// One node lies from the beginning; two begin to while the pool is in use.
pub(crate) async fn run(cell: &Cell, lie: &Lie) -> Result<Row, String> {
    let tell = |nodes: &[Node]| {
        for node in &nodes[..cell.faulty] {
            node.set_faults(lie.faults.clone()).unwrap();
        }
    };
    let early = cell.faulty == 1;
    let stage = Stage::with(cell, BLOCK_TIME, config(), |nodes| {
        if early {
            tell(nodes);
        }
    })
    .await;
    if !early {
        stage.usable_from(0).await?;
        tell(&stage.nodes);
    }
    let row = match lie.shows {
        Shows::Check => unused(cell, &stage).await?,
        Shows::Heads if early => unused(cell, &stage).await?,
        Shows::Heads => demanded(cell, &stage).await?,
        Shows::Height => height(cell, &stage).await?,
        Shows::Nothing(judgement) => believed(cell, &stage, judgement).await?,
    };
    stage.pool.close(Duration::from_secs(1)).await;
    Ok(row)
}

fn served(cell: &Cell, stage: &Stage) -> Vec<u64> {
    (0..cell.faulty).map(|node| stage.served(node)).collect()
}

/// Once a check has told, nothing goes to the nodes that lie.
async fn unused(cell: &Cell, stage: &Stage) -> Result<Row, String> {
    stage.unfit_before(cell.faulty).await?;
    let before = served(cell, stage);
    let row = stage.call(cell.kind, 0, &|request| request).await?.verified()?;
    match served(cell, stage) {
        after if after == before => Ok(row),
        after => Err(format!(
            "nodes that lie were asked: {before:?} before, {after:?} after"
        )),
    }
}

/// Most nodes lag alike, so nothing tells who is right; whoever demands a height is served by one that has it.
async fn demanded(cell: &Cell, stage: &Stage) -> Result<Row, String> {
    // a head that stands still must first be behind
    let newest = |it: &[Explanation]| it.iter().map(|it| it.position.unwrap_or(0)).max().unwrap_or(0);
    let shown = |it: &[Explanation]| {
        let newest = newest(it);
        it.iter()
            .take(cell.faulty)
            .all(|liar| liar.position.is_some_and(|at| at + MAX_LAG < newest))
    };
    stage.until(shown).await?;
    let newest = newest(&stage.pool.explain());
    let before = served(cell, stage);
    let calls = stage
        .call(cell.kind, 0, &|request| request.min_position(newest))
        .await?;
    let row = calls.verified()?;
    match served(cell, stage) {
        after if after == before => Ok(row),
        after => Err(format!(
            "nodes below {newest} were asked: {before:?} before, {after:?} after"
        )),
    }
}

/// The honest ones are used, and what is asked at a block is right; only the claimed height itself is wrong.
async fn height(cell: &Cell, stage: &Stage) -> Result<Row, String> {
    let honest = cell.faulty == 1;
    if honest {
        stage.usable_from(0).await?;
    }
    let mut calls = stage.call(cell.kind, 0, &|request| request).await?;
    calls.wrong.retain(|wrong| !wrong.contains("is no head"));
    let row = calls.verified()?;
    let asked: u64 = (cell.faulty..NODES).map(|node| stage.served(node)).sum();
    if honest && asked == 0 {
        return Err("honest nodes were put out by one that lies".to_owned());
    }
    Ok(row)
}

/// The caller gets what the nodes say; nothing is held against them, and nothing is tried again.
async fn believed(cell: &Cell, stage: &Stage, judgement: Judgement) -> Result<Row, String> {
    stage.usable_from(0).await?;
    let before = stage.pool.snapshot();
    let calls = stage.call(cell.kind, 0, &|request| request).await?;
    if cell.kind == Kind::Broadcast {
        // one node that tells the truth is enough
        return calls.verified();
    }
    let Calls {
        row, wrong, errors, ..
    } = calls;
    let items = wrong.iter().filter(|wrong| wrong.contains("ErrorObject")).count();
    if items < wrong.len() {
        return Err(format!("wrong answers: {wrong:?}"));
    }
    for error in &errors {
        let Failed::Run(RunError::Failed {
            verdict, attempts: 1, ..
        }) = error
        else {
            return Err(format!("{error} ({error:?})"));
        };
        if !judgement.holds(verdict) {
            return Err(format!("{error} is judged {verdict:?}, not {judgement:?}"));
        }
    }
    let after = stage.pool.snapshot();
    let opened: u64 = after.endpoints.iter().map(|it| it.breaker_opened).sum();
    if opened > 0 || after.retries > before.retries {
        return Err(format!(
            "{opened} breakers opened, {} retries",
            after.retries - before.retries
        ));
    }
    if errors.is_empty() && items == 0 {
        return Err("no call met the lie".to_owned());
    }
    if cell.faulty == 1 && cell.kind == Kind::Read {
        agreed(stage).await?;
    }
    // no share of successes: it is the liars' to choose
    Ok(Row {
        failures: row.calls - row.successes,
        ..Row::default()
    })
}

/// Two of three know better.
async fn agreed(stage: &Stage) -> Result<(), String> {
    let quorum = Quorum::new(2, NODES).map_err(|error| error.to_string())?;
    for number in 0..6 {
        let work = Work::new(Kind::Read, number);
        let Work::Read(_, call) = &work else {
            return Err("a read is no read".to_owned());
        };
        let agreed = quorum.read(&stage.pool, call).await;
        let agreed = agreed.map_err(|error| format!("no quorum: {error}"))?;
        let answer = Answer::One(agreed.result);
        if let Some(wrong) = stage.truth.refute(&work, &answer, &(0..=0)).await {
            return Err(format!("a quorum is wrong: {wrong}"));
        }
    }
    Ok(())
}
