//! From a plan to a running pool.

use std::sync::Arc;

use pool_core::{BuildError, Observer, Pool, PoolConfig, PoolId};
use pool_rpc::JsonRpcEndpoint;

use crate::config::{BalancerKind, EndpointPlan};

/// Builds a pool and starts its health checks; the observer gets its metrics.
///
/// # Errors
/// [`BuildError`] when a setting is impossible, which a plan read from a file never is, or outside a tokio runtime.
pub fn build(
    id: PoolId,
    settings: PoolConfig,
    balancer: BalancerKind,
    endpoints: Vec<EndpointPlan>,
    observer: Arc<dyn Observer>,
) -> Result<Pool<JsonRpcEndpoint>, BuildError> {
    let builder = Pool::builder(id)
        .config(settings)
        .balancer(balancer.build())
        .observer(observer);
    endpoints
        .into_iter()
        .fold(builder, |builder, plan| {
            builder.endpoint(plan.id, plan.endpoint, plan.config)
        })
        .build()
}
