//! The command line's way to TLS.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use devnet::{TestCa, Tls};

/// Options of TLS.
#[derive(Debug, clap::Args)]
pub(crate) struct CertificateOptions {
    /// Speak TLS with this certificate: PEM, followed by its intermediate CAs if it has any.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Speak TLS with a certificate of a CA that is made now and gone with the process. It names localhost, 127.0.0.1,
    /// ::1 and the address of --listen.
    #[arg(long, requires = "ca_out", conflicts_with = "tls_cert")]
    self_signed: bool,
    /// Where to write that CA's certificate, for clients to trust.
    #[arg(long, value_name = "FILE", requires = "self_signed")]
    ca_out: Option<PathBuf>,
}

/// What the nodes are to speak TLS with, and what is to be written once they serve.
#[derive(Debug, Default)]
pub(crate) struct Certificate {
    pub(crate) tls: Option<Tls>,
    ca: Option<(PathBuf, TestCa)>,
}

impl CertificateOptions {
    pub(crate) fn certificate(&self, listen: SocketAddr) -> anyhow::Result<Certificate> {
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            let tls = Tls::from_pem(&read(certificate)?, &read(key)?);
            let (certificate, key) = (certificate.display(), key.display());
            let tls = tls.with_context(|| format!("--tls-cert {certificate} with --tls-key {key}"))?;
            return Ok(Certificate {
                tls: Some(tls),
                ca: None,
            });
        }
        let Some(path) = self.ca_out.as_ref().filter(|_| self.self_signed) else {
            return Ok(Certificate::default());
        };
        let ca = TestCa::new("devnet test CA")?;
        let address = listen.ip().to_string();
        let tls = ca.issue(&["localhost", "127.0.0.1", "::1", &address])?;
        Ok(Certificate {
            tls: Some(tls),
            ca: Some((path.clone(), ca)),
        })
    }
}

impl Certificate {
    /// Writes the CA's certificate where it was asked for, whole or not at all.
    pub(crate) fn publish(&self) -> anyhow::Result<()> {
        let Some((path, ca)) = &self.ca else {
            return Ok(());
        };
        let written = write_whole(path, ca.pem());
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    // It is public, and whoever trusts it may run as another user.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = builder.tempfile_in(folder.unwrap_or_else(|| Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
