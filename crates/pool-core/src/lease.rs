//! A connection in a caller's hands.

use std::{
    fmt,
    num::NonZeroU32,
    ops::{Deref, DerefMut},
    panic::Location,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    CloseReason, Endpoint, EndpointId, ErrorType, Feedback, Need, ProviderId, ReusableTimer, Verdict,
    admission::{Kept, Settle},
    breaker::Ticket,
    core::Core,
    leak::Watch,
    member::Stored,
    moment::after,
    stats::Stats,
};

/// A connection and the slot it runs in, leased to one caller.
///
/// Tell how it went: [`succeed`](Self::succeed), [`fail`](Self::fail) or [`neutral`](Self::neutral); the time from
/// lease to report is the attempt's latency. A lease that is dropped without a word after its connection was looked at
/// counts as cancelled: the connection is destroyed, because half a request may be on it (unless it
/// [`survives`](Endpoint::survives) that), and nothing is held against the endpoint. One that was never touched goes back as it was.
///
/// It is `'static` and `Send`, and dropping it needs no runtime.
#[must_use = "a lease that is dropped gives its slot back"]
pub struct Lease<E: Endpoint> {
    core: Arc<Core<E>>,
    /// Gone once reported.
    stored: Option<Box<Stored<E>>>,
}

/// What a lease must know of its slot and of its time. It lies with the connection, because a lease is moved often, and
/// its connection never.
#[derive(Debug)]
pub(crate) struct Trip {
    key: u32,
    /// What was paid for it.
    paid: u32,
    /// Requests that were under way on the endpoint when it was leased, itself among them.
    among: u32,
    /// Whether the caller waited in line for it.
    waited: bool,
    ticket: Ticket,
    kept: Kept,
    since: Instant,
    /// After so many microseconds the answer was there, if that is not when it is reported.
    answered: Option<NonZeroU32>,
    /// What the request needs that not every endpoint offers.
    need: Option<Need>,
    touched: AtomicBool,
    /// Gone once it has come back, and when nobody looks for leaks.
    watch: Option<Watch>,
}

impl Trip {
    /// Of a connection that has not been leased yet.
    pub(crate) const fn none(now: Instant) -> Self {
        Self {
            key: 0,
            paid: 0,
            among: 0,
            waited: false,
            ticket: Ticket::BYPASS,
            kept: Kept::NONE,
            since: now,
            answered: None,
            need: None,
            touched: AtomicBool::new(false),
            watch: None,
        }
    }
}

impl<E: Endpoint> Lease<E> {
    #[inline]
    pub(crate) fn new(
        core: Arc<Core<E>>,
        (key, ticket, kept, paid): (u32, Ticket, Kept, u32),
        waited: bool,
        need: Option<Need>,
        mut stored: Box<Stored<E>>,
        now: Instant,
        location: &'static Location<'static>,
    ) -> Self {
        stored.trip = Trip {
            key,
            paid,
            among: stored.member.stats.in_flight() as u32,
            waited,
            ticket,
            kept,
            since: now,
            answered: None,
            need,
            touched: AtomicBool::new(false),
            watch: core.leaks.watch(key, location, now),
        };
        Self {
            core,
            stored: Some(stored),
        }
    }

    /// The endpoint it leads to.
    pub fn endpoint(&self) -> &EndpointId {
        &self.stored().member.id
    }

    fn stored(&self) -> &Stored<E> {
        match &self.stored {
            Some(stored) => stored,
            None => unreachable!("only the methods that consume the lease take the connection out"),
        }
    }

    /// Takes the timer for the calls on this connection, to be put back.
    pub(crate) fn take_timer(&mut self) -> ReusableTimer {
        let stored = self.stored.as_mut();
        stored
            .map(|stored| std::mem::take(&mut stored.timer))
            .unwrap_or_default()
    }

    pub(crate) fn put_timer_back(&mut self, timer: ReusableTimer) {
        if let Some(stored) = &mut self.stored {
            stored.timer = timer;
        }
    }

    /// The provider of that endpoint.
    pub fn provider(&self) -> Option<ProviderId> {
        let setup = self.core.setup.load();
        let provider = setup.toll(self.key())?.provider.as_ref()?;
        Some(provider.id().clone())
    }

    pub(crate) fn stats(&self) -> &Arc<Stats> {
        &self.stored().member.stats
    }

    pub(crate) fn key(&self) -> u32 {
        self.stored().trip.key
    }

    /// The request succeeded.
    pub fn succeed(mut self) {
        self.report(None, true, Settle::Success, (None, false));
    }

