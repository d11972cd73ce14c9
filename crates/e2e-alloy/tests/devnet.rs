//! alloy's client on a pool over nodes that misbehave, beside alloy's own ways to do with many nodes.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

use std::{sync::Arc, time::Duration};

use alloy_network::Ethereum;
use alloy_provider::{PendingTransactionBuilder, Provider as _, ProviderBuilder, RootProvider};
use alloy_rpc_client::{ClientBuilder, RpcClient};
use alloy_transport::layers::{FallbackService, RetryBackoffLayer};
use alloy_transport_http::ReqwestTransport;
use devnet::{
    Chain, ChainConfig, Delay, Faults, Garbage, HttpBody, HttpError, Latency, Node, NodeConfig,
    RpcError as RpcFault, TooManyRequests, Truncate, TruncateStyle, When,
};
use e2e_alloy::{healthy, pool};
use pool_core::{HedgeConfig, Pool, PoolConfig};
use pool_rpc::{JsonRpcEndpoint, PoolHints, PoolTransport};
use tokio::{sync::Mutex, task::JoinSet, time::Instant};

const CHAIN_ID: u64 = 31;
const ADDRESS: &str = "0x00000000219ab540356cbb839cbe05303d7705fa";
const BALANCE: &str = "eth_getBalance";

/// One test at a time: one of them measures.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn nodes(count: u64) -> Vec<Node> {
    nodes_with_blocks_each(count, Duration::from_secs(2)).await
}

async fn nodes_with_blocks_each(count: u64, block_time: Duration) -> Vec<Node> {
    let chain = Arc::new(Chain::new(ChainConfig::evm(CHAIN_ID, block_time)).unwrap());
    let mut nodes = Vec::new();
    for seed in 0..count {
        let config = NodeConfig {
            seed,
            ..NodeConfig::default()
        };
        nodes.push(Node::start(Arc::clone(&chain), config).await.unwrap());
    }
    nodes
}

async fn over(nodes: &[Node]) -> Pool<JsonRpcEndpoint> {
    let urls = nodes.iter().map(Node::url);
    let pool = pool(CHAIN_ID, urls, PoolConfig::default()).unwrap();
    assert!(healthy(&pool, nodes.len()).await, "{:?}", pool.explain());
    pool
}

fn count(nodes: &[Node], method: &str) -> u64 {
    let one = |node: &Node| node.stats().requests.get(method).copied().unwrap_or(0);
    nodes.iter().map(one).sum()
}

fn http(node: &Node) -> ReqwestTransport {
    ReqwestTransport::new(node.url().parse().unwrap())
}

async fn balance(client: &RpcClient) -> Result<String, String> {
    let call = client.request::<_, String>(BALANCE, (ADDRESS, "latest"));
    call.await.map_err(|error| error.to_string())
}

/// Sixteen at a time; how long each took, sorted.
async fn many(client: &RpcClient, calls: usize) -> Vec<Duration> {
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let client = client.clone();
        tasks.spawn(async move {
            let mut took = Vec::new();
            for _ in 0..calls / 16 {
                let begun = Instant::now();
                balance(&client).await.unwrap();
                took.push(begun.elapsed());
            }
            took
        });
    }
    let mut took = tasks.join_all().await.concat();
    took.sort();
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_pool_costs_one_call_for_each_and_alloys_fallback_three() {
    let _alone = ALONE.lock().await;
    const CALLS: usize = 3200;
    let nodes = nodes(3).await;
    for node in &nodes {
        node.set_faults(Faults {
            latency: Some(Latency::new(Delay::Uniform {
                min_ms: 2.0,
                max_ms: 6.0,
            })),
            ..Faults::default()
        })
        .unwrap();
    }
    let fallback = FallbackService::new(nodes.iter().map(http).collect(), 3);
    let ours = PoolTransport::new(over(&nodes).await);
    let mut figures = Vec::new();
    for (name, client) in [
        ("alloy FallbackLayer", RpcClient::new(fallback, true)),
        ("PoolTransport", RpcClient::new(ours, true)),
    ] {
        many(&client, 160).await;
        let before = count(&nodes, BALANCE);
        let took = many(&client, CALLS).await;
        // what lost a race is still on its way
        tokio::time::sleep(Duration::from_millis(50)).await;
        let per_call = (count(&nodes, BALANCE) - before) as f64 / CALLS as f64;
        let at = |quantile: usize| took[took.len() * quantile / 1000];
        println!(
            "{name:20} upstream calls per call {per_call:.3}, p50 {:.1?}, p99 {:.1?}",
            at(500),
            at(990)
        );
        figures.push(per_call);
    }
    assert!(figures[0] > 2.0, "the yardstick is not what it was: {figures:?}");
    assert!((1.0..=1.05).contains(&figures[1]), "{figures:?}");
}

