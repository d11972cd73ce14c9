//! Named pools, kept as a plan says while they run.

use std::{sync::Arc, time::Duration};

use pool_core::{
    Applied, BalancerKind, BuildError, CloseReport, EndpointId, Observer, Pool, PoolId, PoolUpdate, Provider,
    ProviderId,
};
use tokio::task::JoinSet;

use crate::{
    JsonRpcEndpoint, MethodCosts, RpcConfig,
    file::{EndpointPlan, PoolPlan, ProviderPlan},
};

/// Why a set of pools was not started or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// A pool cannot be what the plan says; the source names the setting. Correct it.
    #[error(transparent)]
    Pool(#[from] BuildError),
    /// A provider cannot be what the plan says. Correct the setting.
    #[error("provider {provider}: {error}")]
    Provider {
        /// The provider.
        provider: ProviderId,
        /// The setting.
        error: pool_core::ConfigError,
    },
    /// Two pools have the same id. Metrics could not tell them apart; rename one.
    #[error("two pools are called {0}")]
    Twice(PoolId),
}

/// What [`PoolSet::apply`] changed. Pools that stand in none of the lists are as they were.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SetApplied {
    /// Pools that have joined.
    pub added: Vec<PoolId>,
    /// Pools that were changed, and in what.
    pub changed: Vec<(PoolId, Applied)>,
    /// Providers that have joined, or have other settings or prices.
    pub providers: Vec<ProviderId>,
    /// Pools that no longer belong to the set. They are still open: whoever works through them must be stopped first,
    /// then close them.
    pub removed: Vec<Pool<JsonRpcEndpoint>>,
}

impl SetApplied {
    /// Whether everything is as it was.
    pub fn is_nothing(&self) -> bool {
        let pools = self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty();
        pools && self.providers.is_empty()
    }
}

struct Entry {
    pool: Pool<JsonRpcEndpoint>,
    balancer: BalancerKind,
    reached: Vec<(EndpointId, RpcConfig)>,
}

impl Entry {
    fn build(
        plan: PoolPlan,
        accounts: &[Account],
        observer: Option<&Arc<dyn Observer>>,
    ) -> Result<Self, BuildError> {
        let mut builder = Pool::builder(plan.id)
            .config(plan.settings)
            .balancer(plan.balancer.build());
        for account in accounts {
            builder = builder.provider(account.provider.clone());
        }
        if let Some(observer) = observer {
            builder = builder.observer(Arc::clone(observer));
        }
        let mut reached = Vec::with_capacity(plan.endpoints.len());
        for EndpointPlan {
            id,
            config,
            rpc,
            endpoint,
        } in plan.endpoints
        {
            reached.push((id.clone(), rpc));
            builder = builder.endpoint(id, endpoint, config);
        }
        Ok(Self {
            pool: builder.build()?,
            balancer: plan.balancer,
            reached,
        })
    }

    /// Endpoints that are reached as before stay, with their connections; the others join anew.
    fn apply(&mut self, plan: PoolPlan, accounts: &[Account]) -> Result<Applied, BuildError> {
        let mut update = PoolUpdate::new(plan.settings);
        for account in accounts {
            update = update.provider(account.provider.clone());
        }
        if self.balancer != plan.balancer {
            update = update.balancer(plan.balancer.build());
        }
        let mut reached = Vec::with_capacity(plan.endpoints.len());
        for EndpointPlan {
            id,
            config,
            rpc,
            endpoint,
        } in plan.endpoints
        {
            let known = self.reached.iter().find(|(known, _)| *known == id);
            update = if known.is_some_and(|(_, known)| known.is_same(&rpc)) {
                update.keep(id.clone(), config)
            } else {
                update.endpoint(id.clone(), endpoint, config)
            };
            reached.push((id, rpc));
        }
        let applied = self.pool.apply(update)?;
        (self.balancer, self.reached) = (plan.balancer, reached);
        Ok(applied)
    }
}

/// A provider that the pools share.
#[derive(Clone)]
struct Account {
    provider: Provider,
    plan: ProviderPlan,
}

