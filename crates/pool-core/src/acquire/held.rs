//! A slot on its way to a lease.

use std::{future::poll_fn, panic::Location, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::time::Instant;

use super::Failed;
use crate::{
    AcquireError, CloseReason, Endpoint, Feedback, Lease, Need, Phase,
    admission::{Grant, Kept, Rank, Settle},
    breaker::Ticket,
    core::Core,
    member::Stored,
};

/// A slot without a lease yet, given back when dropped.
pub(super) struct Held<'a, E: Endpoint> {
    core: &'a Arc<Core<E>>,
    pub(super) key: u32,
    ticket: Ticket,
    kept: Kept,
    /// What is needed that not every endpoint offers.
    need: Option<Need>,
    /// What was paid for it.
    paid: u32,
    /// Its rank, if it stood in line for it.
    pub(super) rank: Option<Rank>,
    /// What was handed over with the slot.
    stored: Option<Box<Stored<E>>>,
    /// Whether the slot is still ours to give back.
    open: bool,
    /// Whether the balancer was told of it.
    started: bool,
    /// The endpoint is being asked whether the connection can be used. If it panics, the drop finds this.
    judging: bool,
}

impl<'a, E: Endpoint> Held<'a, E> {
    #[inline]
    pub(super) fn of(core: &'a Arc<Core<E>>, grant: Grant<Box<Stored<E>>>, need: Option<Need>) -> Self {
        let Grant {
            key,
            ticket,
            paid,
            kept,
            object,
        } = grant;
        Self {
            core,
            key,
            ticket,
            kept,
            need,
            paid,
            rank: None,
            stored: object,
            open: true,
            started: false,
            judging: false,
        }
    }

    /// From now on the balancer knows of it.
    #[inline]
    fn start(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            self.core.feed(self.key, Feedback::Started);
        }
    }

    /// The lease, if a connection came with the slot that can be used as it is.
    #[inline(always)]
    pub(super) fn lease_at_hand(
        &mut self,
        now: Instant,
        location: &'static Location<'static>,
    ) -> Option<Lease<E>> {
        self.start();
        let stored = self.stored.as_ref()?;
        self.judging = true;
        let ready = stored.is_ready(now);
        self.judging = false;
        let mut stored = self.stored.take()?;
        if !ready {
            self.core.put_back(self.key, stored);
            return None;
        }
        stored.lane.set_busy(true);
        Some(self.lease(stored, now, location))
    }

    fn lease(
        &mut self,
        stored: Box<Stored<E>>,
        now: Instant,
        location: &'static Location<'static>,
    ) -> Lease<E> {
        self.open = false;
        trace_request!(pool = %self.core.id, endpoint = %stored.member.id, "leased");
        let slot = (self.key, self.ticket, self.kept, self.paid);
        Lease::new(
            Arc::clone(self.core),
            slot,
            self.rank.is_some(),
            self.need,
            stored,
            now,
            location,
        )
    }

    pub(super) async fn connect(
        &mut self,
        deadline: Instant,
        mut now: Instant,
        location: &'static Location<'static>,
    ) -> Result<Lease<E>, Failed<E::Error>> {
        let member = self.core.setup.load().member(self.key).map(Arc::clone);
        let Some(member) = member else {
            unreachable!("an endpoint stays until the last slot on it has come back")
        };
        let connection = {
            let mut connecting = pin!(member.connection(|| self.core.admission.take_one(self.key)));
            // an idle connection that can be used as it is comes at once, and needs no timer
            match poll_fn(|cx| Poll::Ready(connecting.as_mut().poll(cx))).await {
                Poll::Ready(connection) => Ok(connection),
                Poll::Pending => {
                    let connection = tokio::time::timeout_at(deadline, connecting).await;
                    now = Instant::now();
                    connection
                }
            }
        };
        match connection {
            Ok(Ok(stored)) => Ok(self.lease(stored, now, location)),
            Ok(Err(failure)) => {
                let (settle, throttle, failed) = self
                    .core
                    .connect_failed((self.key, self.ticket, &member), failure);
                self.give_back(settle, throttle);
                self.started = false;
                self.core.feed(self.key, Feedback::NoConnection);
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

    /// It leads to no lease.
    #[cold]
    fn abandon(&mut self) {
        if self.judging
            && let Some(stored) = self.stored.take()
        {
            stored.close(CloseReason::Broken);
        }
        self.give_back(Settle::Neutral, None);
        if self.started {
            self.core.feed(self.key, Feedback::Cancelled);
        }
    }

    fn give_back(&mut self, settle: Settle, throttle: Option<Duration>) {
        if std::mem::replace(&mut self.open, false) {
            // no connection was had, so nothing was sent
            self.core.refund(self.key, self.paid);
            let (slot, outcome) = ((self.key, self.ticket, self.kept), (settle, throttle));
            let admission = &self.core.admission;
            if let Some(effects) = admission.release(slot, &mut self.stored, outcome, Instant::now()) {
                self.core.apply(effects);
            }
        }
    }
}

impl<E: Endpoint> Drop for Held<'_, E> {
    #[inline]
    fn drop(&mut self) {
        if self.open {
            self.abandon();
        }
    }
}
