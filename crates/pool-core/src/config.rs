//! Settings of a pool and of its endpoints. Every constructor checks them.

use std::time::Duration;

use crate::{
    AdaptiveConcurrencyConfig, BreakerConfig, BudgetConfig, HealthConfig, HedgeConfig, OutlierConfig,
    ProviderId, QuotaConfig,
};

/// No setting needs a longer time; beyond it sums of times could overflow.
pub(crate) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; allowed: {allowed}")]
pub struct ConfigError {
    /// The setting, as the configuration file spells it.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl ConfigError {
    pub(crate) const fn new(field: &'static str, value: String, allowed: &'static str) -> Self {
        Self {
            field,
            value,
            allowed,
        }
    }
}

/// Settings of one endpoint.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Connections at the most. Default 16: an HTTP/1.1 provider answers in tens of milliseconds, so 16 carry several
    /// hundred requests a second, which is above the quota of most plans.
    pub max_connections: u32,
    /// Requests at once at the most (slots). `None`, the default, means one for each connection; more make sense only
    /// where a connection carries several, as with HTTP/2.
    pub max_requests: Option<u32>,
    /// Share of the traffic relative to the other endpoints. Default 1; at least 0.001.
    pub weight: f64,
    /// Endpoints of a higher tier are used only when those of the lower ones are full or may not be picked, whatever
    /// the balancer. Default 0.
    pub tier: u8,
    /// Idle connections kept open while nobody needs them, and replaced one at a time before they expire. Default 0: a
    /// connection costs the provider something, and the first caller of a quiet hour can wait for a handshake.
    pub min_idle: u32,
    /// The provider whose account it uses: all endpoints of one share its quota and its cool-downs, also in other pools.
    /// The pool must be given a [`Provider`](crate::Provider) of this name. `None`, the default: it stands for itself.
    pub provider: Option<ProviderId>,
    /// A quota of its own, beside the provider's. `None`, the default: no limit of ours.
    pub quota: Option<QuotaConfig>,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            max_connections: 16,
            max_requests: None,
            weight: 1.0,
            tier: 0,
            min_idle: 0,
            provider: None,
            quota: None,
        }
    }
}

impl EndpointConfig {
    /// Sets how many idle connections are kept open.
    #[must_use]
    pub const fn min_idle(mut self, connections: u32) -> Self {
        self.min_idle = connections;
        self
    }

    /// Sets the connections at the most.
    #[must_use]
    pub const fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets the requests at once at the most.
    #[must_use]
    pub const fn max_requests(mut self, requests: u32) -> Self {
        self.max_requests = Some(requests);
        self
    }

    /// Requests at once at the most.
    pub(crate) fn slots(&self) -> u32 {
        self.max_requests.unwrap_or(self.max_connections)
    }

    /// Sets the weight.
    #[must_use]
    pub const fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the tier.
    #[must_use]
    pub const fn tier(mut self, tier: u8) -> Self {
        self.tier = tier;
        self
    }

    /// Sets the provider.
    #[must_use]
    pub fn provider(mut self, provider: ProviderId) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Sets the quota of its own.
    #[must_use]
    pub fn quota(mut self, quota: QuotaConfig) -> Self {
        self.quota = Some(quota);
        self
    }

    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.max_connections == 0 || self.max_connections > 100_000 {
            return Err(ConfigError::new(
                "max_connections",
                self.max_connections.to_string(),
                "1 to 100000",
            ));
        }
        if let Some(requests) = self.max_requests
            && !(self.max_connections..=100_000).contains(&requests)
        {
            return Err(ConfigError::new(
                "max_requests",
                requests.to_string(),
                "max_connections to 100000",
            ));
        }
        if self.min_idle > self.max_connections {
            return Err(ConfigError::new(
                "min_idle",
                self.min_idle.to_string(),
                "0 to max_connections",
            ));
        }
        if !(0.001..=1_000_000.0).contains(&self.weight) {
            return Err(ConfigError::new(
                "weight",
                self.weight.to_string(),
                "0.001 to 1000000",
            ));
        }
        self.quota.as_ref().map_or(Ok(()), QuotaConfig::validate)
    }
}

