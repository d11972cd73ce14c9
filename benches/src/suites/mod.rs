//! The suites, one folder each. Another one is added here and by its marks in `docs/benchmarks.md`.

pub mod trace;

use crate::frame::Suite;

/// All suites, in the order in which they run.
pub fn all() -> Vec<Box<dyn Suite>> {
    vec![Box::new(trace::Traces)]
}

/// What `--only` accepts.
pub fn names() -> Vec<&'static str> {
    all().iter().map(|suite| suite.name()).collect()
}
