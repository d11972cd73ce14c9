//! Circuit breaker of one endpoint: a pure state machine. Events and `now` go in, transitions come out.
//!
//! *Closed* lets everything through and counts. It opens on so many failures in a row, or on a share of failures over
//! a sliding window with a minimum volume, or, if so configured, on a share of failures and slow calls. *Open* lets nothing through for a time that doubles with each trip, with
//! jitter so that a fleet does not come back at once. *Half-open* hands out a few **leased, identified probes**:
//!
//! - a probe that is cancelled gives its permit back, so a caller who goes away cannot wedge the endpoint for ever;
//! - a probe whose holder neither reports nor goes away loses its lease after [`BreakerConfig::probe_lease`];
//! - whoever was admitted before a transition reports into the void: every ticket carries the generation it was
//!   issued in, and a straggler's failure must not shut a breaker that is being probed.
//!
//! The doubling is forgotten only after the breaker has stayed closed for a while: an endpoint that works for a second
//! at a time is kept out longer and longer.

mod config;
mod window;

pub use config::BreakerConfig;

use std::num::NonZeroU32;

use tokio::time::Instant;
use window::Window;

/// What a breaker does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything passes.
    Closed,
    /// Nothing passes before this moment.
    Open {
        /// When it turns half-open.
        until: Instant,
    },
    /// A few probes pass.
    HalfOpen,
}

impl BreakerState {
    /// The names of the states, as label values, in the order of [`index`](Self::index).
    pub const NAMES: [&'static str; 3] = ["closed", "open", "half_open"];

    /// Its place among [`NAMES`](Self::NAMES).
    pub const fn index(self) -> usize {
        match self {
            Self::Closed => 0,
            Self::Open { .. } => 1,
            Self::HalfOpen => 2,
        }
    }

    /// Whether the state is [`Closed`](Self::Closed). Half-open is not closed.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Closed)
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Before.
    pub from: BreakerState,
    /// After.
    pub to: BreakerState,
}

/// Permission to send one request. Must come back exactly once: [`Breaker::succeed`], [`Breaker::fail`] or
/// [`Breaker::cancel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a ticket that never comes back holds a probe permit until its lease ends"]
pub struct Ticket {
    generation: u32,
    probe: Option<NonZeroU32>,
}

impl Ticket {
    /// Permission that no breaker gave: for a request that is sent to the endpoint although its breaker is open, because
    /// too few others are left. Whatever comes of it is ignored. It cannot close the breaker, since that takes identified
    /// probes, and it takes no probe's permit.
    pub const BYPASS: Self = Self {
        generation: u32::MAX,
        probe: None,
    };

    /// Whether it is a probe's, which decides whether a half-open breaker closes.
    pub const fn is_probe(self) -> bool {
        self.probe.is_some()
    }

    /// Whether it is [`BYPASS`](Self::BYPASS).
    pub const fn is_bypass(self) -> bool {
        self.generation == Self::BYPASS.generation
    }
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    id: NonZeroU32,
    expires: Instant,
}

/// The state machine. See the module's text.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: BreakerState,
    /// Never that of a bypass. Goes round after so many transitions that nobody is left who was admitted in it before.
    generation: u32,
    next_probe: NonZeroU32,
    probes: Vec<Probe>,
    probe_successes: u32,
    /// Since when no request, only health checks, was admitted as a probe.
    quiet_since: Instant,
    since: Instant,
    consecutive: u32,
    window: Window,
    /// Trips in a row, without a long closed spell between them.
    streak: u32,
}

impl Breaker {
    /// A closed breaker.
    ///
    /// The configuration is taken as it is: whoever builds a pool has validated it ([`BreakerConfig::validate`]).
    pub fn new(config: BreakerConfig, now: Instant) -> Self {
        Self {
            state: BreakerState::Closed,
            generation: 0,
            next_probe: NonZeroU32::MIN,
            probes: Vec::with_capacity(config.half_open_probes as usize),
            probe_successes: 0,
            quiet_since: now,
            since: now,
            consecutive: 0,
            window: Window::new(now, config.window),
            streak: 0,
            config,
        }
    }

