//! The server over real sockets.
#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

mod auth;
mod limits;
mod metrics;
mod pools;
mod probes;
mod support;
mod tls;

#[path = "../export/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the export")]
mod exposition;
