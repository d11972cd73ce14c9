//! Following over real sockets: nodes that lag, limit ranges and fail at random.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use devnet::{ChainConfig, Faults, Node, NodeConfig, RpcError as Injected, When};
use pool_core::{EndpointConfig, EndpointId, ErrorType, Operation, Pool, PoolConfig, PoolId};
use pool_rpc::{JsonRpcEndpoint, RpcConfig, RpcConn, classify};
use tokio::sync::watch;

use super::{BlockRange, Failures, Follower, Looked, blocks, comet, evm};
use crate::config::{Chain, Escrow, FollowPlan};

/// Blocks never come while a test runs; the head is 1000.
const HOUR: Duration = Duration::from_secs(3_600);
const EVM: Chain = Chain::Evm { chain_id: 1 };

fn cosmos() -> Chain {
    Chain::CometBft {
        network: "test-1".to_owned(),
    }
}

fn escrow_address() -> String {
    let bytes = devnet::escrow_address();
    bytes
        .iter()
        .fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

async fn node(chain: &Arc<devnet::Chain>, faults: Faults) -> Node {
    let config = NodeConfig {
        faults,
        ..NodeConfig::default()
    };
    Node::start(Arc::clone(chain), config).await.unwrap()
}

fn endpoint(node: &Node, chain: &Chain) -> JsonRpcEndpoint {
    JsonRpcEndpoint::new(&RpcConfig::new(node.url().parse().unwrap(), chain.probe())).unwrap()
}

async fn dial(node: &Node, chain: &Chain) -> RpcConn {
    endpoint(node, chain).dial().await.unwrap()
}

fn lagging() -> Faults {
    Faults {
        lag_blocks: 5,
        ..Faults::default()
    }
}

#[tokio::test]
async fn a_node_that_lags_does_not_hide_logs() {
    let chain = Arc::new(devnet::Chain::new(ChainConfig::evm(1, HOUR)).unwrap());
    let (good, late) = (
        node(&chain, Faults::default()).await,
        node(&chain, lagging()).await,
    );
    let logs = |from, to| evm::Logs::new(BlockRange { from, to }, &escrow_address(), &[]).unwrap();

    let all = logs(900, 1_000).call(&mut dial(&good, &EVM).await).await.unwrap();
    assert!(matches!(all, Looked::Complete { logs: 50.. }), "{all:?}");
    let mut late = dial(&late, &EVM).await;
    assert_eq!(
        logs(900, 1_000).call(&mut late).await.unwrap(),
        Looked::NodeBehind { head: 995 }
    );
    // what it has is as good as anybody's
    let some = logs(900, 995).call(&mut late).await.unwrap();
    let same = logs(900, 995).call(&mut dial(&good, &EVM).await).await.unwrap();
    assert_eq!(some, same);
    assert_ne!(some, all, "there are logs in the last five blocks");
}

#[tokio::test]
async fn comet_events_are_found_and_a_node_without_the_block_says_so() {
    let cosmos = cosmos();
    let chain = Arc::new(devnet::Chain::new(ChainConfig::cometbft("test-1", HOUR)).unwrap());
    let (good, late) = (
        node(&chain, Faults::default()).await,
        node(&chain, lagging()).await,
    );
    let events = comet::Events::new(BlockRange { from: 981, to: 1_000 }, &["escrow".to_owned()]);

    let all = events.call(&mut dial(&good, &cosmos).await).await.unwrap();
    assert!(matches!(all, Looked::Complete { logs: 10.. }), "{all:?}");
    let error = events.call(&mut dial(&late, &cosmos).await).await.unwrap_err();
    let verdict = classify(&error);
    assert_eq!(
        (verdict.error_type, verdict.retry_elsewhere),
        (ErrorType::Unavailable, true),
        "{error}"
    );
    assert_eq!(
        comet::Head.call(&mut dial(&good, &cosmos).await).await.unwrap(),
        1_000
    );
}

/// Follows 300 blocks of the past on these nodes until all logs are looked at.
async fn follow_all(chain: Chain, nodes: &[Node], escrow: Escrow) -> Follower {
    let mut settings = PoolConfig::default();
    // the nodes fail often on purpose, and that must not take them out of the choice
    settings.breaker.consecutive_failures = 0;
    settings.breaker.failure_ratio = 1.0;
    settings.backoff_max = Duration::from_millis(50);
    let builder = Pool::builder(PoolId::new("test").unwrap()).config(settings);
    let pool = nodes
        .iter()
        .enumerate()
        .fold(builder, |builder, (i, node)| {
            let id = EndpointId::new(format!("node-{i}")).unwrap();
            builder.endpoint(id, endpoint(node, &chain), EndpointConfig::default())
        })
        .build()
        .unwrap();
    let follower = Arc::new(Follower {
        costs: Default::default(),
        pool,
        chain,
        plan: FollowPlan {
            poll_interval: Duration::from_millis(20),
            lookback: 299,
            escrow: Some(escrow),
            ..FollowPlan::default()
        },
        failures: Mutex::new(Failures::default()),
        head: 0.into(),
        complete_to: 0.into(),
    });
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(blocks::follow(Arc::clone(&follower), stopped));
    let complete = async {
        while follower.complete_to.load(Ordering::Relaxed) < 1_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), complete).await;
    assert!(
        in_time.is_ok(),
        "complete only to {}",
        follower.complete_to.load(Ordering::Relaxed)
    );
    stop.send_replace(true);
    task.await.unwrap();
    Arc::into_inner(follower).expect("the follower's task has ended")
}

/// Fails this share of the calls, and none of the health checks'.
fn sick(method: &str, share: f64, faults: Faults) -> Faults {
    let mut error = Injected::new(-32603, "internal error");
    error.when = When {
        methods: vec![method.to_owned()],
        probability: share,
    };
    Faults {
        rpc_errors: vec![error],
        ..faults
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_evm_logs_are_found_whatever_the_nodes_do() {
    let mut config = ChainConfig::evm(1, HOUR);
    // far less than the plan asks for at once: ranges must be split
    config.max_log_range = 13;
    let chain = Arc::new(devnet::Chain::new(config).unwrap());
    let sick = |faults| sick("eth_getLogs", 0.5, faults);
    let nodes = [
        node(&chain, sick(Faults::default())).await,
        node(&chain, sick(lagging())).await,
    ];
    let escrow = Escrow::Evm {
        address: escrow_address(),
        topics: vec![],
        view_call: None,
    };
    let follower = follow_all(EVM, &nodes, escrow).await;
    assert_eq!(follower.head.load(Ordering::Relaxed), 1_000);
    let asked = |node: &Node| node.stats().requests.get("eth_getLogs").copied().unwrap_or(0);
    assert!(nodes.iter().all(|node| asked(node) > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_comet_events_are_found_whatever_the_nodes_do() {
    let chain = Arc::new(devnet::Chain::new(ChainConfig::cometbft("test-1", HOUR)).unwrap());
    let sick = |faults| sick("block_results", 0.05, faults);
    let nodes = [
        node(&chain, sick(Faults::default())).await,
        node(&chain, sick(lagging())).await,
    ];
    let escrow = Escrow::CometBft {
        events: vec!["escrow".to_owned()],
    };
    follow_all(cosmos(), &nodes, escrow).await;
}
