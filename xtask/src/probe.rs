//! Short HTTP requests to our own services on this machine.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

/// An answer longer than this is not one of ours.
const BODY_LIMIT: u64 = 16 * 1024 * 1024;

/// Asks local services; never by a proxy, however the environment is set.
#[derive(Debug, Clone)]
pub(crate) struct Probe(ureq::Agent);

impl Probe {
    /// Requests give up after `timeout`.
    pub(crate) fn new(timeout: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Self(config.into())
    }

    /// `Ok` when the answer is a success; otherwise why it is not.
    pub(crate) fn ready(&self, url: &str) -> Result<()> {
        let answer = self
            .0
            .get(url)
            .call()
            .map_err(|error| anyhow::anyhow!(explain(&error)))?;
        if !answer.status().is_success() {
            bail!("answers {}", answer.status());
        }
        Ok(())
    }

    /// The body, parsed as JSON; whatever the status is, since Prometheus' API explains itself in the body.
    pub(crate) fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        let mut answer = self
            .0
            .get(url)
            .call()
            .map_err(|error| anyhow::anyhow!(explain(&error)))?;
        answer
            .body_mut()
            .with_config()
            .limit(BODY_LIMIT)
            .read_json()
            .with_context(|| format!("unexpected answer of {url}"))
    }

    /// Sends a body as JSON with any method, without one a request that has none; anything but a success is an error that tells
    /// the answer's text.
    pub(crate) fn send(&self, method: &str, url: &str, body: Option<&str>) -> Result<()> {
        let request = ureq::http::Request::builder().method(method).uri(url);
        let answer = match body {
            Some(body) => self.0.run(
                request
                    .header("content-type", "application/json")
                    .body(body.to_owned())?,
            ),
            None => self.0.run(request.body(())?),
        };
        let mut answer = answer.map_err(|error| anyhow::anyhow!(explain(&error)))?;
        if !answer.status().is_success() {
            let text = answer.body_mut().read_to_string().unwrap_or_default();
            bail!("{method} answers {}: {}", answer.status(), text.trim());
        }
        Ok(())
    }
}

fn explain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
            "nothing listens there yet".to_owned()
        }
        ureq::Error::Timeout(_) => "does not answer".to_owned(),
        other => other.to_string(),
    }
}
