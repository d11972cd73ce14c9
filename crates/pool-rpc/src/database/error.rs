//! What goes wrong with a manager's connections.

use std::{borrow::Cow, error::Error as StdError, fmt};

use deadpool::managed::{HookError, RecycleError};

/// Of an error's text only so much is shown.
const SHOWN: usize = 200;

/// What goes wrong while connecting, checking or working through a manager.
///
/// `Display` and `Debug` show the first line of each error in the chain, without values: what follows in a database's
/// error (DETAIL, HINT) may quote rows. The error itself is the [`source`](StdError::source), with all it knows.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum DeadpoolError<E: StdError + 'static> {
    /// The manager could not connect. The text says why: a server that is down, a wrong password, no connection left.
    #[error("cannot connect: {}", Chain(.0))]
    Connect(#[source] E),
    /// The driver's error from an operation, a check or a hook. What to do is in the driver's own documentation.
    #[error("{}", Chain(.0))]
    Backend(#[from] E),
    /// The manager or a hook found a connection unfit for use. The pool opens another by itself.
    #[error("connection not usable: {0}")]
    Refused(Cow<'static, str>),
    /// The transport's one connection has been taken before. Only callers of
    /// [`Endpoint::open`](pool_core::Endpoint::open) other than the pool can see this: open a transport once.
    #[error("the connection has been taken")]
    Taken,
}

impl<E: StdError + 'static> fmt::Debug for DeadpoolError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadpoolError({self})")
    }
}

impl<E: StdError + 'static> DeadpoolError<E> {
    /// The driver's error, if that is what it is.
    pub const fn driver(&self) -> Option<&E> {
        match self {
            Self::Connect(error) | Self::Backend(error) => Some(error),
            Self::Refused(_) | Self::Taken => None,
        }
    }

    pub(super) fn of_recycle(error: RecycleError<E>) -> Self {
        match error {
            RecycleError::Message(message) => Self::Refused(message),
            RecycleError::Backend(error) => Self::Backend(error),
        }
    }

    pub(super) fn of_hook(error: HookError<E>) -> Self {
        match error {
            HookError::Message(message) => Self::Refused(message),
            HookError::Backend(error) => Self::Backend(error),
        }
    }
}

/// An error with its causes in one line. Causes that the text before has told already are left out.
struct Chain<'a>(&'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = first_line(self.0);
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = first_line(error);
            if !told.contains(&text) {
                told = format!("{told}: {text}");
            }
            next = error.source();
        }
        f.write_str(&told)
    }
}

fn first_line(error: &(dyn StdError + 'static)) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    // redis-rs quotes the value that it could not convert
    let line = line.split(" (value was ").next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("db error")]
    struct Outer(#[source] Inner);
    #[derive(Debug, thiserror::Error)]
    #[error("ERROR: duplicate key\nDETAIL: Key (secret)=(SECRET) already exists")]
    struct Inner;

    #[test]
    fn the_cause_is_told_and_rows_are_not() {
        let error = DeadpoolError::Connect(Outer(Inner));
        let expected = "cannot connect: db error: ERROR: duplicate key";
        assert_eq!(error.to_string(), expected);
        assert_eq!(format!("{error:?}"), format!("DeadpoolError({expected})"));
        assert!(error.source().is_some_and(<dyn StdError>::is::<Outer>));
    }

    #[test]
    fn values_are_not_told() {
        let error = std::io::Error::other("not a number (value was SECRET)");
        assert_eq!(DeadpoolError::Backend(error).to_string(), "not a number");
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let io = std::io::Error::other("connection refused");
        assert_eq!(DeadpoolError::Backend(io).to_string(), "connection refused");
    }
}
