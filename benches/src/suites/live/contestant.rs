//! What takes part over sockets: something that is given addresses, and then calls.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use devnet::Chain;
use tokio::time::Instant;

use crate::suites::trace::{
    contestant::{BoxFuture, Side},
    node::{Call, Clock, NodeError},
    scenario::Scenario,
};

/// A caller acts on what is so many blocks deep, and needs a node that has got there.
pub(super) const CONFIRMATIONS: u64 = 2;

/// The block that a caller needs who calls now.
pub(super) fn needed(chain: &Chain) -> u64 {
    chain.height_at(Instant::now()).saturating_sub(CONFIRMATIONS)
}

/// A node, as far as a contestant may know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) id: usize,
    pub(super) addr: SocketAddr,
    /// Whose it is.
    pub(super) provider: usize,
}

impl Place {
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

/// The nodes of one contestant in one run.
#[derive(Clone, Debug)]
pub(super) struct Arena {
    pub(super) places: Vec<Place>,
    pub(super) seed: u64,
    /// What will happen. Only the limit may look.
    pub(super) scenario: Arc<Scenario>,
}

/// What a node said, and a client took for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The block that the answer is of.
    pub(super) block: u64,
    /// Whether it came under the call's own id: under another it is an answer to somebody else.
    pub(super) own: bool,
}

impl Answer {
    /// Whether it is what the caller needs.
    pub(super) const fn is_right(self, call: Call) -> bool {
        self.own && self.block >= call.block
    }
}

/// What takes part.
pub(super) trait Contestant: Send + Sync {
    /// Its name in the tables: that of the simulated traces, where it takes part there.
    fn name(&self) -> String;

    /// Whose it is.
    fn side(&self) -> Side;

    /// Gives it the nodes; it may do what it does before its first call.
    fn enter(&self, arena: Arena) -> BoxFuture<Result<Arc<dyn Client>>>;
}

/// A contestant at work.
pub(super) trait Client: Send + Sync {
    /// The trace begins: its clock.
    fn begin(&self, _clock: Clock) {}

    /// Calls. The caller's deadline is the caller's affair: this is dropped when it has passed.
    fn call(&self, call: Call) -> BoxFuture<Result<Answer, NodeError>>;
}
