//! Adaptive concurrency: how many requests each endpoint works on at once is learned from its answers, and it is given about
//! so many.
//!
//! What an operator configures (`max_connections`, `max_requests`) is what an endpoint may be given at the most, and mostly far
//! more than it works on: the rest stands in a queue of the node's, where nobody can choose another node any more. Two things are
//! known of each answer: how many requests were under way on the endpoint when it was asked for, and how long it took. As long as
//! a node has something free the one has no bearing on the other; beyond that, twice as many take twice as long.
//!
//! Others compare latencies over time, with the smallest ever seen (TCP Vegas; Envoy's adaptive concurrency filter and Netflix's
//! `concurrency-limits` with their gradients). Latencies of remote nodes differ for many reasons, and such limits follow them: they
//! drift. Here answers are compared only with those of the same second, and by how many were under way; that a node is slow, or
//! slower than yesterday, is no reason to give it fewer.
//!
//! - `curve` takes note of each answer, on the path of the request: an addition.
//! - `capacity` says once a second what follows from that: a pure state machine.
//! - `task` looks, and tells admission, which holds the limits (`admission::limits`): not strictly, since all of this is a
//!   guess. How far, says [`AdaptiveConcurrencyConfig::hold_back`].

mod capacity;
#[cfg(test)]
mod capacity_tests;
mod config;
mod curve;
mod known;
mod task;

pub use config::AdaptiveConcurrencyConfig;
pub(crate) use curve::Curves;
pub(crate) use task::learn_capacities;
