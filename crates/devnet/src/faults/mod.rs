//! Everything a node can be told to do wrong.

mod capacity;
mod decide;
mod latency;
mod quota;
mod validate;

pub(crate) use capacity::Works;
pub(crate) use decide::{CallFault, Kind, Plan, Reply, decide};
pub use latency::{Delay, Latency, Tail};
pub(crate) use quota::Bucket;
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use validate::InvalidFaults;

/// A node's misbehaviour. The default is none; each field switches one fault on, and they combine.
///
/// # Which fault wins
/// For every HTTP request, in this order:
///
/// 0. [`capacity`](Self::capacity) lets it wait for its turn, or refuses it.
/// 1. [`latency`](Self::latency) delays whatever comes next, be it an answer or a reset.
/// 2. [`reset`](Self::reset), then [`hang`](Self::hang): there is no answer at all.
/// 3. [`quota`](Self::quota), then [`too_many_requests`](Self::too_many_requests), then the first of
///    [`http_errors`](Self::http_errors) that hits decide the HTTP status.
/// 4. For each call of the request: the first of [`rpc_errors`](Self::rpc_errors) that hits replaces the result,
///    otherwise it is computed with the false head, chain id and sync state; then [`wrong_id`](Self::wrong_id).
/// 5. [`garbage`](Self::garbage) replaces the body and [`truncate`](Self::truncate) cuts it, whatever the status.
///
/// [`close_after`](Self::close_after) acts once the answer is written; [`refuse`](Self::refuse) and
/// [`tls_handshake`](Self::tls_handshake) on connections that aren't open yet. A fault limited to methods ([`When::methods`]) hits a batch when any of its calls is
/// one of them; steps 4's faults look at each call alone.
///
/// In JSON the field names are the keys; one that is absent is off, and unknown keys are refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Works on so many requests at once.
    pub capacity: Option<Capacity>,
    /// Answers late.
    pub latency: Option<Latency>,
    /// Closes the connection with a TCP RST instead of answering; whatever else an HTTP/2 connection carries goes with it.
    pub reset: Option<When>,
    /// Reads the request and never answers. A request that hangs goes on hanging when the fault is lifted, until
    /// its connection closes.
    pub hang: Option<When>,
    /// Serves a number of calls per second and answers 429 beyond it.
    pub quota: Option<Quota>,
    /// Answers 429 by chance, as a provider whose limit is shared with others.
    pub too_many_requests: Option<TooManyRequests>,
    /// Answers with an HTTP error status.
    pub http_errors: Vec<HttpError>,
    /// Answers a call with a JSON-RPC error, HTTP 200.
    pub rpc_errors: Vec<RpcError>,
    /// Answers a call under an id that wasn't asked.
    pub wrong_id: Option<When>,
    /// Answers with a body that is no JSON.
    pub garbage: Option<Garbage>,
    /// Cuts the body short and closes the connection; with HTTP/2 the stream alone.
    pub truncate: Option<Truncate>,
    /// Closes each connection after this many answers on it, without announcing it. At least 1. An HTTP/2 connection is
    /// closed by GOAWAY, once what is under way is answered.
    pub close_after: Option<u64>,
    /// Closes the listener: new connections are refused, open ones live on.
    pub refuse: bool,
    /// Spoils the TLS handshake of new connections; open ones live on. Only a node with TLS takes it.
    pub tls_handshake: Option<TlsHandshake>,
    /// The head stays where it is at the moment this is set.
    pub frozen_head: bool,
    /// The head is this many blocks behind the chain.
    pub lag_blocks: u64,
    /// Claims a head this many blocks above what it can show.
    pub lie_high_blocks: u64,
    /// Claims to be on this chain.
    pub chain_id: Option<String>,
    /// Says that it is still syncing.
    pub syncing: bool,
}

/// Which requests a fault hits; by default all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Only these methods; empty means all, malformed requests included.
    pub methods: Vec<String>,
    /// How likely it hits, from 0 to 1.
    pub probability: f64,
}

impl Default for When {
    fn default() -> Self {
        Self {
            methods: Vec::new(),
            probability: 1.0,
        }
    }
}

impl When {
    /// Every request.
    pub fn always() -> Self {
        Self::default()
    }

