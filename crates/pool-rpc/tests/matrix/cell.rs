//! One fault, one kind of call, one kind of connection, one or two nodes that have it.

use std::{sync::Arc, time::Duration};

use devnet::{Chain, ChainConfig, Node};
use pool_core::PoolConfig;

use crate::{
    cases::{Case, Trouble, cases},
    first,
    judge::judge,
    lies::{Lie, lies},
    stage::Stage,
    wire::{CHAIN_ID, LONG, Wire},
    work::{Kind, Truth},
};

/// The nodes of a cell.
pub(crate) const NODES: usize = 3;
/// Numbers that calls before the trouble begin at.
const WARM: u64 = 300;
/// What was done, and how much of it succeeded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    pub(crate) calls: u64,
    pub(crate) successes: u64,
    pub(crate) failures: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Case(Arc<Case>),
    Lie(Arc<Lie>),
}

#[derive(Clone, Debug)]
pub(crate) struct Cell {
    /// Place in the table.
    pub(crate) order: usize,
    pub(crate) what: What,
    pub(crate) kind: Kind,
    pub(crate) wire: Wire,
    /// So many nodes have the fault.
    pub(crate) faulty: usize,
    pub(crate) seed: u64,
}

impl Cell {
    pub(crate) fn all(seed: u64) -> Vec<Self> {
        let cases = cases().into_iter().map(|case| What::Case(Arc::new(case)));
        let lies = lies().into_iter().map(|lie| What::Lie(Arc::new(lie)));
        let mut cells = Vec::new();
        for (order, what) in cases.chain(lies).enumerate() {
            for wire in Wire::ALL {
                for kind in Kind::ALL {
                    for faulty in 1..NODES {
                        let what = what.clone();
                        let applies = match &what {
                            What::Case(case) => case.applies(wire) && (faulty == 1 || !case.sight),
                            What::Lie(_) => true,
                        };
                        let applies = applies && adds(&what, kind, wire, faulty);
                        if applies {
                            let seed = seed.wrapping_add(cells.len() as u64 * 10);
                            cells.push(Self {
                                order,
                                what,
                                kind,
                                wire,
                                faulty,
                                seed,
                            });
                        }
                    }
                }
            }
        }
        cells
    }

    /// Whether the fault is to last.
    pub(crate) fn lasts(&self) -> bool {
        matches!(&self.what, What::Case(case) if case.lasting)
    }

    /// How often each caller calls.
    pub(crate) fn rounds(&self) -> u64 {
        match self.kind {
            Kind::Read if self.lasts() => 50,
            Kind::Read | Kind::Batch => 2,
            Kind::Broadcast | Kind::Send => 1,
        }
    }

    pub(crate) fn patience(&self) -> Duration {
        match &self.what {
            What::Case(case) => case.patience(),
            What::Lie(_) => LONG,
        }
    }

    pub(crate) fn fault(&self) -> &str {
        match &self.what {
            What::Case(case) => &case.name,
            What::Lie(lie) => lie.name,
        }
    }

    pub(crate) fn seen(&self) -> String {
        match &self.what {
            What::Case(case) => case.first.to_string(),
            What::Lie(lie) => lie.shows.to_string(),
        }
    }

    pub(crate) fn name(&self) -> String {
        let (kind, wire, faulty) = (self.kind.name(), self.wire.name(), self.faulty);
        format!("{} / {kind} / {wire} / {faulty} of {NODES}", self.fault())
    }

    pub(crate) async fn run(&self) -> Result<Row, String> {
        match &self.what {
            What::Case(case) if case.sight => self.sight(case).await,
            What::Case(case) => self.trouble(case).await,
            What::Lie(lie) => crate::lies::run(self, lie).await,
        }
    }

    /// One node, and no pool.
    async fn sight(&self, case: &Case) -> Result<Row, String> {
        let chain = Arc::new(Chain::new(ChainConfig::evm(CHAIN_ID, Duration::from_secs(2))).unwrap());
        let node = self.wire.node(&chain, self.seed).await;
        do_to(&node, &case.trouble).await?;
        let truth = Truth::of(&chain);
        first::sight(case, self.kind, self.wire, &node, &truth).await?;
        Ok(Row::default())
    }

    async fn trouble(&self, case: &Case) -> Result<Row, String> {
        let stage = Stage::new(self, Duration::from_secs(2), PoolConfig::default()).await;
        stage.usable_from(0).await?;
        if self.faulty > 1 && !is_of_connecting(case) {
            // with connections that are open already
            stage
                .call(self.kind, WARM, &|request| request)
                .await?
                .verified()?;
        }
        for node in &stage.nodes[..self.faulty] {
            do_to(node, &case.trouble).await?;
        }
        if self.faulty == 1 {
            first::sight(case, self.kind, self.wire, &stage.nodes[0], &stage.truth).await?;
        }
        let (before, sent) = (stage.pool.snapshot(), stage.sent());
        let calls = stage.call(self.kind, 0, &|request| request).await?;
        let (after, sent) = (stage.pool.snapshot(), stage.sent() - sent);
        let row = if self.kind == Kind::Send {
            // what may have been taken is not sent again, so a node that fails is its caller's to deal with
            calls.right()?;
            Row::default()
        } else {
            calls.verified()?
        };
        let failures = judge(self, case, &before, &after, sent)?;
        stage.pool.close(Duration::from_secs(1)).await;
        Ok(Row { failures, ..row })
    }
}

/// Whether the kind adds something to the others.
fn adds(what: &What, kind: Kind, wire: Wire, faulty: usize) -> bool {
    let sight = matches!(what, What::Case(case) if case.sight);
    if sight && kind != Kind::Read && !matches!(wire, Wire::Http1 | Wire::TlsHttp2) {
        return false;
    }
    if matches!(what, What::Case(case) if case.lasting) {
        return kind == Kind::Read && faulty > 1;
    }
    match kind {
        Kind::Read | Kind::Batch => true,
        // to a connection it is a send
        Kind::Broadcast => !sight,
        // one node decides what becomes of it, however many are bad
        Kind::Send => faulty == 1,
    }
}

async fn do_to(node: &Node, trouble: &Trouble) -> Result<(), String> {
    match trouble {
        Trouble::Faults(faults) => {
            let set = node.set_faults((**faults).clone());
            set.map_err(|error| error.to_string())?;
            node.settled().await.map_err(|error| error.to_string())
        }
        Trouble::Killed => {
            node.stop().await;
            Ok(())
        }
    }
}

fn is_of_connecting(case: &Case) -> bool {
    case.tls || matches!(&case.trouble, Trouble::Faults(faults) if faults.refuse)
}
