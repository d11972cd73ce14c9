//! Pools over real PostgreSQL and Redis servers, which the trials start themselves, each its own, in temporary folders.
//!
//! `cargo xtask test` obtains the servers and builds with the features `postgres` and `redis`. Where either is missing the
//! trials are reported as ignored, and the reason is printed; with `DATABASES_E2E` set they fail instead.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

#[cfg(all(feature = "postgres", feature = "redis"))]
mod postgres;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod postgres_server;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod programs;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod redis;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod redis_server;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod server;

use libtest_mimic::{Arguments, Trial};

/// Set where the servers must be there.
const DEMANDED: &str = "DATABASES_E2E";

#[cfg(all(feature = "postgres", feature = "redis"))]
fn trials() -> Vec<Trial> {
    let mut trials = postgres::trials();
    trials.extend(redis::trials());
    trials
}

#[cfg(not(all(feature = "postgres", feature = "redis")))]
fn trials() -> Vec<Trial> {
    vec![not_run(
        "databases",
        "built without the features postgres and redis",
    )]
}

/// Stands for trials that can't be run, and says why.
fn not_run(name: &str, reason: &str) -> Trial {
    let demanded = std::env::var_os(DEMANDED).is_some();
    if !demanded {
        println!("NOT RUN {name}: {reason}; `cargo xtask test` brings what is missing");
    }
    let message = format!("{reason}, and {DEMANDED} is set");
    Trial::test(name, move || Err(message.into())).with_ignored_flag(!demanded)
}

fn main() {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, trials()).exit();
}
