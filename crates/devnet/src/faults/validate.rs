//! What no fault can be.

use super::latency::MAX_DELAY_MS;
use super::{Delay, Faults, Latency, When};
use crate::chain::{Dialect, check_chain_id};

/// Faults that can't be injected; nothing was changed. The message names the field, what is wrong with it and
/// what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFaults(String);

impl InvalidFaults {
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

impl Faults {
    /// Checks the values for a node of this dialect. That [`Faults::tls_handshake`] needs a node with TLS is checked where
    /// the faults are set.
    ///
    /// # Errors
    /// The first value that is impossible.
    pub fn validate(&self, dialect: Dialect) -> Result<(), InvalidFaults> {
        for (field, when) in self.whens() {
            check_when(&field, when)?;
        }
        if self.capacity.as_ref().is_some_and(|capacity| capacity.slots == 0) {
            return refuse(
                "capacity.slots is 0: it must be at least 1 (use hang for a node that does nothing)"
                    .to_owned(),
            );
        }
        if let Some(latency) = &self.latency {
            check_latency(latency)?;
        }
        if let Some(quota) = &self.quota {
            check_range("quota.per_second", quota.per_second, 0.001, 1e9)?;
            check_range("quota.burst", quota.burst, 1.0, 1e9)?;
        }
        for (place, error) in self.http_errors.iter().enumerate() {
            if !(400..=599).contains(&error.status) {
                let status = error.status;
                return refuse(format!(
                    "http_errors[{place}].status is {status}: it must be from 400 to 599"
                ));
            }
        }
        if let Some(handshake) = &self.tls_handshake {
            check_range("tls_handshake.probability", handshake.probability, 0.0, 1.0)?;
        }
        if self.close_after == Some(0) {
            return refuse(
                "close_after is 0: it must be at least 1 (use reset or refuse for none)".to_owned(),
            );
        }
        if let Some(garbage) = &self.garbage
            && serde_json::from_str::<serde_json::Value>(&garbage.body).is_ok()
        {
            return refuse("garbage.body is valid JSON: it must be anything else".to_owned());
        }
        if let Some(id) = &self.chain_id {
            check_chain_id(dialect, id).map_err(|error| InvalidFaults(format!("chain_id: {error}")))?;
        }
        Ok(())
    }

    /// Every condition with the name of its place.
    fn whens(&self) -> Vec<(String, &When)> {
        let optional = [
            ("latency.when", self.latency.as_ref().map(|fault| &fault.when)),
            ("reset", self.reset.as_ref()),
            ("hang", self.hang.as_ref()),
            (
                "too_many_requests.when",
                self.too_many_requests.as_ref().map(|fault| &fault.when),
            ),
            ("wrong_id", self.wrong_id.as_ref()),
            ("garbage.when", self.garbage.as_ref().map(|fault| &fault.when)),
            ("truncate.when", self.truncate.as_ref().map(|fault| &fault.when)),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(field, when)| Some((field.to_owned(), when?)));
        let http = self.http_errors.iter().enumerate();
        let http = http.map(|(place, error)| (format!("http_errors[{place}].when"), &error.when));
        let rpc = self.rpc_errors.iter().enumerate();
        let rpc = rpc.map(|(place, error)| (format!("rpc_errors[{place}].when"), &error.when));
        optional.chain(http).chain(rpc).collect()
    }
}

fn check_when(field: &str, when: &When) -> Result<(), InvalidFaults> {
    check_range(&format!("{field}.probability"), when.probability, 0.0, 1.0)?;
    if when.methods.iter().any(String::is_empty) {
        return refuse(format!(
            "{field}.methods holds an empty name: name the methods, or leave it out for all"
        ));
    }
    Ok(())
}

fn check_latency(latency: &Latency) -> Result<(), InvalidFaults> {
    let ms = |field: &str, value| check_range(&format!("latency.delay.{field}"), value, 0.0, MAX_DELAY_MS);
    match latency.delay {
        Delay::Constant { ms: constant } => ms("ms", constant)?,
        Delay::Uniform { min_ms, max_ms } => {
            ms("min_ms", min_ms)?;
            ms("max_ms", max_ms)?;
            if min_ms > max_ms {
                return refuse(format!("latency.delay: min_ms {min_ms} is above max_ms {max_ms}"));
            }
        }
        Delay::Normal { mean_ms, std_dev_ms } => {
            ms("mean_ms", mean_ms)?;
            ms("std_dev_ms", std_dev_ms)?;
        }
        Delay::LogNormal { median_ms, sigma } => {
            check_range("latency.delay.median_ms", median_ms, 0.001, MAX_DELAY_MS)?;
            check_range("latency.delay.sigma", sigma, 0.0, 10.0)?;
        }
        Delay::Exponential { mean_ms } => ms("mean_ms", mean_ms)?,
    }
    if let Some(tail) = &latency.tail {
        check_range("latency.tail.probability", tail.probability, 0.0, 1.0)?;
        check_range("latency.tail.extra_ms", tail.extra_ms, 0.0, MAX_DELAY_MS)?;
    }
    Ok(())
}

fn check_range(field: &str, value: f64, min: f64, max: f64) -> Result<(), InvalidFaults> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    refuse(format!("{field} is {value}: it must be from {min} to {max}"))
}

