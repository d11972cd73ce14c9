//! What goes wrong with a node. Nothing here shows a URL, a header or another secret, in `Display` or in `Debug`.

use std::{error::Error as StdError, fmt, io, time::Duration};

use tokio_rustls::rustls;

use crate::{
    class::Class,
    comet_tx::TxRefusal,
    jsonrpc::ErrorObject,
    malformed::Malformed,
    tls_reason::{tls_end, tls_reason},
};

/// Part of a connect that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectPhase {
    /// The host's name was looked up.
    Dns,
    /// A TCP connection was opened.
    Tcp,
    /// TLS was agreed on.
    Tls,
    /// HTTP/2 was begun: the node's settings were waited for.
    Http2,
    /// The proxy's name was looked up.
    ProxyDns,
    /// A TCP connection to the proxy was opened.
    ProxyTcp,
    /// TLS was agreed on with the proxy.
    ProxyTls,
    /// The proxy was asked for a way to the node (`CONNECT`).
    ProxyTunnel,
}

impl ConnectPhase {
    /// The same on the way to the proxy.
    const fn at_proxy(self) -> Self {
        match self {
            Self::Dns => Self::ProxyDns,
            Self::Tcp => Self::ProxyTcp,
            Self::Tls => Self::ProxyTls,
            other => other,
        }
    }
}

impl fmt::Display for ConnectPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Http2 => "HTTP/2",
            Self::ProxyDns => "proxy DNS",
            Self::ProxyTcp => "proxy TCP",
            Self::ProxyTls => "proxy TLS",
            Self::ProxyTunnel => "proxy CONNECT",
        })
    }
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A part of the connect.
    Connect(ConnectPhase),
    /// From writing the request to the last byte of the answer.
    Response,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(phase) => write!(f, "connect ({phase})"),
            Self::Response => f.write_str("response"),
        }
    }
}

/// How far a request got on a connection that broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Nothing of it was written: the node never saw it.
    Unsent,
    /// It was written at least in part, and nothing of an answer had come.
    Sent,
    /// The answer had begun.
    Answering,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsent => "before the request was sent",
            Self::Sent => "before an answer came",
            Self::Answering => "in the middle of the answer",
        })
    }
}

/// A JSON-RPC error with what HTTP said beside it.
#[derive(Clone, Debug)]
pub struct RpcFailure {
    /// The node's error.
    pub object: ErrorObject,
    /// HTTP status that it came with, often 200.
    pub status: u16,
    /// The pause that the answer asked for, at most [`MAX_RETRY_AFTER`](crate::MAX_RETRY_AFTER).
    pub retry_after: Option<Duration>,
}

