//! The endpoint that the pool sees.

use std::{sync::Arc, time::Duration};

use pool_core::{CheckCx, ConnectCx, Endpoint, Need, RecycleCx, Report, Verdict};
use tokio::sync::Mutex;

use crate::{
    client::Client,
    config::{ConfigError, RpcConfig},
    conn::RpcConn,
    error::RpcError,
    method_need::is_offered,
    method_rules::MethodRules,
    probe::Prober,
    taxonomy::classify,
    transport::RpcTransport,
};

/// A node that speaks JSON-RPC over HTTP/1.1 or HTTP/2, with or without TLS, on connections that the pool owns.
///
/// A transport is a socket. It carries one lane with HTTP/1.1, and one for each stream with HTTP/2. Health checks run on a connection of their own, which is kept between
/// checks and is not one of the pool's.
#[derive(Debug)]
pub struct JsonRpcEndpoint {
    client: Arc<Client>,
    prober: Prober,
    methods: MethodRules,
    probe_conn: Mutex<Option<RpcConn>>,
}

impl JsonRpcEndpoint {
    /// Makes the endpoint; nothing is connected yet.
    ///
    /// # Errors
    /// [`ConfigError`] says which setting is wrong.
    pub fn new(config: &RpcConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            client: Arc::new(Client::new(config)?),
            prober: Prober::new(config),
            methods: config.methods.clone(),
            probe_conn: Mutex::new(None),
        })
    }

    /// Opens a connection outside any pool.
    ///
    /// # Errors
    /// [`RpcError::Connect`] or [`RpcError::Timeout`] name the phase.
    ///
    /// # Cancelling
    /// Dropping the future closes what was opened.
    pub async fn dial(&self) -> Result<RpcConn, RpcError> {
        Arc::new(self.client.connect().await?).open()
    }
}

impl Endpoint for JsonRpcEndpoint {
    type Transport = RpcTransport;
    type Conn = RpcConn;
    type Error = RpcError;

    async fn connect(&self, _cx: &ConnectCx) -> Result<RpcTransport, RpcError> {
        self.client.connect().await
    }

    fn lanes(&self, transport: &RpcTransport) -> u32 {
        transport.lanes()
    }

    async fn open(&self, transport: &Arc<RpcTransport>) -> Result<RpcConn, RpcError> {
        transport.open()
    }

    fn is_clean(&self, conn: &RpcConn) -> bool {
        conn.is_clean()
    }

    fn survives(&self, conn: &RpcConn) -> bool {
        conn.is_stream()
    }

    /// A look at what is known, without a round trip: hyper's task reads each connection all the time, so the peer's close
    /// (EOF, reset), stray bytes and, with HTTP/2, goodbyes and unanswered PINGs are known as they come. A peer that
    /// vanished without a word is not found by it: see [`Http2Config`](crate::Http2Config). What is not clean stays so.
    async fn recycle(&self, conn: &mut RpcConn, _cx: &RecycleCx) -> Result<(), RpcError> {
        if conn.is_clean() {
            Ok(())
        } else {
            Err(RpcError::closed(conn.is_used()))
        }
    }

    /// Checks chain, sync state and height; see [`Probe`](crate::Probe).
    ///
    /// A check that finds its kept connection closed by the node opens a new one and begins again, once. A check that
    /// is dropped in the middle leaves its connection unclean; the next check opens another.
    async fn check(&self, cx: &CheckCx) -> Result<Report, RpcError> {
        let mut kept = self.probe_conn.lock().await;
        if let Some(conn) = kept.as_mut().filter(|conn| conn.is_clean()) {
            match self.prober.run(conn, cx.head_age).await {
                // The node's keep-alive time-out and our check crossed.
                Err(RpcError::Transport { reused: true, .. }) => {}
                checked => return checked,
            }
        }
        *kept = None;
        let conn = kept.insert(self.dial().await?);
        self.prober.run(conn, cx.head_age).await
    }

    /// Whether the rules of [`RpcConfig::methods`] let the method through that the need stands for.
    fn offers(&self, need: Need) -> bool {
        is_offered(&self.methods, need)
    }

    fn classify(&self, error: &RpcError) -> Verdict {
        classify(error)
    }

    /// A unit for each call of the probe.
    fn check_cost(&self) -> u32 {
        self.prober.calls()
    }

    fn pause(&self, conn: &mut RpcConn) -> Option<Duration> {
        conn.take_pause()
    }
}
