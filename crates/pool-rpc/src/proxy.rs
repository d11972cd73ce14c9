//! Which proxy leads to a node, if any.

use std::{fmt, net::IpAddr};

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use crate::{config::ConfigError, secret::Secret, url::EndpointUrl};

const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NO: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Whether a node is reached through an HTTP proxy.
///
/// A node with `https` is reached through a tunnel (`CONNECT`), so the proxy sees its host and port and nothing else; so
/// is one with [`Http2PriorKnowledge`](crate::HttpVersion::Http2PriorKnowledge). A node with `http` is asked for by its
/// whole URL: the proxy sees everything. User information in the proxy's URL becomes `Proxy-Authorization: Basic` and is
/// never shown. The proxy itself may have an `https` URL. Other kinds (`socks5://`) are refused.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxySetting(Setting);

#[derive(Clone, PartialEq, Eq)]
enum Setting {
    Environment(Vec<(&'static str, Secret)>),
    None,
    Explicit(EndpointUrl),
}

impl ProxySetting {
    /// What the process's environment says now; the default. See [`from_lookup`](Self::from_lookup).
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// What these environment variables say:
    ///
    /// * `HTTPS_PROXY` for nodes with `https`, `HTTP_PROXY` for nodes with `http`, `ALL_PROXY` where the other is not set:
    ///   `http://[user:password@]host[:port]`, where `http://` may be left out. The port is 80 by default, 443 for
    ///   `https://`.
    /// * `NO_PROXY`: hosts that are reached directly, separated by commas: names with all their subdomains, addresses,
    ///   networks (`10.0.0.0/8`), `*` for all. `localhost` and loopback addresses always are.
    ///
    /// Lower case counts where upper case is not set, and an empty variable counts as not set. `HTTP_PROXY` is not
    /// believed where `REQUEST_METHOD` is set: in a CGI program it comes from a request's header.
    ///
    /// A value that is no proxy's URL is an error when the endpoint is made ([`ConfigError::Proxy`]).
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let is_cgi = lookup("REQUEST_METHOD").is_some();
        let read = |name: &'static str| {
            let value = lookup(name).filter(|value| !value.trim().is_empty());
            let believed = !(is_cgi && name == HTTP[0]);
            value.filter(|_| believed).map(|value| (name, Secret::new(value)))
        };
        let names = [HTTP, HTTPS, ALL, NO];
        Self(Setting::Environment(
            names.into_iter().flatten().filter_map(read).collect(),
        ))
    }

    /// No proxy, whatever the environment says.
    pub const fn none() -> Self {
        Self(Setting::None)
    }

    /// This proxy for all nodes, whatever the environment says.
    pub const fn explicit(proxy: EndpointUrl) -> Self {
        Self(Setting::Explicit(proxy))
    }

    /// The proxy that leads to a node.
    pub(crate) fn resolve(&self, node: &EndpointUrl) -> Result<Option<EndpointUrl>, ConfigError> {
        let variables = match &self.0 {
            Setting::None => return Ok(None),
            Setting::Explicit(proxy) => return Ok(Some(proxy.clone())),
            Setting::Environment(variables) => variables,
        };
        let find = |names: [&str; 2]| {
            let mut found = names
                .into_iter()
                .filter_map(|name| variables.iter().find(|(known, _)| *known == name));
            found.next()
        };
        let own = if node.is_https() { HTTPS } else { HTTP };
        let Some((variable, value)) = find(own).or_else(|| find(ALL)) else {
            return Ok(None);
        };
        let exceptions = find(NO).map_or("", |(_, value)| value.expose());
        if is_loopback(node.host()) || is_excepted(node, exceptions) {
            return Ok(None);
        }
        let value = value.expose().trim();
        let parsed = if value.contains("://") {
            value.parse()
        } else {
            format!("http://{value}").parse()
        };
        let wrong = |reason| ConfigError::Proxy { variable, reason };
        parsed.map(Some).map_err(wrong)
    }
}

/// A proxy is elsewhere: it cannot reach what listens here alone.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_excepted(node: &EndpointUrl, exceptions: &str) -> bool {
    let matcher = Matcher::builder()
        .all("http://proxy.invalid")
        .no(exceptions)
        .build();
    let node = format!("http://{}/", node.authority()).parse::<Uri>();
    node.is_ok_and(|node| matcher.intercept(&node).is_none())
}