#[tokio::test]
async fn a_retry_layer_above_multiplies_nothing() {
    let _alone = ALONE.lock().await;
    let nodes = nodes(2).await;
    for node in &nodes {
        node.set_faults(Faults {
            rpc_errors: vec![RpcFault {
                when: When::methods([BALANCE]),
                ..RpcFault::new(-32005, "limit exceeded")
            }],
            ..Faults::default()
        })
        .unwrap();
    }
    let layer = || RetryBackoffLayer::new(5, 1, 10_000);
    let plain = ClientBuilder::default()
        .layer(layer())
        .transport(http(&nodes[0]), true);
    assert!(balance(&plain).await.is_err());
    assert_eq!(count(&nodes, BALANCE), 6, "the layer does retry");

    let transport = PoolTransport::new(over(&nodes).await);
    let client = ClientBuilder::default()
        .layer(layer())
        .transport(transport.clone(), true);
    let error = balance(&client).await.unwrap_err();
    println!("{error}");
    assert!(error.contains("limit exceeded"), "{error}");
    assert_eq!(count(&nodes, BALANCE), 6 + 2, "each node once");

    // Both are throttled for a second now. A caller who would not wait so long in the pool is told when to come again,
    // and the layer does: to nodes that are well by then.
    for node in &nodes {
        node.set_faults(Faults::default()).unwrap();
    }
    let hasty = transport.with_hints(PoolHints::default().timeout(Duration::from_millis(100)));
    let client = ClientBuilder::default().layer(layer()).transport(hasty, true);
    assert!(balance(&client).await.is_ok());
    assert_eq!(
        count(&nodes, BALANCE),
        6 + 2 + 1,
        "nothing is sent before its time"
    );
}

#[tokio::test]
async fn reads_are_hedged_and_nothing_else_is() {
    let _alone = ALONE.lock().await;
    const CALLS: u64 = 60;
    let nodes = nodes(3).await;
    for node in &nodes {
        let slow = Latency::new(Delay::Constant { ms: 30.0 });
        let faults = Faults {
            latency: Some(slow),
            ..Faults::default()
        };
        node.set_faults(faults).unwrap();
    }
    let mut config = PoolConfig::default();
    let ms = Duration::from_millis;
    config.hedge = Some(
        HedgeConfig::default()
            .quantile(0.0)
            .delay(ms(1), ms(5))
            .min_samples(1),
    );
    let pool = pool(CHAIN_ID, nodes.iter().map(Node::url), config).unwrap();
    assert!(healthy(&pool, nodes.len()).await);
    let client = RpcClient::new(PoolTransport::new(pool), true);
    for round in 0..CALLS {
        balance(&client).await.unwrap();
        let raw = format!("0xc9808080808080808{round:03x}");
        client
            .request::<_, String>("eth_sendRawTransaction", (raw,))
            .await
            .unwrap();
    }
    tokio::time::sleep(ms(50)).await;
    let counts = [BALANCE, "eth_sendRawTransaction"].map(|method| count(&nodes, method));
    println!("{CALLS} each: reads and transactions were sent {counts:?} times");
    assert!(counts[0] > CALLS, "{counts:?}");
    assert_eq!(counts[1], CALLS);
}

/// Nodes are a block apart all the time. alloy learns of a block from one and asks the next for the receipt.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_found_although_a_node_is_a_block_behind() {
    let _alone = ALONE.lock().await;
    const SENT: u32 = 40;
    let nodes = nodes_with_blocks_each(3, Duration::from_secs(1)).await;
    nodes[0]
        .set_faults(Faults {
            lag_blocks: 1,
            ..Faults::default()
        })
        .unwrap();
    let transport = PoolTransport::new(over(&nodes).await).local(true);
    let connected = ProviderBuilder::<_, _, Ethereum>::default().connect_with(&transport);
    let provider: RootProvider<Ethereum> = connected.await.unwrap();
    provider.client().set_poll_interval(Duration::from_millis(100));
    let mut receipts = JoinSet::new();
    for round in 0..SENT {
        let raw = format!("0xc9808080808080808{round:03x}");
        let sent = provider.client().request("eth_sendRawTransaction", (raw,)).await;
        let pending = PendingTransactionBuilder::<Ethereum>::new(provider.clone(), sent.unwrap());
        receipts
            .spawn(async move { tokio::time::timeout(Duration::from_secs(20), pending.get_receipt()).await });
    }
    let missing: Vec<_> = receipts
        .join_all()
        .await
        .into_iter()
        .filter_map(|receipt| match receipt {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(late) => Some(late.to_string()),
        })
        .collect();
    assert!(missing.is_empty(), "{} of {SENT}: {missing:?}", missing.len());
}

