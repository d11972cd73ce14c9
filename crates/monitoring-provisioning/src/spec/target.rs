//! The versions that the generated files must work with.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// Versions of the servers that will run the stack. What one of them lacks is refused, with the version that has it.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// Default 3.5; oldest 2.42.
    pub prometheus: Version,
    /// Default 0.33; oldest 0.25.
    pub alertmanager: Version,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            prometheus: Version::new(3, 5),
            alertmanager: Version::new(0, 33),
        }
    }
}

/// A version as far as it decides about features: `major.minor`. A patch level may be written and is of no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

impl Version {
    /// A version.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The version in an image's tag: `v3.5.3`, `v3.5.3-distroless`; `None` where the tag is no version.
    pub(crate) fn of_image(image: &str) -> Option<Self> {
        let name = image.split('@').next()?.rsplit('/').next()?;
        let (_, tag) = name.split_once(':')?;
        tag.split(['-', '_', '+']).next()?.parse().ok()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.strip_prefix('v').unwrap_or(text);
        let numbers: Option<Vec<u16>> = plain
            .split('.')
            .map(|part| {
                let digits = part.chars().all(|c| c.is_ascii_digit());
                digits.then(|| part.parse().ok()).flatten()
            })
            .collect();
        match numbers.as_deref() {
            Some([major, minor] | [major, minor, _]) => Ok(Self::new(*major, *minor)),
            _ => Err(format!(
                "`{text}` is not a version; write major and minor, for example `3.5`"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Version;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Version, E> {
                text.parse().map_err(E::custom)
            }
        }
        // As it is written: a number would turn 0.30 into 0.3.
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_read_and_compared_by_number() {
        let read = |text: &str| text.parse::<Version>();
        assert_eq!(read("3.5"), Ok(Version::new(3, 5)));
        assert_eq!(read("v2.53.1"), Ok(Version::new(2, 53)));
        assert!(Version::new(0, 30) > Version::new(0, 4));
        for bad in [
            "", "3", "3.", "3.x", "3.5.1.2", "+3.5", "3.-5", "99999.1", "latest",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_version_of_an_image_is_its_tag() {
        for (image, version) in [
            ("prom/prometheus:v3.5.3", Some(Version::new(3, 5))),
            (
                "reg:5000/prometheus:v2.53.0-distroless",
                Some(Version::new(2, 53)),
            ),
            ("prometheus:v3.5.3@sha256:00", Some(Version::new(3, 5))),
            ("prometheus@sha256:00", None),
            ("reg:5000/prometheus", None),
            ("prometheus:main", None),
        ] {
            assert_eq!(Version::of_image(image), version, "{image}");
        }
    }
}