impl Default for ProxySetting {
    fn default() -> Self {
        Self::from_env()
    }
}

impl fmt::Debug for ProxySetting {
    /// Shows the names of variables and the host of a proxy, no value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Setting::None => f.write_str("None"),
            Setting::Explicit(proxy) => f.debug_tuple("Explicit").field(proxy).finish(),
            Setting::Environment(variables) => {
                let names: Vec<_> = variables.iter().map(|(name, _)| *name).collect();
                f.debug_tuple("Environment").field(&names).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::UrlError;

    fn environment(variables: &[(&str, &str)]) -> ProxySetting {
        ProxySetting::from_lookup(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    /// Host and port of the proxy to a node.
    fn proxy(variables: &[(&str, &str)], node: &str) -> Option<String> {
        let proxy = environment(variables).resolve(&node.parse().unwrap()).unwrap();
        proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn variables_are_found_by_scheme_and_case() {
        let (http, https) = ("http://node.example", "https://node.example");
        let both = [
            ("HTTP_PROXY", "http://plain:1"),
            ("https_proxy", "http://secure:2"),
        ];
        assert_eq!(proxy(&both, http).as_deref(), Some("plain:1"));
        assert_eq!(proxy(&both, https).as_deref(), Some("secure:2"));
        assert_eq!(proxy(&both[..1], https), None);
        let all = [("ALL_PROXY", "all:3"), ("HTTPS_PROXY", " https://secure ")];
        assert_eq!(proxy(&all, http).as_deref(), Some("all:3"));
        assert_eq!(proxy(&all, https).as_deref(), Some("secure:443"));
        let cases = [("https_proxy", "lower"), ("HTTPS_PROXY", "upper")];
        assert_eq!(proxy(&cases, https).as_deref(), Some("upper:80"));
        let empty = [("HTTPS_PROXY", ""), ("https_proxy", "lower")];
        assert_eq!(proxy(&empty, https).as_deref(), Some("lower:80"));
        let cgi = [("HTTP_PROXY", "evil"), ("REQUEST_METHOD", "GET")];
        assert_eq!(proxy(&cgi, http), None);
        assert_eq!(proxy(&[], http), None);
    }

    #[test]
    fn exceptions_are_reached_directly() {
        for (exceptions, node, direct) in [
            ("", "node.example", false),
            ("node.example", "node.example", true),
            ("example", "node.example", true),
            (".example", "node.example:8545", true),
            ("ode.example", "node.example", false),
            ("a.b, NODE.example ,c", "node.example", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("fd00::/8", "[fd00::1]:8545", true),
            ("*", "node.example", true),
            ("", "127.0.0.9:8545", true),
            ("", "[::1]", true),
            ("", "LOCALHOST:1", true),
            ("", "node.localhost", true),
        ] {
            for name in ["NO_PROXY", "no_proxy"] {
                let variables = [("ALL_PROXY", "proxy:1"), (name, exceptions)];
                let found = proxy(&variables, &format!("http://{node}/"));
                assert_eq!(found.is_none(), direct, "{node} with {exceptions:?}");
            }
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_by_name_and_never_shown() {
        let node: EndpointUrl = "https://node.example".parse().unwrap();
        for (value, reason) in [
            ("socks5://SECRET:SECRET@proxy:1080", UrlError::Scheme),
            ("http://SECRET:SECRET@proxy:99999", UrlError::Port),
            ("http://SECRET SECRET", UrlError::Invalid),
        ] {
            let setting = environment(&[("all_proxy", value)]);
            let error = setting.resolve(&node).unwrap_err();
            let variable = "all_proxy";
            assert_eq!(error, ConfigError::Proxy { variable, reason });
            let shown = format!("{error} {error:?} {setting:?}");
            assert!(
                shown.contains("all_proxy") && !shown.contains("SECRET"),
                "{shown}"
            );
        }
        let explicit = ProxySetting::explicit("http://SECRET:SECRET@proxy:1".parse().unwrap());
        assert_eq!(format!("{explicit:?}"), "Explicit(http://proxy:1/…)");
        assert!(
            explicit
                .resolve(&"http://localhost".parse().unwrap())
                .unwrap()
                .is_some()
        );
        assert_eq!(ProxySetting::none().resolve(&node), Ok(None));
    }
}
