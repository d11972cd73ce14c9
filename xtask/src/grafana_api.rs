//! Dashboards by Grafana's HTTP API, of every version from 10 to 13.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use ureq::http::StatusCode;

use crate::failure::BadInput;

const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// A dashboard is far smaller.
const BODY_LIMIT: u64 = 16 * 1024 * 1024;
/// The new API, from 12; the only one for dashboards that are stored in schema v2.
const NEW_API: &str = "/apis/dashboard.grafana.app/";

/// Who asks. Never shown.
pub(crate) enum Login {
    /// By name and password.
    User(String, String),
    /// A service account's token.
    Token(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

impl Login {
    /// The content of a file that holds nothing but a secret.
    pub(crate) fn secret(file: &Path) -> Result<String> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| BadInput(format!("{}: can't be read: {error}", file.display())))?;
        let secret = text.trim();
        if secret.is_empty() || secret.chars().any(char::is_control) {
            return Err(BadInput(format!(
                "{}: must hold the secret alone, on one line",
                file.display()
            ))
            .into());
        }
        Ok(secret.to_owned())
    }

    fn header(&self) -> String {
        match self {
            Self::User(name, password) => {
                let both = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
                format!("Basic {both}")
            }
            Self::Token(token) => format!("Bearer {token}"),
        }
    }
}

/// A Grafana.
#[derive(Debug)]
pub(crate) struct Grafana {
    agent: ureq::Agent,
    url: String,
    login: Login,
}

impl Grafana {
    /// Grafana at this address, which is checked; nothing is asked yet.
    pub(crate) fn new(url: &str, login: Login) -> Result<Self> {
        let url = url.trim_end_matches('/');
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(BadInput(
                "--url: only http:// can be asked. For another address open a tunnel (`ssh -L 3001:localhost:3001 HOST`), or \
                 fetch the dashboard with curl and pass it: `--answer FILE`"
                    .to_owned(),
            )
            .into());
        };
        // A login in the address would stand in the shell's history and in every message.
        if rest.is_empty() || rest.split('/').next().is_some_and(|host| host.contains('@')) {
            return Err(BadInput(
                "--url: write http://HOST:PORT without a login; that comes by --user and --password-file or by --token-file"
                    .to_owned(),
            )
            .into());
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWERS_WITHIN))
            .http_status_as_error(false)
            // The login goes nowhere but to the address that was named.
            .max_redirects(0)
            .proxy(None)
            .build();
        Ok(Self {
            agent: config.into(),
            url: url.to_owned(),
            login,
        })
    }

    /// The answer for a dashboard, in the form in which it is stored.
    ///
    /// The old API answers classic dashboards, and names the address of the new one for others (406). Where it is gone,
    /// the new one is asked first for classic form.
    pub(crate) fn dashboard(&self, uid: &str) -> Result<String> {
        let (status, body) = self.get(&format!("/api/dashboards/uid/{uid}"))?;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::NOT_ACCEPTABLE => match new_address(&body) {
                Some(path) => self.expect(&path),
                None => bail!("Grafana stores the dashboard in a form that it doesn't name (406)"),
            },
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                let path = format!("{NEW_API}v1/namespaces/default/dashboards/{uid}");
                match self.get(&path)? {
                    (StatusCode::OK, body) => Ok(body),
                    _ => bail!(
                        "{} has no dashboard with uid `{uid}`; is it provisioned there?",
                        self.url
                    ),
                }
            }
            other => Err(refused(&self.url, other)),
        }
    }

    /// The answer in another version of the new API.
    pub(crate) fn dashboard_in(&self, version: &str, uid: &str) -> Result<String> {
        let plain = |c: char| c.is_ascii_alphanumeric();
        if !version.chars().all(plain) {
            bail!("Grafana names a version that is none");
        }
        self.expect(&format!("{NEW_API}{version}/namespaces/default/dashboards/{uid}"))
    }

    fn expect(&self, path: &str) -> Result<String> {
        match self.get(path)? {
            (StatusCode::OK, body) => Ok(body),
            (status, _) => Err(refused(&self.url, status)),
        }
    }

    fn get(&self, path: &str) -> Result<(StatusCode, String)> {
        let mut answer = self
            .agent
            .get(format!("{}{path}", self.url))
            .header("Authorization", self.login.header())
            .header("Accept", "application/json")
            .call()
            .map_err(|error| match error {
                ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
                    anyhow::anyhow!(
                        "nothing listens at {}; start it with `cargo xtask monitoring-up`, or name another with --url",
                        self.url
                    )
                }
                other => anyhow::anyhow!("{}: {other}", self.url),
            })?;
        let body = answer.body_mut().with_config().limit(BODY_LIMIT).read_to_string();
        Ok((
            answer.status(),
            body.with_context(|| format!("reading the answer of {}", self.url))?,
        ))
    }
}

fn refused(url: &str, status: StatusCode) -> anyhow::Error {
    match status {
        StatusCode::UNAUTHORIZED => anyhow::anyhow!(
            "{url} doesn't take the login; give another with --user and --password-file, or with --token-file"
        ),
        StatusCode::FORBIDDEN => anyhow::anyhow!("{url}: the login may not read the dashboard"),
        other if other.is_redirection() => anyhow::anyhow!(
            "{url} redirects elsewhere ({other}); name the address at which Grafana itself answers"
        ),
        other => anyhow::anyhow!("{url} answers {other}"),
    }
}

/// The address that a refusal of the old API names: `... use /apis/dashboard.grafana.app/v2/... instead`.
fn new_address(body: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(body).ok()?;
    let message = message["message"].as_str()?;
    let begin = message.find(NEW_API)?;
    let path = message[begin..].split_whitespace().next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    path.chars().all(plain).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_new_address_and_nothing_else_is_followed() {
        let body = r#"{"message":"dashboard api version not supported, use /apis/dashboard.grafana.app/v2/namespaces/default/dashboards/x instead"}"#;
        assert_eq!(
            new_address(body).as_deref(),
            Some("/apis/dashboard.grafana.app/v2/namespaces/default/dashboards/x")
        );
        assert_eq!(new_address(r#"{"message":"use http://elsewhere/x"}"#), None);
        assert_eq!(
            new_address(r#"{"message":"use /apis/dashboard.grafana.app/?a=b"}"#),
            None
        );
        assert_eq!(new_address("<html>"), None);
    }

    #[test]
    fn addresses_without_a_login_only() {
        let login = || Login::Token("SECRET".to_owned());
        assert!(Grafana::new("http://127.0.0.1:3001/", login()).is_ok());
        for bad in [
            "https://grafana.example.org",
            "http://admin:SECRET@host",
            "http://",
            "ftp://x",
        ] {
            let error = Grafana::new(bad, login()).unwrap_err();
            assert!(error.downcast_ref::<BadInput>().is_some(), "{bad}");
            assert!(!format!("{error:?}").contains("SECRET"));
        }
        assert!(!format!("{:?}", Grafana::new("http://h", login()).unwrap()).contains("SECRET"));
    }
}
