//! Settings that are read where requests run and may change while they do.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{EndpointConfig, PoolConfig};

/// A duration that can be replaced. No setting is longer than 584 years, so its nanoseconds fit.
#[derive(Debug)]
pub(crate) struct AtomicDuration(AtomicU64);

impl AtomicDuration {
    pub(crate) fn new(duration: Duration) -> Self {
        Self(AtomicU64::new(nanos(duration)))
    }

    #[inline]
    pub(crate) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }

    pub(crate) fn set(&self, duration: Duration) {
        self.0.store(nanos(duration), Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A pool's time-outs, shared by its endpoints.
#[derive(Debug)]
pub(crate) struct Knobs {
    pub(crate) connect_timeout: AtomicDuration,
    pub(crate) recycle_timeout: AtomicDuration,
    pub(crate) validate_after_idle: AtomicDuration,
    pub(crate) max_lifetime: AtomicDuration,
    /// From when on a success counts as slow; the longest there is when none does.
    pub(crate) slow_call: AtomicDuration,
    /// Whether it is learned what endpoints bear.
    learns: AtomicBool,
}

impl Knobs {
    pub(crate) fn new(config: &PoolConfig) -> Self {
        Self {
            connect_timeout: AtomicDuration::new(config.connect_timeout),
            recycle_timeout: AtomicDuration::new(config.recycle_timeout),
            validate_after_idle: AtomicDuration::new(config.validate_after_idle),
            max_lifetime: AtomicDuration::new(config.max_lifetime),
            slow_call: AtomicDuration::new(slow_call(config)),
            learns: AtomicBool::new(config.adaptive_concurrency.is_some()),
        }
    }

    pub(crate) fn configure(&self, config: &PoolConfig) {
        self.connect_timeout.set(config.connect_timeout);
        self.recycle_timeout.set(config.recycle_timeout);
        self.validate_after_idle.set(config.validate_after_idle);
        self.max_lifetime.set(config.max_lifetime);
        self.slow_call.set(slow_call(config));
        self.learns.store(config.adaptive_concurrency.is_some(), Relaxed);
    }

    #[inline]
    pub(crate) fn learns(&self) -> bool {
        self.learns.load(Relaxed)
    }
}

fn slow_call(config: &PoolConfig) -> Duration {
    config.breaker.slow_call.unwrap_or(Duration::MAX)
}

/// How many connections an endpoint may and should have.
#[derive(Debug)]
pub(crate) struct Limits {
    max_connections: AtomicU32,
    min_idle: AtomicU32,
    /// Open now. The counts that metrics show belong to the endpoint's name and go on when it is replaced.
    open: AtomicU32,
}

impl Limits {
    pub(crate) fn new(config: &EndpointConfig) -> Self {
        Self {
            max_connections: AtomicU32::new(config.max_connections),
            min_idle: AtomicU32::new(config.min_idle),
            open: AtomicU32::new(0),
        }
    }

    pub(crate) fn configure(&self, config: &EndpointConfig) {
        self.max_connections.store(config.max_connections, Relaxed);
        self.min_idle.store(config.min_idle, Relaxed);
    }

    pub(crate) fn max_connections(&self) -> u32 {
        self.max_connections.load(Relaxed)
    }

    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    pub(crate) fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }

    pub(crate) fn min_idle(&self) -> u32 {
        self.min_idle.load(Relaxed)
    }
}
