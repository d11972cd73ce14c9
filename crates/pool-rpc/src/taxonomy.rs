//! What each error means to the pool: whose fault, retry or not, what to hold against the node.
//!
//! The payload is judged before the status line: a JSON-RPC error keeps its meaning whatever status it came with, and
//! only where its own words say nothing does the status decide.

use pool_core::{ErrorType, Verdict};

use crate::{
    class::Class,
    error::{ConnectPhase, Phase, Progress, RpcError, RpcFailure},
    jsonrpc::ErrorObject,
    retry_after::backoff_in_data,
    rules::RULES,
};

/// Of data that is text (CometBFT puts the real message there) only so much is read.
const DATA_READ: usize = 1024;

impl ErrorObject {
    /// What the error says: the first matching row of the table, else [`Class::Unknown`].
    pub fn class(&self) -> Class {
        self.row().map_or(Class::Unknown, |row| RULES[row].class)
    }

    /// Index of the matching row.
    pub(crate) fn row(&self) -> Option<usize> {
        let message = self.message.trim().to_lowercase();
        let detail = self.detail();
        let holds = |word: &&str| match word.strip_prefix('^') {
            Some(start) => message.starts_with(start) || detail.starts_with(start),
            None => message.contains(*word) || detail.contains(*word),
        };
        let matches = |codes: &[i64], words: &[&str]| {
            (codes.is_empty() || codes.contains(&self.code)) && (words.is_empty() || words.iter().any(holds))
        };
        RULES.iter().position(|rule| matches(rule.codes, rule.words))
    }

    /// Whether message or data hold these words, in lower case.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.message.to_lowercase().contains(words) || self.detail().contains(words)
    }

    /// Whether what is not supported is the method itself. A block tag or parameter that a node does not support, or a
    /// plan that does not cover old blocks, says nothing of the method's other uses.
    fn lacks_method(&self) -> bool {
        matches!(self.code, -32601 | -32004) || self.says("method")
    }

    /// Data that is a short text, in lower case.
    fn detail(&self) -> String {
        let Some(data) = self
            .data
            .as_ref()
            .map(|data| data.get())
            .filter(|data| data.len() <= DATA_READ)
        else {
            return String::new();
        };
        serde_json::from_str::<String>(data)
            .unwrap_or_default()
            .trim()
            .to_lowercase()
    }
}

/// Whether a node refused a transaction because it has that very transaction already. To who sent it that is a
/// success: an earlier attempt, perhaps through another node, got through.
pub fn is_duplicate_tx(error: &ErrorObject) -> bool {
    error.class() == Class::AlreadyKnown
}

/// What an error means to the pool.
///
/// | error | class | elsewhere? | here? | breaker? | connection kept? |
/// | --- | --- | --- | --- | --- | --- |
/// | connect | connect | yes | yes, except TLS and HTTP/2 | yes | - |
/// | proxy refuses | connect | yes | 5xx only | yes | - |
/// | time-out | timeout (while connecting: connect) | yes | no | yes | no |
/// | connection broke | transport | yes | yes | yes, except an idle connection that the node closed | no |
/// | HTTP 429 | rate_limited, for `Retry-After` or 1 s | yes | no | no | yes |
/// | HTTP 401, 402, 403, 407 | unauthorized | yes | no | yes | yes |
/// | HTTP 408 | timeout | yes | no | yes | no |
/// | HTTP 413 | invalid_request | yes | no | no | yes |
/// | other HTTP | http_status | yes | no | yes | yes |
/// | answer too large | local | no | no | no | no |
/// | malformed answer | malformed | yes | no | yes | no |
/// | JSON-RPC error, refused transaction | see [`Class`] | | | | yes |
pub fn classify(error: &RpcError) -> Verdict {
    match error {
        RpcError::Connect { phase, .. } => {
            let lasting = matches!(
                phase,
                ConnectPhase::Tls | ConnectPhase::ProxyTls | ConnectPhase::Http2
            );
            Verdict::of(ErrorType::Connect).with_retry_here(!lasting)
        }
        // what its rules or our credentials forbid now, they forbid the next time
        RpcError::ProxyRefused { status } => Verdict::of(ErrorType::Connect).with_retry_here(*status >= 500),
        RpcError::Timeout {
            phase: Phase::Connect(_),
            ..
        } => Verdict::of(ErrorType::Connect).with_retry_here(false),
        RpcError::Timeout {
            phase: Phase::Response,
            ..
        } => Verdict::of(ErrorType::Timeout),
        RpcError::Transport { progress, reused, .. } => {
            let idle_close = *reused && *progress != Progress::Answering;
            Verdict::of(ErrorType::Transport)
                .with_maybe_executed(*progress != Progress::Unsent)
                .with_counts_for_breaker(!idle_close)
        }
        RpcError::HttpStatus { status, .. } => of_status(error, *status),
        // The limit is ours: no other node would send less.
        RpcError::TooLarge { .. } => Verdict::of(ErrorType::Local).with_keep_connection(false),
        RpcError::Malformed(_) => Verdict::of(ErrorType::Malformed),
        RpcError::Rpc(failure) => of_failure(failure),
        RpcError::TxRefused(refusal) => refusal.class().verdict(None),
    }
}

fn of_status(error: &RpcError, status: u16) -> Verdict {
    let RpcError::HttpStatus { retry_after, .. } = error else {
        return Verdict::of(ErrorType::HttpStatus);
    };
    match status {
        429 => Class::RateLimited.verdict(*retry_after),
        401..=403 | 407 => Class::Unauthorized.verdict(None).with_throttle(*retry_after),
        408 => Verdict::of(ErrorType::Timeout),
        413 => Class::InvalidRequest.verdict(None).with_retry_elsewhere(true),
        _ => Verdict::of(ErrorType::HttpStatus).with_throttle(*retry_after),
    }
}

fn of_failure(failure: &RpcFailure) -> Verdict {
    let class = match (failure.object.class(), failure.status) {
        (Class::Unknown | Class::Internal, 429) => Class::RateLimited,
        (Class::Unknown | Class::Internal, 401..=403) => Class::Unauthorized,
        (class, _) => class,
    };
    let hint = failure.object.data.as_deref().and_then(backoff_in_data);
    let lacks = class == Class::Unsupported && failure.object.lacks_method();
    class.verdict(failure.retry_after.or(hint)).with_lacks(lacks)
}

#[cfg(test)]
#[path = "taxonomy_tests.rs"]
mod tests;
