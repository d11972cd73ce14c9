//! Faults of the relayer itself, for drills: what no node can cause.
//!
//! A node can be slow, wrong or gone; it can't make a relayer lose connections, refuse new settings or hide its metrics.
//! `--fault-endpoint` opens an HTTP endpoint on loopback that does. It is off by default. Whoever
//! proves alerts (`cargo xtask alerts prove`) or practises with a runbook uses it; nobody else should.
//!
//! The faults are real: a leak is a lease that is held, refused settings are offered to the pool and refused by it, and
//! hidden series are missing from the page that Prometheus reads.
//!
//! | request | what it does |
//! | --- | --- |
//! | `GET /faults` | shows the faults in force |
//! | `PATCH /faults` with `{"hide_pools": true}` | the pools' series are missing from `/metrics` |
//! | `PATCH /faults` with `{"leaks": {"ethereum": 2}}` | two connections of that pool are held and not given back; 0 gives them back |
//! | `POST /refused-update` with `{"pool": "ethereum"}` | offers that pool settings that can't be, which it refuses |
//! | `DELETE /faults` | switches all of them off |
//!
//! Bodies are JSON and say so in `Content-Type`: a web page that somebody has open on this machine can't send that.

mod endpoint;
mod hiding;

use std::{collections::BTreeMap, time::Duration};

use pool_core::{BuildError, Lease, Pool, PoolConfig, PoolUpdate};
use pool_rpc::JsonRpcEndpoint;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

pub use endpoint::{FaultEndpoint, FaultProblem};
pub use hiding::Hiding;

/// For one connection that is to leak. A pool that is busy hands one out by then.
const ACQUIRE: Duration = Duration::from_secs(5);

/// More would take every connection of any pool of ours.
const MOST_LEAKS: usize = 1_000;

/// The faults in force, as the endpoint shows and takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// The pools' series are missing from `/metrics`; everything else on the page stays.
    #[serde(default)]
    pub hide_pools: bool,
    /// Connections that are held and not given back, by pool. They count as leaks once `leak_after` is over, where the
    /// pool's settings have it.
    #[serde(default)]
    pub leaks: BTreeMap<String, usize>,
}

/// What is to change. What isn't named stays.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    hide_pools: Option<bool>,
    leaks: BTreeMap<String, usize>,
}

/// A pool that is offered settings that can't be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    pool: String,
}

/// Asks the relayer for one of its pools; they change when it reads its file again.
#[derive(Debug)]
pub struct Lookup {
    /// The pool's id.
    pub pool: String,
    /// Where the answer goes: `None` when there is no such pool.
    pub answer: oneshot::Sender<Option<Pool<JsonRpcEndpoint>>>,
}

/// Why a fault can't be caused. The message goes to whoever asked for it.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// Name one that the relayer has.
    #[error("there is no pool `{0}`")]
    NoPool(String),
    /// Ask for fewer.
    #[error("{0} leaks are too many; allowed: 0 to {MOST_LEAKS}")]
    TooMany(usize),
    /// The pool has no connection to lose: free one, or ask for fewer.
    #[error("pool `{pool}` gave {got} of {wanted} connections: {why}")]
    NoConnection {
        pool: String,
        got: usize,
        wanted: usize,
        why: String,
    },
    /// A fault of this module: the settings offered should be impossible.
    #[error("pool `{0}` took the settings that it should have refused")]
    Taken(String),
    /// The relayer is stopping.
    #[error("the relayer is stopping")]
    Stopping,
}

/// Causes the faults and remembers those in force. Dropped, everything that was held is given back.
#[derive(Debug)]
struct Saboteur {
    hiding: Hiding,
    held: BTreeMap<String, Vec<Lease<JsonRpcEndpoint>>>,
    pools: mpsc::Sender<Lookup>,
}

impl Saboteur {
    fn new(hiding: Hiding, pools: mpsc::Sender<Lookup>) -> Self {
        Self {
            hiding,
            held: BTreeMap::new(),
            pools,
        }
    }

    fn faults(&self) -> Faults {
        let leaks = self.held.iter().map(|(pool, held)| (pool.clone(), held.len()));
        Faults {
            hide_pools: self.hiding.is_on(),
            leaks: leaks.collect(),
        }
    }

    /// Cancelled, the connections that were taken so far stay held: the next look shows how many.
    async fn change(&mut self, change: Change) -> Result<(), Refused> {
        if let Some((_, &many)) = change.leaks.iter().find(|(_, count)| **count > MOST_LEAKS) {
            return Err(Refused::TooMany(many));
        }
        for (pool, count) in change.leaks {
            self.leak(pool, count).await?;
        }
        if let Some(hide) = change.hide_pools {
            self.hiding.set(hide);
            tracing::warn!(hide, "fault endpoint: the pools' series");
        }
        Ok(())
    }

    /// Holds as many connections of a pool as are wanted, and gives back what is too much.
    async fn leak(&mut self, name: String, wanted: usize) -> Result<(), Refused> {
        let pool = self.pool(&name).await?;
        let held = self.held.entry(name.clone()).or_default();
        held.truncate(wanted);
        let mut failure = None;
        while held.len() < wanted && failure.is_none() {
            match pool.acquire_within(ACQUIRE).await {
                Ok(lease) => held.push(lease),
                Err(error) => failure = Some(error.to_string()),
            }
        }
        let got = held.len();
        if got == 0 {
            self.held.remove(&name);
        }
        tracing::warn!(pool = %name, held = got, "fault endpoint: connections that are not given back");
        failure.map_or(Ok(()), |why| {
            Err(Refused::NoConnection {
                pool: name,
                got,
                wanted,
                why,
            })
        })
    }

    /// Offers a pool settings that can't be, as a bad file would. It says no, and counts that.
    async fn offer(&self, offer: Offer) -> Result<(), Refused> {
        let pool = self.pool(&offer.pool).await?;
        let mut impossible = PoolConfig::default();
        impossible.max_attempts = 0;
        match pool.apply(PoolUpdate::new(impossible)) {
            Err(BuildError::Closed(_)) => Err(Refused::Stopping),
            Err(refused) => {
                tracing::warn!(pool = %offer.pool, "fault endpoint: settings were refused: {refused}");
                Ok(())
            }
            Ok(_) => Err(Refused::Taken(offer.pool)),
        }
    }

    fn clear(&mut self) {
        self.held.clear();
        self.hiding.set(false);
        tracing::warn!("fault endpoint: all faults are off");
    }

    async fn pool(&self, name: &str) -> Result<Pool<JsonRpcEndpoint>, Refused> {
        let (answer, answered) = oneshot::channel();
        let lookup = Lookup {
            pool: name.to_owned(),
            answer,
        };
        self.pools.send(lookup).await.map_err(|_| Refused::Stopping)?;
        let pool = answered.await.map_err(|_| Refused::Stopping)?;
        pool.ok_or_else(|| Refused::NoPool(name.to_owned()))
    }
}
