//! Verdicts on whatever a node says: bounded, and never a node's fault held against the caller or the other way round.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pool_core::Fault;
use pool_rpc::{MAX_RETRY_AFTER, RpcError, classify, fuzzing::answer};

fuzz_target!(|input: &[u8]| {
    let Some(([high, low], body)) = input.split_first_chunk::<2>() else {
        return;
    };
    let status = u16::from_be_bytes([*high, *low]) % 600;
    let retry_after = (status % 2 == 1).then(|| Duration::from_secs(u64::from(status)));
    let error = match answer(body, 1, false) {
        Ok(Err(object)) => pool_rpc::fuzzing::failure(object, status, retry_after),
        Ok(Ok(_)) => return,
        Err(_) => RpcError::HttpStatus { status, retry_after },
    };
    let verdict = classify(&error);
    if let Some(pause) = verdict.throttle {
        let longest = MAX_RETRY_AFTER.max(retry_after.unwrap_or_default());
        assert!(pause <= longest, "{pause:?} for {error}");
    }
    if verdict.fault() == Fault::Caller {
        assert!(!verdict.counts_for_breaker, "a caller's mistake opens no breaker: {error}");
        assert!(verdict.throttle.is_none(), "nor throttles: {error}");
        assert!(!verdict.retry_here, "nor is repeated here: {error}");
    }
    assert_eq!(classify(&error), verdict, "the same error, the same verdict");
});
