//! Answers to a batch: each request gets its own answer, exactly one, or none gets any.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pool_rpc::fuzzing::batch;
use serde::de::IgnoredAny;
use serde_json::Value;

const FIRST: u64 = 3;
const COUNT: usize = 4;

fuzz_target!(|body: &[u8]| {
    for strict in [false, true] {
        let Ok(read) = batch(body, FIRST, COUNT, strict) else { continue };
        serde_json::from_slice::<IgnoredAny>(body).expect("what was read is JSON");
        // half a surrogate pair, or a number beyond all bounds, is JSON that has no value
        let Ok(whole) = serde_json::from_slice::<Value>(body) else { continue };
        let Some(items) = read else {
            continue;
        };
        assert_eq!(items.len(), COUNT);
        let answers = whole.as_array().expect("items come in a list");
        assert_eq!(answers.len(), COUNT, "one for each");
        for (item, id) in items.iter().zip(FIRST..) {
            let mut own = answers.iter().filter(|answer| answer["id"].as_u64() == Some(id));
            let (Some(answer), None) = (own.next(), own.next()) else {
                panic!("one answer to {id}");
            };
            match item {
                Ok(result) => {
                    let result: Value = serde_json::from_str(result.get()).expect("a result is JSON");
                    assert_eq!(result, answer["result"]);
                    assert!(answer["error"].is_null());
                }
                Err(_) => assert!(!answer["error"].is_null()),
            }
        }
    }
});