    /// Takes other settings. State, generation and probes stay: an open breaker stays open until the moment that was
    /// set, and what it has counted is forgotten only if the window's length changed.
    pub fn configure(&mut self, config: &BreakerConfig, now: Instant) {
        if self.config == *config {
            return;
        }
        if self.config.window != config.window {
            self.window = Window::new(now, config.window);
        }
        self.config = config.clone();
    }

    /// What it does now. Call [`poll`](Self::poll) first if time may have passed.
    pub const fn state(&self) -> BreakerState {
        self.state
    }

    /// When the state changes by time alone.
    pub const fn wakes_at(&self) -> Option<Instant> {
        match self.state {
            BreakerState::Open { until } => Some(until),
            _ => None,
        }
    }

    /// When a lost probe's permit comes back, if all permits are out.
    pub fn probe_expires_at(&self) -> Option<Instant> {
        match self.state {
            BreakerState::HalfOpen if self.probes.len() >= self.config.half_open_probes as usize => {
                self.probes.iter().map(|probe| probe.expires).min()
            }
            _ => None,
        }
    }

    /// Lets time pass: open turns half-open, and lost probes lose their permits.
    pub fn poll(&mut self, now: Instant) -> Option<Transition> {
        self.probes.retain(|probe| probe.expires > now);
        match self.state {
            BreakerState::Open { until } if now >= until => Some(self.enter(BreakerState::HalfOpen, now)),
            _ => None,
        }
    }

    /// Whether a request would be admitted now.
    #[inline]
    pub fn admits(&self, now: Instant) -> bool {
        match self.state {
            BreakerState::Closed => true,
            BreakerState::Open { until } => now >= until,
            BreakerState::HalfOpen => {
                self.probes.iter().filter(|probe| probe.expires > now).count()
                    < self.config.half_open_probes as usize
            }
        }
    }

    /// Admits a request, if it may pass.
    #[inline]
    pub fn admit(&mut self, now: Instant) -> Option<Ticket> {
        if self.state.is_closed() {
            let (generation, probe) = (self.generation, None);
            return Some(Ticket { generation, probe });
        }
        let ticket = self.issue(now)?;
        if ticket.probe.is_some() {
            self.quiet_since = now;
        }
        Some(ticket)
    }

    /// Admits a health check. While closed it always counts. While half-open it serves as a probe only when no request
    /// has come to do it for [`BreakerConfig::check_probe_after`]: traffic is the better judge, but a pool that falls
    /// idle, be it in the middle of its recovery, must recover too.
    pub fn admit_check(&mut self, now: Instant) -> Option<Ticket> {
        if self.state == BreakerState::HalfOpen
            && now.saturating_duration_since(self.quiet_since) < self.config.check_probe_after
        {
            return None;
        }
        self.issue(now)
    }

    fn issue(&mut self, now: Instant) -> Option<Ticket> {
        let generation = self.generation;
        match self.state {
            BreakerState::Closed => Some(Ticket {
                generation,
                probe: None,
            }),
            BreakerState::Open { .. } => None,
            BreakerState::HalfOpen => {
                self.probes.retain(|probe| probe.expires > now);
                if self.probes.len() >= self.config.half_open_probes as usize {
                    return None;
                }
                let id = self.next_probe;
                self.next_probe = id.checked_add(1).unwrap_or(NonZeroU32::MIN);
                self.probes.push(Probe {
                    id,
                    expires: now + self.config.probe_lease,
                });
                Some(Ticket {
                    generation,
                    probe: Some(id),
                })
            }
        }
    }

    /// The request behind the ticket succeeded.
    #[inline]
    pub fn succeed(&mut self, ticket: Ticket, now: Instant) -> Option<Transition> {
        if !self.take_back(ticket) {
            return None;
        }
        self.consecutive = 0;
        match self.state {
            BreakerState::Closed => {
                self.window.record(now, true);
                None
            }
            BreakerState::HalfOpen => {
                self.probe_successes += 1;
                (self.probe_successes >= self.config.close_after)
                    .then(|| self.enter(BreakerState::Closed, now))
            }
            BreakerState::Open { .. } => None,
        }
    }

