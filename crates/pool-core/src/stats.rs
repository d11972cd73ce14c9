//! What one endpoint counts. Everything that metrics read is an atomic here or lies under the admission lock.

use std::{
    sync::atomic::{
        AtomicU8, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    CloseReason, EndpointConfig, EndpointId, ErrorType, ThrottleCause, breaker::BreakerState, chance::mix,
    concurrency::Curves, latency::Latency, ramp::Ramp,
};

/// Counters of one endpoint, and what balancers read of it.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) id: EndpointId,
    /// The bits of an `f64`.
    configured_weight: AtomicU64,
    slots_max: AtomicU64,
    /// Requests it is given at once, as far as is known what it bears.
    limit: AtomicU64,
    pub(crate) curves: Curves,
    tier: AtomicU8,
    /// Of the id: the same in every process.
    pub(crate) hash: u64,
    pub(crate) latency: Latency,
    ramp: Ramp,
    slots_active: AtomicU64,
    requests: AtomicU64,
    errors: [AtomicU64; ErrorType::ALL.len()],
    check_failures: AtomicU64,
    /// Transitions of the breaker, by the state they led to.
    breaker_moves: [AtomicU64; BreakerState::NAMES.len()],
    ejections: AtomicU64,
    /// By [`ThrottleCause::index`].
    throttles: [AtomicU64; ThrottleCause::ALL.len()],
    /// Blocks behind the others at the last check that told a position, plus 1; 0 while there was none.
    lag: AtomicU64,
    connections: Connections,
}

/// Both halves in one word, so that a reader never sees `active` of one moment and `total` of another.
#[derive(Debug, Default)]
struct Connections {
    /// total in the upper half, active in the lower
    gauge: AtomicU64,
    created: AtomicU64,
    /// By reason.
    destroyed: [AtomicU64; CloseReason::ALL.len()],
}

const TOTAL: u64 = 1 << 32;

impl Stats {
    pub(crate) fn new(id: EndpointId, configured_weight: f64, slots_max: u32) -> Self {
        let epoch = Instant::now();
        Self {
            hash: stable_hash(id.as_str()),
            id,
            configured_weight: AtomicU64::new(configured_weight.to_bits()),
            slots_max: AtomicU64::new(slots_max.into()),
            limit: AtomicU64::new(slots_max.into()),
            curves: Curves::default(),
            tier: AtomicU8::new(0),
            latency: Latency::new(epoch),
            ramp: Ramp::new(epoch, Duration::ZERO),
            slots_active: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            errors: Default::default(),
            check_failures: AtomicU64::new(0),
            breaker_moves: Default::default(),
            ejections: AtomicU64::new(0),
            throttles: Default::default(),
            lag: AtomicU64::new(0),
            connections: Connections::default(),
        }
    }

    /// `epoch` must be the same for all endpoints of a pool.
    pub(crate) fn starting_at(mut self, epoch: Instant) -> Self {
        self.latency = Latency::new(epoch);
        self.ramp = Ramp::new(epoch, Duration::ZERO);
        self
    }

    /// Takes the settings of the endpoint, and the length of the pool's slow start.
    pub(crate) fn configure(&self, config: &EndpointConfig, slow_start: Duration) {
        self.configured_weight.store(config.weight.to_bits(), Relaxed);
        self.slots_max.store(config.slots().into(), Relaxed);
        self.tier.store(config.tier, Relaxed);
        self.ramp.set_length(slow_start);
    }

    pub(crate) fn configured_weight(&self) -> f64 {
        f64::from_bits(self.configured_weight.load(Relaxed))
    }

    /// Requests it takes at the most.
    #[inline]
    pub(crate) fn slots_max(&self) -> u64 {
        self.slots_max.load(Relaxed)
    }

