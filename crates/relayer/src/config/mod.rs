//! `pools.yaml`: the pools, as [`pool_rpc::file`] reads them, and what is followed on them.
//!
//! The example `pools.example.yaml` beside this crate's manifest shows every setting.

mod follow;
mod raw;

use std::path::Path;

pub use follow::{Escrow, FollowPlan};
pub use pool_core::BalancerKind;
use pool_rpc::file::PoolsFile;
pub use pool_rpc::file::{Chain, ConfigProblem, Dialect, EndpointPlan};

/// Everything a configuration file says.
pub type Config = PoolsFile<FollowPlan>;

/// One pool and what is followed on it.
pub type PoolPlan = pool_rpc::file::PoolPlan<FollowPlan>;

/// Reads a file, with the variables of this process's environment.
///
/// # Errors
/// [`ConfigProblem`] says file, line, what is wrong and what is allowed.
pub fn load(file: &Path) -> Result<Config, ConfigProblem> {
    Config::load::<raw::Follow>(file)
}

/// Reads a text; see [`PoolsFile::parse`].
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, file: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigProblem> {
    Config::parse::<raw::Follow>(text, file, env)
}

/// A JSON Schema of the file, for editors.
#[cfg(feature = "schema")]
pub fn schema() -> serde_json::Value {
    use pool_rpc::file::Section as _;

    let follow = schemars::generate::SchemaSettings::draft07()
        .with(|settings| settings.meta_schema = None)
        .into_generator()
        .into_root_schema_for::<raw::Follow>();
    let mut follow = follow.to_value();
    follow["description"] = "What the reference relayer follows on the chain.".into();
    pool_rpc::file::schema(Some((raw::Follow::KEY, follow)))
}

#[cfg(test)]
mod tests;
