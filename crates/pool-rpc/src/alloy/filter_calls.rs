//! Calls that have to do with filters: each goes to the endpoint where its filter lives.

use std::sync::{Arc, Weak};

use pool_core::{AcquireError, EndpointId, NotUsable, Reasons, Request, RunError, Unusable};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    error::{Failure, out_of_time},
    filter::{FilterCall, is_not_found, not_found, nothing_ended},
    filters::Filter,
    hints::PoolHints,
    send::Sender,
    way::{Lent, Way},
};
use crate::{
    jsonrpc::{Answer, RpcRequest},
    operation::RpcCall,
};

/// Attempts of one call.
const TRIES: u32 = 3;

/// A filter's answer, or that there is no such filter.
type Outcome = Result<Answer, Failure>;

impl Sender {
    /// Carries out a call that has to do with a filter.
    pub(super) async fn filter(&self, what: FilterCall, call: RpcRequest, hints: &PoolHints) -> Outcome {
        let (now, method) = (Instant::now(), call.method.clone());
        let call = RpcCall::new(call);
        let Some(request) = hints.request(call.pool_request(), false, now) else {
            return Err(out_of_time());
        };
        let way = |call| Way::new(call, request, now);
        let (FilterCall::Ask(id) | FilterCall::End(id)) = what else {
            return self.make(way(call)).await;
        };
        let known = id.and_then(|id| Some((id, self.filters.find(id, now)?)));
        let ends = matches!(what, FilterCall::End(_));
        let Some((id, filter)) = known else {
            return Ok(unknown(ends));
        };
        let params = serde_json::value::to_raw_value(&[&filter.id]).ok();
        let call = RpcRequest::raw(method, params);
        let answer = self.ask(way(RpcCall::new(call)), &filter).await?;
        if ends || answer.is_none() {
            self.filters.forget(id);
        }
        Ok(answer.map_or_else(|| unknown(ends), Ok))
    }

    /// Makes a filter wherever it can be made. One that was made by an attempt whose answer was lost does no harm: its
    /// node forgets it.
    async fn make(&self, mut way: Way<RpcCall>) -> Outcome {
        let mut avoid = Vec::new();
        loop {
            let needs = avoid.iter().cloned().fold(way.needs(), Request::avoid);
            let lease = self.pool.acquire_with(&needs).await;
            let lease = lease.map_err(|error| way.failed(RunError::Acquire(error)))?;
            let (endpoint, node) = (lease.endpoint().clone(), Arc::downgrade(lease.client()));
            match way.attempt(lease).await? {
                Ok(id) => {
                    let filter = Filter { endpoint, node, id };
                    return Ok(Ok(self.filters.insert(filter, Instant::now())));
                }
                Err((error, verdict)) => {
                    let pointless = !verdict.retry_elsewhere && !verdict.retry_here;
                    if pointless || way.attempts >= TRIES {
                        return Err(way.over(error, endpoint, verdict));
                    }
                    avoid.push(endpoint);
                }
            }
        }
    }

    /// Asks a filter where it lives, or ends it; `None` when it is not there any more. What cannot have arrived is sent
    /// again, and nothing else: changes are told once.
    async fn ask(&self, mut way: Way<RpcCall>, filter: &Filter) -> Result<Option<Box<RawValue>>, Failure> {
        // where the filter lives is settled, whatever block that node has
        way.request.requirements.min_position = None;
        loop {
            let Some(lease) = self.lease_of(&filter.endpoint, &way).await? else {
                return Ok(None);
            };
            if !Weak::ptr_eq(&filter.node, &Arc::downgrade(lease.client())) {
                lease.neutral();
                return Ok(None);
            }
            match way.attempt(lease).await? {
                Ok(answer) => return Ok(Some(answer)),
                Err((error, _)) if error.object().is_some_and(is_not_found) => return Ok(None),
                Err((error, verdict)) => {
                    let again = verdict.retry_here && !verdict.maybe_executed && way.attempts < TRIES;
                    if !again {
                        return Err(way.over(error, filter.endpoint.clone(), verdict));
                    }
                }
            }
        }
    }

    /// A connection to one endpoint, and to no other; `None` when that does not work, or is not there any more. Where its
    /// slots are all taken the call stands in the pool's line.
    async fn lease_of(&self, home: &EndpointId, way: &Way<RpcCall>) -> Result<Option<Lent>, Failure> {
        let needs = way.needs().only(home.clone());
        let explained = self.pool.explain_for(&needs).into_iter();
        let Some(reason) = explained
            .filter(|one| one.endpoint == *home)
            .map(|one| one.not_usable)
            .next()
        else {
            return Ok(None);
        };
        let error = match reason {
            Some(reason) if is_away(&reason) => return Ok(None),
            // a wait is the caller's own affair
            Some(reason @ NotUsable::Throttled { .. }) => {
                let endpoint = home.clone();
                AcquireError::NoHealthyEndpoint {
                    pool: self.pool.id().clone(),
                    reasons: Reasons(vec![Unusable { endpoint, reason }]),
                }
            }
            _ => match self.pool.acquire_with(&needs).await {
                Ok(lease) => return Ok(Some(lease)),
                Err(AcquireError::NoHealthyEndpoint { reasons, .. }) if has_left(home, &reasons) => {
                    return Ok(None);
                }
                Err(error) => error,
            },
        };
        Err(way.failed(RunError::Acquire(error)))
    }
}

/// Whether a filter there is as good as gone: its endpoint does not work, or does not answer such calls.
const fn is_away(reason: &NotUsable) -> bool {
    matches!(
        reason,
        NotUsable::Unhealthy { .. }
            | NotUsable::BreakerOpen { .. }
            | NotUsable::Ejected { .. }
            | NotUsable::Lacks { .. }
    )
}

/// Whether this endpoint has gone away since it was looked at.
fn has_left(home: &EndpointId, reasons: &Reasons) -> bool {
    let mut own = reasons.0.iter().filter(|unusable| unusable.endpoint == *home);
    own.next().is_none_or(|unusable| is_away(&unusable.reason))
}

/// What a node says of a filter that it does not know.
fn unknown(ends: bool) -> Answer {
    if ends {
        Ok(nothing_ended())
    } else {
        Err(not_found())
    }
}
