//! The extension point: what the pool needs to know about one remote endpoint.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{Need, Verdict};

/// One remote endpoint: how to connect to it, how to tell whether it works and what its errors mean.
///
/// Two types separate what the network counts from what the pool hands out. A *transport* is the physical connection
/// (`connections_*` count these). A *connection* is one exclusive lane on a transport, and what a caller leases
/// (`slots_*` count these). With HTTP/1.1 the two are one to one; an HTTP/2 or WebSocket transport carries many lanes.
///
/// The trait is generic on purpose, not dyn-compatible: it runs once per request. Pools of mixed kinds use an enum
/// that implements it.
pub trait Endpoint: Send + Sync + 'static {
    /// The physical connection.
    type Transport: Send + Sync + 'static;
    /// One exclusive lane on a transport; what a caller leases.
    type Conn: Send + 'static;
    /// What goes wrong while connecting, checking or working. Its `Display` and `Debug` must never show a URL or
    /// another secret: the pool logs them and puts them into its own errors.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Opens a physical connection.
    ///
    /// Runs in a task of its own that outlives the caller who asked: a connect that is slower than its caller's
    /// deadline still completes, and its result goes to the pool. It is cancelled only by its own time-out
    /// ([`ConnectCx::timeout`], enforced by the pool) or when the pool is dropped.
    fn connect(&self, cx: &ConnectCx) -> impl Future<Output = Result<Self::Transport, Self::Error>> + Send;

    /// How many lanes the transport carries at the most, now. 1 by default: the connection is exclusive. 0 means that
    /// it takes no new lanes and closes when the last one is gone (GOAWAY).
    fn lanes(&self, transport: &Self::Transport) -> u32 {
        let _ = transport;
        1
    }

    /// Opens a lane on a transport. The pool calls it at most [`lanes`](Self::lanes) times concurrently per transport.
    fn open(
        &self,
        transport: &Arc<Self::Transport>,
    ) -> impl Future<Output = Result<Self::Conn, Self::Error>> + Send;

    /// Whether the connection can be handed to the next caller as it is, without a look at the network. `false` sends
    /// it through [`recycle`](Self::recycle).
    fn is_clean(&self, conn: &Self::Conn) -> bool;

    /// Whether the connection outlives a request that was broken off, because its caller went away or its verdict says not
    /// to keep the connection. `false` by default: half a request may be on it, and it is destroyed. An HTTP/2 lane may
    /// say `true`: such a request ends its own stream and leaves nothing behind. The connection is then kept by the same
    /// rules as after a good answer.
    fn survives(&self, conn: &Self::Conn) -> bool {
        let _ = conn;
        false
    }

    /// Makes an idle connection ready for its next caller, or refuses it: then it is destroyed and another is taken.
    /// Called only for connections that are not clean or have been idle for longer than the pool's
    /// `validate_after_idle`.
    fn recycle(
        &self,
        conn: &mut Self::Conn,
        cx: &RecycleCx,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Checks the endpoint's health, on a connection of its own, never on one of the pool's.
    ///
    /// Cancelled by dropping when [`CheckCx::timeout`] has passed or the pool is closed.
    fn check(&self, cx: &CheckCx) -> impl Future<Output = Result<Report, Self::Error>> + Send;

    /// Whether it offers what a request [needs](crate::Requirements::need). Asked once for each need, outside all locks;
    /// the answer stands until the endpoint is replaced. By default it offers everything.
    fn offers(&self, need: Need) -> bool {
        let _ = need;
        true
    }

    /// Judges an error.
    fn classify(&self, error: &Self::Error) -> Verdict;

    /// Units that a health check takes of the quotas of the endpoint and its provider. Default 1.
    fn check_cost(&self) -> u32 {
        1
    }

    /// For how long the provider asked to be left alone in what it last answered on this connection, although that was
    /// perhaps no error: its rate headers say that nothing is left. Asked for when a connection comes back; what is told
    /// once need not be told again. `None`, the default: it did not.
    fn pause(&self, conn: &mut Self::Conn) -> Option<Duration> {
        let _ = conn;
        None
    }
}

/// What a connect may know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectCx {
    /// After so long the pool gives the connect up.
    pub timeout: Duration,
}

/// What a recycle may know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecycleCx {
    /// When the connection was last returned.
    pub idle_since: Instant,
    /// The time now.
    pub now: Instant,
}

/// What a health check may know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckCx {
    /// After so long the pool counts the check as failed.
    pub timeout: Duration,
    /// Whether the pool compares the heads' ages: then [`Report::age`] is worth a dearer call.
    pub head_age: bool,
}

impl CheckCx {
    /// A context for calling [`Endpoint::check`] by hand, as tests do.
    pub const fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            head_age: false,
        }
    }

    /// Whether the head's age is asked for.
    #[must_use]
    pub const fn head_age(mut self, asked: bool) -> Self {
        self.head_age = asked;
        self
    }
}

impl ConnectCx {
    /// A context for calling [`Endpoint::connect`] by hand, as tests do.
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

/// What a health check found on an endpoint that answered.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// How far the endpoint has got (block height). The pool compares it with its other endpoints' positions.
    pub position: Option<u64>,
    /// Why the endpoint must not be used although it answers; `None` when it may.
    pub unfit: Option<Unfit>,
    /// How long ago its newest position came into being (the head block's age), if it tells. The pool compares it with its
    /// other endpoints' ages.
    pub age: Option<Duration>,
}

impl Report {
    /// The endpoint works; `position` is its block height where it has one.
    pub const fn fit(position: Option<u64>) -> Self {
        Self {
            position,
            unfit: None,
            age: None,
        }
    }

    /// The endpoint answers but must not be used.
    pub const fn unfit(position: Option<u64>, unfit: Unfit) -> Self {
        Self {
            position,
            unfit: Some(unfit),
            age: None,
        }
    }

    /// Adds how old the position is.
    #[must_use]
    pub const fn with_age(mut self, age: Option<Duration>) -> Self {
        self.age = age;
        self
    }
}

/// Why an endpoint that answers must not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// It serves another chain. Never used, whatever else is down.
    WrongChain {
        /// The chain that was asked for.
        expected: String,
        /// The chain that it serves.
        found: String,
    },
    /// It is still syncing.
    Syncing,
    /// It is behind the pool's other endpoints.
    Lagging {
        /// By so many blocks.
        blocks: u64,
    },
    /// Its head is older than those of the pool's other endpoints.
    Stale {
        /// So old.
        age: Duration,
        /// The reference head is so old.
        reference: Duration,
    },
    /// Another reason, in a few words without secrets.
    Other(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongChain { expected, found } => write!(f, "wrong chain {found}, expected {expected}"),
            Self::Syncing => f.write_str("syncing"),
            Self::Lagging { blocks } => write!(f, "lagging by {blocks} blocks"),
            Self::Stale { age, reference } => {
                write!(f, "its head is {age:.1?} old, the others' {reference:.1?}")
            }
            Self::Other(reason) => f.write_str(reason),
        }
    }
}
