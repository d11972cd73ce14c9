//! The locks and atomics of admission, exchanged for loom's when it is model-checked (`--cfg pool_loom`).
//!
//! An own cfg and not `cfg(loom)`, because tokio reacts to that one too.

#[cfg(not(pool_loom))]
mod real {
    use std::sync::Arc;
    pub(crate) use std::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize},
    };

    use arc_swap::{ArcSwap, Guard};

    /// What a reader holds.
    pub(crate) type Loaded<T> = Guard<Arc<T>>;

    /// A value that is replaced as a whole and read without waiting.
    #[derive(Debug)]
    pub(crate) struct Published<T>(ArcSwap<T>);

    impl<T> Published<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(ArcSwap::from_pointee(value))
        }

        pub(crate) fn load(&self) -> Loaded<T> {
            self.0.load()
        }

        pub(crate) fn store(&self, value: T) {
            self.0.store(Arc::new(value));
        }
    }
}

#[cfg(pool_loom)]
mod real {
    use std::sync::{Arc, PoisonError};

    pub(crate) use loom::sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize},
    };

    /// What a reader holds.
    pub(crate) type Loaded<T> = Arc<T>;

    /// The same behind a lock: loom does not know arc-swap.
    #[derive(Debug)]
    pub(crate) struct Published<T>(Mutex<Arc<T>>);

    impl<T> Published<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Mutex::new(Arc::new(value)))
        }

        pub(crate) fn load(&self) -> Loaded<T> {
            Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }

        pub(crate) fn store(&self, value: T) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
        }
    }
}

pub(crate) use real::{AtomicBool, AtomicUsize, Loaded, Mutex, MutexGuard, Published};
