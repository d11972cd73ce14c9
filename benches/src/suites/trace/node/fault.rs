//! What is wrong with a node, and when.

/// What is wrong with a node for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Everything takes so many times as long (below 1: it is quicker).
    Slow(f64),
    /// Everything takes twice as long, after so many milliseconds four times, and so on.
    Doubling(u64),
    /// HTTP 500 at once, for this share of the calls.
    Failing(f64),
    /// HTTP 200 with a JSON-RPC error in it, at once, for this share of the calls.
    Payload(f64),
    /// More calls a second than this are answered by 429 and a Retry-After of so many milliseconds.
    Quota(f64, u64),
    /// Connections are refused; what was under way breaks.
    Down,
    /// Nothing is answered any more.
    Hanging,
    /// Its head stands still. It answers like any other, from old state.
    Stuck,
}

/// An effect from one moment to another, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fault {
    /// The first moment.
    pub(crate) from: u64,
    /// The first moment after it.
    pub(crate) to: u64,
    /// What it does.
    pub(crate) effect: Effect,
}

impl Fault {
    pub(super) const fn is_on(&self, now: u64) -> bool {
        self.from <= now && now < self.to
    }
}
