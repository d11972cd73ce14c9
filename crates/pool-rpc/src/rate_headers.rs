//! What a provider's rate headers say: that nothing is left, and until when.
//!
//! Three forms are read, in answers that are good too, so that the next request need not be refused first:
//!
//! - `x-ratelimit-remaining` and `x-ratelimit-reset`, which no standard describes. The reset is in seconds from now, or in
//!   seconds or milliseconds since the Unix epoch; which of them, its size tells.
//! - `ratelimit-remaining` and `ratelimit-reset`, of the IETF draft until its version 6: seconds from now.
//! - `ratelimit`, of the later versions: `"policy";r=0;t=30`, or `limit=100, remaining=0, reset=30` in version 7.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::retry_after::clamp;

static PAIRS: [(HeaderName, HeaderName); 2] = [
    (
        HeaderName::from_static("x-ratelimit-remaining"),
        HeaderName::from_static("x-ratelimit-reset"),
    ),
    (
        HeaderName::from_static("ratelimit-remaining"),
        HeaderName::from_static("ratelimit-reset"),
    ),
];
const COMBINED: HeaderName = HeaderName::from_static("ratelimit");

/// Whether [`nothing_left_for`] may read this header.
pub(crate) fn is_rate_header(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.strip_prefix("x-").unwrap_or(name).starts_with("ratelimit")
}

/// A larger number is no time from now: thirty years of seconds.
const EPOCH_SECONDS: f64 = 1e9;
/// A larger number is in milliseconds.
const EPOCH_MILLIS: f64 = 1e11;

/// For how long nothing is left, at most [`MAX_RETRY_AFTER`](crate::MAX_RETRY_AFTER); `None` when something is left, or
/// nothing is said. `wall_now` is since the Unix epoch.
pub(crate) fn nothing_left_for(headers: &HeaderMap, wall_now: Duration) -> Option<Duration> {
    let pairs = PAIRS.iter().filter_map(|(remaining, reset)| {
        let number = |name| first_number(headers.get(name)?.to_str().ok()?);
        pause(number(remaining)?, number(reset)?, wall_now)
    });
    let combined = headers.get_all(COMBINED);
    let combined = combined.iter().filter_map(|value| {
        let policies = value.to_str().ok()?;
        // in version 7 one policy's members are set apart by commas, later by semicolons
        if policies.contains("remaining=") {
            return of_policy(policies, ',', ("remaining", "reset"), wall_now);
        }
        let each = policies.split(',');
        each.filter_map(|policy| of_policy(policy, ';', ("r", "t"), wall_now))
            .max()
    });
    pairs.chain(combined).max()
}

fn of_policy(
    policy: &str,
    between: char,
    (remaining, reset): (&str, &str),
    wall_now: Duration,
) -> Option<Duration> {
    let number = |name: &str| {
        let members = policy
            .split(between)
            .filter_map(|member| member.trim().split_once('='));
        let mut named = members.filter(|(key, _)| key.trim() == name);
        first_number(named.next()?.1)
    };
    pause(number(remaining)?, number(reset)?, wall_now)
}

/// Of `0, 0;w=60` the first: some gateways list several windows.
fn first_number(value: &str) -> Option<f64> {
    let first = value.split([',', ';']).next()?;
    first
        .trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

fn pause(remaining: f64, reset: f64, wall_now: Duration) -> Option<Duration> {
    if remaining > 0.0 {
        return None;
    }
    let seconds = if reset >= EPOCH_MILLIS {
        reset / 1e3 - wall_now.as_secs_f64()
    } else if reset >= EPOCH_SECONDS {
        reset - wall_now.as_secs_f64()
    } else {
        reset
    };
    clamp(Duration::try_from_secs_f64(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    type Headers = &'static [(&'static str, &'static str)];

    #[test]
    fn what_is_left_counts_and_then_until_when() {
        let cases: &[(Headers, Option<u64>)] = &[
            (&[], None),
            (&[("x-ratelimit-remaining", "0")], None),
            (&[("x-ratelimit-reset", "9")], None),
            (
                &[("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "9")],
                None,
            ),
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9")],
                Some(9),
            ),
            (
                &[("x-ratelimit-remaining", "-3"), ("x-ratelimit-reset", "9")],
                Some(9),
            ),
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "0")],
                None,
            ),
            (
                &[("x-ratelimit-remaining", "none"), ("x-ratelimit-reset", "9")],
                None,
            ),
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "NaN")],
                None,
            ),
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "-9")],
                None,
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1700000012"),
                ],
                Some(12),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1700000012500"),
                ],
                Some(12),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1699999999"),
                ],
                None,
            ),
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999")],
                Some(300),
            ),
            (&[("ratelimit-remaining", "0"), ("ratelimit-reset", "7")], Some(7)),
            (
                &[("ratelimit-remaining", "0, 0;w=60"), ("ratelimit-reset", "7")],
                Some(7),
            ),
            (&[("ratelimit", "limit=100, remaining=0, reset=5")], Some(5)),
            (&[("ratelimit", "limit=100, remaining=3, reset=5")], None),
            (&[("ratelimit", "\"default\";r=0;t=30")], Some(30)),
            (
                &[("ratelimit", "\"burst\";r=0;t=3, \"daily\";r=7;t=30000")],
                Some(3),
            ),
            (
                &[("ratelimit", "\"burst\";r=0;t=3, \"daily\";r=0;t=30")],
                Some(30),
            ),
            (&[("ratelimit", "\"default\";r=9")], None),
            (&[("ratelimit", ";;=,=")], None),
        ];
        for (given, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in *given {
                headers.append(*name, value.parse().unwrap());
            }
            let pause = nothing_left_for(&headers, NOW).map(|pause| pause.as_secs());
            assert_eq!(pause, *expected, "{given:?}");
            assert!(headers.keys().all(is_rate_header), "{given:?}");
        }
    }
}
