//! When a breaker opens, for how long, and how it closes again.

use std::time::Duration;

use crate::ConfigError;

/// Settings of a circuit breaker. The defaults suit remote RPC providers.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BreakerConfig {
    /// Failures in a row that open it; 0 switches this off. Default 5: a provider's hiccup is one or two.
    pub consecutive_failures: u32,
    /// Share of failures over the window above which it opens, in `0.0..=1.0`; 1 switches this off. Default 0.5.
    pub failure_ratio: f64,
    /// Length of the window. Default 10 s, at least 10 ms.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub window: Duration,
    /// Outcomes that the window must hold before the share counts. Default 20: below that a share is noise.
    pub minimum_volume: u32,
    /// How long it stays open after the first trip; doubles with each further one. Default 1 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub open_min: Duration,
    /// How long it stays open at the most, before jitter. Default 60 s: providers' outages last minutes.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub open_max: Duration,
    /// Up to this share is added to the open time at random. Default 0.2.
    pub jitter: f64,
    /// After staying closed for so long the doubling starts over. Default 60 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub forget_after: Duration,
    /// Probes that may be out at once while half-open. Default 1: no stampede on a node that just came back.
    pub half_open_probes: u32,
    /// Successful probes that close it. Default 2.
    pub close_after: u32,
    /// A probe that has not reported after so long loses its permit. Default 30 s; longer than the request time-out.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub probe_lease: Duration,
    /// A health check serves as probe when no request has come for so long while half-open. Default 1 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub check_probe_after: Duration,
    /// A successful call that took this long is slow. `None`, the default, makes none slow: what is slow for one
    /// method is fast for another, so only the operator knows.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::config::DurationText>"))]
    pub slow_call: Option<Duration>,
    /// Share of failures and slow calls together over the window above which it opens, in `0.0..=1.0`; 1 switches this
    /// off. Default 0.8: a slow node is better than none, so more of it is borne than of failures.
    pub slow_ratio: f64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_ratio: 0.5,
            window: Duration::from_secs(10),
            minimum_volume: 20,
            open_min: Duration::from_secs(1),
            open_max: Duration::from_secs(60),
            jitter: 0.2,
            forget_after: Duration::from_secs(60),
            half_open_probes: 1,
            close_after: 2,
            probe_lease: Duration::from_secs(30),
            check_probe_after: Duration::from_secs(1),
            slow_call: None,
            slow_ratio: 0.8,
        }
    }
}

impl BreakerConfig {
    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |field, value: String, allowed| Err(ConfigError::new(field, value, allowed));
        if !(0.0..=1.0).contains(&self.failure_ratio) {
            return wrong(
                "breaker.failure_ratio",
                self.failure_ratio.to_string(),
                "0.0 to 1.0 (1 switches it off)",
            );
        }
        if !(0.0..=1.0).contains(&self.slow_ratio) {
            return wrong(
                "breaker.slow_ratio",
                self.slow_ratio.to_string(),
                "0.0 to 1.0 (1 switches it off)",
            );
        }
        if self.slow_call.is_some_and(|slow| slow.is_zero()) {
            return wrong(
                "breaker.slow_call",
                "0".to_owned(),
                "above 0; leave it out to switch it off",
            );
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return wrong("breaker.jitter", self.jitter.to_string(), "0.0 to 1.0");
        }
        if self.window < Duration::from_millis(10) {
            return wrong("breaker.window", format!("{:?}", self.window), "at least 10 ms");
        }
        if self.minimum_volume == 0 {
            return wrong("breaker.minimum_volume", "0".to_owned(), "at least 1");
        }
        if self.open_min.is_zero() || self.open_min > self.open_max {
            return wrong(
                "breaker.open_min",
                format!("{:?}", self.open_min),
                "above 0 and at most open_max",
            );
        }
        for (field, value) in [
            ("breaker.window", self.window),
            ("breaker.open_max", self.open_max),
            ("breaker.forget_after", self.forget_after),
            ("breaker.probe_lease", self.probe_lease),
            ("breaker.check_probe_after", self.check_probe_after),
            ("breaker.slow_call", self.slow_call.unwrap_or_default()),
        ] {
            if value > crate::config::LONGEST {
                return wrong(field, format!("{value:?}"), "at most 7 days");
            }
        }
        if self.half_open_probes == 0 || self.half_open_probes > 1024 {
            return wrong(
                "breaker.half_open_probes",
                self.half_open_probes.to_string(),
                "1 to 1024",
            );
        }
        if self.close_after == 0 {
            return wrong("breaker.close_after", "0".to_owned(), "at least 1");
        }
        if self.probe_lease.is_zero() {
            return wrong(
                "breaker.probe_lease",
                "0".to_owned(),
                "above 0; longer than the request time-out",
            );
        }
        Ok(())
    }
}
