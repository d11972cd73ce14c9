//! The way from a wish to a lease: pick, or wait in line, then connect.

use std::{
    future::poll_fn,
    panic::Location,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    AcquireError, Candidates, Endpoint, ErrorType, Lease, Phase, Reasons,
    admission::{Grant, Place, Refusal, Settle, Turn, Want},
    connect::ConnectFailure,
    core::Core,
    member::Stored,
};

/// A caller's deadline and what it has tried.
pub(crate) struct Wish {
    pub(crate) deadline: Instant,
    /// Endpoints that have failed this caller; taken again only when there are no others.
    pub(crate) avoid: Vec<u32>,
    /// Where the caller asked.
    pub(crate) location: &'static Location<'static>,
}

impl<E: Endpoint> Core<E> {
    /// Gets a connection before the deadline. An endpoint that cannot be connected to is noted, and the next is tried
    /// until none is left that has not been.
    ///
    /// Dropped at any await it leaves nothing behind: its place, slot and probe permit go to others, and a connect that
    /// was begun goes on for the next caller.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        wish: &mut Wish,
    ) -> Result<Lease<E>, AcquireError<E::Error>> {
        loop {
            let held = Held {
                core: self,
                grant: Some(self.slot(wish).await?),
            };
            let key = held.key();
            match held.connect(wish.deadline, wish.location).await {
                Ok(lease) => return Ok(lease),
                Err(Failed::Connect(error)) => {
                    wish.avoid.push(key);
                    let eligible = self.admission.eligible();
                    if eligible.iter().all(|other| wish.avoid.contains(other)) {
                        return Err(error);
                    }
                }
                Err(Failed::Final(error)) => return Err(error),
            }
        }
    }

    /// Gets a connection on a slot that is free now, on none of the endpoints to avoid. Never waits in line.
    pub(crate) async fn acquire_at_once(
        self: &Arc<Self>,
        avoid: &[u32],
        deadline: Option<Instant>,
        location: &'static Location<'static>,
    ) -> Option<Lease<E>> {
        let now = Instant::now();
        let (taken, effects) = self.admission.take(self.pick(avoid), avoid, now);
        self.apply(effects);
        let held = Held {
            core: self,
            grant: Some(taken.ok()?),
        };
        // what is to be avoided is given when nothing else is left; it goes back
        if avoid.contains(&held.key()) {
            return None;
        }
        let queue = now + self.config.acquire_timeout;
        held.connect(deadline.map_or(queue, |deadline| deadline.min(queue)), location)
            .await
            .ok()
    }

    async fn slot(self: &Arc<Self>, wish: &Wish) -> Result<Grant<Stored<E>>, AcquireError<E::Error>> {
        let now = Instant::now();
        let (taken, effects) = self.admission.take(self.pick(&wish.avoid), &wish.avoid, now);
        self.apply(effects);
        match taken {
            Ok(grant) => return Ok(grant),
            Err(Refusal::Busy) => {}
            Err(refusal) => return Err(self.refused(&refusal, now)),
        }
        let want = Want {
            avoid: wish.avoid.clone(),
            deadline: wish.deadline,
        };
        let (place, effects) = self.admission.enqueue(want.clone(), now);
        self.apply(effects);
        let place = place.map_err(|refusal| self.refused(&refusal, now))?;
        let mut waiter = Waiter {
            core: self,
            place: Some(place),
            want,
        };
        let mut expired = pin!(tokio::time::sleep_until(wish.deadline));
        let turn = poll_fn(|cx| match waiter.poll(cx) {
            Poll::Ready(turn) => Poll::Ready(Some(turn)),
            Poll::Pending => expired.as_mut().poll(cx).map(|()| None),
        })
        .await;
        match turn {
            Some(Ok(grant)) => Ok(grant),
            Some(Err(refusal)) => Err(self.refused(&refusal, Instant::now())),
            None => waiter.time_out().ok_or_else(|| self.out_of_time(now)),
        }
    }

    /// Asks the balancer, outside all locks.
    fn pick(&self, avoid: &[u32]) -> Option<u32> {
        let eligible = self.admission.eligible();
        if avoid.is_empty() {
            let candidates = Candidates::new(&eligible, &self.stats);
            return self
                .balancer
                .pick(&candidates)
                .and_then(|index| eligible.get(index).copied());
        }
        let others: Vec<u32> = eligible
            .iter()
            .copied()
            .filter(|key| !avoid.contains(key))
            .collect();
        let keys = if others.is_empty() {
            eligible.as_slice()
        } else {
            others.as_slice()
        };
        let candidates = Candidates::new(keys, &self.stats);
        self.balancer
            .pick(&candidates)
            .and_then(|index| keys.get(index).copied())
    }

    fn refused(&self, refusal: &Refusal, now: Instant) -> AcquireError<E::Error> {
        let pool = self.id.clone();
        match refusal {
            Refusal::QueueFull => AcquireError::QueueFull {
                pool,
                max_waiters: self.config.max_waiters,
            },
            Refusal::Closed => AcquireError::Closed { pool },
            Refusal::Hopeless | Refusal::Busy => AcquireError::NoHealthyEndpoint {
                pool,
                reasons: Reasons(self.admission.reasons(now)),
            },
        }
    }

    fn out_of_time(&self, since: Instant) -> AcquireError<E::Error> {
        let now = Instant::now();
        if self.admission.eligible().is_empty() {
            return self.refused(&Refusal::Hopeless, now);
        }
        AcquireError::QueueTimeout {
            pool: self.id.clone(),
            waited: now.saturating_duration_since(since),
        }
    }

    /// What follows from a failed connect: for the breaker, for how long the endpoint is left alone, for the caller.
    fn connect_failed(
        &self,
        key: u32,
        failure: ConnectFailure<E::Error>,
    ) -> (Settle, Option<Duration>, Failed<E::Error>) {
        let member = &self.members[key as usize];
        let (pool, endpoint) = (self.id.clone(), member.id.clone());
        match failure {
            ConnectFailure::Endpoint(source) => {
                let verdict = member.endpoint.classify(&source);
                member.stats.attempt_ended(Some(verdict.error_type));
                let settle = if verdict.counts_for_breaker {
                    Settle::Failure
                } else {
                    Settle::Neutral
                };
                (
                    settle,
                    verdict.throttle,
                    Failed::Connect(AcquireError::Connect {
                        pool,
                        endpoint,
                        source,
                        verdict,
                    }),
                )
            }
            ConnectFailure::TimedOut(after) => {
                member.stats.attempt_ended(Some(ErrorType::Connect));
                (
                    Settle::Failure,
                    None,
                    Failed::Connect(AcquireError::ConnectTimeout {
                        pool,
                        endpoint,
                        after,
                    }),
                )
            }
            ConnectFailure::Useless(why) => {
                member.stats.attempt_ended(Some(ErrorType::Connect));
                (
                    Settle::Failure,
                    None,
                    Failed::Connect(AcquireError::NoConnection { pool, endpoint, why }),
                )
            }
            ConnectFailure::AtLimit | ConnectFailure::Closed => (
                Settle::Neutral,
                None,
                Failed::Final(AcquireError::Closed { pool }),
            ),
        }
    }
}

