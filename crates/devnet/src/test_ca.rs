//! A certification authority that nobody knows.

use std::fmt;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::tls::{Tls, TlsError};

/// A CA for tests. Its key lives in memory alone and is gone with it.
///
/// Clients that are to trust its certificates are given [`pem`](Self::pem) as an additional CA.
pub struct TestCa {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// When a certificate holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Validity {
    /// Now, and for any time that a test can last.
    #[default]
    Now,
    /// No longer: it ended in 2001.
    Expired,
    /// Not yet: it begins in 3000.
    NotYet,
}

impl TestCa {
    /// Makes a CA of this name.
    ///
    /// # Errors
    /// When no key can be made, which only a machine without randomness causes.
    pub fn new(name: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { pem, issuer })
    }

    /// The CA's own certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate for these DNS names and IP addresses.
    ///
    /// # Errors
    /// When one is neither.
    pub fn issue(&self, names: &[&str]) -> Result<Tls, TlsError> {
        self.issue_for(names, Validity::Now)
    }

    /// Issues a certificate that holds at this time.
    ///
    /// # Errors
    /// As [`issue`](Self::issue).
    pub fn issue_for(&self, names: &[&str], validity: Validity) -> Result<Tls, TlsError> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        let (from, to) = match validity {
            Validity::Now => (2000, 4000),
            Validity::Expired => (2000, 2001),
            Validity::NotYet => (3000, 4000),
        };
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Tls::new(vec![certificate.der().clone()], key)
    }
}

impl fmt::Debug for TestCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCa").finish_non_exhaustive()
    }
}
