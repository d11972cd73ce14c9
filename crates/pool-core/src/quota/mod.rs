//! Quotas: units a second with a burst, and units a day.
//!
//! Own code, and not the `governor` crate, although both are the same algorithm. What a pool needs and governor does not
//! have: to look until when nothing is there without taking (an endpoint that has nothing left must be out of the choice,
//! and the line must be woken at the right moment), to owe (a request that costs more than the burst is refused there for
//! good), to give back what was not used, to change the rate of what is running, and to take of a second's and a day's units
//! together or not at all.
//!
//! The state is a few numbers under a lock of its own, held for some nanoseconds; from when on something is there is read
//! without it. Locks are taken in this order: admission's, then this one; never the other way.

mod config;
mod day;
mod meter;
mod rate;
#[cfg(test)]
mod tests;

pub use config::QuotaConfig;
pub(crate) use meter::{Meter, Reading};
