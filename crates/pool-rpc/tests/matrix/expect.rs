//! What is to be made of a fault when it is seen for the first time.

use std::{fmt, time::Duration};

use pool_core::{ErrorType, Fault, Verdict};

/// What one call meets on a node with a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum First {
    /// The right answer.
    Right,
    /// An error that is judged so.
    Judged(Judgement),
}

/// Judgement of an error, each part written down by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) class: ErrorType,
    pub(crate) fault: Fault,
    /// Held against the node.
    pub(crate) breaker: bool,
    /// Another node may be asked.
    pub(crate) elsewhere: bool,
    /// The node may have acted on it.
    pub(crate) maybe_done: bool,
    pub(crate) pause: Pause,
    /// The connection is used again.
    pub(crate) kept: bool,
}

/// For how long the node is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    None,
    Seconds(u64),
    /// As long as the node said, which depends on when it was asked.
    AsTold,
}

/// A node's fault that counts, after which nothing is known of the connection.
pub(crate) const fn broken(class: ErrorType) -> Judgement {
    Judgement {
        class,
        fault: Fault::Node,
        breaker: true,
        elsewhere: true,
        maybe_done: true,
        pause: Pause::None,
        kept: false,
    }
}

/// A node's fault that it told in an orderly answer.
pub(crate) const fn told(class: ErrorType) -> Judgement {
    Judgement {
        kept: true,
        ..broken(class)
    }
}

impl Judgement {
    pub(crate) const fn not_counted(self) -> Self {
        Self {
            breaker: false,
            ..self
        }
    }

    pub(crate) const fn not_done(self) -> Self {
        Self {
            maybe_done: false,
            ..self
        }
    }

    pub(crate) const fn paused(self, pause: Pause) -> Self {
        Self { pause, ..self }
    }

    pub(crate) const fn callers(self) -> Self {
        Self {
            fault: Fault::Caller,
            breaker: false,
            elsewhere: false,
            ..self
        }
    }

    pub(crate) const fn elsewhere(self) -> Self {
        Self {
            elsewhere: true,
            ..self
        }
    }

    /// Holds a verdict against it.
    pub(crate) fn holds(self, verdict: &Verdict) -> bool {
        let pause = match (self.pause, verdict.throttle) {
            (Pause::None, None) => Pause::None,
            (Pause::Seconds(seconds), Some(pause)) if pause == Duration::from_secs(seconds) => self.pause,
            (Pause::AsTold, Some(pause)) if pause >= Duration::from_secs(1) => Pause::AsTold,
            _ => return false,
        };
        let found = Self {
            class: verdict.error_type,
            fault: verdict.fault(),
            breaker: verdict.counts_for_breaker,
            elsewhere: verdict.retry_elsewhere,
            maybe_done: verdict.maybe_executed,
            pause,
            kept: verdict.keep_connection,
        };
        found == self
    }
}

impl fmt::Display for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Judged(judgement) = self else {
            return f.write_str("answers");
        };
        let fault = match judgement.fault {
            Fault::Node => "node",
            Fault::Caller => "caller",
            Fault::Local => "local",
        };
        write!(f, "{} ({fault}", judgement.class.as_str())?;
        f.write_str(if judgement.breaker { ", counted" } else { "" })?;
        f.write_str(if judgement.elsewhere { ", elsewhere" } else { "" })?;
        match judgement.pause {
            Pause::None => f.write_str(")"),
            Pause::Seconds(seconds) => write!(f, ", {seconds} s)"),
            Pause::AsTold => f.write_str(", as told)"),
        }
    }
}
