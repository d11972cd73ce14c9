//! EVM nodes.

use std::time::Duration;

use pool_core::{Report, Unfit};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Prober, wrong_chain};
use crate::{class::Class, conn::RpcConn, error::RpcError, malformed::Malformed};

pub(super) async fn run(
    prober: &Prober,
    chain_id: u64,
    conn: &mut RpcConn,
    head_age: bool,
) -> Result<Report, RpcError> {
    let found = quantity("eth_chainId", &conn.call("eth_chainId", None).await?)?;
    if found != chain_id {
        return Ok(wrong_chain(&chain_id.to_string(), &found.to_string()));
    }
    if is_syncing(conn).await? {
        return Ok(Report::unfit(None, Unfit::Syncing));
    }
    if head_age {
        let (height, time) = head(conn).await?;
        return Ok(prober.judge_head(height, Some(time)));
    }
    let height = quantity("eth_blockNumber", &conn.call("eth_blockNumber", None).await?)?;
    Ok(prober.judge_head(height, None))
}

async fn is_syncing(conn: &mut RpcConn) -> Result<bool, RpcError> {
    match conn.call("eth_syncing", None).await {
        // `false`, or an object with the progress
        Ok(state) => Ok(!matches!(state.get(), "false" | "null")),
        // Some gateways and rollups do not offer it.
        Err(error)
            if error
                .object()
                .is_some_and(|error| error.class() == Class::Unsupported) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn head(conn: &mut RpcConn) -> Result<(u64, Duration), RpcError> {
    const METHOD: &str = "eth_getBlockByNumber";
    #[derive(Deserialize)]
    struct Head<'a> {
        number: &'a str,
        timestamp: &'a str,
    }
    let params = to_raw_value(&("latest", false)).map_err(Malformed::from)?;
    let block = conn.call(METHOD, Some(&params)).await?;
    let head: Option<Head<'_>> = serde_json::from_str(block.get()).ok();
    let read = head.and_then(|head| Some((hex(head.number)?, Duration::from_secs(hex(head.timestamp)?))));
    Ok(read.ok_or(Malformed::Result { method: METHOD })?)
}

fn quantity(method: &'static str, result: &RawValue) -> Result<u64, Malformed> {
    let text: Option<&str> = serde_json::from_str(result.get()).ok();
    text.and_then(hex).ok_or(Malformed::Result { method })
}

fn hex(text: &str) -> Option<u64> {
    let digits = text
        .strip_prefix("0x")
        .filter(|digits| !digits.starts_with(['+', '-']))?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for (json, expected) in [
            ("\"0x0\"", Some(0)),
            ("\"0x10\"", Some(16)),
            ("\"0xffffffffffffffff\"", Some(u64::MAX)),
            ("\"0x10000000000000000\"", None),
            ("\"0x\"", None),
            ("\"0x+1\"", None),
            ("\"16\"", None),
            ("16", None),
            ("null", None),
        ] {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            assert_eq!(quantity("m", &raw).ok(), expected, "{json}");
        }
    }
}
