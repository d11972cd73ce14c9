//! Health of one endpoint: a pure state machine over the results of active checks.
//!
//! An endpoint is *unknown* until its first successful check: not eligible, and exposed as unhealthy. A failed check
//! must repeat (`fall`) before a healthy endpoint is given up, and a success must repeat (`rise`) before an unhealthy
//! one is trusted again. An endpoint that answers but is unfit (wrong chain, syncing, lagging) is unhealthy at once:
//! it would give wrong answers.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::{ConfigError, Unfit};

/// Settings of the health checks.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct HealthConfig {
    /// Time between two checks. Default 5 s: a few calls of quota a minute against seconds of wrong answers.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub interval: Duration,
    /// Each interval is shortened or lengthened by up to this share at random. Default 0.2.
    pub jitter: f64,
    /// A check that takes longer has failed. Default 3 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub timeout: Duration,
    /// Successes in a row that make an unhealthy endpoint healthy. Default 2; the first check of all needs only one.
    pub rise: u32,
    /// Failures in a row that make a healthy endpoint unhealthy. Default 2.
    pub fall: u32,
    /// An endpoint that is further behind than this (in blocks) is unfit. `None`, the default, switches it off. The
    /// reference is described at [`reference`](crate::position::reference).
    pub max_lag: Option<u64>,
    /// An endpoint whose head is older than the reference head by more than this is unfit. `None`, the default, switches it
    /// off. The reference head's age is found as that of [`reference`](crate::position::reference): so a chain that stands
    /// still makes nobody unfit, however long; [`PoolSnapshot::head_age`](crate::PoolSnapshot::head_age) tells of it. In blocks
    /// a node that is stuck on a slow chain is a few behind for minutes; in time it is late at once.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration::option"))]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::config::DurationText>"))]
    pub max_lag_time: Option<Duration>,
    /// Checks of the pool's endpoints that run at the same time. Default 16; those that are due take turns, oldest first.
    /// The first checks come as fast as this allows, so a pool of many endpoints does not begin with a burst of
    /// handshakes. A check that hangs keeps its turn until its `timeout`. Where so many cannot keep up (endpoints times
    /// the time of a check, over this number, is more than `interval`) checks come late.
    pub max_concurrent: u32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            jitter: 0.2,
            timeout: Duration::from_secs(3),
            rise: 2,
            fall: 2,
            max_lag: None,
            max_lag_time: None,
            max_concurrent: 16,
        }
    }
}

impl HealthConfig {
    /// What checks found before this says nothing of how things stand now.
    pub(crate) fn fresh_since(&self, now: Instant) -> Instant {
        now.checked_sub(self.interval.saturating_mul(3)).unwrap_or(now)
    }

    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let wrong = |field, value: String, allowed| Err(ConfigError::new(field, value, allowed));
        if self.interval < Duration::from_millis(10) {
            return wrong(
                "health.interval",
                format!("{:?}", self.interval),
                "at least 10 ms",
            );
        }
        if !(0.0..1.0).contains(&self.jitter) {
            return wrong(
                "health.jitter",
                self.jitter.to_string(),
                "0.0 up to, but not including, 1.0",
            );
        }
        if self.timeout.is_zero() {
            return wrong("health.timeout", "0".to_owned(), "above 0");
        }
        if self.max_lag_time.is_some_and(|time| time.is_zero()) {
            return wrong("health.max_lag_time", "0".to_owned(), "above 0, or null");
        }
        for (field, value) in [
            ("health.interval", self.interval),
            ("health.timeout", self.timeout),
            ("health.max_lag_time", self.max_lag_time.unwrap_or_default()),
        ] {
            if value > crate::config::LONGEST {
                return wrong(field, format!("{value:?}"), "at most 7 days");
            }
        }
        if !(1..=100_000).contains(&self.max_concurrent) {
            return wrong(
                "health.max_concurrent",
                self.max_concurrent.to_string(),
                "1 to 100000",
            );
        }
        if self.rise == 0 || self.fall == 0 {
            let (field, value) = if self.rise == 0 {
                ("health.rise", self.rise)
            } else {
                ("health.fall", self.fall)
            };
            return wrong(field, value.to_string(), "at least 1");
        }
        Ok(())
    }
}

