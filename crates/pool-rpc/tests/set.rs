//! A set of pools that follows its plan, on real sockets.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{path::Path, sync::Arc, time::Duration};

use devnet::{Chain, ChainConfig, Node, NodeConfig};
use pool_core::{BuildError, Pool, PoolId, Request};
use pool_rpc::{
    JsonRpcEndpoint, PoolSet, RpcCall, SetError,
    file::{NoSection, PoolPlan, PoolsFile},
};

async fn nodes<const N: usize>() -> [Node; N] {
    let chain = Arc::new(Chain::new(ChainConfig::evm(1, Duration::from_secs(1))).unwrap());
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(
            Node::start(Arc::clone(&chain), NodeConfig::default())
                .await
                .unwrap(),
        );
    }
    nodes.try_into().unwrap_or_else(|_| unreachable!())
}

/// Pools by name, each with the numbers and weights of its nodes.
fn plans(nodes: &[Node], pools: &[(&str, &[(usize, f64)])]) -> Vec<PoolPlan> {
    let mut text = "defaults: {settings: {health: {interval: 100ms}}}\npools:\n".to_owned();
    for (name, endpoints) in pools {
        text += &format!("  - {{id: {name}, dialect: evm, chain_id: 1, endpoints: [");
        for (number, weight) in *endpoints {
            text += &format!(
                "{{id: n{number}, url: '{}', weight: {weight}}}, ",
                nodes[*number].url()
            );
        }
        text += "]}\n";
    }
    PoolsFile::parse::<NoSection>(&text, Path::new("pools.yaml"), |_| None)
        .unwrap()
        .pools
}

async fn call(pool: &Pool<JsonRpcEndpoint>) {
    let call = RpcCall::of("eth_blockNumber", &()).unwrap();
    pool.run(&call, &call.pool_request().timeout(Duration::from_secs(5)))
        .await
        .unwrap();
}

fn ids(set: &PoolSet) -> Vec<&str> {
    set.pools().map(|pool| pool.id().as_str()).collect()
}

