//! One node, reached directly and through proxies, in every way that fails.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use pool_core::{CheckCx, ConnectCx, Endpoint as _, Operation as _};
use pool_rpc::{
    EndpointUrl, HttpVersion, JsonRpcEndpoint, Probe, ProxySetting, RpcBatch, RpcCall, RpcConfig, RpcConn,
    RpcRequest, Secret, Timeouts, classify,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::{
    echo::{Echo, Say, WAYS, goodbye},
    marks::{BEARER, HEADER, PASSWORD, PATH, PROXY_PASSWORD, PROXY_USER, QUERY, USER},
    shown::Shown,
};

/// A URL with a secret wherever one may be.
pub(crate) fn url(scheme: &str, addr: impl std::fmt::Display) -> String {
    format!("{scheme}://{USER}:{PASSWORD}@{addr}/v2/{PATH}?key={QUERY}")
}

/// Impatient, so that a peer that says nothing does not last.
pub(crate) fn config(url: &str, probe: Probe) -> RpcConfig {
    let soon = Duration::from_millis(400);
    let timeouts = Timeouts {
        dns: soon,
        connect: soon,
        tls: soon,
        response: soon,
    };
    RpcConfig::new(url.parse().unwrap(), probe)
        .timeouts(timeouts)
        .max_response_bytes(500_000)
        .proxy(ProxySetting::none())
        .header("x-api-key", &Secret::new(HEADER))
        .unwrap()
        .header("x-token", &Secret::new(format!("Bearer {BEARER}")))
        .unwrap()
}

pub(crate) fn evm() -> Probe {
    Probe::Evm { chain_id: 1 }
}

fn comet() -> Probe {
    Probe::CometBft {
        network: "test-1".to_owned(),
    }
}

fn proxy(addr: impl std::fmt::Display) -> ProxySetting {
    let url = format!("http://{PROXY_USER}:{PROXY_PASSWORD}@{addr}");
    ProxySetting::explicit(url.parse().unwrap())
}

/// The resolver refuses it without asking the network.
fn nowhere() -> String {
    format!("{}.example:1", "n".repeat(64))
}

pub(crate) async fn drive(shown: &Arc<Shown>) {
    let mut ways = JoinSet::new();
    for (way, say) in WAYS {
        let shown = Arc::clone(shown);
        ways.spawn(async move { drive_by(&shown, way, *say).await });
    }
    for (what, config) in unreachable().await {
        exchange(shown, what, &config).await;
    }
    ways.join_all().await;
    refused(shown);
}

/// Settings that are refused before anything is connected.
fn refused(shown: &Shown) {
    for text in [
        format!("ftp://{USER}:{PASSWORD}@node.example/{PATH}"),
        format!("https://{USER}:{PASSWORD}@node.example:99999/{PATH}"),
        format!("https://{USER}:{PASSWORD}@node.example/{PATH}#{QUERY}"),
        format!("https://{USER} {PASSWORD}@node.example/{PATH}"),
        format!("https://{USER}:{PASSWORD}@/{PATH}"),
        format!("{PATH}/"),
    ] {
        shown.error("a URL", text.parse::<EndpointUrl>().unwrap_err());
        shown.error(
            "a text",
            pool_rpc::expand_env(&format!("{text}${{{text}}}"), |_| None).unwrap_err(),
        );
        shown.error(
            "a text",
            pool_rpc::expand_env(&format!("{text}${{"), |_| None).unwrap_err(),
        );
        let variables = ProxySetting::from_lookup(|name| (name == "ALL_PROXY").then(|| text.clone()));
        let elsewhere = config("http://node.example", evm()).proxy(variables);
        shown.debug("a proxy", &elsewhere);
        if let Err(error) = JsonRpcEndpoint::new(&elsewhere) {
            shown.error("a proxy", error);
        }
    }
    let plain = || config("https://node.example", evm());
    let secret = |text: &str| Secret::new(text);
    for (name, value) in [
        (HEADER, HEADER),
        ("x-key", &format!("{HEADER}\n{HEADER}")),
        ("host", HEADER),
        (&format!("authorization: Bearer {BEARER}"), ""),
    ] {
        shown.error("a header", plain().header(name, &secret(value)).unwrap_err());
    }
    let twice = config(&url("https", "node.example"), evm()).header("authorization", &secret(BEARER));
    shown.error(
        "two credentials",
        JsonRpcEndpoint::new(&twice.unwrap()).unwrap_err(),
    );
    let no_ca = plain().extra_ca_pem(format!(
        "-----BEGIN CERTIFICATE-----\n{BEARER}\n-----END CERTIFICATE-----"
    ));
    shown.error("a CA", JsonRpcEndpoint::new(&no_ca).unwrap_err());
    shown.both("a secret", &secret(HEADER));
}

async fn drive_by(shown: &Shown, way: &str, say: Say) {
    let echo = Echo::start(say).await;
    for probe in [evm(), comet()] {
        let direct = config(&url("http", echo.addr), probe);
        let elsewhere = config(&url("http", "node.example"), evm());
        let forwarded = elsewhere.clone().proxy(proxy(echo.addr));
        let tunnelled = config(&url("https", "node.example"), evm()).proxy(proxy(echo.addr));
        for (how, config) in [
            ("directly", direct),
            ("by a proxy", forwarded),
            ("by a tunnel", tunnelled),
        ] {
            exchange(shown, &format!("{way} {how}"), &config).await;
        }
    }
}

/// Nodes that cannot be reached, each for another reason.
async fn unreachable() -> Vec<(&'static str, RpcConfig)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let plain = Echo::start(|head, _| head.as_bytes().to_vec()).await;
    let (own, pem) = certified("node.example").await;
    let http = |addr| config(&url("http", addr), evm());
    let https = |addr| config(&url("https", addr), evm());
    let h2 =
        |addr: SocketAddr| config(&url("http", addr), evm()).http_version(HttpVersion::Http2PriorKnowledge);
    let somewhere = || http("node.example".to_owned());
    let all = vec![
        ("no such name", http(nowhere())),
        ("refused", http(closed.to_string())),
        ("no TLS", https(plain.addr.to_string())),
        ("unknown CA", https(own.to_string())),
        ("wrong name", https(own.to_string()).extra_ca_pem(pem)),
        ("no such proxy", somewhere().proxy(proxy(nowhere()))),
        ("proxy refused", somewhere().proxy(proxy(closed))),
        (
            "tunnel refused",
            https("node.example".to_owned()).proxy(proxy(closed)),
        ),
        ("no HTTP/2", h2(plain.addr)),
        ("goodbye at once", h2(goodbye(PATH, false).await)),
        ("goodbye later", h2(goodbye(HEADER, true).await)),
    ];
    // it is to be there as long as they are used
    std::mem::forget(plain);
    all
}

/// A TLS server with a certificate for this name, of a CA that nobody knows, and that CA.
async fn certified(name: &str) -> (SocketAddr, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], der)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    (addr, certificate.pem())
}

