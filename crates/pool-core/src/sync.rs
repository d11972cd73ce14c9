//! The locks and atomics of admission, exchanged for loom's when it is model-checked (`--cfg pool_loom`).
//!
//! An own cfg and not `cfg(loom)`, because tokio reacts to that one too.

#[cfg(not(pool_loom))]
mod real {
    use std::sync::Arc;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize};

    use arc_swap::{ArcSwap, Guard};
    pub(crate) use parking_lot::MutexGuard;

    /// Under load it costs callers on several threads less than the one of std. A panic under it does not poison it; that
    /// would be a bug of ours, the numbers stay usable, and others go on.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

    /// So often a caller looks whether the lock is free before it makes ready to sleep: for longer than anybody holds it
    /// who is not interrupted. By itself parking_lot gives the core away after a few looks, and that call into the system
    /// costs several times what the lock is held for.
    const LOOKS: u32 = 30;

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(parking_lot::Mutex::new(value))
        }

        #[inline]
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            match self.0.try_lock() {
                Some(guard) => guard,
                None => self.lock_soon(),
            }
        }

        #[cold]
        #[inline(never)]
        fn lock_soon(&self) -> MutexGuard<'_, T> {
            for _ in 0..LOOKS {
                std::hint::spin_loop();
                // a look first: an attempt would take the lock's line of memory from its holder
                if !self.0.is_locked()
                    && let Some(guard) = self.0.try_lock()
                {
                    return guard;
                }
            }
            self.0.lock()
        }

        #[inline]
        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock()
        }
    }

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
        MutexGuard,
        atomic::{AtomicBool, AtomicUsize},
    };

    /// Loom's, with the face of the real one.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

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
            Arc::clone(&self.0.lock())
        }

        pub(crate) fn store(&self, value: T) {
            *self.0.lock() = Arc::new(value);
        }
    }
}

pub(crate) use real::{AtomicBool, AtomicUsize, Loaded, Mutex, MutexGuard, Published};
