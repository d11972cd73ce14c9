//! The files beside the spec that it names.

use std::path::{Path, PathBuf};

use super::{Receivers, Spec};

/// The server that reads a secret file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretOwner {
    /// For a receiver.
    Alertmanager,
    /// For a remote write, or to look for targets.
    Prometheus,
    /// For its administrator.
    Grafana,
}

/// A file that a server needs and that must exist before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// The server that reads it.
    pub owner: SecretOwner,
    /// The path of the setting within the spec.
    pub(crate) place: String,
    /// The receiver's name; `remote-write-<index>` or `kubernetes-<index>` for Prometheus, `grafana`.
    pub receiver: String,
    /// The setting that names the file.
    pub key: &'static str,
    /// The path as the spec gives it.
    pub path: PathBuf,
    /// The path from the working directory of whoever loaded the spec.
    pub resolved: PathBuf,
}

impl Spec {
    /// Every secret file that a receiver, a remote write or a discovery names, so that a caller can check and mount it.
    pub fn secret_files(&self) -> Vec<SecretFile> {
        let base = self.source.parent().unwrap_or(Path::new(""));
        let receivers = self
            .receivers
            .secrets()
            .into_iter()
            .map(|(kind, name, key, path)| {
                let place = format!("receivers/{kind}/{name}/{key}");
                (SecretOwner::Alertmanager, place, name.to_owned(), key, path)
            });
        let remotes = self
            .prometheus
            .remote_write
            .iter()
            .enumerate()
            .flat_map(|(index, remote)| {
                [
                    ("credentials_file", &remote.credentials_file),
                    ("password_file", &remote.password_file),
                ]
                .into_iter()
                .filter_map(move |(key, path)| {
                    let place = format!("prometheus/remote_write/{index}/{key}");
                    let name = format!("remote-write-{index}");
                    Some((SecretOwner::Prometheus, place, name, key, path.as_ref()?))
                })
            });
        let clusters = self
            .discovery
            .kubernetes
            .iter()
            .enumerate()
            .filter_map(|(index, cluster)| {
                let place = format!("discovery/kubernetes/{index}/kubeconfig_file");
                let path = cluster.kubeconfig_file.as_ref()?;
                let name = format!("kubernetes-{index}");
                Some((SecretOwner::Prometheus, place, name, "kubeconfig_file", path))
            });
        let grafana = self.grafana.admin_password_file.iter().map(|path| {
            let place = "grafana/admin_password_file".to_owned();
            let key = "admin_password_file";
            (SecretOwner::Grafana, place, "grafana".to_owned(), key, path)
        });
        receivers
            .chain(grafana)
            .chain(remotes)
            .chain(clusters)
            .map(|(owner, place, receiver, key, path)| SecretFile {
                owner,
                place,
                receiver,
                key,
                path: path.clone(),
                resolved: base.join(path),
            })
            .collect()
    }

    /// The same spec with every file that it names (secrets, files of targets) found from `folder`, for generated files that will
    /// not stand beside it.
    #[must_use]
    pub fn with_files_at(mut self, folder: &Path) -> Self {
        for path in self.paths() {
            // An empty one is no file; joined, it would become the folder.
            if !path.as_os_str().is_empty() {
                *path = folder.join(&path);
            }
        }
        self
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let receivers = &mut self.receivers;
        let mut paths: Vec<&mut PathBuf> = Vec::new();
        for webhook in receivers.webhook.values_mut() {
            paths.extend(webhook.url_file.as_mut());
            paths.extend(webhook.credentials_file.as_mut());
        }
        paths.extend(receivers.slack.values_mut().map(|one| &mut one.api_url_file));
        paths.extend(
            receivers
                .pagerduty
                .values_mut()
                .map(|one| &mut one.routing_key_file),
        );
        paths.extend(
            receivers
                .email
                .values_mut()
                .filter_map(|one| one.auth_password_file.as_mut()),
        );
        paths.extend(
            receivers
                .discord
                .values_mut()
                .map(|one| &mut one.webhook_url_file),
        );
        paths.extend(receivers.telegram.values_mut().map(|one| &mut one.bot_token_file));
        paths.extend(
            receivers
                .msteams
                .values_mut()
                .map(|one| &mut one.webhook_url_file),
        );
        paths.extend(receivers.opsgenie.values_mut().map(|one| &mut one.api_key_file));
        for remote in &mut self.prometheus.remote_write {
            paths.extend(remote.credentials_file.as_mut());
            paths.extend(remote.password_file.as_mut());
        }
        paths.extend(self.grafana.admin_password_file.as_mut());
        paths.extend(self.discovery.files.iter_mut());
        let clusters = self.discovery.kubernetes.iter_mut();
        paths.extend(clusters.filter_map(|one| one.kubeconfig_file.as_mut()));
        paths
    }
}

impl Receivers {
    /// Kind, name, setting and path of every secret file.
    fn secrets(&self) -> Vec<(&'static str, &str, &'static str, &PathBuf)> {
        let mut all: Vec<(_, &String, _, Option<&PathBuf>)> = Vec::new();
        let mut add = |kind, name, key, path| all.push((kind, name, key, path));
        for (name, webhook) in &self.webhook {
            add("webhook", name, "url_file", webhook.url_file.as_ref());
            add(
                "webhook",
                name,
                "credentials_file",
                webhook.credentials_file.as_ref(),
            );
        }
        for (name, slack) in &self.slack {
            add("slack", name, "api_url_file", Some(&slack.api_url_file));
        }
        for (name, pagerduty) in &self.pagerduty {
            add(
                "pagerduty",
                name,
                "routing_key_file",
                Some(&pagerduty.routing_key_file),
            );
        }
        for (name, email) in &self.email {
            add(
                "email",
                name,
                "auth_password_file",
                email.auth_password_file.as_ref(),
            );
        }
        for (name, discord) in &self.discord {
            add(
                "discord",
                name,
                "webhook_url_file",
                Some(&discord.webhook_url_file),
            );
        }
        for (name, telegram) in &self.telegram {
            add("telegram", name, "bot_token_file", Some(&telegram.bot_token_file));
        }
        for (name, teams) in &self.msteams {
            add("msteams", name, "webhook_url_file", Some(&teams.webhook_url_file));
        }
        for (name, opsgenie) in &self.opsgenie {
            add("opsgenie", name, "api_key_file", Some(&opsgenie.api_key_file));
        }
        all.into_iter()
            .filter_map(|(kind, name, key, path)| Some((kind, name.as_str(), key, path?)))
            .collect()
    }
}
