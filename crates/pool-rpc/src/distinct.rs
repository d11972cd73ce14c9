//! Which endpoints count as one.

use std::{fmt, sync::Arc};

use pool_core::EndpointId;

type Group = dyn Fn(&EndpointId) -> String + Send + Sync;

/// Tells endpoints apart that are asked side by side: of those in one group only one is asked at a time, and only one
/// answer counts. Cheap to clone.
#[derive(Clone)]
pub struct Distinct(Arc<Group>);

impl Distinct {
    /// Each endpoint is a group of its own: the default.
    pub fn endpoints() -> Self {
        Self(Arc::new(ToString::to_string))
    }

    /// Endpoints for which the function returns the same text are one group: those of one provider, for example. Two
    /// URLs of one provider lead to the same nodes, so their agreement proves nothing.
    pub fn by(group: impl Fn(&EndpointId) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(group))
    }

    pub(crate) fn same(&self, a: &EndpointId, b: &EndpointId) -> bool {
        (self.0)(a) == (self.0)(b)
    }
}

impl Default for Distinct {
    fn default() -> Self {
        Self::endpoints()
    }
}

impl fmt::Debug for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Distinct")
    }
}
