//! What a request tells the pool beside what it asks the node.

use std::time::Duration;

use alloy_json_rpc::{RequestMeta, SerializedRequest};
use pool_core::{Priority, Request};
use tokio::time::Instant;

use crate::method::{Idempotency, idempotency};

/// What a request tells the pool beside what it asks the node. It rides in the extensions of alloy's
/// [`RequestMeta`]; what it leaves open is taken from the transport's hints, and then from the pool's settings.
///
/// ```
/// # use alloy_json_rpc::{Id, Request};
/// use pool_core::Priority;
/// use pool_rpc::PoolHints;
///
/// # let request = Request::new("eth_blockNumber", Id::Number(1), ());
/// // as `map_meta` of alloy's RpcCall takes it
/// let request = request.map_meta(|meta| {
///     PoolHints::default().min_block(21_000_000).priority(Priority::High).attach(meta)
/// });
/// assert!(request.meta.extensions().get::<PoolHints>().is_some());
/// ```
///
/// A batch is served by the strictest of its requests' hints: the earliest deadline, the highest priority, the highest
/// block; the first key counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolHints {
    /// Time for queue, connect and all attempts together, from the call on. A layer that calls again gets it again.
    pub timeout: Option<Duration>,
    /// The moment at which the answer is of no more use, however often a layer above calls again. With a time-out too,
    /// whatever ends first counts.
    pub deadline: Option<Instant>,
    /// Who is served first when callers wait.
    pub priority: Option<Priority>,
    /// Only endpoints that are known to have this block, so that one reads what another has written. The caller waits
    /// for one to get there, within its time.
    pub min_block: Option<u64>,
    /// Whether the request may be sent again when a node may have acted on it already. Default: reads that are known
    /// by their method may, all else may not. `true` opens it for other methods, but never for those that send
    /// transactions or have to do with filters.
    pub idempotent: Option<bool>,
    /// Requests with the same key go to the same endpoint where the balancer heeds keys.
    pub key: Option<u64>,
    /// Attempts at the most.
    pub max_attempts: Option<u32>,
}

impl PoolHints {
    /// Sets the time for everything together.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub const fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the priority.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets the block that the endpoint must have.
    #[must_use]
    pub const fn min_block(mut self, block: u64) -> Self {
        self.min_block = Some(block);
        self
    }

    /// Sets whether the request may be repeated.
    #[must_use]
    pub const fn idempotent(mut self, yes: bool) -> Self {
        self.idempotent = Some(yes);
        self
    }

    /// Sets the key.
    #[must_use]
    pub const fn key(mut self, key: u64) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the number of attempts at the most.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// Puts the hints into a request's meta data, in the place of any that are there.
    #[must_use]
    pub fn attach(self, mut meta: RequestMeta) -> RequestMeta {
        meta.extensions_mut().insert(self);
        meta
    }

    /// Those of a request, completed by the transport's.
    pub(super) fn of(request: &SerializedRequest, defaults: &Self) -> Self {
        match request.meta().extensions().get::<Self>() {
            None => defaults.clone(),
            Some(own) => Self {
                timeout: own.timeout.or(defaults.timeout),
                deadline: own.deadline.or(defaults.deadline),
                priority: own.priority.or(defaults.priority),
                min_block: own.min_block.or(defaults.min_block),
                idempotent: own.idempotent.or(defaults.idempotent),
                key: own.key.or(defaults.key),
                max_attempts: own.max_attempts.or(defaults.max_attempts),
            },
        }
    }

    /// The strictest of these and another request's, for requests that travel together.
    pub(super) fn and(self, other: &Self) -> Self {
        Self {
            timeout: least(self.timeout, other.timeout),
            deadline: least(self.deadline, other.deadline),
            // the highest comes first; who names none is no lower than others
            priority: least(self.priority, Some(other.priority.unwrap_or_default())),
            min_block: self.min_block.max(other.min_block),
            // asked of each request beside its method
            idempotent: None,
            key: self.key.or(other.key),
            max_attempts: least(self.max_attempts, other.max_attempts),
        }
    }

