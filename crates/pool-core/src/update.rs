//! Other settings, endpoints and balancer while requests run.

use std::{fmt, sync::Arc};

use crate::{
    Balancer, BuildError, ConfigError, Endpoint, EndpointConfig, EndpointId, PoolConfig, PoolId, Provider,
};

/// What a pool shall be from now on; given to [`Pool::apply`](crate::Pool::apply). It is the whole: endpoints that it
/// does not name leave.
#[must_use = "nothing changes before it is applied"]
pub struct PoolUpdate<E> {
    pub(crate) config: PoolConfig,
    pub(crate) endpoints: Vec<(EndpointId, Option<E>, EndpointConfig)>,
    pub(crate) balancer: Option<Arc<dyn Balancer>>,
    pub(crate) providers: Vec<Provider>,
}

impl<E> fmt::Debug for PoolUpdate<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<_> = self.endpoints.iter().map(|(id, _, _)| id).collect();
        f.debug_struct("PoolUpdate")
            .field("config", &self.config)
            .field("endpoints", &endpoints)
            .finish_non_exhaustive()
    }
}

/// What an update changed. Endpoints that stand in none of the lists are as they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// Joined.
    pub added: Vec<EndpointId>,
    /// Took over from one of the same id, which drains.
    pub replaced: Vec<EndpointId>,
    /// Have other settings.
    pub changed: Vec<EndpointId>,
    /// Take no more requests and drain.
    pub removed: Vec<EndpointId>,
    /// The pool's own settings changed.
    pub settings: bool,
    /// The balancer was exchanged.
    pub balancer: bool,
}

impl Applied {
    /// Whether the pool is as it was.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl<E: Endpoint> PoolUpdate<E> {
    /// An update to these settings, without endpoints yet.
    pub const fn new(config: PoolConfig) -> Self {
        Self {
            config,
            endpoints: Vec::new(),
            balancer: None,
            providers: Vec::new(),
        }
    }

    /// An endpoint that stays, with its connections, health and breaker, perhaps with other settings.
    pub fn keep(mut self, id: EndpointId, config: EndpointConfig) -> Self {
        self.endpoints.push((id, None, config));
        self
    }

    /// An endpoint that joins. If the pool has one of this id it is replaced: the old one's requests end on the old
    /// one's connections, and the new one is checked before it is used.
    pub fn endpoint(mut self, id: EndpointId, endpoint: E, config: EndpointConfig) -> Self {
        self.endpoints.push((id, Some(endpoint), config));
        self
    }

    /// A provider, for the endpoints that name it. One that an endpoint of the pool belongs to already need not be given
    /// again; given another of the same name, all endpoints that name it change over to that.
    pub fn provider(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }

    /// Another balancer. Without this the pool keeps the one it has.
    pub fn balancer(mut self, balancer: Arc<dyn Balancer>) -> Self {
        self.balancer = Some(balancer);
        self
    }

    /// Checks what can be checked without the pool.
    pub(crate) fn validate(&self, pool: &PoolId) -> Result<(), BuildError> {
        let endpoints = self.endpoints.iter().map(|(id, _, config)| (id, config));
        validate(pool, &self.config, endpoints)
    }
}

/// Checks a pool's settings and those of its endpoints.
pub(crate) fn validate<'a>(
    pool: &PoolId,
    config: &PoolConfig,
    endpoints: impl ExactSizeIterator<Item = (&'a EndpointId, &'a EndpointConfig)>,
) -> Result<(), BuildError> {
    let of_pool = |error: ConfigError| BuildError::Pool {
        pool: pool.clone(),
        error,
    };
    config.validate().map_err(of_pool)?;
    if endpoints.len() == 0 {
        return Err(BuildError::Empty(pool.clone()));
    }
    let mut known = std::collections::HashSet::with_capacity(endpoints.len());
    for (id, config) in endpoints {
        config.validate().map_err(|error| BuildError::Endpoint {
            pool: pool.clone(),
            endpoint: id.clone(),
            error,
        })?;
        if !known.insert(id) {
            return Err(BuildError::Duplicate {
                pool: pool.clone(),
                endpoint: id.clone(),
            });
        }
    }
    Ok(())
}
