//! `pools.yaml`: which pools there are, through which nodes, and what is followed on them.
//!
//! A file is read in two steps. `raw` is the file as it is written: serde refuses unknown keys and wrong types, with
//! their line. `resolve` then expands `${ENV}`, checks what a type can't say and makes the plans that everything
//! else works with. Either step ends with one [`ConfigProblem`] that names file and line.
//!
//! The example `pools.example.yaml` beside this crate's manifest shows every setting.

mod chain;
mod endpoint;
mod follow;
mod lines;
mod problem;
mod raw;
mod resolve;
mod settings;

use std::path::Path;

use pool_core::{EndpointConfig, EndpointId, PoolConfig, PoolId};
use pool_rpc::JsonRpcEndpoint;

pub use chain::{Chain, Dialect};
pub use follow::{Escrow, FollowPlan};
pub use pool_core::BalancerKind;
pub use problem::ConfigProblem;

/// Everything a configuration file says.
#[derive(Debug)]
pub struct Config {
    /// The pools, at least one.
    pub pools: Vec<PoolPlan>,
}

/// One pool: a chain, the nodes that serve it and what is followed on it.
#[derive(Debug)]
pub struct PoolPlan {
    /// The pool's name in metrics and logs.
    pub id: PoolId,
    /// The chain that every node of the pool must serve; its dialect follows from it.
    pub chain: Chain,
    /// How an endpoint is chosen.
    pub balancer: BalancerKind,
    /// Settings of the pool.
    pub settings: PoolConfig,
    /// The nodes, at least one.
    pub endpoints: Vec<EndpointPlan>,
    /// What is followed.
    pub follow: FollowPlan,
}

/// One node of a pool.
#[derive(Debug)]
pub struct EndpointPlan {
    /// The endpoint's name in metrics and logs.
    pub id: EndpointId,
    /// Its settings in the pool.
    pub config: EndpointConfig,
    /// How it is reached. Holds the secrets, and shows none.
    pub endpoint: JsonRpcEndpoint,
}

impl Config {
    /// Reads a file, with the variables of this process's environment.
    ///
    /// # Errors
    /// [`ConfigProblem`] says file, line, what is wrong and what is allowed.
    pub fn load(file: &Path) -> Result<Self, ConfigProblem> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            ConfigProblem::new(
                file,
                None,
                format!("can't be read: {error}; give the path of a pools.yaml"),
            )
        })?;
        // a value that isn't UTF-8 can't be part of a URL or a header
        Self::parse(&text, file, |name| std::env::var(name).ok())
    }

    /// Reads a text. `file` is named in messages, and `ca_file` paths are relative to its folder; `env` looks
    /// variables up.
    ///
    /// # Errors
    /// [`ConfigProblem`] says file, line, what is wrong and what is allowed.
    pub fn parse(
        text: &str,
        file: &Path,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigProblem> {
        let lines = lines::Lines::of(text);
        if let Some((path, line, first)) = lines.twice() {
            let what = format!("{path}: this key already stands in line {first}; keep one");
            return Err(ConfigProblem::new(file, Some(line), what));
        }
        let raw: raw::File = serde_yaml::from_str(text).map_err(|error| {
            settings::wrong_duration(file, &lines, &error)
                .unwrap_or_else(|| ConfigProblem::yaml(file, &error))
        })?;
        let context = resolve::Context {
            file,
            lines: &lines,
            env: &env,
        };
        resolve::resolve(raw, &context)
    }
}

#[cfg(test)]
mod tests;
