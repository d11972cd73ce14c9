//! The lock and the atomics, exchanged for loom's when they are model-checked (`--cfg pool_loom`).

#[cfg(pool_loom)]
pub(super) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
#[cfg(not(pool_loom))]
pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
