//! One fault, one kind of call, one kind of connection, one or two nodes that have it.

use std::{fmt, sync::Arc, time::Duration};

use devnet::{Chain, ChainConfig, Node};
use pool_core::{
    EndpointConfig, EndpointId, ErrorType, Explanation, Pool, PoolConfig, PoolId, PoolSnapshot, Request,
    RunError, health::HealthReason,
};
use pool_rpc::{Broadcast, BroadcastAnswer, BroadcastError, BroadcastSaid, JsonRpcEndpoint, RawTx, RpcError};
use tokio::task::JoinSet;

use crate::{
    cases::{Case, Trouble, cases},
    expect::{First, Pause},
    first,
    lies::{Lie, lies},
    wire::{CHAIN_ID, LONG, Wire},
    work::{Answer, Kind, METHODS, SEND, Truth, Work},
};

/// The nodes of a cell.
pub(crate) const NODES: usize = 3;
/// Callers at once.
const CALLERS: u64 = 6;
/// How often each calls.
const fn rounds(kind: Kind) -> u64 {
    if kind.sends() { 1 } else { 2 }
}
/// Numbers that calls before the trouble begin at.
const WARM: u64 = 300;
/// What a call may take with everything: two time-outs, the pauses after them, and a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

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
                        let applies = applies && adds(&what, kind, wire, faulty);
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

    fn patience(&self) -> Duration {
        match &self.what {
            What::Case(case) => case.patience(),
            What::Lie(_) => LONG,
        }
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
            stage
                .call(self.kind, WARM, &|request| request)
                .await?
                .verified()?;
        }
        for node in &stage.nodes[..self.faulty] {
            do_to(node, &case.trouble).await?;
        }
        if self.faulty == 1 {
            first::sight(case, self.kind, self.wire, &stage.nodes[0], &stage.truth).await?;
        }
        let before = stage.pool.snapshot();
        let calls = stage.call(self.kind, 0, &|request| request).await?;
        let after = stage.pool.snapshot();
        let row = if self.kind == Kind::Send {
            // what may have been taken is not sent again, so a node that fails is its caller's to deal with
            calls.right()?;
            Row::default()
        } else {
            calls.verified()?
        };
        let failures = judge(self, case, &before, &after)?;
        stage.pool.close(Duration::from_secs(1)).await;
        Ok(Row { failures, ..row })
    }
}

