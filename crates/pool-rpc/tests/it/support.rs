//! What the tests share.

use std::{sync::Arc, time::Duration};

use devnet::{Chain, ChainConfig, Faults, Node, NodeConfig};
use pool_core::{CheckCx, ConnectCx, Endpoint as _, Report};
use pool_rpc::{JsonRpcEndpoint, Probe, RpcConfig, RpcConn, RpcError, RpcTransport, Timeouts};

pub(crate) const CHAIN_ID: u64 = 31;

pub(crate) async fn evm_node() -> Node {
    let chain = Chain::new(ChainConfig::evm(CHAIN_ID, Duration::from_secs(2))).unwrap();
    Node::start(Arc::new(chain), NodeConfig::default()).await.unwrap()
}

pub(crate) async fn comet_node(network: &str) -> Node {
    let chain = Chain::new(ChainConfig::cometbft(network, Duration::from_secs(2))).unwrap();
    Node::start(Arc::new(chain), NodeConfig::default()).await.unwrap()
}

pub(crate) fn config(url: &str) -> RpcConfig {
    RpcConfig::new(url.parse().unwrap(), Probe::Evm { chain_id: CHAIN_ID })
}

/// An endpoint with this configuration, and a transport of it.
pub(crate) async fn connected(config: &RpcConfig) -> (JsonRpcEndpoint, Arc<RpcTransport>) {
    let endpoint = JsonRpcEndpoint::new(config).unwrap();
    let transport = transport(&endpoint).await;
    (endpoint, transport)
}

/// So short that a test of a hanging node does not last.
pub(crate) fn impatient() -> Timeouts {
    let short = Duration::from_millis(150);
    Timeouts {
        tls: short,
        response: short,
        ..Timeouts::default()
    }
}

pub(crate) fn endpoint(url: &str) -> JsonRpcEndpoint {
    JsonRpcEndpoint::new(&config(url)).unwrap()
}

pub(crate) async fn transport(endpoint: &JsonRpcEndpoint) -> Arc<RpcTransport> {
    Arc::new(
        endpoint
            .connect(&ConnectCx::new(Duration::from_secs(5)))
            .await
            .unwrap(),
    )
}

pub(crate) async fn check(endpoint: &JsonRpcEndpoint) -> Result<Report, RpcError> {
    endpoint.check(&CheckCx::new(Duration::from_secs(5))).await
}

/// Calls `eth_chainId`; the answer's text.
pub(crate) async fn call(conn: &mut RpcConn) -> Result<String, RpcError> {
    conn.call("eth_chainId", None)
        .await
        .map(|result| result.get().to_owned())
}

/// A node with these faults, a fresh connection, one call.
pub(crate) async fn call_with(node: &Node, faults: Faults, url: &str) -> (Result<String, RpcError>, RpcConn) {
    node.set_faults(faults).unwrap();
    let endpoint = JsonRpcEndpoint::new(&config(url).timeouts(impatient())).unwrap();
    let mut conn = endpoint.dial().await.unwrap();
    let answer = call(&mut conn).await;
    (answer, conn)
}

/// Waits until something holds, for at most five seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within five seconds: {what}");
}
