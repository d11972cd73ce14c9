//! One node: its address and headers, with `${ENV}` expanded.

use pool_core::{EndpointConfig, EndpointId};

use super::{
    Chain, ConfigProblem, Context, EndpointPlan, ProviderPlan, provider, raw,
    resolve::{is_not, timeouts},
};
use crate::{
    ConfigError, EndpointUrl, Http2Config, MethodRules, ProxySetting, RpcConfig, Secret, Timeouts,
    env::expand,
};

pub(super) fn resolve(
    id: EndpointId,
    endpoint: &raw::Endpoint,
    chain: &Chain,
    (defaults, providers, of_pool): (&raw::Shares, &[ProviderPlan], Timeouts),
    path: &str,
    context: &Context<'_>,
) -> Result<EndpointPlan, ConfigProblem> {
    let mut config = settings(endpoint, defaults);
    if let Some(name) = endpoint.provider.as_ref().or(defaults.provider.as_ref()) {
        let own = format!("{path}.provider");
        let shared = "defaults.endpoint.provider";
        let path = if endpoint.provider.is_some() { &own } else { shared };
        config.provider = Some(provider::named(name, providers, path, context)?);
    }
    config
        .validate()
        .map_err(|error| context.problem(&format!("{path}.{}", error.field), is_not(&error)))?;
    let timeouts = timeouts(&endpoint.timeouts, of_pool, &format!("{path}.timeouts"), context)?;

    let url_path = format!("{path}.url");
    let url: EndpointUrl = expanded(&endpoint.url, &url_path, context)?
        .expose()
        .parse()
        .map_err(|error| context.problem(&url_path, error))?;
    let mut rpc = RpcConfig::new(url, chain.probe())
        .timeouts(timeouts)
        .http_version(endpoint.http.0.or(defaults.http.0).unwrap_or_default())
        .http2(http2(&endpoint.http2, &defaults.http2, path, context)?)
        .gzip(endpoint.gzip.or(defaults.gzip).unwrap_or(true))
        .proxy(proxy(endpoint, defaults, path, context)?);
    for (name, value) in &endpoint.headers {
        let path = format!("{path}.headers.{name}");
        let value = expanded(value, &path, context)?;
        rpc = rpc
            .header(name, &value)
            .map_err(|error| context.problem(&path, error))?;
    }
    rpc = rpc.methods(methods(&endpoint.methods, path, context)?);
    if let Some(file) = &endpoint.ca_file {
        let path = format!("{path}.ca_file");
        // relative to the configuration, wherever the process is started
        let file = context
            .file
            .parent()
            .map_or_else(|| file.into(), |folder| folder.join(file));
        let pem = std::fs::read(&file).map_err(|error| {
            context.problem(&path, format_args!("{} can't be read: {error}", file.display()))
        })?;
        rpc = rpc.extra_ca_pem(pem);
    }
    EndpointPlan::new(id, config, rpc).map_err(|error| {
        let key = match error {
            ConfigError::TwoCredentials => "headers",
            ConfigError::ExtraCa => "ca_file",
            ConfigError::Proxy { .. } => "proxy",
            _ => "url",
        };
        context.problem(&format!("{path}.{key}"), error)
    })
}

fn methods(own: &raw::Methods, path: &str, context: &Context<'_>) -> Result<MethodRules, ConfigProblem> {
    let allowed = MethodRules::new().allow(&own.allow);
    let allowed = allowed.map_err(|error| context.problem(&format!("{path}.methods.allow"), error))?;
    let rules = allowed.deny(&own.deny);
    rules.map_err(|error| context.problem(&format!("{path}.methods.deny"), error))
}

/// What it says itself, else what the file says for all, else what the pool has for everybody.
fn settings(own: &raw::Endpoint, all: &raw::Shares) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.weight = own.weight.or(all.weight).unwrap_or(config.weight);
    config.max_connections = own
        .max_connections
        .or(all.max_connections)
        .unwrap_or(config.max_connections);
    config.max_requests = own.max_requests.or(all.max_requests);
    config.tier = own.tier.or(all.tier).unwrap_or(config.tier);
    config.quota = own.quota.clone().or_else(|| all.quota.clone());
    config.min_idle = own.min_idle.or(all.min_idle).unwrap_or(config.min_idle);
    config
}

/// What it says of HTTP/2, else what the file says for all, else the defaults; key by key.
fn http2(
    own: &raw::Http2,
    all: &raw::Http2,
    path: &str,
    context: &Context<'_>,
) -> Result<Http2Config, ConfigProblem> {
    let defaults = Http2Config::default();
    let config = Http2Config {
        max_streams: own
            .max_streams
            .or(all.max_streams)
            .unwrap_or(defaults.max_streams),
        ping_interval: own
            .ping_interval
            .or(all.ping_interval)
            .unwrap_or(defaults.ping_interval),
        ping_timeout: own
            .ping_timeout
            .or(all.ping_timeout)
            .unwrap_or(defaults.ping_timeout),
    };
    let at = |key: &str| {
        let own = format!("{path}.http2.{key}");
        let shared = format!("defaults.endpoint.http2.{key}");
        if context.lines.is_written(&own) {
            own
        } else {
            shared
        }
    };
    if config.max_streams == 0 {
        return Err(context.problem(&at("max_streams"), "0 is not possible; allowed: above 0"));
    }
    let bounds = ("1ms", "10m");
    context.check_duration(config.ping_timeout, bounds, &at("ping_timeout"))?;
    if let Some(interval) = config.ping_interval {
        context.check_duration(interval, bounds, &at("ping_interval"))?;
    }
    Ok(config)
}

/// The way that is named by the endpoint, else by the file for all.
fn proxy(
    own: &raw::Endpoint,
    all: &raw::Shares,
    path: &str,
    context: &Context<'_>,
) -> Result<ProxySetting, ConfigProblem> {
    let (text, path) = match (&own.proxy, &all.proxy) {
        (Some(text), _) => (text, format!("{path}.proxy")),
        (None, Some(text)) => (text, "defaults.endpoint.proxy".to_owned()),
        (None, None) => return Ok(ProxySetting::from_lookup(context.env)),
    };
    let text = expanded(text, &path, context)?;
    match text.expose() {
        "environment" => Ok(ProxySetting::from_lookup(context.env)),
        "none" => Ok(ProxySetting::none()),
        url => match url.parse() {
            Ok(url) => Ok(ProxySetting::explicit(url)),
            Err(error) => {
                let allowed = "allowed: environment, none, or the URL of an HTTP proxy";
                Err(context.problem(&path, format_args!("{error}; {allowed}")))
            }
        },
    }
}

fn expanded(text: &Secret, path: &str, context: &Context<'_>) -> Result<Secret, ConfigProblem> {
    let folder = context.file.parent().unwrap_or_else(|| std::path::Path::new("."));
    expand(text.expose(), context.env, |file| {
        std::fs::read_to_string(folder.join(file))
    })
    .map(Secret::from)
    .map_err(|error| context.problem(path, error))
}