/// What goes wrong with a node. [`classify`](crate::classify) tells what it means to the pool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// No connection came about. `Dns`: check the host's name and this machine's resolver. `Tcp`: the node is down or
    /// a firewall is in between. `Tls`: the reason says which certificate is not accepted; a private CA is added by
    /// [`RpcConfig::extra_ca_pem`](crate::RpcConfig::extra_ca_pem). `Http2`: the node does not speak it; see
    /// [`HttpVersion`](crate::HttpVersion). `Proxy...`: the way to the proxy or through it; see
    /// [`ProxySetting`](crate::ProxySetting).
    #[error("cannot connect ({phase}): {}", reason(.source))]
    Connect {
        /// The part that failed.
        phase: ConnectPhase,
        /// Why.
        source: io::Error,
    },
    /// The proxy did not open a way to the node. 407: user name and password in the proxy's URL are missing or wrong.
    /// 403: its rules forbid the node's host or port. 502 to 504: it cannot reach the node.
    #[error("the proxy does not connect to the node: HTTP status {status}{}", proxy_hint(*.status))]
    ProxyRefused {
        /// The proxy's answer.
        status: u16,
    },
    /// Something took too long. The connection, if there was one, is not used again.
    #[error("{phase} took longer than {after:?}{}", timeout_hint(*.phase))]
    Timeout {
        /// What took too long.
        phase: Phase,
        /// The limit that was passed.
        after: Duration,
    },
    /// The connection broke.
    #[error("connection broke {progress}: {}", .source.as_ref().map_or_else(|| "it is closed".to_owned(), |e| reason(e)))]
    Transport {
        /// How far the request had got.
        progress: Progress,
        /// Whether the connection had served a request before. Then a close before any answer is as good as always
        /// the node's keep-alive time-out, and says nothing about its health. Nor does the end of a connection on which it
        /// has said goodbye (GOAWAY).
        reused: bool,
        /// Why; `None` when the connection was found closed.
        source: Option<hyper::Error>,
    },
    /// An HTTP error status without a JSON-RPC answer. For 401, 403 and 404 check key and path of the URL.
    #[error("HTTP status {status} without a JSON-RPC answer")]
    HttpStatus {
        /// The status.
        status: u16,
        /// The pause that the answer asked for, at most [`MAX_RETRY_AFTER`](crate::MAX_RETRY_AFTER).
        retry_after: Option<Duration>,
    },
    /// The answer is larger than [`RpcConfig::max_response_bytes`](crate::RpcConfig::max_response_bytes). Ask for
    /// less (a smaller block range), or raise the limit.
    #[error("answer is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The answer is not what the protocol allows. The node or something before it is broken.
    #[error("malformed answer: {0}")]
    Malformed(#[from] Malformed),
    /// The node answered with a JSON-RPC error; [`Class`] sorts it.
    #[error("{}", .0.object)]
    Rpc(Box<RpcFailure>),
    /// CometBFT's application refused a transaction inside a successful answer. Only [`RpcCall`](crate::RpcCall) and
    /// whoever asks [`TxRefusal::in_result`] look for it; [`RpcConn`](crate::RpcConn) hands over results as they are.
    #[error("{0}")]
    TxRefused(Box<TxRefusal>),
}

impl RpcError {
    /// The node's JSON-RPC error, if that is what it is.
    pub fn object(&self) -> Option<&ErrorObject> {
        match self {
            Self::Rpc(failure) => Some(&failure.object),
            _ => None,
        }
    }

    /// What the node said, sorted; `None` when it said nothing that could be.
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Rpc(failure) => Some(failure.object.class()),
            Self::TxRefused(refusal) => Some(refusal.class()),
            _ => None,
        }
    }

    /// Whether a node refused a transaction because it has that very transaction already: to who sent it a success.
    pub fn is_duplicate_tx(&self) -> bool {
        self.class() == Some(Class::AlreadyKnown)
    }

    /// Whether the node's error holds these words, in lower case.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.object().is_some_and(|object| object.says(words))
    }

    /// What went wrong on the way to the proxy.
    pub(crate) fn at_proxy(self) -> Self {
        match self {
            Self::Connect { phase, source } => Self::Connect {
                phase: phase.at_proxy(),
                source,
            },
            Self::Timeout {
                phase: Phase::Connect(phase),
                after,
            } => Self::Timeout {
                phase: Phase::Connect(phase.at_proxy()),
                after,
            },
            other => other,
        }
    }

    /// A connection that was found closed before anything was sent on it.
    pub(crate) const fn closed(reused: bool) -> Self {
        Self::Transport {
            progress: Progress::Unsent,
            reused,
            source: None,
        }
    }
}

const fn proxy_hint(status: u16) -> &'static str {
    match status {
        407 => " (it wants other credentials)",
        403 => " (its rules forbid it)",
        502..=504 => " (it cannot reach the node)",
        _ => "",
    }
}

/// What a time-out may mean, where that is not plain.
const fn timeout_hint(phase: Phase) -> &'static str {
    match phase {
        Phase::Connect(ConnectPhase::Tls) => "; does the node speak TLS on this port?",
        _ => "",
    }
}

/// The cause in a few words: what an operator needs to see in one line, without the chain.
fn reason(error: &(dyn StdError + 'static)) -> String {
    let mut next = Some(error);
    let mut best = error;
    if let (true, Some(source)) = (error.is::<hyper::Error>(), error.source()) {
        // hyper itself says "http2 error" or "operation was canceled" alone.
        best = source;
    }
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return tls_reason(tls);
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            // An io::Error hands out its payload's source, not the payload.
            match io.get_ref() {
                Some(inner) => return tls_end(reason(inner)),
                None => return io.kind().to_string(),
            }
        }
        next = error.source();
    }
    best.to_string()
}