    /// Requests it is given at once, as far as is known what it bears.
    #[inline]
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Relaxed)
    }

    /// Called under admission's lock, which alone changes the number.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(limit.into(), Relaxed);
    }

    #[inline]
    pub(crate) fn tier(&self) -> u8 {
        self.tier.load(Relaxed)
    }

    /// The configured weight, or less of it for a while after a recovery.
    #[inline]
    pub(crate) fn weight(&self, now: Instant) -> f64 {
        self.configured_weight() * self.ramp.share(now)
    }

    /// The endpoint works again, by its health checks or its breaker.
    pub(crate) fn recovered(&self, now: Instant) {
        self.latency.forgive(now);
        self.ramp.begin(now);
    }

    #[inline]
    pub(crate) fn in_flight(&self) -> u64 {
        self.slots_active.load(Relaxed)
    }

    /// Called under admission's lock, which alone changes the number.
    #[inline]
    pub(crate) fn slot_taken(&self) {
        self.slots_active.store(self.in_flight() + 1, Relaxed);
    }

    /// Called under admission's lock, which alone changes the number.
    #[inline]
    pub(crate) fn slot_freed(&self) {
        self.slots_active.store(self.in_flight() - 1, Relaxed);
    }

    /// An attempt ended. The attempt is counted before its error, so errors never exceed attempts.
    #[inline]
    pub(crate) fn attempt_ended(&self, error: Option<ErrorType>) {
        self.requests.fetch_add(1, Relaxed);
        if let Some(class) = error {
            self.errors[class.index()].fetch_add(1, Release);
        }
    }

    pub(crate) fn check_failed(&self) {
        self.check_failures.fetch_add(1, Relaxed);
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.created.fetch_add(1, Relaxed);
        self.connections.gauge.fetch_add(TOTAL, Relaxed);
    }

    pub(crate) fn connection_closed(&self, why: CloseReason) {
        self.connections.gauge.fetch_sub(TOTAL, Relaxed);
        self.connections.destroyed[why.index()].fetch_add(1, Relaxed);
    }

    pub(crate) fn breaker_moved(&self, to: BreakerState) {
        self.breaker_moves[to.index()].fetch_add(1, Relaxed);
        if to == BreakerState::HalfOpen {
            // its probes must find requests, also where there is little traffic
            self.latency.excuse();
        }
    }

    pub(crate) fn breaker_moves(&self) -> [u64; BreakerState::NAMES.len()] {
        std::array::from_fn(|i| self.breaker_moves[i].load(Relaxed))
    }

    pub(crate) fn ejected(&self) {
        self.ejections.fetch_add(1, Relaxed);
    }

    pub(crate) fn ejections(&self) -> u64 {
        self.ejections.load(Relaxed)
    }

    pub(crate) fn throttled(&self, cause: ThrottleCause) {
        self.throttles[cause.index()].fetch_add(1, Relaxed);
    }

    pub(crate) fn throttles(&self) -> [u64; ThrottleCause::ALL.len()] {
        std::array::from_fn(|i| self.throttles[i].load(Relaxed))
    }

    pub(crate) fn set_lag(&self, blocks: u64) {
        self.lag.store(blocks.saturating_add(1), Relaxed);
    }

    pub(crate) fn lag(&self) -> Option<u64> {
        self.lag.load(Relaxed).checked_sub(1)
    }

    #[inline]
    pub(crate) fn connection_busy(&self) {
        self.connections.gauge.fetch_add(1, Relaxed);
    }

    #[inline]
    pub(crate) fn connection_free(&self) {
        self.connections.gauge.fetch_sub(1, Relaxed);
    }

    /// Connections that are active, and that are idle, at one moment.
    ///
    /// While one lane of a shared transport frees it and another takes it, the transport is counted as busy twice for
    /// a moment; it is never more than all.
    pub(crate) fn connections(&self) -> (u64, u64) {
        let gauge = self.connections.gauge.load(Relaxed);
        let (total, busy) = (gauge >> 32, gauge & (TOTAL - 1));
        let active = busy.min(total);
        (active, total - active)
    }

    pub(crate) fn connections_created(&self) -> u64 {
        self.connections.created.load(Relaxed)
    }

    pub(crate) fn connections_destroyed(&self) -> [u64; CloseReason::ALL.len()] {
        std::array::from_fn(|i| self.connections.destroyed[i].load(Relaxed))
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub(crate) fn errors(&self) -> [u64; ErrorType::ALL.len()] {
        std::array::from_fn(|i| self.errors[i].load(Acquire))
    }

    pub(crate) fn check_failures(&self) -> u64 {
        self.check_failures.load(Relaxed)
    }
}

/// FNV-1a, mixed once more because it leaves the upper bits of short names alike.
fn stable_hash(name: &str) -> u64 {
    let fnv = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(fnv)
}
