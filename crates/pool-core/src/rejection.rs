//! Why callers get no connection.

use crate::AcquireError;

/// Why a caller got no connection, without the details that an [`AcquireError`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The queue was full.
    QueueFull,
    /// No slot became free in time.
    QueueTimeout,
    /// No endpoint may be picked, and none can become usable in time.
    NoEndpoint,
    /// Connecting failed on every endpoint that could be tried.
    Connect,
    /// The deadline passed while connecting.
    Deadline,
    /// The pool was closed.
    Closed,
}

impl Rejection {
    /// All of them, in the order of [`index`](Self::index).
    pub const ALL: [Self; 6] = [
        Self::QueueFull,
        Self::QueueTimeout,
        Self::NoEndpoint,
        Self::Connect,
        Self::Deadline,
        Self::Closed,
    ];

    /// Its place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name, as a label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::NoEndpoint => "no_endpoint",
            Self::Connect => "connect",
            Self::Deadline => "deadline",
            Self::Closed => "closed",
        }
    }
}

impl<X> AcquireError<X> {
    /// The class it is counted under in [`PoolSnapshot::rejections`](crate::PoolSnapshot::rejections).
    pub const fn rejection(&self) -> Rejection {
        match self {
            Self::QueueFull { .. } => Rejection::QueueFull,
            Self::QueueTimeout { .. } => Rejection::QueueTimeout,
            Self::NoHealthyEndpoint { .. } => Rejection::NoEndpoint,
            Self::Deadline { .. } => Rejection::Deadline,
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::NoConnection { .. } => {
                Rejection::Connect
            }
            Self::Closed { .. } => Rejection::Closed,
        }
    }
}
