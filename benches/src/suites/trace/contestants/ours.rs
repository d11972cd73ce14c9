//! Our pool, with its defaults in everything but the balancer and hedging.
//!
//! It is told what an operator knows: whose account each node is on, how many blocks a node may be behind (the value of
//! `pools.example.yaml`), and, with each call, the block that the answer must know of. Keys are given to the one balancer
//! that looks at them.

use std::{sync::Arc, time::Duration};

use pool_core::{
    BalancerKind, CheckCx, ConnectCx, Endpoint, EndpointConfig, EndpointId, ErrorType, HedgeConfig,
    Operation, Pool, PoolConfig, PoolId, PoolUpdate, Provider, ProviderConfig, ProviderId, RecycleCx, Report,
    Request, Verdict, WallClock,
};

use crate::suites::trace::{
    contestant::{Arena, BoxFuture, Client, Contestant, DEADLINE, Side, attempt},
    node::{Answer, Call, Node, NodeError},
};

/// Blocks that a node may be behind the others, as in `pools.example.yaml`.
const MAX_LAG: u64 = 5;
/// Accounts whose calls belong together, for the balancer that goes by keys.
const KEYS: u64 = 64;

/// The contestant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours {
    pub(crate) balancer: BalancerKind,
    pub(crate) hedged: bool,
    /// Limits are learned, as by default; else each endpoint is given what is configured.
    pub(crate) adaptive: bool,
}

impl Ours {
    /// As an operator would set it.
    pub(crate) fn config(self) -> PoolConfig {
        let mut config = PoolConfig::default();
        config.health.max_lag = Some(MAX_LAG);
        config.hedge = self.hedged.then(HedgeConfig::default);
        if !self.adaptive {
            config.adaptive_concurrency = None;
        }
        config
    }
}

impl Contestant for Ours {
    fn name(&self) -> String {
        format!(
            "ours: {}{}{}",
            self.balancer,
            if self.hedged { " + hedge" } else { "" },
            if self.adaptive { "" } else { ", fixed limits" }
        )
    }

    fn side(&self) -> Side {
        Side::Ours
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Arc<dyn Client>> {
        let ours = *self;
        Box::pin(async move {
            let nodes: Vec<_> = arena.first().cloned().collect();
            let providers = providers(&arena);
            let mut builder = Pool::builder(id(PoolId::new, "trace"))
                .config(ours.config())
                .balancer(ours.balancer.build())
                .wall_clock(WallClock::new(Duration::default))
                .seed(arena.seed);
            for provider in &providers {
                builder = builder.provider(provider.clone());
            }
            for node in &nodes {
                let (endpoint, settings) = described(node);
                builder = builder.endpoint(endpoint, Remote(Arc::clone(node)), settings);
            }
            let pool = builder.build().unwrap_or_else(|error| unreachable!("{error}"));
            pool.ready(DEADLINE).await;
            let members = std::sync::Mutex::new(nodes);
            Arc::new(Caller {
                ours,
                pool,
                members,
                providers,
            }) as Arc<dyn Client>
        })
    }
}

/// An id made of what the model allows.
fn id<T, E: std::fmt::Display>(make: impl FnOnce(String) -> Result<T, E>, text: impl Into<String>) -> T {
    make(text.into()).unwrap_or_else(|error| unreachable!("{error}"))
}

fn provider_name(node: &Node) -> String {
    format!("provider-{}", node.spec.provider)
}

fn described(node: &Node) -> (EndpointId, EndpointConfig) {
    let provider = id(ProviderId::new, provider_name(node));
    (
        id(EndpointId::new, format!("node-{}", node.id)),
        EndpointConfig::default().provider(provider),
    )
}

fn providers(arena: &Arena) -> Vec<Provider> {
    let mut names: Vec<_> = arena.nodes.iter().map(|node| provider_name(node)).collect();
    names.dedup();
    let clock = WallClock::new(Duration::default);
    let provider = |name: String| {
        let made = Provider::with_clock(
            id(ProviderId::new, name),
            &ProviderConfig::default(),
            clock.clone(),
        );
        made.unwrap_or_else(|error| unreachable!("{error}"))
    };
    names.into_iter().map(provider).collect()
}

struct Caller {
    ours: Ours,
    pool: Pool<Remote>,
    members: std::sync::Mutex<Vec<Arc<Node>>>,
    providers: Vec<Provider>,
}

impl Client for Caller {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        let (pool, ours) = (self.pool.clone(), self.ours);
        Box::pin(async move {
            let mut request = Request::new().timeout(DEADLINE).min_position(call.block);
            if ours.balancer == BalancerKind::BoundedHash {
                request = request.key(call.id % KEYS);
            }
            let answer = pool.run(&Asking(call), &request).await;
            // whatever kept the pool from an answer, its caller has none
            answer.map_err(|_| NodeError::TimedOut)
        })
    }

    fn join(&self, node: Arc<Node>) {
        let mut members = self
            .members
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut update = PoolUpdate::new(self.ours.config());
        for provider in &self.providers {
            update = update.provider(provider.clone());
        }
        for member in members.iter() {
            let (endpoint, settings) = described(member);
            update = update.keep(endpoint, settings);
        }
        let (endpoint, settings) = described(&node);
        update = update.endpoint(endpoint, Remote(Arc::clone(&node)), settings);
        self.pool
            .apply(update)
            .unwrap_or_else(|error| unreachable!("{error}"));
        members.push(node);
    }
}

/// The call, as the pool sees it.
struct Asking(Call);

impl Operation<Remote> for Asking {
    type Output = Answer;

    async fn call(&self, conn: &mut Line) -> Result<Answer, NodeError> {
        attempt(&conn.node, self.0).await
    }
}

/// A node, as the pool sees it.
struct Remote(Arc<Node>);

/// A connection, which does not survive the node's next outage.
struct Line {
    node: Arc<Node>,
    outages: usize,
}

impl Endpoint for Remote {
    type Transport = usize;
    type Conn = Line;
    type Error = NodeError;

    async fn connect(&self, _: &ConnectCx) -> Result<usize, NodeError> {
        self.0.connect().await?;
        Ok(self.0.outages())
    }

    async fn open(&self, transport: &Arc<usize>) -> Result<Line, NodeError> {
        Ok(Line {
            node: Arc::clone(&self.0),
            outages: **transport,
        })
    }

    fn is_clean(&self, conn: &Line) -> bool {
        conn.outages == self.0.outages()
    }

    async fn recycle(&self, conn: &mut Line, _: &RecycleCx) -> Result<(), NodeError> {
        if self.is_clean(conn) {
            Ok(())
        } else {
            Err(NodeError::Reset)
        }
    }

    async fn check(&self, _: &CheckCx) -> Result<Report, NodeError> {
        let answer = self.0.check().await?;
        Ok(Report::fit(Some(answer.block)))
    }

    /// As pool-rpc judges them.
    fn classify(&self, error: &NodeError) -> Verdict {
        match error {
            NodeError::Refused => Verdict::of(ErrorType::Connect),
            NodeError::Reset => Verdict::of(ErrorType::Transport),
            NodeError::Http => Verdict::of(ErrorType::HttpStatus),
            NodeError::Payload => Verdict::of(ErrorType::NodeInternal),
            NodeError::TimedOut => Verdict::of(ErrorType::Timeout),
            NodeError::TooMany(None) => Verdict::of(ErrorType::RateLimited),
            NodeError::TooMany(wait) => Verdict::of(ErrorType::RateLimited).with_throttle(*wait),
        }
    }

    /// Height, and whether it is syncing.
    fn check_cost(&self) -> u32 {
        2
    }
}
