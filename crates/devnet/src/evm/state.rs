//! Accounts, contract calls and fees. There is no state: answers are derived from the question.

use serde_json::{Value, json};

use super::block::{base_fee, gas_used_ratio};
use super::params::{Params, block, bytes};
use crate::digest::{data, keccak, quantity};
use crate::escrow::escrow_address;
use crate::rpc::{ErrorObject, Outcome};
use crate::view::View;

/// The suggested priority fee, in wei.
pub(super) const TIP: u64 = 1_000_000_000;

/// The code geth gives a call that was reverted.
const REVERTED: i64 = 3;

/// The selector of `Error(string)`, in which Solidity gives the reason of a revert.
const ERROR_STRING: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];

/// Calls a contract. The escrow knows `version()` (1) and `blockNumber()` (the block of the call) and reverts
/// on anything else; other addresses have no code and answer with nothing.
pub(super) fn call(view: &View<'_>, params: Params<'_>) -> Outcome {
    let height = params.state_block(view, 1)?;
    run(params, height).map(|output| json!(data(&output)))
}

pub(super) fn estimate_gas(view: &View<'_>, params: Params<'_>) -> Outcome {
    let height = params.state_block(view, 1)?;
    let output = run(params, height)?;
    Ok(json!(quantity(21_000 + 1_000 * output.len() as u64)))
}

fn run(params: Params<'_>, height: u64) -> Result<Vec<u8>, ErrorObject> {
    let request = params.object(0)?;
    let text = |keys: [&str; 2]| {
        keys.iter()
            .find_map(|key| request.get(*key))
            .and_then(Value::as_str)
    };
    let to = text(["to", "to"])
        .map(|to| super::params::fixed::<20>(to, 0))
        .transpose()?;
    let input = text(["input", "data"]).map_or(Ok(vec![]), |input| bytes(input, 0))?;
    if to != Some(escrow_address()) {
        return Ok(vec![]);
    }
    let is = |signature: &[u8]| input.get(..4) == Some(&keccak(&[signature])[..4]);
    let number = if is(b"version()") {
        1
    } else if is(b"blockNumber()") {
        height
    } else {
        return Err(revert("unknown selector"));
    };
    let mut word = vec![0; 24];
    word.extend(number.to_be_bytes());
    Ok(word)
}

/// A revert with a reason of at most 32 bytes, encoded as a contract would.
fn revert(reason: &str) -> ErrorObject {
    let mut encoded = ERROR_STRING.to_vec();
    encoded.extend(
        [
            [0; 31].as_slice(),
            &[32],
            &[0; 24],
            &(reason.len() as u64).to_be_bytes(),
        ]
        .concat(),
    );
    encoded.extend(reason.bytes().chain(std::iter::repeat(0)).take(32));
    ErrorObject::new(REVERTED, format!("execution reverted: {reason}")).with_data(json!(data(&encoded)))
}

/// The balance of an account in wei; the same at every block.
pub(super) fn balance(view: &View<'_>, params: Params<'_>) -> Outcome {
    let address = params.address(0)?;
    params.state_block(view, 1)?;
    let draw = keccak(&[b"balance", &address]);
    let gwei = u64::from(u32::from_be_bytes([draw[0], draw[1], draw[2], draw[3]]));
    Ok(json!(quantity(gwei * 1_000_000_000)))
}

pub(super) fn code(view: &View<'_>, params: Params<'_>) -> Outcome {
    let address = params.address(0)?;
    params.state_block(view, 1)?;
    Ok(json!(if address == escrow_address() {
        "0x60806040fe"
    } else {
        "0x"
    }))
}

/// The nonce of an account. Signatures aren't checked, so every account has sent whatever was submitted.
pub(super) fn transaction_count(view: &View<'_>, params: Params<'_>) -> Outcome {
    params.address(0)?;
    let pending = params.get(1).is_some_and(|tag| tag == "pending");
    let height = params.state_block(view, 1)?;
    Ok(json!(quantity(view.chain.mempool.count_up_to(if pending {
        u64::MAX
    } else {
        height
    }))))
}

pub(super) fn fee_history(view: &View<'_>, params: Params<'_>) -> Outcome {
    let count = params.number(0)?.clamp(1, 1_024);
    let newest = params.get(1).map_or(Ok(view.tip), |newest| block(view, newest))?;
    if newest > view.tip {
        return Err(ErrorObject::new(super::SERVER_ERROR, "request beyond head block"));
    }
    let percentiles = params.get(2).and_then(Value::as_array).map_or(0, Vec::len);
    let oldest = (newest + 1).saturating_sub(count);
    let fees: Vec<_> = (oldest..=newest + 1)
        .map(|height| quantity(base_fee(view.chain, height)))
        .collect();
    let ratios: Vec<_> = (oldest..=newest)
        .map(|height| gas_used_ratio(view.chain, height))
        .collect();
    let mut history =
        json!({ "oldestBlock": quantity(oldest), "baseFeePerGas": fees, "gasUsedRatio": ratios });
    if percentiles > 0 {
        history["reward"] = json!(vec![vec![quantity(TIP); percentiles]; ratios.len()]);
    }
    Ok(history)
}
