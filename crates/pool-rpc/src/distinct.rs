//! Which endpoints count as one.

use std::{fmt, sync::Arc};

use pool_core::{EndpointId, Pool, ProviderId};

use crate::endpoint::JsonRpcEndpoint;

type Name = dyn Fn(&EndpointId) -> String + Send + Sync;

/// Tells endpoints apart that are asked side by side: of those in one group only one is asked at a time, and only one
/// answer counts. Cheap to clone.
#[derive(Clone)]
pub struct Distinct(By);

#[derive(Clone)]
enum By {
    Endpoint,
    Provider,
    Name(Arc<Name>),
}

/// What an endpoint counts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Endpoint(EndpointId),
    Provider(ProviderId),
    Name(String),
}

impl Distinct {
    /// Each endpoint is a group of its own.
    pub const fn endpoints() -> Self {
        Self(By::Endpoint)
    }

    /// Endpoints of one [provider](pool_core::EndpointConfig::provider) are one group; one without a provider is a group
    /// of its own. Two URLs of one provider lead to the same nodes, so their agreement proves nothing.
    pub const fn providers() -> Self {
        Self(By::Provider)
    }

    /// Endpoints for which the function returns the same text are one group: those in one data centre, for example.
    pub fn by(group: impl Fn(&EndpointId) -> String + Send + Sync + 'static) -> Self {
        Self(By::Name(Arc::new(group)))
    }

    pub(crate) fn group(&self, pool: &Pool<JsonRpcEndpoint>, endpoint: &EndpointId) -> Group {
        let alone = || Group::Endpoint(endpoint.clone());
        match &self.0 {
            By::Endpoint => alone(),
            By::Provider => pool.provider(endpoint).map_or_else(alone, Group::Provider),
            By::Name(name) => Group::Name(name(endpoint)),
        }
    }
}

impl fmt::Debug for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            By::Endpoint => "Distinct::endpoints()",
            By::Provider => "Distinct::providers()",
            By::Name(_) => "Distinct::by(..)",
        })
    }
}
