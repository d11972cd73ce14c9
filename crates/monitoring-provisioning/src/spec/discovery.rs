//! Relayers that are found rather than listed.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Where relayers are looked for, besides `relayers`. What is found is scraped as those are: at `/metrics`, under both jobs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Discovery {
    /// Files of targets in Prometheus' format (`file_sd`), read again when they change. Paths beside this file, in a folder of
    /// their own; the last part may hold one `*`.
    pub files: Vec<PathBuf>,
    /// Names that the DNS resolves.
    pub dns: Vec<Dns>,
    /// Containers of a Docker engine.
    pub docker: Vec<Docker>,
    /// Pods of a Kubernetes cluster.
    pub kubernetes: Vec<Kubernetes>,
}

impl Discovery {
    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.dns.is_empty() && self.docker.is_empty() && self.kubernetes.is_empty()
    }
}

/// Names that the DNS resolves. `instance` is `host:port` as the DNS answers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The names.
    pub names: Vec<String>,
    /// `SRV` (default; it brings the port), `A` or `AAAA`.
    #[serde(rename = "type", default)]
    pub kind: DnsType,
    /// The relayers' port; with `A` and `AAAA`.
    #[serde(default)]
    pub port: Option<u16>,
}

/// A kind of DNS record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum DnsType {
    /// Host and port.
    #[default]
    #[serde(rename = "SRV")]
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    #[serde(rename = "AAAA")]
    Aaaa,
}

/// Containers of a Docker engine. `instance` is the container's name and the port, so that it outlives a restart.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Docker {
    /// The engine. Default `unix:///var/run/docker.sock`, which is mounted into Prometheus' container.
    #[serde(default = "socket")]
    pub host: String,
    /// The port at which relayers serve `/metrics`. Default 9090.
    #[serde(default = "relayer_port")]
    pub port: u16,
    /// Labels that a container must have, `name` or `name=value`.
    pub labels: Vec<String>,
    /// The network by which they are reached. Default: the one that they are in; needed where they are in several.
    #[serde(default)]
    pub network: Option<String>,
}

/// Pods of a Kubernetes cluster. `instance` is `namespace/pod`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// Namespaces that are searched. Default: all.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Labels that the pods must have, as `kubectl --selector` takes them: `app=relayer`.
    pub selector: String,
    /// Name of the container port that serves `/metrics`. Default `metrics`.
    #[serde(default = "metrics")]
    pub port_name: String,
    /// Kubeconfig of a Prometheus outside of the cluster, beside this file. Default: the account of Prometheus' own pod.
    #[serde(default)]
    pub kubeconfig_file: Option<PathBuf>,
}

fn socket() -> String {
    "unix:///var/run/docker.sock".to_owned()
}

fn relayer_port() -> u16 {
    9090
}

fn metrics() -> String {
    "metrics".to_owned()
}
