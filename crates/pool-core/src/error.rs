//! What can go wrong when a connection is asked for or an operation is run, and what to do about it.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::{EndpointId, Fault, Outlier, PoolId, Verdict, health::HealthReason};

/// Where a deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for a slot.
    Queue,
    /// Opening or validating a connection.
    Connect,
    /// The request itself.
    Attempt,
    /// The pause between two attempts.
    Backoff,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "queue",
            Self::Connect => "connect",
            Self::Attempt => "attempt",
            Self::Backoff => "backoff",
        })
    }
}

/// What keeps an endpoint out of the choice for a while that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ThrottleCause {
    /// It asked for a pause.
    CoolDown,
    /// Its provider asked for a pause, perhaps in answer to another of its endpoints, or in another pool.
    ProviderCoolDown,
    /// Its own quota is spent.
    Quota,
    /// Its provider's quota is spent.
    ProviderQuota,
}

impl ThrottleCause {
    /// All of them, in a fixed order.
    pub const ALL: [Self; 4] = [
        Self::CoolDown,
        Self::ProviderCoolDown,
        Self::Quota,
        Self::ProviderQuota,
    ];

    /// Position in [`ThrottleCause::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Name as a label in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CoolDown => "cool_down",
            Self::ProviderCoolDown => "provider_cool_down",
            Self::Quota => "quota",
            Self::ProviderQuota => "provider_quota",
        }
    }

    /// Whether a quota of ours is spent, and not a pause asked for.
    pub const fn is_quota(self) -> bool {
        matches!(self, Self::Quota | Self::ProviderQuota)
    }
}

impl fmt::Display for ThrottleCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CoolDown => "it asked for a pause",
            Self::ProviderCoolDown => "its provider asked for a pause",
            Self::Quota => "its quota is spent",
            Self::ProviderQuota => "its provider's quota is spent",
        })
    }
}

/// Why one endpoint may not be picked now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotUsable {
    /// Its health checks fail, or it has not been checked yet.
    Unhealthy {
        /// Why.
        reason: Option<HealthReason>,
    },
    /// Its circuit breaker is open, or half-open with all probes out.
    BreakerOpen {
        /// For so long; unknown while probes are out.
        wait: Option<Duration>,
    },
    /// It is to be left alone for a while, or its quota is spent.
    Throttled {
        /// For so long.
        wait: Duration,
        /// Why.
        cause: ThrottleCause,
    },
    /// It stands out among the other endpoints and is left out for a while.
    Ejected {
        /// For so long.
        wait: Duration,
        /// How it stands out.
        why: Outlier,
    },
    /// It has not got as far as the request demands.
    Behind {
        /// How far it was at its last check; unknown if it has told no position.
        position: Option<u64>,
        /// What is demanded.
        needed: u64,
    },
    /// The request does not allow it.
    Excluded,
    /// It does not offer what the request needs.
    Lacks {
        /// It is asked for it again after so long; `None` if it said so itself.
        wait: Option<Duration>,
    },
    /// All its slots are taken.
    Full {
        /// So many.
        slots: u32,
    },
}

impl fmt::Display for NotUsable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unhealthy { reason: Some(reason) } => write!(f, "unhealthy ({reason})"),
            Self::Unhealthy { reason: None } => f.write_str("unhealthy"),
            Self::BreakerOpen { wait: Some(wait) } => write!(f, "circuit breaker open for {wait:.1?}"),
            Self::BreakerOpen { wait: None } => f.write_str("circuit breaker half-open, probes out"),
            Self::Throttled { wait, cause } => write!(f, "throttled for {wait:.1?}: {cause}"),
            Self::Ejected { wait, why } => write!(f, "left out for {wait:.1?} ({why})"),
            Self::Behind {
                position: Some(position),
                needed,
            } => write!(f, "at position {position}, {needed} needed"),
            Self::Behind {
                position: None,
                needed,
            } => write!(f, "position unknown, {needed} needed"),
            Self::Excluded => f.write_str("not allowed by the request"),
            Self::Lacks { wait: Some(wait) } => {
                write!(f, "does not offer what is needed, asked again in {wait:.1?}")
            }
            Self::Lacks { wait: None } => f.write_str("does not offer what is needed"),
            Self::Full { slots } => write!(f, "all {slots} slots taken"),
        }
    }
}

/// An endpoint and why it may not be picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Why.
    pub reason: NotUsable,
}

/// The endpoints that may not be picked, each with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasons(pub Vec<Unusable>);

