//! What becomes of one request: pure decisions over faults, chance and time.

use std::time::Duration;

use tokio::time::Instant;

use super::{Bucket, Faults, HttpBody, When};
use crate::rpc::ErrorObject;

/// The faults as counted in [`crate::Stats::faults`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Capacity,
    Latency,
    Reset,
    Hang,
    Quota,
    TooManyRequests,
    HttpError,
    RpcError,
    WrongId,
    Garbage,
    Truncate,
    CloseAfter,
    TlsHandshake,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Latency => "latency",
            Self::Reset => "reset",
            Self::Hang => "hang",
            Self::Quota => "quota",
            Self::TooManyRequests => "too_many_requests",
            Self::HttpError => "http_errors",
            Self::RpcError => "rpc_errors",
            Self::WrongId => "wrong_id",
            Self::Garbage => "garbage",
            Self::Truncate => "truncate",
            Self::CloseAfter => "close_after",
            Self::TlsHandshake => "tls_handshake",
        }
    }
}

/// What happens after the delay.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// The connection is reset.
    Reset,
    /// Nothing, ever.
    Hang,
    /// An HTTP answer.
    Http {
        status: u16,
        /// Seconds for `Retry-After`.
        retry_after: Option<u64>,
        body: HttpBody,
    },
}

/// What happens to one call of a request that is answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct CallFault {
    pub(crate) error: Option<ErrorObject>,
    pub(crate) wrong_id: bool,
}

/// Everything decided about one HTTP request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) delay: Duration,
    pub(crate) reply: Reply,
    /// One per call, in order.
    pub(crate) calls: Vec<CallFault>,
    /// Sent instead of the body.
    pub(crate) garbage: Option<String>,
    pub(crate) truncate: Option<super::Truncate>,
    /// What was injected, for the counters.
    pub(crate) injected: Vec<Kind>,
}

/// Decides what becomes of a request that calls `methods`, in the order that [`Faults`] documents.
///
/// Chance is drawn only for faults that are on and concern these methods, so switching one fault off doesn't
/// shift what the seed means for a node that has no others.
pub(crate) fn decide(
    faults: &Faults,
    bucket: &mut Option<Bucket>,
    methods: &[&str],
    rng: &mut fastrand::Rng,
    now: Instant,
) -> Plan {
    let mut injected = Vec::new();
    let delay = delay_of(faults, methods, rng, &mut injected);
    let reply = reply_of(faults, bucket, methods, rng, now, &mut injected);
    let mut plan = Plan {
        delay,
        reply,
        calls: Vec::new(),
        garbage: None,
        truncate: None,
        injected,
    };
    let Reply::Http { body, .. } = plan.reply else {
        return plan;
    };
    plan.calls = match body {
        HttpBody::Answer => methods
            .iter()
            .map(|method| call_fault(faults, method, rng, &mut plan.injected))
            .collect(),
        _ => vec![CallFault::default(); methods.len()],
    };
    if let Some(garbage) = faults
        .garbage
        .as_ref()
        .filter(|garbage| hits(&garbage.when, methods, rng))
    {
        plan.garbage = Some(garbage.body.clone());
        plan.injected.push(Kind::Garbage);
    }
    if let Some(truncate) = faults
        .truncate
        .as_ref()
        .filter(|cut| hits(&cut.when, methods, rng))
    {
        plan.truncate = Some(truncate.clone());
        plan.injected.push(Kind::Truncate);
    }
    plan
}

fn delay_of(
    faults: &Faults,
    methods: &[&str],
    rng: &mut fastrand::Rng,
    injected: &mut Vec<Kind>,
) -> Duration {
    match &faults.latency {
        Some(latency) if hits(&latency.when, methods, rng) => {
            injected.push(Kind::Latency);
            latency.sample(rng)
        }
        _ => Duration::ZERO,
    }
}

fn reply_of(
    faults: &Faults,
    bucket: &mut Option<Bucket>,
    methods: &[&str],
    rng: &mut fastrand::Rng,
    now: Instant,
    injected: &mut Vec<Kind>,
) -> Reply {
    if faults.reset.as_ref().is_some_and(|when| hits(when, methods, rng)) {
        injected.push(Kind::Reset);
        return Reply::Reset;
    }
    if faults.hang.as_ref().is_some_and(|when| hits(when, methods, rng)) {
        injected.push(Kind::Hang);
        return Reply::Hang;
    }
    if let Some(quota) = &faults.quota {
        let bucket = bucket.get_or_insert_with(|| Bucket::full(quota, now));
        if let Err(wait) = bucket.take(quota, methods.len(), now) {
            injected.push(Kind::Quota);
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let retry_after = Some(quota.retry_after_s.unwrap_or(seconds));
            return Reply::Http {
                status: 429,
                retry_after,
                body: HttpBody::RpcError,
            };
        }
    }
    if let Some(fault) = faults
        .too_many_requests
        .as_ref()
        .filter(|fault| hits(&fault.when, methods, rng))
    {
        injected.push(Kind::TooManyRequests);
        return Reply::Http {
            status: 429,
            retry_after: fault.retry_after_s,
            body: fault.body,
        };
    }
    if let Some(error) = faults
        .http_errors
        .iter()
        .find(|error| hits(&error.when, methods, rng))
    {
        injected.push(Kind::HttpError);
        return Reply::Http {
            status: error.status,
            retry_after: None,
            body: error.body,
        };
    }
    Reply::Http {
        status: 200,
        retry_after: None,
        body: HttpBody::Answer,
    }
}

fn call_fault(faults: &Faults, method: &str, rng: &mut fastrand::Rng, injected: &mut Vec<Kind>) -> CallFault {
    let methods = [method];
    let error = faults
        .rpc_errors
        .iter()
        .find(|error| hits(&error.when, &methods, rng))
        .map(|error| {
            injected.push(Kind::RpcError);
            ErrorObject {
                code: error.code,
                message: error.message.clone(),
                data: error.data.clone(),
            }
        });
    let wrong_id = faults
        .wrong_id
        .as_ref()
        .is_some_and(|when| hits(when, &methods, rng));
    if wrong_id {
        injected.push(Kind::WrongId);
    }
    CallFault { error, wrong_id }
}

fn hits(when: &When, methods: &[&str], rng: &mut fastrand::Rng) -> bool {
    let concerned = when.methods.is_empty()
        || methods
            .iter()
            .any(|method| when.methods.iter().any(|only| only == method));
    concerned && (when.probability >= 1.0 || rng.f64() < when.probability)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