/// Settings of a pool.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(deny_unknown_fields, default)
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PoolConfig {
    /// Connections over all endpoints at the most. `None`, the default, leaves it at the sum of the endpoints' own
    /// limits: providers limit what one account does on one endpoint, so a limit over all serves only the relayer's
    /// own sockets. When it is reached, an idle connection of another endpoint is closed rather than a caller kept
    /// waiting. Where each request has a connection of its own, so many requests run at once at the most.
    pub max_connections: Option<u32>,
    /// Callers that may wait for a slot; one more is rejected at once. Default 1024. 0 means nobody waits.
    pub max_waiters: u32,
    /// Time for queue and connect together when the caller names none. Default 5 s: a claim that waits longer for a
    /// connection is better told.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub acquire_timeout: Duration,
    /// A connect that takes longer has failed. Default 5 s. It may outlast the caller who asked for it.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub connect_timeout: Duration,
    /// A validation of an idle connection that takes longer has failed. Default 1 s.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub recycle_timeout: Duration,
    /// An idle connection is validated before use only after so long. Default 500 ms.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub validate_after_idle: Duration,
    /// An idle connection is closed after so long. Default 60 s: most load balancers in front of nodes close at 60 to
    /// 350 s, and it is better to close first.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub idle_timeout: Duration,
    /// An idle connection that has rested for so long, less a random 0 to 20 %, is validated in the background: one at a
    /// time for each endpoint, not while that is throttled. What is dead is closed, and replaced as far as `min_idle`
    /// asks for it. Default 30 s: half of the shortest idle time after which load balancers commonly close (60 s); NATs
    /// forget later, and say nothing. With the default `idle_timeout` it concerns only the connections that `min_idle`
    /// keeps open, since all others are closed before a second look. For JSON-RPC over HTTP a validation is a look at
    /// the socket and costs no quota; the socket's own keepalive is what keeps NATs from forgetting it. `None` switches
    /// it off.
    #[cfg_attr(feature = "serde", serde(with = "duration::option"))]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::config::DurationText>"))]
    pub keepalive: Option<Duration>,
    /// A connection is closed at this age, less a random 10 to 25 % so that what was opened together does not expire
    /// together. Default 30 min: DNS changes are followed within that time.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub max_lifetime: Duration,
    /// Attempts of one operation at the most, over all endpoints. Default 3.
    pub max_attempts: u32,
    /// Pause before the second attempt at the most; doubles with each further one; the real pause is random between 0
    /// and that (full jitter). Default 50 ms.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub backoff_min: Duration,
    /// Longest pause between two attempts. Default 2 s.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub backoff_max: Duration,
    /// A caller who has waited so long counts as one priority class up; twice as long, as two. Default 1 s: polling gives
    /// way to claims, and is not more than seconds late. 0 switches priorities off.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub priority_ageing: Duration,
    /// Circuit breaker of each endpoint.
    pub breaker: BreakerConfig,
    /// Health checks of each endpoint.
    pub health: HealthConfig,
    /// Endpoints that stand out among the others, by success rate or latency, are left out for a while. `None`, the
    /// default, looks for none; [`OutlierConfig`] says why, and when it is worth it.
    pub outlier: Option<OutlierConfig>,
    /// Share of usable endpoints (healthy, breaker closed, neither throttled nor left out) below which those with a poor
    /// record are used too: open breaker, failing checks, left out as an outlier. Never one that said at its last
    /// answered check that it serves another chain, is syncing or lags, nor one that has never passed a check, nor one
    /// that is throttled. In `0.0..=1.0`; 0.5 means that of four endpoints one is too few and two are enough. `None`, the
    /// default, never does: it turns clear refusals into slow failures, and helps only where checks and breakers fail
    /// for a common cause (a provider's status page, our own network) while requests still go through, or where one
    /// endpoint alone would drown in the load of all.
    pub panic_threshold: Option<f64>,
    /// After a recovery (healthy again, or breaker closed again; not at the start) an endpoint's effective weight rises
    /// evenly from 10 to 100 % in so long. It shifts shares and never makes a caller wait while a slot is free. Default
    /// 10 s: its connections were closed when it failed, and so long is what opening them anew and warming the node's
    /// caches takes; latency estimates settle in the same time. 0 switches it off.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub slow_start: Duration,
    /// How many requests each endpoint works on at once is learned from its answers, and it is given about so many, at most what
    /// is configured for it: a full endpoint is left for another one, and where all are full some of the callers wait in
    /// line, where any endpoint can still take them, and not at the one node that they were sent to. The default does.
    /// `None` gives each endpoint all that is configured.
    pub adaptive_concurrency: Option<AdaptiveConcurrencyConfig>,
    /// Budget of retries and hedges together.
    pub budget: BudgetConfig,
    /// Second attempts on another endpoint while the first is still out. `None`, the default, sends none: a hedge costs
    /// quota, so it is the operator's choice.
    pub hedge: Option<HedgeConfig>,
    /// An attempt that the request's own deadline cuts off after so long counts as a failure for the breaker, or sooner
    /// if [`BreakerConfig::slow_call`] is shorter. Default 2 s: a node answers reads in tens to hundreds of
    /// milliseconds, so one that has said nothing by then hangs, and if every caller is less patient than the
    /// endpoint's time-out nobody else would notice. Attempts that are cut off earlier, and those whose future is
    /// dropped, are held against nobody.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub hang_after: Duration,
    /// An endpoint that was found to lack what a request needed ([`Verdict::lacks`](crate::Verdict::lacks): a method that it
    /// does not offer) gets no more such requests for so long, unless all endpoints lack it. Default 10 min: a provider
    /// that rolls out an update or changes a plan is found out within that time, and one call in ten minutes in vain costs
    /// next to nothing.
    #[cfg_attr(feature = "serde", serde(with = "duration"))]
    #[cfg_attr(feature = "schema", schemars(with = "crate::config::DurationText"))]
    pub lacks_for: Duration,
    /// A lease that is held for so long is told of as [`Event::Leak`](crate::Event::Leak), with the place where it was
    /// acquired; noticed within a second. `None`, the default, does not look: only the caller knows how long it may work.
    #[cfg_attr(feature = "serde", serde(with = "duration::option"))]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::config::DurationText>"))]
    pub leak_after: Option<Duration>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_connections: None,
            max_waiters: 1024,
            acquire_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            recycle_timeout: Duration::from_secs(1),
            validate_after_idle: Duration::from_millis(500),
            idle_timeout: Duration::from_secs(60),
            keepalive: Some(Duration::from_secs(30)),
            max_lifetime: Duration::from_secs(30 * 60),
            max_attempts: 3,
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            priority_ageing: Duration::from_secs(1),
            breaker: BreakerConfig::default(),
            health: HealthConfig::default(),
            outlier: None,
            panic_threshold: None,
            slow_start: Duration::from_secs(10),
            adaptive_concurrency: Some(AdaptiveConcurrencyConfig::default()),
            budget: BudgetConfig::default(),
            hedge: None,
            hang_after: Duration::from_secs(2),
            lacks_for: Duration::from_secs(600),
            leak_after: None,
        }
    }
}

