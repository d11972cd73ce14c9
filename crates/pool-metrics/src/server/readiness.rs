//! When `/readyz` says yes.

use pool_core::{PoolId, PoolSnapshot};

use crate::registrations::Followed;

use super::mask::mask;

/// Which pools must have a usable endpoint for the process to be ready.
///
/// An endpoint is usable when it may be picked now (healthy, breaker closed, not throttled), whether or not it has a slot
/// free; a pool in panic, which uses its endpoints in spite of their record, counts as having one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// Every pool that is not closed, and there must be one. The default: a cross-chain relayer that has lost one chain can't do its work.
    #[default]
    All,
    /// At least one pool.
    Any,
    /// These pools; others don't matter. One that is not there is not ready.
    Pools(Vec<PoolId>),
}

impl Readiness {
    /// Tells which pools are not ready, and why.
    pub(super) fn check(&self, pools: &[Followed]) -> Result<(), String> {
        // one that was closed drains for a while; nobody can want it any more
        let open = || pools.iter().filter(|pool| !pool.snapshot.closed);
        let waiting: Vec<String> = match self {
            Self::All | Self::Any if open().next().is_none() => vec!["there is no pool yet".to_owned()],
            Self::Any if open().any(|pool| is_ready(&pool.snapshot)) => Vec::new(),
            Self::All | Self::Any => open().filter_map(missing).collect(),
            Self::Pools(named) => {
                let look = |id: &PoolId| match open().find(|pool| pool.snapshot.id == *id) {
                    Some(pool) => missing(pool),
                    None => Some(format!("pool {id} is not there")),
                };
                named.iter().filter_map(look).collect()
            }
        };
        if waiting.is_empty() {
            Ok(())
        } else {
            Err(waiting.join("; "))
        }
    }
}

/// Whether a pool has an endpoint that may be used now.
pub(super) const fn is_ready(pool: &PoolSnapshot) -> bool {
    !pool.closed && (pool.slots_usable > 0 || pool.panicking)
}

/// What is missing for the pool to be ready.
fn missing(pool: &Followed) -> Option<String> {
    if is_ready(&pool.snapshot) {
        return None;
    }
    let endpoints = pool.explain();
    let reasons = endpoints.iter().filter(|endpoint| !endpoint.is_usable());
    let reasons: Vec<_> = reasons.map(|endpoint| mask(&endpoint.to_string())).collect();
    let id = &pool.snapshot.id;
    Some(if reasons.is_empty() {
        format!("pool {id} has no usable endpoint")
    } else {
        format!("pool {id} has no usable endpoint ({})", reasons.join(", "))
    })
}
