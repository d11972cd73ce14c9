//! alloy's provider on a pool: what changes is the line that connects.

use std::time::Duration;

use alloy_provider::{Provider as _, ProviderBuilder};
use pool_core::{EndpointConfig, EndpointId, Pool, PoolId, Priority};
use pool_rpc::{JsonRpcEndpoint, PoolHints, PoolTransport, Probe, RpcConfig, expand_env};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut nodes = Pool::builder(PoolId::new("ethereum")?);
    for (id, url) in [
        ("first", "https://one.example/v2/${FIRST_KEY}"),
        ("second", "https://other.example/${SECOND_KEY}"),
    ] {
        let url = expand_env(url, |name| std::env::var(name).ok())?.parse()?;
        let endpoint = JsonRpcEndpoint::new(&RpcConfig::new(url, Probe::Evm { chain_id: 1 }))?;
        nodes = nodes.endpoint(EndpointId::new(id)?, endpoint, EndpointConfig::default());
    }
    let pool = PoolTransport::new(nodes.build()?);

    // before: ProviderBuilder::new().connect_http(url)
    let provider = ProviderBuilder::new().connect_with(&pool).await?;

    let head = provider.get_block_number().await?;
    println!("head {head}, gas price {}", provider.get_gas_price().await?);

    // what one request needs of the pool rides in its meta data
    let urgent = PoolHints::default()
        .priority(Priority::High)
        .timeout(Duration::from_secs(2))
        .min_block(head);
    let nonce = provider
        .client()
        .request::<_, String>(
            "eth_getTransactionCount",
            ("0x00000000219ab540356cBB839Cbe05303d7705Fa", "latest"),
        )
        .map_meta(|meta| urgent.attach(meta))
        .await?;
    println!("nonce {nonce}");
    Ok(())
}
