//! Ours, as a pool uses it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::Result;
use pool_core::{EndpointId, EndpointSnapshot, Observer, PoolId, PoolSnapshot, Source};
use pool_metrics::{Limits, PrometheusBridge};
use prometheus::TextEncoder;
use tokio::time::Instant;

use super::{Meter, Record, series::names};

/// A pool that is only numbers.
struct Numbers(PoolSnapshot);

impl Source for Numbers {
    fn snapshot(&self) -> PoolSnapshot {
        self.0.clone()
    }
}

/// A counter in memory of its own, as those of the peers are.
#[repr(align(128))]
#[derive(Default)]
struct Requests(AtomicU64);

/// The pool itself counts requests, in an atomic of the endpoint; the observer hears of the latency.
pub(super) fn meter(endpoints: usize) -> Result<Meter> {
    let limits = Limits::for_endpoints(endpoints);
    let bridge = PrometheusBridge::builder().limits(limits).build()?;
    let mut records: Vec<Record> = Vec::new();
    let mut pools: Vec<PoolSnapshot> = Vec::new();
    for (pool, endpoint) in names(endpoints) {
        let (pool, endpoint) = (PoolId::new(&pool)?, EndpointId::new(&endpoint)?);
        let observer = bridge.metrics().endpoint(&pool, &endpoint);
        let requests = Box::<Requests>::default();
        records.push(Box::new(move |elapsed| {
            requests.0.fetch_add(1, Relaxed);
            observer.attempt_ended(elapsed, None);
        }));
        if pools.last().is_none_or(|last| last.id != pool) {
            pools.push(PoolSnapshot::new(pool, Instant::now()));
        }
        if let Some(last) = pools.last_mut() {
            last.endpoints.push(EndpointSnapshot::new(endpoint));
        }
    }
    let sources: Vec<_> = pools.into_iter().map(|pool| Arc::new(Numbers(pool))).collect();
    for source in &sources {
        let weak: Arc<dyn Source> = Arc::clone(source) as _;
        bridge.metrics().attached(&source.0.id, Arc::downgrade(&weak));
    }
    Ok(Meter {
        records,
        scrape: Box::new(move || {
            let _alive = &sources;
            Ok(TextEncoder::new().encode_to_string(&bridge.registry().gather())?)
        }),
    })
}
