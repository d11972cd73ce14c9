//! One fault, one kind of call, one kind of connection, one or two nodes that have it.

use std::{sync::Arc, time::Duration};

use devnet::{Chain, ChainConfig, Node};
use pool_core::{
    EndpointConfig, EndpointId, ErrorType, Explanation, Pool, PoolConfig, PoolId, PoolSnapshot, Request,
    RunError,
};
use pool_rpc::{JsonRpcEndpoint, RpcError};
use tokio::task::JoinSet;

use crate::{
    cases::{Case, Trouble, cases},
    expect::{First, Pause},
    first,
    lies::{Lie, lies},
    wire::{CHAIN_ID, Wire},
    work::{Answer, Kind, METHODS, Truth, Work},
};

/// The nodes of a cell.
pub(crate) const NODES: usize = 3;
/// Callers at once, and how often each calls.
const CALLERS: u64 = 6;
const ROUNDS: u64 = 3;
/// What a call may take with everything: two time-outs, the pauses after them, and a busy machine.
const DEADLINE: Duration = Duration::from_secs(6);

/// What was done, and how much of it succeeded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    pub(crate) calls: u64,
    pub(crate) successes: u64,
    pub(crate) failures: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Case(Arc<Case>),
    Lie(Arc<Lie>),
}

#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Place in the table.
    pub(crate) order: usize,
    pub(crate) what: What,
    pub(crate) kind: Kind,
    pub(crate) wire: Wire,
    /// So many nodes have the fault.
    pub(crate) faulty: usize,
    seed: u64,
}

impl Cell {
    pub(crate) fn all(seed: u64) -> Vec<Self> {
        let cases = cases().into_iter().map(|case| What::Case(Arc::new(case)));
        let lies = lies().into_iter().map(|lie| What::Lie(Arc::new(lie)));
        let mut cells = Vec::new();
        for (order, what) in cases.chain(lies).enumerate() {
            for wire in Wire::ALL {
                for kind in Kind::ALL {
                    for faulty in 1..NODES {
                        let what = what.clone();
                        let applies = match &what {
                            What::Case(case) => case.applies(wire) && (faulty == 1 || !case.sight),
                            What::Lie(_) => true,
                        };
                        if applies {
                            let seed = seed.wrapping_add(cells.len() as u64 * 10);
                            cells.push(Self {
                                order,
                                what,
                                kind,
                                wire,
                                faulty,
                                seed,
                            });
                        }
                    }
                }
            }
        }
        cells
    }

    pub(crate) fn fault(&self) -> &str {
        match &self.what {
            What::Case(case) => &case.name,
            What::Lie(lie) => lie.name,
        }
    }

    pub(crate) fn seen(&self) -> String {
        match &self.what {
            What::Case(case) => case.first.to_string(),
            What::Lie(lie) => lie.shows.to_string(),
        }
    }

    pub(crate) fn name(&self) -> String {
        let (kind, wire, faulty) = (self.kind.name(), self.wire.name(), self.faulty);
        format!("{} / {kind} / {wire} / {faulty} of {NODES}", self.fault())
    }

    pub(crate) async fn run(&self) -> Result<Row, String> {
        match &self.what {
            What::Case(case) if case.sight => self.sight(case).await,
            What::Case(case) => self.trouble(case).await,
            What::Lie(lie) => crate::lies::run(self, lie).await,
        }
    }

    /// One node, and no pool.
    async fn sight(&self, case: &Case) -> Result<Row, String> {
        let chain = Arc::new(Chain::new(ChainConfig::evm(CHAIN_ID, Duration::from_secs(2))).unwrap());
        let node = self.wire.node(&chain, self.seed).await;
        do_to(&node, &case.trouble).await?;
        let truth = Truth::of(&chain);
        first::sight(case, self.kind, self.wire, &node, &truth).await?;
        Ok(Row::default())
    }

