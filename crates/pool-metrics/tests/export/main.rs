//! What comes out of the bridge and the server, seen from outside.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod capacity;
mod exposition;
mod lifetime;
mod otlp;
mod reach;
mod support;
mod torn;
mod values;
