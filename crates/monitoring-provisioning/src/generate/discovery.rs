//! Where Prometheus looks for relayers, and what each is called.
//!
//! Alerts tell relayers apart by `instance`, so that must mean something to a person and outlive a restart: an address that an
//! engine or a cluster has just given to a container does neither.

use std::path::{Path, PathBuf};

use super::{Runtime, addresses::Addresses};
use crate::{
    model::prometheus::{
        DnsSd, DockerFilter, DockerSd, FileSd, KubernetesSd, KubernetesSelector, Namespaces, RelabelAction,
        RelabelConfig, ScrapeConfig,
    },
    spec::{DnsType, Docker, Kubernetes, SecretOwner},
};

/// Where the folders of target files are mounted in Prometheus' container.
const TARGETS: &str = "/etc/fusion-targets";

/// Adds to a job of relayers whatever the spec wants to be looked for.
pub(super) fn look(addresses: &Addresses<'_>, job: &mut ScrapeConfig) {
    let discovery = &addresses.spec.discovery;
    let files: Vec<String> = discovery
        .files
        .iter()
        .enumerate()
        .map(|(index, file)| target_file(addresses, index, file))
        .collect();
    if !files.is_empty() {
        job.file_sd_configs.push(FileSd { files });
    }
    job.dns_sd_configs.extend(discovery.dns.iter().map(|dns| {
        DnsSd {
            names: dns.names.clone(),
            kind: match dns.kind {
                DnsType::Srv => "SRV",
                DnsType::A => "A",
                DnsType::Aaaa => "AAAA",
            }
            .to_owned(),
            port: dns.port,
        }
    }));
    job.docker_sd_configs.extend(discovery.docker.iter().map(engine));
    job.relabel_configs.extend(containers(&discovery.docker));
    for (index, kubernetes) in discovery.kubernetes.iter().enumerate() {
        let kubeconfig = format!("kubernetes-{index}");
        let kubeconfig = addresses.secret(SecretOwner::Prometheus, &kubeconfig, "kubeconfig_file");
        job.kubernetes_sd_configs.push(cluster(kubernetes, kubeconfig));
    }
    job.relabel_configs.extend(pods(&discovery.kubernetes));
}

/// Folder, seen from the Compose file, and mount of each pattern of target files.
pub(super) fn target_folders(files: &[PathBuf]) -> Vec<(PathBuf, String)> {
    let folder = |file: &Path| file.parent().unwrap_or(Path::new("")).to_owned();
    files
        .iter()
        .enumerate()
        .map(|(index, file)| (folder(file), format!("{TARGETS}/{index}")))
        .collect()
}

fn target_file(addresses: &Addresses<'_>, index: usize, file: &Path) -> String {
    match addresses.runtime {
        Runtime::Docker => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            format!("{TARGETS}/{index}/{name}")
        }
        Runtime::Native { .. } => {
            let base = addresses.spec.source.parent().unwrap_or(Path::new(""));
            let file = base.join(file);
            // Only fails for an empty path, which the spec refuses.
            std::path::absolute(&file).unwrap_or(file).display().to_string()
        }
    }
}

fn engine(docker: &Docker) -> DockerSd {
    DockerSd {
        host: docker.host.clone(),
        port: docker.port,
        filters: vec![DockerFilter {
            name: "label".to_owned(),
            values: docker.labels.clone(),
        }],
    }
}

/// Every port of a container in each of its networks is a target of its own: one must be left, or the relayer counts twice.
/// Targets that come from elsewhere lack the labels, and pass.
fn containers(engines: &[Docker]) -> Vec<RelabelConfig> {
    if engines.is_empty() {
        return Vec::new();
    }
    let mut rules = vec![keep(
        &["__meta_docker_container_id", "__address__"],
        &format!(
            ";.*|.+;.*:({})",
            any_of(engines.iter().map(|one| one.port.to_string()))
        ),
    )];
    let networks = any_of(engines.iter().filter_map(|one| one.network.clone()));
    if !networks.is_empty() {
        rules.push(keep(
            &["__meta_docker_container_id", "__meta_docker_network_name"],
            &format!(";.*|.+;({networks})"),
        ));
    }
    rules.push(named(
        &["__meta_docker_container_name", "__address__"],
        "/?([^;]+);.*:([0-9]+)",
        "${1}:${2}",
    ));
    rules
}

/// Any of the names, as a regular expression.
fn any_of(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.map(|name| literal(&name)).collect();
    names.sort();
    names.dedup();
    names.join("|")
}

fn cluster(kubernetes: &Kubernetes, kubeconfig_file: Option<String>) -> KubernetesSd {
    let names = kubernetes.namespaces.clone();
    KubernetesSd {
        role: "pod".to_owned(),
        kubeconfig_file,
        namespaces: (!names.is_empty()).then_some(Namespaces { names }),
        selectors: vec![KubernetesSelector {
            role: "pod".to_owned(),
            label: kubernetes.selector.clone(),
        }],
    }
}

/// Every port of a pod is a target of its own, and a pod that has ended goes on being one. One that isn't ready is scraped: that
/// is when it matters.
fn pods(clusters: &[Kubernetes]) -> Vec<RelabelConfig> {
    if clusters.is_empty() {
        return Vec::new();
    }
    let ports = any_of(clusters.iter().map(|one| one.port_name.clone()));
    vec![
        keep(
            &[
                "__meta_kubernetes_pod_uid",
                "__meta_kubernetes_pod_container_port_name",
            ],
            &format!(";.*|.+;({ports})"),
        ),
        RelabelConfig {
            source_labels: vec!["__meta_kubernetes_pod_phase".to_owned()],
            regex: "Succeeded|Failed".to_owned(),
            action: RelabelAction::Drop,
            ..RelabelConfig::default()
        },
        RelabelConfig {
            separator: Some("/".to_owned()),
            ..named(
                &["__meta_kubernetes_namespace", "__meta_kubernetes_pod_name"],
                "(.+/.+)",
                "${1}",
            )
        },
    ]
}

fn keep(labels: &[&str], regex: &str) -> RelabelConfig {
    RelabelConfig {
        source_labels: owned(labels),
        regex: regex.to_owned(),
        action: RelabelAction::Keep,
        ..RelabelConfig::default()
    }
}

/// Names the target, where the labels are there.
fn named(labels: &[&str], regex: &str, replacement: &str) -> RelabelConfig {
    RelabelConfig {
        source_labels: owned(labels),
        regex: regex.to_owned(),
        target_label: Some("instance".to_owned()),
        replacement: Some(replacement.to_owned()),
        action: RelabelAction::Replace,
        ..RelabelConfig::default()
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A name as a regular expression that matches nothing else.
fn literal(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if !c.is_alphanumeric() && !matches!(c, '-' | '_' | '/') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_pattern_stands_for_itself() {
        assert_eq!(literal("a.b-c_d"), "a\\.b-c_d");
        assert_eq!(literal("x|y"), "x\\|y");
    }
}