fn refuse(message: String) -> Result<(), InvalidFaults> {
    Err(InvalidFaults(message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(value: Value) -> Result<(), String> {
        let faults: Faults = serde_json::from_value(value).map_err(|error| error.to_string())?;
        faults.validate(Dialect::Evm).map_err(|error| error.to_string())
    }

    #[test]
    fn possible_faults_pass() {
        let all = json!({
            "latency": {"delay": {"kind": "log_normal", "median_ms": 40, "sigma": 0.5},
                        "tail": {"probability": 0.01, "extra_ms": 2000}},
            "reset": {"probability": 0.1}, "hang": {"methods": ["eth_call"]},
            "quota": {"per_second": 10, "burst": 20},
            "too_many_requests": {"retry_after_s": 3, "body": "html"},
            "http_errors": [{"status": 503, "body": "empty"}],
            "rpc_errors": [{"code": -32000, "data": {"a": 1}}],
            "wrong_id": {}, "garbage": {}, "truncate": {"style": "chunked"}, "close_after": 3, "refuse": true,
            "tls_handshake": {"style": "plain_http", "probability": 0.5},
            "frozen_head": true, "lag_blocks": 3, "lie_high_blocks": 4, "chain_id": "5", "syncing": true,
        });
        assert_eq!(check(all), Ok(()));
        assert_eq!(check(json!({})), Ok(()));
    }

    #[test]
    fn impossible_faults_are_named() {
        let cases = [
            (
                json!({"hang": {"probability": 1.5}}),
                "hang.probability is 1.5: it must be from 0 to 1",
            ),
            (json!({"hang": {"methods": [""]}}), "hang.methods"),
            (json!({"hangs": {}}), "unknown field `hangs`"),
            (
                json!({"latency": {"delay": {"kind": "uniform", "min_ms": 5, "max_ms": 1}}}),
                "min_ms 5",
            ),
            (
                json!({"latency": {"delay": {"kind": "uniform", "min_ms": 5}}}),
                "max_ms",
            ),
            (
                json!({"latency": {"delay": {"kind": "constant", "ms": 1, "x": 1}}}),
                "unknown field `x`",
            ),
            (
                json!({"latency": {"delay": {"kind": "constant", "ms": -1}}}),
                "latency.delay.ms is -1",
            ),
            (
                json!({"quota": {"per_second": 0, "burst": 1}}),
                "quota.per_second",
            ),
            (
                json!({"http_errors": [{"status": 503}, {"status": 200}]}),
                "http_errors[1].status is 200",
            ),
            (
                json!({"rpc_errors": [{"code": 1, "when": {"probability": -1}}]}),
                "rpc_errors[0].when",
            ),
            (
                json!({"tls_handshake": {"probability": 2}}),
                "tls_handshake.probability is 2",
            ),
            (
                json!({"tls_handshake": {"style": "slow"}}),
                "unknown variant `slow`",
            ),
            (json!({"close_after": 0}), "close_after is 0"),
            (json!({"garbage": {"body": "{}"}}), "garbage.body"),
            (json!({"chain_id": "mainnet"}), "chain_id"),
            (json!({"lag_blocks": -1}), "invalid value: integer `-1`"),
        ];
        for (value, expected) in cases {
            let message = check(value.clone()).unwrap_err();
            assert!(message.contains(expected), "{value}: {message}");
        }
    }
}