/// Why a connection was not had on a slot.
enum Failed<X> {
    /// Another endpoint may be tried.
    Connect(AcquireError<X>),
    Final(AcquireError<X>),
}

/// A place in line that is left when dropped.
struct Waiter<'a, E: Endpoint> {
    core: &'a Arc<Core<E>>,
    place: Option<Place>,
    want: Want,
}

impl<E: Endpoint> Waiter<'_, E> {
    /// Ready when its turn has come, or when it never will.
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<Grant<Stored<E>>, Refusal>> {
        let Some(place) = &mut self.place else {
            return Poll::Ready(Err(Refusal::Closed));
        };
        let (turn, effects) = self
            .core
            .admission
            .look(place, cx.waker(), &self.want, Instant::now());
        self.core.apply(effects);
        let over = match turn {
            Turn::Wait => return Poll::Pending,
            Turn::Go(grant) => Ok(grant),
            Turn::Hopeless => Err(Refusal::Hopeless),
            Turn::Closed => Err(Refusal::Closed),
        };
        self.place = None;
        Poll::Ready(over)
    }

    /// The deadline has passed; a grant that came at the last moment still counts.
    fn time_out(&mut self) -> Option<Grant<Stored<E>>> {
        let (given, good) = self.core.admission.time_out(self.place.take()?, Instant::now());
        let held = Held {
            core: self.core,
            grant: given,
        };
        // one that may not be used any more is given back by the drop
        if good { held.into_grant() } else { None }
    }
}

impl<E: Endpoint> Drop for Waiter<'_, E> {
    fn drop(&mut self) {
        if let Some(grant) = self
            .place
            .take()
            .and_then(|place| self.core.admission.leave(place))
        {
            drop(Held {
                core: self.core,
                grant: Some(grant),
            });
        }
    }
}

/// A slot without a lease yet, given back when dropped.
struct Held<'a, E: Endpoint> {
    core: &'a Arc<Core<E>>,
    grant: Option<Grant<Stored<E>>>,
}

impl<E: Endpoint> Held<'_, E> {
    fn key(&self) -> u32 {
        self.grant.as_ref().map_or(0, |grant| grant.key)
    }

    fn into_grant(mut self) -> Option<Grant<Stored<E>>> {
        self.grant.take()
    }

    async fn connect(
        mut self,
        deadline: Instant,
        location: &'static Location<'static>,
    ) -> Result<Lease<E>, Failed<E::Error>> {
        let key = self.key();
        let member = &self.core.members[key as usize];
        let handed_over = self.grant.as_mut().and_then(|grant| grant.object.take());
        let connection = match handed_over {
            Some(mut stored) => {
                stored.lane.set_busy(true);
                Ok(Ok(stored))
            }
            None => tokio::time::timeout_at(deadline, member.connection()).await,
        };
        match connection {
            Ok(Ok(stored)) => {
                let Some(grant) = self.grant.take() else {
                    unreachable!("it is taken only here")
                };
                Ok(Lease::new(
                    Arc::clone(self.core),
                    key,
                    grant.ticket,
                    stored,
                    Instant::now(),
                    location,
                ))
            }
            Ok(Err(failure)) => {
                let (settle, throttle, failed) = self.core.connect_failed(key, failure);
                self.give_back(settle, throttle);
                Err(failed)
            }
            Err(_elapsed) => {
                let (pool, endpoint) = (self.core.id.clone(), member.id.clone());
                Err(Failed::Final(AcquireError::Deadline {
                    pool,
                    endpoint,
                    phase: Phase::Connect,
                }))
            }
        }
    }

    fn give_back(&mut self, settle: Settle, throttle: Option<Duration>) {
        if let Some(grant) = self.grant.take() {
            let effects = self
                .core
                .admission
                .give_back(grant, settle, throttle, Instant::now());
            self.core.apply(effects);
        }
    }
}

impl<E: Endpoint> Drop for Held<'_, E> {
    fn drop(&mut self) {
        self.give_back(Settle::Neutral, None);
    }
}
