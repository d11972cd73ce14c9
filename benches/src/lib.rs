//! Our crates beside their peers, by one command: `cargo xtask bench`.
//!
//! A [suite](suites) measures one thing for all contestants in one process run and hands back tables, remarks and a JSON
//! value. The [frame] does the rest: rounds that take turns, medians with their spread, the pages in `docs/`, the
//! machine and the versions beside the figures.
//!
//! The package stays out of the default members, so that the peers burden nobody who builds the crates.

pub mod cli;
pub mod frame;
pub mod suites;
