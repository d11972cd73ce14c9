//! Why each endpoint would be picked now, or would not.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::{
    Candidates, Endpoint, EndpointId, NotUsable, PickCx, Request,
    acquire::Wish,
    admission::Gate,
    breaker::BreakerState,
    core::Core,
    health::{HealthReason, HealthStatus},
};

/// One endpoint, as the pool would look at it for a request now. See [`Pool::explain`](crate::Pool::explain).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Why it may not be picked; `None` when it may.
    pub not_usable: Option<NotUsable>,
    /// Whether the request would be sent to it. At most one is; none when nothing can be picked, when callers wait in
    /// line already, and when the balancer draws: then chance decides among those that may be picked, by their weights.
    pub next: bool,
    /// The request avoids it: it is picked only when no other may be.
    pub avoided: bool,
    /// Its tier; lower ones come first.
    pub tier: u8,
    /// Its weight, with slow start. It says nothing of whether the endpoint may be picked.
    pub weight: f64,
    /// Requests it works on.
    pub slots_active: u64,
    /// Requests it takes at the most.
    pub slots_max: u64,
    /// Requests that it probably bears at once, and is given as long as few wait
    /// ([`adaptive_concurrency`](crate::PoolConfig::adaptive_concurrency)); `slots_max` where nothing speaks against it.
    pub concurrency_limit: u64,
    /// What a request on it will probably take; see [`Candidate::latency_at`](crate::Candidate::latency_at).
    pub latency: Duration,
    /// Whether the newest attempt that told anything failed through the node's fault.
    pub failing: bool,
    /// What its checks say.
    pub health: HealthStatus,
    /// Why it is not healthy; for a healthy one the newest failed check that has not yet been followed by a passed one.
    pub health_reason: Option<HealthReason>,
    /// Its circuit breaker.
    pub breaker: BreakerState,
    /// How far it had got at its newest check, if it tells.
    pub position: Option<u64>,
}

impl Explanation {
    /// A fresh endpoint that may be picked, with weight 1 and no slots. For tests of observers, which set the fields
    /// that they need.
    pub const fn new(endpoint: EndpointId) -> Self {
        Self {
            endpoint,
            not_usable: None,
            next: false,
            avoided: false,
            tier: 0,
            weight: 1.0,
            slots_active: 0,
            slots_max: 0,
            concurrency_limit: 0,
            latency: Duration::ZERO,
            failing: false,
            health: HealthStatus::Unknown,
            health_reason: None,
            breaker: BreakerState::Closed,
            position: None,
        }
    }

    /// Whether it may be picked.
    pub const fn is_usable(&self) -> bool {
        self.not_usable.is_none()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.endpoint)?;
        match &self.not_usable {
            Some(reason) => return reason.fmt(f),
            None if self.next => f.write_str("next")?,
            None if self.avoided => f.write_str("usable, avoided")?,
            None => f.write_str("usable")?,
        }
        write!(
            f,
            "; weight {}, {} of {} slots taken, ",
            self.weight, self.slots_active, self.slots_max
        )?;
        if self.concurrency_limit < self.slots_max {
            write!(f, "bears {}, ", self.concurrency_limit)?;
        }
        write!(f, "about {:.1?}", self.latency)
    }
}

impl Explanation {
    fn of(gate: &Gate, wish: &Wish, now: Instant) -> Self {
        let stats = &gate.stats;
        Self {
            endpoint: stats.id.clone(),
            not_usable: gate.why_not(wish.min_position, &wish.terms, now),
            next: false,
            avoided: false,
            tier: stats.tier(),
            weight: stats.weight(now),
            slots_active: gate.taken.into(),
            slots_max: gate.slots.into(),
            concurrency_limit: gate.limit.into(),
            latency: stats.latency.at(now),
            failing: stats.latency.failing(),
            health: gate.health.status(),
            health_reason: gate.health.reason().cloned(),
            breaker: gate.breaker.state(),
            position: gate.position.map(|(position, _)| position),
        }
    }

    /// What the load would be, for its tier and weight, with one more request on it.
    fn load(&self) -> (u8, f64) {
        (self.tier, (self.slots_active + 1) as f64 / self.weight)
    }
}

impl<E: Endpoint> Core<E> {
    /// Looks at each endpoint for such a request, and changes nothing. Endpoints that have not been asked yet whether they
    /// offer what it needs are.
    pub(crate) fn explain(&self, request: &Request) -> Vec<Explanation> {
        let now = Instant::now();
        let wish = self.wish(request, now);
        self.consult(wish.terms.need);
        let mut keys: Vec<u32> = Vec::new();
        let mut among: Vec<(u32, Explanation)> = Vec::new();
        let totals = self.admission.read(now, |key, gate| {
            let key = key as u32;
            let mut explanation = Explanation::of(gate, &wish, now);
            explanation.avoided = wish.avoid.contains(&key);
            if gate.eligible(now) && gate.meets(wish.min_position, &wish.terms) {
                keys.push(key);
            }
            among.push((key, explanation));
        });
        if keys.iter().any(|key| !wish.avoid.contains(key)) {
            keys.retain(|key| !wish.avoid.contains(key));
        }
        if !wish.avoid.is_empty() {
            self.prefer_other_providers(&mut keys, &wish.avoid);
        }
        if totals.queue_size == 0 && totals.room > 0 {
            let next = self.next_of(&keys, &among, &wish, now);
            for (key, explanation) in &mut among {
                explanation.next = next == Some(*key);
            }
        }
        among.into_iter().map(|(_, explanation)| explanation).collect()
    }

    /// Whom the balancer would pick of these; if that one is full, the least loaded that is not, as for a real request.
    fn next_of(&self, keys: &[u32], among: &[(u32, Explanation)], wish: &Wish, now: Instant) -> Option<u32> {
        let setup = self.setup.load();
        let candidates = Candidates::new(keys, &setup.stats, setup.view.heaviest, now);
        // no chance of the pool's is spent: who is asked draws nothing
        let cx = PickCx::new(now, wish.ask, &wish.avoid, 0);
        let peeked = *keys.get(setup.balancer.peek(&candidates, &cx)?)?;
        let free = among
            .iter()
            .filter(|(key, explanation)| keys.contains(key) && explanation.is_usable());
        if free.clone().any(|(key, _)| *key == peeked) {
            return Some(peeked);
        }
        let least = free.min_by(|(_, a), (_, b)| {
            let ((a_tier, a), (b_tier, b)) = (a.load(), b.load());
            a_tier.cmp(&b_tier).then(a.total_cmp(&b))
        });
        least.map(|(key, _)| *key)
    }
}
