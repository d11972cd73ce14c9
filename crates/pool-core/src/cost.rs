//! What a request takes of a quota.

use std::sync::Arc;

use crate::ProviderId;

/// Units that a request takes of a quota: the same everywhere, or by provider, because each counts in a currency of its
/// own (requests, compute units, credits). Default 1. Cheap to clone.
///
/// ```
/// # use pool_core::{Cost, ProviderId};
/// # fn main() -> Result<(), pool_core::InvalidId> {
/// let cost = Cost::units(1).at(ProviderId::new("by-compute-unit")?, 60);
/// assert_eq!(cost.of(&ProviderId::new("by-request")?), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    units: u32,
    at: Option<Arc<Vec<(ProviderId, u32)>>>,
}

impl Default for Cost {
    fn default() -> Self {
        Self::ONE
    }
}

impl From<u32> for Cost {
    fn from(units: u32) -> Self {
        Self::units(units)
    }
}

impl Cost {
    /// One unit everywhere.
    pub(crate) const ONE: Self = Self::units(1);

    /// Whether it is one unit everywhere.
    #[inline]
    pub(crate) const fn is_one(&self) -> bool {
        self.units == 1 && self.at.is_none()
    }

    /// So many units everywhere. 0 takes nothing, and still waits for an endpoint whose quota is not spent.
    pub const fn units(units: u32) -> Self {
        Self { units, at: None }
    }

    /// So many units at this provider, whatever it is elsewhere.
    #[must_use]
    pub fn at(mut self, provider: ProviderId, units: u32) -> Self {
        let mut at = self.at.take().map(Arc::unwrap_or_clone).unwrap_or_default();
        at.retain(|(known, _)| *known != provider);
        at.push((provider, units));
        self.at = Some(Arc::new(at));
        self
    }

    /// The units at this provider.
    pub fn of(&self, provider: &ProviderId) -> u32 {
        let special = self.at.iter().flat_map(|at| at.iter());
        let mut special = special.filter(|(known, _)| known == provider);
        special.next().map_or(self.units, |(_, units)| *units)
    }

    /// The units at endpoints without a provider.
    pub const fn plain(&self) -> u32 {
        self.units
    }
}
