//! pingora-load-balancing: round robin over the nodes that its own TCP health check finds, once a second, as in pingora's quick
//! start. Its HTTP health check sends a GET without a body, which no JSON-RPC node answers with 200. The call itself goes over
//! hyper-util's client: pingora's own is a part of its proxy. One attempt, as there.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, anyhow};
use pingora_load_balancing::{LoadBalancer, health_check::TcpHealthCheck, selection::RoundRobin};
use tokio::sync::watch;

use crate::suites::{
    live::{
        contestant::{Answer, Arena, Client, Contestant},
        wire::Wire,
    },
    trace::{
        contestant::{BoxFuture, Side},
        node::{Call, NodeError},
    },
};

/// Between two rounds of health checks, as in the quick start.
const FREQUENCY: Duration = Duration::from_secs(1);
/// Steps that a choice may take, as there.
const ITERATIONS: usize = 256;

/// The contestant.
pub(super) struct Pingora;

impl Contestant for Pingora {
    fn name(&self) -> String {
        "pingora round robin".to_owned()
    }

    fn side(&self) -> Side {
        Side::Peer
    }

    fn enter(&self, arena: Arena) -> BoxFuture<Result<Arc<dyn Client>>> {
        Box::pin(async move {
            let addresses: Vec<String> = arena.places.iter().map(|place| place.addr.to_string()).collect();
            let mut balancer = LoadBalancer::<RoundRobin>::try_from_iter(addresses)?;
            balancer.set_health_check(TcpHealthCheck::new());
            balancer.health_check_frequency = Some(FREQUENCY);
            // five nodes one after the other, each with a second until its check has failed, would be slower than it can be
            balancer.parallel_health_check = true;
            let balancer = Arc::new(balancer);
            let (stop, stopped) = watch::channel(false);
            let checking = Arc::clone(&balancer);
            tokio::spawn(async move { checking.run(stopped, None).await });
            balancer
                .select(b"", ITERATIONS)
                .ok_or_else(|| anyhow!("pingora has no backend that is ready"))?;
            Ok(Arc::new(Chooser {
                balancer,
                wire: Wire::new(),
                stop,
            }) as Arc<dyn Client>)
        })
    }
}

struct Chooser {
    balancer: Arc<LoadBalancer<RoundRobin>>,
    wire: Wire,
    stop: watch::Sender<bool>,
}

impl Client for Chooser {
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>> {
        let chosen = self.balancer.select(b"", ITERATIONS);
        let addr = chosen.and_then(|backend| backend.addr.as_inet().copied());
        let wire = self.wire.clone();
        Box::pin(async move { wire.attempt(addr.ok_or(NodeError::Refused)?, call).await })
    }
}

impl Drop for Chooser {
    fn drop(&mut self) {
        // its checks end with it
        self.stop.send_replace(true);
    }
}
