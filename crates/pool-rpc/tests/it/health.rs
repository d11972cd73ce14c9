//! Health probes.

use std::time::Duration;

use devnet::{Faults, RpcError as RpcFault, When};
use pool_core::{CheckCx, Endpoint as _, Report, Unfit};
use pool_rpc::{JsonRpcEndpoint, Probe, RpcConfig, RpcError, WallClock};

use crate::{
    script::{Reply, Server, http},
    support::{CHAIN_ID, check, comet_node, config, endpoint, evm_node, impatient},
};

fn height(report: &Report) -> u64 {
    report.position.unwrap()
}

#[tokio::test]
async fn an_evm_node_is_asked_for_chain_sync_and_height() {
    let node = evm_node().await;
    let endpoint = endpoint(&node.url());
    let before = node.stats().height;
    let report = check(&endpoint).await.unwrap();
    assert_eq!(report.unfit, None);
    assert!(
        (before..=node.stats().height).contains(&height(&report)),
        "{report:?}"
    );

    node.set_faults(Faults {
        chain_id: Some("5".to_owned()),
        syncing: true,
        ..Faults::default()
    })
    .unwrap();
    let wrong = Unfit::WrongChain {
        expected: CHAIN_ID.to_string(),
        found: "5".to_owned(),
    };
    assert_eq!(check(&endpoint).await.unwrap(), Report::unfit(None, wrong));

    node.set_faults(Faults {
        syncing: true,
        ..Faults::default()
    })
    .unwrap();
    assert_eq!(check(&endpoint).await.unwrap().unfit, Some(Unfit::Syncing));

    let refuses = RpcFault {
        when: When::methods(["eth_syncing"]),
        ..RpcFault::new(-32601, "method not found")
    };
    node.set_faults(Faults {
        rpc_errors: vec![refuses],
        ..Faults::default()
    })
    .unwrap();
    assert_eq!(
        check(&endpoint).await.unwrap().unfit,
        None,
        "a node without eth_syncing counts as in sync"
    );
    assert_eq!(
        node.stats().connections_opened,
        1,
        "the probe keeps its connection"
    );
}

#[tokio::test]
async fn a_head_that_is_too_old_is_unfit() {
    let node = evm_node().await;
    let genesis = node.chain().config().genesis_time;
    let head = |at: u64| {
        let clock = WallClock::new(move || Duration::from_secs(genesis + at));
        let config = config(&node.url())
            .max_head_age(Some(Duration::from_secs(60)))
            .wall_clock(clock);
        JsonRpcEndpoint::new(&config).unwrap()
    };
    assert_eq!(check(&head(0)).await.unwrap().unfit, None);
    let old = check(&head(1_000_000_000)).await.unwrap();
    let Some(Unfit::Other(reason)) = old.unfit else {
        panic!("{old:?}")
    };
    assert!(
        reason.starts_with("head block is ") && reason.ends_with(" s old, at most 60 s are allowed"),
        "{reason}"
    );
}

#[tokio::test]
async fn the_heads_age_is_told_where_the_pool_asks_for_it() {
    let node = evm_node().await;
    let genesis = node.chain().config().genesis_time;
    let config = config(&node.url()).wall_clock(WallClock::new(move || Duration::from_secs(genesis + 5000)));
    let endpoint = JsonRpcEndpoint::new(&config).unwrap();
    assert_eq!(check(&endpoint).await.unwrap().age, None, "the call is dearer");
    assert_eq!(node.stats().requests.get("eth_getBlockByNumber"), None);
    let cx = CheckCx::new(Duration::from_secs(5)).head_age(true);
    let report = endpoint.check(&cx).await.unwrap();
    let age = report.age.unwrap();
    assert!(
        report.unfit.is_none() && age <= Duration::from_secs(5000) && age > Duration::from_secs(1000),
        "{report:?}"
    );

    let node = comet_node("test-1").await;
    let probe = Probe::CometBft {
        network: "test-1".to_owned(),
    };
    let endpoint = JsonRpcEndpoint::new(&RpcConfig::new(node.url().parse().unwrap(), probe)).unwrap();
    let report = check(&endpoint).await.unwrap();
    assert!(report.age.is_some(), "it comes with the status: {report:?}");
}

#[tokio::test]
async fn a_comet_node_is_asked_for_network_sync_and_height() {
    let node = comet_node("cosmoshub-4").await;
    let endpoint = |network: &str| {
        let probe = Probe::CometBft {
            network: network.to_owned(),
        };
        let config = RpcConfig::new(node.url().parse().unwrap(), probe).max_head_age(Some(Duration::MAX));
        JsonRpcEndpoint::new(&config).unwrap()
    };
    let report = check(&endpoint("cosmoshub-4")).await.unwrap();
    assert_eq!(
        (report.unfit.as_ref(), height(&report)),
        (None, node.stats().height)
    );
    let wrong = Unfit::WrongChain {
        expected: "osmosis-1".to_owned(),
        found: "cosmoshub-4".to_owned(),
    };
    assert_eq!(check(&endpoint("osmosis-1")).await.unwrap().unfit, Some(wrong));
    node.set_faults(Faults {
        syncing: true,
        ..Faults::default()
    })
    .unwrap();
    assert_eq!(
        check(&endpoint("cosmoshub-4")).await.unwrap().unfit,
        Some(Unfit::Syncing)
    );
}

#[tokio::test]
async fn a_probe_connection_that_went_away_is_replaced_without_a_failed_check() {
    let node = evm_node().await;
    let endpoint = endpoint(&node.url());
    check(&endpoint).await.unwrap();
    node.stop().await;
    assert!(check(&endpoint).await.is_err());
    node.restart().await.unwrap();
    check(&endpoint).await.unwrap();
    // One check takes three calls: the fourth call finds the connection closed, in the middle of nothing.
    node.set_faults(Faults {
        close_after: Some(3),
        ..Faults::default()
    })
    .unwrap();
    for _ in 0..5 {
        check(&endpoint).await.unwrap();
    }
}

#[tokio::test]
async fn a_check_that_is_cancelled_or_fails_does_not_spoil_the_next() {
    let node = evm_node().await;
    let endpoint = JsonRpcEndpoint::new(&config(&node.url()).timeouts(impatient())).unwrap();
    node.set_faults(Faults {
        hang: Some(When::methods(["eth_syncing"])),
        ..Faults::default()
    })
    .unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(50), check(&endpoint))
            .await
            .is_err()
    );
    let timed_out = check(&endpoint).await;
    assert!(
        matches!(timed_out, Err(RpcError::Timeout { .. })),
        "{timed_out:?}"
    );
    node.set_faults(Faults::default()).unwrap();
    assert_eq!(check(&endpoint).await.unwrap().unfit, None);
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_malformed() {
    let odd = r#"{"jsonrpc":"2.0","id":{id},"result":{"a":1}}"#;
    let server = Server::start(Reply::Bytes(http("content-length: {length}\r\n", odd))).await;
    let error = check(&endpoint(&server.url())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed answer: the result of eth_chainId is not what the method returns"
    );
}
