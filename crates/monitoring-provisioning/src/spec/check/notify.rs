//! Receivers and routes.

use std::path::Path;

use super::{Checker, is_host_port};
use crate::{duration::PromDuration, spec::Route, yaml::did_you_mean};

impl Checker<'_> {
    pub(super) fn receivers(&mut self) {
        let spec = self.spec;
        let receivers = &spec.receivers;
        self.names();
        for (name, webhook) in &receivers.webhook {
            let path = format!("receivers/webhook/{name}");
            match (&webhook.url, &webhook.url_file) {
                (None, None) => self.report(
                    &path,
                    "a webhook has neither `url` nor `url_file`",
                    "give the address as `url`, or, where whoever knows it may post, in a file as `url_file`",
                ),
                (Some(_), Some(_)) => self.report(
                    &format!("{path}/url_file"),
                    "a webhook has both `url` and `url_file`",
                    "keep one",
                ),
                (Some(url), None) if !(url.starts_with("http://") || url.starts_with("https://")) => {
                    self.report(
                        &format!("{path}/url"),
                        "a webhook's `url` is not a web address",
                        "begin with `https://` or `http://`",
                    );
                }
                _ => {}
            }
        }
        for (name, email) in &receivers.email {
            let path = format!("receivers/email/{name}");
            if !is_host_port(&email.smarthost) {
                self.report(
                    &format!("{path}/smarthost"),
                    "`smarthost` is given as `host:port`",
                    "for example `smtp.example.org:587`",
                );
            }
            if email.auth_username.is_some() != email.auth_password_file.is_some() {
                self.report(
                    &path,
                    "`auth_username` and `auth_password_file` belong together",
                    "give both, or neither",
                );
            }
        }
        for secret in spec.secret_files() {
            if secret.path.as_os_str().is_empty() || secret.path == Path::new(".") {
                let kind = self.kind_of(&secret.receiver);
                self.report(
                    &format!("receivers/{kind}/{}/{}", secret.receiver, secret.key),
                    format!("`{}` names no file", secret.key),
                    "a path beside this file, for example `secrets/slack-url`",
                );
            }
        }
    }

    fn kind_of(&self, name: &str) -> &'static str {
        let receivers = &self.spec.receivers;
        if receivers.webhook.contains_key(name) {
            "webhook"
        } else if receivers.slack.contains_key(name) {
            "slack"
        } else if receivers.pagerduty.contains_key(name) {
            "pagerduty"
        } else {
            "email"
        }
    }

    /// Names become parts of paths inside the container, and routes refer to them.
    fn names(&mut self) {
        let receivers = &self.spec.receivers;
        let kinds: [(&str, Vec<&String>); 4] = [
            ("webhook", receivers.webhook.keys().collect()),
            ("slack", receivers.slack.keys().collect()),
            ("pagerduty", receivers.pagerduty.keys().collect()),
            ("email", receivers.email.keys().collect()),
        ];
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (kind, names) in &kinds {
            for name in names {
                let path = format!("receivers/{kind}/{name}");
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
                if name.is_empty() || !name.chars().all(plain) {
                    self.report(
                        &path,
                        format!("`{name}` can't name a receiver"),
                        "letters, digits, `-` and `_`",
                    );
                }
                if let Some((other, _)) = seen.iter().find(|(_, known)| known == name) {
                    self.report(
                        &path,
                        format!("the receiver `{name}` is defined twice"),
                        format!("it is also a {other} receiver; routes couldn't tell them apart"),
                    );
                }
                seen.push((kind, name));
            }
        }
    }

    pub(super) fn routes(&mut self) {
        let spec = self.spec;
        self.route("critical", &spec.notifications.critical);
        self.route("warning", &spec.notifications.warning);
        self.route("heartbeat", &spec.notifications.heartbeat);
        for routes in spec.routes() {
            if routes.repeat_interval < routes.group_interval {
                self.report(
                    &format!("notifications/{}", routes.severity),
                    "`repeat_interval` is shorter than `group_interval`",
                    "a group is only looked at every `group_interval`: repeat at least as slowly",
                );
            }
        }
    }

    fn route(&mut self, severity: &str, route: &Route) {
        let known: Vec<&str> = self.spec.receivers.names().collect();
        for (index, name) in route.receivers.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let remedy = did_you_mean(name, &known).unwrap_or_else(|| match known.as_slice() {
                    [] => "define it under `receivers`; there is none yet".to_owned(),
                    known => format!("defined are: {}", known.join(", ")),
                });
                self.report(
                    &format!("notifications/{severity}/receivers/{index}"),
                    format!("there is no receiver `{name}`"),
                    remedy,
                );
            }
        }
        for (key, value) in [
            ("group_interval", route.group_interval),
            ("repeat_interval", route.repeat_interval),
        ] {
            if value == Some(PromDuration::ZERO) {
                self.report(
                    &format!("notifications/{severity}/{key}"),
                    format!("`{key}` is zero"),
                    "Alertmanager refuses that; allowed: any time above 0",
                );
            }
        }
    }
}
