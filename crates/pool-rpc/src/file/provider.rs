//! Providers, and which endpoint belongs to which.

use pool_core::{ProviderConfig, ProviderId};

use super::{ConfigProblem, Context, ProviderPlan, raw, resolve::is_not};
use crate::PriceList;

pub(super) fn resolve_all(
    all: Vec<raw::Provider>,
    context: &Context<'_>,
) -> Result<Vec<ProviderPlan>, ConfigProblem> {
    let mut plans: Vec<ProviderPlan> = Vec::with_capacity(all.len());
    for (index, provider) in all.into_iter().enumerate() {
        let path = format!("providers[{index}]");
        let plan = resolve(provider, &path, context)?;
        if plans.iter().any(|other| other.id == plan.id) {
            let what = format_args!("another provider is called {} already; rename one", plan.id);
            return Err(context.problem(&format!("{path}.id"), what));
        }
        plans.push(plan);
    }
    Ok(plans)
}

fn resolve(
    provider: raw::Provider,
    path: &str,
    context: &Context<'_>,
) -> Result<ProviderPlan, ConfigProblem> {
    let id = ProviderId::new(&provider.id).map_err(|error| context.problem(&format!("{path}.id"), error))?;
    let mut config = ProviderConfig::default();
    config.quota = provider.quota;
    config.shared_cool_down = provider.shared_cool_down.unwrap_or(config.shared_cool_down);
    config
        .validate()
        .map_err(|error| context.problem(&format!("{path}.{}", error.field), is_not(&error)))?;
    let mut prices = PriceList::new();
    for (method, units) in provider.costs {
        let beginning = method.strip_suffix('*').unwrap_or(&method);
        if beginning.contains('*') || method.is_empty() {
            let what = "not a method; allowed: its name, or the beginning of its name and a * at the end";
            return Err(context.problem(&format!("{path}.costs.{method}"), what));
        }
        prices = prices.price(&method, units);
    }
    Ok(ProviderPlan { id, config, prices })
}

/// The provider that an endpoint names.
pub(super) fn named(
    name: &str,
    known: &[ProviderPlan],
    path: &str,
    context: &Context<'_>,
) -> Result<ProviderId, ConfigProblem> {
    let id = ProviderId::new(name).map_err(|error| context.problem(path, error))?;
    if known.iter().any(|plan| plan.id == id) {
        return Ok(id);
    }
    let known: Vec<_> = known.iter().map(|plan| plan.id.as_str()).collect();
    let known = if known.is_empty() {
        "there are none".to_owned()
    } else {
        format!("allowed: {}", known.join(", "))
    };
    let what = format_args!("{id} is not one of the file's providers; {known}");
    Err(context.problem(path, what))
}
