//! What a balancer sees of the endpoints.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{EndpointId, expectation::Outlook, stats::Stats};

/// What a balancer sees of one endpoint that may be picked.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    stats: &'a Stats,
    key: u32,
    weight: f64,
    in_flight: u64,
}

impl<'a> Candidate<'a> {
    /// The endpoint's id.
    pub const fn id(&self) -> &'a EndpointId {
        &self.stats.id
    }

    /// A small number that names the endpoint as long as it belongs to the pool; for tables that a balancer keeps. An
    /// endpoint that joins later may get the number of one that has left.
    pub const fn key(&self) -> usize {
        self.key as usize
    }

    /// A number made of the id alone: the same in every process and after every restart. For hashing.
    pub const fn hash(&self) -> u64 {
        self.stats.hash
    }

    /// Its effective weight, above 0: the configured one, or less of it for a while after a recovery (slow start).
    pub const fn weight(&self) -> f64 {
        self.weight
    }

    /// Requests it works on. Read once, when the candidate was looked at.
    pub const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Requests it takes at the most.
    pub fn slots(&self) -> u64 {
        self.stats.slots_max()
    }

    /// Whether it works on as many requests as it takes, or probably bears
    /// ([`adaptive_concurrency`](crate::PoolConfig::adaptive_concurrency)): then the pool will mostly not follow the balancer's
    /// pick.
    pub fn is_full(&self) -> bool {
        self.in_flight >= self.stats.limit()
    }

    /// Its tier; lower ones come first.
    pub fn tier(&self) -> u8 {
        self.stats.tier()
    }

    /// What a request on it will probably take, at least 1 ms: a moving average of what attempts took that rises at
    /// once and falls slowly, and fades by itself (to 1/e in 10 s). 30 ms before the first answer. A failure of the node
    /// counts as 5 s or more, however fast it came; a caller's mistake counts with the time that its answer took; an
    /// attempt cut by a deadline counts if it took longer than expected; a cancelled one does not count.
    pub fn latency_at(&self, now: Instant) -> Duration {
        self.stats.latency.at(now)
    }

    /// The same in seconds, at a moment from [`Candidates::tick`].
    #[inline]
    pub(super) fn seconds_at(&self, tick: u32) -> f64 {
        self.stats.latency.seconds_at(tick)
    }

    /// What requests on it take on average, and how many are then under way, at a moment from [`Candidates::tick`]; `None`
    /// before the first answer.
    #[inline]
    pub(super) fn expectation_at(&self, tick: u32) -> Option<Outlook> {
        self.stats.latency.expectation_at(tick, self.in_flight == 0)
    }

    /// How many times more loaded it is to be taken for than it is, by those who look at load alone: 1, about 50 after five
    /// failures of the node in a row, and 1 again some 40 s later.
    #[inline]
    pub fn handicap_at(&self, now: Instant) -> f64 {
        self.stats.latency.handicap(now)
    }

    /// What its load would be, for its weight, with one more request on it.
    #[inline]
    pub(super) fn load_at(&self, now: Instant) -> f64 {
        // as a signed number in one instruction, and as exact
        (self.in_flight as i64 + 1) as f64 / self.weight * self.handicap_at(now)
    }

    /// Whether the newest attempt that told anything failed through the node's fault.
    pub fn is_failing(&self) -> bool {
        self.stats.latency.failing()
    }
}

/// The endpoints that may be picked now, as a dense list.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    keys: &'a [u32],
    members: &'a [Arc<Stats>],
    heaviest: f64,
    now: Instant,
}

impl<'a> Candidates<'a> {
    pub(crate) const fn new(keys: &'a [u32], members: &'a [Arc<Stats>], heaviest: f64, now: Instant) -> Self {
        Self {
            keys,
            members,
            heaviest,
            now,
        }
    }

    /// The same, of these endpoints only.
    pub(super) const fn only<'b>(&self, keys: &'b [u32]) -> Candidates<'b>
    where
        'a: 'b,
    {
        Candidates {
            keys,
            members: self.members,
            heaviest: self.heaviest,
            now: self.now,
        }
    }

    /// The moment as estimates store it, so that it is computed once for each pick.
    pub(super) fn tick(&self, now: Instant) -> u32 {
        self.members.first().map_or(0, |stats| stats.latency.tick(now))
    }

    /// The moment of the pick.
    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// No candidate's weight is above this: the largest that is configured in the pool.
    pub const fn heaviest(&self) -> f64 {
        self.heaviest
    }

    /// The candidate at an index below [`len`](Self::len).
    #[inline]
    pub fn get(&self, index: usize) -> Option<Candidate<'a>> {
        let key = *self.keys.get(index)?;
        let stats: &'a Stats = self.members.get(key as usize)?;
        Some(Candidate {
            stats,
            key,
            weight: stats.weight(self.now),
            in_flight: stats.in_flight(),
        })
    }

    /// All candidates in order.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}
