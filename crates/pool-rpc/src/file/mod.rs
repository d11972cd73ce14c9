//! `pools.yaml`: which pools there are, and through which nodes (feature `file`).
//!
//! A file is read in two steps. `raw` is the file as it is written: serde refuses unknown keys and wrong types, with
//! their line. `resolve` then fills in the file's `defaults`, expands `${ENV}` and `${file:...}`, checks what a type
//! can't say and makes the plans that everything else works with. Either step ends with one [`ConfigProblem`] that names
//! file and line.
//!
//! An application may give each pool a [`Section`] of its own.

mod chain;
pub mod duration;
mod endpoint;
mod lines;
mod merge;
mod pool;
mod problem;
mod provider;
mod raw;
mod resolve;
#[cfg(feature = "schema")]
mod schema;
mod settings;

use std::path::Path;

use pool_core::{BalancerKind, EndpointConfig, EndpointId, PoolConfig, PoolId, ProviderConfig, ProviderId};

pub use chain::{Chain, Dialect};
pub use pool::{NoSection, Section};
pub use problem::ConfigProblem;
pub use resolve::{Context, LONGEST_RESPONSE};
#[cfg(feature = "schema")]
pub use schema::schema;

use crate::{ConfigError, JsonRpcEndpoint, PriceList, RpcConfig};

/// Everything a file says, with what an application keeps in it for each pool.
#[derive(Debug)]
pub struct PoolsFile<P = ()> {
    /// The pools, at least one.
    pub pools: Vec<PoolPlan<P>>,
}

/// One pool: a chain and the nodes that serve it.
#[derive(Debug)]
pub struct PoolPlan<P = ()> {
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
    /// The providers that its nodes may belong to; the same for all pools of a file.
    pub providers: Vec<ProviderPlan>,
    /// What the application wants of it.
    pub plan: P,
}

/// A provider's account.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderPlan {
    /// Its name.
    pub id: ProviderId,
    /// Its settings.
    pub config: ProviderConfig,
    /// What methods cost with it.
    pub prices: PriceList,
}

/// One node of a pool.
#[derive(Debug)]
pub struct EndpointPlan {
    /// The endpoint's name in metrics and logs.
    pub id: EndpointId,
    /// Its settings in the pool.
    pub config: EndpointConfig,
    /// How it is reached. Holds the secrets, and shows none.
    pub rpc: RpcConfig,
    /// Made of that.
    pub endpoint: JsonRpcEndpoint,
}

impl<P> PoolPlan<P> {
    /// The pool, and what the application wants of it.
    pub fn split(self) -> (PoolPlan, P) {
        let plan = PoolPlan {
            id: self.id,
            chain: self.chain,
            balancer: self.balancer,
            settings: self.settings,
            endpoints: self.endpoints,
            providers: self.providers,
            plan: (),
        };
        (plan, self.plan)
    }
}

impl EndpointPlan {
    /// A node that is reached like this.
    ///
    /// # Errors
    /// [`ConfigError`] says which setting is wrong.
    pub fn new(id: EndpointId, config: EndpointConfig, rpc: RpcConfig) -> Result<Self, ConfigError> {
        let endpoint = JsonRpcEndpoint::new(&rpc)?;
        Ok(Self {
            id,
            config,
            rpc,
            endpoint,
        })
    }
}

impl<P> PoolsFile<P> {
    /// Reads a file, with the variables of this process's environment.
    ///
    /// # Errors
    /// [`ConfigProblem`] says file, line, what is wrong and what is allowed.
    pub fn load<S: Section<Plan = P>>(file: &Path) -> Result<Self, ConfigProblem> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            ConfigProblem::new(
                file,
                None,
                format!("can't be read: {error}; give the path of a pools.yaml"),
            )
        })?;
        // a value that isn't UTF-8 can't be part of a URL or a header
        Self::parse::<S>(&text, file, |name| std::env::var(name).ok())
    }

    /// Reads a text. `file` is named in messages, and the files it refers to are relative to its folder; `env` looks
    /// variables up.
    ///
    /// # Errors
    /// [`ConfigProblem`] says file, line, what is wrong and what is allowed.
    pub fn parse<S: Section<Plan = P>>(
        text: &str,
        file: &Path,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigProblem> {
        let lines = lines::Lines::of(text);
        if let Some((path, line, first)) = lines.twice() {
            let what = format!("{path}: this key already stands in line {first}; keep one");
            return Err(ConfigProblem::new(file, Some(line), what));
        }
        let wrong = |error: serde_yaml::Error| {
            settings::wrong_duration(file, &lines, &error)
                .unwrap_or_else(|| ConfigProblem::yaml(file, &error))
        };
        let raw: raw::File<S> = serde_yaml::from_str(text).map_err(wrong)?;
        let values: serde_yaml::Value = serde_yaml::from_str(text).map_err(wrong)?;
        let context = Context {
            file,
            lines: &lines,
            env: &env,
        };
        resolve::resolve(raw, &values, &context)
    }
}

#[cfg(test)]
mod tests;
