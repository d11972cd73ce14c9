//! Connections that lie ready for the next caller, and what becomes of them when none comes.
//!
//! They lie with admission (see its `stash`), out of the storage. All that looks after idle connections (time-outs,
//! limits, warming, closing after a failure) works on the storage; so it is preceded by putting them back there. Once a
//! second that happens to those that have rested for a while: a pool that is busy has most of its connections at hand,
//! one that is idle has all of them in the storage.

use std::sync::{Arc, atomic::Ordering};

use tokio::time::Instant;

use crate::{
    CloseReason, Endpoint, PoolConfig,
    core::Core,
    member::{Member, Stored},
    transport::Transport,
    warm::LOOK_EVERY,
};

impl<E: Endpoint> Core<E> {
    /// Puts back what has rested for so long that the storage is to judge whether it can be used.
    pub(crate) fn put_back_rested(&self, key: u32, config: &PoolConfig, now: Instant) {
        let long = config
            .validate_after_idle
            .min(config.idle_timeout)
            .min(LOOK_EVERY);
        drop(self.admission.take_rested(key, |stored| {
            now.saturating_duration_since(stored.returned_at) >= long
        }));
    }

    /// The connections that lie ready.
    pub(crate) fn ready_transports(&self, key: u32) -> Vec<Arc<Transport<E>>> {
        let mut transports = Vec::new();
        self.admission
            .each_ready(key, |stored| transports.push(Arc::clone(stored.lane.transport())));
        transports
    }

    /// One that lay ready cannot be used as it is. What lies below it has rested for longer; the storage judges them all,
    /// this one first.
    #[cold]
    pub(crate) fn put_back(&self, key: u32, unfit: Box<Stored<E>>) {
        drop(self.admission.take_stash(key));
        drop(unfit);
    }

    /// The endpoint has failed: what is idle is probably dead.
    pub(crate) fn purge_idle(&self, key: u32, member: &Member<E>) {
        let now = Instant::now();
        // first, so that what comes back meanwhile is distrusted too if it is older
        let why = CloseReason::Distrusted;
        member.storage.manager().distrust_idle(now, why);
        drop(self.admission.take_stash(key));
        member.purge_idle(now, why);
    }

    /// Something was cleared away while a connection was on its way back; it may be one too many.
    #[cold]
    pub(crate) fn clear_away(&self, key: u32, now: Instant) {
        let setup = self.setup.load();
        if let Some(member) = setup.member(key).filter(|member| member.keeps_nothing()) {
            drop(self.admission.take_stash(key));
            member.tidy(now);
        }
    }

    /// Changes whenever idle connections are cleared away because no more are to be kept.
    #[inline]
    pub(crate) fn clearances(&self) -> u64 {
        self.clearances.load(Ordering::Acquire)
    }
}
