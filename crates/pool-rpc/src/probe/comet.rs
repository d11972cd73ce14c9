//! CometBFT nodes.

use std::time::{Duration, UNIX_EPOCH};

use pool_core::{Report, Unfit};
use serde::Deserialize;

use super::{Prober, wrong_chain};
use crate::{conn::RpcConn, error::RpcError, malformed::Malformed};

#[derive(Deserialize)]
struct Status {
    node_info: NodeInfo,
    sync_info: SyncInfo,
}

#[derive(Deserialize)]
struct NodeInfo {
    network: String,
}

#[derive(Deserialize)]
struct SyncInfo {
    latest_block_height: String,
    latest_block_time: String,
    catching_up: bool,
}

pub(super) async fn run(
    prober: &Prober,
    network: &str,
    conn: &mut RpcConn,
    head_age: bool,
) -> Result<Report, RpcError> {
    const MALFORMED: Malformed = Malformed::Result { method: "status" };
    let result = conn.call("status", None).await?;
    let status: Status = serde_json::from_str(result.get()).map_err(|_| MALFORMED)?;
    if status.node_info.network != network {
        return Ok(wrong_chain(network, &conn.redact(status.node_info.network)));
    }
    let height = status
        .sync_info
        .latest_block_height
        .parse()
        .map_err(|_| MALFORMED)?;
    if status.sync_info.catching_up {
        return Ok(Report::unfit(Some(height), Unfit::Syncing));
    }
    // it comes without being asked for; what is not needed may be anything
    let time = since_epoch(&status.sync_info.latest_block_time);
    if head_age && time.is_none() {
        return Err(MALFORMED.into());
    }
    Ok(prober.judge_head(height, time))
}

fn since_epoch(time: &str) -> Option<Duration> {
    humantime::parse_rfc3339(time)
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_times() {
        assert_eq!(since_epoch("1970-01-01T00:01:00Z"), Some(Duration::from_secs(60)));
        assert_eq!(
            since_epoch("1970-01-01T00:00:01.123456789Z"),
            Some(Duration::new(1, 123_456_789))
        );
        assert_eq!(since_epoch("yesterday"), None);
    }
}