impl PoolConfig {
    /// How long an attempt must have run before being cut off by its deadline is held against the endpoint.
    pub(crate) fn hangs_after(&self) -> Duration {
        let slow = self.breaker.slow_call;
        slow.map_or(self.hang_after, |slow| slow.min(self.hang_after))
    }

    /// Checks that the settings can work.
    ///
    /// # Errors
    /// Names the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("acquire_timeout", self.acquire_timeout),
            ("connect_timeout", self.connect_timeout),
            ("recycle_timeout", self.recycle_timeout),
            ("idle_timeout", self.idle_timeout),
            ("max_lifetime", self.max_lifetime),
            ("hang_after", self.hang_after),
            ("lacks_for", self.lacks_for),
            ("leak_after", self.leak_after.unwrap_or(LONGEST)),
            ("keepalive", self.keepalive.unwrap_or(LONGEST)),
        ] {
            if value < Duration::from_millis(1) || value > LONGEST {
                return Err(ConfigError::new(field, format!("{value:?}"), "1 ms to 7 days"));
            }
        }
        for (field, value) in [
            ("validate_after_idle", self.validate_after_idle),
            ("backoff_max", self.backoff_max),
            ("slow_start", self.slow_start),
            ("priority_ageing", self.priority_ageing),
        ] {
            if value > LONGEST {
                return Err(ConfigError::new(field, format!("{value:?}"), "at most 7 days"));
            }
        }
        if let Some(connections) = self
            .max_connections
            .filter(|most| !(1..=10_000_000).contains(most))
        {
            return Err(ConfigError::new(
                "max_connections",
                connections.to_string(),
                "1 to 10000000",
            ));
        }
        if self.max_waiters > 10_000_000 {
            return Err(ConfigError::new(
                "max_waiters",
                self.max_waiters.to_string(),
                "0 to 10000000",
            ));
        }
        if self.max_attempts == 0 || self.max_attempts > 100 {
            return Err(ConfigError::new(
                "max_attempts",
                self.max_attempts.to_string(),
                "1 to 100",
            ));
        }
        if let Some(share) = self.panic_threshold.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(ConfigError::new(
                "panic_threshold",
                share.to_string(),
                "0.0 to 1.0",
            ));
        }
        if self.backoff_min > self.backoff_max {
            return Err(ConfigError::new(
                "backoff_min",
                format!("{:?}", self.backoff_min),
                "at most backoff_max",
            ));
        }
        self.breaker.validate()?;
        self.health.validate()?;
        self.budget.validate()?;
        self.outlier.as_ref().map_or(Ok(()), OutlierConfig::validate)?;
        let adaptive = self.adaptive_concurrency.as_ref();
        adaptive.map_or(Ok(()), AdaptiveConcurrencyConfig::validate)?;
        self.hedge.as_ref().map_or(Ok(()), HedgeConfig::validate)
    }
}

