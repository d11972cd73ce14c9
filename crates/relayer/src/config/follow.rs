//! What is followed on a chain.

use std::time::Duration;

use pool_rpc::file::{Chain, ConfigProblem, Context, Section};

use super::raw;

/// What is followed on a chain, and how eagerly.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FollowPlan {
    /// Time between two looks at the head. Default 2 s.
    pub poll_interval: Duration,
    /// Typical reads (balances, calls, fees) a second, besides heads and logs. Default 5; 0 means none.
    pub requests_per_second: f64,
    /// Requests of each kind that may be under way at once: reads, and logs of block ranges. Default 16. Above the
    /// pool's slots, the pool saturates.
    pub concurrency: u32,
    /// Time for one request, with its wait in the queue and all its attempts. Default 10 s.
    pub request_timeout: Duration,
    /// Blocks that must lie above a block before its logs are asked for. Default 0.
    pub confirmations: u64,
    /// Blocks before the first head seen whose logs are asked for, too. Default 0.
    pub lookback: u64,
    /// Blocks at the most in one request for logs. Default 500. CometBFT gives one block at a time.
    pub max_block_range: u64,
    /// The escrow contract. Without one only heads are followed.
    pub escrow: Option<Escrow>,
    /// Time between two transactions that a devnet is sent; `None`, the default, sends none. Not part of the file:
    /// the reference relayer never sends transactions to a chain that isn't its own.
    pub send_transactions: Option<Duration>,
}

impl Default for FollowPlan {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(2),
            requests_per_second: 5.0,
            concurrency: 16,
            request_timeout: Duration::from_secs(10),
            confirmations: 0,
            lookback: 0,
            max_block_range: 500,
            escrow: None,
            send_transactions: None,
        }
    }
}

/// Whose logs are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Escrow {
    /// A contract of an EVM chain.
    Evm {
        /// Its address: `0x` and 40 hex digits, lower case.
        address: String,
        /// Its events by first topic: `0x` and 64 hex digits, lower case. Empty means all.
        topics: Vec<String>,
        /// Data of an `eth_call` that the contract answers without a revert, among the typical reads: `0x` and hex
        /// digits. `None` makes calls that have no effect anywhere: without data, to the zero address.
        view_call: Option<String>,
    },
    /// Events of a CometBFT chain.
    CometBft {
        /// Types of the events, at least one.
        events: Vec<String>,
    },
}

impl Section for raw::Follow {
    const KEY: &'static str = "follow";
    type Plan = FollowPlan;

    fn resolve(self, chain: &Chain, path: &str, context: &Context<'_>) -> Result<FollowPlan, ConfigProblem> {
        resolve(self, chain, path, context)
    }
}

fn resolve(
    follow: raw::Follow,
    chain: &Chain,
    path: &str,
    context: &Context<'_>,
) -> Result<FollowPlan, ConfigProblem> {
    let at = |field: &str| format!("{path}.{field}");
    context.check_duration(follow.poll_interval, ("10ms", "1h"), &at("poll_interval"))?;
    context.check_duration(follow.request_timeout, ("10ms", "10m"), &at("request_timeout"))?;
    if !(0.0..=100_000.0).contains(&follow.requests_per_second) {
        let what = format_args!(
            "{} is not possible; allowed: 0 to 100000",
            follow.requests_per_second
        );
        return Err(context.problem(&at("requests_per_second"), what));
    }
    check_number(
        u64::from(follow.concurrency),
        1,
        100_000,
        &at("concurrency"),
        context,
    )?;
    check_number(follow.confirmations, 0, 1_000_000, &at("confirmations"), context)?;
    check_number(follow.lookback, 0, 1_000_000, &at("lookback"), context)?;
    check_number(
        follow.max_block_range,
        1,
        1_000_000,
        &at("max_block_range"),
        context,
    )?;
    let escrow = follow
        .escrow
        .map(|escrow| resolve_escrow(escrow, chain, &at("escrow"), context));
    Ok(FollowPlan {
        poll_interval: follow.poll_interval,
        requests_per_second: follow.requests_per_second,
        concurrency: follow.concurrency,
        request_timeout: follow.request_timeout,
        confirmations: follow.confirmations,
        lookback: follow.lookback,
        max_block_range: follow.max_block_range,
        escrow: escrow.transpose()?,
        send_transactions: None,
    })
}

fn resolve_escrow(
    escrow: raw::Escrow,
    chain: &Chain,
    path: &str,
    context: &Context<'_>,
) -> Result<Escrow, ConfigProblem> {
    match chain {
        Chain::Evm { .. } => {
            if !escrow.events.is_empty() {
                let what = "not for the evm dialect; allowed: address, topics and view_call";
                return Err(context.problem(&format!("{path}.events"), what));
            }
            let path_of = format!("{path}.address");
            let address = escrow
                .address
                .ok_or_else(|| context.problem(path, "address is missing"))?;
            let address = hex(&address, 20, &path_of, context)?;
            let topics = escrow.topics.iter().enumerate();
            let topics = topics.map(|(i, topic)| hex(topic, 32, &format!("{path}.topics[{i}]"), context));
            let topics = topics.collect::<Result<_, _>>()?;
            let view_call = escrow
                .view_call
                .map(|data| calldata(&data, &format!("{path}.view_call"), context));
            Ok(Escrow::Evm {
                address,
                topics,
                view_call: view_call.transpose()?,
            })
        }
        Chain::CometBft { .. } => {
            let wrong = [
                ("address", escrow.address.is_some()),
                ("topics", !escrow.topics.is_empty()),
                ("view_call", escrow.view_call.is_some()),
            ];
            if let Some((field, _)) = wrong.into_iter().find(|(_, given)| *given) {
                let what = "not for the cometbft dialect; allowed: events (types of ABCI events)";
                return Err(context.problem(&format!("{path}.{field}"), what));
            }
            if escrow.events.is_empty() {
                return Err(context.problem(path, "events is missing; give at least one type of event"));
            }
            Ok(Escrow::CometBft {
                events: escrow.events,
            })
        }
    }
}

fn hex(text: &str, bytes: usize, path: &str, context: &Context<'_>) -> Result<String, ConfigProblem> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.len() == 2 * bytes && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(text.to_ascii_lowercase())
        }
        _ => {
            let what = format_args!(
                "not {bytes} bytes of hex; allowed: 0x and {} hex digits, in quotes",
                2 * bytes
            );
            Err(context.problem(path, what))
        }
    }
}

fn calldata(text: &str, path: &str, context: &Context<'_>) -> Result<String, ConfigProblem> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.len() % 2 == 0 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(text.to_owned())
        }
        _ => Err(context.problem(
            path,
            "not hex; allowed: 0x and an even number of hex digits, in quotes",
        )),
    }
}

fn check_number(
    value: u64,
    least: u64,
    most: u64,
    path: &str,
    context: &Context<'_>,
) -> Result<(), ConfigProblem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(context.problem(
        path,
        format_args!("{value} is not possible; allowed: {least} to {most}"),
    ))
}
