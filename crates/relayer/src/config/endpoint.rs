//! One node: its address and headers, with `${ENV}` expanded.

use pool_core::{EndpointConfig, EndpointId};
use pool_rpc::{ConfigError, EndpointUrl, JsonRpcEndpoint, RpcConfig, Secret, Timeouts, expand_env};

use super::{
    Chain, ConfigProblem, EndpointPlan, raw,
    resolve::{Context, is_not},
};

pub(super) fn resolve(
    id: EndpointId,
    endpoint: &raw::Endpoint,
    chain: &Chain,
    timeouts: Timeouts,
    path: &str,
    context: &Context<'_>,
) -> Result<EndpointPlan, ConfigProblem> {
    let config = EndpointConfig::default()
        .weight(endpoint.weight)
        .max_connections(endpoint.max_connections)
        .tier(endpoint.tier)
        .min_idle(endpoint.min_idle);
    config
        .validate()
        .map_err(|error| context.problem(&format!("{path}.{}", error.field), is_not(&error)))?;

    let url_path = format!("{path}.url");
    let url: EndpointUrl = expand(&endpoint.url, &url_path, context)?
        .expose()
        .parse()
        .map_err(|error| context.problem(&url_path, error))?;
    let mut rpc = RpcConfig::new(url, chain.probe()).timeouts(timeouts);
    for (name, value) in &endpoint.headers {
        let path = format!("{path}.headers.{name}");
        let value = expand(value, &path, context)?;
        rpc = rpc
            .header(name, &value)
            .map_err(|error| context.problem(&path, error))?;
    }
    if let Some(file) = &endpoint.ca_file {
        let path = format!("{path}.ca_file");
        // relative to the configuration, wherever the relayer is started
        let file = context
            .file
            .parent()
            .map_or_else(|| file.into(), |folder| folder.join(file));
        let pem = std::fs::read(&file).map_err(|error| {
            context.problem(&path, format_args!("{} can't be read: {error}", file.display()))
        })?;
        rpc = rpc.extra_ca_pem(pem);
    }
    let endpoint = JsonRpcEndpoint::new(&rpc).map_err(|error| {
        let key = match error {
            ConfigError::TwoCredentials => "headers",
            ConfigError::ExtraCa => "ca_file",
            _ => "url",
        };
        context.problem(&format!("{path}.{key}"), error)
    })?;
    Ok(EndpointPlan { id, config, endpoint })
}

fn expand(text: &Secret, path: &str, context: &Context<'_>) -> Result<Secret, ConfigProblem> {
    expand_env(text.expose(), context.env)
        .map(Secret::from)
        .map_err(|error| context.problem(path, error))
}
