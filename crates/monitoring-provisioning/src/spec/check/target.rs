//! What the servers named by `target` don't have yet.

use super::Checker;
use crate::spec::Version;

/// The oldest Prometheus and Alertmanager that everything is tested with.
const OLDEST: [Version; 2] = [Version::new(2, 42), Version::new(0, 25)];
/// Their newest major versions.
const NEWEST_MAJOR: [u16; 2] = [3, 0];
/// The first Alertmanager that reads a webhook's address from a file.
const WEBHOOK_URL_FILE: Version = Version::new(0, 26);

impl Checker<'_> {
    pub(super) fn target(&mut self) {
        let (target, images) = (self.spec.target, &self.spec.images);
        let servers = [
            ("prometheus", "Prometheus", target.prometheus, &images.prometheus),
            (
                "alertmanager",
                "Alertmanager",
                target.alertmanager,
                &images.alertmanager,
            ),
        ];
        for ((key, name, version, image), (oldest, newest)) in
            servers.into_iter().zip(OLDEST.into_iter().zip(NEWEST_MAJOR))
        {
            let path = format!("target/{key}");
            if version < oldest {
                self.report(
                    &path,
                    format!("{name} {version} is older than {oldest}, the oldest that is supported"),
                    format!("upgrade {name}; allowed: {oldest} to {newest}.x"),
                );
            } else if version.major > newest {
                self.report(
                    &path,
                    format!("{name} {version} is not known here"),
                    format!("allowed: {oldest} to {newest}.x"),
                );
            } else if let Some(pinned) = Version::of_image(image).filter(|pinned| *pinned < version) {
                let image_path = format!("images/{key}");
                let path = self.first_given(&[&image_path, &path]);
                self.report(
                    &path,
                    format!("image `{image}` is older than `target.{key}` ({version})"),
                    format!("set `target.{key}` to {pinned}, or choose a newer image"),
                );
            }
        }
        self.webhook_files();
    }

    fn webhook_files(&mut self) {
        let version = self.spec.target.alertmanager;
        let spec = self.spec;
        let given = spec
            .receivers
            .webhook
            .iter()
            .filter(|(_, hook)| hook.url_file.is_some());
        for (name, _) in given.filter(|_| version < WEBHOOK_URL_FILE) {
            self.report(
                &format!("receivers/webhook/{name}/url_file"),
                format!("Alertmanager {version} can't read a webhook's address from a file"),
                format!(
                    "{WEBHOOK_URL_FILE} is the first that can: raise `target.alertmanager`, or post to a relay that keeps the \
                     secret, with `url`"
                ),
            );
        }
    }
}
