//! Series that are missing from the page.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use pool_metrics::{PrometheusBridge, catalogue::PREFIX};
use prometheus::{
    Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Whether the pools' series are hidden. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Hiding(Arc<AtomicBool>);

impl Hiding {
    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    /// A registry that shows what the bridge's shows, without the pools while they are hidden.
    ///
    /// # Errors
    /// Never: the registry is new. The type is prometheus' own.
    pub fn registry(&self, bridge: &PrometheusBridge) -> Result<Registry, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(Curtain {
            behind: bridge.registry().clone(),
            hiding: self.clone(),
        }))?;
        Ok(registry)
    }
}

/// Stands before a registry and lets through what isn't hidden.
struct Curtain {
    behind: Registry,
    hiding: Hiding,
}

impl Collector for Curtain {
    /// None: what comes through has been described to the registry behind.
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.behind.gather();
        if self.hiding.is_on() {
            families.retain(|family| !family.name().starts_with(PREFIX));
        }
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pools_are_hidden_and_only_while_it_is_asked_for() {
        let bridge = PrometheusBridge::new().unwrap();
        let own = prometheus::IntGauge::new("mine", "of the process").unwrap();
        own.set(1);
        let pool = prometheus::IntGauge::new(format!("{PREFIX}of_mine"), "looks like a pool's").unwrap();
        bridge.registry().register(Box::new(own)).unwrap();
        bridge.registry().register(Box::new(pool)).unwrap();
        let hiding = Hiding::default();
        let registry = hiding.registry(&bridge).unwrap();
        let names = || -> Vec<String> {
            let families = registry.gather();
            families.iter().map(|family| family.name().to_owned()).collect()
        };
        let all = names();
        assert!(all.contains(&format!("{PREFIX}of_mine")), "{all:?}");
        assert!(all.contains(&"mine".to_owned()), "{all:?}");
        hiding.set(true);
        assert_eq!(names(), ["mine"]);
        hiding.set(false);
        assert_eq!(names(), all);
    }
}