/// Named pools of JSON-RPC nodes. Dropping it drops the pools, unless others hold them too.
///
/// ```no_run
/// use std::{path::Path, time::Duration};
/// use pool_rpc::{PoolSet, file::{NoSection, PoolsFile}};
///
/// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
/// let file = Path::new("pools.yaml");
/// let mut pools = PoolSet::start(PoolsFile::load::<NoSection>(file)?.pools, None)?;
/// let ethereum = pools.get("ethereum").ok_or("no pool is called ethereum")?.clone();
/// // later, when the file has changed
/// let applied = pools.apply(PoolsFile::load::<NoSection>(file)?.pools)?;
/// for pool in applied.removed {
///     pool.close(Duration::from_secs(3)).await;
/// }
/// # Ok(())
/// # }
/// ```
pub struct PoolSet {
    entries: Vec<Entry>,
    accounts: Vec<Account>,
    observer: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for PoolSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids = self.pools().map(Pool::id);
        f.debug_tuple("PoolSet").field(&ids.collect::<Vec<_>>()).finish()
    }
}

impl PoolSet {
    /// Builds all pools and starts their health checks; the observer gets their metrics.
    ///
    /// # Errors
    /// [`SetError`]; then nothing runs.
    pub fn start(
        plans: impl IntoIterator<Item = PoolPlan>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Self, SetError> {
        let mut set = Self {
            entries: Vec::new(),
            accounts: Vec::new(),
            observer,
        };
        set.apply(plans)?;
        Ok(set)
    }

    /// The pool of this id.
    pub fn get(&self, id: &str) -> Option<&Pool<JsonRpcEndpoint>> {
        self.pools().find(|pool| pool.id().as_str() == id)
    }

    /// The provider of this id, with its numbers.
    pub fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers().find(|provider| provider.id().as_str() == id)
    }

