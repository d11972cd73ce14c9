//! Providers: who runs endpoints, and to whom quota and cool-down belong.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{ConfigError, ProviderId, QuotaConfig, WallClock, moment::after, quota::Meter};

/// Settings of a provider.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ProviderConfig {
    /// What the account may use, over all endpoints and pools. `None`, the default: no limit of ours.
    pub quota: Option<QuotaConfig>,
    /// When the provider says for one endpoint that the account is throttled (HTTP 429, `Retry-After`), all of its
    /// endpoints are left alone. Default `true`: as a rule an account has one key and one quota, and going on elsewhere
    /// prolongs the ban. Set it to `false` for a provider that counts each endpoint by itself.
    pub shared_cool_down: bool,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            quota: None,
            shared_cool_down: true,
        }
    }
}

impl ProviderConfig {
    /// Sets the quota.
    #[must_use]
    pub fn quota(mut self, quota: QuotaConfig) -> Self {
        self.quota = Some(quota);
        self
    }

    /// Sets whether a cool-down of one endpoint is one of all.
    #[must_use]
    pub const fn shared_cool_down(mut self, yes: bool) -> Self {
        self.shared_cool_down = yes;
        self
    }

    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.quota.as_ref().map_or(Ok(()), QuotaConfig::validate)
    }
}

/// One account with a provider: the quota and the cool-downs that all its endpoints share, in all pools of this process
/// that it is given to ([`PoolBuilder::provider`](crate::PoolBuilder::provider)).
///
/// Endpoints are its own by name ([`EndpointConfig::provider`](crate::EndpointConfig::provider)). While its quota is spent or
/// it cools down they are throttled: not picked, and neither unhealthy nor held against their breakers. Retries and hedges
/// prefer the endpoints of other providers. A pool learns of what others have taken when it takes itself, or at the moment
/// for which it had planned to look again; of a cool-down and of other settings at once.
///
/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    id: ProviderId,
    meter: Meter,
    shares_cool_down: AtomicBool,
    epoch: Instant,
    /// Nanoseconds since the epoch; 0 for never.
    cool_until: AtomicU64,
    /// What wakes the pools that have it.
    pools: Mutex<Vec<Weak<Notify>>>,
}

/// A provider at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderSnapshot {
    /// Its name.
    pub id: ProviderId,
    /// Units that can be taken now; `None` without a quota.
    pub quota_left: Option<u64>,
    /// The most there can be: the burst, or the day's budget if only the day is limited.
    pub quota_limit: Option<u64>,
    /// Units that are left of the day; `None` without a daily budget.
    pub daily_left: Option<u64>,
    /// Until when it cools down because it asked for it, if it does.
    pub cools_until: Option<Instant>,
    /// Until when its quota is spent, if it is.
    pub spent_until: Option<Instant>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("id", self.id())
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// A provider whose days are those of the machine's clock.
    ///
    /// # Errors
    /// Names the setting that cannot work.
    pub fn new(id: ProviderId, config: &ProviderConfig) -> Result<Self, ConfigError> {
        Self::with_clock(id, config, WallClock::system())
    }

    /// A provider whose days are those of this clock.
    ///
    /// # Errors
    /// Names the setting that cannot work.
    pub fn with_clock(
        id: ProviderId,
        config: &ProviderConfig,
        clock: WallClock,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let now = Instant::now();
        Ok(Self(Arc::new(Inner {
            id,
            meter: Meter::new(config.quota.as_ref(), clock, now),
            shares_cool_down: config.shared_cool_down.into(),
            epoch: now,
            cool_until: AtomicU64::new(0),
            pools: Mutex::default(),
        })))
    }

    /// Its name.
    pub fn id(&self) -> &ProviderId {
        &self.0.id
    }

    /// Takes other settings. What has been taken of the quota stays taken; a cool-down goes on. All pools see it at once.
    ///
    /// # Errors
    /// Names the setting that cannot work; then nothing has changed.
    pub fn configure(&self, config: &ProviderConfig) -> Result<(), ConfigError> {
        config.validate()?;
        self.0.shares_cool_down.store(config.shared_cool_down, Relaxed);
        self.0.meter.configure(config.quota.as_ref(), Instant::now());
        self.wake_pools();
        Ok(())
    }

    /// Its numbers now.
    pub fn snapshot(&self) -> ProviderSnapshot {
        let now = Instant::now();
        let reading = self.0.meter.read(now);
        ProviderSnapshot {
            id: self.id().clone(),
            quota_left: reading.map(|reading| reading.left),
            quota_limit: reading.map(|reading| reading.limit),
            daily_left: reading.and_then(|reading| reading.daily_left),
            cools_until: self.cools_until(now),
            spent_until: self.meter().spent_until(now),
        }
    }

    /// Leaves all its endpoints alone for so long, in all pools; a longer cool-down that is under way stays.
    pub fn cool_down(&self, wait: Duration) {
        self.cool_down_from(Instant::now(), wait);
    }

    pub(crate) fn cool_down_from(&self, now: Instant, wait: Duration) {
        let until = after(now, wait).saturating_duration_since(self.0.epoch);
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        if self.0.cool_until.fetch_max(until, Relaxed) < until {
            self.wake_pools();
        }
    }

    pub(crate) fn shares_cool_down(&self) -> bool {
        self.0.shares_cool_down.load(Relaxed)
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.0.meter
    }

    #[inline]
    pub(crate) fn cools_until(&self, now: Instant) -> Option<Instant> {
        let until = self.0.cool_until.load(Relaxed);
        if until == 0 {
            return None;
        }
        let until = after(self.0.epoch, Duration::from_nanos(until));
        (until > now).then_some(until)
    }

    /// A pool has it from now on.
    pub(crate) fn join(&self, pool: &Arc<Notify>) {
        let mut pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|known| known.strong_count() > 0);
        let pool = Arc::downgrade(pool);
        if !pools.iter().any(|known| known.ptr_eq(&pool)) {
            pools.push(pool);
        }
    }

    /// Its endpoints may be usable sooner or later than was known. Not to be called under a lock.
    pub(crate) fn wake_pools(&self) {
        let pools = self
            .0
            .pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for pool in pools.iter().filter_map(Weak::upgrade) {
            pool.notify_one();
        }
    }
}

impl PartialEq for Provider {
    /// Whether both are the same account.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Provider {}
