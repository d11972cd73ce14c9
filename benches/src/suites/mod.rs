//! The suites, one folder each. Another one is added here and by its marks in `docs/benchmarks.md`.

pub mod http;
pub mod live;
mod meters;
#[path = "../../../crates/pool-core/benches/acquire/numbers.rs"]
mod numbers;
pub mod pick;
pub mod pool;
pub mod record;
pub mod scrape;
pub mod trace;
pub mod validate;

use crate::frame::Suite;

/// All suites, in the order in which they run.
pub fn all() -> Vec<Box<dyn Suite>> {
    vec![
        Box::new(pool::Pools),
        Box::new(pick::Picks),
        Box::new(http::Calls),
        Box::new(record::Recording),
        Box::new(scrape::Scrapes),
        Box::new(validate::Validation),
        Box::new(trace::Traces),
        Box::new(live::Live),
    ]
}

/// What `--only` accepts.
pub fn names() -> Vec<&'static str> {
    all().iter().map(|suite| suite.name()).collect()
}
