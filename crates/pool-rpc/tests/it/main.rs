//! Endpoints against real sockets: fault-injecting nodes, scripted servers, TLS.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

#[cfg(feature = "alloy")]
mod alloy;
#[cfg(feature = "alloy")]
mod answering;
mod connection;
mod faults;
mod health;
mod pool;
mod script;
mod secrets;
mod support;
mod tls;
#[cfg(feature = "tower")]
mod tower;
