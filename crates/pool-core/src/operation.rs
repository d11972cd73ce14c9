//! What [`Pool::run`](crate::Pool::run) does on a connection.

use std::{future::Future, time::Duration};

use crate::{Cost, Endpoint, EndpointId, Need};

/// One operation that can be attempted on any connection.
///
/// A trait and not a closure, so that the future it returns is known to be `Send` without a box for each attempt, and
/// so that two attempts of one operation can be under way at once. For a one-off there is [`operation`].
pub trait Operation<E: Endpoint>: Sync {
    /// What it yields.
    type Output;

    /// Attempts it on a connection.
    ///
    /// May be dropped at any await: by the deadline, by the caller, or because another attempt has won. The pool then
    /// destroys the connection.
    fn call(&self, conn: &mut E::Conn) -> impl Future<Output = Result<Self::Output, E::Error>> + Send;
}

/// Who is served first when callers wait.
///
/// A caller of a lower class is overtaken only by those of a higher one that come within the pool's `priority_ageing`
/// after it, for each class between them. So nobody starves: after that time it counts as one class up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// What must not wait: a claim close to its timelock.
    High,
    /// Everything else.
    #[default]
    Normal,
    /// What can wait: polling, backfill.
    Low,
}

/// What an endpoint must have, or should not be, to serve a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirements {
    /// Only endpoints whose last health check reported at least this position (block height) are used; the caller waits
    /// for one to get there, as long as a check can still tell before its deadline. `None`, the default: any.
    pub min_position: Option<u64>,
    /// Endpoints that are used only while no other may be picked. Ids that the pool does not have are ignored. Default:
    /// none. Endpoints of other providers than theirs are preferred.
    pub avoid: Vec<EndpointId>,
    /// Only these endpoints are used. Empty, the default: any.
    pub only: Vec<EndpointId>,
    /// These endpoints are not used, whatever else is down. Default: none.
    pub never: Vec<EndpointId>,
    /// Only endpoints that [offer](Endpoint::offers) this, and have not lately been found to lack it, are used. `None`, the
    /// default: nothing that not every endpoint offers.
    pub need: Option<Need>,
}

/// What an operation needs from the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// May the operation be sent again when a node may already have acted on it? Default `true`, as reads are. Set it
    /// to `false` for transactions: then only failures from before anything was sent are tried elsewhere.
    pub idempotent: bool,
    /// Time for everything together: queue, connect, all attempts, pauses between them. `None`, the default, takes the
    /// pool's `acquire_timeout` for the queue and connect alone and leaves the attempts to the endpoint's time-out.
    pub timeout: Option<Duration>,
    /// Attempts at the most, at least 1. `None`, the default, takes the pool's `max_attempts`.
    pub max_attempts: Option<u32>,
    /// Requests with the same key belong together: those of one account, whose nonce the next one builds on.
    /// [`BoundedHash`](crate::BoundedHash) sends them to the same endpoint; other balancers ignore it. Default `None`.
    pub key: Option<u64>,
    /// Who is served first when callers wait. Default [`Priority::Normal`].
    pub priority: Priority,
    /// What an endpoint must have. Default: nothing in particular.
    pub requirements: Requirements,
    /// Units that each attempt takes of the quotas of its endpoint and provider. Default 1.
    pub cost: Cost,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            idempotent: true,
            timeout: None,
            max_attempts: None,
            key: None,
            priority: Priority::Normal,
            requirements: Requirements::default(),
            cost: Cost::default(),
        }
    }
}

impl Request {
    /// The defaults: idempotent, the pool's own limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the operation may be repeated after a node may have acted on it.
    #[must_use]
    pub const fn idempotent(mut self, yes: bool) -> Self {
        self.idempotent = yes;
        self
    }

    /// Sets the time for everything together.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the number of attempts at the most.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// Sets the key by which requests belong together.
    #[must_use]
    pub const fn key(mut self, key: u64) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the priority.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Demands endpoints that have got at least so far.
    #[must_use]
    pub const fn min_position(mut self, position: u64) -> Self {
        self.requirements.min_position = Some(position);
        self
    }

    /// Sets the units that each attempt takes of a quota.
    #[must_use]
    pub fn cost(mut self, cost: impl Into<Cost>) -> Self {
        self.cost = cost.into();
        self
    }

    /// Adds an endpoint that is used only while no other may be picked.
    #[must_use]
    pub fn avoid(mut self, endpoint: EndpointId) -> Self {
        self.requirements.avoid.push(endpoint);
        self
    }

    /// Adds an endpoint to the only ones that are used.
    #[must_use]
    pub fn only(mut self, endpoint: EndpointId) -> Self {
        self.requirements.only.push(endpoint);
        self
    }

    /// Adds an endpoint that is not used, whatever else is down.
    #[must_use]
    pub fn never(mut self, endpoint: EndpointId) -> Self {
        self.requirements.never.push(endpoint);
        self
    }

    /// Demands endpoints that offer this; `None` demands nothing.
    #[must_use]
    pub const fn need(mut self, need: Option<Need>) -> Self {
        self.requirements.need = need;
        self
    }
}

/// Makes an operation of a closure that returns a boxed future.
///
/// ```
/// # use pool_core::{Endpoint, Operation, operation};
/// fn ping<E: Endpoint>() -> impl Operation<E, Output = ()> {
///     operation(|_conn: &mut E::Conn| Box::pin(async { Ok(()) }))
/// }
/// ```
pub fn operation<E, T, F>(call: F) -> impl Operation<E, Output = T>
where
    E: Endpoint,
    F: for<'c> Fn(&'c mut E::Conn) -> BoxFuture<'c, Result<T, E::Error>> + Sync,
{
    FromFn(call)
}

/// A boxed future, as [`operation`] takes it.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

struct FromFn<F>(F);

impl<E, T, F> Operation<E> for FromFn<F>
where
    E: Endpoint,
    F: for<'c> Fn(&'c mut E::Conn) -> BoxFuture<'c, Result<T, E::Error>> + Sync,
{
    type Output = T;

    fn call(&self, conn: &mut E::Conn) -> impl Future<Output = Result<T, E::Error>> + Send {
        (self.0)(conn)
    }
}