#[tokio::test]
async fn the_set_becomes_what_the_plan_says_and_keeps_what_it_can() {
    let nodes = nodes::<3>().await;
    let mut set = PoolSet::start(
        plans(&nodes, &[("a", &[(0, 1.0), (1, 1.0)]), ("b", &[(2, 1.0)])]),
        None,
    )
    .unwrap();
    assert_eq!(ids(&set), ["a", "b"]);
    let (a, b) = (set.get("a").unwrap().clone(), set.get("b").unwrap().clone());
    for pool in [&a, &b] {
        assert!(pool.ready(Duration::from_secs(5)).await);
        call(pool).await;
    }
    // whose turn it is, is drawn: until the first node has had its own
    while a.snapshot().endpoints[0].connections_created == 0 {
        call(&a).await;
    }
    let same = set
        .apply(plans(&nodes, &[("a", &[(0, 1.0), (1, 1.0)]), ("b", &[(2, 1.0)])]))
        .unwrap();
    assert!(same.is_nothing(), "{same:?}");

    let applied = set
        .apply(plans(&nodes, &[("c", &[(1, 1.0)]), ("a", &[(0, 3.0), (2, 1.0)])]))
        .unwrap();
    assert_eq!(ids(&set), ["c", "a"], "in the order of the plan");
    assert_eq!(applied.added, [PoolId::new("c").unwrap()]);
    let [(changed, how)] = &applied.changed[..] else {
        panic!("{applied:?}")
    };
    let names =
        |ids: &[pool_core::EndpointId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(changed.as_str(), "a");
    let lists = [&how.added, &how.changed, &how.removed, &how.replaced].map(|ids| names(ids));
    assert_eq!(lists, ["n2", "n0", "n1", ""]);
    let created = a.snapshot().endpoints[0].connections_created;
    call(&a).await;
    assert_eq!(
        a.snapshot().endpoints[0].connections_created,
        created,
        "its connections stay"
    );
    let [gone] = &applied.removed[..] else {
        panic!("{applied:?}")
    };
    assert_eq!(gone.id(), b.id());
    call(gone).await;
    assert_eq!(gone.close(Duration::from_secs(3)).await.unfinished, 0);

    // the same id leads elsewhere
    let text = format!(
        "pools: [{{id: a, dialect: evm, chain_id: 1, endpoints: [{{id: n0, url: '{}'}}]}}]",
        nodes[1].url()
    );
    let moved = PoolsFile::parse::<NoSection>(&text, Path::new("pools.yaml"), |_| None)
        .unwrap()
        .pools;
    let applied = set.apply(moved).unwrap();
    assert_eq!(names(&applied.changed[0].1.replaced), "n0");
    assert!(a.ready(Duration::from_secs(5)).await);
    let request = Request::new().timeout(Duration::from_secs(5)).idempotent(true);
    a.run(&RpcCall::of("eth_blockNumber", &()).unwrap(), &request)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_cannot_be_changes_nothing_and_a_closed_pool_is_built_anew() {
    let nodes = nodes::<1>().await;
    let mut set = PoolSet::start(plans(&nodes, &[("a", &[(0, 1.0)])]), None).unwrap();
    let twice = plans(&nodes, &[("b", &[(0, 1.0)])])
        .into_iter()
        .chain(plans(&nodes, &[("b", &[(0, 1.0)])]));
    assert_eq!(
        set.apply(twice).unwrap_err(),
        SetError::Twice(PoolId::new("b").unwrap())
    );
    let mut impossible = plans(&nodes, &[("c", &[(0, 1.0)]), ("a", &[(0, 2.0)])]);
    impossible[1].settings.max_attempts = 0;
    assert!(matches!(
        set.apply(impossible),
        Err(SetError::Pool(BuildError::Pool { .. }))
    ));
    assert_eq!(ids(&set), ["a"]);

    set.get("a").unwrap().close(Duration::from_secs(1)).await;
    let applied = set.apply(plans(&nodes, &[("a", &[(0, 1.0)])])).unwrap();
    assert_eq!((applied.added.len(), applied.removed.len()), (1, 0));
    let a = set.get("a").unwrap();
    assert!(a.ready(Duration::from_secs(5)).await);
    call(a).await;
    let reports = set.close(Duration::from_secs(3)).await;
    assert_eq!(reports.len(), 1);
}

/// Pools by name, each with the numbers of its nodes, which all belong to one provider with this quota.
fn of_one_provider(nodes: &[Node], quota: &str, pools: &[(&str, usize)]) -> Vec<PoolPlan> {
    let mut text = format!(
        "defaults: {{settings: {{health: {{interval: 1h}}}}, endpoint: {{provider: acme}}}}\n\
         providers: [{{id: acme, quota: {quota}, costs: {{eth_blockNumber: 10}}}}]\npools:\n"
    );
    for (name, number) in pools {
        let url = nodes[*number].url();
        text += &format!(
            "  - {{id: {name}, dialect: evm, chain_id: 1, endpoints: [{{id: n{number}, url: '{url}'}}]}}\n"
        );
    }
    PoolsFile::parse::<NoSection>(&text, Path::new("pools.yaml"), |_| None)
        .unwrap()
        .pools
}

#[tokio::test]
async fn pools_of_one_provider_share_its_quota_and_keep_what_was_used_when_it_changes() {
    let nodes = nodes::<2>().await;
    let quota = "{per_second: 0.01, burst: 30}";
    let mut set = PoolSet::start(of_one_provider(&nodes, quota, &[("a", 0), ("b", 1)]), None).unwrap();
    for pool in set.pools() {
        assert!(pool.ready(Duration::from_secs(5)).await);
    }
    // three calls for each of the two checks
    let left = |set: &PoolSet| set.provider("acme").unwrap().snapshot().quota_left;
    assert_eq!(left(&set), Some(24));
    let call = RpcCall::of("eth_blockNumber", &()).unwrap();
    let request = call.pool_request_at(&set.costs()).timeout(Duration::from_secs(5));
    for name in ["a", "b"] {
        set.get(name).unwrap().run(&call, &request).await.unwrap();
    }
    assert_eq!(left(&set), Some(4));
    // the last one may owe; then both pools are out
    set.get("a").unwrap().run(&call, &request).await.unwrap();
    for name in ["a", "b"] {
        let refused = set.get(name).unwrap().run(&call, &request).await.unwrap_err();
        assert!(
            refused.to_string().contains("its provider's quota is spent"),
            "{refused}"
        );
    }
    let unchanged = set
        .apply(of_one_provider(&nodes, quota, &[("a", 0), ("b", 1)]))
        .unwrap();
    assert!(unchanged.is_nothing(), "{unchanged:?}");
    assert_eq!(left(&set), Some(0));
    let quota = "{per_second: 1000, burst: 30}";
    let applied = set
        .apply(of_one_provider(&nodes, quota, &[("a", 0), ("b", 1)]))
        .unwrap();
    assert_eq!(applied.providers.len(), 1);
    set.get("b").unwrap().run(&call, &request).await.unwrap();

    let mut unknown = plans(&nodes, &[("a", &[(0, 1.0)])]);
    unknown[0].endpoints[0].config.provider = Some(pool_core::ProviderId::new("acne").unwrap());
    let error = set.apply(unknown).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pool a, endpoint n0: provider acne was not given to the pool"
    );
    assert_eq!(ids(&set), ["a", "b"]);
}
