//! One node: a chain served over HTTP, with faults.

mod body;
mod connection;
mod control;
mod handshake;
mod listener;
mod reply;
mod state;
mod stats;
mod transport;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::chain::Chain;
use crate::faults::{Faults, InvalidFaults};
use crate::tls::Tls;
use listener::Gate;
use state::State;
pub use stats::Stats;

/// Where and how a [`Node`] serves.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeConfig {
    /// Where requests are served; port 0 takes any free port. By default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// Where the control endpoint is served; by default nowhere. It has no authentication: keep it on loopback.
    pub control: Option<SocketAddr>,
    /// Seeds every draw of chance: nodes with equal seeds, faults and requests misbehave alike. By default 1.
    pub seed: u64,
    /// The faults to begin with; by default none.
    pub faults: Faults,
    /// What it shows and keeps secret when it speaks TLS; by default it speaks none. The control endpoint never does.
    pub tls: Option<Tls>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            control: None,
            seed: 1,
            faults: Faults::default(),
            tls: None,
        }
    }
}

/// A running node.
///
/// It lives in tasks of the runtime that started it. Dropping it closes the listeners and all connections as
/// soon as that runtime gets to it; [`stop`](Self::stop) waits until they are closed.
#[derive(Debug)]
pub struct Node {
    state: Arc<State>,
    gate: Arc<Gate>,
    control: Option<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
}

impl Node {
    /// Binds the ports and starts to serve `chain`.
    ///
    /// Cancelled, it leaves nothing behind.
    ///
    /// # Errors
    /// When a port can't be bound, or (as [`io::ErrorKind::InvalidInput`]) when the faults are impossible.
    pub async fn start(chain: Arc<Chain>, config: NodeConfig) -> io::Result<Self> {
        config
            .faults
            .validate(chain.config().dialect)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let listener = listener::bind(config.listen)?;
        let addr = listener.local_addr()?;
        let control_listener = config.control.map(listener::bind).transpose()?;
        let control = control_listener
            .as_ref()
            .map(tokio::net::TcpListener::local_addr)
            .transpose()?;
        let state = Arc::new(State::new(chain, addr, config.seed, config.tls));
        let (gate, supervisor) = listener::gate(listener, Arc::clone(&state))?;
        let gate = Arc::new(gate);
        let mut tasks = vec![tokio::spawn(supervisor)];
        if let Some(listener) = control_listener {
            tasks.push(tokio::spawn(control::serve(
                listener,
                Arc::clone(&state),
                Arc::clone(&gate),
            )));
        }
        let node = Self {
            state,
            gate,
            control,
            tasks,
        };
        let start = node.set_faults(config.faults);
        start.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        node.gate.settled().await?;
        Ok(node)
    }

    /// The address that requests are served on. It stays the same over [`stop`](Self::stop) and
    /// [`restart`](Self::restart).
    pub fn addr(&self) -> SocketAddr {
        self.state.addr
    }

    /// [`addr`](Self::addr) as a URL: `https://` when it speaks TLS, else `http://`.
    pub fn url(&self) -> String {
        let scheme = if self.state.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.state.addr)
    }

    /// The address of the control endpoint, if it has one.
    pub fn control_addr(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The chain it serves.
    pub fn chain(&self) -> &Arc<Chain> {
        &self.state.chain
    }

    /// The seed of its chance.
    pub fn seed(&self) -> u64 {
        self.state.seed
    }

    /// The faults in force.
    pub fn faults(&self) -> Faults {
        self.state.faults()
    }

    /// Replaces all faults at once. Requests that are being answered keep those they began with; requests to
    /// come have the new ones. [`Faults::refuse`] takes effect when the listener's task gets to run:
    /// [`settled`](Self::settled) waits for it.
    ///
    /// # Errors
    /// When a value is impossible; then nothing was changed.
    pub fn set_faults(&self, faults: Faults) -> Result<(), InvalidFaults> {
        self.state
            .change_faults(Instant::now(), &self.gate, |_| Ok(faults))
            .map(drop)
    }

    /// Waits until the listener is in the state that faults, [`stop`](Self::stop) and
    /// [`restart`](Self::restart) last asked for. Cancelling it changes nothing.
    ///
    /// # Errors
    /// When the port couldn't be bound again because somebody else took it; ask again with
    /// [`restart`](Self::restart).
    pub async fn settled(&self) -> io::Result<()> {
        self.gate.settled().await
    }

    /// What it has seen and done so far.
    pub fn stats(&self) -> Stats {
        self.state.stats(Instant::now(), self.gate.is_listening())
    }

    /// Closes the listener and every connection, like a process that was killed; the control endpoint lives on.
    ///
    /// Cancelled, the node stops all the same.
    pub async fn stop(&self) {
        self.gate.set_stopped(true);
        // Closing can't fail; an error here is one of an earlier attempt to bind.
        let _ = self.gate.settled().await;
    }

    /// Serves again on the same port after [`stop`](Self::stop), with the faults still in force. On a running
    /// node it only waits.
    ///
    /// Cancelled, the node starts all the same.
    ///
    /// # Errors
    /// When the port can't be bound, most likely because somebody else took it meanwhile.
    pub async fn restart(&self) -> io::Result<()> {
        self.gate.set_stopped(false);
        self.gate.settled().await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
