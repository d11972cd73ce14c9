//! One request and its answer, whatever carries it.

use bytes::Bytes;
use tokio::time::timeout;

use crate::{
    body::Answered,
    client::Client,
    error::{Phase, RpcError},
    http1, http2,
    transport::Lane,
};

/// Posts a body and reads the whole answer within the response time-out.
pub(crate) async fn exchange(client: &Client, lane: &mut Lane, body: Bytes) -> Result<Answered, RpcError> {
    let limit = client.timeouts.response;
    let round_trip = async {
        match lane {
            Lane::Http1(lane) => http1::round_trip(client, lane, body).await,
            Lane::Http2(lane) => http2::round_trip(client, lane, body).await,
        }
    };
    match timeout(limit, round_trip).await {
        Ok(done) => done,
        Err(_) => Err(RpcError::Timeout {
            phase: Phase::Response,
            after: limit,
        }),
    }
}
