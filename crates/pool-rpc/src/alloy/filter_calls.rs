//! Calls that have to do with filters: each goes to the endpoint where its filter lives.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

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

/// Pauses between two looks at an endpoint whose slots are all taken: at first, and at the most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));
/// How long a caller who names no time waits for such an endpoint.
const PATIENCE: Duration = Duration::from_secs(5);
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

    /// A connection to one endpoint; `None` when that does not work, or is not there any more.
    async fn lease_of(&self, home: &EndpointId, way: &Way<RpcCall>) -> Result<Option<Lent>, Failure> {
        let begun = Instant::now();
        let patience = way.needs().timeout.unwrap_or(PATIENCE);
        let (mut pause, longest) = LOOKS;
        loop {
            let endpoints = self.pool.snapshot().endpoints;
            let others = endpoints
                .iter()
                .map(|endpoint| &endpoint.id)
                .filter(|id| *id != home);
            if others.clone().count() == endpoints.len() {
                return Ok(None);
            }
            let mut explained = self.pool.explain().into_iter();
            let reason = explained.find_map(|one| one.not_usable.filter(|_| one.endpoint == *home));
            match reason {
                Some(NotUsable::Unhealthy { .. } | NotUsable::BreakerOpen { .. }) => return Ok(None),
                Some(reason @ NotUsable::Throttled { .. }) => {
                    let endpoint = home.clone();
                    return Err(way.failed(RunError::Acquire(AcquireError::NoHealthyEndpoint {
                        pool: self.pool.id().clone(),
                        reasons: Reasons(vec![Unusable { endpoint, reason }]),
                    })));
                }
                Some(_) => {}
                None => {
                    let needs = others.cloned().fold(way.needs(), Request::avoid);
                    let lease = self.pool.acquire_with(&needs).await;
                    let lease = lease.map_err(|error| way.failed(RunError::Acquire(error)))?;
                    // if it was taken meanwhile, the pool gives another; that goes back as it came
                    if lease.endpoint() == home {
                        return Ok(Some(lease));
                    }
                }
            }
            if begun.elapsed() + pause > patience {
                return Err(way.failed(RunError::Acquire(AcquireError::QueueTimeout {
                    pool: self.pool.id().clone(),
                    waited: begun.elapsed(),
                })));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// What a node says of a filter that it does not know.
fn unknown(ends: bool) -> Answer {
    if ends {
        Ok(nothing_ended())
    } else {
        Err(not_found())
    }
}
