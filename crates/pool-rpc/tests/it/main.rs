//! Endpoints against real sockets: fault-injecting nodes, scripted servers, TLS.

#![expect(clippy::unwrap_used, reason = "in a test it is the assertion")]

#[cfg(feature = "alloy")]
mod alloy;
#[cfg(feature = "alloy")]
mod answering;
mod broadcast;
mod certificates;
mod connection;
mod faults;
mod gzip;
mod health;
mod http2;
mod http2_pool;
mod http2_server;
mod many;
mod pool;
mod proxy;
mod quorum;
mod routing;
mod script;
mod secrets;
mod support;
mod tls;
#[cfg(feature = "tower")]
mod tower;
