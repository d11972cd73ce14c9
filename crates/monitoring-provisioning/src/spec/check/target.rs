//! What the servers named by `target` don't have yet.

use super::Checker;
use crate::spec::Version;

/// The oldest Prometheus and Alertmanager that everything is tested with.
const OLDEST: [Version; 2] = [Version::new(2, 42), Version::new(0, 25)];
/// Their newest major versions.
const NEWEST_MAJOR: [u16; 2] = [3, 0];
/// What a receiver may need that older versions of Alertmanager lack: its kind, the setting, what to say, the first version.
const NEWER: [(&str, &str, &str, Version); 5] = [
    (
        "webhook",
        "url_file",
        "read a webhook's address from a file",
        Version::new(0, 26),
    ),
    (
        "telegram",
        "bot_token_file",
        "read a Telegram bot's token from a file",
        Version::new(0, 26),
    ),
    (
        "discord",
        "webhook_url_file",
        "read a Discord webhook's address from a file",
        Version::new(0, 27),
    ),
    (
        "telegram",
        "message_thread_id",
        "send to a topic of a Telegram group",
        Version::new(0, 28),
    ),
    (
        "msteams",
        "webhook_url_file",
        "send to Microsoft Teams through a workflow",
        Version::new(0, 28),
    ),
];

/// The first Prometheus that knows the text format 1.0.0.
const TEXT_FORMAT_1: Version = Version::new(3, 0);
/// The first Alertmanager in which an inhibition may have a name.
const NAMED_INHIBITIONS: Version = Version::new(0, 30);

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
        self.newer_receivers();
        self.newer_prometheus();
    }

    fn newer_prometheus(&mut self) {
        let (version, prometheus) = (self.spec.target.prometheus, &self.spec.prometheus);
        for (key, is_given, since) in [
            (
                "scrape_protocols",
                !prometheus.scrape_protocols.is_empty(),
                Version::new(2, 49),
            ),
            (
                "query_offset",
                prometheus.query_offset.is_some(),
                Version::new(2, 53),
            ),
        ] {
            if is_given && version < since {
                self.report(
                    &format!("prometheus/{key}"),
                    format!("Prometheus {version} doesn't know `{key}`"),
                    format!("{since} is the first that does: raise `target.prometheus`, or drop the line"),
                );
            }
        }
        let newest = |format: &String| format == "PrometheusText1.0.0" && version < TEXT_FORMAT_1;
        if let Some(index) = prometheus.scrape_protocols.iter().position(newest) {
            self.report(
                &format!("prometheus/scrape_protocols/{index}"),
                format!("Prometheus {version} doesn't know `PrometheusText1.0.0`"),
                format!("{TEXT_FORMAT_1} is the first that does: raise `target.prometheus`, or name `PrometheusText0.0.4`"),
            );
        }
    }

    fn newer_receivers(&mut self) {
        let version = self.spec.target.alertmanager;
        if self.spec.notifications.named_inhibitions && version < NAMED_INHIBITIONS {
            self.report(
                "notifications/named_inhibitions",
                format!("Alertmanager {version} knows no names of inhibitions"),
                format!("{NAMED_INHIBITIONS} is the first that does: raise `target.alertmanager`, or drop the line"),
            );
        }
        for (kind, names) in self.spec.receivers.by_kind() {
            for (_, key, what, since) in NEWER
                .iter()
                .filter(|(of, _, _, since)| *of == kind && version < *since)
            {
                for name in &names {
                    let path = format!("receivers/{kind}/{name}/{key}");
                    if self.document.find(&path).is_none() {
                        continue;
                    }
                    self.report(
                        &path,
                        format!("Alertmanager {version} can't {what}"),
                        format!(
                            "{since} is the first that can: raise `target.alertmanager`, or post to a relay that keeps the \
                             secret, with `url` of a webhook"
                        ),
                    );
                }
            }
        }
    }
}
