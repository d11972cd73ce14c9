//! Balancers: which of the endpoints that may be picked is picked. One file each.
//!
//! Who *may* be picked (health, breaker, throttling, what the request was tried on before, and with several tiers which
//! tier has room) is settled before: a balancer sees a dense list of eligible endpoints, and says who is *best*. It is
//! asked once for each acquire that finds no queue, outside all locks of the pool, so it may be slow only at its own
//! expense. If who it picks is full, the pool takes the least loaded endpoint of the lowest tier that is not. A caller
//! that waited gets the slot that was freed, whoever's it is.
//!
//! | balancer | looks at | costs | when |
//! | --- | --- | --- | --- |
//! | [`LeastRequests`] | requests under way | a look at each | few endpoints of one size, slow ones get less by themselves |
//! | [`SampledLeastRequests`] | the same, of three drawn | constant | hundreds of endpoints, many processes |
//! | [`RoundRobin`] | turns | one addition; weighted a look at each | exact shares: quotas that are paid for |
//! | [`Random`] | nothing | constant | exact shares without turns that fall in with a poll's rhythm |
//! | [`P2c`] | requests under way, of two drawn | constant | many endpoints of about the same speed |
//! | [`PeakEwma`] | latency and requests under way, of two drawn | constant | endpoints of different speed or place; failures |
//! | [`Prequal`] | latency, unless requests under way are many | up to 16 looks | endpoints that slow down under load of others |
//! | [`ShortestDelay`] | latency at the usual load, and requests under way | up to 16 looks | the default: endpoints of different size or speed, also when that changes |
//! | [`BoundedHash`] | the request's key, unless requests under way are many | a look at each | nonces and caches: same key, same node |
//! | [`Tiered`] | tiers, then any of these | a look at each | some providers only when the others are full or down |
//!
//! Constant costs rise while weights are very uneven, up to a look at each.

mod bounded_hash;
mod candidates;
mod context;
mod draw;
mod feedback;
mod kind;
mod least_requests;
mod p2c;
mod peak_ewma;
mod prequal;
mod random;
mod round_robin;
mod sampled;
pub(crate) mod scratch;
mod shortest_delay;
mod tiered;

use std::sync::Arc;

pub use bounded_hash::BoundedHash;
pub use candidates::{Candidate, Candidates};
pub(crate) use context::Ask;
pub use context::{PickCx, Purpose};
pub use feedback::{Feedback, Outcome};
pub use kind::BalancerKind;
pub use least_requests::LeastRequests;
pub use p2c::P2c;
pub use peak_ewma::PeakEwma;
pub use prequal::Prequal;
pub use random::Random;
pub use round_robin::RoundRobin;
pub use sampled::SampledLeastRequests;
pub use shortest_delay::ShortestDelay;
pub use tiered::Tiered;

/// Chooses one of the candidates.
pub trait Balancer: Send + Sync + 'static {
    /// The index, in `among`, of the endpoint to use; `None` only if there is none. An index outside is taken as `None`.
    ///
    /// Must not allocate or block. The load it reads is live and may change between two looks. A panic is caught, logged
    /// once, and taken as `None`: then the pool takes the least loaded.
    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize>;

    /// Whom [`pick`](Self::pick) would pick, for [`Pool::explain`](crate::Pool::explain): must leave no trace in what the
    /// balancer keeps. `None` when chance decides, and by default.
    fn peek(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        let _ = (among, cx);
        None
    }

    /// Whether [`observe`](Self::observe) does anything: where it does not, the pool saves itself the calls. Asked when the
    /// balancer comes into use.
    fn observes(&self) -> bool {
        true
    }

    /// Something became of a slot on the endpoint with this [key](Candidate::key). Only for signals of one's own: what
    /// the pool measures is in the [`Candidate`].
    ///
    /// Called outside all locks, for each slot that was given; must not allocate or block. A panic is caught and
    /// logged once.
    fn observe(&self, key: usize, what: &Feedback) {
        let _ = (key, what);
    }
}

impl<B: Balancer + ?Sized> Balancer for Arc<B> {
    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        (**self).pick(among, cx)
    }

    fn peek(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        (**self).peek(among, cx)
    }

    fn observes(&self) -> bool {
        (**self).observes()
    }

    fn observe(&self, key: usize, what: &Feedback) {
        (**self).observe(key, what);
    }
}

// dyn-compatibility is part of the contract: a pool swaps its balancer while it runs
#[cfg(test)]
fn _dyn_compatible(balancer: Box<dyn Balancer>) -> Arc<dyn Balancer> {
    balancer.into()
}

#[cfg(test)]
mod distribution_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
