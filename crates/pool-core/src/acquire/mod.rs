//! The way from a wish to a lease: pick, or wait in line, then connect.

mod held;
mod waiter;

use std::{panic::Location, sync::Arc, time::Duration};

use held::Held;
use tokio::time::Instant;
use waiter::Waiter;

use crate::{
    AcquireError, Candidates, Endpoint, EndpointId, ErrorType, Lease, PickCx, Reasons, Request, Verdict,
    admission::{Refusal, Settle, Terms, View},
    balance::{Ask, scratch::with_list},
    breaker::Ticket,
    connect_failure::{ConnectFailure, Why},
    core::Core,
    member::Member,
    moment::after,
};

/// A caller's deadline, what it demands, what it has tried and what the balancer may know.
pub(crate) use crate::admission::Want as Wish;

impl<E: Endpoint> Core<E> {
    /// Gets a connection before the deadline. An endpoint that cannot be connected to is noted, and the next is tried
    /// until none is left that has not been.
    ///
    /// Dropped at any await it leaves nothing behind: its place, slot and probe permit go to others, and a connect that
    /// was begun goes on for the next caller.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        wish: &mut Wish,
        now: Instant,
        location: &'static Location<'static>,
    ) -> Result<Lease<E>, AcquireError<E::Error>> {
        self.consult(wish.terms.need);
        let begun = self.begin(Some(wish), now);
        self.go_on(wish, begun, now, location).await
    }

    /// The same for who takes anything.
    pub(crate) async fn acquire_anything(
        self: &Arc<Self>,
        timeout: Duration,
        location: &'static Location<'static>,
    ) -> Result<Lease<E>, AcquireError<E::Error>> {
        let now = Instant::now();
        let mut begun = self.begin(None, now);
        if let Begun::Held(held) = &mut begun
            && let Some(lease) = held.lease_at_hand(now, location)
        {
            return Ok(lease);
        }
        let mut wish = Wish::anything(after(now, timeout));
        self.go_on(&mut wish, begun, now, location).await
    }

    /// What there is mostly: a slot that is free on the endpoint that the balancer picks, taken without making ready to wait.
    /// No wish is as good as one for anything.
    #[inline]
    fn begin(self: &Arc<Self>, wish: Option<&Wish>, now: Instant) -> Begun<'_, E> {
        if self.admission.is_crowded() {
            return Begun::Picked(None);
        }
        let picked = match wish {
            None => self.pick_any(Ask::NOTHING, now),
            Some(wish) => self.pick(wish, now),
        };
        match picked.and_then(|key| self.admission.take_free(key, wish, now)) {
            Some(grant) => Begun::Held(Held::of(self, grant, wish.and_then(|wish| wish.terms.need))),
            None => Begun::Picked(picked),
        }
    }

    /// Whom the balancer would pick.
    fn prefer(&self, wish: &Wish, now: Instant) -> Option<u32> {
        // where there is nothing to choose, what it would say is of no use
        if self.admission.is_crowded() {
            None
        } else {
            self.pick(wish, now)
        }
    }

    async fn go_on<'a>(
        self: &'a Arc<Self>,
        wish: &mut Wish,
        mut begun: Begun<'a, E>,
        mut now: Instant,
        location: &'static Location<'static>,
    ) -> Result<Lease<E>, AcquireError<E::Error>> {
        let came = now;
        loop {
            let mut held = match std::mem::replace(&mut begun, Begun::Not) {
                Begun::Held(held) => held,
                unanswered => {
                    let preferred = match unanswered {
                        Begun::Picked(preferred) => preferred,
                        _ => self.prefer(wish, now),
                    };
                    let mut waiter = Waiter::new(self, wish, preferred, now);
                    let grant = (&mut waiter).await.map_err(|error| self.rejected(error))?;
                    let mut held = Held::of(self, grant, wish.terms.need);
                    (held.rank, now) = (waiter.rank, waiter.now);
                    held
                }
            };
            if self.consult(wish.terms.need) && !self.admission.suits(held.key, &wish.terms) {
                // it has joined meanwhile, and was given before it was asked what it offers
                now = self.goes_round(wish, &held, came);
                continue;
            }
            let key = held.key;
            if let Some(lease) = held.lease_at_hand(now, location) {
                return Ok(lease);
            }
            match held.connect(wish.deadline, now, location).await {
                Ok(lease) => return Ok(lease),
                Err(Failed::Connect(error)) => {
                    if !wish.avoid.contains(&key) {
                        wish.avoid.push(key);
                    }
                    if !self.another(&wish.avoid, wish.min_position, &wish.terms) {
                        return Err(self.rejected(error));
                    }
                }
                Err(Failed::Final(error)) => return Err(self.rejected(error)),
                // the endpoint has left: another, or the same question again
                Err(Failed::Gone) => {}
            }
            now = self.goes_round(wish, &held, came);
        }
    }

    /// Whoever has to go round again is not behind those who came later.
    fn goes_round(&self, wish: &mut Wish, held: &Held<'_, E>, came: Instant) -> Instant {
        let rank = wish.rank.or(held.rank);
        wish.rank = rank.or_else(|| Some(self.admission.rank(wish.priority, came)));
        Instant::now()
    }

    /// Gets a connection on a slot that is free now, on none of the endpoints to avoid. Never waits in line.
    pub(crate) async fn acquire_at_once(
        self: &Arc<Self>,
        wish: &Wish,
        location: &'static Location<'static>,
    ) -> Option<Lease<E>> {
        let now = Instant::now();
        let (taken, effects) = self.admission.ask_at_once(self.pick(wish, now), wish, now);
        self.apply(effects);
        let mut held = Held::of(self, taken?, wish.terms.need);
        // what is to be avoided is given when nothing else is left; it goes back
        if wish.avoid.contains(&held.key) {
            return None;
        }
        if let Some(lease) = held.lease_at_hand(now, location) {
            return Some(lease);
        }
        held.connect(wish.deadline, now, location).await.ok()
    }

    /// What a request wants, in the pool's own terms.
    pub(crate) fn wish(&self, request: &Request, deadline: Instant) -> Wish {
        Wish {
            avoid: self.avoided(request),
            min_position: request.requirements.min_position,
            terms: Terms::from(&request.requirements),
            priority: request.priority,
            deadline,
            cost: request.cost.clone(),
            rank: None,
            ask: Ask {
                key: request.key,
                ..Ask::default()
            },
        }
    }

    /// The keys of the endpoints that a request avoids.
    pub(crate) fn avoided(&self, request: &Request) -> Vec<u32> {
        if request.requirements.avoid.is_empty() {
            return Vec::new();
        }
        let avoided = |id: &EndpointId| request.requirements.avoid.contains(id);
        let setup = self.setup.load();
        let members = setup.members();
        members
            .filter(|(_, seat)| avoided(&seat.member.id))
            .map(|(key, _)| key)
            .collect()
    }

    /// Asks the balancer, outside all locks.
    fn pick(&self, wish: &Wish, now: Instant) -> Option<u32> {
        let anybody = wish.min_position.is_none() && !self.admission.restricts(&wish.terms);
        if wish.avoid.is_empty() && anybody {
            return self.pick_any(wish.ask, now);
        }
        with_list(|keys| {
            if !anybody {
                keys.extend(self.admission.eligible_for(wish.min_position, &wish.terms));
            }
            // read after those keys: who may be picked is always in it
            let roster = self.admission.roster();
            if anybody {
                keys.extend(&roster.keys);
            }
            if keys.iter().any(|key| !wish.avoid.contains(key)) {
                keys.retain(|key| !wish.avoid.contains(key));
            }
            if !wish.avoid.is_empty() {
                self.prefer_other_providers(keys, &wish.avoid);
            }
            self.choose(keys, &roster.view, wish, now)
        })
    }

    /// Asks it for anybody.
    #[inline]
    fn pick_any(&self, ask: Ask, now: Instant) -> Option<u32> {
        let roster = self.admission.roster();
        self.choose_for(&roster.keys, &roster.view, ask, &[], now)
    }

    #[cold]
    fn rejected(&self, error: AcquireError<E::Error>) -> AcquireError<E::Error> {
        self.effort.rejected(error.rejection());
        error
    }

    /// Asks the balancer to choose among these.
    pub(crate) fn choose(&self, keys: &[u32], view: &View, wish: &Wish, now: Instant) -> Option<u32> {
        self.choose_for(keys, view, wish.ask, &wish.avoid, now)
    }

    #[inline]
    fn choose_for(&self, keys: &[u32], view: &View, ask: Ask, avoid: &[u32], now: Instant) -> Option<u32> {
        let cx = PickCx::new(now, ask, avoid, 0).seeded_by(&self.chance);
        let candidates = Candidates::new(keys, &view.stats, view.heaviest, now);
        // who panics has picked nobody: the least loaded is taken
        let pick = || view.balancer.pick(&candidates, &cx);
        let picked = self.balancers_bugs.call(&self.id, pick);
        picked.flatten().and_then(|index| keys.get(index).copied())
    }

    /// What has failed with one provider is better tried with another.
    pub(crate) fn prefer_other_providers(&self, keys: &mut Vec<u32>, avoid: &[u32]) {
        let setup = self.setup.load();
        if keys.iter().any(|key| !setup.is_kin(*key, avoid)) {
            keys.retain(|key| !setup.is_kin(*key, avoid));
        }
    }

    fn refused(&self, refusal: &Refusal, wish: &Wish, now: Instant) -> AcquireError<E::Error> {
        let pool = self.id.clone();
        match refusal {
            Refusal::QueueFull => AcquireError::QueueFull {
                pool,
                max_waiters: self.setup.load().config.max_waiters,
            },
            Refusal::Closed => AcquireError::Closed { pool },
            Refusal::Hopeless => AcquireError::NoHealthyEndpoint {
                pool,
                reasons: Reasons(self.admission.reasons(wish.min_position, &wish.terms, now)),
            },
        }
    }

    fn out_of_time(&self, wish: &Wish, since: Instant) -> AcquireError<E::Error> {
        let now = Instant::now();
        if !self.another(&[], wish.min_position, &wish.terms) {
            return self.refused(&Refusal::Hopeless, wish, now);
        }
        AcquireError::QueueTimeout {
            pool: self.id.clone(),
            waited: now.saturating_duration_since(since),
        }
    }

    /// What follows from a failed connect: for the breaker, for how long the endpoint is left alone, for the caller.
    fn connect_failed(
        &self,
        (key, ticket, member): (u32, Ticket, &Member<E>),
        failure: ConnectFailure<E::Error>,
    ) -> (Settle, Option<Duration>, Failed<E::Error>) {
        let (pool, endpoint) = (self.id.clone(), member.id.clone());
        let (why, report) = match failure {
            ConnectFailure::Failed(why, report) => (why, report),
            ConnectFailure::Closed if !self.is_closed() => return (Settle::Neutral, None, Failed::Gone),
            ConnectFailure::AtLimit | ConnectFailure::Closed => {
                let closed = AcquireError::Closed { pool };
                return (Settle::Neutral, None, Failed::Final(closed));
            }
        };
        let (took, verdict, error) = match why {
            Why::Endpoint(source) => {
                let verdict = member.endpoint.classify(&source);
                let error = AcquireError::Connect {
                    pool,
                    endpoint,
                    source,
                    verdict: verdict.clone(),
                };
                (Duration::ZERO, verdict, error)
            }
            Why::TimedOut(after) => {
                let error = AcquireError::ConnectTimeout {
                    pool,
                    endpoint,
                    after,
                };
                (after, Verdict::of(ErrorType::Connect), error)
            }
            Why::Useless(why) => {
                let error = AcquireError::NoConnection { pool, endpoint, why };
                (Duration::ZERO, Verdict::of(ErrorType::Connect), error)
            }
        };
        // each caller has made an attempt, but the endpoint has failed once for all who counted on the same connect
        member.stats.attempt_ended(Some(verdict.error_type));
        let due = report.is_due();
        let mut throttle = None;
        if due {
            self.cool_down(key, &verdict);
            let class = Some(verdict.error_type);
            member.stats.latency.ended(class, took, Instant::now());
            throttle = verdict.throttle;
        }
        // a probe has failed whoever reports it: he may have been admitted before the breaker opened, and then decides nothing
        let settle = if verdict.counts_for_breaker && (due || ticket.is_probe()) {
            Settle::Failure
        } else {
            Settle::Neutral
        };
        (settle, throttle, Failed::Connect(error))
    }
}

/// How far a caller has got without waiting.
enum Begun<'a, E: Endpoint> {
    /// It has not asked.
    Not,
    /// The balancer has picked, or there was nothing to pick from; no slot was taken.
    Picked(Option<u32>),
    Held(Held<'a, E>),
}

/// Why a connection was not had on a slot.
enum Failed<X> {
    /// Another endpoint may be tried.
    Connect(AcquireError<X>),
    Final(AcquireError<X>),
    /// The endpoint has left the pool.
    Gone,
}