impl fmt::Display for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Unusable { endpoint, reason }) in self.0.iter().enumerate() {
            write!(f, "{}{endpoint}: {reason}", if i > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

/// Why no connection was had. `X` is the endpoint's own error.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcquireError<X> {
    /// The queue was full. Shed load or slow down; raise `max_waiters` only if callers can really wait that long.
    QueueFull {
        /// The pool.
        pool: PoolId,
        /// Its limit.
        max_waiters: u32,
    },
    /// No slot became free in time. The pool is too small for the load, or its endpoints are too slow.
    QueueTimeout {
        /// The pool.
        pool: PoolId,
        /// How long the caller waited.
        waited: Duration,
    },
    /// No endpoint may be picked, and none can become usable in time. Look at each endpoint's reason.
    NoHealthyEndpoint {
        /// The pool.
        pool: PoolId,
        /// Each endpoint's reason.
        reasons: Reasons,
    },
    /// The deadline passed after a slot was had. For [`Phase::Connect`] the connect goes on and serves a later caller.
    Deadline {
        /// The pool.
        pool: PoolId,
        /// The endpoint.
        endpoint: EndpointId,
        /// Where.
        phase: Phase,
    },
    /// Connecting failed on every endpoint that could be tried; this is the last one's error.
    Connect {
        /// The pool.
        pool: PoolId,
        /// The endpoint.
        endpoint: EndpointId,
        /// What the endpoint said; the same for all who counted on this connect.
        source: Arc<X>,
        /// What it means.
        verdict: Verdict,
    },
    /// Connecting took longer than `connect_timeout` on every endpoint that could be tried; this is the last one.
    ConnectTimeout {
        /// The pool.
        pool: PoolId,
        /// The endpoint.
        endpoint: EndpointId,
        /// The time-out.
        after: Duration,
    },
    /// On every endpoint that could be tried connecting gave nothing that can be used; this is the last one. Either the
    /// other side closes connections as soon as they are open, or the endpoint's `connect` panicked, which is a bug in
    /// it.
    NoConnection {
        /// The pool.
        pool: PoolId,
        /// The endpoint.
        endpoint: EndpointId,
        /// What happened.
        why: &'static str,
    },
    /// The pool was closed. Stop using it.
    Closed {
        /// The pool.
        pool: PoolId,
    },
}

impl<X> AcquireError<X> {
    /// Whether asking again later can help.
    pub const fn is_retryable(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    /// Whose fault it is: a full queue or a short deadline is this process's, no healthy endpoint the nodes'.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NoHealthyEndpoint { .. } | Self::ConnectTimeout { .. } | Self::NoConnection { .. } => {
                Fault::Node
            }
            Self::Connect { verdict, .. } => verdict.fault(),
            _ => Fault::Local,
        }
    }

    /// Whether the endpoint could not be connected to: nothing was sent, so any operation may be tried again.
    pub const fn is_connect(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::NoConnection { .. }
        )
    }

    /// How long to wait before asking again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::NoHealthyEndpoint { reasons, .. } = self else {
            return None;
        };
        let waits = reasons.0.iter().filter_map(|unusable| match unusable.reason {
            NotUsable::BreakerOpen { wait } => wait,
            NotUsable::Throttled { wait, .. } | NotUsable::Ejected { wait, .. } => Some(wait),
            // what an endpoint lacks is asked of others, and they tell when
            _ => None,
        });
        waits.min()
    }
}

impl<X> fmt::Display for AcquireError<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull { pool, max_waiters } => {
                write!(f, "pool {pool}: queue is full ({max_waiters} waiting)")
            }
            Self::QueueTimeout { pool, waited } => {
                write!(f, "pool {pool}: no slot became free within {waited:.1?}")
            }
            Self::NoHealthyEndpoint { pool, reasons } => {
                write!(f, "pool {pool}: no usable endpoint: {reasons}")
            }
            Self::Deadline {
                pool,
                endpoint,
                phase,
            } => {
                write!(
                    f,
                    "pool {pool}: deadline passed in phase {phase} on endpoint {endpoint}"
                )
            }
            Self::Connect { pool, endpoint, .. } => {
                write!(f, "pool {pool}: could not connect to endpoint {endpoint}")
            }
            Self::ConnectTimeout {
                pool,
                endpoint,
                after,
            } => {
                write!(
                    f,
                    "pool {pool}: connecting to endpoint {endpoint} took longer than {after:.1?}"
                )
            }
            Self::NoConnection { pool, endpoint, why } => {
                write!(f, "pool {pool}: no connection to endpoint {endpoint}: {why}")
            }
            Self::Closed { pool } => write!(f, "pool {pool} is closed"),
        }
    }
}

impl<X: Error + 'static> Error for AcquireError<X> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

/// Why an operation did not succeed. `X` is the endpoint's own error.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError<X> {
    /// No connection was had for the first attempt, or for a further one.
    Acquire(AcquireError<X>),
    /// The operation failed, and trying further was pointless, not allowed, or beyond the attempts or the budget.
    Failed {
        /// The endpoint of the last attempt.
        endpoint: EndpointId,
        /// Attempts made.
        attempts: u32,
        /// The last attempt's error.
        source: X,
        /// What it means.
        verdict: Verdict,
    },
    /// The deadline passed.
    Deadline {
        /// Where.
        phase: Phase,
        /// Attempts begun.
        attempts: u32,
        /// The error of the attempt before, if there was one.
        last: Option<X>,
    },
}

