//! A second attempt on another endpoint while the first is still out.
//!
//! The first attempt gets as long as nearly all recent ones took. If it has not answered by then, one hedge is sent: to
//! another endpoint, and only if a slot is free there at once and the budget allows. The first answer wins, and the
//! other attempt is dropped on the spot: its connection is destroyed, since half a request may be on it, and it counts
//! neither as success nor as failure. If the first to end has failed, the other is awaited; an error that is the
//! caller's own fault is an answer, because no node would give another.
//!
//! The quantile is of the pool's successful attempts. A first attempt that was beaten goes into it with the time it had
//! taken so far, and into what is expected of its endpoint: without it slow answers would vanish from the picture, and each hedge that wins would make the next
//! one come earlier.

use std::{panic::Location, pin::pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    ConfigError, Endpoint, Fault, Lease, Operation, Purpose, Request, acquire::Wish, admission::Terms,
    balance::Ask, config::LONGEST, core::Core, effort::Sent, moment::after,
};

/// When an attempt is doubled. Only requests that are [idempotent](crate::Request::idempotent) and have an attempt left
/// are.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct HedgeConfig {
    /// Share of the recent successful attempts that were faster than a hedge comes. Default 0.97: about three requests in
    /// a hundred are doubled, well below the budget. With more of them a pool that is nearly full gets slower by its own
    /// hedges; with fewer, slow nodes show.
    pub quantile: f64,
    /// A hedge never comes earlier. Default 20 ms: below that the network's own noise would be doubled.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub min_delay: Duration,
    /// A hedge never comes later. Default 2 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub max_delay: Duration,
    /// Successful attempts of the last minute that must be known; no hedge before. Default 50: one or two of them
    /// lie above the default quantile.
    pub min_samples: u32,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            quantile: 0.97,
            min_delay: Duration::from_millis(20),
            max_delay: Duration::from_secs(2),
            min_samples: 50,
        }
    }
}

impl HedgeConfig {
    /// Sets the share of recent attempts that were faster than a hedge comes.
    #[must_use]
    pub const fn quantile(mut self, quantile: f64) -> Self {
        self.quantile = quantile;
        self
    }

    /// Sets the least and the longest delay.
    #[must_use]
    pub const fn delay(mut self, least: Duration, longest: Duration) -> Self {
        self.min_delay = least;
        self.max_delay = longest;
        self
    }

    /// Sets how many attempts must be known.
    #[must_use]
    pub const fn min_samples(mut self, samples: u32) -> Self {
        self.min_samples = samples;
        self
    }

    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(0.0..=1.0).contains(&self.quantile) {
            let value = self.quantile.to_string();
            return Err(ConfigError::new("hedge.quantile", value, "0.0 to 1.0"));
        }
        if self.max_delay > LONGEST {
            let value = format!("{:?}", self.max_delay);
            return Err(ConfigError::new("hedge.max_delay", value, "at most 7 days"));
        }
        if self.min_delay > self.max_delay {
            let value = format!("{:?}", self.min_delay);
            return Err(ConfigError::new("hedge.min_delay", value, "at most max_delay"));
        }
        Ok(())
    }
}

/// A call that has ended, and the lease that has not been told.
pub(crate) struct End<E: Endpoint, T> {
    pub(crate) lease: Lease<E>,
    /// `None` when the deadline passed.
    pub(crate) outcome: Option<Result<T, E::Error>>,
}

impl<E: Endpoint, T> End<E, T> {
    /// Whether another attempt could only say the same.
    fn is_answer(&self) -> bool {
        match &self.outcome {
            Some(Ok(_)) => true,
            Some(Err(error)) => self.lease.judge(error).fault() == Fault::Caller,
            None => false,
        }
    }
}

/// Calls, until the deadline.
pub(crate) async fn send<E: Endpoint, O: Operation<E>>(
    operation: &O,
    mut lease: Lease<E>,
    deadline: Option<Instant>,
) -> End<E, O::Output> {
    // out of the lease, which the call borrows
    let mut timer = lease.take_timer();
    let outcome = {
        let mut call = pin!(operation.call(&mut lease));
        match deadline {
            Some(deadline) => timer.timeout_at(deadline, call).await,
            None => Some(call.as_mut().await),
        }
    };
    lease.put_timer_back(timer);
    End { lease, outcome }
}

/// How a hedged attempt ended.
pub(crate) struct Hedged<E: Endpoint, T> {
    /// What counts.
    pub(crate) end: End<E, T>,
    /// The other one, if it has ended too: it failed.
    pub(crate) failed: Option<End<E, T>>,
}

impl<E: Endpoint, T> From<End<E, T>> for Hedged<E, T> {
    fn from(end: End<E, T>) -> Self {
        Self { end, failed: None }
    }
}

