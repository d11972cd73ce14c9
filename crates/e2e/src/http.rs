//! A client for the servers under test, all on loopback.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .into()
}

/// The body of a GET.
///
/// # Errors
/// When the server can't be reached or answers with an error status.
pub fn text(url: &str) -> Result<String> {
    let mut answer = agent().get(url).call().with_context(|| format!("GET {url}"))?;
    answer
        .body_mut()
        .read_to_string()
        .with_context(|| format!("reading {url}"))
}

/// The body of a GET as JSON.
///
/// # Errors
/// As [`text`], and when it is not JSON.
pub fn json(url: &str) -> Result<Value> {
    serde_json::from_str(&text(url)?).with_context(|| format!("{url} did not answer JSON"))
}

/// The result of an instant query to Prometheus.
///
/// # Errors
/// As [`json`].
pub fn query(prometheus: u16, expression: &str) -> Result<Vec<Value>> {
    let url = format!("http://127.0.0.1:{prometheus}/api/v1/query");
    let mut answer = agent()
        .get(&url)
        .query("query", expression)
        .call()
        .context("querying Prometheus")?;
    let body: Value = answer
        .body_mut()
        .read_json()
        .context("Prometheus did not answer JSON")?;
    Ok(body["data"]["result"].as_array().cloned().unwrap_or_default())
}