impl<X> RunError<X> {
    /// Whether running the operation again later can help.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Acquire(error) => error.is_retryable(),
            Self::Failed { verdict, .. } => verdict.retry_elsewhere || verdict.retry_here,
            Self::Deadline { .. } => true,
        }
    }

    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Acquire(error) => error.fault(),
            Self::Failed { verdict, .. } => verdict.fault(),
            Self::Deadline { .. } => Fault::Local,
        }
    }

    /// How long to wait before running it again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Acquire(error) => error.retry_after(),
            Self::Failed { verdict, .. } => verdict.throttle,
            Self::Deadline { .. } => None,
        }
    }
}

impl<X> fmt::Display for RunError<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acquire(error) => error.fmt(f),
            Self::Failed {
                endpoint, attempts, ..
            } => {
                write!(f, "failed on endpoint {endpoint} (attempt {attempts})")
            }
            Self::Deadline { phase, attempts, .. } => {
                write!(f, "deadline passed in phase {phase} after {attempts} attempts")
            }
        }
    }
}

impl<X: Error + 'static> Error for RunError<X> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Acquire(error) => error.source(),
            Self::Failed { source, .. } => Some(source),
            Self::Deadline { last, .. } => last.as_ref().map(|error| error as _),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::ErrorType;

    const POOL: &str = "main";

    fn of(verdict: Verdict) -> AcquireError<io::Error> {
        AcquireError::Connect {
            pool: PoolId::new(POOL).unwrap(),
            endpoint: EndpointId::new("e0").unwrap(),
            source: Arc::new(io::Error::other("refused by the node")),
            verdict,
        }
    }

    fn unusable(reason: NotUsable) -> Unusable {
        let endpoint = EndpointId::new("e0").unwrap();
        Unusable { endpoint, reason }
    }

    /// Each error, whether asking again can help, whose fault it is, whether it was a connect.
    fn all() -> Vec<(AcquireError<io::Error>, bool, Fault, bool)> {
        let pool = || PoolId::new(POOL).unwrap();
        let endpoint = || EndpointId::new("e0").unwrap();
        let (waited, after) = (Duration::from_secs(3), Duration::from_secs(5));
        let max_waiters = 8;
        let reasons = Reasons(vec![unusable(NotUsable::BreakerOpen { wait: Some(waited) })]);
        let why = "it was closed as soon as it was opened";
        vec![
            (
                AcquireError::QueueFull {
                    pool: pool(),
                    max_waiters,
                },
                true,
                Fault::Local,
                false,
            ),
            (
                AcquireError::QueueTimeout { pool: pool(), waited },
                true,
                Fault::Local,
                false,
            ),
            (
                AcquireError::NoHealthyEndpoint {
                    pool: pool(),
                    reasons,
                },
                true,
                Fault::Node,
                false,
            ),
            (
                AcquireError::Deadline {
                    pool: pool(),
                    endpoint: endpoint(),
                    phase: Phase::Connect,
                },
                true,
                Fault::Local,
                false,
            ),
            (of(Verdict::of(ErrorType::Connect)), true, Fault::Node, true),
            (
                AcquireError::ConnectTimeout {
                    pool: pool(),
                    endpoint: endpoint(),
                    after,
                },
                true,
                Fault::Node,
                true,
            ),
            (
                AcquireError::NoConnection {
                    pool: pool(),
                    endpoint: endpoint(),
                    why,
                },
                true,
                Fault::Node,
                true,
            ),
            (AcquireError::Closed { pool: pool() }, false, Fault::Local, false),
        ]
    }

    #[test]
    fn each_tells_what_to_do_and_names_the_pool() {
        for (error, retryable, fault, connect) in all() {
            assert_eq!(error.is_retryable(), retryable, "{error}");
            assert_eq!(error.fault(), fault, "{error}");
            assert_eq!(error.is_connect(), connect, "{error}");
            assert!(error.to_string().contains(POOL), "{error}");
        }
    }

    #[test]
    fn a_failed_connect_keeps_its_source() {
        let error = of(Verdict::of(ErrorType::Connect));
        let source = std::error::Error::source(&error).expect("the endpoint's own error");
        assert_eq!(source.to_string(), "refused by the node");
        let others = all().into_iter().filter(|(error, ..)| !error.is_connect());
        for (error, ..) in others {
            assert!(std::error::Error::source(&error).is_none(), "{error}");
        }
    }

    #[test]
    fn the_wait_is_that_of_the_endpoint_that_is_back_first() {
        let wait = |seconds| Duration::from_secs(seconds);
        let reasons = Reasons(vec![
            unusable(NotUsable::BreakerOpen { wait: Some(wait(9)) }),
            unusable(NotUsable::Full { slots: 1 }),
            unusable(NotUsable::Throttled {
                wait: wait(4),
                cause: crate::ThrottleCause::CoolDown,
            }),
            unusable(NotUsable::BreakerOpen { wait: None }),
        ]);
        let pool = PoolId::new(POOL).unwrap();
        let error = AcquireError::<io::Error>::NoHealthyEndpoint { pool, reasons };
        assert_eq!(error.retry_after(), Some(wait(4)));
        let mut others = all().into_iter().filter(|(_, _, _, connect)| *connect);
        assert!(others.all(|(error, ..)| error.retry_after().is_none()));
    }
}