/// What a hedge needs to know of its operation.
pub(crate) struct Plan<'a> {
    pub(crate) delay: Duration,
    /// Endpoints that have failed the operation.
    pub(crate) avoid: &'a [u32],
    pub(crate) deadline: Option<Instant>,
    /// What the caller demands.
    pub(crate) request: &'a Request,
    /// Attempts begun.
    pub(crate) attempts: u32,
    /// Where the caller asked.
    pub(crate) location: &'static Location<'static>,
}

impl<E: Endpoint> Core<E> {
    /// When the hedge is due, if there may be one.
    pub(crate) fn hedge_delay(&self) -> Option<Duration> {
        let setup = self.setup.load();
        let config = setup.config.hedge.as_ref()?;
        let least = u64::from(config.min_samples);
        let usual = self.latencies.quantile(Instant::now(), config.quantile, least)?;
        Some(usual.clamp(config.min_delay, config.max_delay))
    }

    /// An attempt succeeded, or was beaten after so long.
    pub(crate) fn note_latency(&self, latency: impl FnOnce() -> Duration) {
        // nothing else needs it, and each look at the clock costs
        if self.setup.load().config.hedge.is_some() {
            self.latencies.record(Instant::now(), latency());
        }
    }

    /// Calls, and calls elsewhere too if that takes long. Dropped at any await, it drops both.
    pub(crate) async fn call_hedged<O: Operation<E>>(
        self: &Arc<Self>,
        operation: &O,
        lease: Lease<E>,
        plan: &Plan<'_>,
    ) -> Hedged<E, O::Output> {
        let (first, begun) = (lease.key(), Instant::now());
        let stats = Arc::clone(lease.stats());
        let mut primary = pin!(send(operation, lease, plan.deadline));
        let due = after(begun, plan.delay);
        if let Ok(end) = tokio::time::timeout_at(due, primary.as_mut()).await {
            return end.into();
        }
        let mut hedge = pin!(self.hedge(operation, first, plan));
        tokio::select! {
            // at the same moment the first one counts
            biased;
            end = primary.as_mut() => {
                if end.is_answer() {
                    return end.into();
                }
                match hedge.await {
                    Some((other, sent)) => Hedged { end: self.won(other, sent), failed: Some(end) },
                    None => end.into(),
                }
            }
            other = hedge.as_mut() => match other {
                Some((other, sent)) if other.is_answer() => {
                    let (now, elapsed) = (Instant::now(), begun.elapsed());
                    self.note_latency(|| elapsed);
                    stats.latency.beaten(elapsed, now);
                    self.won(other, sent).into()
                }
                failed => {
                    let failed = failed.map(|(failed, _lost)| failed);
                    Hedged { end: primary.await, failed }
                }
            },
        }
    }

    /// The second attempt; `None` if it was not to be had.
    async fn hedge<O: Operation<E>>(
        self: &Arc<Self>,
        operation: &O,
        first: u32,
        plan: &Plan<'_>,
    ) -> Option<(End<E, O::Output>, Sent<'_>)> {
        let mut avoid = plan.avoid.to_vec();
        avoid.push(first);
        let requirements = &plan.request.requirements;
        let terms = Terms::from(requirements);
        if !self.another(&avoid, requirements.min_position, &terms) {
            return None;
        }
        let Some(permit) = self.budget.withdraw(Instant::now()) else {
            self.effort.hedge_refused();
            return None;
        };
        // without a slot or a connection the permit goes back
        let connecting = after(Instant::now(), self.setup.load().config.acquire_timeout);
        let wish = Wish {
            avoid,
            min_position: requirements.min_position,
            terms,
            priority: plan.request.priority,
            deadline: plan
                .deadline
                .map_or(connecting, |deadline| deadline.min(connecting)),
            cost: plan.request.cost.clone(),
            rank: None,
            ask: Ask {
                key: plan.request.key,
                attempts: plan.attempts,
                purpose: Purpose::Hedge,
            },
        };
        let lease = self.acquire_at_once(&wish, plan.location).await?;
        permit.spend();
        let sent = self.effort.hedged();
        tracing::debug!(pool = %self.id, endpoint = %lease.endpoint(), "sending a hedge");
        Some((send(operation, lease, plan.deadline).await, sent))
    }

    fn won<T>(&self, end: End<E, T>, sent: Sent<'_>) -> End<E, T> {
        if matches!(end.outcome, Some(Ok(_))) {
            self.effort.hedge_won(sent);
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_named() {
        let bad = |config: HedgeConfig| config.validate().map_err(|error| error.field);
        let (ms, ok) = (Duration::from_millis, HedgeConfig::default());
        assert_eq!(bad(ok.clone()), Ok(()));
        assert_eq!(bad(ok.clone().quantile(f64::NAN)), Err("hedge.quantile"));
        assert_eq!(bad(ok.clone().delay(ms(2), ms(1))), Err("hedge.min_delay"));
        assert_eq!(bad(ok.delay(ms(2), Duration::MAX)), Err("hedge.max_delay"));
    }
}