    /// A share of all requests, from 0 to 1.
    pub fn sometimes(probability: f64) -> Self {
        Self {
            probability,
            ..Self::default()
        }
    }

    /// Every request that calls one of these methods.
    pub fn methods<S: Into<String>>(methods: impl IntoIterator<Item = S>) -> Self {
        Self {
            methods: methods.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// See [`Faults::capacity`]. A request takes a slot for as long as [`Faults::latency`] says, which so becomes the time that
/// the node works on it. A client that goes away gives its place back. When the capacity is set anew, what is there already
/// keeps its places in the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// Requests that are worked on at once; at least 1. A batch is one.
    pub slots: u32,
    /// Requests that wait for that, in the order in which they came; one more is answered by 429 at once, without
    /// `Retry-After`. By default none.
    #[serde(default)]
    pub queue: u32,
}

/// See [`Faults::quota`]. A token bucket that is full when the fault is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Calls per second; above 0. Each call of a batch counts.
    pub per_second: f64,
    /// Calls that may come at once; at least 1. One batch larger than this is never served.
    pub burst: f64,
    /// Seconds for `Retry-After`; by default the time until the request would be served, rounded up.
    #[serde(default)]
    pub retry_after_s: Option<u64>,
}

/// See [`Faults::too_many_requests`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TooManyRequests {
    /// Seconds for `Retry-After`; without it the header is absent.
    pub retry_after_s: Option<u64>,
    /// What the body holds.
    pub body: HttpBody,
    /// Which requests.
    pub when: When,
}

/// See [`Faults::http_errors`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpError {
    /// The status, 400 to 599.
    pub status: u16,
    /// What the body holds.
    #[serde(default)]
    pub body: HttpBody,
    /// Which requests.
    #[serde(default)]
    pub when: When,
}

/// The body that comes with an HTTP error status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpBody {
    /// A JSON-RPC error that repeats the status.
    #[default]
    RpcError,
    /// The answer as if nothing were wrong: a gateway's status over a node's good body.
    Answer,
    /// A load balancer's HTML page.
    Html,
    /// Nothing.
    Empty,
}

/// See [`Faults::rpc_errors`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpcError {
    /// The JSON-RPC error code.
    pub code: i64,
    /// The error's message.
    #[serde(default = "default_message")]
    pub message: String,
    /// The error's data, if any.
    #[serde(default)]
    pub data: Option<Value>,
    /// Which calls.
    #[serde(default)]
    pub when: When,
}

impl RpcError {
    /// An error on every call.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
            when: When::always(),
        }
    }
}

fn default_message() -> String {
    "injected error".to_owned()
}

/// See [`Faults::garbage`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Garbage {
    /// The body to send; by default a proxy's HTML page.
    pub body: String,
    /// Which requests.
    pub when: When,
}

impl Default for Garbage {
    fn default() -> Self {
        Self {
            body: "<html><body><h1>upstream connect error</h1></body></html>".to_owned(),
            when: When::always(),
        }
    }
}

/// See [`Faults::truncate`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Truncate {
    /// How the client could know that something is missing.
    pub style: TruncateStyle,
    /// Bytes of the body that are sent; by default half of it.
    pub keep_bytes: Option<u64>,
    /// Which requests.
    pub when: When,
}

/// See [`Truncate::style`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TruncateStyle {
    /// `Content-Length` promises more than comes.
    #[default]
    ContentLength,
    /// A chunked body without its last chunk.
    Chunked,
}

/// See [`Faults::tls_handshake`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsHandshake {
    /// What becomes of the handshake.
    pub style: HandshakeStyle,
    /// How likely it hits a new connection, from 0 to 1; by default every one.
    pub probability: f64,
}

impl Default for TlsHandshake {
    fn default() -> Self {
        Self {
            style: HandshakeStyle::default(),
            probability: 1.0,
        }
    }
}

/// See [`TlsHandshake::style`]. Each takes effect once the client has begun the handshake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeStyle {
    /// Nothing is answered; the connection stays open until the client closes it.
    #[default]
    Hang,
    /// The connection is closed in order.
    Close,
    /// The connection is closed with a TCP RST.
    Reset,
    /// The answer is an HTTP error in plain text, as a web server's that does not expect TLS on this port.
    PlainHttp,
}
