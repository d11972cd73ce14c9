//! Time-outs that the histograms cannot show are told of when a pool is registered, and when it gets them later.

use std::{sync::Arc, time::Duration};

use pool_core::{
    EndpointConfig, EndpointId, Observer, Pool, PoolConfig, PoolId, PoolSnapshot, PoolUpdate, Source,
    TimeoutsInForce,
};
use pool_metrics::{PrometheusBridge, catalogue};
use tokio::time::Instant;

use crate::support::{Exposition, logged};

struct Patient(TimeoutsInForce);

impl Source for Patient {
    fn snapshot(&self) -> PoolSnapshot {
        let mut pool = PoolSnapshot::new(PoolId::new("eth").unwrap(), Instant::now());
        pool.timeouts = Some(self.0);
        pool
    }
}

fn beyond(bridge: &PrometheusBridge) -> Option<f64> {
    Exposition::of(bridge).value(catalogue::TIMEOUTS_BEYOND_BUCKETS.name, "pool=eth")
}

/// What is logged by registering a pool with these time-outs and scraping it twice, where so many of them are shown to be
/// beyond the buckets.
fn told(acquire: u64, connect: u64, check: u64, shown: f64) -> String {
    let ms = Duration::from_millis;
    let bridge = PrometheusBridge::new().unwrap();
    let source: Arc<dyn Source> =
        Arc::new(Patient(TimeoutsInForce::new(ms(acquire), ms(connect), ms(check))));
    logged(|| {
        let id = PoolId::new("eth").unwrap();
        bridge.metrics().attached(&id, Arc::downgrade(&source));
        for _ in 0..2 {
            assert_eq!(beyond(&bridge), Some(shown));
        }
    })
}

#[test]
fn a_time_out_beyond_the_last_bucket_is_told_once() {
    for (timeouts, setting, metric) in [
        ((120_001, 1, 1), "acquire_timeout", catalogue::QUEUE_WAIT_SECONDS),
        (
            (1, 120_001, 1),
            "connect_timeout",
            catalogue::CONNECT_DURATION_SECONDS,
        ),
        (
            (1, 1, 120_001),
            "health.timeout",
            catalogue::HEALTH_CHECK_DURATION_SECONDS,
        ),
    ] {
        let (acquire, connect, check) = timeouts;
        let log = told(acquire, connect, check, 1.0);
        assert_eq!(log.matches("WARN").count(), 1, "{log}");
        for part in ["eth", setting, metric.name, "120.001s", "at most 120 s"] {
            assert!(log.contains(part), "no {part} in {log}");
        }
    }
    let all = told(121_000, 122_000, 123_000, 3.0);
    assert_eq!(all.matches("WARN").count(), 3, "{all}");
}

#[test]
fn time_outs_up_to_the_last_bucket_are_fine() {
    assert_eq!(told(120_000, 120_000, 120_000, 0.0), "");
}

/// What callers give a request is not the pool's to know: who makes the requests tells it, before or after the pool is built.
#[test]
fn a_request_time_out_beyond_the_last_bucket_is_told_once() {
    let ms = Duration::from_millis;
    let id = PoolId::new("eth").unwrap();
    for early in [true, false] {
        let bridge = PrometheusBridge::new().unwrap();
        let source: Arc<dyn Source> = Arc::new(Patient(TimeoutsInForce::new(ms(1), ms(1), ms(1))));
        let attach = || bridge.metrics().attached(&id, Arc::downgrade(&source));
        let tell = |timeout| bridge.metrics().request_timeout(&id, timeout);
        let log = logged(|| {
            if early {
                tell(ms(120_001));
                attach();
            } else {
                attach();
                tell(ms(120_001));
            }
            tell(ms(120_001));
            assert_eq!(beyond(&bridge), Some(1.0));
        });
        assert_eq!(log.matches("WARN").count(), 1, "{log}");
        for part in [
            "eth",
            "request_timeout",
            catalogue::REQUEST_DURATION_MS.name,
            "120.001s",
            "at most 120 s",
        ] {
            assert!(log.contains(part), "no {part} in {log}");
        }
        assert_eq!(logged(|| tell(ms(120_000))), "");
        assert_eq!(beyond(&bridge), Some(0.0));
    }
}

