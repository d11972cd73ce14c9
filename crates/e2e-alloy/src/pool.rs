//! Pools over nodes at hand.

use std::{error::Error, sync::Arc, time::Duration};

use pool_core::{EndpointConfig, EndpointId, Pool, PoolConfig, PoolId, RoundRobin};
use pool_rpc::{JsonRpcEndpoint, Probe, RpcConfig, Timeouts};

/// A pool over these URLs, named `n0`, `n1` and so on, which take turns. Its endpoints are impatient and checked often, so that tests of
/// nodes that hang do not last.
///
/// # Errors
/// When a URL or a setting cannot work.
pub fn pool(
    chain_id: u64,
    urls: impl IntoIterator<Item = String>,
    mut config: PoolConfig,
) -> Result<Pool<JsonRpcEndpoint>, Box<dyn Error>> {
    let timeouts = Timeouts {
        response: Duration::from_millis(500),
        ..Timeouts::default()
    };
    config.health.interval = Duration::from_millis(200);
    let mut builder = Pool::builder(PoolId::new("e2e")?)
        .config(config)
        .balancer(Arc::new(RoundRobin::new()));
    for (index, url) in urls.into_iter().enumerate() {
        let settings = RpcConfig::new(url.parse()?, Probe::Evm { chain_id }).timeouts(timeouts);
        let id = EndpointId::new(format!("n{index}"))?;
        builder = builder.endpoint(id, JsonRpcEndpoint::new(&settings)?, EndpointConfig::default());
    }
    Ok(builder.build()?)
}

/// Waits until so many endpoints may be used, for ten seconds at the most; whether they may.
pub async fn healthy(pool: &Pool<JsonRpcEndpoint>, count: usize) -> bool {
    for _ in 0..1000 {
        if pool
            .explain()
            .iter()
            .filter(|endpoint| endpoint.is_usable())
            .count()
            >= count
        {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}
