//! TLS: ring, the platform's roots and perhaps a private CA.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use crate::{
    config::ConfigError,
    dial::{Stream, in_time},
    error::{ConnectPhase, RpcError},
};

/// The platform's roots, read once: an endpoint may be one of hundreds.
fn platform_roots() -> &'static [CertificateDer<'static>] {
    static ROOTS: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a certificate of the platform could not be read");
        }
        found.certs
    })
}

/// What an `https` endpoint needs to speak TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    server: ServerName<'static>,
}

impl Tls {
    pub(crate) fn new(
        host: &str,
        extra_ca_pem: Option<&[u8]>,
        alpn: Vec<Vec<u8>>,
    ) -> Result<Self, ConfigError> {
        let server = ServerName::try_from(host.to_owned()).map_err(|_| ConfigError::TlsName)?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(platform_roots().iter().cloned());
        if let Some(pem) = extra_ca_pem {
            let mut added = 0;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| ConfigError::ExtraCa)?;
                roots.add(certificate).map_err(|_| ConfigError::ExtraCa)?;
                added += 1;
            }
            if added == 0 {
                return Err(ConfigError::ExtraCa);
            }
        }
        if roots.is_empty() {
            return Err(ConfigError::NoRoots);
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| ConfigError::TlsSetup)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            server,
        })
    }

    /// Agrees on TLS over a connected stream.
    pub(crate) async fn handshake<S: Stream>(
        &self,
        stream: S,
        limit: Duration,
    ) -> Result<TlsStream<S>, RpcError> {
        in_time(ConnectPhase::Tls, limit, async {
            self.connector
                .connect(self.server.clone(), stream)
                .await
                .map_err(closed_in_handshake)
        })
        .await
    }
}

/// rustls reports a peer that just closes as "tls handshake eof"; say what that usually means.
fn closed_in_handshake(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        io::Error::new(
            error.kind(),
            "the node closed the connection during the TLS handshake; does it speak TLS?",
        )
    } else {
        error
    }
}
