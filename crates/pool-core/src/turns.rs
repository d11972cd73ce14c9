//! Turns: so many at the same time, the others in order.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many turns may be taken at the same time; who waits is served in the order of coming.
#[derive(Debug)]
pub(crate) struct Turns {
    most: AtomicU32,
    line: RwLock<Arc<Semaphore>>,
}

/// A turn; over when it is dropped.
#[derive(Debug)]
#[must_use = "it is over when dropped"]
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most: AtomicU32::new(most),
            line: RwLock::new(Arc::new(Semaphore::new(most as usize))),
        }
    }

    /// Another number. Turns under the old one end as they come; until then there may be as many as under both.
    pub(crate) fn set(&self, most: u32) {
        if self.most.swap(most, Relaxed) != most {
            let mut line = self.line.write().unwrap_or_else(PoisonError::into_inner);
            let old = std::mem::replace(&mut *line, Arc::new(Semaphore::new(most as usize)));
            drop(line);
            // who waits there goes over to the new line
            old.close();
        }
    }

    /// Waits for a turn. Dropped while it waits, it leaves the line.
    pub(crate) async fn next(&self) -> Turn {
        loop {
            let line = Arc::clone(&self.line.read().unwrap_or_else(PoisonError::into_inner));
            // closed: there is a new line
            if let Ok(_permit) = line.acquire_owned().await {
                return Turn { _permit };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready, task::spawn};

    use super::*;

    #[test]
    fn so_many_and_in_order() {
        let turns = Turns::new(2);
        let (first, _second) = (
            assert_ready!(spawn(turns.next()).poll()),
            assert_ready!(spawn(turns.next()).poll()),
        );
        let (mut third, mut fourth) = (spawn(turns.next()), spawn(turns.next()));
        assert_pending!(third.poll());
        assert_pending!(fourth.poll());
        drop(first);
        assert_pending!(fourth.poll());
        let _third = assert_ready!(third.poll());
        assert_pending!(fourth.poll());
        turns.set(3);
        assert!(fourth.is_woken());
        let _fourth = assert_ready!(fourth.poll());
        let (_fifth, _sixth) = (
            assert_ready!(spawn(turns.next()).poll()),
            assert_ready!(spawn(turns.next()).poll()),
        );
        assert_pending!(spawn(turns.next()).poll());
    }
}
