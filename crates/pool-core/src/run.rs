//! Running an operation: attempts, each on a connection of its own, until one succeeds or trying is over.

use std::{panic::Location, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    AcquireError, Endpoint, EndpointId, Lease, Operation, Phase, Purpose, Request, RunError, Verdict,
    acquire::Wish,
    admission::Terms,
    balance::Ask,
    budget::Permit,
    core::Core,
    hedge::{End, Plan, send},
    moment::after,
};

/// One operation on its way.
struct Run<'a, E: Endpoint> {
    core: &'a Arc<Core<E>>,
    request: &'a Request,
    overall: Option<Instant>,
    most: u32,
    attempts: u32,
    /// Endpoints that have failed it.
    avoid: Vec<u32>,
    /// What an endpoint must be or offer.
    terms: Terms,
    /// The error of the attempt before.
    last: Option<E::Error>,
    /// Paid for the next attempt; goes back into the budget if there is none.
    permit: Option<Permit<'a>>,
    /// Where the caller asked.
    location: &'static Location<'static>,
}

/// A failed attempt.
struct Failure<X> {
    endpoint: EndpointId,
    source: X,
    verdict: Verdict,
}

impl<E: Endpoint> Core<E> {
    pub(crate) async fn run<O: Operation<E>>(
        self: &Arc<Self>,
        operation: &O,
        request: &Request,
        location: &'static Location<'static>,
    ) -> Result<O::Output, RunError<E::Error>> {
        let now = Instant::now();
        self.budget.deposit(now);
        let overall = request.timeout.map(|timeout| after(now, timeout));
        let most = request
            .max_attempts
            .unwrap_or_else(|| self.setup.load().config.max_attempts)
            .max(1);
        let mut run = Run {
            core: self,
            request,
            overall,
            most,
            attempts: 0,
            avoid: self.avoided(request),
            terms: Terms::from(&request.requirements),
            last: None,
            permit: None,
            location,
        };
        let mut begun = now;
        loop {
            let lease = run.lease(begun).await?;
            run.attempts += 1;
            run.spend();
            match run.attempt(operation, lease).await? {
                Ok(output) => return Ok(output),
                Err(failure) => run.pause_after(failure).await?,
            }
            begun = Instant::now();
        }
    }
}

