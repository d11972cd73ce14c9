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

/// Sends a request with a JSON body, which must succeed.
///
/// # Errors
/// As [`text`].
pub fn send(method: &str, url: &str, body: &Value) -> Result<()> {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", "application/json")
        .body(body.to_string())?;
    agent().run(request).with_context(|| format!("{method} {url}"))?;
    Ok(())
}

/// The result of an instant query to Prometheus.
///
/// # Errors
/// As [`json`].
pub fn query(prometheus: u16, expression: &str) -> Result<Vec<Value>> {
    ask(prometheus, "query", &[("query", expression)])
}

/// The result of a range query to Prometheus; times in seconds since 1970.
///
/// # Errors
/// As [`json`].
pub fn query_range(prometheus: u16, expression: &str, from: f64, to: f64, step: f64) -> Result<Vec<Value>> {
    let [from, to, step] = [from, to, step].map(|seconds| seconds.to_string());
    ask(
        prometheus,
        "query_range",
        &[
            ("query", expression),
            ("start", &from),
            ("end", &to),
            ("step", &step),
        ],
    )
}

/// The values that a label has on the series of a selector, in order.
///
/// # Errors
/// As [`json`].
pub fn label_values(prometheus: u16, selector: &str, label: &str) -> Result<Vec<String>> {
    let answer = get(
        prometheus,
        &format!("label/{label}/values"),
        &[("match[]", selector)],
    )?;
    let values = answer["data"].as_array().into_iter().flatten();
    Ok(values
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect())
}

fn ask(prometheus: u16, what: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>> {
    let answer = get(prometheus, what, parameters)?;
    Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
}

fn get(prometheus: u16, what: &str, parameters: &[(&str, &str)]) -> Result<Value> {
    let url = format!("http://127.0.0.1:{prometheus}/api/v1/{what}");
    let mut answer = agent()
        .get(&url)
        .query_pairs(parameters.iter().copied())
        .call()
        .with_context(|| format!("asking Prometheus for {what} {parameters:?}"))?;
    answer
        .body_mut()
        .read_json()
        .context("Prometheus did not answer JSON")
}