/// A duration as it is written, for schemas of configuration files.
#[cfg(feature = "schema")]
pub(crate) struct DurationText;

#[cfg(feature = "schema")]
impl schemars::JsonSchema for DurationText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A number with a unit: 250ms, 5s, 1m30s, 2h, 1d",
            "pattern": "^([0-9]+(ms|s|m|h|d))+$",
        })
    }
}

/// Durations in configuration files: a number with a unit (`250ms`, `5s`, `1m30s`, `2h`, `1d`).
#[cfg(feature = "serde")]
pub(crate) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const UNITS: [(&str, u64); 5] = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];

    struct Wrong<'a>(&'a str);

    impl std::fmt::Display for Wrong<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let text = self.0;
            write!(
                f,
                "`{text}` is not a duration; write a number with a unit: 250ms, 5s, 1m30s, 2h, 1d"
            )
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Duration> {
        let mut rest = text;
        let mut millis: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let number: u64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (_, factor) = UNITS.iter().find(|(unit, _)| *unit == &rest[..end])?;
            millis = millis.checked_add(number.checked_mul(*factor)?)?;
            rest = &rest[end..];
        }
        (!text.is_empty()).then(|| Duration::from_millis(millis))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom(Wrong(&text)))
    }

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", value.as_millis()))
    }

    /// The same for a duration that may be absent or null.
    pub(crate) mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Duration>, D::Error> {
            let Some(text) = Option::<String>::deserialize(deserializer)? else {
                return Ok(None);
            };
            match super::parse(&text) {
                Some(duration) => Ok(Some(duration)),
                None => Err(D::Error::custom(super::Wrong(&text))),
            }
        }

        pub(crate) fn serialize<S: Serializer>(
            value: &Option<Duration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(duration) => super::serialize(duration, serializer),
                None => serializer.serialize_none(),
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn units_are_required_and_add_up() {
            assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
            assert_eq!(parse("1m30s"), Some(Duration::from_secs(90)));
            for bad in ["", "5", "s", "5x", "1.5s", "-1s", " 5s", "99999999999999999999s"] {
                assert_eq!(parse(bad), None, "{bad}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_possible_and_impossible_ones_are_named() {
        assert_eq!(PoolConfig::default().validate(), Ok(()));
        assert_eq!(EndpointConfig::default().validate(), Ok(()));
        let ok = PoolConfig::default();
        for (field, bad) in [
            (
                "acquire_timeout",
                PoolConfig {
                    acquire_timeout: Duration::ZERO,
                    ..ok.clone()
                },
            ),
            (
                "connect_timeout",
                PoolConfig {
                    connect_timeout: Duration::ZERO,
                    ..ok.clone()
                },
            ),
            (
                "max_lifetime",
                PoolConfig {
                    max_lifetime: Duration::MAX,
                    ..ok.clone()
                },
            ),
            (
                "max_attempts",
                PoolConfig {
                    max_attempts: 0,
                    ..ok.clone()
                },
            ),
            (
                "backoff_min",
                PoolConfig {
                    backoff_min: Duration::from_secs(9),
                    ..ok.clone()
                },
            ),
            (
                "keepalive",
                PoolConfig {
                    keepalive: Some(Duration::ZERO),
                    ..ok.clone()
                },
            ),
            (
                "panic_threshold",
                PoolConfig {
                    panic_threshold: Some(f64::NAN),
                    ..ok.clone()
                },
            ),
            (
                "outlier.consecutive",
                PoolConfig {
                    outlier: Some(OutlierConfig {
                        consecutive: 0,
                        ..OutlierConfig::default()
                    }),
                    ..ok.clone()
                },
            ),
            (
                "max_waiters",
                PoolConfig {
                    max_waiters: u32::MAX,
                    ..ok.clone()
                },
            ),
        ] {
            assert_eq!(bad.validate().map_err(|e| e.field), Err(field));
        }
        assert!(EndpointConfig::default().max_connections(0).validate().is_err());
        assert!(EndpointConfig::default().min_idle(17).validate().is_err());
        assert!(EndpointConfig::default().weight(0.0).validate().is_err());
        assert!(EndpointConfig::default().weight(f64::NAN).validate().is_err());
    }
}
