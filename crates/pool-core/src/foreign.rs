//! Code of others that the pool calls on its own account: balancers, observers, wakers, and what a connection does when
//! it is dropped.
//!
//! A panic in it is somebody else's bug. It must not lose a slot, end a background task, keep others from being woken or
//! take the place of a caller's result; so it is caught, and logged the first time. What a caller asked for itself (its
//! operation, and the endpoint's part in it) panics in the caller's own task.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    task::Waker,
};

use crate::{EndpointId, PoolId};

/// One kind of code that may be broken.
#[derive(Debug)]
pub(crate) struct Foreign {
    what: &'static str,
    told: AtomicBool,
}

impl Foreign {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self {
            what,
            told: AtomicBool::new(false),
        }
    }

    /// Its result; `None` if it panics.
    #[inline]
    pub(crate) fn call<T>(&self, pool: &PoolId, call: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(result) => Some(result),
            Err(_panic) => {
                self.tell(pool);
                None
            }
        }
    }

    #[cold]
    fn tell(&self, pool: &PoolId) {
        if !self.told.swap(true, Relaxed) {
            tracing::error!(%pool, "the {} panicked; the pool goes on, and does not tell of it again", self.what);
        }
    }
}

/// Wakes; the wakers after one that panics are woken all the same.
pub(crate) fn wake(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
            tracing::error!("a caller's waker panicked");
        }
    }
}

/// Drops connections, one by one: two panics at once would end the process.
pub(crate) fn close<T>(connections: impl IntoIterator<Item = T>, endpoint: &EndpointId) {
    for connection in connections {
        if catch_unwind(AssertUnwindSafe(|| drop(connection))).is_err() {
            tracing::error!(%endpoint, "a connection panicked while it was dropped");
        }
    }
}
