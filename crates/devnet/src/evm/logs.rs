//! `eth_getLogs`.

use serde_json::{Map, Value};

use super::SERVER_ERROR;
use super::params::{Params, block, fixed};
use super::transaction;
use crate::digest::Hash;
use crate::escrow::escrow_address;
use crate::rpc::{ErrorObject, INVALID_PARAMS, Outcome};
use crate::view::View;

/// The code under which several providers refuse a range of blocks that is too wide.
const RANGE_TOO_WIDE: i64 = -32005;

pub(super) fn get(view: &View<'_>, params: Params<'_>) -> Outcome {
    let filter = params.object(0)?;
    let (from, to) = range(view, filter)?;
    let wanted = accepts_escrow(filter)?;
    let topics = topics(filter)?;
    let limit = view.chain.config().max_log_range;
    if to.saturating_sub(from) >= limit {
        let message = format!("block range is too wide: eth_getLogs is limited to {limit} blocks");
        return Err(ErrorObject::new(RANGE_TOO_WIDE, message));
    }
    if !wanted {
        return Ok(Value::Array(vec![]));
    }
    // Like geth, what lies above the head is silently left out: a node that lags hides logs.
    let logs = (from..=to.min(view.tip))
        .flat_map(|height| transaction::of_block(view.chain, height))
        .filter_map(|transaction| transaction.log())
        .filter(|log| matches(&topics, &log.topics))
        .map(|log| log.render(view.chain));
    Ok(Value::Array(logs.collect()))
}

fn range(view: &View<'_>, filter: &Map<String, Value>) -> Result<(u64, u64), ErrorObject> {
    let given = |key: &str| filter.get(key).filter(|value| !value.is_null());
    if let Some(hash) = given("blockHash") {
        if given("fromBlock").is_some() || given("toBlock").is_some() {
            let message = "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other";
            return Err(ErrorObject::new(INVALID_PARAMS, message));
        }
        let hash: Hash = fixed(hash.as_str().unwrap_or_default(), 0)?;
        let height = view.chain.height_of(&hash).filter(|height| *height <= view.tip);
        let unknown = || ErrorObject::new(SERVER_ERROR, "unknown block");
        return height.map(|height| (height, height)).ok_or_else(unknown);
    }
    let edge = |key: &str| given(key).map_or(Ok(view.tip), |value| block(view, value));
    let (from, to) = (edge("fromBlock")?, edge("toBlock")?);
    if from > to {
        return Err(ErrorObject::new(SERVER_ERROR, "invalid block range params"));
    }
    Ok((from, to))
}

/// Whether the address filter lets the escrow's logs through; nobody else writes any.
fn accepts_escrow(filter: &Map<String, Value>) -> Result<bool, ErrorObject> {
    let address = |value: &Value| fixed::<20>(value.as_str().unwrap_or_default(), 0);
    match filter.get("address") {
        None | Some(Value::Null) => Ok(true),
        Some(Value::Array(any)) if any.is_empty() => Ok(true),
        Some(Value::Array(any)) => {
            let any: Vec<_> = any.iter().map(address).collect::<Result<_, _>>()?;
            Ok(any.contains(&escrow_address()))
        }
        Some(one) => Ok(address(one)? == escrow_address()),
    }
}

/// One entry per position: the topics allowed there, or anything.
fn topics(filter: &Map<String, Value>) -> Result<Vec<Option<Vec<Hash>>>, ErrorObject> {
    let topic = |value: &Value| fixed::<32>(value.as_str().unwrap_or_default(), 0);
    let position = |value: &Value| match value {
        Value::Null => Ok(None),
        // geth reads an empty list, or null within one, as a wildcard too.
        Value::Array(any) if any.is_empty() || any.contains(&Value::Null) => Ok(None),
        Value::Array(any) => any.iter().map(topic).collect::<Result<_, _>>().map(Some),
        one => topic(one).map(|one| Some(vec![one])),
    };
    match filter.get("topics") {
        None | Some(Value::Null) => Ok(vec![]),
        Some(Value::Array(positions)) if positions.len() <= 4 => positions.iter().map(position).collect(),
        Some(_) => Err(ErrorObject::invalid_params(
            "topics is an array of at most 4 positions",
        )),
    }
}

fn matches(wanted: &[Option<Vec<Hash>>], topics: &[Hash]) -> bool {
    wanted.len() <= topics.len()
        && wanted
            .iter()
            .zip(topics)
            .all(|(any, topic)| any.as_ref().is_none_or(|any| any.contains(topic)))
}
