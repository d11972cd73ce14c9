//! Durations in Prometheus' notation.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The units, largest first, with their length in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * DAY),
    ("w", 7 * DAY),
    ("d", DAY),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const DAY: u64 = 86_400_000;

/// What a duration looks like; the remedy of every message about one.
pub(crate) const ALLOWED: &str =
    "write whole numbers with units, largest unit first: `90s`, `1m30s`, `500ms` (units y w d h m s ms)";

/// A span of time as Prometheus writes it: `90s`, `1m30s`, `500ms`. The resolution is one millisecond.
///
/// Accepts exactly what Prometheus and Alertmanager accept: whole numbers, each unit at most once, the larger unit
/// first, `0` alone without a unit. `1.5h`, `30m1h`, `-5m` and a bare `5` are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromDuration(u64);

impl PromDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1_000)
    }

    /// So many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// The length in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The length in seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.std().as_secs_f64()
    }

    /// The same as the standard library's type.
    pub const fn std(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// `factor` times as long.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// Both one after the other.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left after `other`; zero if nothing is.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// What is left of this span when everything runs `scale` times faster. Zero stays zero; anything else is at
    /// least one millisecond.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        if self.0 == 0 {
            return self;
        }
        // Exact for every span below 285,000 years.
        Self(((self.0 as f64 / scale).round() as u64).max(1))
    }
}

impl FromStr for PromDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a duration");
        if text == "0" {
            return Ok(Self::ZERO);
        }
        if text.is_empty() {
            return Err("an empty text is not a duration".to_owned());
        }
        let mut rest = text;
        let mut units = UNITS.iter();
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            let (name, tail) = rest.split_at(letters);
            // The iterator is never reset: a unit that comes twice or after a smaller one isn't found.
            let (_, length) = units.find(|(unit, _)| *unit == name).ok_or_else(wrong)?;
            total = number
                .checked_mul(*length)
                .and_then(|span| total.checked_add(span))
                .filter(|total| *total <= i64::MAX as u64 / 1_000_000)
                .ok_or_else(|| format!("`{text}` is longer than Prometheus can hold (292 years)"))?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for PromDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        // Years and weeks only make a span harder to read.
        for (unit, length) in &UNITS[2..] {
            if rest >= *length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl Serialize for PromDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PromDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = PromDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `90s` or `1m30s`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PromDuration, E> {
                text.parse()
                    .map_err(|what| E::custom(format_args!("{what}; {ALLOWED}")))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<PromDuration, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<PromDuration, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<PromDuration, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_prometheus_accepts() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("5s", 5_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1h0m5s", 3_605_000),
            ("1d", DAY),
            ("2w", 14 * DAY),
            ("1y", 365 * DAY),
        ] {
            assert_eq!(text.parse(), Ok(PromDuration(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_prometheus_refuses() {
        for text in [
            "",
            "5",
            "-5m",
            "1.5h",
            "30m1h",
            "5s5s",
            "5 s",
            "s",
            "5x",
            "5ms1s",
            "999999999y",
            "99999999999999999999s",
        ] {
            assert!(text.parse::<PromDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn prints_what_it_parses() {
        for millis in [
            1,
            83,
            500,
            1_000,
            5_000,
            60_000,
            90_000,
            61_001,
            3_600_000,
            15 * DAY,
        ] {
            let span = PromDuration(millis);
            assert_eq!(span.to_string().parse(), Ok(span), "{span}");
        }
    }

    #[test]
    fn scaling_keeps_zero_and_never_reaches_it() {
        assert_eq!(PromDuration::ZERO.scaled(60.0), PromDuration::ZERO);
        assert_eq!(PromDuration::from_millis(3).scaled(60.0), PromDuration(1));
        assert_eq!(
            PromDuration::from_secs(60).scaled(60.0),
            PromDuration::from_secs(1)
        );
    }
}