/// Whether the kind adds something to the others.
fn adds(what: &What, kind: Kind, wire: Wire, faulty: usize) -> bool {
    let sight = matches!(what, What::Case(case) if case.sight);
    if sight && kind != Kind::Read && !matches!(wire, Wire::Http1 | Wire::TlsHttp2) {
        return false;
    }
    match kind {
        Kind::Read | Kind::Batch => true,
        // to a connection it is a send
        Kind::Broadcast => !sight,
        // one node decides what becomes of it, however many are bad
        Kind::Send => faulty == 1,
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
            builder = builder.endpoint(id, cell.wire.endpoint(node, cell.patience()), settings);
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

    /// Waits until checks have told that the endpoints before this one are unfit, and the others may be picked.
    pub(crate) async fn unfit_before(&self, first: usize) -> Result<(), String> {
        let unfit = |it: &Explanation| matches!(it.health_reason, Some(HealthReason::Unfit(_)));
        self.until(|it| it[..first].iter().all(unfit) && it[first..].iter().all(Explanation::is_usable))
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

    /// Calls from several callers at once, numbered from `base` on.
    pub(crate) async fn call(
        &self,
        kind: Kind,
        base: u64,
        demand: &(dyn Fn(Request) -> Request + Sync),
    ) -> Result<Calls, String> {
        let mut callers = JoinSet::new();
        let before: Vec<_> = self.nodes.iter().map(sent_to).collect();
        for caller in 0..CALLERS {
            let (pool, truth) = (self.pool.clone(), Arc::clone(&self.truth));
            let works: Vec<_> = (0..rounds(kind))
                .map(|round| Work::new(kind, base + caller * rounds(kind) + round))
                .map(|work| (demand(work.request().timeout(DEADLINE)), work))
                .collect();
            callers.spawn(async move {
                let mut calls = Calls::default();
                for (request, work) in works {
                    calls.one(&pool, &truth, request, &work).await;
                }
                calls
            });
        }
        let mut all = Calls::default();
        while let Some(calls) = callers.join_next().await {
            all.add(calls.unwrap());
        }
        for (node, before) in self.nodes.iter().zip(before) {
            let sent = sent_to(node) - before;
            if sent > CALLERS * rounds(kind) {
                return Err(format!(
                    "a node was sent {sent} transactions for {}",
                    CALLERS * rounds(kind)
                ));
            }
        }
        if kind.sends() {
            all.settle(&self.truth).await;
        }
        Ok(all)
    }
}

fn sent_to(node: &Node) -> u64 {
    node.stats().requests.get(SEND).copied().unwrap_or(0)
}

/// What calls came to.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) row: Row,
    pub(crate) wrong: Vec<String>,
    pub(crate) errors: Vec<Failed>,
    /// Transactions, and what their callers believe of them.
    transactions: Vec<(String, Believed)>,
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(crate) enum Failed {
    Run(RunError<RpcError>),
    Broadcast(BroadcastError),
}

/// What a caller was told of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Believed {
    Taken,
    /// Some node may have it.
    Unknown,
    Lost,
}

impl Calls {
    async fn one(&mut self, pool: &Pool<JsonRpcEndpoint>, truth: &Truth, request: Request, work: &Work) {
        self.row.calls += 1;
        let before = truth.head();
        let answer = match work {
            Work::Read(_, call) => pool.run(call, &request).await.map(Answer::One),
            Work::Batch(_, batch) => pool.run(batch, &request).await.map(Answer::Many),
            Work::Broadcast(tx, _) => return self.broadcast(pool, request, tx).await,
            Work::Send(tx, call) => {
                let answer = pool.run(call, &request).await.map(Answer::One);
                self.transactions.push((tx.hash().to_owned(), believed(&answer)));
                answer
            }
        };
        match answer {
            Ok(answer) => {
                self.row.successes += 1;
                let heads = before..=truth.head();
                self.wrong.extend(truth.refute(work, &answer, &heads).await);
            }
            Err(error) => self.errors.push(Failed::Run(error)),
        }
    }

    async fn broadcast(&mut self, pool: &Pool<JsonRpcEndpoint>, request: Request, tx: &RawTx) {
        let hash = tx.hash().to_owned();
        let believed = match Broadcast::new().request(request).send(pool, tx).await {
            Ok(sent) => {
                self.row.successes += 1;
                if sent.hash != hash {
                    self.wrong.push(format!("{} is not the hash {hash}", sent.hash));
                }
                let said = sent.rest.finish().await;
                let took = |said: &&BroadcastSaid| matches!(said.answer, BroadcastAnswer::Accepted);
                if said.iter().filter(took).count() > 1 {
                    self.wrong.push(format!("taken more than once: {said:?}"));
                }
                Believed::Taken
            }
            Err(error) => {
                let believed = if error.maybe_sent() {
                    Believed::Unknown
                } else {
                    Believed::Lost
                };
                self.errors.push(Failed::Broadcast(error));
                believed
            }
        };
        self.transactions.push((hash, believed));
    }

    /// Holds what callers believe of their transactions against what the chain has.
    async fn settle(&mut self, truth: &Truth) {
        let hashes: Vec<_> = self.transactions.iter().map(|(hash, _)| hash.clone()).collect();
        for ((hash, believed), taken) in self.transactions.iter().zip(truth.taken(&hashes).await) {
            match (believed, taken) {
                (Believed::Taken, false) => self.wrong.push(format!("{hash} succeeded and is not there")),
                (Believed::Lost, true) => self.wrong.push(format!("{hash} failed for sure and is there")),
                _ => {}
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.row.calls += other.row.calls;
        self.row.successes += other.row.successes;
        self.wrong.extend(other.wrong);
        self.errors.extend(other.errors);
        self.transactions.extend(other.transactions);
    }

    /// No answer is wrong.
    pub(crate) fn right(&self) -> Result<(), String> {
        match self.wrong.first() {
            Some(wrong) => Err(format!("{} wrong answers: {wrong}", self.wrong.len())),
            None => Ok(()),
        }
    }

    /// No answer is wrong, and 999 of 1000 have come.
    pub(crate) fn verified(&self) -> Result<Row, String> {
        self.right()?;
        let Row { calls, successes, .. } = self.row;
        if successes * 1000 < calls * 999 {
            let error = &self.errors[0];
            return Err(format!("{successes} of {calls} calls succeeded: {error}"));
        }
        Ok(self.row)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error: &dyn std::error::Error = match self {
            Self::Run(error) => error,
            Self::Broadcast(error) => error,
        };
        write!(f, "{error}")?;
        let mut source = error.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// What a caller may believe who sent a transaction through one node.
fn believed(answer: &Result<Answer, RunError<RpcError>>) -> Believed {
    let maybe = |error: &RpcError| pool_rpc::classify(error).maybe_executed;
    match answer {
        Ok(_) => Believed::Taken,
        Err(RunError::Failed { source, .. }) if !maybe(source) => Believed::Lost,
        Err(RunError::Acquire(_)) => Believed::Lost,
        Err(_) => Believed::Unknown,
    }
}

/// Holds what the pool counted against what it should have: the number of attempts that failed on nodes with the fault.
fn judge(cell: &Cell, case: &Case, before: &PoolSnapshot, after: &PoolSnapshot) -> Result<u64, String> {
    let faulty = cell.faulty;
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
    let again = judgement.elsewhere && judgement.class != ErrorType::Connect;
    // a transaction is sent again only where it certainly was not taken; a broadcast asks others by itself
    let again = again
        && match cell.kind {
            Kind::Read | Kind::Batch => true,
            Kind::Send => !judgement.maybe_done,
            Kind::Broadcast => false,
        };
    if retries > 0 && cell.kind == Kind::Send && judgement.maybe_done {
        return Err(format!(
            "{retries} transactions that may have been taken were sent again"
        ));
    }
    if retries == 0 && again {
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
