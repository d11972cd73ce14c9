//! What happens to a pool, for logs and for observers.

use std::time::Duration;

use crate::{
    EndpointId,
    breaker::BreakerState,
    health::{HealthReason, HealthStatus},
};

/// Something changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An endpoint's health changed.
    Health {
        /// The endpoint.
        endpoint: EndpointId,
        /// Before.
        from: HealthStatus,
        /// After.
        to: HealthStatus,
        /// Why, unless it is healthy.
        reason: Option<HealthReason>,
    },
    /// An endpoint's circuit breaker changed.
    Breaker {
        /// The endpoint.
        endpoint: EndpointId,
        /// Before.
        from: BreakerState,
        /// After.
        to: BreakerState,
    },
    /// An endpoint is kept out of the choice for a while, because its provider asked for it.
    Throttled {
        /// The endpoint.
        endpoint: EndpointId,
        /// For so long from now.
        wait: Duration,
    },
    /// The pool takes no more requests.
    Closed,
}
