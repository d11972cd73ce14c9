//! What quorum reads came to.

use std::sync::{Mutex, PoisonError};

use pool_core::EndpointId;

/// How often one endpoint said something else than what enough others agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dissents {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// So often, whatever the reason.
    pub differed: u64,
    /// So often where honest nodes cannot differ: it was held against the endpoint.
    pub penalised: u64,
}

/// Totals of a [`Quorum`](crate::Quorum) and its clones. They never decrease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuorumCounts {
    /// Reads begun.
    pub reads: u64,
    /// Reads that enough agreed on.
    pub agreed: u64,
    /// Reads that failed because too few agreed.
    pub disputed: u64,
    /// Reads that failed because too few answered.
    pub too_few: u64,
    /// Endpoints that ever differed.
    pub dissents: Vec<Dissents>,
}

#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<QuorumCounts>);

impl Counts {
    pub(super) fn read(&self) -> QuorumCounts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut QuorumCounts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn dissent(&self, endpoint: &EndpointId, penalised: bool) {
        self.update(|counts| {
            let known = counts.dissents.iter().position(|one| one.endpoint == *endpoint);
            let at = known.unwrap_or_else(|| {
                counts.dissents.push(Dissents {
                    endpoint: endpoint.clone(),
                    differed: 0,
                    penalised: 0,
                });
                counts.dissents.len() - 1
            });
            if let Some(one) = counts.dissents.get_mut(at) {
                one.differed += 1;
                one.penalised += u64::from(penalised);
            }
        });
        tracing::warn!(%endpoint, penalised, "an endpoint's answer differs from what enough others agree on");
    }
}
