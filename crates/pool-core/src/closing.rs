//! Why connections are closed.

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// It reached its lifetime ([`PoolConfig::max_lifetime`](crate::PoolConfig::max_lifetime)).
    Expired,
    /// Nobody used it for [`PoolConfig::idle_timeout`](crate::PoolConfig::idle_timeout).
    Idle,
    /// A request failed on it in a way that leaves it unusable.
    Broken,
    /// A request on it was cancelled half-way: half an answer may still be on it.
    Cancelled,
    /// It turned out closed by the other side, or did not answer when it was validated.
    Dead,
    /// Its endpoint failed, so that what was idle is not trusted any more.
    Distrusted,
    /// More were open than may be: a limit was lowered, or another endpoint needed the room.
    Surplus,
    /// The pool was closed or dropped, or the endpoint was removed or replaced.
    Shutdown,
}

impl CloseReason {
    /// All of them, in the order of [`index`](Self::index).
    pub const ALL: [Self; 8] = [
        Self::Expired,
        Self::Idle,
        Self::Broken,
        Self::Cancelled,
        Self::Dead,
        Self::Distrusted,
        Self::Surplus,
        Self::Shutdown,
    ];

    /// Its place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name, as a label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::Broken => "broken",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
            Self::Distrusted => "distrusted",
            Self::Surplus => "surplus",
            Self::Shutdown => "shutdown",
        }
    }
}
