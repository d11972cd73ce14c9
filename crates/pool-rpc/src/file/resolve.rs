//! From the file as written to plans: names, chains, uniqueness.

use std::{path::Path, time::Duration};

use pool_core::{EndpointId, InvalidId, PoolId};
use serde_yaml::Value;

use super::{
    Chain, ConfigProblem, Dialect, EndpointPlan, PoolPlan, PoolsFile, ProviderPlan, Section, endpoint,
    lines::Lines, merge, pool::Pool, provider, raw,
};
use crate::Timeouts;

/// What resolving may look at.
pub struct Context<'a> {
    pub(super) file: &'a Path,
    pub(super) lines: &'a Lines,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the lines hold secrets
        f.debug_struct("Context")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// A problem at a path, such as `pools[0].id`: with the line where that stands, or where it should.
    pub fn problem(&self, path: &str, what: impl std::fmt::Display) -> ConfigProblem {
        ConfigProblem::new(self.file, Some(self.lines.line(path)), format!("{path}: {what}"))
    }

    /// Checks a duration against bounds that are written as a file writes them.
    ///
    /// # Errors
    /// When it is outside.
    pub fn check_duration(
        &self,
        value: Duration,
        (least, most): (&'static str, &'static str),
        path: &str,
    ) -> Result<(), ConfigProblem> {
        let bound = |text| humantime::parse_duration(text).unwrap_or_default();
        if value >= bound(least) && value <= bound(most) {
            return Ok(());
        }
        Err(self.problem(
            path,
            format_args!("{value:?} is not possible; allowed: {least} to {most}"),
        ))
    }
}

pub(super) fn resolve<S: Section>(
    raw: raw::File<S>,
    values: &Value,
    context: &Context<'_>,
) -> Result<PoolsFile<S::Plan>, ConfigProblem> {
    if raw.pools.is_empty() {
        return Err(context.problem("pools", "there are no pools; give at least one"));
    }
    let providers = provider::resolve_all(raw.providers, context)?;
    let mut pools: Vec<PoolPlan<S::Plan>> = Vec::with_capacity(raw.pools.len());
    for (index, pool) in raw.pools.into_iter().enumerate() {
        let plan = resolve_pool(pool, (&raw.defaults, &providers, values), index, context)?;
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
    Ok(PoolsFile { pools })
}

fn resolve_pool<S: Section>(
    pool: Pool<S>,
    (defaults, providers, values): (&raw::Defaults, &[ProviderPlan], &Value),
    index: usize,
    context: &Context<'_>,
) -> Result<PoolPlan<S::Plan>, ConfigProblem> {
    let path = format!("pools[{index}]");
    let id = PoolId::new(&pool.id).map_err(|error| bad_id(&format!("{path}.id"), &error, context))?;
    let chain = chain(
        pool.dialect,
        &pool.chain_id.0,
        &format!("{path}.chain_id"),
        context,
    )?;
    let settings =
        merge::settings(values, index).map_err(|error| ConfigProblem::yaml(context.file, &error))?;
    settings.validate().map_err(|error| {
        let own = format!("{path}.settings.{}", error.field);
        let shared = format!("defaults.settings.{}", error.field);
        let written = context.lines.is_written(&shared) && !context.lines.is_written(&own);
        context.problem(if written { &shared } else { &own }, is_not(&error))
    })?;
    let shared = timeouts(
        &defaults.timeouts,
        Timeouts::default(),
        "defaults.timeouts",
        context,
    )?;
    let timeouts = timeouts(&pool.timeouts, shared, &format!("{path}.timeouts"), context)?;
    let plan = pool
        .section
        .resolve(&chain, &format!("{path}.{}", S::KEY), context)?;
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
        let shared = (&defaults.endpoint, providers, timeouts);
        endpoints.push(endpoint::resolve(id, endpoint, &chain, shared, &path, context)?);
    }
    Ok(PoolPlan {
        id,
        chain,
        balancer: pool.balancer.0.or(defaults.balancer.0).unwrap_or_default(),
        settings,
        endpoints,
        providers: providers.to_vec(),
        plan,
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

/// The longest time for an answer that a file may give: the last bound of the latency histogram, beyond which a percentile could not be seen.
pub const LONGEST_RESPONSE: &str = "2m";

/// What is given here, over what holds without it.
pub(super) fn timeouts(
    given: &raw::Limits,
    otherwise: Timeouts,
    path: &str,
    context: &Context<'_>,
) -> Result<Timeouts, ConfigProblem> {
    let pick = |name: &str, given: Option<Duration>, otherwise: Duration, most| match given {
        None => Ok(otherwise),
        Some(limit) => {
            context.check_duration(limit, ("1ms", most), &format!("{path}.{name}"))?;
            Ok(limit)
        }
    };
    Ok(Timeouts {
        dns: pick("dns", given.dns, otherwise.dns, "10m")?,
        connect: pick("connect", given.connect, otherwise.connect, "10m")?,
        tls: pick("tls", given.tls, otherwise.tls, "10m")?,
        response: pick("response", given.response, otherwise.response, LONGEST_RESPONSE)?,
    })
}
