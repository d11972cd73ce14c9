//! What a node needs to speak TLS.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// A certificate with its private key, ready to serve. HTTP/2 and HTTP/1.1 are offered in the handshake (ALPN).
///
/// `Debug` shows nothing of it; two are equal when one is a clone of the other.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

/// A certificate that can't be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no certificate in the PEM text: it must hold the node's own, then those of the intermediate CAs.
    #[error("the certificate is not PEM with at least one certificate (-----BEGIN CERTIFICATE-----)")]
    Certificate,
    /// There is no private key in the PEM text, or one in a form that is not understood.
    #[error("the key is not PEM with a private key (-----BEGIN PRIVATE KEY-----)")]
    Key,
    /// Certificate and key don't belong together, or are of a kind that can't be served.
    #[error("certificate and key can't be served together: {0}")]
    Pair(#[from] rustls::Error),
    /// No certificate can be made for these names: give DNS names or IP addresses.
    #[error("no certificate can be made: {0}")]
    Making(#[from] rcgen::Error),
}

impl Tls {
    /// Reads a certificate (followed by its intermediate CAs, if any) and its private key, both PEM.
    ///
    /// # Errors
    /// When either can't be read, or they don't belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|_| TlsError::Certificate)?;
        if chain.is_empty() {
            return Err(TlsError::Certificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
        Self::new(chain, key)
    }

    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Offers HTTP/1.1 alone in the handshake.
    #[must_use]
    pub fn http1_only(self) -> Self {
        self.offering(b"http/1.1")
    }

    /// Offers HTTP/2 alone in the handshake.
    #[must_use]
    pub fn http2_only(self) -> Self {
        self.offering(b"h2")
    }

    fn offering(mut self, protocol: &[u8]) -> Self {
        Arc::make_mut(&mut self.0).alpn_protocols = vec![protocol.to_vec()];
        self
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
