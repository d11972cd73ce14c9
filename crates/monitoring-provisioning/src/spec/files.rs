//! The files beside the spec that it names.

use std::path::{Path, PathBuf};

use super::Spec;

impl Spec {
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
