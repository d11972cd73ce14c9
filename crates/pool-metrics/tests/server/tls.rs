//! TLS: what is agreed on, what is refused, and renewed files.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use pool_metrics::{MetricsServer, Tls, TlsError};
use prometheus::Registry;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use crate::support::{Reply, Running, ask, converse, start};

/// Writes a certificate for `localhost` and its key.
fn write(folder: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("crt"), cert.pem()).unwrap();
    fs::write(folder.join("key"), signing_key.serialize_pem()).unwrap();
    CertificateDer::from_pem_slice(cert.pem().as_bytes()).unwrap()
}

fn tls(folder: &Path) -> Result<Tls, TlsError> {
    Tls::from_files(folder.join("crt"), folder.join("key"))
}

async fn serve(tls: Tls) -> Running {
    let any = "127.0.0.1:0".parse().unwrap();
    start(
        MetricsServer::bind(&[any], Registry::new())
            .await
            .unwrap()
            .tls(tls),
    )
}

async fn ask_tls(addr: SocketAddr, trusted: &CertificateDer<'static>, path: &str) -> std::io::Result<Reply> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(addr).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(converse(stream, "GET", path, &[]).await)
}

#[tokio::test]
async fn what_is_served_is_served_encrypted_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = write(folder.path());
    let running = serve(tls(folder.path()).unwrap()).await;
    let reply = ask_tls(running.addrs[0], &trusted, "/healthz").await.unwrap();
    assert_eq!((reply.status(), reply.text()), (200, "ok\n"));
    let stranger = write(tempfile::tempdir().unwrap().path());
    assert!(ask_tls(running.addrs[0], &stranger, "/healthz").await.is_err());
    // plain HTTP gets a TLS alert and no answer
    let plain = tokio::spawn(async move { ask(running.addrs[0], "GET", "/healthz").await.head });
    assert!(plain.await.is_err());
}

#[tokio::test]
async fn renewed_files_are_used_and_wrong_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let old = write(folder.path());
    let tls = tls(folder.path()).unwrap();
    let running = serve(tls.clone()).await;
    let addr = running.addrs[0];
    assert!(!tls.reload().unwrap());
    let new = write(folder.path());
    assert!(ask_tls(addr, &old, "/healthz").await.is_ok());
    assert!(tls.reload().unwrap());
    assert!(ask_tls(addr, &old, "/healthz").await.is_err());
    assert!(ask_tls(addr, &new, "/healthz").await.is_ok());
    // a key that belongs to another certificate
    let other = tempfile::tempdir().unwrap();
    write(other.path());
    fs::copy(other.path().join("key"), folder.path().join("key")).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Mismatch { .. })));
    assert!(ask_tls(addr, &new, "/healthz").await.is_ok());
    assert!(!tls.reload().unwrap(), "the same wrong pair is told of once");
}

#[test]
fn bad_files_are_named_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(folder.path());
    let (certificate, key) = (fs::read(path("crt")).unwrap(), fs::read(path("key")).unwrap());
    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (file, content, expected) in [
        (
            "crt",
            None,
            "the TLS certificate DIR/crt can't be read: No such file or directory (os error 2)",
        ),
        (
            "key",
            None,
            "the TLS key DIR/key can't be read: No such file or directory (os error 2)",
        ),
        (
            "crt",
            Some(&b""[..]),
            "DIR/crt holds no TLS certificate; expected PEM with -----BEGIN CERTIFICATE-----",
        ),
        (
            "crt",
            Some(&key),
            "DIR/crt holds no TLS certificate; expected PEM with -----BEGIN CERTIFICATE-----",
        ),
        ("crt", Some(broken), "the certificate DIR/crt can't be used: "),
        (
            "key",
            Some(&certificate),
            "DIR/key holds no TLS key; expected PEM with an unencrypted PRIVATE KEY (PKCS#8, PKCS#1 or SEC1)",
        ),
        (
            "key",
            Some(encrypted),
            "DIR/key holds no TLS key; expected PEM with an unencrypted PRIVATE KEY (PKCS#8, PKCS#1 or SEC1)",
        ),
    ] {
        fs::write(path("crt"), &certificate).unwrap();
        fs::write(path("key"), &key).unwrap();
        match content {
            Some(content) => fs::write(path(file), content).unwrap(),
            None => fs::remove_file(path(file)).unwrap(),
        }
        let said = tls(folder.path()).unwrap_err().to_string();
        let expected = expected.replace("DIR", &folder.path().display().to_string());
        assert!(said.starts_with(&expected), "{said}");
    }
    let other = tempfile::tempdir().unwrap();
    write(other.path());
    let said = Tls::from_files(path("crt"), other.path().join("key"))
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("can't be") || said.contains("does not belong to the certificate"),
        "{said}"
    );
}