    async fn trouble(&self, case: &Case) -> Result<Row, String> {
        let stage = Stage::new(self, Duration::from_secs(2), PoolConfig::default()).await;
        stage.usable_from(0).await?;
        if self.faulty > 1 && !is_of_connecting(case) {
            // with connections that are open already
            stage.call(self.kind, &|request| request).await.verified()?;
        }
        for node in &stage.nodes[..self.faulty] {
            do_to(node, &case.trouble).await?;
        }
        if self.faulty == 1 {
            first::sight(case, self.kind, self.wire, &stage.nodes[0], &stage.truth).await?;
        }
        let before = stage.pool.snapshot();
        let calls = stage.call(self.kind, &|request| request).await;
        let after = stage.pool.snapshot();
        let row = calls.verified()?;
        let failures = judge(case, self.faulty, &before, &after)?;
        stage.pool.close(Duration::from_secs(1)).await;
        Ok(Row { failures, ..row })
    }
}

async fn do_to(node: &Node, trouble: &Trouble) -> Result<(), String> {
    match trouble {
        Trouble::Faults(faults) => {
            let set = node.set_faults((**faults).clone());
            set.map_err(|error| error.to_string())?;
            node.settled().await.map_err(|error| error.to_string())
        }
        Trouble::Killed => {
            node.stop().await;
            Ok(())
        }
    }
}

fn is_of_connecting(case: &Case) -> bool {
    case.tls || matches!(&case.trouble, Trouble::Faults(faults) if faults.refuse)
}

/// Nodes, the truth about their chain, and a pool over them.
pub(crate) struct Stage {
    pub(crate) nodes: Vec<Node>,
    pub(crate) truth: Arc<Truth>,
    pub(crate) pool: Pool<JsonRpcEndpoint>,
}

impl Stage {
    async fn new(cell: &Cell, block_time: Duration, config: PoolConfig) -> Self {
        Self::with(cell, block_time, config, |_| ()).await
    }

    /// `prepare` sees the nodes before the pool does.
    pub(crate) async fn with(
        cell: &Cell,
        block_time: Duration,
        config: PoolConfig,
        prepare: impl FnOnce(&[Node]),
    ) -> Self {
        let chain = Arc::new(Chain::new(ChainConfig::evm(CHAIN_ID, block_time)).unwrap());
        let mut nodes = Vec::new();
        for place in 0..NODES {
            nodes.push(cell.wire.node(&chain, cell.seed + place as u64).await);
        }
        prepare(&nodes);
        let mut builder = Pool::builder(PoolId::new("matrix").unwrap())
            .config(config)
            .seed(cell.seed);
        for (place, node) in nodes.iter().enumerate() {
            let id = EndpointId::new(format!("n{place}")).unwrap();
            let settings = match cell.wire.is_http2() {
                true => EndpointConfig::default().max_connections(2).max_requests(16),
                false => EndpointConfig::default(),
            };
            builder = builder.endpoint(id, cell.wire.endpoint(node), settings);
        }
        let truth = Arc::new(Truth::of(&chain));
        let pool = builder.build().unwrap();
        Self { nodes, truth, pool }
    }

    /// Waits until the endpoints from this one on may be picked, and none before it.
    pub(crate) async fn usable_from(&self, first: usize) -> Result<(), String> {
        self.until(|it| {
            let mut usable = it.iter().map(Explanation::is_usable).enumerate();
            usable.all(|(place, usable)| usable == (place >= first))
        })
        .await
    }

    /// Waits until something holds of the endpoints.
    pub(crate) async fn until(&self, holds: impl Fn(&[Explanation]) -> bool) -> Result<(), String> {
        for _ in 0..1500 {
            if holds(&self.pool.explain()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let found = self.pool.explain().into_iter();
        let found: Vec<_> = found.map(|it| format!("{it} at {:?}", it.position)).collect();
        Err(format!(
            "the endpoints did not become what they should: {}",
            found.join("; ")
        ))
    }

    /// Calls that were measured on a node.
    pub(crate) fn served(&self, node: usize) -> u64 {
        let requests = self.nodes[node].stats().requests;
        METHODS.iter().filter_map(|method| requests.get(*method)).sum()
    }

    /// Calls from several callers at once.
    pub(crate) async fn call(&self, kind: Kind, demand: &(dyn Fn(Request) -> Request + Sync)) -> Calls {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (pool, truth) = (self.pool.clone(), Arc::clone(&self.truth));
            let works: Vec<_> = (0..ROUNDS)
                .map(|round| Work::new(kind, caller * ROUNDS + round))
                .map(|work| (demand(work.request().timeout(DEADLINE)), work))
                .collect();
            callers.spawn(async move {
                let mut calls = Calls::default();
                for (request, work) in works {
                    calls.one(&pool, &truth, &request, &work).await;
                }
                calls
            });
        }
        let mut all = Calls::default();
        while let Some(calls) = callers.join_next().await {
            all.add(calls.unwrap());
        }
        all
    }
}

/// What calls came to.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) row: Row,
    pub(crate) wrong: Vec<String>,
    pub(crate) errors: Vec<RunError<RpcError>>,
}

