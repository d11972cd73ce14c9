//! Nodes of one chain, a pool over them, and callers.

use std::{sync::Arc, time::Duration};

use devnet::{Chain, ChainConfig, Node};
use pool_core::{
    Balancer, BalancerKind, EndpointConfig, EndpointId, Explanation, Pool, PoolConfig, PoolId, Request,
    health::HealthReason,
};
use pool_rpc::JsonRpcEndpoint;
use tokio::task::JoinSet;

use crate::{
    calls::Calls,
    cell::{Cell, NODES},
    tour::Tour,
    wire::CHAIN_ID,
    work::{Kind, METHODS, SEND, Truth, Work},
};

/// Callers at once.
pub(crate) const CALLERS: u64 = 6;
/// What a call may take with everything: two time-outs, the pauses after them, and a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// Nodes, the truth about their chain, and a pool over them.
pub(crate) struct Stage {
    pub(crate) nodes: Vec<Node>,
    pub(crate) truth: Arc<Truth>,
    pub(crate) pool: Pool<JsonRpcEndpoint>,
    tour: Arc<Tour>,
    rounds: u64,
}

impl Stage {
    pub(crate) async fn new(cell: &Cell, block_time: Duration, config: PoolConfig) -> Self {
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
        let balancer = match cell.lasts() {
            // what is retried for long exhausts the budget, unless the balancer learns who fails
            true => BalancerKind::PeakEwma,
            false => BalancerKind::default(),
        };
        let tour = Arc::new(Tour::of(balancer.build()));
        let mut builder = Pool::builder(PoolId::new("matrix").unwrap())
            .config(config)
            .balancer(Arc::clone(&tour) as Arc<dyn Balancer>)
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
        Self {
            nodes,
            truth,
            pool,
            tour,
            rounds: cell.rounds(),
        }
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

    /// Transactions that all nodes together were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.nodes.iter().map(sent_to).sum()
    }

    /// Calls from several callers at once, numbered from `base` on, of which each node that may be picked gets one at least.
    pub(crate) async fn call(
        &self,
        kind: Kind,
        base: u64,
        demand: &(dyn Fn(Request) -> Request + Sync),
    ) -> Result<Calls, String> {
        self.tour.begin();
        let mut callers = JoinSet::new();
        let before: Vec<_> = self.nodes.iter().map(sent_to).collect();
        for caller in 0..CALLERS {
            let (pool, truth) = (self.pool.clone(), Arc::clone(&self.truth));
            let rounds = self.rounds;
            let works: Vec<_> = (0..rounds)
                .map(|round| Work::new(kind, base + caller * rounds + round))
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
            if sent > CALLERS * self.rounds {
                return Err(format!(
                    "a node was sent {sent} transactions for {}",
                    CALLERS * self.rounds
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