/// Whether an endpoint can be used, as far as checks know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HealthStatus {
    /// Not yet checked.
    Unknown,
    /// The checks pass.
    Healthy,
    /// The checks fail, or the endpoint is unfit.
    Unhealthy,
}

/// Why an endpoint is not healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthReason {
    /// No check has ended yet.
    NotChecked,
    /// The check failed; the error in words, without secrets.
    CheckFailed(String),
    /// The check took longer than this.
    CheckTimedOut(Duration),
    /// The endpoint answers but must not be used.
    Unfit(Unfit),
    /// The checks pass again, but not often enough yet.
    Recovering {
        /// Successes so far.
        successes: u32,
        /// Successes that are needed.
        needed: u32,
    },
}

impl fmt::Display for HealthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotChecked => f.write_str("not yet checked"),
            Self::CheckFailed(error) => write!(f, "check failed: {error}"),
            Self::CheckTimedOut(after) => write!(f, "check timed out after {after:?}"),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Recovering { successes, needed } => {
                write!(f, "recovering: {successes} of {needed} checks in a row passed")
            }
        }
    }
}

/// The state machine. See the module's text.
#[derive(Clone, Debug)]
pub struct Health {
    rise: u32,
    fall: u32,
    status: HealthStatus,
    reason: Option<HealthReason>,
    row: u32,
    /// What it said last, when it answered, was well.
    fit: bool,
}

impl Health {
    /// An endpoint that has not been checked.
    pub fn new(config: &HealthConfig) -> Self {
        Self {
            rise: config.rise,
            fall: config.fall,
            status: HealthStatus::Unknown,
            reason: Some(HealthReason::NotChecked),
            row: 0,
            fit: false,
        }
    }

    /// Takes other thresholds; what is known stays.
    pub fn configure(&mut self, config: &HealthConfig) {
        self.rise = config.rise;
        self.fall = config.fall;
    }

    /// The status now.
    #[inline]
    pub const fn status(&self) -> HealthStatus {
        self.status
    }

    /// Why it is not healthy; for a healthy endpoint the newest failure that has not yet repeated often enough, if any.
    pub const fn reason(&self) -> Option<&HealthReason> {
        self.reason.as_ref()
    }

    /// Whether its newest answer to a check was that it may be used: the right chain, in sync, not behind. Checks that
    /// fail without an answer leave this as it was; an endpoint that has never passed one is not fit.
    pub const fn is_fit(&self) -> bool {
        self.fit
    }

    /// A check ended well. Returns the old status if it changed.
    pub fn passed(&mut self) -> Option<HealthStatus> {
        self.fit = true;
        match self.status {
            HealthStatus::Healthy => {
                self.row = 0;
                self.reason = None;
                None
            }
            HealthStatus::Unknown => self.become_healthy(),
            HealthStatus::Unhealthy => {
                self.row += 1;
                if self.row >= self.rise {
                    return self.become_healthy();
                }
                self.reason = Some(HealthReason::Recovering {
                    successes: self.row,
                    needed: self.rise,
                });
                None
            }
        }
    }

    /// A check failed. Returns the old status if it changed.
    pub fn failed(&mut self, reason: HealthReason) -> Option<HealthStatus> {
        let at_once = matches!(reason, HealthReason::Unfit(_));
        self.fit &= !at_once;
        self.reason = Some(reason);
        match self.status {
            HealthStatus::Healthy => {
                self.row += 1;
                (at_once || self.row >= self.fall).then(|| self.become_unhealthy())
            }
            HealthStatus::Unknown => Some(self.become_unhealthy()),
            HealthStatus::Unhealthy => {
                self.row = 0;
                None
            }
        }
    }

