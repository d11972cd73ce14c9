//! What is followed, as the file has it.

use std::time::Duration;

use pool_rpc::file::duration;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping of what to follow")]
pub(super) struct Follow {
    #[serde(with = "duration")]
    pub(super) poll_interval: Duration,
    pub(super) requests_per_second: f64,
    pub(super) concurrency: u32,
    #[serde(with = "duration")]
    pub(super) request_timeout: Duration,
    pub(super) confirmations: u64,
    pub(super) lookback: u64,
    pub(super) max_block_range: u64,
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
pub(super) struct Escrow {
    pub(super) address: Option<String>,
    #[serde(default)]
    pub(super) topics: Vec<String>,
    #[serde(default)]
    pub(super) events: Vec<String>,
    pub(super) view_call: Option<String>,
}
