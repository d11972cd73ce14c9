//! Who is worked on, and who waits.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Capacity;

/// The places of a [`Capacity`].
#[derive(Debug)]
pub(crate) struct Works {
    slots: Semaphore,
    /// Requests that may be here, those that wait included.
    most: usize,
    here: AtomicUsize,
}

impl Works {
    pub(crate) fn new(capacity: &Capacity) -> Arc<Self> {
        let slots = (capacity.slots as usize).min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            slots: Semaphore::new(slots),
            most: slots.saturating_add(capacity.queue as usize),
            here: AtomicUsize::new(0),
        })
    }

    /// A place, unless all are taken. It is held until it is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Place> {
        let room = |here| (here < self.most).then_some(here + 1);
        let entered = self.here.fetch_update(Ordering::AcqRel, Ordering::Acquire, room);
        entered.is_ok().then(|| Place(Arc::clone(self)))
    }
}

/// See [`Works::enter`].
#[derive(Debug)]
pub(crate) struct Place(Arc<Works>);

impl Place {
    /// Waits until it is this one's turn, first come, first served. Its slot is free again when the result is dropped.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // it is never closed
        self.0.slots.acquire().await.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.here.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_no_place_is_refused_and_who_leaves_makes_room() {
        let works = Works::new(&Capacity { slots: 1, queue: 1 });
        let (first, second) = (works.enter().unwrap(), works.enter().unwrap());
        assert!(works.enter().is_none(), "one is worked on, one waits");
        let slot = first.turn().await;
        assert!(
            tokio::time::timeout(std::time::Duration::ZERO, second.turn())
                .await
                .is_err(),
            "the slot is taken"
        );
        drop(slot);
        assert!(second.turn().await.is_some());
        drop(first);
        assert!(works.enter().is_some());
    }
}
