//! Every number against an independent count: real pools on scripted nodes, a known course of requests, faults and
//! reconfigurations, and what is exposed in the end. What a course does not name must be 0.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

#[path = "../../../pool-core/tests/common/mod.rs"]
mod common;
mod courses;
mod load;
#[path = "../export/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the export")]
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use common::*;
use pool_core::*;
use pool_metrics::{
    PrometheusBridge,
    catalogue::{METRICS, PREFIX},
};

use support::Exposition;

/// The first that is offered, so that it is known where a request goes.
struct First;

impl Balancer for First {
    fn pick(&self, among: &Candidates<'_>, _: &PickCx<'_>) -> Option<usize> {
        (!among.is_empty()).then_some(0)
    }
}

/// Which metrics the courses have seen with another value than 0.
static SEEN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Pools followed by one bridge, and what they must show.
struct Course {
    bridge: PrometheusBridge,
    slots: u32,
    quota: Option<QuotaConfig>,
    expected: BTreeMap<(String, String), f64>,
}

impl Course {
    fn new(slots: u32) -> Self {
        Self {
            bridge: PrometheusBridge::new().unwrap(),
            slots,
            quota: None,
            expected: BTreeMap::new(),
        }
    }

    /// A pool that is checked once, at the beginning, and expected to look like it.
    async fn pool(&mut self, nodes: &[Node], tune: impl FnOnce(&mut PoolConfig)) -> Pool<Fake> {
        let mut config = PoolConfig::default();
        config.health.interval = s(24 * 3600);
        config.keepalive = None;
        config.backoff_min = ms(0);
        tune(&mut config);
        let max_waiters = config.max_waiters;
        let mut builder = Pool::builder(PoolId::new("test").unwrap())
            .config(config)
            .seed(7)
            .balancer(Arc::new(First))
            .observer(Arc::new(self.bridge.metrics().clone()));
        for node in nodes {
            builder = builder.endpoint(node.id(), Fake(node.clone()), self.settings());
        }
        let pool = builder.build().unwrap();
        settle().await;
        let slots = f64::from(self.slots);
        let all = slots * nodes.len() as f64;
        self.of_pool("queue_limit", max_waiters.into())
            .of_pool("slots_usable", all)
            .of_pool("slots_free", all);
        for node in nodes {
            let id = node.id();
            self.of(&id, "connections_max", slots)
                .of(&id, "slots_max", slots)
                .of(&id, "concurrency_limit", slots)
                .of(&id, "endpoint_weight", 1.0)
                .of(&id, "health_check_duration_seconds_count", 1.0)
                .by(&id, "circuit_breaker_state", "state=closed", 1.0);
        }
        pool
    }

    fn settings(&self) -> EndpointConfig {
        let settings = EndpointConfig::default().max_connections(self.slots);
        match &self.quota {
            Some(quota) => settings.quota(quota.clone()),
            None => settings,
        }
    }

    fn expect(&mut self, name: &str, labels: String, value: f64) -> &mut Self {
        self.expected.insert((format!("{PREFIX}{name}"), labels), value);
        self
    }

    /// What the pool shall show.
    fn of_pool(&mut self, name: &str, value: f64) -> &mut Self {
        self.expect(name, "pool=test".to_owned(), value)
    }

    /// The same of one value of a closed label.
    fn of_pool_by(&mut self, name: &str, label: &str, value: f64) -> &mut Self {
        self.expect(name, format!("pool=test,{label}"), value)
    }

    /// What an endpoint shall show.
    fn of(&mut self, endpoint: &EndpointId, name: &str, value: f64) -> &mut Self {
        self.expect(name, format!("endpoint={endpoint},pool=test"), value)
    }

    /// The same of one value of a closed label.
    fn by(&mut self, endpoint: &EndpointId, name: &str, label: &str, value: f64) -> &mut Self {
        let mut labels = [
            format!("endpoint={endpoint}"),
            "pool=test".to_owned(),
            label.to_owned(),
        ];
        labels.sort();
        self.expect(name, labels.join(","), value)
    }

    /// An endpoint is gone, with all that was expected of it.
    fn forget(&mut self, endpoint: &EndpointId) {
        let gone = format!("endpoint={endpoint},");
        self.expected
            .retain(|(_, labels), _| !format!("{labels},").contains(&gone));
    }

    /// Holds what is exposed against what is expected, both ways.
    #[track_caller]
    fn check(&self, when: &str) {
        let exposed = Exposition::of(&self.bridge);
        let mut left: BTreeSet<_> = self.expected.keys().cloned().collect();
        for (family, sample) in exposed
            .0
            .iter()
            .flat_map(|(name, family)| family.samples.iter().map(move |sample| (name, sample)))
        {
            if !sample.labels.contains_key("pool") || sample.labels.contains_key("le") {
                continue;
            }
            let labels: Vec<_> = sample.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let key = (sample.name.clone(), labels.join(","));
            let expected = self.expected.get(&key).copied().unwrap_or(0.0);
            assert!(
                (sample.value - expected).abs() < 1e-9,
                "{when}: {} {{{}}} is {} and not {expected}",
                key.0,
                key.1,
                sample.value
            );
            left.remove(&key);
            if sample.value != 0.0
                && let Some(metric) = METRICS.iter().find(|metric| metric.name == family)
            {
                SEEN.lock().unwrap().insert(metric.short_name);
            }
        }
        assert!(left.is_empty(), "{when}: not exposed: {left:?}");
    }
}

/// All courses, one after the other, so that what they have seen can be added up.
#[test]
fn every_metric_has_the_value_of_an_independent_count() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(courses::all());
    let seen = SEEN.lock().unwrap();
    // the two that are of the process have tests of their own
    let metrics = METRICS.iter().filter(|metric| metric.has_label("pool"));
    let unseen: Vec<_> = metrics
        .map(|metric| metric.short_name)
        .filter(|name| !seen.contains(name))
        .collect();
    assert!(unseen.is_empty(), "never seen with a value: {unseen:?}");
}