    fn become_healthy(&mut self) -> Option<HealthStatus> {
        self.reason = None;
        self.row = 0;
        Some(std::mem::replace(&mut self.status, HealthStatus::Healthy))
    }

    fn become_unhealthy(&mut self) -> HealthStatus {
        self.row = 0;
        std::mem::replace(&mut self.status, HealthStatus::Unhealthy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> HealthReason {
        HealthReason::CheckFailed("no".to_owned())
    }

    #[test]
    fn unknown_until_the_first_check() {
        let mut health = Health::new(&HealthConfig::default());
        assert_eq!(health.status(), HealthStatus::Unknown);
        assert_eq!(health.passed(), Some(HealthStatus::Unknown));
        assert_eq!(health.status(), HealthStatus::Healthy);
    }

    #[test]
    fn a_single_failure_is_forgiven_and_a_row_is_not() {
        let mut health = Health::new(&HealthConfig::default());
        health.passed();
        assert_eq!(health.failed(failed()), None);
        assert_eq!(health.passed(), None);
        assert_eq!(health.failed(failed()), None);
        assert_eq!(health.failed(failed()), Some(HealthStatus::Healthy));
        assert_eq!(health.status(), HealthStatus::Unhealthy);
    }

    #[test]
    fn recovery_needs_a_row_of_successes() {
        let mut health = Health::new(&HealthConfig::default());
        health.failed(failed());
        assert_eq!(health.passed(), None);
        assert_eq!(health.failed(failed()), None);
        assert_eq!(health.passed(), None);
        assert_eq!(health.passed(), Some(HealthStatus::Unhealthy));
    }

    #[test]
    fn an_unfit_endpoint_is_unhealthy_at_once() {
        let mut health = Health::new(&HealthConfig::default());
        health.passed();
        let wrong = Unfit::WrongChain {
            expected: "1".to_owned(),
            found: "56".to_owned(),
        };
        assert_eq!(
            health.failed(HealthReason::Unfit(wrong)),
            Some(HealthStatus::Healthy)
        );
        assert_eq!(
            health.reason().map(ToString::to_string).as_deref(),
            Some("wrong chain 56, expected 1")
        );
    }

    #[test]
    fn what_was_unfit_stays_so_until_it_says_otherwise() {
        let mut health = Health::new(&HealthConfig::default());
        assert!(!health.is_fit(), "nobody knows");
        health.failed(failed());
        assert!(!health.is_fit());
        health.passed();
        health.passed();
        health.failed(failed());
        health.failed(failed());
        assert!(health.is_fit() && health.status() == HealthStatus::Unhealthy);
        health.failed(HealthReason::Unfit(Unfit::Syncing));
        health.failed(failed());
        assert!(
            !health.is_fit(),
            "the newest failure hides it from the reason only"
        );
        health.passed();
        assert!(health.is_fit() && health.status() == HealthStatus::Unhealthy);
    }

    #[test]
    fn impossible_settings_are_refused() {
        let ok = HealthConfig::default();
        for bad in [
            HealthConfig {
                interval: Duration::ZERO,
                ..ok.clone()
            },
            HealthConfig {
                jitter: 1.0,
                ..ok.clone()
            },
            HealthConfig {
                timeout: Duration::ZERO,
                ..ok.clone()
            },
            HealthConfig {
                interval: Duration::MAX,
                ..ok.clone()
            },
            HealthConfig {
                timeout: Duration::MAX,
                ..ok.clone()
            },
            HealthConfig {
                max_lag_time: Some(Duration::ZERO),
                ..ok.clone()
            },
            HealthConfig {
                max_concurrent: 0,
                ..ok.clone()
            },
            HealthConfig {
                rise: 0,
                ..ok.clone()
            },
            HealthConfig {
                fall: 0,
                ..ok.clone()
            },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
        assert_eq!(ok.validate(), Ok(()));
    }
}
