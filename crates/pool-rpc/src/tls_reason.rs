//! What rustls finds wrong, in words that say what to do.

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// So many of a certificate's names are told.
const NAMES_TOLD: usize = 3;

/// What is wrong with a handshake.
pub(crate) fn tls_reason(error: &Error) -> String {
    let reason = match error {
        Error::InvalidCertificate(reason) => return certificate(reason),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the peer has no HTTP version in common with us"
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the peer speaks no TLS as new as 1.2, and nothing older is spoken here"
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the answer is not TLS; does the node speak plain http on this port?"
        }
        other => return other.to_string(),
    };
    reason.to_owned()
}

/// rustls explains an end of the stream at length, with a link to its manual.
pub(crate) fn tls_end(reason: String) -> String {
    if reason.starts_with("peer closed connection without sending TLS close_notify") {
        "the peer closed the connection without TLS's goodbye".to_owned()
    } else {
        reason
    }
}

fn certificate(error: &CertificateError) -> String {
    let reason = match error {
        CertificateError::UnknownIssuer => {
            "it was issued by an unknown CA; a private one can be added".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired; whoever runs the node must renew it, or this machine's clock is fast".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; probably this machine's clock is slow".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let told: Vec<_> = presented
                .iter()
                .take(NAMES_TOLD)
                .map(|name| printable(name))
                .collect();
            let more = if presented.len() > NAMES_TOLD { ", ..." } else { "" };
            let names = told.join(", ");
            format!("it is not valid for the host in the URL but for {names}{more}; use such a name")
        }
        CertificateError::NotValidForName => {
            "it is not valid for the host in the URL; use a name that it is for".to_owned()
        }
        other => other.to_string(),
    };
    format!("invalid peer certificate: {reason}")
}

/// A name from a certificate, which the peer may have chosen to spoil a log.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::ServerName;

    use super::*;

    #[test]
    fn names_are_told_as_far_as_that_helps() {
        let wrong = |presented: &[&str]| {
            tls_reason(&Error::InvalidCertificate(
                CertificateError::NotValidForNameContext {
                    expected: ServerName::try_from("SECRET.example").unwrap(),
                    presented: presented.iter().map(|name| (*name).to_owned()).collect(),
                },
            ))
        };
        assert_eq!(
            wrong(&["a", "b\nc"]),
            "invalid peer certificate: it is not valid for the host in the URL but for a, bc; use such a name"
        );
        assert!(wrong(&["a", "b", "c", "d"]).ends_with("for a, b, c, ...; use such a name"));
        assert!(!wrong(&["a"]).contains("SECRET"));
    }
}
