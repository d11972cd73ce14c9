//! Names of pools and endpoints.

use std::{fmt, sync::Arc};

/// Why an id was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The id is empty. Give the pool or endpoint a short name.
    #[error("an id must not be empty")]
    Empty,
    /// The id is longer than 64 bytes. It becomes a metric label; shorten it.
    #[error("id of {0} bytes is longer than 64; it becomes a metric label, so shorten it")]
    TooLong(usize),
    /// The id holds a character outside `A-Z a-z 0-9 . _ -`. A URL is never an id: it carries the API key.
    #[error(
        "character {0:?} is not allowed in an id; allowed are A-Z a-z 0-9 . _ - (a URL is never an id: it is a secret)"
    )]
    Character(char),
}

fn check(id: &str) -> Result<(), InvalidId> {
    if id.is_empty() {
        return Err(InvalidId::Empty);
    }
    if id.len() > 64 {
        return Err(InvalidId::TooLong(id.len()));
    }
    match id
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
    {
        Some(c) => Err(InvalidId::Character(c)),
        None => Ok(()),
    }
}

macro_rules! id {
    ($name:ident, $what:literal) => {
        #[doc = $what]
        ///
        /// Chosen by the operator, shown in metrics, logs and errors. Cheap to clone.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes the id: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
            ///
            /// # Errors
            /// [`InvalidId`] says which rule was broken.
            pub fn new(id: impl AsRef<str>) -> Result<Self, InvalidId> {
                let id = id.as_ref();
                check(id)?;
                Ok(Self(id.into()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(PoolId, "Name of a pool.");
id!(EndpointId, "Name of an endpoint, unique within its pool.");
id!(ProviderId, "Name of a provider's account.");

#[cfg(feature = "serde")]
impl serde::Serialize for ProviderId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ProviderId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ProviderId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "The name of a provider",
            "pattern": "^[A-Za-z0-9._-]{1,64}$",
        })
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ProviderId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Self::new(id).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_odd_names_are_refused() {
        assert_eq!(EndpointId::new(""), Err(InvalidId::Empty));
        assert_eq!(
            EndpointId::new("https://rpc/v2/KEY"),
            Err(InvalidId::Character(':'))
        );
        assert_eq!(PoolId::new("x".repeat(65)), Err(InvalidId::TooLong(65)));
        assert_eq!(
            EndpointId::new("alchemy-1").map(|id| id.to_string()),
            Ok("alchemy-1".to_owned())
        );
    }
}
