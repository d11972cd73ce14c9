//! A JSON Schema of the file, for editors (feature `schema`).

use pool_core::{BalancerKind, EndpointConfig, PoolConfig, ProviderConfig};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Dialect, raw, resolve::LONGEST_RESPONSE};
use crate::{Http2Config, Timeouts};

/// Describes a file whose pools may have the application's own section: its key, and its schema.
///
/// Settings, their meaning and their defaults come from the types that read them. What a schema cannot say (which
/// settings go together, whether a variable is set) only the reader knows: `relayer --check`.
pub fn schema(section: Option<(&str, Value)>) -> Value {
    let mut generator = SchemaSettings::draft07().into_generator();
    let settings = generator.subschema_for::<PoolConfig>();
    let balancer = generator.subschema_for::<BalancerKind>();
    let endpoint = EndpointConfig::default();
    let shares = shares(&mut generator, &endpoint);
    let timeouts = timeouts();
    let mut own = shares.clone();
    own.extend([
        (
            "id".to_owned(),
            id("The endpoint's name in metrics, logs and alerts. Never a URL: those hold keys."),
        ),
        (
            "url".to_owned(),
            text("http:// or https://. May hold ${NAME} from the environment and ${file:PATH}; never logged."),
        ),
        (
            "headers".to_owned(),
            json!({
                "type": "object",
                "description": "Headers of each request, such as API keys. May hold ${NAME} and ${file:PATH}; never logged.",
                "additionalProperties": {"type": "string"},
            }),
        ),
        (
            "ca_file".to_owned(),
            text("A file with CAs to trust besides the system's, in PEM; relative to this file."),
        ),
        ("methods".to_owned(), methods()),
        ("timeouts".to_owned(), timeouts.clone()),
    ]);
    let dialects = Dialect::ALL.map(Dialect::as_str);
    let mut pool = Map::from_iter([
        (
            "id".to_owned(),
            id("The pool's name in metrics, logs and alerts."),
        ),
        (
            "dialect".to_owned(),
            json!({"description": "The interface that the nodes speak.", "enum": dialects}),
        ),
        (
            "chain_id".to_owned(),
            json!({
                "description": "The chain that every node must serve: a number (evm) or the network's name (cometbft).",
                "type": ["integer", "string"],
            }),
        ),
        ("balancer".to_owned(), balancer.clone().into()),
        ("endpoints".to_owned(), list(&own, &["id", "url"])),
        ("settings".to_owned(), settings.clone().into()),
        ("timeouts".to_owned(), timeouts.clone()),
    ]);
    if let Some((key, section)) = section {
        pool.insert(key.to_owned(), section);
    }
    let defaults = Map::from_iter([
        ("balancer".to_owned(), balancer.into()),
        ("settings".to_owned(), settings.into()),
        ("timeouts".to_owned(), timeouts),
        ("endpoint".to_owned(), object(&shares, &[])),
    ]);
    let mut defaults = object(&defaults, &[]);
    defaults["description"] = json!("What holds for all pools that do not say otherwise, key by key.");
    let providers = providers(&mut generator);
    let properties = Map::from_iter([
        ("defaults".to_owned(), defaults),
        ("providers".to_owned(), providers),
        (
            "pools".to_owned(),
            list(&pool, &["id", "dialect", "chain_id", "endpoints"]),
        ),
    ]);
    let mut file = object(&properties, &["pools"]);
    file["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    file["title"] = json!("Pools of JSON-RPC nodes");
    file["definitions"] = Value::Object(generator.take_definitions(true));
    without_links(&mut file);
    file
}

/// The texts are those of the types' documentation; its links lead nowhere in an editor.
fn without_links(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "description" => *text = without_link(text),
                    value => without_links(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_links),
        _ => {}
    }
}

/// ``[`Name`](path)`` becomes `` `Name` ``.
fn without_link(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else {
            break;
        };
        clean += &format!("{before}`{name}`");
        let target = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    clean + rest
}

/// The providers' settings, and what methods cost with them.
fn providers(generator: &mut schemars::SchemaGenerator) -> Value {
    let whole = generator.root_schema_for::<ProviderConfig>().to_value();
    let mut provider = whole["properties"].as_object().cloned().unwrap_or_default();
    let what = "The provider's name, as endpoints give it under `provider`.";
    let costs = json!({
        "type": "object",
        "description": "Units that methods cost, by name; a * at the end stands for any ending, and * alone for all other \
                        methods. A method without a price costs 1.",
        "additionalProperties": {"type": "integer", "minimum": 0, "maximum": u32::MAX},
    });
    provider.extend([("id".to_owned(), id(what)), ("costs".to_owned(), costs)]);
    let items = object(&provider, &["id"]);
    json!({
        "type": "array",
        "description": "Accounts with providers: what their endpoints share, over all pools.",
        "items": items,
    })
}

