//! What the end-to-end tests are made of: real processes that end with the test, free ports, bounded waiting.

pub mod grafana;
pub mod http;
pub mod place;
pub mod process;
pub mod runbook;
pub mod wait;
