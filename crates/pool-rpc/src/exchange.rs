//! One request and its answer, whatever carries it.

use std::pin::pin;

use bytes::Bytes;
use pool_core::ReusableTimer;
use tokio::time::Instant;

use crate::{
    body::Answered,
    client::Client,
    error::{Phase, RpcError},
    http1, http2,
    transport::Lane,
};

/// Posts a body and reads the whole answer within the response time-out, which the timer measures.
pub(crate) async fn exchange(
    client: &Client,
    timer: &mut ReusableTimer,
    lane: &mut Lane,
    body: Bytes,
) -> Result<Answered, RpcError> {
    let (begun, limit) = (Instant::now(), client.timeouts.response);
    let round_trip = pin!(async {
        match lane {
            Lane::Http1(lane) => http1::round_trip(client, lane, body).await,
            Lane::Http2(lane) => http2::round_trip(client, lane, body, begun).await,
        }
    });
    match timer.timeout_after(begun, limit, round_trip).await {
        Some(done) => done,
        None => Err(RpcError::Timeout {
            phase: Phase::Response,
            after: limit,
        }),
    }
}