/// An endpoint's settings in its pool; any of them may be left to the defaults.
fn shares(generator: &mut schemars::SchemaGenerator, defaults: &EndpointConfig) -> Map<String, Value> {
    let whole = generator.root_schema_for::<EndpointConfig>().to_value();
    let _used: raw::Shares = raw::Shares::default();
    let values = serde_json::to_value(defaults).unwrap_or_default();
    let properties = whole["properties"].as_object().cloned().unwrap_or_default();
    let with_default = properties.into_iter().map(|(key, mut property)| {
        if let Some(value) = values.get(&key).filter(|value| !value.is_null()) {
            property["default"] = value.clone();
        }
        (key, property)
    });
    with_default.chain(way()).collect()
}

/// How an endpoint is reached.
fn way() -> [(String, Value); 4] {
    let versions = raw::HTTP_VERSIONS.map(|(name, _)| name);
    let http = json!({
        "enum": versions,
        "default": "auto",
        "description": "auto: HTTP/2 where a node with https agrees to it, else HTTP/1.1. http1: HTTP/1.1 only. \
                        http2_prior_knowledge: HTTP/2 without asking.",
    });
    let gzip = json!({
        "type": "boolean",
        "default": true,
        "description": "Whether answers may come compressed.",
    });
    let proxy = json!({
        "type": "string",
        "default": "environment",
        "description": "environment: what HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say. none. Or the URL of an HTTP \
                        proxy, which may hold ${NAME} and ${file:PATH}; never logged.",
    });
    let all = [
        ("http", http),
        ("http2", http2()),
        ("gzip", gzip),
        ("proxy", proxy),
    ];
    all.map(|(key, value)| (key.to_owned(), value))
}

/// How HTTP/2 is spoken.
fn http2() -> Value {
    let defaults = Http2Config::default();
    let text = |duration| humantime::format_duration(duration).to_string();
    let duration = |kind: Value, what: &str, default: Value| {
        json!({
            "type": kind,
            "pattern": "^([0-9]+(ms|s|m|h|d))+$",
            "description": what,
            "default": default,
        })
    };
    let keys = Map::from_iter([
        (
            "max_streams".to_owned(),
            json!({
                "type": "integer",
                "minimum": 1,
                "maximum": u32::MAX,
                "default": defaults.max_streams,
                "description": "Requests at once on a connection; the node may allow less.",
            }),
        ),
        (
            "ping_interval".to_owned(),
            duration(
                json!(["string", "null"]),
                "A connection on which nothing came for so long is asked for a sign of life (PING); null: never.",
                defaults.ping_interval.map(text).into(),
            ),
        ),
        (
            "ping_timeout".to_owned(),
            duration(
                json!("string"),
                "A connection whose PING is not answered within this is closed.",
                text(defaults.ping_timeout).into(),
            ),
        ),
    ]);
    let mut http2 = object(&keys, &[]);
    http2["description"] = json!("How HTTP/2 is spoken, where it is.");
    http2
}

fn timeouts() -> Value {
    let defaults = Timeouts::default();
    let limit = |what: &str, default: std::time::Duration| {
        json!({
            "type": "string",
            "pattern": "^([0-9]+(ms|s|m|h|d))+$",
            "description": what,
            "default": humantime::format_duration(default).to_string(),
        })
    };
    let response = format!("For a whole answer; at most {LONGEST_RESPONSE}.");
    let limits = Map::from_iter([
        (
            "dns".to_owned(),
            limit("For looking the host's name up.", defaults.dns),
        ),
        (
            "connect".to_owned(),
            limit("For opening a TCP connection.", defaults.connect),
        ),
        ("tls".to_owned(), limit("For agreeing on TLS.", defaults.tls)),
        ("response".to_owned(), limit(&response, defaults.response)),
    ]);
    let mut limits = object(&limits, &[]);
    limits["description"] = json!("Time limits towards the nodes.");
    limits
}

fn methods() -> Value {
    let patterns = |what: &str| {
        json!({
            "type": "array",
            "items": {"type": "string", "pattern": "^(\\*|[A-Za-z0-9_]+\\*?)$"},
            "description": what,
            "default": [],
        })
    };
    let lists = Map::from_iter([
        ("allow".to_owned(), patterns("Only these; all when empty.")),
        ("deny".to_owned(), patterns("Not these, whatever is allowed.")),
    ]);
    let mut methods = object(&lists, &[]);
    let what =
        "Methods that it is asked for: names, beginnings (trace_*), groups (archive, debug, logs, trace).";
    methods["description"] = json!(what);
    methods
}

fn id(what: &str) -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$", "description": what})
}

fn text(what: &str) -> Value {
    json!({"type": "string", "description": what})
}

fn object(properties: &Map<String, Value>, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}

fn list(properties: &Map<String, Value>, required: &[&str]) -> Value {
    json!({"type": "array", "minItems": 1, "items": object(properties, required)})
}