    /// The request behind the ticket succeeded, but took longer than [`BreakerConfig::slow_call`]. A probe that is slow
    /// has failed: the endpoint is not what it was. `chance` in `0.0..1.0` makes the jitter.
    pub fn succeed_slowly(&mut self, ticket: Ticket, now: Instant, chance: f64) -> Option<Transition> {
        if !self.take_back(ticket) {
            return None;
        }
        self.consecutive = 0;
        match self.state {
            BreakerState::Closed => {
                self.window.record_slow(now);
                self.should_trip(now).then(|| self.trip(now, chance))
            }
            BreakerState::HalfOpen => Some(self.trip(now, chance)),
            BreakerState::Open { .. } => None,
        }
    }

    /// The request behind the ticket failed. `chance` in `0.0..1.0` makes the jitter.
    pub fn fail(&mut self, ticket: Ticket, now: Instant, chance: f64) -> Option<Transition> {
        if !self.take_back(ticket) {
            return None;
        }
        match self.state {
            BreakerState::Closed => {
                self.window.record(now, false);
                self.consecutive = self.consecutive.saturating_add(1);
                self.should_trip(now).then(|| self.trip(now, chance))
            }
            BreakerState::HalfOpen => Some(self.trip(now, chance)),
            BreakerState::Open { .. } => None,
        }
    }

    /// The request behind the ticket ended without a verdict: it was cancelled, or its outcome says nothing about the
    /// endpoint. A probe's permit is free again.
    pub fn cancel(&mut self, ticket: Ticket) {
        let _current = self.take_back(ticket);
    }

    /// Whether the state has not changed since the ticket was issued.
    #[inline]
    pub const fn is_current(&self, ticket: Ticket) -> bool {
        ticket.generation == self.generation
    }

    /// Whether the ticket is of this generation (and, for a probe, still leased). Frees its permit.
    #[inline]
    fn take_back(&mut self, ticket: Ticket) -> bool {
        if ticket.generation != self.generation {
            return false;
        }
        let Some(id) = ticket.probe else { return true };
        let before = self.probes.len();
        self.probes.retain(|probe| probe.id != id);
        self.probes.len() < before
    }

    fn should_trip(&self, now: Instant) -> bool {
        let in_a_row = self.config.consecutive_failures;
        if in_a_row > 0 && self.consecutive >= in_a_row {
            return true;
        }
        let (all, failed) = self.window.totals(now);
        if all < u64::from(self.config.minimum_volume) {
            return false;
        }
        let above = |count: u64, ratio: f64| ratio < 1.0 && count as f64 > ratio * all as f64;
        above(failed, self.config.failure_ratio)
            || self.config.slow_call.is_some()
                && above(failed + self.window.slow(now), self.config.slow_ratio)
    }

    fn trip(&mut self, now: Instant, chance: f64) -> Transition {
        let long_closed =
            self.state.is_closed() && now.saturating_duration_since(self.since) >= self.config.forget_after;
        self.streak = if long_closed {
            1
        } else {
            self.streak.saturating_add(1)
        };
        let doubled = self
            .config
            .open_min
            .saturating_mul(1_u32.checked_shl(self.streak - 1).unwrap_or(u32::MAX));
        let plain = doubled.min(self.config.open_max);
        let until = now + plain.mul_f64(1.0 + self.config.jitter * chance.clamp(0.0, 1.0));
        self.enter(BreakerState::Open { until }, now)
    }

    fn enter(&mut self, to: BreakerState, now: Instant) -> Transition {
        let from = std::mem::replace(&mut self.state, to);
        self.generation = (self.generation + 1) % Ticket::BYPASS.generation;
        self.since = now;
        self.probes.clear();
        self.probe_successes = 0;
        self.quiet_since = now;
        self.consecutive = 0;
        self.window.clear();
        Transition { from, to }
    }
}

#[cfg(test)]
mod tests;
