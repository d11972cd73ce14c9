//! Answers to a single request. What is taken for a result is one, by a parser that knows nothing of ours.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pool_rpc::fuzzing::answer;
use serde::de::IgnoredAny;
use serde_json::Value;

const ID: u64 = 7;

fuzz_target!(|body: &[u8]| {
    for strict in [false, true] {
        let Ok(read) = answer(body, ID, strict) else { continue };
        serde_json::from_slice::<IgnoredAny>(body).expect("what was read is JSON");
        // half a surrogate pair, or a number beyond all bounds, is JSON that has no value
        let Ok(whole) = serde_json::from_slice::<Value>(body) else { continue };
        if strict {
            assert_eq!(whole["jsonrpc"], "2.0");
        }
        match read {
            Ok(result) => {
                assert_eq!(whole["id"].as_u64(), Some(ID), "a result for another");
                assert!(whole["error"].is_null(), "a result beside an error");
                let result: Value = serde_json::from_str(result.get()).expect("a result is JSON");
                assert_eq!(result, whole["result"]);
            }
            Err(error) => {
                assert!(!whole["error"].is_null());
                assert!(whole["id"].is_null() || whole["id"].as_u64() == Some(ID), "an error for another");
                // shown in one line of bounded length, whatever the node says
                let shown = format!("{error} {error:?}");
                assert!(shown.len() < 4096 && !shown.contains('\n'), "{} bytes", shown.len());
            }
        }
    }
});
