//! Why the server can't start.

use std::{io, net::SocketAddr};

use super::TlsError;

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No address was given. Configure at least one.
    #[error("no address to serve metrics on; give at least one, for instance 127.0.0.1:9090")]
    NoAddress,
    /// The address can't be listened on. The message says what to do about the usual reasons.
    #[error("cannot serve metrics on {addr}: {}", remedy(.source))]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate or its key can't be used. The message names the file.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there; stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address; choose one of its own",
        io::ErrorKind::PermissionDenied => "this port needs privileges; choose one above 1023",
        _ => "choose another address",
    }
}
