//! Paths, probes and addresses.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::Request;
use pool_core::{NotUsable, PoolId, health::HealthReason};
use pool_metrics::{MetricsServer, PrometheusBridge, Readiness, Routes, RoutesBuilder, ServeError};
use prometheus::Registry;
use tower_service::Service;

use crate::support::{SetPool, ask, serve, start};

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let running = serve(Registry::new()).await;
    for path in ["/metric", "/metrics/", "/pools/", "/index.html"] {
        let reply = ask(running.addrs[0], "GET", path).await;
        assert_eq!(reply.status(), 404, "{path}");
    }
    for method in ["POST", "DELETE", "OPTIONS"] {
        let reply = ask(running.addrs[0], method, "/metrics").await;
        assert_eq!(
            (reply.status(), reply.header("allow")),
            (405, Some("get, head")),
            "{method}"
        );
    }
    // broken requests don't end the server
    let reply = ask(running.addrs[0], "\u{1}", "nonsense").await;
    assert_eq!(reply.status(), 400);
    let reply = ask(running.addrs[0], "GET", "/healthz").await;
    assert_eq!(reply.status(), 200);
}

#[tokio::test]
async fn several_addresses_serve_the_same() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let running = start(MetricsServer::bind(&[any, any], Registry::new()).await.unwrap());
    assert_eq!(running.addrs.len(), 2);
    for addr in &running.addrs {
        let reply = ask(*addr, "GET", "/healthz").await;
        assert_eq!(reply.status(), 200);
    }
}

#[tokio::test]
async fn a_taken_port_is_named_with_what_to_do() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().map(|addr| (taken, addr)).unwrap();
    let error = MetricsServer::bind(&[taken.1], Registry::new())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ServeError::Bind { addr, .. } if *addr == taken.1),
        "{error:?}"
    );
    let said = error.to_string();
    assert!(
        said.contains(&taken.1.to_string()) && said.contains("another process listens there"),
        "{said}"
    );
    assert!(matches!(
        MetricsServer::bind(&[], Registry::new()).await,
        Err(ServeError::NoAddress)
    ));
}

#[tokio::test]
async fn a_condition_of_the_process_counts_too() {
    let ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&ready);
    let routes = Routes::builder(Registry::new()).ready_when(move || {
        if asked.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("the wallet at https://keys/SECRET is locked".to_owned())
        }
    });
    let running = serve(routes.build()).await;
    let reply = ask(running.addrs[0], "GET", "/readyz").await;
    assert_eq!(reply.status(), 503);
    assert_eq!(reply.text(), "not ready: the wallet at https://… is locked\n");
    assert_eq!(ask(running.addrs[0], "GET", "/healthz").await.status(), 200);
    ready.store(true, Ordering::Relaxed);
    let reply = ask(running.addrs[0], "GET", "/readyz").await;
    assert_eq!((reply.status(), reply.text()), (200, "ready\n"));
}

/// What `/readyz` says while `eth` works, `sol` has one sick endpoint and `atom` nothing usable.
async fn ready(readiness: Readiness) -> (u16, String) {
    let bridge = PrometheusBridge::new().unwrap();
    let _well = SetPool::attach(bridge.metrics(), "eth", &["a", "b"]);
    let partly = SetPool::attach(bridge.metrics(), "sol", &["a", "b"]);
    let reason = |text: &str| NotUsable::Unhealthy {
        reason: Some(HealthReason::CheckFailed(text.to_owned())),
    };
    partly.set(|pool, explained| {
        pool.slots_usable = 10;
        explained[0].not_usable = Some(reason("refused"));
    });
    let dark = SetPool::attach(bridge.metrics(), "atom", &["a", "b"]);
    dark.set(|pool, explained| {
        (pool.slots_usable, pool.slots_free) = (0, 0);
        explained[0].not_usable = Some(reason("GET https://KEY.rpc/KEY: 502"));
        explained[1].not_usable = Some(NotUsable::BreakerOpen { wait: None });
    });
    let running = serve(RoutesBuilder::from(&bridge).readiness(readiness).build()).await;
    let reply = ask(running.addrs[0], "GET", "/readyz").await;
    (reply.status(), reply.text().to_owned())
}

const DARK: &str = "not ready: pool atom has no usable endpoint (a: unhealthy (check failed: GET https://… 502), b: \
                    circuit breaker half-open, probes out)";

#[tokio::test]
async fn readiness_is_of_all_pools_of_any_or_of_those_named() {
    let yes = (200, "ready\n".to_owned());
    let id = |id| PoolId::new(id).unwrap();
    assert_eq!(ready(Readiness::All).await, (503, format!("{DARK}\n")));
    assert_eq!(ready(Readiness::Any).await, yes);
    assert_eq!(ready(Readiness::Pools(vec![id("eth"), id("sol")])).await, yes);
    assert_eq!(
        ready(Readiness::Pools(vec![id("eth"), id("atom"), id("btc")])).await,
        (503, format!("{DARK}; pool btc is not there\n"))
    );
}

#[tokio::test]
async fn without_pools_nothing_is_ready_and_in_panic_everything_is() {
    let bridge = PrometheusBridge::new().unwrap();
    for readiness in [Readiness::All, Readiness::Any] {
        let routes = RoutesBuilder::from(&bridge).readiness(readiness).build();
        let running = serve(routes).await;
        let reply = ask(running.addrs[0], "GET", "/readyz").await;
        assert_eq!(
            (reply.status(), reply.text()),
            (503, "not ready: there is no pool yet\n")
        );
    }
    let pool = SetPool::attach(bridge.metrics(), "eth", &["a"]);
    pool.set(|pool, _| (pool.slots_usable, pool.panicking) = (0, true));
    let running = serve(&bridge).await;
    assert_eq!(ask(running.addrs[0], "GET", "/readyz").await.status(), 200);
}

#[tokio::test]
async fn a_pool_that_was_closed_is_no_longer_waited_for() {
    let bridge = PrometheusBridge::new().unwrap();
    let _well = SetPool::attach(bridge.metrics(), "eth", &["a"]);
    let old = SetPool::attach(bridge.metrics(), "old", &["a"]);
    old.set(|pool, _| (pool.closed, pool.slots_usable) = (true, 0));
    let named = Readiness::Pools(vec![PoolId::new("old").unwrap()]);
    for (readiness, expected) in [
        (Readiness::All, "ready\n"),
        (Readiness::Any, "ready\n"),
        (named, "not ready: pool old is not there\n"),
    ] {
        let running = serve(RoutesBuilder::from(&bridge).readiness(readiness).build()).await;
        assert_eq!(ask(running.addrs[0], "GET", "/readyz").await.text(), expected);
    }
}

#[tokio::test]
async fn the_routes_are_a_service_for_the_servers_of_others() {
    /// What axum and tower ask of a service that is mounted.
    fn mountable<S>(service: S) -> S
    where
        S: Service<Request<()>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static,
    {
        service
    }
    let bridge = PrometheusBridge::new().unwrap();
    let _pool = SetPool::attach(bridge.metrics(), "eth", &["a"]);
    let mut routes = mountable(Routes::from(&bridge));
    for (path, status) in [("/", 200), ("/readyz", 200), ("/metrics", 200), ("/other", 404)] {
        let answer = routes.call(Request::get(path).body(()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}
