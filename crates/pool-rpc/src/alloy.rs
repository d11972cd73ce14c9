//! The pool as alloy's transport: see [`PoolTransport`].

mod batch;
mod elsewhere;
mod error;
mod filter;
mod filter_calls;
mod filters;
mod heads;
mod hints;
mod send;
mod way;

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{BoxTransport, TransportConnect, TransportError, TransportFut};
use pool_core::Pool;
use tower_service::Service;

use crate::endpoint::JsonRpcEndpoint;
pub use error::PoolTransportError;
use filters::Filters;
use heads::Heads;
pub use hints::PoolHints;
use send::Sender;

/// A pool over many nodes in the place of alloy's connection to one.
///
/// It goes wherever alloy takes a transport: `ProviderBuilder::connect_with`, `RpcClient::new`, and under layers such as
/// `RetryBackoffLayer` through `ClientBuilder`. Cheap to clone; clones share the pool, the filters and the
/// head that was shown.
///
/// **Answers** are what the node wrote: results are passed on unread, and a JSON-RPC error of the caller's making (a
/// revert with its data, a nonce that is too low) comes back as alloy's `ErrorResp`, so that decoding it works as ever.
///
/// **Attempts**: reads go to another endpoint when one fails; what is not known to be a read (transactions above all) is
/// sent again only if no node can have seen it, and never hedged. [`PoolHints`] set deadline, priority, least block and
/// more, for one request or for all of a transport.
///
/// **Errors** of the pool's are [`PoolTransportError`]. The pool has done its own retries, so what was sent to a node is
/// never [retryable](alloy_transport::layers::RetryPolicy) to a layer above, which would multiply them. Only what was
/// never sent because no endpoint could be used is, with the time after which one can:
///
/// | what happened | to alloy |
/// | --- | --- |
/// | JSON-RPC error | `ErrorResp` with code, message and data |
/// | the same, if alloy's retry layer would send it again (rate limits) | `NonRetryable` |
/// | attempts failed, connecting failed, the deadline passed | `NonRetryable` |
/// | nothing was sent: every endpoint throttled | `HttpErrorWithRetryAfter`, status 429 |
/// | nothing was sent: no endpoint usable, and it is known for how long | `HttpErrorWithRetryAfter`, status 503 |
/// | nothing was sent: queue full, or no slot or endpoint in time | `Custom` |
///
/// **Filters** belong to the node that made them, and two nodes may give the same id to two filters. So the transport
/// hands out ids of its own, and asks the endpoint that made the filter, and no other. When that endpoint is unhealthy,
/// its breaker is open or it is left out as an outlier, the answer is the `filter not found` that a node gives for a filter
/// it has forgotten: alloy's pollers then
/// end their stream, and the caller makes a new filter on an endpoint that works. A filter's id means nothing to another
/// transport. At most 4096 filters are known at a time; the one that was not asked for the longest is forgotten first.
///
/// **Reads see different nodes**, which are not at the same block at the same moment. Where a single call for a block,
/// a transaction or a receipt is answered null by a node that is behind the head that this transport has shown, up to two
/// others are asked; so what was seen once does not vanish. Other reads are as fresh as the node that answers: one that
/// must see block N asks for it with [`PoolHints::min_block`].
///
/// **Readiness and cancelling**: always ready, because the pool's bounded queue is inside the call. Dropping a call gives
/// everything back.
#[derive(Clone)]
pub struct PoolTransport {
    pool: Pool<JsonRpcEndpoint>,
    filters: Arc<Filters>,
    heads: Arc<Heads>,
    hints: PoolHints,
    local: bool,
}

impl PoolTransport {
    /// A transport over the pool.
    pub fn new(pool: Pool<JsonRpcEndpoint>) -> Self {
        Self {
            pool,
            filters: Arc::default(),
            heads: Arc::default(),
            hints: PoolHints::default(),
            local: false,
        }
    }

    /// Sets the hints for requests that bring none of their own. The clones that were made before keep theirs.
    #[must_use]
    pub fn with_hints(mut self, hints: PoolHints) -> Self {
        self.hints = hints;
        self
    }

    /// Tells alloy that the nodes are on this machine or next to it: then it polls every 250 ms instead of every 7 s.
    /// Default `false`.
    #[must_use]
    pub const fn local(mut self, yes: bool) -> Self {
        self.local = yes;
        self
    }

    /// The pool.
    pub const fn pool(&self) -> &Pool<JsonRpcEndpoint> {
        &self.pool
    }
}

impl From<Pool<JsonRpcEndpoint>> for PoolTransport {
    fn from(pool: Pool<JsonRpcEndpoint>) -> Self {
        Self::new(pool)
    }
}

impl fmt::Debug for PoolTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolTransport")
            .field("pool", &self.pool)
            .field("hints", &self.hints)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl Service<RequestPacket> for PoolTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> TransportFut<'static> {
        let sender = Sender {
            pool: self.pool.clone(),
            filters: Arc::clone(&self.filters),
            heads: Arc::clone(&self.heads),
            hints: self.hints.clone(),
        };
        Box::pin(async move { sender.send(packet).await })
    }
}

impl TransportConnect for PoolTransport {
    fn is_local(&self) -> bool {
        self.local
    }

    async fn get_transport(&self) -> Result<BoxTransport, TransportError> {
        Ok(BoxTransport::new(self.clone()))
    }
}
