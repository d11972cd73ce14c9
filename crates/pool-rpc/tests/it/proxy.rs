//! Nodes behind an HTTP proxy.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use pool_core::ErrorType;
use pool_rpc::{ConfigError, JsonRpcEndpoint, ProxySetting, RpcConfig, RpcError, Timeouts, classify};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    certificates::ca,
    http2_server,
    support::{call, config, connected, evm_node},
};

/// The resolver refuses it without asking the network: only a proxy can reach it.
fn nowhere() -> String {
    format!("{}.example", "n".repeat(64))
}

const USER: &str = "USERSECRET:PASSSECRET";
/// The same as a header.
const BASIC: &str = "proxy-authorization: Basic VVNFUlNFQ1JFVDpQQVNTU0VDUkVU";

struct Proxy {
    addr: SocketAddr,
    /// Heads of the requests that it got.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Leads to this node, whatever it is asked for, and wants credentials.
    async fn start(node: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, tls) = (Arc::clone(&seen), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => lead(stream, node, &seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                lead(stream, node, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self { addr, heads }
    }

    fn url(&self, user: &str) -> String {
        format!("http://{user}@{}", self.addr)
    }

    fn first_head(&self) -> String {
        self.heads.lock().unwrap()[0].clone()
    }
}

async fn lead(mut client: impl AsyncRead + AsyncWrite + Unpin, node: SocketAddr, heads: &Mutex<Vec<String>>) {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    heads.lock().unwrap().push(head.clone());
    if !head.contains(BASIC) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        client.write_all(refusal.as_bytes()).await.unwrap();
        return;
    }
    let Ok(mut upstream) = TcpStream::connect(node).await else {
        let refusal = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
        client.write_all(refusal.as_bytes()).await.unwrap();
        return;
    };
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
    } else {
        upstream.write_all(&read).await.unwrap();
    }
    let _ = copy_bidirectional(&mut client, &mut upstream).await;
}