impl Calls {
    async fn one(&mut self, pool: &Pool<JsonRpcEndpoint>, truth: &Truth, request: &Request, work: &Work) {
        self.row.calls += 1;
        let before = truth.head();
        let answer = match work {
            Work::Read(_, call) => pool.run(call, request).await.map(Answer::One),
            Work::Batch(_, batch) => pool.run(batch, request).await.map(Answer::Many),
        };
        match answer {
            Ok(answer) => {
                self.row.successes += 1;
                let heads = before..=truth.head();
                self.wrong.extend(truth.refute(work, &answer, &heads).await);
            }
            Err(error) => self.errors.push(error),
        }
    }

    fn add(&mut self, other: Self) {
        self.row.calls += other.row.calls;
        self.row.successes += other.row.successes;
        self.wrong.extend(other.wrong);
        self.errors.extend(other.errors);
    }

    /// No answer is wrong, and 999 of 1000 have come.
    pub(crate) fn verified(&self) -> Result<Row, String> {
        if let Some(wrong) = self.wrong.first() {
            return Err(format!("{} wrong answers: {wrong}", self.wrong.len()));
        }
        let Row { calls, successes, .. } = self.row;
        if successes * 1000 < calls * 999 {
            let error = &self.errors[0];
            let mut text = format!("{successes} of {calls} calls succeeded: {error}");
            let mut source = std::error::Error::source(error);
            while let Some(error) = source {
                text += &format!(": {error}");
                source = error.source();
            }
            return Err(text);
        }
        Ok(self.row)
    }
}

/// Holds what the pool counted against what it should have: the number of attempts that failed on nodes with the fault.
fn judge(case: &Case, faulty: usize, before: &PoolSnapshot, after: &PoolSnapshot) -> Result<u64, String> {
    let mut failures = 0;
    for (place, (before, after)) in before.endpoints.iter().zip(&after.endpoints).enumerate() {
        let id = &after.id;
        if after.slots_active != 0 {
            return Err(format!(
                "{id} has {} slots taken and nobody calls",
                after.slots_active
            ));
        }
        let opened = after.breaker_opened - before.breaker_opened;
        for class in ErrorType::ALL {
            let count = after.errors[class.index()] - before.errors[class.index()];
            let expected = match case.first {
                _ if place >= faulty => false,
                _ if case.breaks && class == ErrorType::Transport => true,
                First::Judged(judgement) => judgement.class == class,
                First::Right => false,
            };
            if count > 0 && !expected {
                let explained = after.health_reason.as_deref().unwrap_or("healthy");
                return Err(format!(
                    "{id} has {count} errors of class {} ({explained})",
                    class.as_str()
                ));
            }
            failures += count;
        }
        let may_open = matches!(case.first, First::Judged(judgement) if judgement.breaker && place < faulty);
        if opened > 0 && !may_open {
            return Err(format!("the breaker of {id} opened {opened} times"));
        }
    }
    let First::Judged(judgement) = case.first else {
        return Ok(failures);
    };
    let retries = after.retries - before.retries;
    if failures == 0 {
        return Err("no attempt met the fault".to_owned());
    }
    // who asks for a connection gets one of another node without asking again
    if retries == 0 && judgement.elsewhere && judgement.class != ErrorType::Connect {
        return Err(format!("{failures} attempts failed and none was tried elsewhere"));
    }
    // who asks for a pause is not asked again before it is over
    let most = CALLERS * faulty as u64;
    if judgement.pause != Pause::None && failures > most {
        return Err(format!(
            "{failures} attempts failed on {faulty} nodes that asked for a pause"
        ));
    }
    Ok(failures)
}
