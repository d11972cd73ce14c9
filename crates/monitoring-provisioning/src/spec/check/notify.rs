//! Receivers.

use std::path::Path;

use super::{Checker, is_host_port, is_web};

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
                (Some(url), None) if !is_web(url) => {
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
        for (name, telegram) in &receivers.telegram {
            if telegram.chat_id == 0 {
                self.report(
                    &format!("receivers/telegram/{name}/chat_id"),
                    "no chat has the id 0",
                    "the chat's id, negative for groups and channels; `getUpdates` of the bot shows it",
                );
            }
        }
        for secret in spec.secret_files() {
            if secret.path.as_os_str().is_empty() || secret.path == Path::new(".") {
                self.report(
                    &secret.place,
                    format!("`{}` names no file", secret.key),
                    "a path beside this file, for example `secrets/slack-url`",
                );
            }
        }
    }

    /// Names become parts of paths inside the container, and routes refer to them.
    fn names(&mut self) {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (kind, names) in self.spec.receivers.by_kind() {
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
                if let Some((other, _)) = seen.iter().find(|(_, known)| *known == name) {
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
}