    /// The request failed. The endpoint's own judgement decides what follows from it, and is returned.
    pub fn fail(self, error: &E::Error) -> Verdict {
        let verdict = self.judge(error);
        self.fail_with(&verdict);
        verdict
    }

    /// What the endpoint says of the error. Reports nothing.
    pub fn judge(&self, error: &E::Error) -> Verdict {
        self.stored().member.endpoint.classify(error)
    }

    /// The answer is there, and how it went will be reported later: when others' answers are known, for example. The time
    /// until then does not count as the attempt's latency.
    pub fn answered(&mut self) {
        let micros = u32::try_from(self.held().as_micros()).unwrap_or(u32::MAX);
        if let Some(stored) = &mut self.stored {
            stored.trip.answered = Some(NonZeroU32::MIN.saturating_add(micros));
        }
    }

    /// The caller's deadline has cut the request off. The connection is destroyed. It is held against the endpoint only if
    /// that had `hang_after` to answer, or [`BreakerConfig::slow_call`](crate::BreakerConfig::slow_call) if that is
    /// shorter.
    pub fn cut_off(self) {
        let hung = self.held() >= self.core.setup.load().config.hangs_after();
        self.fail_with(&Verdict::of(ErrorType::Deadline).with_counts_for_breaker(hung));
    }

    /// Since it was leased.
    pub(crate) fn held(&self) -> Duration {
        self.stored().trip.since.elapsed()
    }

    /// The request failed, in the caller's own judgement: an answer that the endpoint takes for good, for example, and that
    /// other endpoints contradict.
    pub fn fail_with(mut self, verdict: &Verdict) {
        if verdict.lacks {
            self.lacks();
        }
        let settle = if verdict.counts_for_breaker {
            Settle::Failure
        } else if verdict.fault() == crate::Fault::Caller {
            // the node answered properly: for a probe that is a success
            Settle::Success
        } else {
            Settle::Neutral
        };
        self.core.cool_down(self.key(), verdict);
        self.report(
            Some(verdict.error_type),
            verdict.keep_connection,
            settle,
            (verdict.throttle, verdict.lacks),
        );
    }

    /// The endpoint lacks what the request needed. Noted before the slot is given back: it would go to the next who needs
    /// the same.
    #[cold]
    fn lacks(&self) {
        let Some(need) = self.stored().trip.need else {
            return;
        };
        let now = Instant::now();
        let until = after(now, self.core.setup.load().config.lacks_for);
        let endpoint = self.endpoint();
        tracing::info!(pool = %self.core.id, %endpoint, need = need.number(), "the endpoint lacks what is needed");
        let effects = self.core.admission.found_lacking(self.key(), need, until, now);
        self.core.apply(effects);
    }

    /// The connection is fine, and nothing is to be learned from how it was used.
    pub fn neutral(mut self) {
        self.refund_unused();
        self.finish(true, Settle::Neutral, None, Instant::now(), Feedback::Cancelled);
    }

    /// Nothing can have been sent on a connection that nobody has looked at.
    fn refund_unused(&self) {
        let Trip {
            key, paid, touched, ..
        } = &self.stored().trip;
        if !touched.load(Ordering::Relaxed) {
            self.core.refund(*key, *paid);
        }
    }

    #[inline]
    fn report(
        &mut self,
        error: Option<ErrorType>,
        keep: bool,
        settle: Settle,
        (throttle, lacking): (Option<Duration>, bool),
    ) {
        let stored = self.stored();
        let member = &stored.member;
        let now = Instant::now();
        let latency = match stored.trip.answered {
            None => now.saturating_duration_since(stored.trip.since),
            Some(micros) => Duration::from_micros(micros.get().into()),
        };
        member.stats.attempt_ended(error);
        if !lacking {
            if error.is_none() {
                member.stats.latency.answered_among(member.stats.in_flight());
            }
            member.stats.latency.ended(error, latency, now);
            if self.core.knobs.learns() && error.is_none_or(ErrorType::tells_the_time) {
                let Trip { among, waited, .. } = stored.trip;
                member.stats.curves.answered(among, waited, latency);
            }
        }
        if let Some(observer) = &member.observer {
            let core = &self.core;
            core.observers_bugs
                .call(&core.id, || observer.attempt_ended(latency, error));
        }
        trace_request!(
            pool = %self.core.id,
            endpoint = %self.stored().member.id,
            ?latency,
            error = error.map_or("", ErrorType::as_str),
            "attempt ended"
        );
        let outcome = error.into();
        let slow = settle == Settle::Success && latency >= self.core.knobs.slow_call.get();
        let settle = if slow { Settle::Slow } else { settle };
        let what = if lacking {
            // a refusal at once says nothing of how fast it works
            Feedback::Cancelled
        } else {
            Feedback::Done { latency, outcome }
        };
        self.finish(keep, settle, throttle, now, what);
    }

