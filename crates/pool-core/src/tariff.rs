//! What requests on an endpoint pay, by its settings.

use std::sync::Arc;

use tokio::{sync::Notify, time::Instant};

use crate::{
    BuildError, EndpointConfig, EndpointId, PoolId, Provider, WallClock, admission::Toll, quota::Meter,
};

/// What is known to a pool that puts tolls together.
pub(crate) struct Tariff<'a> {
    pub(crate) pool: &'a PoolId,
    /// The first of a name counts.
    pub(crate) providers: &'a [Provider],
    pub(crate) clock: &'a WallClock,
    /// What wakes the pool.
    pub(crate) rearm: &'a Arc<Notify>,
    pub(crate) now: Instant,
}

impl Tariff<'_> {
    /// What requests on this endpoint pay; `before` is what they have paid until now.
    pub(crate) fn toll(
        &self,
        id: &EndpointId,
        config: &EndpointConfig,
        before: Option<&Toll>,
    ) -> Result<Toll, BuildError> {
        let named = |name| self.providers.iter().find(|provider| provider.id() == name);
        let provider = match &config.provider {
            None => None,
            Some(name) => match named(name) {
                Some(provider) => Some(provider.clone()),
                None => {
                    return Err(BuildError::UnknownProvider {
                        pool: self.pool.clone(),
                        endpoint: id.clone(),
                        provider: name.clone(),
                    });
                }
            },
        };
        if let Some(provider) = &provider {
            provider.join(self.rearm);
        }
        let own = config.quota.as_ref().map(|quota| {
            let kept = before.and_then(|toll| toll.own.clone());
            kept.unwrap_or_else(|| Arc::new(Meter::new(Some(quota), self.clock.clone(), self.now)))
        });
        Ok(Toll { own, provider })
    }
}
