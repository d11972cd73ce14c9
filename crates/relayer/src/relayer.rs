//! The pools and those who work through them, from start to stop.

use std::{sync::Arc, time::Duration};

use pool_core::{BuildError, CloseReport, Observer, Pool, PoolId, Unusable};
use pool_rpc::JsonRpcEndpoint;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    config::{Config, PoolPlan},
    follow, pool,
};

/// Running pools with their followers.
///
/// Dropped, everything ends at once; [`stop`](Self::stop) ends it in order.
#[derive(Debug)]
pub struct Relayer {
    pools: Vec<Pool<JsonRpcEndpoint>>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Relayer {
    /// Builds all pools, then starts to follow. `seed` decides which reads are made.
    ///
    /// # Errors
    /// [`BuildError`]; then nothing runs.
    pub fn start(config: Config, seed: u64, observer: &Arc<dyn Observer>) -> Result<Self, BuildError> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut pools = Vec::with_capacity(config.pools.len());
        for (plan, seed) in config.pools.into_iter().zip(seed..) {
            let PoolPlan {
                id,
                chain,
                balancer,
                settings,
                endpoints,
                follow,
            } = plan;
            let pool = pool::build(id, settings, balancer, endpoints, Arc::clone(observer))?;
            follow::start(pool.clone(), chain, follow, seed, &stopped, &mut tasks);
            pools.push(pool);
        }
        Ok(Self { pools, tasks, stop })
    }

    /// Tells whether every pool has an endpoint that may be used now, and of the others why not. For `/readyz`.
    pub fn readiness(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
        let pools = self.pools.clone();
        move || {
            let waiting: Vec<_> = pools
                .iter()
                .filter(|pool| pool.snapshot().slots_usable == 0)
                .map(|pool| not_ready(pool.id(), &pool.explain()))
                .collect();
            if waiting.is_empty() {
                Ok(())
            } else {
                Err(waiting.join("; "))
            }
        }
    }

    /// Ends only when one of the tasks does, which it should not: it panicked.
    ///
    /// Cancelling it changes nothing.
    pub async fn failed(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if ended.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Stops following, then closes all pools at once and gives what is under way until the end of `within`. What is
    /// not done then is dropped. Returns each pool's report.
    ///
    /// Cancelled, everything ends at once.
    pub async fn stop(mut self, within: Duration) -> Vec<(PoolId, CloseReport)> {
        self.stop.send_replace(true);
        let mut closing = JoinSet::new();
        for pool in &self.pools {
            let pool = pool.clone();
            closing.spawn(async move { (pool.id().clone(), pool.close(within).await) });
        }
        let mut reports = closing.join_all().await;
        // with all leases back only a few lines of bookkeeping are left to the followers
        if reports.iter().all(|(_, report)| report.unfinished == 0) {
            let ended = async { while self.tasks.join_next().await.is_some() {} };
            let _late = tokio::time::timeout(Duration::from_millis(200), ended).await;
        }
        self.tasks.abort_all();
        reports.sort_by(|(left, _), (right, _)| left.cmp(right));
        reports
    }
}

fn not_ready(pool: &PoolId, reasons: &[Unusable]) -> String {
    let reasons: Vec<_> = reasons
        .iter()
        .map(|unusable| format!("{}: {}", unusable.endpoint, unusable.reason))
        .collect();
    format!("pool {pool} has no usable endpoint ({})", reasons.join(", "))
}