    /// Whether a request of this method may be sent again.
    pub(super) fn repeatable(&self, method: &str) -> bool {
        match self.idempotent {
            Some(yes) => yes && !acts(method),
            None => idempotency(method) == Idempotency::Idempotent,
        }
    }

    /// What a request needs in the pool's own terms, on top of what it needs by its method; `None` when the deadline
    /// has passed.
    pub(super) fn request(&self, by_method: Request, repeatable: bool, now: Instant) -> Option<Request> {
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(now));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        let mut request = by_method.idempotent(repeatable);
        request.timeout = least(left, self.timeout);
        request.max_attempts = self.max_attempts;
        request.key = self.key;
        request.priority = self.priority.unwrap_or_default();
        request.requirements.min_position = self.min_block;
        Some(request)
    }
}

/// Whether a method does something by its very name, whatever its caller says.
fn acts(method: &str) -> bool {
    const ACTS: [&str; 6] = [
        "eth_send",
        "eth_submit",
        "personal_send",
        "broadcast_",
        "eth_new",
        "eth_uninstall",
    ];
    method == "eth_getFilterChanges" || ACTS.iter().any(|prefix| method.starts_with(prefix))
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use alloy_json_rpc::{Id, Request as AlloyRequest};

    use super::*;

    #[test]
    fn a_requests_own_hints_come_before_the_transports() {
        let defaults = PoolHints::default().priority(Priority::Low).min_block(7);
        let request = AlloyRequest::new("eth_call", Id::Number(1), [1])
            .map_meta(|meta| PoolHints::default().min_block(9).attach(meta))
            .serialize()
            .unwrap();
        let hints = PoolHints::of(&request, &defaults);
        assert_eq!((hints.priority, hints.min_block), (Some(Priority::Low), Some(9)));
        let plain = AlloyRequest::new("eth_call", Id::Number(1), [1])
            .serialize()
            .unwrap();
        assert_eq!(PoolHints::of(&plain, &defaults), defaults);
    }

    #[test]
    fn the_strictest_of_a_batch_counts() {
        let low = PoolHints::default().and(&PoolHints::default().priority(Priority::Low));
        assert_eq!(low.priority, Some(Priority::Low));
        assert_eq!(low.and(&PoolHints::default()).priority, Some(Priority::Normal));

        let second = Duration::from_secs(1);
        let one = PoolHints::default()
            .timeout(second)
            .priority(Priority::Low)
            .key(5);
        let other = PoolHints::default()
            .timeout(2 * second)
            .priority(Priority::High)
            .min_block(3);
        let both = one.and(&other);
        assert_eq!(
            both,
            PoolHints::default()
                .timeout(second)
                .priority(Priority::High)
                .min_block(3)
                .key(5)
        );
    }

    #[test]
    fn no_hint_opens_a_transaction_to_repetition() {
        let (free, open) = (PoolHints::default(), PoolHints::default().idempotent(true));
        for (method, by_itself, opened) in [
            ("eth_call", true, true),
            ("mev_simBundle", false, true),
            ("eth_sendRawTransaction", false, false),
            ("eth_sendRawTransactionSync", false, false),
            ("eth_newFilter", false, false),
            ("eth_getFilterChanges", false, false),
        ] {
            assert_eq!(
                (free.repeatable(method), open.repeatable(method)),
                (by_itself, opened),
                "{method}"
            );
            assert!(!PoolHints::default().idempotent(false).repeatable(method));
        }
    }

    #[test]
    fn the_deadline_is_one_moment_and_the_time_out_begins_anew() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let hints = PoolHints::default()
            .deadline(now + 3 * second)
            .timeout(2 * second);
        let timeout = |now| {
            let request = hints.request(Request::new(), true, now);
            request.map(|request| request.timeout)
        };
        assert_eq!(timeout(now), Some(Some(2 * second)));
        assert_eq!(timeout(now + 2 * second), Some(Some(second)));
        assert_eq!(timeout(now + 3 * second), None);
    }
}
