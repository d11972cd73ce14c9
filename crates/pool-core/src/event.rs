//! What happens to a pool, for logs and for observers.

use std::{panic::Location, time::Duration};

use crate::{
    Applied, EndpointId, Outlier, ThrottleCause,
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
    /// An endpoint is kept out of the choice for a while. A quota that is spent again and again is told of once in ten
    /// seconds; [`EndpointSnapshot::throttles`](crate::EndpointSnapshot::throttles) counts each time. A cool-down that is
    /// shared by a provider's endpoints is told of for the one that it was asked for on.
    Throttled {
        /// The endpoint.
        endpoint: EndpointId,
        /// For so long from now.
        wait: Duration,
        /// Why.
        cause: ThrottleCause,
    },
    /// An endpoint stands out among the others and is left out for a while. Its checks and its breaker are not affected.
    Ejected {
        /// The endpoint.
        endpoint: EndpointId,
        /// For so long from now, unless the others fail before.
        wait: Duration,
        /// How it stands out.
        why: Outlier,
    },
    /// An endpoint that was left out takes part again, with a weight that rises slowly.
    Readmitted {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// So few endpoints are usable that those with a poor record are used too; see
    /// [`PoolConfig::panic_threshold`](crate::PoolConfig::panic_threshold).
    PanicBegan {
        /// Usable ones.
        usable: usize,
        /// Of so many.
        endpoints: usize,
    },
    /// Enough endpoints are usable again, or none with a poor record is left to be used.
    PanicEnded {
        /// Usable ones.
        usable: usize,
        /// Of so many.
        endpoints: usize,
    },
    /// A lease is held for longer than [`PoolConfig::leak_after`](crate::PoolConfig::leak_after). Told once for each.
    Leak {
        /// The endpoint.
        endpoint: EndpointId,
        /// For so long by now.
        held: Duration,
        /// Where it was acquired.
        location: &'static Location<'static>,
    },
    /// A lease that was told of as a leak came back after all.
    LeakReturned {
        /// The endpoint.
        endpoint: EndpointId,
        /// For how long it was held.
        held: Duration,
        /// Where it was acquired.
        location: &'static Location<'static>,
    },
    /// The pool was reconfigured.
    Reconfigured(Applied),
    /// The last request has ended on an endpoint that was removed or replaced; noticed within a second.
    Drained {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// The pool takes no more requests.
    Closed,
}
