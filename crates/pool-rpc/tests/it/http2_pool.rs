//! HTTP/2 in a pool: gauges count sockets, slots count requests.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use pool_core::{EndpointConfig, EndpointId, EndpointSnapshot, Explanation, Pool, PoolId, Request};
use pool_rpc::{HttpVersion, JsonRpcEndpoint, RpcCall, RpcRequest};

use crate::{
    http2_server::{Order, Server},
    support::{config, until},
};

/// So many sockets, and requests on them.
fn limits(connections: u32, requests: u32) -> EndpointConfig {
    EndpointConfig::default()
        .max_connections(connections)
        .max_requests(requests)
}

async fn pool(server: &Server, settings: EndpointConfig) -> Pool<JsonRpcEndpoint> {
    let config = config(&server.url()).http_version(HttpVersion::Http2PriorKnowledge);
    let endpoint = JsonRpcEndpoint::new(&config).unwrap();
    let pool = Pool::builder(PoolId::new("test").unwrap())
        .endpoint(EndpointId::new("n").unwrap(), endpoint, settings)
        .build()
        .unwrap();
    until("the endpoint is healthy", || {
        pool.explain().iter().all(Explanation::is_usable)
    })
    .await;
    pool
}

fn method(name: &'static str) -> RpcCall {
    RpcCall::new(RpcRequest::raw(name, None))
}

fn state(pool: &Pool<JsonRpcEndpoint>) -> EndpointSnapshot {
    pool.snapshot().endpoints[0].clone()
}

/// Runs methods at once, each in a task of its own.
fn run_all(
    pool: &Pool<JsonRpcEndpoint>,
    name: &'static str,
    count: usize,
) -> Vec<tokio::task::JoinHandle<Result<String, String>>> {
    let run = |pool: Pool<JsonRpcEndpoint>| async move {
        let call = method(name);
        let request: Request = call.pool_request();
        let answer = pool.run(&call, &request).await;
        answer
            .map(|result| result.get().to_owned())
            .map_err(|error| format!("{error:?}"))
    };
    (0..count).map(|_| tokio::spawn(run(pool.clone()))).collect()
}

#[tokio::test]
async fn gauges_count_sockets_and_slots_count_requests() {
    let server = Server::start(None).await;
    let pool = pool(&server, limits(2, 8)).await;
    run_all(&pool, "eth_chainId", 1).remove(0).await.unwrap().unwrap();
    let idle = state(&pool);
    assert_eq!((idle.connections_active, idle.connections_idle), (0, 1));

    let calls = run_all(&pool, "slow", 5);
    until("all are under way", || server.seen.under_way.load(SeqCst) == 5).await;
    let busy = state(&pool);
    assert_eq!((busy.connections_active, busy.connections_idle), (1, 0));
    assert_eq!((busy.connections_created, busy.slots_active), (1, 5));
    assert_eq!(
        server.seen.open.load(SeqCst),
        2,
        "the pool's, and that of the checks"
    );

    server.seen.nudge.notify_waiters();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "\"slow\"");
    }
    let idle = state(&pool);
    assert_eq!((idle.connections_active, idle.connections_idle), (0, 1));
    assert_eq!(idle.slots_active, 0);

    pool.close(Duration::from_secs(1)).await;
    drop(pool);
    until("all sockets are closed", || server.seen.open.load(SeqCst) == 0).await;
}

#[tokio::test]
async fn the_first_requests_share_one_socket() {
    let server = Server::start(None).await;
    let pool = pool(&server, limits(1, 100)).await;
    let calls = run_all(&pool, "slow", 60);
    until("all are under way", || server.seen.under_way.load(SeqCst) == 60).await;
    assert_eq!(state(&pool).connections_created, 1);
    server.seen.nudge.notify_waiters();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_nodes_limit_on_streams_is_kept() {
    let server = Server::start(Some(3)).await;
    let pool = pool(&server, limits(3, 9)).await;
    let calls = run_all(&pool, "slow", 9);
    until("all are under way", || server.seen.under_way.load(SeqCst) == 9).await;
    assert_eq!(server.seen.most.load(SeqCst), 3);
    let busy = state(&pool);
    assert_eq!((busy.connections_active, busy.connections_idle), (3, 0));
    server.seen.nudge.notify_waiters();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_goodbye_moves_new_requests_to_a_new_connection() {
    let server = Server::start(None).await;
    let pool = pool(&server, limits(2, 100)).await;
    let under_way = run_all(&pool, "slow", 3);
    until("all are under way", || server.seen.under_way.load(SeqCst) == 3).await;
    server.order(Order::GoAway);
    for _ in 0..20 {
        run_all(&pool, "eth_chainId", 1).remove(0).await.unwrap().unwrap();
    }
    let both = state(&pool);
    assert_eq!((both.connections_active, both.connections_created), (1, 2));
    assert_eq!(both.errors.iter().sum::<u64>(), 0, "{both:?}");
    server.seen.nudge.notify_waiters();
    for call in under_way {
        call.await.unwrap().unwrap();
    }
    until("the old one is closed", || {
        state(&pool).connections_destroyed == 1
    })
    .await;
}

#[tokio::test]
async fn a_goodbye_to_an_idle_connection_is_noticed() {
    let server = Server::start(None).await;
    let pool = pool(&server, limits(2, 100)).await;
    run_all(&pool, "eth_chainId", 1).remove(0).await.unwrap().unwrap();
    server.order(Order::GoAway);
    until("the gauge knows", || state(&pool).connections_idle == 0).await;
}

#[tokio::test]
async fn requests_that_are_broken_off_cost_no_connection() {
    let server = Server::start(None).await;
    let pool = pool(&server, limits(1, 100)).await;
    for round in 1..=5 {
        let calls = run_all(&pool, "hang", 6);
        until("all are under way", || server.seen.under_way.load(SeqCst) == 6).await;
        calls.iter().for_each(tokio::task::JoinHandle::abort);
        until("all are reset", || {
            server.seen.resets.lock().unwrap().len() == 6 * round && server.seen.under_way.load(SeqCst) == 0
        })
        .await;
    }
    assert!(run_all(&pool, "reset", 1).remove(0).await.unwrap().is_err());
    let after = state(&pool);
    assert_eq!((after.connections_created, after.connections_idle), (1, 1));
    assert_eq!(after.slots_active, 0);
}