/// Each fault; whether a node may have acted on a transaction that it hits.
fn faults() -> Vec<(&'static str, Faults, bool)> {
    let always = || Some(When::always());
    let http = |status, body| Faults {
        http_errors: vec![HttpError {
            status,
            body,
            when: When::always(),
        }],
        ..Faults::default()
    };
    let busy = |body| Faults {
        too_many_requests: Some(TooManyRequests {
            retry_after_s: Some(1),
            body,
            when: When::always(),
        }),
        ..Faults::default()
    };
    let rpc = |code, message| Faults {
        rpc_errors: vec![RpcFault::new(code, message)],
        ..Faults::default()
    };
    let cut = |style| Faults {
        truncate: Some(Truncate {
            style,
            ..Truncate::default()
        }),
        ..Faults::default()
    };
    let none = Faults::default;
    vec![
        ("429 with a JSON-RPC body", busy(HttpBody::RpcError), false),
        ("429 with a page", busy(HttpBody::Html), false),
        ("500 with a page", http(500, HttpBody::Html), true),
        ("502 with nothing", http(502, HttpBody::Empty), true),
        ("500 with the answer", http(500, HttpBody::Answer), true),
        ("401", http(401, HttpBody::Html), false),
        (
            "hang",
            Faults {
                hang: always(),
                ..none()
            },
            true,
        ),
        (
            "reset",
            Faults {
                reset: always(),
                ..none()
            },
            true,
        ),
        ("truncated", cut(TruncateStyle::ContentLength), true),
        ("truncated chunks", cut(TruncateStyle::Chunked), true),
        (
            "garbage",
            Faults {
                garbage: Some(Garbage::default()),
                ..none()
            },
            true,
        ),
        (
            "wrong id",
            Faults {
                wrong_id: always(),
                ..none()
            },
            true,
        ),
        ("rate limit", rpc(-32005, "limit exceeded"), false),
        ("pruned", rpc(-32000, "missing trie node"), true),
        ("internal", rpc(-32603, "Internal error"), true),
        (
            "closes after each answer",
            Faults {
                close_after: Some(1),
                ..none()
            },
            true,
        ),
        (
            "refuses connections",
            Faults {
                refuse: true,
                ..none()
            },
            false,
        ),
        (
            "wrong chain",
            Faults {
                chain_id: Some("5".to_owned()),
                ..none()
            },
            true,
        ),
        (
            "syncing",
            Faults {
                syncing: true,
                ..none()
            },
            true,
        ),
    ]
}

/// What was asked while a fault was on.
#[derive(Debug, Default)]
struct Tally {
    calls: u32,
    failed: Vec<String>,
}

impl Tally {
    fn note<T: PartialEq + std::fmt::Debug>(&mut self, answer: Result<T, String>, right: &T) {
        self.calls += 1;
        match answer {
            Ok(answer) => assert_eq!(&answer, right, "a wrong answer"),
            Err(error) => self.failed.push(error),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_node_is_no_fault_of_the_pool() {
    let _alone = ALONE.lock().await;
    let right = {
        let nodes = nodes(1).await;
        balance(&RpcClient::new(http(&nodes[0]), true)).await.unwrap()
    };
    for (what, fault, may_act) in faults() {
        let nodes = nodes(3).await;
        let pool = over(&nodes).await;
        let transport = PoolTransport::new(pool.clone());
        let client = RpcClient::new(
            transport.with_hints(PoolHints::default().timeout(Duration::from_secs(5))),
            true,
        );
        // What only a health check can see is not seen before the next one.
        let checked = fault.chain_id.is_some() || fault.syncing;
        // two of three
        nodes[0].set_faults(fault.clone()).unwrap();
        nodes[1].set_faults(fault).unwrap();
        let unusable = || {
            pool.explain()
                .iter()
                .filter(|endpoint| !endpoint.is_usable())
                .count()
        };
        while checked && unusable() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (mut reads, mut batches, mut sends) = (Tally::default(), Tally::default(), Tally::default());
        for round in 0..40_u32 {
            reads.note(balance(&client).await, &right);
            batches.note(batch(&client).await, &(right.clone(), format!("{CHAIN_ID:#x}")));
            let raw = format!("0xc9808080808080808{round:03x}");
            let sent = client
                .request::<_, String>("eth_sendRawTransaction", (raw,))
                .await;
            sends.note(sent.map(|_| ()).map_err(|error| error.to_string()), &());
        }
        let arrived = count(&nodes, "eth_sendRawTransaction");
        println!(
            "{what:26} reads {}/{}, batches {}/{}, transactions {}/{} (sent {arrived} times)",
            reads.calls as usize - reads.failed.len(),
            reads.calls,
            batches.calls as usize - batches.failed.len(),
            batches.calls,
            sends.calls as usize - sends.failed.len(),
            sends.calls,
        );
        assert!(
            reads.failed.is_empty() && batches.failed.is_empty(),
            "{what}: {reads:?} {batches:?}"
        );
        if may_act {
            assert!(
                arrived <= u64::from(sends.calls),
                "{what}: a transaction was sent again"
            );
        } else {
            assert!(sends.failed.is_empty(), "{what}: {sends:?}");
        }
    }
}

async fn batch(client: &RpcClient) -> Result<(String, String), String> {
    let mut batch = client.new_batch();
    let text = |error: alloy_transport::TransportError| error.to_string();
    let balance = batch
        .add_call::<_, String>(BALANCE, &(ADDRESS, "latest"))
        .map_err(text)?;
    let chain = batch.add_call::<_, String>("eth_chainId", &()).map_err(text)?;
    batch.send().await.map_err(text)?;
    Ok((balance.await.map_err(text)?, chain.await.map_err(text)?))
}
