//! Which methods an endpoint is asked for.

use crate::config::ConfigError;

/// Methods that go together, under a name that no method has.
const GROUPS: [(&str, &[&str]); 4] = [
    // what as a rule only an archive node answers
    (
        "archive",
        &[
            "arbtrace_*",
            "debug_storageRangeAt",
            "debug_trace*",
            "erigon_*",
            "ots_*",
            "trace_*",
        ],
    ),
    ("debug", &["debug_*"]),
    (
        "logs",
        &[
            "block_search",
            "eth_getFilterLogs",
            "eth_getLogs",
            "eth_newFilter",
            "tx_search",
        ],
    ),
    ("trace", &["arbtrace_*", "debug_trace*", "trace_*"]),
];

/// Which methods an endpoint is asked for: by default all.
///
/// A pattern is the name of a method (`eth_getLogs`), a beginning and `*` (`trace_*`, or `*` alone), or one of the groups
/// `archive`, `debug`, `logs` and `trace`. A method is asked for if it is allowed (or nothing is said of what is allowed)
/// and not denied. A batch goes only to endpoints that are asked for all of its methods.
///
/// Besides, an endpoint that answers "method not found" is not asked for that method for a while
/// (`PoolConfig::lacks_for`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MethodRules {
    allowed: Vec<Pattern>,
    denied: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Name(Box<str>),
    Beginning(Box<str>),
    Group(&'static [&'static str]),
}

impl MethodRules {
    /// All methods.
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows these, and what is not allowed any more is denied. Adds to what was allowed before.
    ///
    /// # Errors
    /// [`ConfigError::MethodPattern`] when one is neither a name, a beginning with `*` nor a group.
    pub fn allow(mut self, patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        for pattern in patterns {
            self.allowed.push(Pattern::parse(pattern.as_ref())?);
        }
        Ok(self)
    }

    /// Denies these, whatever is allowed. Adds to what was denied before.
    ///
    /// # Errors
    /// As [`allow`](Self::allow).
    pub fn deny(mut self, patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        for pattern in patterns {
            self.denied.push(Pattern::parse(pattern.as_ref())?);
        }
        Ok(self)
    }

    /// Whether the method is asked for.
    pub fn offer(&self, method: &str) -> bool {
        let among = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.fits(method));
        (self.allowed.is_empty() || among(&self.allowed)) && !among(&self.denied)
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        if let Some((_, methods)) = GROUPS.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Group(methods));
        }
        let (name, is_beginning) = match text.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (text, false),
        };
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain || text.is_empty() {
            let pattern = text.chars().take(64).collect();
            return Err(ConfigError::MethodPattern { pattern });
        }
        Ok(if is_beginning {
            Self::Beginning(name.into())
        } else {
            Self::Name(name.into())
        })
    }

    fn fits(&self, method: &str) -> bool {
        match self {
            Self::Name(name) => method == &**name,
            Self::Beginning(beginning) => method.starts_with(&**beginning),
            Self::Group(methods) => methods.iter().any(|one| match one.strip_suffix('*') {
                Some(beginning) => method.starts_with(beginning),
                None => method == *one,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_denied_and_the_rest_as_allowed() {
        let all = MethodRules::new();
        assert!(all.offer("anything"));
        let some = MethodRules::new()
            .allow(["eth_*", "net_version", "logs"])
            .unwrap()
            .deny(["eth_send*", "trace"])
            .unwrap();
        for (method, offered) in [
            ("eth_call", true),
            ("net_version", true),
            ("net_versions", false),
            ("tx_search", true),
            ("eth_sendRawTransaction", false),
            ("trace_block", false),
            ("web3_clientVersion", false),
        ] {
            assert_eq!(some.offer(method), offered, "{method}");
        }
        assert!(!MethodRules::new().deny(["*"]).unwrap().offer("eth_call"));
    }

    #[test]
    fn groups_hold_what_they_say() {
        for (group, inside, outside) in [
            ("archive", "trace_block", "eth_getBalance"),
            ("archive", "debug_traceCall", "debug_getRawBlock"),
            ("debug", "debug_getRawBlock", "trace_block"),
            ("trace", "debug_traceCall", "debug_getRawBlock"),
            ("logs", "eth_getLogs", "eth_getBlockByNumber"),
        ] {
            let rules = MethodRules::new().deny([group]).unwrap();
            assert!(!rules.offer(inside) && rules.offer(outside), "{group}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", "eth_*Logs", "eth-call", "eth call", "**", "^eth"] {
            let error = MethodRules::new().deny([bad]).unwrap_err();
            assert_eq!(
                error,
                ConfigError::MethodPattern {
                    pattern: bad.to_owned()
                }
            );
        }
    }
}
