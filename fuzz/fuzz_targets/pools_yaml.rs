//! Files: read whole or refused in one line that names file and line, and no secret is shown either way.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pool_rpc::file::{NoSection, PoolsFile};

/// Not in any input, because the fuzzer does not know it. It begins a path wherever it stands in a URL: hosts are shown.
const SECRET: &str = "/S3cr3t-of-the-environment";

fuzz_target!(|text: &str| {
    if text.contains(SECRET) || text.contains("file:") {
        return;
    }
    let env = |_: &str| Some(SECRET.to_owned());
    match PoolsFile::parse::<NoSection>(text, Path::new("pools.yaml"), env) {
        Ok(file) => {
            assert!(!file.pools.is_empty());
            for pool in &file.pools {
                pool.settings.validate().expect("what was taken can work");
                assert!(!pool.endpoints.is_empty());
                for endpoint in &pool.endpoints {
                    endpoint.config.validate().expect("what was taken can work");
                }
            }
            let shown = format!("{file:?}");
            assert!(!shown.contains(SECRET), "{shown}");
        }
        Err(problem) => {
            let line = problem.line().expect("a problem in a text has a line");
            // YAML knows more ends of a line than most
            let breaks = text.matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
            assert!((1..=breaks + 2).contains(&line), "line {line} of {breaks}");
            let shown = problem.to_string();
            assert!(shown.starts_with(&format!("pools.yaml:{line}: ")), "{shown}");
            assert!(!shown.contains(SECRET), "{shown}");
            assert!(!shown.contains('\n') && shown.len() < 4096, "{shown}");
        }
    }
});