    /// Why a connection is closed when it comes back. `keep` says that nothing spoke against keeping it before its endpoint
    /// was asked whether it is clean.
    #[cold]
    fn closed_for(stored: &Stored<E>, keep: bool, what: &Feedback, now: Instant) -> CloseReason {
        if stored.expired(now) {
            CloseReason::Expired
        } else if stored.member.is_shut_down() {
            CloseReason::Shutdown
        } else if keep {
            CloseReason::Broken
        } else if stored.member.keeps_nothing() {
            CloseReason::Surplus
        } else if matches!(what, Feedback::Cancelled) {
            CloseReason::Cancelled
        } else {
            CloseReason::Broken
        }
    }

    /// The one exit. What can still be used goes to the next caller or into the storage; the rest is closed.
    fn finish(
        &mut self,
        keep: bool,
        settle: Settle,
        mut throttle: Option<Duration>,
        now: Instant,
        what: Feedback,
    ) {
        let Some(stored) = &mut self.stored else {
            return;
        };
        let core = &self.core;
        // with the connection all that is known of the lease may go to somebody else
        let Trip {
            key, ticket, kept, ..
        } = stored.trip;
        let slot = (key, ticket, kept);
        let watch = stored.trip.watch.take();
        let clearances = core.clearances();
        let keep = !stored.expired(now) && !stored.member.keeps_nothing() && {
            // an endpoint that panics over it loses the connection, and not the slot
            let survives = || stored.member.endpoint.survives(&stored.conn);
            keep || core.endpoints_bugs.call(&core.id, survives) == Some(true)
        };
        let ask = || (stored.pause(), stored.member.endpoint.is_clean(&stored.conn));
        let (pause, clean) = keep
            .then(|| core.endpoints_bugs.call(&core.id, ask))
            .flatten()
            .unzip();
        let mut pause = pause.flatten();
        if let Some(clean) = clean {
            stored.lane.set_busy(false);
            stored.returned_at = now;
            if !clean {
                // recycle decides, when somebody needs it
                self.stored = None;
            }
        } else if let Some(mut stored) = self.stored.take() {
            pause = core.endpoints_bugs.call(&core.id, || stored.pause()).flatten();
            let why = Self::closed_for(&stored, keep, &what, now);
            stored.close(why);
        }
        if let Some(pause) = pause {
            core.cool_down_provider(key, pause);
            throttle = throttle.max(Some(pause));
        }
        let outcome = (settle, throttle);
        if let Some(effects) = core.admission.release(slot, &mut self.stored, outcome, now) {
            core.apply(effects);
        }
        if let Some(leak) = watch.and_then(|watch| core.leaks.returned(watch, now)) {
            core.leak_returned(leak);
        }
        if clean.is_some() && core.clearances() != clearances {
            core.clear_away(key, now);
        }
        core.feed(key, what);
    }
}

impl<E: Endpoint> Deref for Lease<E> {
    type Target = E::Conn;

    fn deref(&self) -> &E::Conn {
        // many clients send through a shared reference
        let stored = self.stored();
        stored.trip.touched.store(true, Ordering::Relaxed);
        &stored.conn
    }
}

impl<E: Endpoint> DerefMut for Lease<E> {
    fn deref_mut(&mut self) -> &mut E::Conn {
        match &mut self.stored {
            Some(stored) => {
                *stored.trip.touched.get_mut() = true;
                &mut stored.conn
            }
            None => unreachable!("only the methods that consume the lease take the connection out"),
        }
    }
}

impl<E: Endpoint> Drop for Lease<E> {
    fn drop(&mut self) {
        if let Some(stored) = &self.stored {
            trace_request!(pool = %self.core.id, endpoint = %self.endpoint(), held = ?self.held(), "given back");
            let keep = !stored.trip.touched.load(Ordering::Relaxed);
            self.refund_unused();
            self.finish(keep, Settle::Neutral, None, Instant::now(), Feedback::Cancelled);
        }
    }
}

impl<E: Endpoint> fmt::Debug for Lease<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("endpoint", self.endpoint())
            .finish_non_exhaustive()
    }
}
