//! The wall clock, injected: dates in headers and blocks are compared with it.

pub use pool_core::WallClock;
