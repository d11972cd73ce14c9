//! A way to a node that can be cut.

use std::{io, net::SocketAddr};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Forwards connections to a node, until it is dropped: then it closes them, and refuses new ones.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    _task: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(node: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let node = node.clone();
                connections.spawn(async move {
                    if let Ok(mut upstream) = TcpStream::connect(node).await {
                        // an end of either side is the end of both
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
                    }
                });
            }
        });
        Ok(Self { addr, _task: task })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}
