//! How long a node asks to be left alone.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A longer pause is cut to this: a date that is wrong by a year must not take an endpoint away for a year.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The pause that `Retry-After` asks for, in seconds or as a date, at most [`MAX_RETRY_AFTER`]. `None` when the header
/// is absent, unreadable or not in the future.
///
/// A date is compared with the answer's own `Date` where there is one, else with `wall_now` (since the Unix epoch):
/// then the clocks of both sides need not agree.
pub(crate) fn retry_after(headers: &HeaderMap, wall_now: Duration) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = if let Ok(seconds) = value.parse::<f64>() {
        Duration::try_from_secs_f64(seconds)
            .ok()
            .or((seconds > 0.0).then_some(MAX_RETRY_AFTER))?
    } else {
        let date = headers
            .get(header::DATE)
            .and_then(|date| date.to_str().ok())
            .and_then(since_epoch);
        since_epoch(value)?.checked_sub(date.unwrap_or(wall_now))?
    };
    clamp(pause)
}

fn since_epoch(date: &str) -> Option<Duration> {
    httpdate::parse_http_date(date)
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()
}

/// The pause that the data of a JSON-RPC error asks for: Infura's `rate.backoff_seconds`.
pub(crate) fn backoff_in_data(data: &RawValue) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Data {
        rate: Rate,
    }
    #[derive(Deserialize)]
    struct Rate {
        backoff_seconds: f64,
    }
    let data: Data = serde_json::from_str(data.get()).ok()?;
    clamp(Duration::try_from_secs_f64(data.rate.backoff_seconds).ok()?)
}

pub(crate) fn clamp(pause: Duration) -> Option<Duration> {
    (!pause.is_zero()).then(|| pause.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const NOW: Duration = Duration::from_secs(784_111_777);

    fn read(value: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        retry_after(&headers, NOW).map(|pause| pause.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read_and_cut() {
        for (value, date, expected) in [
            ("7", None, Some(7)),
            (" 7 ", None, Some(7)),
            ("2.5", None, Some(2)),
            ("0", None, None),
            ("-5", None, None),
            ("NaN", None, None),
            ("999999", None, Some(300)),
            ("1e300", None, Some(300)),
            ("soon", None, None),
            ("Sun, 06 Nov 1994 08:50:07 GMT", None, Some(30)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", None, None),
            ("Mon, 06 Nov 1995 08:49:37 GMT", None, Some(300)),
            // The server's clock is an hour ahead of ours: only its own date counts.
            (
                "Sun, 06 Nov 1994 09:50:07 GMT",
                Some("Sun, 06 Nov 1994 09:49:37 GMT"),
                Some(30),
            ),
        ] {
            assert_eq!(read(value, date), expected, "{value:?} {date:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
    }

    #[test]
    fn backoff_in_error_data() {
        let data = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        assert_eq!(
            backoff_in_data(&data(r#"{"rate":{"backoff_seconds":30}}"#)),
            Some(Duration::from_secs(30))
        );
        assert_eq!(backoff_in_data(&data(r#"{"rate":{"backoff_seconds":-1}}"#)), None);
        assert_eq!(backoff_in_data(&data(r#""0x08c379a0""#)), None);
    }
}
