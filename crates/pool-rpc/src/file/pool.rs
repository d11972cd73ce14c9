//! One pool as it is written, with the application's own section.

use std::{fmt, marker::PhantomData};

use pool_core::PoolConfig;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IgnoredAny, MapAccess, Visitor},
};

use super::{
    Chain, ConfigProblem, Context, Dialect,
    raw::{Balancer, ChainId, Endpoint, Limits},
};

/// What an application keeps in each pool of the file, under a key of its own.
pub trait Section: DeserializeOwned + Default {
    /// The key.
    const KEY: &'static str;
    /// What it comes to.
    type Plan;

    /// Checks what its types can't say. `path` is where it stands, such as `pools[0].follow`.
    ///
    /// # Errors
    /// Made by [`Context::problem`], so that it names file and line.
    fn resolve(self, chain: &Chain, path: &str, context: &Context<'_>) -> Result<Self::Plan, ConfigProblem>;
}

/// No section: every key but the pool's own is refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSection;

impl<'de> Deserialize<'de> for NoSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Section for NoSection {
    const KEY: &'static str = "";
    type Plan = ();

    fn resolve(self, _: &Chain, _: &str, _: &Context<'_>) -> Result<(), ConfigProblem> {
        Ok(())
    }
}

/// A pool as it is written.
pub(super) struct Pool<S> {
    pub(super) id: String,
    pub(super) dialect: Dialect,
    pub(super) chain_id: ChainId,
    pub(super) balancer: Balancer,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) timeouts: Limits,
    pub(super) section: S,
}

impl<S: Section> Pool<S> {
    const WITHOUT_SECTION: &'static [&'static str] = &[
        "id",
        "dialect",
        "chain_id",
        "balancer",
        "endpoints",
        "settings",
        "timeouts",
    ];
    const WITH_SECTION: &'static [&'static str] = &[
        "id",
        "dialect",
        "chain_id",
        "balancer",
        "endpoints",
        "settings",
        "timeouts",
        S::KEY,
    ];

    const fn keys() -> &'static [&'static str] {
        if S::KEY.is_empty() {
            Self::WITHOUT_SECTION
        } else {
            Self::WITH_SECTION
        }
    }
}

/// Written out and not derived: the section's key is known only here, and what is collected for later by `flatten` has
/// no line any more.
impl<'de, S: Section> Deserialize<'de> for Pool<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PoolVisitor(PhantomData))
    }
}

/// One of the keys. Refused where it is read: an error that is made later gets the line of the whole mapping.
struct Key<S>(&'static str, PhantomData<S>);

impl<'de, S: Section> Deserialize<'de> for Key<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name<S>(PhantomData<S>);
        impl<S: Section> Visitor<'_> for Name<S> {
            type Value = Key<S>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Key<S>, E> {
                let known = Pool::<S>::keys().iter().find(|key| **key == text);
                known
                    .map(|key| Key(key, PhantomData))
                    .ok_or_else(|| E::unknown_field(text, Pool::<S>::keys()))
            }
        }
        deserializer.deserialize_identifier(Name(PhantomData))
    }
}

struct PoolVisitor<S>(PhantomData<S>);

impl<'de, S: Section> Visitor<'de> for PoolVisitor<S> {
    type Value = Pool<S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pool: a mapping with id, dialect, chain_id and endpoints")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pool<S>, A::Error> {
        let (mut id, mut dialect, mut chain_id, mut endpoints) = (None, None, None, None);
        let (mut balancer, mut timeouts, mut section) =
            (Balancer::default(), Limits::default(), S::default());
        // a key that stands twice has been refused before
        while let Some(Key(key, _)) = map.next_key::<Key<S>>()? {
            match key {
                "id" => id = Some(map.next_value()?),
                "dialect" => dialect = Some(map.next_value()?),
                "chain_id" => chain_id = Some(map.next_value()?),
                "balancer" => balancer = map.next_value()?,
                "endpoints" => endpoints = Some(map.next_value()?),
                // read for its errors only; the values are merged as they are written
                "settings" => {
                    let _checked: PoolConfig = map.next_value()?;
                }
                "timeouts" => timeouts = map.next_value()?,
                _section => section = map.next_value()?,
            }
        }
        Ok(Pool {
            id: id.ok_or_else(|| A::Error::missing_field("id"))?,
            dialect: dialect.ok_or_else(|| A::Error::missing_field("dialect"))?,
            chain_id: chain_id.ok_or_else(|| A::Error::missing_field("chain_id"))?,
            endpoints: endpoints.ok_or_else(|| A::Error::missing_field("endpoints"))?,
            balancer,
            timeouts,
            section,
        })
    }
}
