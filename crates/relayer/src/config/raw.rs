//! What is followed, as the file has it.

use std::time::Duration;

use pool_rpc::file::duration;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of what to follow")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub(super) struct Follow {
    /// Time between two looks at the head. Default 2s.
    #[serde(deserialize_with = "duration::deserialize")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "String", regex(pattern = "^([0-9]+(ms|s|m|h|d))+$"))
    )]
    pub(super) poll_interval: Duration,
    /// Typical reads a second, besides heads and logs. Default 5; 0 means none.
    pub(super) requests_per_second: f64,
    /// Reads under way at once, and ranges of logs. Default 16.
    pub(super) concurrency: u32,
    /// For one request: queue, connect and all attempts. Default 10s.
    #[serde(deserialize_with = "duration::deserialize")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "String", regex(pattern = "^([0-9]+(ms|s|m|h|d))+$"))
    )]
    pub(super) request_timeout: Duration,
    /// Blocks above a block before its logs are asked for. Default 0.
    pub(super) confirmations: u64,
    /// Blocks before the first head whose logs are asked for, too. Default 0.
    pub(super) lookback: u64,
    /// Blocks in one request for logs. Default 500.
    pub(super) max_block_range: u64,
    /// The escrow contract. Without one only heads are followed.
    pub(super) escrow: Option<Escrow>,
}

impl Default for Follow {
    fn default() -> Self {
        let plan = super::FollowPlan::default();
        Self {
            poll_interval: plan.poll_interval,
            requests_per_second: plan.requests_per_second,
            concurrency: plan.concurrency,
            request_timeout: plan.request_timeout,
            confirmations: plan.confirmations,
            lookback: plan.lookback,
            max_block_range: plan.max_block_range,
            escrow: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with address (evm) or events (cometbft)"
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub(super) struct Escrow {
    /// evm: the contract's address.
    pub(super) address: Option<String>,
    /// evm: first topics of the events; none means all.
    #[serde(default)]
    pub(super) topics: Vec<String>,
    /// cometbft: types of ABCI events.
    #[serde(default)]
    pub(super) events: Vec<String>,
    /// evm: data of a call that the contract answers, for the typical reads.
    pub(super) view_call: Option<String>,
}
