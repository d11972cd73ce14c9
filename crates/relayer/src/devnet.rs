//! Nodes of our own: what `--devnet` works on.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use devnet::{ChainConfig, Faults, Node, NodeConfig};
use pool_core::{EndpointConfig, EndpointId, PoolConfig, PoolId};
use pool_rpc::RpcConfig;
use tokio::time::{Instant, interval};

use crate::{
    config::{BalancerKind, Chain, Config, EndpointPlan, Escrow, FollowPlan, PoolPlan},
    devnet_scenario::{Episode, Profile, Scenario, everyday},
};

/// How often the scenario is looked at, at normal speed.
const STEP: Duration = Duration::from_millis(500);

/// The providers that serve every chain: near and quick, usual, far and cheap.
const PROVIDERS: [(&str, Profile); 3] = [
    ("near", profile(15.0, 0.4, 0.005, 0.002)),
    ("usual", profile(40.0, 0.5, 0.01, 0.004)),
    ("far", profile(110.0, 0.6, 0.02, 0.01)),
];

const fn profile(median_ms: f64, sigma: f64, slow: f64, errors: f64) -> Profile {
    Profile {
        median_ms,
        sigma,
        slow,
        errors,
    }
}

/// What a devnet is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides all chance.
    pub seed: u64,
    /// No faults, and no latency.
    pub calm: bool,
    /// How much faster than normal the scenario runs.
    pub speed: f64,
    /// Send transactions, too.
    pub transactions: bool,
}

/// Running nodes, by pool. Dropped, they stop.
#[derive(Debug)]
pub struct Devnet {
    pools: Vec<Vec<Node>>,
    options: Options,
}

impl Devnet {
    /// Starts the nodes on free loopback ports, and tells how to work on them.
    ///
    /// # Errors
    /// When a port can't be bound.
    ///
    /// # Cancellation
    /// Dropped, the nodes that were started stop.
    pub async fn start(options: Options) -> anyhow::Result<(Self, Config)> {
        let chains = [
            ("ethereum", ChainConfig::evm(1, Duration::from_secs(3))),
            ("polygon", ChainConfig::evm(137, Duration::from_secs(1))),
            (
                "cosmoshub",
                ChainConfig::cometbft("cosmoshub-4", Duration::from_secs(2)),
            ),
        ];
        let mut pools = Vec::new();
        let mut plans = Vec::new();
        for (number, (id, chain)) in chains.into_iter().enumerate() {
            let seed = options.seed.wrapping_add((number * PROVIDERS.len()) as u64);
            let served = served(&chain)?;
            let nodes = nodes(chain, seed, options.calm)
                .await
                .with_context(|| format!("the devnet nodes of {id} could not be started"))?;
            let endpoints = nodes.iter().zip(PROVIDERS);
            plans.push(PoolPlan {
                id: PoolId::new(id)?,
                plan: follow(&served, &options),
                balancer: BalancerKind::LeastRequests,
                settings: settings(),
                endpoints: endpoints
                    .map(|(node, (provider, _))| endpoint(provider, node, &served))
                    .collect::<Result<_, _>>()?,
                providers: Vec::new(),
                chain: served,
            });
            pools.push(nodes);
        }
        Ok((Self { pools, options }, Config { pools: plans }))
    }

    /// Plays the scenario for ever; when calm it only waits.
    ///
    /// # Cancellation
    /// Dropped, the nodes keep the faults they have.
    pub async fn play(&self) {
        if self.options.calm {
            return std::future::pending().await;
        }
        let scenario = Scenario::new(self.options.seed, self.options.speed);
        let begun = Instant::now();
        let mut steps = interval(STEP.div_f64(self.options.speed.max(1.0)));
        loop {
            let elapsed = steps.tick().await.saturating_duration_since(begun);
            for (pool, nodes) in self.pools.iter().enumerate() {
                let episode = scenario.episode(pool, nodes.len(), elapsed);
                for (number, (node, (provider, profile))) in nodes.iter().zip(PROVIDERS).enumerate() {
                    let faults = scenario.faults(pool, number, nodes.len(), profile, elapsed);
                    if node.faults() != faults {
                        let episode = episode.filter(|(victim, _)| *victim == number);
                        set(node, provider, faults, episode.map(|(_, episode)| episode));
                    }
                }
            }
        }
    }
}

fn set(node: &Node, provider: &str, faults: Faults, episode: Option<Episode>) {
    let chain = &node.chain().config().chain_id;
    match episode {
        Some(episode) => tracing::info!(chain, provider, "devnet: {episode:?} begins"),
        None => tracing::info!(chain, provider, "devnet: back to normal"),
    }
    if let Err(error) = node.set_faults(faults) {
        tracing::error!(%error, "the scenario asks for an impossible fault");
    }
}

/// Starts a node of each provider.
async fn nodes(chain: ChainConfig, seed: u64, calm: bool) -> anyhow::Result<Vec<Node>> {
    let chain = Arc::new(devnet::Chain::new(chain)?);
    let mut nodes = Vec::new();
    for ((_, profile), seed) in PROVIDERS.into_iter().zip(seed..) {
        let config = NodeConfig {
            seed,
            faults: if calm {
                Faults::default()
            } else {
                everyday(profile)
            },
            ..NodeConfig::default()
        };
        nodes.push(Node::start(Arc::clone(&chain), config).await?);
    }
    Ok(nodes)
}

fn served(chain: &ChainConfig) -> anyhow::Result<Chain> {
    Ok(match chain.dialect {
        devnet::Dialect::Evm => Chain::Evm {
            chain_id: chain.chain_id.parse()?,
        },
        devnet::Dialect::CometBft => Chain::CometBft {
            network: chain.chain_id.clone(),
        },
    })
}

fn endpoint(provider: &str, node: &Node, chain: &Chain) -> anyhow::Result<EndpointPlan> {
    Ok(EndpointPlan::new(
        EndpointId::new(provider)?,
        EndpointConfig::default().max_connections(8),
        RpcConfig::new(node.url().parse()?, chain.probe()),
    )?)
}

/// The defaults, but a node that lags is noticed and everything happens a little faster: somebody is watching.
fn settings() -> PoolConfig {
    let mut settings = PoolConfig::default();
    settings.health.interval = Duration::from_secs(2);
    settings.health.timeout = Duration::from_secs(2);
    settings.health.max_lag = Some(10);
    settings
}

fn follow(chain: &Chain, options: &Options) -> FollowPlan {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    };
    FollowPlan {
        poll_interval: Duration::from_millis(500),
        requests_per_second: 20.0,
        escrow: Some(match chain {
            Chain::Evm { .. } => Escrow::Evm {
                address: hex(&devnet::escrow_address()),
                // version()
                view_call: Some("0x54fd4d50".to_owned()),
                topics: vec![
                    hex(&devnet::order_created_topic()),
                    hex(&devnet::secret_revealed_topic()),
                ],
            },
            Chain::CometBft { .. } => Escrow::CometBft {
                events: vec!["escrow".to_owned()],
            },
        }),
        lookback: 50,
        send_transactions: options.transactions.then_some(Duration::from_secs(5)),
        ..FollowPlan::default()
    }
}
