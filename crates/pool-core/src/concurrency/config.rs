//! How limits are learned, and how strictly they are kept.

use std::time::Duration;

use crate::{ConfigError, config::LONGEST};

/// Settings of adaptive concurrency: how many requests each endpoint is given at once, as far as its answers tell what it
/// works on at once. An endpoint whose answers do not get slower with more requests is given as many as are configured.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct AdaptiveConcurrencyConfig {
    /// Time between two looks at the answers. Default 1 s, at least 100 ms. Answers are compared with those of the same look only.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub interval: Duration,
    /// Of what answers have told, 1/e is left after so long, or after 1000 answers if that is sooner. Default 15 s, at least
    /// `interval`. So a limit that does not hold any more opens again by itself: requests beyond it then tell whether it holds.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub memory: Duration,
    /// The limit is so many times what the endpoint probably works on at once, rounded up. Default 1.25, at least 1: without a
    /// request that waits at the node there is nothing to do there for a moment after each answer, and nothing to learn from.
    pub headroom: f64,
    /// When all endpoints are at their limits, of the requests beyond them so large a share waits in line, oldest first; the others
    /// go out all the same, spread by the limits. Default 0.25; in `0.05..=1.0`, where 1 keeps the limits strictly. What waits in line
    /// can still go to any endpoint, and what is more urgent overtakes it; but answers may get slower with more requests for
    /// another reason than the number: requests that come together are often of the dear kind. Then a limit is too low, and the
    /// fewer wait for it the better.
    pub hold_back: f64,
}

impl Default for AdaptiveConcurrencyConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            memory: Duration::from_secs(15),
            headroom: 1.25,
            hold_back: 0.25,
        }
    }
}

impl AdaptiveConcurrencyConfig {
    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |field, value: String, allowed| Err(ConfigError::new(field, value, allowed));
        if !(Duration::from_millis(100)..=LONGEST).contains(&self.interval) {
            let value = format!("{:?}", self.interval);
            return wrong("adaptive_concurrency.interval", value, "100 ms to 7 days");
        }
        if !(self.interval..=LONGEST).contains(&self.memory) {
            let value = format!("{:?}", self.memory);
            return wrong("adaptive_concurrency.memory", value, "interval to 7 days");
        }
        if !(1.0..=10.0).contains(&self.headroom) {
            let value = self.headroom.to_string();
            return wrong("adaptive_concurrency.headroom", value, "1.0 to 10.0");
        }
        if !(0.05..=1.0).contains(&self.hold_back) {
            let value = self.hold_back.to_string();
            return wrong("adaptive_concurrency.hold_back", value, "0.05 to 1.0");
        }
        Ok(())
    }

    /// By how much the limits grow together for each request in line.
    pub(crate) fn growth(&self) -> f64 {
        1.0 / self.hold_back - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_refused_by_name() {
        let config = AdaptiveConcurrencyConfig::default();
        assert_eq!(config.validate(), Ok(()));
        let ms = Duration::from_millis;
        for (field, wrong) in [
            (
                "interval",
                AdaptiveConcurrencyConfig {
                    interval: ms(99),
                    ..config.clone()
                },
            ),
            (
                "memory",
                AdaptiveConcurrencyConfig {
                    memory: ms(999),
                    ..config.clone()
                },
            ),
            (
                "headroom",
                AdaptiveConcurrencyConfig {
                    headroom: 0.9,
                    ..config.clone()
                },
            ),
            (
                "headroom",
                AdaptiveConcurrencyConfig {
                    headroom: f64::NAN,
                    ..config.clone()
                },
            ),
            (
                "hold_back",
                AdaptiveConcurrencyConfig {
                    hold_back: 0.0,
                    ..config.clone()
                },
            ),
            (
                "hold_back",
                AdaptiveConcurrencyConfig {
                    hold_back: 1.1,
                    ..config.clone()
                },
            ),
        ] {
            let error = wrong.validate().unwrap_err();
            assert_eq!(error.field, format!("adaptive_concurrency.{field}"), "{wrong:?}");
        }
    }

    #[test]
    fn a_quarter_waits_where_the_limits_grow_by_three_for_each_who_does() {
        assert_eq!(AdaptiveConcurrencyConfig::default().growth(), 3.0);
        let strict = AdaptiveConcurrencyConfig {
            hold_back: 1.0,
            ..Default::default()
        };
        assert_eq!(strict.growth(), 0.0);
    }
}
