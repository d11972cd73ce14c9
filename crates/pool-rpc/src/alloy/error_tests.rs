use std::time::Duration;

use pool_core::{EndpointId, PoolId, Reasons, ThrottleCause, Unusable};

use super::*;
use crate::{error::RpcFailure, taxonomy::classify};

fn answered(code: i64, message: &str) -> Failure {
    let source = RpcError::Rpc(Box::new(RpcFailure {
        object: ErrorObject {
            code,
            message: message.to_owned(),
            data: None,
        },
        status: 200,
        retry_after: None,
    }));
    Failure {
        cause: RunError::Failed {
            endpoint: EndpointId::new("e").unwrap(),
            attempts: 3,
            verdict: classify(&source),
            source,
        },
        sent: true,
    }
}

fn unusable(reason: NotUsable, sent: bool) -> Failure {
    let reasons = Reasons(vec![Unusable {
        endpoint: EndpointId::new("e").unwrap(),
        reason,
    }]);
    Failure {
        cause: RunError::Acquire(AcquireError::NoHealthyEndpoint {
            pool: PoolId::new("p").unwrap(),
            reasons,
        }),
        sent,
    }
}

#[test]
fn what_a_node_said_is_an_answer_unless_alloy_would_ask_again() {
    for (code, message) in [
        (3, "execution reverted"),
        (-32000, "nonce too low"),
        (-32601, "the method x does not exist"),
        (-32000, "missing trie node"),
    ] {
        let payload = settle(Err(answered(code, message))).unwrap();
        assert_eq!(payload.error_code(), Some(code), "{message}");
    }
    for (code, message) in [
        (-32005, "limit exceeded"),
        (-32000, "header not found"),
        (429, "x"),
    ] {
        let error = settle(Err(answered(code, message))).unwrap_err();
        assert!(
            matches!(&error, TransportError::Transport(kind) if kind.is_non_retryable()),
            "{error:?}"
        );
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn only_what_was_never_sent_may_be_sent_by_a_layer_above() {
    let wait = Duration::from_secs(7);
    let status = |failure: Failure| match TransportError::from(failure) {
        TransportError::Transport(kind) => {
            let http = kind.as_http_error().map(|error| error.status);
            assert_eq!(kind.is_retry_err(), http.is_some(), "{kind:?}");
            assert_eq!(kind.retry_after(), http.map(|_| wait), "{kind:?}");
            http
        }
        other => panic!("{other:?}"),
    };
    let cause = ThrottleCause::ProviderQuota;
    assert_eq!(
        status(unusable(NotUsable::Throttled { wait, cause }, false)),
        Some(429)
    );
    assert_eq!(
        status(unusable(NotUsable::BreakerOpen { wait: Some(wait) }, false)),
        Some(503)
    );
    assert_eq!(
        status(unusable(NotUsable::Unhealthy { reason: None }, false)),
        None
    );
    assert_eq!(status(unusable(NotUsable::Throttled { wait, cause }, true)), None);
    assert_eq!(status(out_of_time()), None);
    assert_eq!(status(answered(-32005, "limit exceeded")), None);
}
