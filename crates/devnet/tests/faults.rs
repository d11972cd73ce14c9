//! Every fault as it looks on the wire.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::io::ErrorKind;
use std::time::Duration;

use common::{Client, evm_chain, once, start, start_with};
use devnet::{
    Capacity, Delay, Faults, Garbage, HttpBody, HttpError, Latency, Node, NodeConfig, Quota, RpcError,
    TooManyRequests, Truncate, TruncateStyle, When,
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

fn kind(result: std::io::Result<common::Seen>) -> ErrorKind {
    result.expect_err("no answer").kind()
}

#[tokio::test]
async fn without_faults_one_connection_serves_many() {
    let node = start().await;
    let mut client = Client::connect(node.addr()).await.unwrap();
    for _ in 0..20 {
        let seen = client.rpc("eth_blockNumber", json!([])).await.unwrap();
        assert_eq!(seen.json(), json!({"jsonrpc": "2.0", "id": 7, "result": "0x3e8"}));
        assert_eq!(seen.header("content-type"), Some("application/json"));
    }
    let stats = node.stats();
    assert_eq!(
        (
            stats.connections_opened,
            stats.connections_open,
            stats.http_requests
        ),
        (1, 1, 20)
    );
    assert_eq!(stats.requests["eth_blockNumber"], 20);
    assert!(stats.faults.is_empty());
}

#[tokio::test]
async fn latency_delays_the_answer() {
    let latency = Latency {
        when: When::methods(["eth_call"]),
        ..Latency::new(Delay::Constant { ms: 150.0 })
    };
    let node = start_with(Faults {
        latency: Some(latency),
        ..Faults::default()
    })
    .await;
    let before = Instant::now();
    once(&node, "eth_call").await.unwrap();
    assert!(
        before.elapsed() >= Duration::from_millis(150),
        "{:?}",
        before.elapsed()
    );
    once(&node, "eth_chainId").await.unwrap();
    assert_eq!(node.stats().faults["latency"], 1);
}

#[tokio::test]
async fn a_full_node_lets_wait_and_then_refuses() {
    let ms = 300.0;
    let node = start_with(Faults {
        capacity: Some(Capacity { slots: 1, queue: 1 }),
        latency: Some(Latency::new(Delay::Constant { ms })),
        ..Faults::default()
    })
    .await;
    let before = Instant::now();
    let (first, second, third) = tokio::join!(
        once(&node, "eth_chainId"),
        once(&node, "eth_chainId"),
        once(&node, "eth_chainId")
    );
    assert!(
        before.elapsed() >= Duration::from_millis(600),
        "one after the other"
    );
    let mut seen: Vec<_> = [first, second, third].into_iter().map(Result::unwrap).collect();
    seen.sort_by_key(|seen| seen.status);
    assert_eq!(
        seen.iter().map(|seen| seen.status).collect::<Vec<_>>(),
        [200, 200, 429]
    );
    assert_eq!(seen[2].header("retry-after"), None);
    assert_eq!(node.stats().faults["capacity"], 1);
    let none = Faults {
        capacity: Some(Capacity { slots: 0, queue: 9 }),
        ..Faults::default()
    };
    assert!(node.set_faults(none).is_err());
}

#[tokio::test]
async fn reset_is_a_reset_and_not_an_end() {
    let node = start_with(Faults {
        reset: Some(When::always()),
        ..Faults::default()
    })
    .await;
    for _ in 0..5 {
        assert_eq!(kind(once(&node, "eth_chainId").await), ErrorKind::ConnectionReset);
    }
    assert_eq!(node.stats().faults["reset"], 5);
}

#[tokio::test]
async fn hang_answers_nothing_and_keeps_the_connection() {
    let node = start_with(Faults {
        hang: Some(When::methods(["eth_call"])),
        ..Faults::default()
    })
    .await;
    let mut client = Client::connect(node.addr()).await.unwrap();
    assert!(client.rpc("eth_chainId", json!([])).await.is_ok());
    client
        .send("POST", "/", r#"{"jsonrpc":"2.0","id":1,"method":"eth_call"}"#)
        .await
        .unwrap();
    let answer = timeout(Duration::from_millis(300), client.receive_unbounded()).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(
        (node.stats().faults["hang"], node.stats().connections_open),
        (1, 1)
    );
    // The server notices that the client gave up.
    drop(client);
    let gone = async {
        while node.stats().connections_open > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(common::PATIENCE, gone)
        .await
        .expect("the hung connection is given up");
}

#[tokio::test]
async fn http_errors_carry_the_body_they_are_told() {
    let with = async |body| {
        let error = HttpError {
            status: 503,
            body,
            when: When::always(),
        };
        let node = start_with(Faults {
            http_errors: vec![error],
            ..Faults::default()
        })
        .await;
        let seen = once(&node, "eth_chainId").await.unwrap();
        assert_eq!((seen.status, node.stats().faults["http_errors"]), (503, 1));
        seen
    };
    assert_eq!(with(HttpBody::RpcError).await.json()["error"]["code"], 503);
    assert_eq!(with(HttpBody::Answer).await.json()["result"], "0x1");
    assert!(with(HttpBody::Html).await.body.starts_with(b"<html>"));
    assert_eq!(with(HttpBody::Empty).await.body, b"");
}

#[tokio::test]
async fn too_many_requests_says_when_to_come_back() {
    let fault = TooManyRequests {
        retry_after_s: Some(17),
        ..TooManyRequests::default()
    };
    let node = start_with(Faults {
        too_many_requests: Some(fault),
        ..Faults::default()
    })
    .await;
    let seen = once(&node, "eth_chainId").await.unwrap();
    assert_eq!((seen.status, seen.header("retry-after")), (429, Some("17")));
    assert_eq!(
        (&seen.json()["id"], &seen.json()["error"]["code"]),
        (&json!(7), &json!(429))
    );
}

#[tokio::test]
async fn a_quota_serves_its_burst_and_counts_batches_by_call() {
    let quota = Quota {
        per_second: 0.01,
        burst: 3.0,
        retry_after_s: None,
    };
    let node = start_with(Faults {
        quota: Some(quota),
        ..Faults::default()
    })
    .await;
    let mut client = Client::connect(node.addr()).await.unwrap();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    assert_eq!(
        client.post(&format!("[{call},{call}]")).await.unwrap().status,
        200
    );
    assert_eq!(client.post(call).await.unwrap().status, 200);
    let refused = client.post(call).await.unwrap();
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(refused.status, 429);
    assert!((90..=100).contains(&wait), "{wait}");
    // Other faults leave the bucket as it is; a changed quota starts afresh.
    node.set_faults(Faults {
        lag_blocks: 1,
        ..node.faults()
    })
    .unwrap();
    assert_eq!(client.post(call).await.unwrap().status, 429);
    let wider = Quota {
        per_second: 0.01,
        burst: 4.0,
        retry_after_s: Some(9),
    };
    node.set_faults(Faults {
        quota: Some(wider),
        ..Faults::default()
    })
    .unwrap();
    assert_eq!(client.post(call).await.unwrap().status, 200);
}

#[tokio::test]
async fn rpc_errors_come_with_http_200() {
    let error = RpcError {
        data: Some(json!({"hint": "later"})),
        when: When::methods(["eth_call"]),
        ..RpcError::new(-32005, "limit exceeded")
    };
    let node = start_with(Faults {
        rpc_errors: vec![error],
        ..Faults::default()
    })
    .await;
    let seen = once(&node, "eth_call").await.unwrap();
    let expected = json!({"code": -32005, "message": "limit exceeded", "data": {"hint": "later"}});
    assert_eq!((seen.status, &seen.json()["error"]), (200, &expected));
    assert_eq!(once(&node, "eth_chainId").await.unwrap().json()["result"], "0x1");
}

#[tokio::test]
async fn wrong_ids_are_of_the_same_type() {
    let node = start_with(Faults {
        wrong_id: Some(When::always()),
        ..Faults::default()
    })
    .await;
    let mut client = Client::connect(node.addr()).await.unwrap();
    assert_eq!(
        client.rpc("eth_chainId", json!([])).await.unwrap().json()["id"],
        8
    );
    let text = client
        .post(r#"{"jsonrpc":"2.0","id":"a","method":"eth_chainId"}"#)
        .await
        .unwrap()
        .json();
    assert_eq!(text["id"], "a-other");
}

#[tokio::test]
async fn garbage_is_no_json_with_status_200() {
    let node = start_with(Faults {
        garbage: Some(Garbage::default()),
        ..Faults::default()
    })
    .await;
    let seen = once(&node, "eth_chainId").await.unwrap();
    assert_eq!((seen.status, seen.complete), (200, true));
    assert!(serde_json::from_slice::<Value>(&seen.body).is_err());
}

#[tokio::test]
async fn truncated_bodies_arrive_in_part_and_the_connection_ends() {
    for style in [TruncateStyle::ContentLength, TruncateStyle::Chunked] {
        for keep_bytes in [None, Some(0), Some(5), Some(1_000_000)] {
            let cut = Truncate {
                style,
                keep_bytes,
                when: When::always(),
            };
            let node = start_with(Faults {
                truncate: Some(cut),
                ..Faults::default()
            })
            .await;
            let seen = once(&node, "eth_chainId").await.unwrap();
            let whole = r#"{"id":7,"jsonrpc":"2.0","result":"0x1"}"#;
            assert_eq!(
                (seen.status, seen.complete),
                (200, false),
                "{style:?} {keep_bytes:?} {seen:?}"
            );
            let expected = match keep_bytes {
                None => whole.len() / 2,
                Some(keep) => (keep as usize).min(whole.len() - 1),
            };
            match style {
                TruncateStyle::ContentLength => {
                    assert_eq!(
                        seen.header("content-length"),
                        Some(whole.len().to_string().as_str())
                    );
                    assert_eq!(seen.body.len(), expected);
                }
                TruncateStyle::Chunked => {
                    assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
                    assert_eq!(seen.body.is_empty(), expected == 0);
                }
            }
        }
    }
}

#[tokio::test]
async fn close_after_ends_the_connection_unannounced() {
    let node = start_with(Faults {
        close_after: Some(3),
        ..Faults::default()
    })
    .await;
    let mut client = Client::connect(node.addr()).await.unwrap();
    for _ in 0..3 {
        let seen = client.rpc("eth_chainId", json!([])).await.unwrap();
        assert_eq!(
            (seen.status, seen.complete, seen.header("connection")),
            (200, true, None)
        );
    }
    assert!(client.ended().await);
    assert_eq!(node.stats().faults["close_after"], 1);
    // With a delay in between, too, when the server waits for the client and not the other way round.
    let slow = Faults {
        latency: Some(Latency::new(Delay::Constant { ms: 30.0 })),
        ..node.faults()
    };
    node.set_faults(Faults {
        close_after: Some(1),
        ..slow
    })
    .unwrap();
    let mut client = Client::connect(node.addr()).await.unwrap();
    assert_eq!(client.rpc("eth_chainId", json!([])).await.unwrap().status, 200);
    assert!(client.ended().await);
}

#[tokio::test]
async fn refuse_keeps_old_connections_and_refuses_new_ones() {
    let node = start().await;
    let mut client = Client::connect(node.addr()).await.unwrap();
    client.rpc("eth_chainId", json!([])).await.unwrap();
    node.set_faults(Faults {
        refuse: true,
        ..Faults::default()
    })
    .unwrap();
    node.settled().await.unwrap();
    assert_eq!(
        kind(once(&node, "eth_chainId").await),
        ErrorKind::ConnectionRefused
    );
    assert!(client.rpc("eth_chainId", json!([])).await.is_ok());
    assert!(!node.stats().listening);
    node.set_faults(Faults::default()).unwrap();
    node.settled().await.unwrap();
    assert!(once(&node, "eth_chainId").await.is_ok());
}

#[tokio::test]
async fn head_chain_id_and_sync_state_are_bent() {
    let node = start().await;
    let result = async |faults: Faults, method| {
        node.set_faults(faults).unwrap();
        once(&node, method).await.unwrap().json()["result"].clone()
    };
    let none = Faults::default;
    assert_eq!(
        result(
            Faults {
                lag_blocks: 16,
                ..none()
            },
            "eth_blockNumber"
        )
        .await,
        "0x3d8"
    );
    assert_eq!(
        result(
            Faults {
                lie_high_blocks: 16,
                ..none()
            },
            "eth_blockNumber"
        )
        .await,
        "0x3f8"
    );
    assert_eq!(
        result(
            Faults {
                chain_id: Some("5".into()),
                ..none()
            },
            "eth_chainId"
        )
        .await,
        "0x5"
    );
    assert_eq!(
        result(
            Faults {
                chain_id: Some("5".into()),
                ..none()
            },
            "net_version"
        )
        .await,
        "5"
    );
    assert!(
        result(
            Faults {
                syncing: true,
                ..none()
            },
            "eth_syncing"
        )
        .await
        .is_object()
    );
    assert_eq!(result(none(), "eth_syncing").await, false);
}

#[tokio::test]
async fn a_frozen_head_stays_and_catches_up() {
    let config = devnet::ChainConfig::evm(1, Duration::from_millis(5));
    let chain = std::sync::Arc::new(devnet::Chain::new(config).unwrap());
    let frozen = Node::start(chain.clone(), NodeConfig::default()).await.unwrap();
    let fresh = Node::start(chain, NodeConfig::default()).await.unwrap();
    frozen
        .set_faults(Faults {
            frozen_head: true,
            ..Faults::default()
        })
        .unwrap();
    let stuck = frozen.stats().height;
    while fresh.stats().height < stuck + 5 {
        once(&fresh, "eth_blockNumber").await.unwrap();
    }
    let told = once(&frozen, "eth_blockNumber").await.unwrap().json();
    assert_eq!(told["result"], format!("{stuck:#x}"));
    // Setting it again doesn't move it.
    frozen
        .set_faults(Faults {
            frozen_head: true,
            syncing: true,
            ..Faults::default()
        })
        .unwrap();
    assert_eq!(frozen.stats().height, stuck);
    frozen.set_faults(Faults::default()).unwrap();
    assert!(frozen.stats().height >= stuck + 5);
}

#[tokio::test]
async fn faults_combine() {
    let faults = Faults {
        latency: Some(Latency::new(Delay::Constant { ms: 80.0 })),
        http_errors: vec![HttpError {
            status: 502,
            body: HttpBody::Answer,
            when: When::always(),
        }],
        rpc_errors: vec![RpcError::new(-32000, "header not found")],
        wrong_id: Some(When::always()),
        ..Faults::default()
    };
    let node = start_with(faults).await;
    let before = Instant::now();
    let seen = once(&node, "eth_chainId").await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(80));
    assert_eq!(seen.status, 502);
    assert_eq!(seen.json()["error"]["message"], "header not found");
    assert_eq!(seen.json()["id"], 8);
    assert_eq!(node.stats().faults.len(), 4);
}

#[tokio::test]
async fn stop_closes_everything_and_restart_keeps_the_port() {
    let node = start_with(Faults {
        lag_blocks: 16,
        ..Faults::default()
    })
    .await;
    let addr = node.addr();
    let mut client = Client::connect(addr).await.unwrap();
    client.rpc("eth_chainId", json!([])).await.unwrap();
    node.stop().await;
    assert!(client.ended().await);
    assert_eq!(
        kind(once(&node, "eth_chainId").await),
        ErrorKind::ConnectionRefused
    );
    assert_eq!(
        (node.stats().connections_open, node.stats().listening),
        (0, false)
    );
    // Faults set meanwhile don't open the port.
    node.set_faults(Faults {
        lag_blocks: 32,
        refuse: true,
        ..Faults::default()
    })
    .unwrap();
    node.set_faults(Faults {
        lag_blocks: 32,
        ..Faults::default()
    })
    .unwrap();
    node.settled().await.unwrap();
    assert!(!node.stats().listening);
    node.restart().await.unwrap();
    assert_eq!(node.addr(), addr);
    assert_eq!(
        once(&node, "eth_blockNumber").await.unwrap().json()["result"],
        "0x3c8"
    );
}

#[tokio::test]
async fn a_port_taken_meanwhile_is_an_error_and_can_be_tried_again() {
    let node = start().await;
    node.stop().await;
    let thief = std::net::TcpListener::bind(node.addr()).unwrap();
    let error = node.restart().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&node.addr().to_string()), "{error}");
    drop(thief);
    node.restart().await.unwrap();
    assert!(once(&node, "eth_chainId").await.is_ok());
}

#[tokio::test]
async fn dropping_a_node_closes_it() {
    let node = start().await;
    let (addr, control) = (node.addr(), node.control_addr().unwrap());
    let mut client = Client::connect(addr).await.unwrap();
    client.rpc("eth_chainId", json!([])).await.unwrap();
    drop(node);
    assert!(client.ended().await);
    for addr in [addr, control] {
        let refused = async { while Client::connect(addr).await.is_ok() {} };
        timeout(common::PATIENCE, refused)
            .await
            .expect("the port is closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_on_a_multi_thread_runtime() {
    let faults = Faults {
        close_after: Some(2),
        reset: Some(When::sometimes(0.1)),
        ..Faults::default()
    };
    let node = std::sync::Arc::new(start_with(faults).await);
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let node = node.clone();
            tokio::spawn(async move {
                let mut served = 0;
                for _ in 0..10 {
                    served += usize::from(once(&node, "eth_chainId").await.is_ok());
                }
                served
            })
        })
        .collect();
    let mut served = 0;
    for client in clients {
        served += client.await.unwrap();
    }
    let resets = node.stats().faults["reset"];
    assert_eq!(served as u64 + resets, 500);
    assert!((20..100).contains(&resets), "{resets} resets of 500 at 10 %");
}

#[tokio::test]
async fn impossible_faults_change_nothing() {
    let node = start_with(Faults {
        lag_blocks: 3,
        ..Faults::default()
    })
    .await;
    let wrong = Faults {
        hang: Some(When::sometimes(2.0)),
        ..Faults::default()
    };
    assert!(
        node.set_faults(wrong.clone())
            .unwrap_err()
            .to_string()
            .contains("hang.probability is 2")
    );
    assert_eq!(node.faults().lag_blocks, 3);
    let config = NodeConfig {
        faults: wrong,
        ..NodeConfig::default()
    };
    let error = Node::start(evm_chain(), config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