/// A check, a call, a batch and a transaction, each on a connection of its own.
async fn exchange(shown: &Shown, how: &str, config: &RpcConfig) {
    shown.debug(how, config);
    let endpoint = JsonRpcEndpoint::new(config).unwrap();
    match endpoint.check(&CheckCx::new(Duration::from_secs(2))).await {
        Ok(report) => shown.debug(how, &report),
        Err(error) => shown.error(how, error),
    }
    shown.debug(how, &endpoint);
    match endpoint.connect(&ConnectCx::new(Duration::from_secs(2))).await {
        Ok(transport) => {
            let transport = Arc::new(transport);
            let conn = endpoint.open(&transport).await;
            shown.debug(how, &transport);
            if let Ok(conn) = conn {
                shown.debug(how, &conn);
            }
        }
        Err(error) => shown.error(how, error),
    }
    for what in ["call", "batch", "broadcast_tx_sync"] {
        let how = format!("{how}, {what}");
        let Ok(mut conn) = endpoint.dial().await else {
            continue;
        };
        let request = RpcRequest::raw(what.to_owned(), None);
        let outcome = match what {
            "batch" => batch(shown, &how, &mut conn, request).await,
            _ => RpcCall::new(request).call(&mut conn).await.map(drop),
        };
        if let Err(error) = outcome {
            shown.debug(&how, &classify(&error));
            if let Some(object) = error.object() {
                handed_on(shown, &how, object);
            }
            shown.error(&how, error);
        }
        shown.debug(&how, &conn);
    }
}

async fn batch(
    shown: &Shown,
    how: &str,
    conn: &mut RpcConn,
    request: RpcRequest,
) -> Result<(), pool_rpc::RpcError> {
    let batch = RpcBatch::new(vec![request.clone(), request.clone()]);
    let failed = batch.call(conn).await.map(drop);
    for item in conn
        .batch(&[request.clone(), request])
        .await
        .into_iter()
        .flatten()
    {
        if let Err(object) = item {
            shown.both(how, &object);
            handed_on(shown, how, &object);
        }
    }
    failed
}

/// An error's parts go to the caller, who will show them.
fn handed_on(shown: &Shown, how: &str, object: &pool_rpc::ErrorObject) {
    shown.text(how, &object.message);
    shown.text(how, object.data.as_ref().map_or("", |data| data.get()));
}

/// What holds nothing but the URL shows nothing of it.
#[test]
fn urls_are_marked() {
    let parsed: EndpointUrl = url("https", "node.example").parse().unwrap();
    assert_eq!(parsed.to_string(), "https://node.example/…");
}
