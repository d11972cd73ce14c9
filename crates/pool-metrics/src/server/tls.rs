//! TLS for the server: a certificate and its key from files, which may be replaced while it serves.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(60);

/// Why a certificate can't be used. No message holds anything of the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file can't be read. Check the path and who may read it.
    #[error("the TLS {what} {} can't be read: {source}", .path.display())]
    Read {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds no usable PEM of that kind.
    #[error("{} holds no TLS {what}; expected {expected}", .path.display())]
    Content {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Certificate and key belong to different pairs. Give the key that the certificate was made for.
    #[error(
        "the key {} does not belong to the certificate {}; give the pair that belongs together",
        .key.display(), .certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// rustls refuses the pair, for instance for a kind of key that it does not know.
    #[error("the certificate {} can't be used: {source}", .certificate.display())]
    Refused {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// A certificate and its key, ready to serve. Cheap to clone; clones share what [`reload`](Self::reload) reads.
///
/// TLS 1.2 and 1.3, HTTP/1.1. Made from files, they are looked at every minute while a
/// [`MetricsServer`](super::MetricsServer) serves: renewed ones are used for new connections, and if they are wrong the
/// log says why and the ones before stay in use. Whether a certificate is in date is left to those who connect.
#[derive(Clone)]
pub struct Tls {
    current: Arc<ArcSwap<ServerConfig>>,
    files: Option<Arc<Files>>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// Digest of what was looked at last, so that a wrong pair is told of once.
    seen: ArcSwap<[u8; 32]>,
}

impl Tls {
    /// Reads a chain of certificates, the server's own first, and its private key, both PEM. Blocks for as long as
    /// reading two files takes.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn from_files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let found = Pems::read(&certificate, &key)?;
        let config = found.config(&certificate, &key)?;
        Ok(Self {
            current: Arc::new(ArcSwap::from(config)),
            files: Some(Arc::new(Files {
                certificate,
                key,
                seen: ArcSwap::from_pointee(found.digest()),
            })),
        })
    }

    /// Takes a configuration of your own, for instance one that demands certificates of clients. Its ALPN protocols, if
    /// any, must be HTTP/1.1 only.
    pub fn from_config(config: Arc<ServerConfig>) -> Self {
        Self {
            current: Arc::new(ArcSwap::from(config)),
            files: None,
        }
    }

    /// Reads the files again and tells whether they have changed. Connections that exist are not disturbed. Blocks for
    /// as long as reading two files takes.
    ///
    /// # Errors
    /// [`TlsError`]; what was in use stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let Some(files) = &self.files else {
            return Ok(false);
        };
        let found = Pems::read(&files.certificate, &files.key)?;
        let digest = found.digest();
        if **files.seen.load() == digest {
            return Ok(false);
        }
        files.seen.store(Arc::new(digest));
        self.current.store(found.config(&files.certificate, &files.key)?);
        Ok(true)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Looks at the files every minute, for ever.
    pub(super) async fn watch(self) {
        if self.files.is_none() {
            return;
        }
        let mut unreadable = false;
        loop {
            tokio::time::sleep(LOOK).await;
            let tls = self.clone();
            let Ok(looked) = tokio::task::spawn_blocking(move || tls.reload()).await else {
                continue;
            };
            // files that are just being replaced are unreadable for a moment, so once is enough
            let told = unreadable;
            unreadable = matches!(looked, Err(TlsError::Read { .. }));
            match looked {
                Ok(true) => tracing::info!("the renewed TLS certificate is in use"),
                Ok(false) => {}
                Err(_) if told && unreadable => {}
                Err(error) => tracing::error!(%error, "the TLS certificate stays as it was"),
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.as_ref();
        f.debug_struct("Tls")
            .field("certificate", &files.map(|files| &files.certificate))
            .field("key", &files.map(|files| &files.key))
            .finish_non_exhaustive()
    }
}

/// What the files hold.
struct Pems {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Pems {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |what, path: &Path| {
            fs::read(path).map_err(|source| TlsError::Read {
                what,
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            certificate: read("certificate", certificate)?,
            key: read("key", key)?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let both = [Sha256::digest(&self.certificate), Sha256::digest(&self.key)];
        Sha256::digest(both.concat()).into()
    }

    fn config(&self, certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
        let content = |what, path: &Path, expected| TlsError::Content {
            what,
            path: path.to_owned(),
            expected,
        };
        let no_chain = || content("certificate", certificate, "PEM with -----BEGIN CERTIFICATE-----");
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(no_chain)?;
        let no_key = |_| {
            let expected = "PEM with an unencrypted PRIVATE KEY (PKCS#8, PKCS#1 or SEC1)";
            content("key", key, expected)
        };
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(no_key)?;
        let refused = |source| match source {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            },
            source => TlsError::Refused {
                certificate: certificate.to_owned(),
                source,
            },
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(refused)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
