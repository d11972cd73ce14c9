//! TLS against a real server with a CA of the test's own.

use std::sync::Arc;

use pool_rpc::{ConfigError, ConnectPhase, HttpVersion, JsonRpcEndpoint, Phase, RpcError, classify};
use tokio::{net::TcpListener, sync::Notify};

use crate::{
    certificates::{Ca, ca},
    script::{GOOD, Reply, Server, http, serve},
    support::{call, config, impatient},
};

/// Serves good answers over TLS; the port.
async fn server(ca: &Ca, name: &str, expired: bool, alpn: &[u8]) -> u16 {
    let acceptor = ca.acceptor(name, expired, &[alpn]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                let reply = Reply::Bytes(http("content-length: {length}\r\n", GOOD));
                tokio::spawn(serve(stream, reply, Arc::new(Notify::new())));
            }
        }
    });
    port
}

fn endpoint(port: u16, ca_pem: Option<&str>) -> JsonRpcEndpoint {
    let mut config = config(&format!("https://localhost:{port}/SECRETKEY")).http_version(HttpVersion::Http1);
    if let Some(pem) = ca_pem {
        config = config.extra_ca_pem(pem);
    }
    JsonRpcEndpoint::new(&config).unwrap()
}

#[tokio::test]
async fn a_private_ca_is_trusted_when_configured() {
    let ca = ca("ours");
    let port = server(&ca, "localhost", false, b"http/1.1").await;
    let mut conn = endpoint(port, Some(&ca.pem)).dial().await.unwrap();
    for _ in 0..3 {
        assert_eq!(call(&mut conn).await.unwrap(), "\"0x1f\"");
        assert!(conn.is_clean());
    }
}

#[tokio::test]
async fn each_bad_certificate_is_a_clear_error_of_the_tls_phase() {
    let (ours, other) = (ca("ours"), ca("other"));
    let good = server(&ours, "localhost", false, b"http/1.1").await;
    let wrong_name = server(&ours, "elsewhere.example", false, b"http/1.1").await;
    let expired = server(&ours, "localhost", true, b"http/1.1").await;
    let http2 = server(&ours, "localhost", false, b"h2").await;
    let plain = Server::start(Reply::Bytes(http("", ""))).await;
    for (port, pem, said) in [
        (good, &other.pem, "unknown CA"),
        (wrong_name, &ours.pem, "not valid for the host in the URL but for"),
        (expired, &ours.pem, "expired"),
        (http2, &ours.pem, "no HTTP version in common"),
    ] {
        let error = endpoint(port, Some(pem)).dial().await.unwrap_err();
        assert!(
            matches!(
                error,
                RpcError::Connect {
                    phase: ConnectPhase::Tls,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(error.to_string().starts_with("cannot connect (TLS): "), "{error}");
        assert!(error.to_string().contains(said), "{error} should say {said}");
        assert!(!format!("{error}{error:?}").contains("SECRETKEY"), "{error:?}");
        assert!(!classify(&error).retry_here);
    }
    // A plain HTTP server waits for the end of a request that never comes.
    let config = config(&format!("https://localhost:{}", plain.addr.port()))
        .timeouts(impatient())
        .extra_ca_pem(ours.pem);
    let error = JsonRpcEndpoint::new(&config).unwrap().dial().await.unwrap_err();
    assert!(
        matches!(
            error,
            RpcError::Timeout {
                phase: Phase::Connect(ConnectPhase::Tls),
                ..
            }
        ),
        "{error:?}"
    );
}

/// In which file a Unix looks for the platform's roots, if it is set.
const ROOTS: &str = "SSL_CERT_FILE";
/// Makes a process of this test the one that connects: the platform's roots are read once in each, when the first
/// endpoint is made.
const PORT: &str = "POOL_RPC_TEST_PORT";

#[tokio::test]
async fn the_platforms_roots_are_trusted() {
    if let Ok(port) = std::env::var(PORT) {
        let mut conn = endpoint(port.parse().unwrap(), None).dial().await.unwrap();
        assert_eq!(call(&mut conn).await.unwrap(), "\"0x1f\"");
        return;
    }
    let (ours, other) = (ca("ours"), ca("other"));
    let port = server(&ours, "localhost", false, b"http/1.1").await;
    let dir = tempfile::tempdir().unwrap();
    for (ca, trusted) in [(&ours, true), (&other, false)] {
        let roots = dir.path().join("roots.pem");
        std::fs::write(&roots, &ca.pem).unwrap();
        let child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tls::the_platforms_roots_are_trusted", "--nocapture"])
            .env(ROOTS, &roots)
            .env(PORT, port.to_string())
            .output();
        let child = child.await.unwrap();
        let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
        assert!(said.contains("running 1 test"), "{said}");
        assert_eq!(child.status.success(), trusted, "{said}");
        assert_eq!(said.contains("UnknownIssuer"), !trusted, "{said}");
    }
}

#[test]
fn an_extra_ca_that_is_none_is_refused() {
    for pem in [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let made = JsonRpcEndpoint::new(&config("https://localhost").extra_ca_pem(pem));
        assert_eq!(made.unwrap_err(), ConfigError::ExtraCa, "{pem:?}");
    }
}
