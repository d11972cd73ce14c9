//! The pools of the laboratory and their configuration.

use anyhow::{Context, Result};
use monitoring_provisioning::PromDuration;

/// A pool over two nodes, `a` and `b`, or three, and what is asked of it.
///
/// Times in angle brackets (`<10m>`) run `time_scale` times faster, as the monitoring does; others are as they stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) id: &'static str,
    /// Reads a second.
    rate: u32,
    /// Reads at once.
    concurrency: u32,
    nodes: usize,
    endpoint: &'static str,
    settings: &'static str,
    balancer: Option<&'static str>,
    request_timeout: &'static str,
}

/// A pool whose nodes are always well: nothing may fire on it.
pub(super) const BYSTANDER: Setup = Setup::new("bystander", 5, 16);
/// The same on the relayers that fail as a whole.
pub(super) const GONE: Setup = Setup::new("of-gone", 2, 16);
pub(super) const HIDDEN: Setup = Setup::new("of-hidden", 2, 16);

/// Ids of the nodes.
pub(super) const ENDPOINTS: [&str; 3] = ["a", "b", "c"];

impl Setup {
    pub(super) const fn new(id: &'static str, rate: u32, concurrency: u32) -> Self {
        Self {
            id,
            rate,
            concurrency,
            nodes: 2,
            endpoint: "",
            settings: "",
            balancer: None,
            request_timeout: "10s",
        }
    }

    /// With three nodes: of two that disagree about the head nobody can tell which is behind.
    pub(super) const fn three_nodes(self) -> Self {
        Self { nodes: 3, ..self }
    }

    pub(super) const fn nodes(&self) -> usize {
        self.nodes
    }

    /// Further settings of all endpoints, as YAML.
    pub(super) const fn endpoint(self, endpoint: &'static str) -> Self {
        Self { endpoint, ..self }
    }

    /// Further settings of the pool, as YAML.
    pub(super) const fn settings(self, settings: &'static str) -> Self {
        Self { settings, ..self }
    }

    /// Another balancer than the default.
    pub(super) const fn balancer(self, balancer: &'static str) -> Self {
        Self {
            balancer: Some(balancer),
            ..self
        }
    }

    pub(super) const fn request_timeout(self, request_timeout: &'static str) -> Self {
        Self {
            request_timeout,
            ..self
        }
    }

    /// Its part of `pools.yaml`. The nodes' lag is measured, but far from making one unhealthy.
    fn yaml(&self, nodes: &[String], scale: f64) -> Result<String> {
        let mut text = format!("- id: {}\n  dialect: evm\n  chain_id: 1\n  endpoints:\n", self.id);
        if let Some(balancer) = self.balancer {
            text = text.replace(
                "  endpoints:\n",
                &format!("  balancer: {balancer}\n  endpoints:\n"),
            );
        }
        for (id, url) in ENDPOINTS.iter().zip(nodes) {
            text.push_str(&format!(
                "  - {{ id: {id}, url: \"{url}\"{}{} }}\n",
                comma(self.endpoint),
                self.endpoint
            ));
        }
        text.push_str(&format!(
            "  settings: {{ health: {{ interval: <5s>, timeout: 10s, max_lag: 200 }}{}{} }}\n",
            comma(self.settings),
            self.settings
        ));
        text.push_str(&format!(
            "  follow: {{ poll_interval: 500ms, requests_per_second: {}, concurrency: {}, request_timeout: {} }}\n",
            self.rate, self.concurrency, self.request_timeout
        ));
        scaled(&text, scale)
    }
}

const fn comma(text: &str) -> &'static str {
    if text.is_empty() { "" } else { ", " }
}

/// A relayer's `pools.yaml`.
pub(super) fn file(pools: &[(Setup, Vec<String>)], scale: f64) -> Result<String> {
    let parts: Result<Vec<String>> = pools
        .iter()
        .map(|(setup, nodes)| setup.yaml(nodes, scale))
        .collect();
    Ok(format!("pools:\n{}", parts?.concat()))
}

/// How long a health check's interval is.
pub(super) fn check_interval(scale: f64) -> PromDuration {
    PromDuration::from_secs(5).scaled(scale)
}

/// Replaces `<10m>` by what is left of it at this scale.
fn scaled(text: &str, scale: f64) -> Result<String> {
    let mut parts = text.split('<');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (time, rest) = part.split_once('>').context("a time without its bracket")?;
        let time: PromDuration = time.parse().map_err(anyhow::Error::msg)?;
        out.push_str(&format!("{}ms{rest}", time.scaled(scale).as_millis()));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balancer_stands_with_its_pool() {
        let pool = Setup::new("one", 3, 4).balancer("round_robin");
        let text = file(&[(pool, vec!["http://127.0.0.1:1".to_owned()])], 1.0).unwrap();
        assert!(
            text.contains("\n  chain_id: 1\n  balancer: round_robin\n  endpoints:\n  - {"),
            "{text}"
        );
    }

    #[test]
    fn times_in_brackets_are_scaled_and_others_are_not() {
        let pool = Setup::new("one", 3, 4)
            .endpoint("max_connections: 1")
            .settings("acquire_timeout: <10m>, leak_after: 1s");
        let nodes = ["http://127.0.0.1:1".to_owned(), "http://127.0.0.1:2".to_owned()];
        let text = file(&[(pool, nodes.to_vec())], 20.0).unwrap();
        assert_eq!(
            text,
            "pools:\n- id: one\n  dialect: evm\n  chain_id: 1\n  endpoints:\n  \
             - { id: a, url: \"http://127.0.0.1:1\", max_connections: 1 }\n  \
             - { id: b, url: \"http://127.0.0.1:2\", max_connections: 1 }\n  \
             settings: { health: { interval: 250ms, timeout: 10s, max_lag: 200 }, acquire_timeout: 30000ms, leak_after: 1s }\n  \
             follow: { poll_interval: 500ms, requests_per_second: 3, concurrency: 4, request_timeout: 10s }\n"
        );
    }
}
