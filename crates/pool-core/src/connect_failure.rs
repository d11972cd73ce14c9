//! Why a connect gave nothing, and who reports that.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// Why no connection was had.
#[derive(Debug)]
pub(crate) enum ConnectFailure<X> {
    /// A connect failed. All who counted on it are told.
    Failed(Why<X>, Report),
    /// Connections are at their limit and none is under way; look into the storage again.
    AtLimit,
    /// The pool is gone.
    Closed,
}

impl<X> ConnectFailure<X> {
    /// What only this caller has tried has failed.
    pub(crate) const fn own(why: Why<X>) -> Self {
        Self::Failed(why, Report(None))
    }
}

impl<X> Clone for ConnectFailure<X> {
    fn clone(&self) -> Self {
        match self {
            Self::Failed(why, report) => Self::Failed(why.clone(), report.clone()),
            Self::AtLimit => Self::AtLimit,
            Self::Closed => Self::Closed,
        }
    }
}

/// Why a connect failed.
#[derive(Debug)]
pub(crate) enum Why<X> {
    /// The endpoint said so.
    Endpoint(Arc<X>),
    /// It took longer than the connect time-out.
    TimedOut(Duration),
    /// It ended without anything that can be used; why.
    Useless(&'static str),
}

impl<X> Clone for Why<X> {
    fn clone(&self) -> Self {
        match self {
            Self::Endpoint(source) => Self::Endpoint(Arc::clone(source)),
            Self::TimedOut(after) => Self::TimedOut(*after),
            Self::Useless(why) => Self::Useless(why),
        }
    }
}

/// The duty to report a failed connect. However many counted on it, the endpoint has failed once, and a breaker that
/// counted each of them would open for one lost handshake. The first who looks reports it; if all have gone away before
/// they looked, the last handle does.
#[derive(Clone)]
pub(crate) struct Report(Option<Arc<Unreported>>);

impl Report {
    /// Of a connect that others may count on, too.
    pub(crate) fn shared(unasked: &Arc<dyn Fn() + Send + Sync>) -> Self {
        Self(Some(Arc::new(Unreported {
            reported: AtomicBool::new(false),
            unasked: Arc::clone(unasked),
        })))
    }

    /// Whether it falls to this caller, who must then report it.
    pub(crate) fn is_due(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|shared| !shared.reported.swap(true, Relaxed))
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reported = self.0.as_ref().map(|shared| shared.reported.load(Relaxed));
        f.debug_tuple("Report").field(&reported).finish()
    }
}

struct Unreported {
    reported: AtomicBool,
    unasked: Arc<dyn Fn() + Send + Sync>,
}

impl Drop for Unreported {
    fn drop(&mut self) {
        if !*self.reported.get_mut() {
            (self.unasked)();
        }
    }
}
