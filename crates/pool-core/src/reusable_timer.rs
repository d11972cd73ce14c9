//! A time-out for each of many requests, without a timer for each.
//!
//! A timer of the runtime would be set and cancelled for each request, under the lock that all its timers share, though
//! hardly any ever rings. The one here stays set when a request has ended. The next one mostly may take until later than
//! what it is set to, so there is nothing to do; should it ring too early, it is set anew. So a connection that is always
//! busy sets it once in as long as its requests may take.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    runtime,
    time::{Instant, Sleep},
};

use crate::moment::after;

/// A time-out for each of many requests that follow one another, without a timer for each: for [`Endpoint`](crate::Endpoint)s,
/// to be kept with a connection.
///
/// It is set when a request first waits, and stays set when that has ended. Once it rings for nobody it may wake the task
/// that waited last, in vain. It works on any runtime, also when the next request is awaited on another one.
#[derive(Default)]
pub struct ReusableTimer(Option<Box<Set>>);

/// A timer that has been set.
struct Set {
    sleep: Pin<Box<Sleep>>,
    /// Where it rings.
    runtime: runtime::Id,
    /// Whom it wakes.
    waker: Waker,
}

impl ReusableTimer {
    /// A timer that is not set.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Awaits the future, but not beyond the deadline: then it is `None`. A future that is ready is asked first, so what is
    /// there at once comes also after the deadline.
    ///
    /// # Cancelling
    /// Dropping the future that this returns leaves the timer as it is; it serves the next request.
    ///
    /// # Panics
    /// As tokio's own timers do: outside a runtime, or on one without time. Only when the future is not ready at once.
    pub async fn timeout_at<F: Future>(
        &mut self,
        deadline: Instant,
        mut future: Pin<&mut F>,
    ) -> Option<F::Output> {
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll(deadline, cx).map(|()| None),
        })
        .await
    }

    /// The same with a limit from a moment on; one that is beyond what the clock can tell is taken as thirty years.
    pub async fn timeout_after<F: Future>(
        &mut self,
        begun: Instant,
        limit: Duration,
        future: Pin<&mut F>,
    ) -> Option<F::Output> {
        self.timeout_at(after(begun, limit), future).await
    }

    /// Ready when the deadline has passed.
    #[inline]
    fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        match &self.0 {
            // it rings early enough, and wakes whom it should
            Some(set)
                if set.sleep.deadline() <= deadline
                    && set.waker.will_wake(cx.waker())
                    && !set.sleep.is_elapsed() =>
            {
                Poll::Pending
            }
            _ => self.set(deadline, cx),
        }
    }

    fn set(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let runtime = runtime::Handle::current().id();
        let set = match &mut self.0 {
            Some(set) if set.runtime == runtime => set,
            other => other.insert(Box::new(Set {
                sleep: Box::pin(tokio::time::sleep_until(deadline)),
                runtime,
                waker: cx.waker().clone(),
            })),
        };
        if set.sleep.deadline() > deadline {
            set.sleep.as_mut().reset(deadline);
        }
        loop {
            // the future that has just been asked may have used up the task's share of time, again and again
            let rung = Pin::new(&mut tokio::task::unconstrained(set.sleep.as_mut())).poll(cx);
            if rung.is_pending() {
                set.waker.clone_from(cx.waker());
                return Poll::Pending;
            }
            if set.sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            // it was set for an earlier request
            set.sleep.as_mut().reset(deadline);
        }
    }
}

impl fmt::Debug for ReusableTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.0.as_ref().map(|set| set.sleep.deadline());
        f.debug_tuple("ReusableTimer").field(&set).finish()
    }
}

#[cfg(all(test, not(pool_loom)))]
#[path = "reusable_timer_tests.rs"]
mod tests;
