//! A caller in line.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::time::Instant;

use super::Held;
use crate::{
    AcquireError, Endpoint,
    admission::{Asked, Grant, Place, Rank, Refusal, Turn, Want},
    core::Core,
    member::Stored,
};

/// A caller who asks for a slot, and stands in line until it is given one or never will be. It leaves the line when
/// dropped.
pub(super) struct Waiter<'a, 'w, E: Endpoint> {
    core: &'a Arc<Core<E>>,
    want: &'w Want,
    /// Whom the balancer picked.
    preferred: Option<u32>,
    asked: bool,
    since: Instant,
    /// When it looked last.
    pub(super) now: Instant,
    place: Option<Place>,
    /// That of the place it had.
    pub(super) rank: Option<Rank>,
}

type Granted<E> = Result<Grant<Box<Stored<E>>>, AcquireError<<E as Endpoint>::Error>>;

impl<E: Endpoint> Future for Waiter<'_, '_, E> {
    type Output = Granted<E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Granted<E>> {
        let this = self.get_mut();
        if std::mem::replace(&mut this.asked, true) {
            this.look(cx.waker())
        } else {
            this.ask(cx.waker())
        }
    }
}

impl<'a, 'w, E: Endpoint> Waiter<'a, 'w, E> {
    pub(super) const fn new(
        core: &'a Arc<Core<E>>,
        want: &'w Want,
        preferred: Option<u32>,
        now: Instant,
    ) -> Self {
        Self {
            core,
            want,
            preferred,
            asked: false,
            since: now,
            now,
            place: None,
            rank: None,
        }
    }

    /// In line from the first: what comes before the next poll wakes the task.
    #[inline]
    fn ask(&mut self, waker: &Waker) -> Poll<Granted<E>> {
        let core = self.core;
        let (asked, effects) = core.admission.ask(self.preferred, self.want, waker, self.now);
        let clock = effects.clock;
        core.apply(effects);
        match asked {
            Ok(Asked::Go(grant)) => return Poll::Ready(Ok(grant)),
            Ok(Asked::Stand(place)) => self.place = Some(place),
            Err(refusal) => return Poll::Ready(Err(core.refused(&refusal, self.want, self.now))),
        }
        if let Some(clock) = clock {
            core.set_clock(clock);
        }
        self.go_on_waiting()
    }

    /// Ready when its turn has come, or when it never will.
    #[inline]
    fn look(&mut self, waker: &Waker) -> Poll<Granted<E>> {
        self.now = Instant::now();
        let core = self.core;
        let Some(place) = &mut self.place else {
            return Poll::Ready(Err(core.refused(&Refusal::Closed, self.want, self.now)));
        };
        let (turn, effects) = core.admission.look(place, waker, self.want, self.now);
        if let Turn::Go(grant) = turn {
            self.leaves();
            return Poll::Ready(Ok(grant));
        }
        let clock = effects.clock;
        core.apply(effects);
        if let Some(clock) = clock {
            core.set_clock(clock);
        }
        let refusal = match turn {
            Turn::Hopeless => Refusal::Hopeless,
            Turn::Closed => Refusal::Closed,
            Turn::Wait | Turn::Go(_) => return self.go_on_waiting(),
        };
        self.leaves();
        Poll::Ready(Err(core.refused(&refusal, self.want, self.now)))
    }

    #[inline]
    fn go_on_waiting(&mut self) -> Poll<Granted<E>> {
        if self.now < self.want.deadline {
            Poll::Pending
        } else {
            Poll::Ready(self.time_out())
        }
    }

    /// Its place is gone.
    #[inline]
    fn leaves(&mut self) {
        self.rank = self.place.take().map(|place| place.rank);
        self.note_wait();
    }

    #[inline]
    fn note_wait(&self) {
        trace_request!(pool = %self.core.id, waited = ?self.now.saturating_duration_since(self.since), "waited in line");
        if let Some(observer) = &self.core.pool_observer {
            let waited = self.now.saturating_duration_since(self.since);
            let core = self.core;
            core.observers_bugs.call(&core.id, || observer.waited(waited));
        }
    }

    /// The deadline has passed; a grant that came at the last moment still counts.
    #[cold]
    fn time_out(&mut self) -> Granted<E> {
        let (core, want) = (self.core, self.want);
        self.note_wait();
        let place = self.place.take();
        self.rank = place.map(|place| place.rank);
        let (given, good) = match place {
            Some(place) => core.admission.time_out(place, want, Instant::now()),
            None => (None, false),
        };
        match given {
            Some(grant) if good => Ok(grant),
            given => {
                // one that may not be used any more goes back
                drop(given.map(|grant| Held::of(core, grant, want.terms.need)));
                Err(core.out_of_time(want, self.since))
            }
        }
    }
}

impl<E: Endpoint> Drop for Waiter<'_, '_, E> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place.take()
            && let Some(grant) = self.core.admission.leave(place)
        {
            drop(Held::of(self.core, grant, self.want.terms.need));
        }
    }
}
