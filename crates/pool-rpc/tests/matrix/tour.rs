//! Each node has its turn.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use pool_core::{Balancer, Candidates, Feedback, PickCx};

use crate::cell::NODES;

/// Takes the nodes in order, once around, and then leaves the choice to the balancer that is tried: the default draws among
/// equals, and a few calls would not meet the fault for certain.
pub(crate) struct Tour {
    /// How many nodes have had their turn.
    had: AtomicUsize,
    then: Arc<dyn Balancer>,
}

impl Tour {
    /// One that has not begun.
    pub(crate) fn of(then: Arc<dyn Balancer>) -> Self {
        let had = AtomicUsize::new(NODES);
        Self { had, then }
    }

    /// The next pick is the first node.
    pub(crate) fn begin(&self) {
        self.had.store(0, Relaxed);
    }
}

impl Balancer for Tour {
    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        let turn = self
            .had
            .fetch_update(Relaxed, Relaxed, |had| (had < NODES).then_some(had + 1));
        // one that may not be picked lets its turn go
        let turn = turn.ok().and_then(|node| {
            let mut keys = among.iter().map(|candidate| candidate.key());
            keys.position(|key| key == node)
        });
        turn.or_else(|| self.then.pick(among, cx))
    }

    fn observes(&self) -> bool {
        self.then.observes()
    }

    fn observe(&self, key: usize, what: &Feedback) {
        self.then.observe(key, what);
    }
}
