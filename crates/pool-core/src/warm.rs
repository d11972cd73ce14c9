//! Connections kept open for callers to come, and replaced before they expire.
//!
//! deadpool cannot be given a connection: it makes one when it is asked for one. So what is opened ahead waits in the
//! list of spares that belongs to the connects, and whoever needs a new connection is served from there first. Once
//! used it lives in the storage like any other. Nothing is handed through the storage for this, no slot is taken, and
//! callers who need a connection while one is being opened ahead get that one.
//!
//! Once a second, for each endpoint that may be picked:
//!
//! - what is idle, in the storage and among the spares, is counted; what is missing to `min_idle` is opened;
//! - if enough are idle but some expire soon, one replacement is opened, and the next only when that has ended. What is
//!   to be replaced is not closed before its time, so the number of idle connections never falls. Where all
//!   `max_connections` are open there is no room for that, and the replacement comes after the expiry;
//! - the idle time-out closes only what is above `min_idle`.
//!
//! A spare that has waited for longer than `validate_after_idle` is validated before its first use, like an idle
//! connection: the other side may have gone away without a word. A failed connect counts for the breaker, which keeps
//! a dead endpoint from being connected to for ever.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{Endpoint, member::Member, transport::Transport};

/// How often idle connections are looked through.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

impl<E: Endpoint> Member<E> {
    /// Begins the connects that are missing.
    ///
    /// `ready` are connections that lie ready outside the storage.
    pub(crate) fn keep_warm(&self, ready: &[Arc<Transport<E>>], now: Instant) {
        let least = self.limits.min_idle();
        if least == 0 {
            return;
        }
        let idle = self.idle(ready);
        let connects = &self.storage.manager().connects;
        let missing = least.saturating_sub(count(idle.len()));
        if missing > 0 {
            connects.warm(missing);
            return;
        }
        // enough time for each in turn, and not a good part of their lives
        let knobs = &connects.knobs;
        let ahead = (knobs.connect_timeout.get() + LOOK_EVERY * least).min(knobs.max_lifetime.get() / 10);
        let lasting = idle.iter().filter(|transport| transport.expires_at > now + ahead);
        if count(lasting.count()) < least {
            connects.warm(1);
        }
    }

    /// The connections that carry no request.
    fn idle(&self, ready: &[Arc<Transport<E>>]) -> Vec<Arc<Transport<E>>> {
        let connector = self.storage.manager();
        let mut idle = connector.connects.spares();
        idle.extend(connector.proven.transports());
        let mut note = |transport: &Arc<Transport<E>>| {
            // several lanes may be idle on one transport
            if !transport.is_busy() && !idle.iter().any(|known| Arc::ptr_eq(known, transport)) {
                idle.push(Arc::clone(transport));
            }
        };
        ready.iter().for_each(&mut note);
        let stored = self.storage.retain(|pooled, _| {
            note(pooled.lane.transport());
            true
        });
        drop(stored);
        idle
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
