//! Who takes part over sockets, one file each.

mod alloy;
mod baseline;
mod omniscient;
mod ours;
#[cfg(feature = "pingora")]
mod pingora;
mod tower;

pub(super) use self::baseline::Baseline;
use self::{alloy::Alloy, omniscient::Omniscient, ours::Ours, tower::Tower};
use super::contestant::Contestant;
use crate::suites::trace::contestants::{self as simulated, seats::Rule};

/// All of them: ours, the peers, the limit.
pub(super) fn all() -> Vec<Box<dyn Contestant>> {
    let mut all: Vec<Box<dyn Contestant>> = vec![
        Box::new(Ours::new(simulated::default())),
        Box::new(Ours::new(simulated::hedged())),
    ];
    for retries in [false, true] {
        all.push(Box::new(Tower { retries }));
    }
    #[cfg(feature = "pingora")]
    all.push(Box::new(pingora::Pingora));
    for retries in [false, true] {
        all.push(Box::new(Alloy { retries }));
    }
    for rule in [Rule::LeastRequests, Rule::RoundRobin] {
        all.push(Box::new(Baseline { rule }));
    }
    all.push(Box::new(Omniscient));
    all
}
