//! Several nodes of one chain, and a pool over them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use devnet::{Chain, ChainConfig, Faults, Node, NodeConfig, RpcError, When};
use pool_core::{
    EndpointConfig, EndpointId, ErrorType, Pool, PoolConfig, PoolId, Provider, ProviderConfig, ProviderId,
};
use pool_rpc::{JsonRpcEndpoint, MethodRules, Probe, RpcConfig, Timeouts};

use crate::support::{CHAIN_ID, until};

pub(crate) type RpcPool = Pool<JsonRpcEndpoint>;

/// So many nodes of one chain.
pub(crate) async fn evm_nodes<const N: usize>() -> [Node; N] {
    nodes(ChainConfig::evm(CHAIN_ID, Duration::from_secs(600))).await
}

pub(crate) async fn comet_nodes<const N: usize>() -> [Node; N] {
    nodes(ChainConfig::cometbft("test-1", Duration::from_secs(600))).await
}

async fn nodes<const N: usize>(config: ChainConfig) -> [Node; N] {
    let chain = Arc::new(Chain::new(config).unwrap());
    let mut nodes = Vec::new();
    for _ in 0..N {
        let node = Node::start(Arc::clone(&chain), NodeConfig::default());
        nodes.push(node.await.unwrap());
    }
    nodes.try_into().unwrap()
}

/// A node of another chain that claims to be on this one: whatever it says of a block is wrong.
pub(crate) async fn liar() -> Node {
    let config = ChainConfig::evm(CHAIN_ID + 1, Duration::from_secs(600));
    let chain = Arc::new(Chain::new(config).unwrap());
    let node = Node::start(chain, NodeConfig::default()).await.unwrap();
    let chain_id = Some(CHAIN_ID.to_string());
    node.set_faults(Faults {
        chain_id,
        ..Faults::default()
    })
    .unwrap();
    node
}

/// What a pool is built with beside its nodes.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) comet: bool,
    /// Slots of each endpoint; 0 is the default.
    pub(crate) slots: u32,
    pub(crate) config: PoolConfig,
    /// By endpoint; all methods where there is none.
    pub(crate) rules: Vec<MethodRules>,
    /// By endpoint; none where there is no name.
    pub(crate) providers: Vec<&'static str>,
}

impl Setting {
    /// Health checks that notice a stopped node at once.
    pub(crate) fn watchful() -> Self {
        let mut setting = Self::default();
        setting.config.health.interval = Duration::from_millis(100);
        setting.config.health.timeout = Duration::from_millis(100);
        setting.config.health.rise = 1;
        setting.config.health.fall = 1;
        setting
    }
}

/// A pool over these nodes, named `n0`, `n1`..., of which so many are healthy.
pub(crate) async fn pool_of(nodes: &[&Node], healthy: usize, setting: Setting) -> RpcPool {
    // tests count on whose turn it is; the default draws among equals, and by real time
    let balancer = std::sync::Arc::new(pool_core::LeastRequests::new());
    let mut builder = Pool::builder(PoolId::new("test").unwrap())
        .config(setting.config)
        .balancer(balancer)
        .seed(3);
    for (index, node) in nodes.iter().enumerate() {
        let probe = if setting.comet {
            let network = "test-1".to_owned();
            Probe::CometBft { network }
        } else {
            Probe::Evm { chain_id: CHAIN_ID }
        };
        let rules = setting.rules.get(index).cloned().unwrap_or_default();
        let config = RpcConfig::new(node.url().parse().unwrap(), probe)
            .timeouts(Timeouts {
                response: Duration::from_millis(600),
                ..Timeouts::default()
            })
            .methods(rules);
        let mut endpoint = EndpointConfig::default();
        if setting.slots > 0 {
            endpoint = endpoint.max_connections(setting.slots);
        }
        if let Some(name) = setting.providers.get(index) {
            endpoint = endpoint.provider(ProviderId::new(*name).unwrap());
        }
        builder = builder.endpoint(id(index), JsonRpcEndpoint::new(&config).unwrap(), endpoint);
    }
    let names: BTreeSet<_> = setting.providers.iter().collect();
    for name in names {
        let provider = Provider::new(ProviderId::new(*name).unwrap(), &ProviderConfig::default());
        builder = builder.provider(provider.unwrap());
    }
    let pool = builder.build().unwrap();
    until("the endpoints are healthy", || {
        pool.explain().iter().filter(|one| one.is_usable()).count() == healthy
    })
    .await;
    pool
}

pub(crate) fn id(index: usize) -> EndpointId {
    EndpointId::new(format!("n{index}")).unwrap()
}

/// How often a node was called by this method.
pub(crate) fn calls(node: &Node, method: &str) -> u64 {
    node.stats().requests.get(method).copied().unwrap_or(0)
}

/// Errors of this class on this endpoint.
pub(crate) fn errors(pool: &RpcPool, index: usize, class: ErrorType) -> u64 {
    pool.snapshot().endpoints[index].errors[class.index()]
}

/// A node answers these methods with this error.
pub(crate) fn says<const N: usize>(node: &Node, methods: [&str; N], code: i64, message: &str) {
    let mut faults = node.faults();
    faults.rpc_errors.push(RpcError {
        when: When::methods(methods),
        ..RpcError::new(code, message)
    });
    node.set_faults(faults).unwrap();
}

/// A node does not answer this method.
pub(crate) fn hangs(node: &Node, method: &str) {
    node.set_faults(Faults {
        hang: Some(When::methods([method])),
        ..node.faults()
    })
    .unwrap();
}

/// Everything has come back: no slot is taken.
pub(crate) async fn at_rest(pool: &RpcPool) {
    until("all slots are back", || {
        pool.snapshot().endpoints.iter().all(|one| one.slots_active == 0)
    })
    .await;
}
