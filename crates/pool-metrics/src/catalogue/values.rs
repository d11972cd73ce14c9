//! The closed sets of label values, each with what it means. The pool's own enums are checked against them by tests.

/// Whose fault an error is. Only [`Fault::Node`] enters error rates and objectives: a revert pages nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The node, its provider or the network to it.
    Node,
    /// The caller's request could not have succeeded anywhere.
    Caller,
    /// This process: its deadline, its resources.
    Local,
}

/// One value of the label `error_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorType {
    /// The label value.
    pub value: &'static str,
    /// Whose fault it is.
    pub fault: Fault,
    /// What it means to the person on call.
    pub help: &'static str,
}

/// The closed set of values of `error_type`. The pool's own enum is checked against it by a test.
pub const ERROR_TYPES: &[ErrorType] = &[
    ErrorType {
        value: "connect",
        fault: Fault::Node,
        help: "the connection could not be opened (DNS, TCP or TLS)",
    },
    ErrorType {
        value: "timeout",
        fault: Fault::Node,
        help: "no complete answer within the request time-out",
    },
    ErrorType {
        value: "transport",
        fault: Fault::Node,
        help: "the connection broke while a request was on it",
    },
    ErrorType {
        value: "http_status",
        fault: Fault::Node,
        help: "an HTTP error status without a JSON-RPC body",
    },
    ErrorType {
        value: "malformed",
        fault: Fault::Node,
        help: "the answer was not valid JSON-RPC",
    },
    ErrorType {
        value: "rate_limited",
        fault: Fault::Node,
        help: "the provider throttled the request",
    },
    ErrorType {
        value: "unauthorized",
        fault: Fault::Node,
        help: "the provider refused the credentials or the plan",
    },
    ErrorType {
        value: "unavailable",
        fault: Fault::Node,
        help: "the node lacks the data: syncing, lagging or pruned",
    },
    ErrorType {
        value: "unsupported",
        fault: Fault::Node,
        help: "this node does not offer the method",
    },
    ErrorType {
        value: "node_internal",
        fault: Fault::Node,
        help: "the node answered with an internal error",
    },
    ErrorType {
        value: "invalid_request",
        fault: Fault::Caller,
        help: "the request is wrong wherever it is sent",
    },
    ErrorType {
        value: "reverted",
        fault: Fault::Caller,
        help: "the execution reverted",
    },
    ErrorType {
        value: "tx_rejected",
        fault: Fault::Caller,
        help: "the transaction was refused on its merits (nonce, funds, price)",
    },
    ErrorType {
        value: "deadline",
        fault: Fault::Local,
        help: "the caller's deadline passed before the node's time-out",
    },
    ErrorType {
        value: "local",
        fault: Fault::Local,
        help: "this process could not do its part (for instance, out of file descriptors)",
    },
];

/// One value of a closed set that is not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The label value.
    pub value: &'static str,
    /// What it means to the person on call.
    pub help: &'static str,
}

const fn value(value: &'static str, help: &'static str) -> Value {
    Value { value, help }
}

/// The values of `reason` of [`REJECTIONS_TOTAL`](super::REJECTIONS_TOTAL).
pub const REJECTIONS: &[Value] = &[
    value("queue_full", "as many callers waited already as may"),
    value("queue_timeout", "no slot became free within the caller's time"),
    value(
        "no_endpoint",
        "no endpoint could be used, and none was going to be within the caller's time",
    ),
    value(
        "connect",
        "connecting failed on every endpoint that could be tried",
    ),
    value("deadline", "the caller's time was over while connecting"),
    value("closed", "the pool had been closed"),
];

/// The values of `reason` of [`CONNECTIONS_CLOSED_TOTAL`](super::CONNECTIONS_CLOSED_TOTAL).
pub const CLOSE_REASONS: &[Value] = &[
    value("expired", "it reached its lifetime; normal"),
    value("idle", "nobody used it for the idle time-out; normal"),
    value(
        "broken",
        "a request failed on it in a way that leaves it unusable",
    ),
    value("cancelled", "a request on it was given up half-way"),
    value(
        "dead",
        "the other side had closed it, or it did not answer when it was validated",
    ),
    value(
        "distrusted",
        "its endpoint failed, so what was idle is not trusted any more",
    ),
    value(
        "surplus",
        "more were open than may be: a limit was lowered, or another endpoint needed the room",
    ),
    value(
        "shutdown",
        "the pool was closed, or the endpoint removed or replaced",
    ),
];

/// The values of `cause` of [`THROTTLES_TOTAL`](super::THROTTLES_TOTAL).
pub const THROTTLE_CAUSES: &[Value] = &[
    value("cool_down", "the endpoint asked for a pause"),
    value(
        "provider_cool_down",
        "its provider asked for a pause, perhaps on another of its endpoints",
    ),
    value("quota", "the endpoint's own quota is spent"),
    value("provider_quota", "its provider's quota is spent"),
];

/// The states of a circuit breaker, of [`CIRCUIT_BREAKER_STATE`](super::CIRCUIT_BREAKER_STATE) and
/// [`CIRCUIT_BREAKER_TRANSITIONS_TOTAL`](super::CIRCUIT_BREAKER_TRANSITIONS_TOTAL).
pub const BREAKER_STATES: &[Value] = &[
    value("closed", "requests pass"),
    value("open", "no request passes until its time is over"),
    value(
        "half_open",
        "a few requests pass, to find out whether the endpoint works again",
    ),
];

/// The values of `result` of [`RECONFIGURATIONS_TOTAL`](super::RECONFIGURATIONS_TOTAL).
pub const UPDATE_RESULTS: &[Value] = &[
    value("applied", "the pool is as the new settings say"),
    value(
        "refused",
        "the new settings cannot work; the pool goes on with the old ones",
    ),
];
