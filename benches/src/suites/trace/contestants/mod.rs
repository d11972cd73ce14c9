//! Who takes part, one file each.

mod baseline;
mod omniscient;
mod ours;
pub(crate) mod seats;
mod tower;
pub(crate) mod tower_stack;

pub(crate) use baseline::Baseline;
pub(crate) use omniscient::Omniscient;
pub(crate) use ours::Ours;
use pool_core::{BalancerKind, PoolConfig};

use self::{seats::Rule, tower::Tower};
use super::contestant::Contestant;

/// The configuration that a user of ours gets who chooses nothing. The measures are taken of it.
pub(crate) fn default() -> Ours {
    Ours {
        balancer: BalancerKind::default(),
        hedged: PoolConfig::default().hedge.is_some(),
        adaptive: PoolConfig::default().adaptive_concurrency.is_some(),
    }
}

/// What the default is with hedging: recommended for reads.
pub(crate) fn hedged() -> Ours {
    Ours {
        hedged: true,
        ..default()
    }
}

/// What settings are chosen for, and the limit.
pub(crate) fn candidates() -> Vec<Box<dyn Contestant>> {
    vec![Box::new(default()), Box::new(hedged()), Box::new(Omniscient)]
}

/// All of them: ours, the peers, the limit.
pub(crate) fn all() -> Vec<Box<dyn Contestant>> {
    let mut all: Vec<Box<dyn Contestant>> = Vec::new();
    for hedged in [false, true] {
        for balancer in BalancerKind::ALL {
            all.push(Box::new(Ours {
                balancer,
                hedged,
                adaptive: true,
            }));
        }
        all.push(Box::new(Ours {
            hedged,
            adaptive: false,
            ..default()
        }));
    }
    for retries in [false, true] {
        all.push(Box::new(Tower { retries }));
    }
    for rule in [Rule::LeastRequests, Rule::RoundRobin] {
        all.push(Box::new(Baseline { rule }));
    }
    all.push(Box::new(Omniscient));
    all
}
