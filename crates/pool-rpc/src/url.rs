//! The address of a node, which is a secret.

use std::{borrow::Cow, fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Uri;
use percent_encoding::percent_decode_str;

use crate::{redact::Redactor, secret::Secret};

/// Why a URL was refused. Never shows the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is not a URL. Look for blanks, quotes, characters that need percent-encoding or a port above 65535.
    #[error("not a valid URL; expected http://host[:port]/path or https://host[:port]/path")]
    Invalid,
    /// Only `http` and `https` are supported.
    #[error("the URL's scheme must be http or https")]
    Scheme,
    /// It names no host.
    #[error("the URL names no host")]
    NoHost,
    /// The port is not a number from 1 to 65535.
    #[error("the URL's port must be a number from 1 to 65535")]
    Port,
    /// It has a fragment (`#...`), which is never sent. Encode a `#` that belongs to a key as `%23`.
    #[error("the URL must not have a fragment (#...); write a # that belongs to a key as %23")]
    Fragment,
}

/// The URL of a node: `http` or `https`, a host, perhaps a port, path, query and user information.
///
/// Providers put API keys into the path, the query or the user information, so none of these is ever shown:
/// `Debug` and `Display` print `https://host:port/…`. The host is shown; an operator must be able to tell nodes
/// apart. User information becomes an `Authorization: Basic` header.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EndpointUrl {
    https: bool,
    host: Box<str>,
    port: u16,
    path_and_query: Secret,
    user_info: Option<Secret>,
}

impl EndpointUrl {
    /// Whether TLS is spoken.
    pub const fn is_https(&self) -> bool {
        self.https
    }

    /// Name or address of the host; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port; where the URL names none, 80 for `http` and 443 for `https`.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What follows the host, from the slash on.
    pub(crate) fn path_and_query(&self) -> &str {
        self.path_and_query.expose()
    }

    /// Value of the `Host` header.
    pub(crate) fn authority(&self) -> String {
        if self.port == default_port(self.https) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Host and port, whichever the port.
    pub(crate) fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Value of the `Authorization` header that the user information asks for.
    pub(crate) fn basic_auth(&self) -> Option<Secret> {
        let info = self.user_info.as_ref()?.expose();
        let (user, password) = info.split_once(':').unwrap_or((info, ""));
        let mut plain: Vec<u8> = percent_decode_str(user).collect();
        plain.push(b':');
        plain.extend(percent_decode_str(password));
        Some(Secret::new(format!("Basic {}", STANDARD.encode(plain))))
    }

    /// Tells the redactor each part that may be a key, as written and decoded.
    pub(crate) fn redact_into(&self, redactor: &mut Redactor) {
        let info = self.user_info.as_ref().map_or("", Secret::expose);
        redactor.add(info);
        redactor.add(self.path_and_query());
        let parts = info
            .split(':')
            .chain(self.path_and_query().split(['/', '?', '&', '=']));
        for part in parts {
            redactor.add(part);
            if let Cow::Owned(decoded) = percent_decode_str(part).decode_utf8_lossy() {
                redactor.add(&decoded);
            }
        }
    }
}

const fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

impl FromStr for EndpointUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.contains('#') {
            return Err(UrlError::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Invalid)?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(UrlError::Scheme),
            None => return Err(UrlError::Invalid),
        };
        let authority = uri.authority().ok_or(UrlError::NoHost)?;
        let (user_info, host_port) = match authority.as_str().rsplit_once('@') {
            Some((info, rest)) => (Some(Secret::new(info)), rest),
            None => (None, authority.as_str()),
        };
        let host = authority.host();
        if host.is_empty() || host == "[]" {
            return Err(UrlError::NoHost);
        }
        let port = match host_port.strip_prefix(host) {
            None => return Err(UrlError::Invalid),
            Some("") => default_port(https),
            Some(port) => match port.strip_prefix(':').and_then(|port| port.parse().ok()) {
                None | Some(0) => return Err(UrlError::Port),
                Some(port) => port,
            },
        };
        let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
        let path_and_query = if path_and_query.starts_with('/') {
            path_and_query.to_owned()
        } else {
            format!("/{path_and_query}")
        };
        Ok(Self {
            https,
            host: host.into(),
            port,
            path_and_query: Secret::new(path_and_query),
            user_info,
        })
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())?;
        if self.path_and_query() == "/" && self.user_info.is_none() {
            Ok(())
        } else {
            f.write_str("/…")
        }
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> EndpointUrl {
        text.parse().unwrap()
    }

    #[test]
    fn parts_are_found() {
        let plain = url("http://localhost:8545");
        assert_eq!(
            (plain.is_https(), plain.host(), plain.port()),
            (false, "localhost", 8545)
        );
        assert_eq!(
            (plain.path_and_query(), plain.authority().as_str()),
            ("/", "localhost:8545")
        );
        assert_eq!(plain.basic_auth(), None);

        let full = url("https://us%40er:p%3Ass@[::1]:8443/v2/SECRETKEY?key=SECRETKEY");
        assert_eq!((full.is_https(), full.host(), full.port()), (true, "::1", 8443));
        assert_eq!(full.authority(), "[::1]:8443");
        assert_eq!(full.path_and_query(), "/v2/SECRETKEY?key=SECRETKEY");
        let expected = format!("Basic {}", STANDARD.encode("us@er:p:ss"));
        assert_eq!(
            full.basic_auth().map(|secret| secret.expose().to_owned()),
            Some(expected)
        );

        assert_eq!(url("https://node.example").port(), 443);
        assert_eq!(url("https://node.example:443/").authority(), "node.example");
        assert_eq!(url("https://node.example?key=a").path_and_query(), "/?key=a");
    }

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        let full = url("https://SECRETKEY:SECRETKEY@node.example:8443/SECRETKEY?k=SECRETKEY");
        assert_eq!(
            format!("{full} {full:?}"),
            "https://node.example:8443/… https://node.example:8443/…"
        );
        assert_eq!(url("http://node.example/").to_string(), "http://node.example");
    }

    #[test]
    fn bad_urls_are_refused_without_showing_them() {
        for (text, expected) in [
            ("", UrlError::Invalid),
            ("node.example/SECRETKEY", UrlError::Invalid),
            ("/SECRETKEY", UrlError::Invalid),
            ("wss://node.example/SECRETKEY", UrlError::Scheme),
            ("https:///SECRETKEY", UrlError::Invalid),
            ("https://:443/SECRETKEY", UrlError::NoHost),
            ("https://SECRETKEY@/", UrlError::Invalid),
            ("https://node.example:0/SECRETKEY", UrlError::Port),
            ("https://node.example:70000/SECRETKEY", UrlError::Port),
            ("https://node.example/SECRET KEY", UrlError::Invalid),
            ("https://node.example/#SECRETKEY", UrlError::Fragment),
        ] {
            let error = text.parse::<EndpointUrl>().unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!format!("{error} {error:?}").contains("SECRET"));
        }
    }

    #[test]
    fn every_part_that_may_be_a_key_is_redacted() {
        let mut redactor = Redactor::default();
        url("https://USERSECRET:PASS%2DSECRET@h/PATHSECRET/x?key=QUERYSECRET").redact_into(&mut redactor);
        let said = "USERSECRET PASS%2DSECRET PASS-SECRET PATHSECRET QUERYSECRET";
        assert_eq!(redactor.clean(said.to_owned()), "*** *** *** *** ***");
    }
}
