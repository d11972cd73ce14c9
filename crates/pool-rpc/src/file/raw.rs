//! The file as it is written, before texts are expanded and settings checked against each other.

use std::{collections::BTreeMap, fmt, time::Duration};

use pool_core::{PoolConfig, QuotaConfig};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::{BalancerKind, Section, pool::Pool};
use crate::{HttpVersion, Secret};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key `pools`")]
#[serde(bound = "S: Section")]
pub(super) struct File<S> {
    #[serde(default)]
    pub(super) defaults: Defaults,
    #[serde(default)]
    pub(super) providers: Vec<Provider>,
    pub(super) pools: Vec<Pool<S>>,
}

/// A provider's account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a provider: a mapping with id")]
pub(super) struct Provider {
    pub(super) id: String,
    #[serde(default)]
    pub(super) quota: Option<QuotaConfig>,
    #[serde(default)]
    pub(super) shared_cool_down: Option<bool>,
    /// Units by method.
    #[serde(default)]
    pub(super) costs: BTreeMap<String, u32>,
}

/// What holds for all pools and endpoints that do not say otherwise.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of defaults")]
pub(super) struct Defaults {
    pub(super) balancer: Balancer,
    /// Read for its errors only; the values are merged as they are written.
    #[serde(rename = "settings")]
    pub(super) _settings: PoolConfig,
    pub(super) timeouts: Limits,
    pub(super) endpoint: Shares,
}

/// A balancer's name, if one is given.
#[derive(Clone, Copy, Default)]
pub(super) struct Balancer(pub(super) Option<BalancerKind>);

impl<'de> Deserialize<'de> for Balancer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = BalancerKind::ALL.map(|kind| (kind.as_str(), kind));
        named("balancer", &names, deserializer).map(|kind| Self(Some(kind)))
    }
}

/// How a file names what an endpoint speaks.
pub(super) const HTTP_VERSIONS: [(&str, HttpVersion); 3] = [
    ("auto", HttpVersion::Auto),
    ("http1", HttpVersion::Http1),
    ("http2_prior_knowledge", HttpVersion::Http2PriorKnowledge),
];

/// A version of HTTP, if one is given.
#[derive(Clone, Copy, Default)]
pub(super) struct Http(pub(super) Option<HttpVersion>);

impl<'de> Deserialize<'de> for Http {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        named("version of HTTP", &HTTP_VERSIONS, deserializer).map(|version| Self(Some(version)))
    }
}

/// How HTTP/2 is spoken, as far as it is given.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of HTTP/2's settings")]
pub(super) struct Http2 {
    pub(super) max_streams: Option<u32>,
    /// `Some(None)` is `null`: no PING.
    #[serde(deserialize_with = "nullable_duration")]
    pub(super) ping_interval: Option<Option<Duration>>,
    #[serde(with = "duration")]
    pub(super) ping_timeout: Option<Duration>,
}

fn nullable_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<Duration>>, D::Error> {
    #[derive(Deserialize)]
    struct Some(#[serde(with = "crate::file::duration")] Duration);
    Option::<Some>::deserialize(deserializer).map(|given| Option::Some(given.map(|Some(given)| given)))
}

/// An endpoint's place in its pool and the way to it, as far as they are given.
#[derive(Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a mapping of an endpoint's defaults"
)]
pub(super) struct Shares {
    pub(super) weight: Option<f64>,
    pub(super) max_connections: Option<u32>,
    pub(super) max_requests: Option<u32>,
    pub(super) tier: Option<u8>,
    pub(super) min_idle: Option<u32>,
    pub(super) provider: Option<String>,
    pub(super) quota: Option<QuotaConfig>,
    pub(super) http: Http,
    pub(super) http2: Http2,
    pub(super) gzip: Option<bool>,
    #[serde(deserialize_with = "some_secret")]
    pub(super) proxy: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an endpoint: a mapping with id and url")]
pub(super) struct Endpoint {
    pub(super) id: String,
    #[serde(deserialize_with = "secret")]
    pub(super) url: Secret,
    #[serde(default)]
    pub(super) weight: Option<f64>,
    #[serde(default)]
    pub(super) max_connections: Option<u32>,
    #[serde(default)]
    pub(super) max_requests: Option<u32>,
    #[serde(default)]
    pub(super) tier: Option<u8>,
    #[serde(default)]
    pub(super) min_idle: Option<u32>,
    #[serde(default)]
    pub(super) provider: Option<String>,
    #[serde(default)]
    pub(super) quota: Option<QuotaConfig>,
    #[serde(default)]
    pub(super) http: Http,
    #[serde(default)]
    pub(super) http2: Http2,
    #[serde(default)]
    pub(super) gzip: Option<bool>,
    #[serde(default, deserialize_with = "some_secret")]
    pub(super) proxy: Option<Secret>,
    #[serde(default)]
    pub(super) timeouts: Limits,
    #[serde(default, deserialize_with = "secrets")]
    pub(super) headers: BTreeMap<String, Secret>,
    #[serde(default)]
    pub(super) ca_file: Option<String>,
    #[serde(default)]
    pub(super) methods: Methods,
}

/// Patterns of methods.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with allow and deny")]
pub(super) struct Methods {
    pub(super) allow: Vec<String>,
    pub(super) deny: Vec<String>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}

fn some_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    secret(deserializer).map(Some)
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

/// Time limits towards the nodes, as far as they are given.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of time limits")]
pub(super) struct Limits {
    #[serde(with = "duration")]
    pub(super) dns: Option<Duration>,
    #[serde(with = "duration")]
    pub(super) connect: Option<Duration>,
    #[serde(with = "duration")]
    pub(super) tls: Option<Duration>,
    #[serde(with = "duration")]
    pub(super) response: Option<Duration>,
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
    use std::time::Duration;

    use serde::Deserializer;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        crate::file::duration::deserialize(deserializer).map(Some)
    }
}
