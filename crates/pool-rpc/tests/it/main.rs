//! Endpoints against real sockets: fault-injecting nodes, scripted servers, TLS.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

mod broadcast;
mod connection;
mod faults;
mod health;
mod many;
mod pool;
mod quorum;
mod routing;
mod script;
mod secrets;
mod support;
mod tls;
