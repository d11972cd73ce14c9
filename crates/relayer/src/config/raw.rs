//! The file as it is written, before texts are expanded and settings checked against each other.

use std::{collections::BTreeMap, fmt, time::Duration};

use pool_core::{EndpointConfig, PoolConfig};
use pool_rpc::{Secret, Timeouts};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::{BalancerKind, Dialect};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key `pools`")]
pub(super) struct File {
    pub(super) pools: Vec<Pool>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a pool: a mapping with id, dialect, chain_id and endpoints"
)]
pub(super) struct Pool {
    pub(super) id: String,
    pub(super) dialect: Dialect,
    pub(super) chain_id: ChainId,
    #[serde(default, deserialize_with = "balancer")]
    pub(super) balancer: BalancerKind,
    pub(super) endpoints: Vec<Endpoint>,
    #[serde(default)]
    pub(super) settings: PoolConfig,
    #[serde(default)]
    pub(super) timeouts: Limits,
    #[serde(default)]
    pub(super) follow: Follow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an endpoint: a mapping with id and url")]
pub(super) struct Endpoint {
    pub(super) id: String,
    #[serde(deserialize_with = "secret")]
    pub(super) url: Secret,
    #[serde(default = "default_weight")]
    pub(super) weight: f64,
    #[serde(default = "default_max_connections")]
    pub(super) max_connections: u32,
    #[serde(default)]
    pub(super) tier: u8,
    #[serde(default)]
    pub(super) min_idle: u32,
    #[serde(default, deserialize_with = "secrets")]
    pub(super) headers: BTreeMap<String, Secret>,
    #[serde(default)]
    pub(super) ca_file: Option<String>,
}

fn default_weight() -> f64 {
    EndpointConfig::default().weight
}

fn default_max_connections() -> u32 {
    EndpointConfig::default().max_connections
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}

fn secrets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Secret>, D::Error> {
    let plain = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(plain
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect())
}

/// `1` or `cosmoshub-4`; which of them is right depends on the dialect.
pub(super) struct ChainId(pub(super) String);

impl<'de> Deserialize<'de> for ChainId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = ChainId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number (evm) or the network's name (cometbft)")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ChainId, E> {
                Ok(ChainId(number.to_string()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ChainId, E> {
                Ok(ChainId(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Time limits towards the nodes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of time limits")]
pub(super) struct Limits {
    #[serde(with = "duration")]
    pub(super) dns: Duration,
    #[serde(with = "duration")]
    pub(super) connect: Duration,
    #[serde(with = "duration")]
    pub(super) tls: Duration,
    #[serde(with = "duration")]
    pub(super) response: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let Timeouts {
            dns,
            connect,
            tls,
            response,
        } = Timeouts::default();
        Self {
            dns,
            connect,
            tls,
            response,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of what to follow")]
pub(super) struct Follow {
    #[serde(with = "duration")]
    pub(super) poll_interval: Duration,
    pub(super) requests_per_second: f64,
    pub(super) concurrency: u32,
    #[serde(with = "duration")]
    pub(super) request_timeout: Duration,
    pub(super) confirmations: u64,
    pub(super) lookback: u64,
    pub(super) max_block_range: u64,
    pub(super) escrow: Option<Escrow>,
}

impl Default for Follow {
    fn default() -> Self {
        let plan = super::FollowPlan::default();
        Self {
            poll_interval: plan.poll_interval,
            requests_per_second: plan.requests_per_second,
            concurrency: plan.concurrency,
            request_timeout: plan.request_timeout,
            confirmations: plan.confirmations,
            lookback: plan.lookback,
            max_block_range: plan.max_block_range,
            escrow: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with address (evm) or events (cometbft)"
)]
pub(super) struct Escrow {
    pub(super) address: Option<String>,
    #[serde(default)]
    pub(super) topics: Vec<String>,
    #[serde(default)]
    pub(super) events: Vec<String>,
    pub(super) view_call: Option<String>,
}

fn balancer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BalancerKind, D::Error> {
    let names = BalancerKind::ALL.map(|kind| (kind.as_str(), kind));
    named("balancer", &names, deserializer)
}

/// Reads one of a few names.
///
/// Errors must be made while the text is being read: what is made afterwards gets the line of the mapping around it.
pub(super) fn named<'de, D: Deserializer<'de>, T: Copy>(
    what: &'static str,
    names: &[(&'static str, T)],
    deserializer: D,
) -> Result<T, D::Error> {
    struct Name<'a, T>(&'static str, &'a [(&'static str, T)]);
    impl<T: Copy> Visitor<'_> for Name<'_, T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let names: Vec<_> = self.1.iter().map(|(name, _)| *name).collect();
            write!(f, "a {}: {}", self.0, names.join(", "))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            let found = self.1.iter().find(|(name, _)| *name == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<_> = self.1.iter().map(|(name, _)| *name).collect();
                E::custom(format_args!(
                    "`{text}` is not a {}; allowed: {}",
                    self.0,
                    names.join(", ")
                ))
            })
        }
    }
    deserializer.deserialize_str(Name(what, names))
}

/// Durations as the pool's own settings have them: a number with a unit.
mod duration {
    use std::{fmt, time::Duration};

    use serde::{
        Deserializer,
        de::{Error, Visitor},
    };

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration: a number with a unit, such as 250ms, 5s, 1m30s, 2h, 1d")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
                let parsed = humantime::parse_duration(text).ok();
                parsed
                    .filter(|_| !text.contains(char::is_whitespace))
                    .ok_or_else(|| {
                        E::custom(format_args!(
                            "`{text}` is not a duration; write a number with a unit: 250ms, 5s, 1m30s, 2h, 1d"
                        ))
                    })
            }
        }
        deserializer.deserialize_str(Text)
    }
}