impl<E: Endpoint> Run<'_, E> {
    /// A connection; a failed connect is an attempt like any other, and the next may succeed.
    async fn lease(&mut self, mut now: Instant) -> Result<Lease<E>, RunError<E::Error>> {
        loop {
            let queue = now + self.core.setup.load().config.acquire_timeout;
            let deadline = self.overall.map_or(queue, |overall| overall.min(queue));
            let mut wish = Wish {
                avoid: std::mem::take(&mut self.avoid),
                min_position: self.request.requirements.min_position,
                terms: std::mem::take(&mut self.terms),
                priority: self.request.priority,
                deadline,
                cost: self.request.cost.clone(),
                rank: None,
                ask: self.ask(),
            };
            let result = self.core.acquire(&mut wish, now, self.location).await;
            (self.avoid, self.terms) = (wish.avoid, wish.terms);
            let error = match result {
                Ok(lease) => return Ok(lease),
                Err(error) => error,
            };
            self.attempts += 1;
            if error.is_connect() {
                self.spend();
            }
            let pause = self.backoff();
            let over = !self.may_connect_again(&error) || self.attempts >= self.most || self.too_late(pause);
            if over || !self.afford() {
                return Err(RunError::Acquire(error));
            }
            tokio::time::sleep(pause).await;
            now = Instant::now();
        }
    }

    fn ask(&self) -> Ask {
        Ask {
            key: self.request.key,
            attempts: self.attempts,
            purpose: if self.attempts == 0 {
                Purpose::First
            } else {
                Purpose::Retry
            },
        }
    }

    fn may_connect_again(&self, error: &AcquireError<E::Error>) -> bool {
        match error {
            AcquireError::Connect { verdict, .. } => verdict.retry_here,
            _ => error.is_connect(),
        }
    }

    /// One attempt, which may be hedged.
    async fn attempt<O: Operation<E>>(
        &mut self,
        operation: &O,
        lease: Lease<E>,
    ) -> Result<Result<O::Output, Failure<E::Error>>, RunError<E::Error>> {
        let hedged = match self.hedge_delay() {
            None => send(operation, lease, self.overall).await.into(),
            Some(delay) => {
                let plan = Plan {
                    delay,
                    avoid: &self.avoid,
                    deadline: self.overall,
                    request: self.request,
                    attempts: self.attempts,
                    location: self.location,
                };
                self.core.call_hedged(operation, lease, &plan).await
            }
        };
        if let Some(failed) = hedged.failed {
            self.attempts += 1;
            if let Some(Err(failure)) = self.report(failed) {
                self.last = Some(failure.source);
            }
        }
        match self.report(hedged.end) {
            Some(result) => Ok(result),
            None => Err(RunError::Deadline {
                phase: Phase::Attempt,
                attempts: self.attempts,
                last: self.last.take(),
            }),
        }
    }

    fn hedge_delay(&self) -> Option<Duration> {
        if !self.request.idempotent || self.attempts >= self.most {
            return None;
        }
        self.core.hedge_delay()
    }

    /// Tells the lease how its call ended; `None` when the deadline passed.
    fn report<T>(&mut self, end: End<E, T>) -> Option<Result<T, Failure<E::Error>>> {
        let End { lease, outcome } = end;
        match outcome {
            Some(Ok(output)) => {
                if self.request.idempotent {
                    self.core.note_latency(|| lease.held());
                }
                lease.succeed();
                Some(Ok(output))
            }
            Some(Err(source)) => {
                let (key, endpoint) = (lease.key(), lease.endpoint().clone());
                if !self.avoid.contains(&key) {
                    self.avoid.push(key);
                }
                let verdict = lease.fail(&source);
                Some(Err(Failure {
                    endpoint,
                    source,
                    verdict,
                }))
            }
            None => {
                // the caller's impatience is not the node's fault, but a node that hangs must be noticed
                lease.cut_off();
                None
            }
        }
    }

    /// Waits before the next attempt, or says why there is none.
    async fn pause_after(&mut self, failure: Failure<E::Error>) -> Result<(), RunError<E::Error>> {
        let Failure {
            endpoint,
            source,
            verdict,
        } = failure;
        let attempts = self.attempts;
        if attempts >= self.most || !self.may_retry(&verdict) {
            return Err(RunError::Failed {
                endpoint,
                attempts,
                source,
                verdict,
            });
        }
        let pause = self.backoff();
        if self.too_late(pause) {
            return Err(RunError::Deadline {
                phase: Phase::Backoff,
                attempts,
                last: Some(source),
            });
        }
        if !self.afford() {
            tracing::debug!(pool = %self.core.id, %endpoint, error = %source, "attempt failed, the budget is spent");
            return Err(RunError::Failed {
                endpoint,
                attempts,
                source,
                verdict,
            });
        }
        tracing::debug!(pool = %self.core.id, %endpoint, error = %source, attempts, "attempt failed, trying again");
        self.last = Some(source);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Pays for one more attempt, if the budget allows.
    fn afford(&mut self) -> bool {
        self.permit = self.core.budget.withdraw(Instant::now());
        if self.permit.is_none() {
            self.core.effort.exhausted();
        }
        self.permit.is_some()
    }

    /// The attempt that was paid for has begun.
    fn spend(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.spend();
            self.core.effort.retried();
        }
    }

    fn may_retry(&self, verdict: &Verdict) -> bool {
        if verdict.maybe_executed && !self.request.idempotent {
            return false;
        }
        let min_position = self.request.requirements.min_position;
        let elsewhere = self.core.another(&self.avoid, min_position, &self.terms);
        if elsewhere {
            verdict.retry_elsewhere
        } else {
            verdict.retry_here
        }
    }

    fn too_late(&self, pause: Duration) -> bool {
        self.overall
            .is_some_and(|overall| Instant::now() + pause >= overall)
    }

    /// Full jitter: anywhere between nothing and a maximum that doubles with each attempt.
    fn backoff(&self) -> Duration {
        let setup = self.core.setup.load();
        let config = &setup.config;
        let factor = 1_u32
            .checked_shl(self.attempts.saturating_sub(1))
            .unwrap_or(u32::MAX);
        config
            .backoff_min
            .saturating_mul(factor)
            .min(config.backoff_max)
            .mul_f64(self.core.chance.share())
    }
}
