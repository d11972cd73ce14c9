//! What the objectives are reckoned from: jobs are folded, endpoints add up, and only what counts is counted.
//!
//! A counter that stood at 0 when the window began isn't extrapolated: 30 attempts in five minutes are 0.1 per second.

use super::{super::case::Of, Case};
use crate::recording::Recording;

pub(super) fn cases() -> Vec<Case> {
    [attempts(), node_errors(), slow()].concat()
}

fn attempts() -> Vec<Case> {
    let case = |name: &'static str| Case::of(Of::Recording(Recording::Attempts), name);
    vec![
        case("endpoints add up, jobs don't")
            .given("requests_total", "i/p/e", "0x10 30x100")
            .given("requests_total", "i/p/f", "0x10 60x100")
            .records("4m", "i/p", 0.3)
            .records("340s", "i/p", 0.3)
            .records("360s", "i/p", 0.0),
        case("another pool")
            .given("requests_total", "i/q/e", "0x10 30x100")
            .records("4m", "i/q", 0.1),
        case("after a restart")
            .given("requests_total", "i/p/e", "1000x5 0x5 300x100")
            .records("4m", "i/p", 1.01),
        case("only one of two jobs was there")
            .given("requests_total", "i/p/e/job=a", "0x10 30x100")
            .given("requests_total", "i/p/e/job=b", "_x20 30x100")
            .records("4m", "i/p", 0.1),
    ]
}

fn node_errors() -> Vec<Case> {
    let case = |name: &'static str| Case::of(Of::Recording(Recording::NodeErrors), name);
    let node = [
        "connect",
        "timeout",
        "transport",
        "http_status",
        "malformed",
        "rate_limited",
        "unauthorized",
        "unavailable",
        "unsupported",
        "node_internal",
    ];
    let others = ["invalid_request", "reverted", "tx_rejected", "deadline", "local"];
    let every = node.iter().chain(&others).fold(
        case("every class of node fault counts, and no other")
            .records("4m", "i/p", 1.1)
            .records("340s", "i/p", 1.1)
            .records("360s", "i/p", 0.0)
            .given("errors_total", "i/p/f/error_type=timeout", "0x10 30x100"),
        |case, class| {
            // Leaked once per test run: paths are written out everywhere else.
            let path: &'static str = Box::leak(format!("i/p/e/error_type={class}").into_boxed_str());
            case.given("errors_total", path, "0x10 30x100")
        },
    );
    vec![
        every,
        case("after a restart")
            .given("errors_total", "i/p/e/error_type=timeout", "1000x5 0x5 300x100")
            .records("4m", "i/p", 1.01),
        case("only one of two jobs was there")
            .given("errors_total", "i/p/e/error_type=timeout/job=a", "0x10 30x100")
            .given("errors_total", "i/p/e/error_type=timeout/job=b", "_x20 30x100")
            .records("4m", "i/p", 0.1),
    ]
}

fn slow() -> Vec<Case> {
    let case = |name: &'static str| Case::of(Of::Recording(Recording::Slow), name);
    let (bucket, count) = ("request_duration_ms_bucket", "request_duration_ms_count");
    vec![
        case("endpoints add up, jobs don't; what ended within a second is not slow")
            .given(count, "i/p/e", "0x10 90x100")
            .given(bucket, "i/p/e/le=500", "0x10 15x100")
            .given(bucket, "i/p/e/le=1000", "0x10 30x100")
            .given(bucket, "i/p/e/le=2500", "0x10 75x100")
            .given(bucket, "i/p/e/le=+Inf", "0x10 90x100")
            .given(count, "i/p/f", "0x10 30x100")
            .given(bucket, "i/p/f/le=1000", "0x100")
            .records("4m", "i/p", 0.3)
            .records("340s", "i/p", 0.3)
            .records("360s", "i/p", 0.0),
        case("as Prometheus 3 stores the bound")
            .given(count, "i/p/e", "0x10 90x100")
            .given(bucket, "i/p/e/le=1000.0", "0x10 30x100")
            .records("4m", "i/p", 0.2),
        case("after a restart")
            .given(count, "i/p/e", "1000x5 0x5 600x100")
            .given(bucket, "i/p/e/le=1000", "1000x5 0x5 300x100")
            .records("4m", "i/p", 1.01),
        case("only one of two jobs was there")
            .given(count, "i/p/e/job=a", "0x10 90x100")
            .given(count, "i/p/e/job=b", "_x20 90x100")
            .given(bucket, "i/p/e/le=1000/job=a", "0x10 30x100")
            .given(bucket, "i/p/e/le=1000/job=b", "_x20 30x100")
            .records("4m", "i/p", 0.2),
        case("a second job began late to count the fast ones")
            .given(count, "i/p/e", "0x10 90x100")
            .given(bucket, "i/p/e/le=1000/job=a", "0x10 30x100")
            .given(bucket, "i/p/e/le=1000/job=b", "_x20 30x100")
            .records("4m", "i/p", 0.2),
        case("what ended long ago is neither")
            .given(count, "i/p/e", "0x10 90x200")
            .given(bucket, "i/p/e/le=1000", "0x100 30x100")
            .records("340s", "i/p", 0.3),
    ]
}
