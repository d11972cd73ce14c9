//! The physical connection and the lanes on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use crate::{
    client::Client,
    conn::RpcConn,
    error::RpcError,
    http1::Http1Lane,
    http2::{Http2, Http2Lane},
};

/// What one caller sends requests on.
#[derive(Debug)]
pub(crate) enum Lane {
    Http1(Http1Lane),
    Http2(Http2Lane),
}

impl Lane {
    /// Whether it takes another request, as far as is known without a look at the network.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Http1(lane) => lane.is_open(),
            Self::Http2(lane) => lane.is_open(),
        }
    }

    /// Whether requests on it cannot spoil it for the next.
    pub(crate) const fn is_stream(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Whether a request was ever begun on it.
    pub(crate) const fn is_used(&self) -> bool {
        match self {
            Self::Http1(lane) => lane.served > 0,
            Self::Http2(lane) => lane.served > 0,
        }
    }
}

#[derive(Debug)]
enum Slot {
    Free(Http1Lane),
    Taken,
    Retired,
}

/// A connection that carries one request at a time. Dropping it closes the socket.
#[derive(Debug)]
pub(crate) struct Http1 {
    slot: Mutex<Slot>,
    driver: JoinHandle<()>,
}

impl Http1 {
    pub(crate) fn new((lane, driver): (Http1Lane, JoinHandle<()>)) -> Self {
        Self {
            slot: Mutex::new(Slot::Free(lane)),
            driver,
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lanes(&self) -> u32 {
        let usable = match &*self.slot() {
            Slot::Free(lane) => lane.is_open(),
            Slot::Taken => !self.driver.is_finished(),
            Slot::Retired => false,
        };
        u32::from(usable)
    }

    fn open(&self) -> Result<Http1Lane, RpcError> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Free(lane) if lane.is_open() => Ok(lane),
            Slot::Free(lane) => {
                *slot = Slot::Retired;
                drop(slot);
                Err(RpcError::closed(lane.served > 0))
            }
            Slot::Taken => Err(RpcError::closed(true)),
            Slot::Retired => {
                *slot = Slot::Retired;
                Err(RpcError::closed(true))
            }
        }
    }

    /// Puts a clean lane back; closes the connection of any other at once, whoever still holds the transport.
    fn take_back(&self, lane: Http1Lane, clean: bool) {
        if clean {
            *self.slot() = Slot::Free(lane);
        } else {
            *self.slot() = Slot::Retired;
            self.driver.abort();
        }
    }
}

impl Drop for Http1 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

#[derive(Debug)]
pub(crate) enum Kind {
    Http1(Http1),
    Http2(Http2),
}

/// A TCP or TLS connection to a node.
///
/// HTTP/1.1 carries one request at a time, so it has exactly one lane: whoever opens it takes hyper's sending half out
/// of the transport, and dropping the lane puts it back if it is clean, else closes the connection. HTTP/2 has as many
/// lanes as node and configuration allow streams; one that is dropped in the middle of a request resets its stream and
/// leaves its neighbours alone.
///
/// The tasks that drive the connection belong to the transport; dropping the transport ends them and closes the socket.
#[derive(Debug)]
pub struct RpcTransport {
    client: Arc<Client>,
    kind: Kind,
}

impl RpcTransport {
    pub(crate) const fn new(client: Arc<Client>, kind: Kind) -> Self {
        Self { client, kind }
    }

    /// How many lanes it carries now. HTTP/1.1: 1. HTTP/2: what the node allows, at most
    /// [`Http2Config::max_streams`](crate::Http2Config::max_streams). 0 once it takes no new requests: it is closed, or
    /// the node said goodbye (GOAWAY).
    pub fn lanes(&self) -> u32 {
        match &self.kind {
            Kind::Http1(http1) => http1.lanes(),
            Kind::Http2(http2) => http2.lanes(),
        }
    }

    /// Whether the connection speaks HTTP/2.
    pub const fn is_http2(&self) -> bool {
        matches!(self.kind, Kind::Http2(_))
    }

    /// Opens a lane.
    ///
    /// # Errors
    /// [`RpcError::Transport`] when the connection is closed or has no lane left.
    pub(crate) fn open(self: &Arc<Self>) -> Result<RpcConn, RpcError> {
        let lane = match &self.kind {
            Kind::Http1(http1) => Lane::Http1(http1.open()?),
            Kind::Http2(http2) => Lane::Http2(http2.open()?),
        };
        Ok(RpcConn::new(Arc::clone(&self.client), Arc::clone(self), lane))
    }

    /// Takes a lane back that is not used any more.
    pub(crate) fn take_back(&self, lane: Lane, clean: bool) {
        match (&self.kind, lane) {
            (Kind::Http1(http1), Lane::Http1(lane)) => http1.take_back(lane, clean),
            // A stream leaves nothing behind: what was not answered has been reset.
            (_, lane) => drop(lane),
        }
    }
}
