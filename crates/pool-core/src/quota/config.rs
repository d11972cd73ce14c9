//! Settings of a quota.

use std::time::Duration;

use crate::{ConfigError, config::LONGEST};

/// How much may be asked of an endpoint or provider, in units: requests, or whatever the provider counts
/// ([`Request::cost`](crate::Request::cost) says how many a request takes).
///
/// A request is admitted when at least one unit is there; what it costs beyond that is owed, and paid off by the refill
/// before the next one. So a request that costs more than the burst is served too, and no more is ever taken than burst,
/// refill and the rest of one request.
///
/// Set it a little below what the provider grants: the provider counts when a request arrives, and requests that were sent
/// evenly may arrive bunched.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct QuotaConfig {
    /// Units that come back each second, 0.001 to 1000000. `None`, the default: only the day is limited.
    pub per_second: Option<f64>,
    /// Units that can be taken at once after a quiet time. `None`, the default: what comes back in one second, at least 1.
    /// A burst takes at most 7 days to come back.
    pub burst: Option<u32>,
    /// Units for a day. A day begins at midnight UTC, where the providers that publish it count from; what was used before
    /// this process started is not known. `None`, the default: no limit.
    pub daily: Option<u64>,
}

impl QuotaConfig {
    /// So many units a second.
    pub const fn per_second(units: f64) -> Self {
        Self {
            per_second: Some(units),
            burst: None,
            daily: None,
        }
    }

    /// So many units a day, however fast.
    pub const fn per_day(units: u64) -> Self {
        Self {
            per_second: None,
            burst: None,
            daily: Some(units),
        }
    }

    /// Sets the units that can be taken at once.
    #[must_use]
    pub const fn burst(mut self, units: u32) -> Self {
        self.burst = Some(units);
        self
    }

    /// Sets the units for a day.
    #[must_use]
    pub const fn daily(mut self, units: u64) -> Self {
        self.daily = Some(units);
        self
    }

    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.per_second.is_none() && self.daily.is_none() {
            let allowed = "a number for this or for quota.daily";
            return Err(ConfigError::new("quota.per_second", "null".to_owned(), allowed));
        }
        if let Some(rate) = self.per_second.filter(|rate| !(0.001..=1e6).contains(rate)) {
            return Err(ConfigError::new(
                "quota.per_second",
                rate.to_string(),
                "0.001 to 1000000",
            ));
        }
        if let Some(burst) = self.burst {
            let value = || burst.to_string();
            let Some(rate) = self.per_second else {
                let allowed = "null without quota.per_second";
                return Err(ConfigError::new("quota.burst", value(), allowed));
            };
            let refill = Duration::try_from_secs_f64(f64::from(burst) / rate).unwrap_or(Duration::MAX);
            if burst == 0 || refill > LONGEST {
                let allowed = "1 to what quota.per_second brings back in 7 days";
                return Err(ConfigError::new("quota.burst", value(), allowed));
            }
        }
        if self.daily == Some(0) {
            return Err(ConfigError::new("quota.daily", "0".to_owned(), "1 or more"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_quotas_are_named() {
        let bad = |config: QuotaConfig| config.validate().map_err(|error| error.field);
        assert_eq!(bad(QuotaConfig::per_second(25.0).burst(100).daily(1)), Ok(()));
        assert_eq!(bad(QuotaConfig::per_day(1)), Ok(()));
        assert_eq!(bad(QuotaConfig::default()), Err("quota.per_second"));
        for rate in [0.0, -1.0, 2e6, f64::NAN, f64::INFINITY] {
            assert_eq!(
                bad(QuotaConfig::per_second(rate)),
                Err("quota.per_second"),
                "{rate}"
            );
        }
        assert_eq!(bad(QuotaConfig::per_second(1.0).burst(0)), Err("quota.burst"));
        assert_eq!(
            bad(QuotaConfig::per_second(0.01).burst(10_000)),
            Err("quota.burst")
        );
        assert_eq!(bad(QuotaConfig::per_day(9).burst(1)), Err("quota.burst"));
        assert_eq!(bad(QuotaConfig::per_day(0)), Err("quota.daily"));
    }
}
