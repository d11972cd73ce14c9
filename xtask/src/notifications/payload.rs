//! Alertmanager's webhook payload (version 4), as far as a person wants to read it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One notification: a group of alerts.
#[derive(Debug, Deserialize)]
pub(crate) struct Payload {
    /// Its alerts, firing and resolved.
    pub(crate) alerts: Vec<Alert>,
}

/// One alert of a notification.
#[derive(Debug, Deserialize)]
pub(crate) struct Alert {
    /// `firing` or `resolved`.
    pub(crate) status: String,
    /// Its labels.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// One line per alert: time, state, severity, name, where, summary.
pub(crate) fn lines(payload: &Payload, now: u64) -> Vec<String> {
    payload.alerts.iter().map(|alert| line(alert, now)).collect()
}

fn line(alert: &Alert, now: u64) -> String {
    let label = |name: &str| alert.labels.get(name).map(String::as_str);
    let mut text = format!(
        "{} {:<8} {:<8} {}",
        utc(now),
        alert.status.to_uppercase(),
        label("severity").unwrap_or("-"),
        label("alertname").unwrap_or("(no name)")
    );
    for name in ["pool", "endpoint", "instance"] {
        if let Some(value) = label(name) {
            text.push_str(&format!(" {name}={value}"));
        }
    }
    if let Some(summary) = alert.annotations.get("summary") {
        text.push_str(": ");
        text.push_str(summary);
    }
    // Whoever can send notifications must not be able to forge lines or move the cursor.
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Seconds since 1970 as `2026-01-31T12:00:00Z`.
pub(crate) fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, so that a leap day ends a year; eras of 400 years (Gregorian calendar).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_gnu_date() {
        let known = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in known {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn a_line_tells_what_and_where_and_can_not_be_forged() {
        let payload: Payload = serde_json::from_str(
            r#"{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"CircuitBreakerOpen","severity":"critical",
            "pool":"ethereum","endpoint":"a"},"annotations":{"summary":"open\n2026 RESOLVED"}},{"status":"resolved"}]}"#,
        )
        .unwrap();
        assert_eq!(
            lines(&payload, 0),
            [
                "1970-01-01T00:00:00Z FIRING   critical CircuitBreakerOpen pool=ethereum endpoint=a: open 2026 RESOLVED",
                "1970-01-01T00:00:00Z RESOLVED -        (no name)",
            ]
        );
    }
}
