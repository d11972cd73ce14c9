//! From the file as written to plans: names, chains, uniqueness.

use std::path::Path;

use pool_core::{EndpointId, InvalidId, PoolId};
use pool_rpc::Timeouts;

use super::{
    Chain, Config, ConfigProblem, Dialect, EndpointPlan, PoolPlan, endpoint, follow, lines::Lines, raw,
};

/// What resolving may look at.
pub(super) struct Context<'a> {
    pub(super) file: &'a Path,
    pub(super) lines: &'a Lines,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
}

impl Context<'_> {
    /// A problem at a path, such as `pools[0].id`.
    pub(super) fn problem(&self, path: &str, what: impl std::fmt::Display) -> ConfigProblem {
        ConfigProblem::new(self.file, Some(self.lines.line(path)), format!("{path}: {what}"))
    }
}

pub(super) fn resolve(raw: raw::File, context: &Context<'_>) -> Result<Config, ConfigProblem> {
    if raw.pools.is_empty() {
        return Err(context.problem("pools", "there are no pools; give at least one"));
    }
    let mut pools: Vec<PoolPlan> = Vec::with_capacity(raw.pools.len());
    for (index, pool) in raw.pools.into_iter().enumerate() {
        let plan = resolve_pool(pool, &format!("pools[{index}]"), context)?;
        if pools.iter().any(|other| other.id == plan.id) {
            let path = format!("pools[{index}].id");
            let what = format_args!(
                "another pool is called {} already; metrics could not tell them apart",
                plan.id
            );
            return Err(context.problem(&path, what));
        }
        pools.push(plan);
    }
    Ok(Config { pools })
}

fn resolve_pool(pool: raw::Pool, path: &str, context: &Context<'_>) -> Result<PoolPlan, ConfigProblem> {
    let id = PoolId::new(&pool.id).map_err(|error| bad_id(&format!("{path}.id"), &error, context))?;
    let chain = chain(
        pool.dialect,
        &pool.chain_id.0,
        &format!("{path}.chain_id"),
        context,
    )?;
    pool.settings
        .validate()
        .map_err(|error| context.problem(&format!("{path}.settings.{}", error.field), is_not(&error)))?;
    let timeouts = timeouts(&pool.timeouts, &format!("{path}.timeouts"), context)?;
    let follow = follow::resolve(pool.follow, pool.dialect, &format!("{path}.follow"), context)?;
    let path = format!("{path}.endpoints");
    if pool.endpoints.is_empty() {
        return Err(context.problem(&path, "there are no endpoints; give at least one"));
    }
    let mut endpoints: Vec<EndpointPlan> = Vec::with_capacity(pool.endpoints.len());
    for (index, endpoint) in pool.endpoints.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let id =
            EndpointId::new(&endpoint.id).map_err(|error| bad_id(&format!("{path}.id"), &error, context))?;
        if endpoints.iter().any(|other| other.id == id) {
            let what = format_args!("another endpoint of this pool is called {id} already; rename one");
            return Err(context.problem(&format!("{path}.id"), what));
        }
        endpoints.push(endpoint::resolve(id, endpoint, &chain, timeouts, &path, context)?);
    }
    Ok(PoolPlan {
        id,
        chain,
        balancer: pool.balancer,
        settings: pool.settings,
        endpoints,
        follow,
    })
}

/// A setting's value and what is allowed; the path before it names the setting.
pub(super) fn is_not(error: &pool_core::ConfigError) -> String {
    format!("{} is not possible; allowed: {}", error.value, error.allowed)
}

/// A URL in place of an id holds a key, so the id itself is never shown.
fn bad_id(path: &str, error: &InvalidId, context: &Context<'_>) -> ConfigProblem {
    context.problem(path, error)
}

fn chain(dialect: Dialect, id: &str, path: &str, context: &Context<'_>) -> Result<Chain, ConfigProblem> {
    match dialect {
        Dialect::Evm => match id.parse() {
            Ok(chain_id) if chain_id > 0 => Ok(Chain::Evm { chain_id }),
            _ => Err(context.problem(
                path,
                "not an EVM chain id; allowed: a number above 0, such as 1 or 137",
            )),
        },
        Dialect::CometBft => {
            let possible = (1..=50).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if possible {
                Ok(Chain::CometBft {
                    network: id.to_owned(),
                })
            } else {
                let what =
                    "not a network's name; allowed: 1 to 50 letters, digits, -, _ or ., such as cosmoshub-4";
                Err(context.problem(path, what))
            }
        }
    }
}

/// The last bound of the latency histogram: beyond it a percentile could not be seen.
pub(super) const LONGEST_RESPONSE: &str = "2m";

fn timeouts(limits: &raw::Limits, path: &str, context: &Context<'_>) -> Result<Timeouts, ConfigProblem> {
    let all = [
        ("dns", limits.dns, "10m"),
        ("connect", limits.connect, "10m"),
        ("tls", limits.tls, "10m"),
        ("response", limits.response, LONGEST_RESPONSE),
    ];
    for (name, limit, most) in all {
        follow::check_duration(limit, "1ms", most, &format!("{path}.{name}"), context)?;
    }
    Ok(Timeouts {
        dns: limits.dns,
        connect: limits.connect,
        tls: limits.tls,
        response: limits.response,
    })
}
