//! The TLS handshake of a connection, and what can be made to go wrong in it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::state::State;
use crate::faults::HandshakeStyle;
use crate::tls::Tls;

/// As nginx words it.
const PLAIN_ANSWER: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/html\r\ncontent-length: 29\r\nconnection: close\r\n\r\n\
    <html>400 Bad Request</html>\n";

/// Agrees on TLS with a client; `None` when nothing came of it, on purpose or not. Dropped, it closes the connection.
pub(super) async fn accept(stream: TcpStream, tls: &Tls, state: &State) -> Option<TlsStream<TcpStream>> {
    if let Some(style) = state.spoilt_handshake() {
        if let Err(error) = spoil(stream, style).await {
            tracing::debug!(%error, "a client left a handshake that was to be spoilt");
        }
        return None;
    }
    match tls.acceptor().accept(stream).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            // A client that does not know the CA ends here: all in a day's work.
            tracing::debug!(%error, "no TLS was agreed on");
            None
        }
    }
}

/// Ends a handshake in its own way, once the client has begun it.
async fn spoil(mut stream: TcpStream, style: HandshakeStyle) -> io::Result<()> {
    let mut greeting = [0; 16 * 1024];
    let begun = stream.read(&mut greeting).await?;
    match style {
        _ if begun == 0 => return Ok(()),
        HandshakeStyle::Hang => {}
        HandshakeStyle::Reset => return stream.set_zero_linger(),
        HandshakeStyle::Close => stream.shutdown().await?,
        HandshakeStyle::PlainHttp => {
            stream.write_all(PLAIN_ANSWER).await?;
            stream.shutdown().await?;
        }
    }
    // Bytes left unread would turn the end into a reset.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}
