//! The listener and the connections behind it: opened, closed and counted in one task.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection;
use super::state::State;

/// Pending connections the kernel holds for us.
const BACKLOG: u32 = 1_024;

/// The pause after a failed accept (out of file descriptors, most likely), so that it doesn't spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the listener should be.
#[derive(Debug, Clone, Copy, Default)]
struct Wish {
    number: u64,
    stopped: bool,
    refusing: bool,
}

/// What came of the wish of that number.
#[derive(Debug, Clone)]
struct Fulfilled {
    number: u64,
    listening: bool,
    failure: Option<(io::ErrorKind, String)>,
}

/// The handle on a listener's task.
#[derive(Debug)]
pub(super) struct Gate {
    wish: watch::Sender<Wish>,
    fulfilled: watch::Receiver<Fulfilled>,
}

impl Gate {
    pub(super) fn set_stopped(&self, stopped: bool) {
        self.wish.send_modify(|wish| {
            wish.number += 1;
            wish.stopped = stopped;
        });
    }

    pub(super) fn set_refusing(&self, refusing: bool) {
        self.wish.send_if_modified(|wish| {
            let changed = wish.refusing != refusing;
            if changed {
                wish.number += 1;
                wish.refusing = refusing;
            }
            changed
        });
    }

    pub(super) fn is_listening(&self) -> bool {
        self.fulfilled.borrow().listening
    }

    /// Waits until the latest wish is fulfilled.
    ///
    /// # Errors
    /// When the port couldn't be bound, or the task is gone.
    pub(super) async fn settled(&self) -> io::Result<()> {
        let number = self.wish.borrow().number;
        let mut fulfilled = self.fulfilled.clone();
        let gone = |_| io::Error::other("the node was dropped");
        let done = fulfilled
            .wait_for(|done| done.number >= number)
            .await
            .map_err(gone)?;
        match &done.failure {
            None => Ok(()),
            Some((kind, message)) => Err(io::Error::new(*kind, message.clone())),
        }
    }
}

/// Binds a port that a former listener may just have left.
pub(super) fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // On Windows the option would let two nodes share a port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    let annotate =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}"));
    socket.bind(addr).map_err(annotate)?;
    socket.listen(BACKLOG).map_err(annotate)
}

/// Puts a task in front of a listener. The task ends, and closes everything, when it is aborted or the gate is
/// dropped.
pub(super) fn gate(
    listener: TcpListener,
    state: Arc<State>,
) -> io::Result<(Gate, impl Future<Output = ()> + Send)> {
    let (wish, wishes) = watch::channel(Wish::default());
    let first = Fulfilled {
        number: 0,
        listening: true,
        failure: None,
    };
    let (fulfil, fulfilled) = watch::channel(first);
    Ok((
        Gate { wish, fulfilled },
        supervise(listener, state, wishes, fulfil),
    ))
}

async fn supervise(
    listener: TcpListener,
    state: Arc<State>,
    mut wishes: watch::Receiver<Wish>,
    fulfil: watch::Sender<Fulfilled>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            changed = wishes.changed() => {
                if changed.is_err() {
                    return;
                }
                let wish = *wishes.borrow_and_update();
                let failure = obey(wish, &mut listener, &mut connections, state.addr).await;
                fulfil.send_replace(Fulfilled { number: wish.number, listening: listener.is_some(), failure });
            }
            Some(_) = connections.join_next() => {}
            accepted = accept(listener.as_ref()) => match accepted {
                Ok(stream) => {
                    connections.spawn(connection::serve(stream, Arc::clone(&state)));
                }
                Err(error) => {
                    tracing::warn!(addr = %state.addr, %error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// Opens or closes the listener, and the connections when the node is stopped.
async fn obey(
    wish: Wish,
    listener: &mut Option<TcpListener>,
    connections: &mut JoinSet<()>,
    addr: SocketAddr,
) -> Option<(io::ErrorKind, String)> {
    if wish.stopped || wish.refusing {
        *listener = None;
        if wish.stopped {
            connections.shutdown().await;
        }
        return None;
    }
    if listener.is_some() {
        return None;
    }
    match bind(addr) {
        Ok(bound) => {
            *listener = Some(bound);
            None
        }
        Err(error) => {
            tracing::error!(%addr, %error, "the port is lost");
            Some((error.kind(), error.to_string()))
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}
