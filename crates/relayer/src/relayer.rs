//! The pools and those who work through them, from start to stop, and what another file changes in between.

use std::{collections::HashMap, sync::Arc, time::Duration};

use pool_core::{CloseReport, Observer, Pool, PoolId};
use pool_rpc::{
    JsonRpcEndpoint, MethodCosts, PoolSet, SetApplied, SetError,
    file::{Chain, PoolPlan},
};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    config::{Config, FollowPlan},
    follow,
};

/// What is under way on the pools that have left gets so long to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Running pools with their followers.
///
/// Dropped, everything ends at once; [`stop`](Self::stop) ends it in order.
#[derive(Debug)]
pub struct Relayer {
    set: PoolSet,
    followers: HashMap<PoolId, Follower>,
    tasks: JoinSet<()>,
    seed: u64,
}

#[derive(Debug)]
struct Follower {
    chain: Chain,
    plan: FollowPlan,
    costs: MethodCosts,
    stop: watch::Sender<bool>,
}

impl Relayer {
    /// Builds all pools, then starts to follow. `seed` decides which reads are made.
    ///
    /// # Errors
    /// [`SetError`]; then nothing runs.
    pub fn start(config: Config, seed: u64, observer: &Arc<dyn Observer>) -> Result<Self, SetError> {
        let (plans, wanted) = split(config);
        let set = PoolSet::start(plans, Some(Arc::clone(observer)))?;
        let mut relayer = Self {
            set,
            followers: HashMap::new(),
            tasks: JoinSet::new(),
            seed,
        };
        relayer.follow(wanted);
        Ok(relayer)
    }

    /// The pool of this id.
    pub fn pool(&self, id: &str) -> Option<&Pool<JsonRpcEndpoint>> {
        self.set.get(id)
    }

    /// What each pool's requests are given in all: for [`PoolMetrics::request_timeout`](pool_metrics::PoolMetrics::request_timeout).
    pub fn request_timeouts(&self) -> impl Iterator<Item = (&PoolId, Duration)> {
        let followers = self.followers.iter();
        followers.map(|(pool, follower)| (pool, follower.plan.request_timeout))
    }

    /// Notes in the pools' numbers that a configuration was refused.
    pub fn note_refused(&self) {
        self.set.pools().for_each(Pool::note_refused_update);
    }

    /// Makes the pools and what is followed on them what the file says now. What is under way goes on; pools that have
    /// left drain. Whoever follows a chain is disturbed only if that chain or what is followed on it has changed.
    ///
    /// # Errors
    /// [`SetError`]; then nothing has changed.
    pub fn apply(&mut self, config: Config) -> Result<SetApplied, SetError> {
        let (plans, wanted) = split(config);
        let applied = self.set.apply(plans)?;
        for pool in &applied.removed {
            self.followers.remove(pool.id());
            let pool = pool.clone();
            self.tasks.spawn(async move {
                let report = pool.close(DRAIN).await;
                tracing::info!(pool = %pool.id(), unfinished = report.unfinished, "pool closed: the file has it no more");
            });
        }
        self.follow(wanted);
        Ok(applied)
    }

    /// Follows what is wanted; ends what has changed.
    fn follow(&mut self, wanted: Vec<(PoolId, Chain, FollowPlan)>) {
        for ((id, chain, plan), seed) in wanted.into_iter().zip(self.seed..) {
            let costs = self.set.costs();
            let same = |follower: &Follower| {
                (&follower.chain, &follower.plan, &follower.costs) == (&chain, &plan, &costs)
            };
            if self.followers.get(&id).is_some_and(same) {
                continue;
            }
            let Some(pool) = self.set.get(id.as_str()) else {
                continue;
            };
            let (stop, stopped) = watch::channel(false);
            let (what, on) = (plan.clone(), chain.clone());
            follow::start(
                pool.clone(),
                on,
                what,
                costs.clone(),
                seed,
                &stopped,
                &mut self.tasks,
            );
            // the one before hears that nobody can stop it any more, which is as good
            let follower = Follower {
                chain,
                plan,
                costs,
                stop,
            };
            self.followers.insert(id, follower);
        }
    }

    /// Ends only when one of the tasks does by a panic.
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
        for follower in self.followers.values() {
            follower.stop.send_replace(true);
        }
        let mut reports = self.set.close(within).await;
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

/// The pools, and what is wanted of each.
fn split(config: Config) -> (Vec<PoolPlan>, Vec<(PoolId, Chain, FollowPlan)>) {
    let split = |plan: PoolPlan<FollowPlan>| {
        let (pool, follow) = plan.split();
        let wanted = (pool.id.clone(), pool.chain.clone(), follow);
        (pool, wanted)
    };
    config.pools.into_iter().map(split).unzip()
}
