//! The first sight of a fault: one call on a connection of its own.

use devnet::Node;
use pool_core::{ConnectCx, Endpoint as _, Fault, Operation as _};
use pool_rpc::{RpcCall, RpcError, RpcRequest, classify};
use std::{sync::Arc, time::Duration};

use crate::{
    cases::{Case, Trouble},
    expect::{First, Judgement},
    wire::Wire,
    work::{Answer, Kind, Truth, Work},
};

/// Calls until the fault shows, and holds what is made of it against what should be.
pub(crate) async fn sight(
    case: &Case,
    kind: Kind,
    wire: Wire,
    node: &Node,
    truth: &Truth,
) -> Result<(), String> {
    let work = Work::new(kind, 900);
    let before = truth.head();
    let met = meet(case, &work, wire, node).await;
    let heads = before..=truth.head();
    match (case.first, met) {
        (First::Right, Ok(answer)) => match truth.refute(&work, &answer, &heads).await {
            Some(wrong) => Err(format!("first sight: {wrong}")),
            None => Ok(()),
        },
        (First::Right, Err(error)) => Err(format!(
            "first sight: {error} ({error:?}) where an answer should be"
        )),
        (First::Judged(expected), met) => judge(expected, met),
    }
}

pub(crate) fn judge(expected: Judgement, met: Result<Answer, RpcError>) -> Result<(), String> {
    match met {
        // what a batch's item blames the caller for stays an item
        Ok(Answer::Many(items)) if expected.fault == Fault::Caller => {
            let classes: Vec<_> = items
                .iter()
                .filter_map(|item| item.as_ref().err())
                .map(|error| error.class().error_type())
                .collect();
            if !classes.is_empty() && classes.iter().all(|class| *class == expected.class) {
                return Ok(());
            }
            Err(format!("first sight: {items:?} where {expected:?} should be"))
        }
        Ok(answer) => Err(format!("first sight: {answer:?} where {expected:?} should be")),
        Err(error) => {
            let verdict = classify(&error);
            if expected.holds(&verdict) {
                Ok(())
            } else {
                Err(format!(
                    "first sight: {error} is judged {verdict:?}, not {expected:?}"
                ))
            }
        }
    }
}

async fn meet(case: &Case, work: &Work, wire: Wire, node: &Node) -> Result<Answer, RpcError> {
    let endpoint = wire.endpoint(node, case.patience());
    let transport = endpoint.connect(&ConnectCx::new(Duration::from_secs(5))).await?;
    assert_eq!(
        endpoint.lanes(&transport) > 1,
        wire.is_http2(),
        "the connection is {wire:?}"
    );
    let transport = Arc::new(transport);
    let mut conn = endpoint.open(&transport).await?;
    let quota = matches!(&case.trouble, Trouble::Faults(faults) if faults.quota.is_some());
    if quota {
        // it is for the next one to find it spent
        let spend = RpcCall::new(RpcRequest::raw("net_version", None));
        while spend.call(&mut conn).await.is_ok() {}
    }
    work.on(&mut conn).await
}