/// The environment of a process.
fn environment(variables: &[(&str, &str)]) -> ProxySetting {
    ProxySetting::from_lookup(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

async fn dial_error(config: &RpcConfig) -> RpcError {
    let error = JsonRpcEndpoint::new(config).unwrap().dial().await.unwrap_err();
    let shown = format!("{error} {error:?} {config:?}");
    assert!(!shown.contains("SECRET"), "{shown}");
    error
}

#[tokio::test]
async fn a_plain_node_is_asked_for_by_its_whole_url() {
    let node = evm_node().await;
    let proxy = Proxy::start(node.addr(), None).await;
    let url = format!("http://{}/v2/KEY?a=b", nowhere());
    let by_environment = environment(&[("http_proxy", &proxy.url(USER))]);
    let endpoint = JsonRpcEndpoint::new(&config(&url).proxy(by_environment)).unwrap();
    let mut conn = endpoint.dial().await.unwrap();
    for _ in 0..3 {
        call(&mut conn).await.unwrap();
        assert!(conn.is_clean());
    }
    let head = proxy.first_head();
    assert!(head.starts_with(&format!("POST {url} HTTP/1.1\r\n")), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", nowhere())), "{head}");
    assert_eq!(node.stats().connections_opened, 1);
}

#[tokio::test]
async fn a_node_with_tls_is_reached_through_a_tunnel() {
    let (host, ca) = ("node.example", ca("ours"));
    let acceptor = ca.acceptor(host, false, &[b"h2"]);
    let node = http2_server::Server::start_tls(acceptor).await;
    let over_tls = Some(ca.acceptor("localhost", false, &[]));
    for tls in [None, over_tls] {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let proxy = Proxy::start(node.addr, tls).await;
        let at = format!("{scheme}://{USER}@localhost:{}", proxy.addr.port());
        let config = config(&format!("https://{host}/v2/NODEKEY"))
            .extra_ca_pem(ca.pem.clone())
            .proxy(environment(&[("HTTPS_PROXY", &at)]));
        let (_endpoint, transport) = connected(&config).await;
        assert!(transport.is_http2());
        let mut conn = JsonRpcEndpoint::new(&config).unwrap().dial().await.unwrap();
        call(&mut conn).await.unwrap();
        let head = proxy.first_head();
        assert!(
            head.starts_with("CONNECT node.example:443 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(head.contains("host: node.example:443\r\n"), "{head}");
        assert!(!head.contains("NODEKEY"), "the proxy is not told");
    }
}

#[tokio::test]
async fn http2_without_tls_goes_through_a_tunnel_too() {
    let node = http2_server::Server::start(None).await;
    let proxy = Proxy::start(node.addr, None).await;
    let config = config(&format!("http://{}", nowhere()))
        .http_version(pool_rpc::HttpVersion::Http2PriorKnowledge)
        .proxy(ProxySetting::explicit(proxy.url(USER).parse().unwrap()));
    let mut conn = JsonRpcEndpoint::new(&config).unwrap().dial().await.unwrap();
    call(&mut conn).await.unwrap();
    let head = proxy.first_head();
    assert!(head.starts_with(&format!("CONNECT {}:80 ", nowhere())), "{head}");
    let (_, headers) = node.seen.last.lock().unwrap().take().unwrap();
    assert!(!headers.contains_key("proxy-authorization"));
}

#[tokio::test]
async fn exceptions_are_reached_directly() {
    let node = evm_node().await;
    let proxy = Proxy::start(node.addr(), None).await;
    let url = format!("http://{}", nowhere());
    for exceptions in ["example", "*"] {
        let variables = [("ALL_PROXY", &proxy.url(USER)[..]), ("NO_PROXY", exceptions)];
        let error = dial_error(&config(&url).proxy(environment(&variables))).await;
        assert!(error.to_string().starts_with("cannot connect (DNS)"), "{error}");
    }
    let error = dial_error(&config(&url).proxy(ProxySetting::none())).await;
    assert!(error.to_string().starts_with("cannot connect (DNS)"), "{error}");
    assert!(proxy.heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_failure_names_the_proxy() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = closed.local_addr().unwrap();
    drop(closed);
    let proxy = Proxy::start(nobody, None).await;
    let unknown = ca("nobody's").acceptor("localhost", false, &[]);
    let unknown = Proxy::start(nobody, Some(unknown)).await;
    let proxied = |at: &str| {
        let timeouts = Timeouts {
            connect: Duration::from_millis(200),
            tls: Duration::from_millis(200),
            ..Timeouts::default()
        };
        config("https://node.example/NODESECRET")
            .timeouts(timeouts)
            .proxy(environment(&[("HTTPS_PROXY", at)]))
    };
    for (at, said, retry_here) in [
        (
            format!("http://{USER}@{}", nowhere()),
            "cannot connect (proxy DNS): ",
            true,
        ),
        (
            format!("http://{USER}@{nobody}"),
            "cannot connect (proxy TCP): connection refused",
            true,
        ),
        (
            format!("https://{USER}@localhost:{}", unknown.addr.port()),
            "cannot connect (proxy TLS): invalid peer certificate: it was issued by an unknown CA",
            false,
        ),
        (
            format!("https://{USER}@{}", silent.local_addr().unwrap()),
            "connect (proxy TLS) took longer than 200ms",
            false,
        ),
        (
            format!("http://{USER}@{}", silent.local_addr().unwrap()),
            "connect (proxy CONNECT) took longer than 200ms",
            false,
        ),
        (
            proxy.url("USERSECRET:other"),
            "the proxy does not connect to the node: HTTP status 407 (it wants other credentials)",
            false,
        ),
        (
            proxy.url(USER),
            "the proxy does not connect to the node: HTTP status 502 (it cannot reach the node)",
            true,
        ),
    ] {
        let error = dial_error(&proxied(&at)).await;
        assert!(error.to_string().starts_with(said), "{error} should be {said}");
        let verdict = classify(&error);
        assert_eq!(verdict.error_type, ErrorType::Connect, "{said}");
        assert_eq!(verdict.retry_here, retry_here, "{said}");
    }
}

#[tokio::test]
async fn a_proxy_that_passes_requests_on_may_want_other_credentials() {
    let node = evm_node().await;
    let proxy = Proxy::start(node.addr(), None).await;
    let by_environment = environment(&[("HTTP_PROXY", &proxy.url("USERSECRET:other"))]);
    let config = config(&format!("http://{}", nowhere())).proxy(by_environment);
    let mut conn = JsonRpcEndpoint::new(&config).unwrap().dial().await.unwrap();
    let error = call(&mut conn).await.unwrap_err();
    assert!(
        matches!(error, RpcError::HttpStatus { status: 407, .. }),
        "{error:?}"
    );
    assert_eq!(classify(&error).error_type, ErrorType::Unauthorized);
}

#[tokio::test]
async fn a_node_that_repeats_the_proxys_password_is_not_quoted() {
    use crate::script::{Reply, Server, http};
    let said = "PASSSECRET of USERSECRET, VVNFUlNFQ1JFVDpQQVNTU0VDUkVU";
    let body = format!(r#"{{"jsonrpc":"2.0","id":{{id}},"error":{{"code":1,"message":"{said}"}}}}"#);
    let node = Server::start(Reply::Bytes(http("content-length: {length}\r\n", &body))).await;
    let proxy = Proxy::start(node.addr, None).await;
    let by_environment = environment(&[("HTTP_PROXY", &proxy.url(USER))]);
    let config = config(&format!("http://{}", nowhere())).proxy(by_environment);
    let endpoint = JsonRpcEndpoint::new(&config).unwrap();
    let mut conn = endpoint.dial().await.unwrap();
    let error = call(&mut conn).await.unwrap_err();
    assert_eq!(error.object().unwrap().message, "*** of ***, ***");
    let shown = format!("{endpoint:?} {conn:?} {error:?}");
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_when_the_endpoint_is_made() {
    let socks = environment(&[("ALL_PROXY", "socks5://USERSECRET@proxy:1080")]);
    let error = JsonRpcEndpoint::new(&config("https://node.example").proxy(socks)).unwrap_err();
    assert!(matches!(
        error,
        ConfigError::Proxy {
            variable: "ALL_PROXY",
            ..
        }
    ));
    assert_eq!(
        error.to_string(),
        "ALL_PROXY in the environment is not a proxy that can be used: the URL's scheme must be http or https"
    );
}
