//! When an endpoint stands out among the others, and for how long it is left out.

use std::time::Duration;

use crate::{ConfigError, config::LONGEST};

/// Settings of outlier detection.
///
/// # Whether to switch it on
///
/// It finds what nobody else does: an endpoint that passes its checks and fails too rarely for its breaker (5 to 50 %
/// of the requests), or that is far slower than its peers. It presumes that all endpoints get the same mix of requests,
/// because it holds them against each other. Where keys, tiers or demanded positions send some kinds of requests to some
/// endpoints only, different is not worse. And a relayer has three to five endpoints for a chain: what is left out
/// wrongly costs a third of the capacity, while what is left in wrongly costs retries, which go elsewhere. So it is off
/// unless asked for ([`PoolConfig::outlier`](crate::PoolConfig::outlier)), and its defaults rather miss than accuse.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OutlierConfig {
    /// Time between two looks; each judges what came in between. Default 10 s, at least 100 ms. In a pool of little
    /// traffic lengthen it until every endpoint gets `minimum_requests` in it.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub interval: Duration,
    /// An endpoint with fewer requests than this since the last look is not judged, and nobody is held against it.
    /// Default 20, at least 1.
    pub minimum_requests: u32,
    /// With fewer endpoints than this that had enough requests nobody is judged. Default 3, at least 2: of two one
    /// can tell that they differ, but not which is the odd one.
    pub minimum_endpoints: u32,
    /// Looks in a row at which an endpoint must stand out. Default 2: a single one is a hiccup, or chance.
    pub consecutive: u32,
    /// An endpoint fails too often when its success rate is below the mean of the others' by more than so many of their
    /// standard deviations. Default 1.9, the figure of Envoy's documentation; 0 switches nothing off, it only leaves the
    /// decision to `minimum_difference`.
    pub stdev_factor: f64,
    /// ...and by at least so much, in `0.0..=1.0`. Default 0.1: where all are good, the second best is no outlier. 1
    /// switches the judgement by success rate off.
    pub minimum_difference: f64,
    /// An endpoint is too slow when its successful requests take on average more than so many times what they take on
    /// the others (their median). Default 4; 0 switches the judgement by latency off, else at least 1.
    pub latency_factor: f64,
    /// ...and longer than this. Default 1 s: among fast endpoints four times as slow is still fast.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub minimum_latency: Duration,
    /// How long an endpoint is left out the first time; twice as long the second time, three times the third, and so on.
    /// Each look that it passes takes one time back. Default 30 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub ejection_base: Duration,
    /// How long it is left out at the most, before jitter. Default 5 min.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub ejection_max: Duration,
    /// Up to this share is added to the time at random, in `0.0..=1.0`. Default 0.2.
    pub jitter: f64,
    /// Share of the endpoints that may be out, for whatever reason, after an ejection. Default 0.34, a third: one of
    /// three. Where it allows none (one of two endpoints is a half) nobody is ever left out.
    pub max_ejected_share: f64,
}

impl Default for OutlierConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            minimum_requests: 20,
            minimum_endpoints: 3,
            consecutive: 2,
            stdev_factor: 1.9,
            minimum_difference: 0.1,
            latency_factor: 4.0,
            minimum_latency: Duration::from_secs(1),
            ejection_base: Duration::from_secs(30),
            ejection_max: Duration::from_secs(300),
            jitter: 0.2,
            max_ejected_share: 0.34,
        }
    }
}

impl OutlierConfig {
    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |field, value: String, allowed| Err(ConfigError::new(field, value, allowed));
        for (field, value, least, allowed) in [
            ("outlier.interval", self.interval, 100, "100 ms to 7 days"),
            ("outlier.ejection_base", self.ejection_base, 1, "1 ms to 7 days"),
            ("outlier.ejection_max", self.ejection_max, 1, "1 ms to 7 days"),
            ("outlier.minimum_latency", self.minimum_latency, 0, "0 to 7 days"),
        ] {
            if value < Duration::from_millis(least) || value > LONGEST {
                return wrong(field, format!("{value:?}"), allowed);
            }
        }
        if self.ejection_base > self.ejection_max {
            let value = format!("{:?}", self.ejection_base);
            return wrong("outlier.ejection_base", value, "at most ejection_max");
        }
        for (field, value, least, allowed) in [
            ("outlier.minimum_requests", self.minimum_requests, 1, "at least 1"),
            (
                "outlier.minimum_endpoints",
                self.minimum_endpoints,
                2,
                "at least 2",
            ),
            ("outlier.consecutive", self.consecutive, 1, "at least 1"),
        ] {
            if value < least {
                return wrong(field, value.to_string(), allowed);
            }
        }
        for (field, value) in [
            ("outlier.minimum_difference", self.minimum_difference),
            ("outlier.jitter", self.jitter),
            ("outlier.max_ejected_share", self.max_ejected_share),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return wrong(field, value.to_string(), "0.0 to 1.0");
            }
        }
        if !(0.0..=100.0).contains(&self.stdev_factor) {
            return wrong(
                "outlier.stdev_factor",
                self.stdev_factor.to_string(),
                "0.0 to 100",
            );
        }
        if self.latency_factor != 0.0 && !(1.0..=1_000.0).contains(&self.latency_factor) {
            let value = self.latency_factor.to_string();
            return wrong("outlier.latency_factor", value, "0 (off), or 1.0 to 1000");
        }
        Ok(())
    }

    /// How many of so many endpoints may be out.
    pub(crate) fn most_out(&self, endpoints: usize) -> usize {
        // a share of 0.34 of 50 is 17, not the 16.99... that it is in binary
        (self.max_ejected_share * endpoints as f64 + 1e-9) as usize
    }

    /// How long the `nth` ejection in a row lasts; `chance` in `0.0..1.0` makes the jitter.
    pub(crate) fn sentence(&self, nth: u32, chance: f64) -> Duration {
        let plain = self.ejection_base.saturating_mul(nth).min(self.ejection_max);
        plain.mul_f64(1.0 + self.jitter * chance.clamp(0.0, 1.0))
    }
}
