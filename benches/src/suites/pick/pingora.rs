//! pingora's balancers.

use std::{hint::black_box, sync::Arc};

use anyhow::{Result, anyhow};
use pingora_load_balancing::{
    LoadBalancer,
    selection::{BackendIter, BackendSelection, Consistent, Random, RoundRobin},
};

use super::{Make, Picker, on_threads};

pub(super) const PICKERS: [(&str, Make); 3] = [
    ("pingora round robin", picker::<RoundRobin>),
    ("pingora random", picker::<Random>),
    ("pingora consistent hash", picker::<Consistent>),
];

/// As its users call it: all backends are taken for healthy, since none has a health check.
fn picker<S>(endpoints: usize, threads: usize) -> Result<Picker>
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    let addresses = (0..endpoints).map(|number| format!("10.{}.{}.1:80", number / 256, number % 256));
    let balancer = LoadBalancer::<S>::try_from_iter(addresses)?;
    balancer
        .select(b"key", 256)
        .ok_or_else(|| anyhow!("no backend is ready"))?;
    let pick: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
        black_box(balancer.select(black_box(b"key"), 256));
    });
    Ok(Box::new(move |picks| on_threads(threads, picks, &pick)))
}