/// The real pool says what its settings say.
#[tokio::test(start_paused = true)]
async fn a_pool_tells_its_time_outs() {
    let mut config = PoolConfig::default();
    config.acquire_timeout = Duration::from_secs(300);
    config.connect_timeout = Duration::from_secs(7);
    config.health.timeout = Duration::from_secs(200);
    let bridge = PrometheusBridge::new().unwrap();
    let mut pool = None;
    let log = logged(|| pool = Some(build(&bridge, config)));
    assert_eq!(beyond(&bridge), Some(2.0));
    drop(pool);
    assert_eq!(log.matches("WARN").count(), 2, "{log}");
    assert!(
        log.contains("acquire_timeout") && log.contains("timeout=300s"),
        "{log}"
    );
    assert!(
        log.contains("health.timeout") && log.contains("timeout=200s"),
        "{log}"
    );
}

fn build(bridge: &PrometheusBridge, config: PoolConfig) -> Pool<Nothing> {
    let builder = Pool::builder(PoolId::new("eth").unwrap())
        .config(config)
        .observer(Arc::new(bridge.metrics().clone()))
        .endpoint(EndpointId::new("a").unwrap(), Nothing, EndpointConfig::default());
    builder.build().unwrap()
}

/// Other settings of a pool that runs are looked at as those that it began with.
#[tokio::test(start_paused = true)]
async fn a_time_out_that_comes_later_is_told_once_and_shown_as_long_as_it_is_there() {
    let bridge = PrometheusBridge::new().unwrap();
    let mut config = PoolConfig::default();
    let mut pool = None;
    assert_eq!(logged(|| pool = Some(build(&bridge, config.clone()))), "");
    let pool = pool.unwrap();
    assert_eq!(beyond(&bridge), Some(0.0));
    let apply = |config: &PoolConfig| {
        let id = EndpointId::new("a").unwrap();
        let update = PoolUpdate::new(config.clone()).keep(id, EndpointConfig::default());
        logged(|| drop(pool.apply(update).unwrap()))
    };
    config.connect_timeout = Duration::from_secs(121);
    let log = apply(&config);
    assert_eq!(log.matches("WARN").count(), 1, "{log}");
    assert!(
        log.contains("setting=\"connect_timeout\"") && log.contains("timeout=121s"),
        "{log}"
    );
    assert_eq!(beyond(&bridge), Some(1.0));
    // something else changes
    config.max_waiters += 1;
    let log = apply(&config);
    assert!(
        log.contains("pool reconfigured") && !log.contains("WARN"),
        "{log}"
    );
    assert_eq!(beyond(&bridge), Some(1.0));
    config.connect_timeout = Duration::from_secs(120);
    assert!(!apply(&config).contains("WARN"));
    assert_eq!(beyond(&bridge), Some(0.0));
}

/// An endpoint with which nothing is done.
struct Nothing;

impl pool_core::Endpoint for Nothing {
    type Transport = ();
    type Conn = ();
    type Error = std::convert::Infallible;

    async fn connect(&self, _: &pool_core::ConnectCx) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn open(&self, _: &Arc<()>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn is_clean(&self, (): &()) -> bool {
        true
    }

    async fn recycle(&self, (): &mut (), _: &pool_core::RecycleCx) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn check(&self, _: &pool_core::CheckCx) -> Result<pool_core::Report, Self::Error> {
        Ok(pool_core::Report::fit(None))
    }

    fn classify(&self, error: &Self::Error) -> pool_core::Verdict {
        match *error {}
    }
}