    /// All providers.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.accounts.iter().map(|account| &account.provider)
    }

    /// What methods cost with each provider, for [`RpcCall::pool_request_at`](crate::RpcCall::pool_request_at). A copy: ask
    /// again when the set was changed.
    pub fn costs(&self) -> MethodCosts {
        let plans = self.accounts.iter().map(|account| &account.plan);
        plans.fold(MethodCosts::new(), |costs, plan| {
            costs.at(plan.id.clone(), plan.prices.clone())
        })
    }

    /// All pools, in the order of the plan.
    pub fn pools(&self) -> impl Iterator<Item = &Pool<JsonRpcEndpoint>> {
        self.entries.iter().map(|entry| &entry.pool)
    }

    /// Makes the set what the plans say, without disturbing what is in flight: see [`Pool::apply`]. A pool that
    /// somebody has closed is built anew.
    ///
    /// # Errors
    /// [`SetError`]. Everything is checked before anything changes, so the set is then as it was.
    pub fn apply(&mut self, plans: impl IntoIterator<Item = PoolPlan>) -> Result<SetApplied, SetError> {
        let plans: Vec<_> = plans.into_iter().collect();
        check(&plans)?;
        let (accounts, renewed) = self.accounts(&plans)?;
        let mut old: Vec<_> = std::mem::take(&mut self.entries).into_iter().map(Some).collect();
        let known = |old: &[Option<Entry>], id: &PoolId| {
            let of = |entry: &Entry| entry.pool.id() == id && !entry.pool.is_closed();
            old.iter().position(|entry| entry.as_ref().is_some_and(of))
        };
        // first what may still be refused: it is only built
        let mut joining = Vec::new();
        let mut staying = Vec::new();
        for (order, plan) in plans.into_iter().enumerate() {
            match known(&old, &plan.id) {
                Some(at) => staying.push((order, at, plan)),
                None => match Entry::build(plan, &accounts, self.observer.as_ref()) {
                    Ok(entry) => joining.push((order, entry)),
                    Err(error) => {
                        self.entries = old.into_iter().flatten().collect();
                        return Err(error.into());
                    }
                },
            }
        }
        // nothing is refused from here on
        for account in &accounts {
            // validated before
            let _same = account.provider.configure(&account.plan.config);
        }
        let mut applied = SetApplied {
            providers: renewed,
            added: joining.iter().map(|(_, entry)| entry.pool.id().clone()).collect(),
            ..SetApplied::default()
        };
        let mut entries = joining;
        for (order, at, plan) in staying {
            let Some(mut entry) = old[at].take() else {
                continue;
            };
            let id = plan.id.clone();
            match entry.apply(plan, &accounts) {
                Ok(change) if change.is_nothing() => {}
                Ok(change) => applied.changed.push((id, change)),
                // checked before: only a pool that somebody closes at this moment refuses
                Err(error) => tracing::warn!(pool = %id, %error, "a pool of the set was not changed"),
            }
            entries.push((order, entry));
        }
        entries.sort_by_key(|(order, _)| *order);
        self.entries = entries.into_iter().map(|(_, entry)| entry).collect();
        self.accounts = accounts;
        let gone = old.into_iter().flatten().map(|entry| entry.pool);
        applied.removed = gone.filter(|pool| !pool.is_closed()).collect();
        Ok(applied)
    }

    /// The providers of these plans, those that are known already as they are, and which of them are new or to be changed.
    fn accounts(&self, plans: &[PoolPlan]) -> Result<(Vec<Account>, Vec<ProviderId>), SetError> {
        let mut accounts: Vec<Account> = Vec::new();
        let mut renewed = Vec::new();
        for plan in plans.iter().flat_map(|plan| &plan.providers) {
            if accounts.iter().any(|account| account.plan.id == plan.id) {
                continue;
            }
            let wrong = |error| SetError::Provider {
                provider: plan.id.clone(),
                error,
            };
            plan.config.validate().map_err(wrong)?;
            let known = self.accounts.iter().find(|account| account.plan.id == plan.id);
            if known.is_none_or(|known| known.plan != *plan) {
                renewed.push(plan.id.clone());
            }
            let provider = match known {
                Some(known) => known.provider.clone(),
                None => Provider::new(plan.id.clone(), &plan.config).map_err(wrong)?,
            };
            let plan = plan.clone();
            accounts.push(Account { provider, plan });
        }
        Ok((accounts, renewed))
    }

    /// Closes all pools at once and gives what is under way until the end of `within`. Returns each pool's report, in
    /// the order of the pools.
    ///
    /// # Cancellation
    /// Dropped before it ends, the pools are closed all the same.
    pub async fn close(self, within: Duration) -> Vec<(PoolId, CloseReport)> {
        let mut closing = JoinSet::new();
        for (order, entry) in self.entries.into_iter().enumerate() {
            let pool = entry.pool;
            closing.spawn(async move { (order, pool.id().clone(), pool.close(within).await) });
        }
        let mut reports = closing.join_all().await;
        reports.sort_by_key(|(order, _, _)| *order);
        reports.into_iter().map(|(_, id, report)| (id, report)).collect()
    }
}

/// What can be refused of plans, before anything changes.
fn check(plans: &[PoolPlan]) -> Result<(), SetError> {
    for (i, plan) in plans.iter().enumerate() {
        let pool = || plan.id.clone();
        if plans[..i].iter().any(|other| other.id == plan.id) {
            return Err(SetError::Twice(pool()));
        }
        plan.settings
            .validate()
            .map_err(|error| BuildError::Pool { pool: pool(), error })?;
        if plan.endpoints.is_empty() {
            return Err(BuildError::Empty(pool()).into());
        }
        for (j, endpoint) in plan.endpoints.iter().enumerate() {
            let id = || endpoint.id.clone();
            endpoint.config.validate().map_err(|error| BuildError::Endpoint {
                pool: pool(),
                endpoint: id(),
                error,
            })?;
            let unknown = |name: &&ProviderId| {
                !plans
                    .iter()
                    .any(|plan| plan.providers.iter().any(|provider| provider.id == **name))
            };
            if let Some(provider) = endpoint.config.provider.as_ref().filter(unknown) {
                return Err(BuildError::UnknownProvider {
                    pool: pool(),
                    endpoint: id(),
                    provider: provider.clone(),
                }
                .into());
            }
            if plan.endpoints[..j].iter().any(|other| other.id == endpoint.id) {
                let (pool, endpoint) = (pool(), id());
                return Err(BuildError::Duplicate { pool, endpoint }.into());
            }
        }
    }
    Ok(())
}
