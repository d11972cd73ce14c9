//! Durations in a file: a number with a unit. For `#[serde(with = "pool_rpc::file::duration")]`.

use std::{fmt, time::Duration};

use serde::{
    Deserializer,
    de::{Error, Visitor},
};

/// Reads `250ms`, `5s`, `1m30s`, `2h`, `1d`.
///
/// # Errors
/// When it is anything else; the message says what is allowed, and the reader of the file adds the line.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
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
