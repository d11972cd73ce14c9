//! The physical connection and the one lane on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::task::JoinHandle;

use crate::{client::Client, conn::RpcConn, error::RpcError, wire::SharedWire};

/// hyper's sending half with what we know of the wire below.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    pub(crate) wire: SharedWire,
    /// Requests that were begun on it.
    pub(crate) served: u64,
}

impl Lane {
    pub(crate) const fn new(sender: SendRequest<Full<Bytes>>, wire: SharedWire) -> Self {
        Self {
            sender,
            wire,
            served: 0,
        }
    }

    /// Whether the peer has left it open, and silent, as far as is known without a look at the network.
    ///
    /// hyper's `is_ready` is not asked: it is true right after a cancelled request, and still false after some good
    /// answers, until hyper's task has run again.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed() && !self.wire.lock().is_stray()
    }
}

#[derive(Debug)]
enum Slot {
    Free(Lane),
    Taken,
    Retired,
}

/// A TCP or TLS connection to a node. HTTP/1.1 carries one request at a time, so it has exactly one lane: whoever opens
/// it takes hyper's sending half out of the transport, and dropping the lane puts it back if it is clean, else closes
/// the connection.
///
/// The task that drives the connection belongs to the transport; dropping the transport ends it and closes the socket.
#[derive(Debug)]
pub struct RpcTransport {
    client: Arc<Client>,
    slot: Mutex<Slot>,
    driver: JoinHandle<()>,
}

impl RpcTransport {
    pub(crate) const fn new(client: Arc<Client>, lane: Lane, driver: JoinHandle<()>) -> Self {
        Self {
            client,
            slot: Mutex::new(Slot::Free(lane)),
            driver,
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// 1 while the connection can carry requests, then 0.
    pub fn lanes(&self) -> u32 {
        let usable = match &*self.slot() {
            Slot::Free(lane) => lane.is_open(),
            Slot::Taken => !self.driver.is_finished(),
            Slot::Retired => false,
        };
        u32::from(usable)
    }

    /// Takes the lane.
    ///
    /// # Errors
    /// [`RpcError::Transport`] when the connection is closed or the lane is taken.
    pub(crate) fn open(self: &Arc<Self>) -> Result<RpcConn, RpcError> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Free(lane) if lane.is_open() => {
                drop(slot);
                Ok(RpcConn::new(Arc::clone(&self.client), Arc::clone(self), lane))
            }
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

    /// Puts a clean lane back.
    pub(crate) fn give_back(&self, lane: Lane) {
        *self.slot() = Slot::Free(lane);
    }

    /// Closes the connection at once, whoever still holds the transport.
    pub(crate) fn retire(&self) {
        *self.slot() = Slot::Retired;
        self.driver.abort();
    }
}

impl Drop for RpcTransport {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
