//! What the tasks of one node share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::listener::Gate;
use super::stats::{Counters, Stats};
use crate::chain::Chain;
use crate::faults::{self, Bucket, Faults, HandshakeStyle, InvalidFaults, Kind, Plan, Works};
use crate::tls::Tls;
use crate::view::View;

/// The shared state of a node. Its locks are never held across an await.
#[derive(Debug)]
pub(super) struct State {
    pub(super) chain: Arc<Chain>,
    pub(super) addr: SocketAddr,
    pub(super) seed: u64,
    pub(super) tls: Option<Tls>,
    pub(super) counters: Counters,
    switches: Mutex<Switches>,
}

#[derive(Debug)]
struct Switches {
    faults: Faults,
    /// The height at which the head froze.
    frozen_at: Option<u64>,
    bucket: Option<Bucket>,
    works: Option<Arc<Works>>,
    rng: fastrand::Rng,
}

impl State {
    pub(super) fn new(chain: Arc<Chain>, addr: SocketAddr, seed: u64, tls: Option<Tls>) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        let switches = Switches {
            faults: Faults::default(),
            frozen_at: None,
            bucket: None,
            works: None,
            rng,
        };
        Self {
            chain,
            addr,
            seed,
            tls,
            counters: Counters::default(),
            switches: Mutex::new(switches),
        }
    }

    pub(super) fn faults(&self) -> Faults {
        self.lock().faults.clone()
    }

    /// Replaces the faults by what `change` makes of them, and says what they are now.
    ///
    /// # Errors
    /// When `change` refuses or its result is impossible; then nothing was changed.
    pub(super) fn change_faults(
        &self,
        now: Instant,
        gate: &Gate,
        change: impl FnOnce(&Faults) -> Result<Faults, InvalidFaults>,
    ) -> Result<Faults, InvalidFaults> {
        let mut switches = self.lock();
        let faults = change(&switches.faults)?;
        faults.validate(self.chain.config().dialect)?;
        if faults.tls_handshake.is_some() && self.tls.is_none() {
            return Err(InvalidFaults::new(
                "tls_handshake is set, but this node does not speak TLS: start it with a certificate"
                    .to_owned(),
            ));
        }
        // A head that is frozen already stays where it is.
        let frozen_at = switches.frozen_at.unwrap_or_else(|| self.chain.height_at(now));
        switches.frozen_at = faults.frozen_head.then_some(frozen_at);
        if faults.quota != switches.faults.quota {
            switches.bucket = faults.quota.as_ref().map(|quota| Bucket::full(quota, now));
        }
        if faults.capacity != switches.faults.capacity {
            switches.works = faults.capacity.as_ref().map(Works::new);
        }
        gate.set_refusing(faults.refuse);
        switches.faults = faults.clone();
        Ok(faults)
    }

    /// Decides what becomes of a request that calls `methods`, and counts it.
    pub(super) fn plan(&self, methods: &[&str], now: Instant) -> Plan {
        let mut switches = self.lock();
        let Switches {
            faults, bucket, rng, ..
        } = &mut *switches;
        let plan = faults::decide(faults, bucket, methods, rng, now);
        drop(switches);
        self.counters.count_request(methods, &plan.injected);
        plan
    }

    /// Where requests are worked on, if their number is limited.
    pub(super) fn works(&self) -> Option<Arc<Works>> {
        self.lock().works.clone()
    }

    /// Decides whether the TLS handshake of a new connection is spoilt, and counts it.
    pub(super) fn spoilt_handshake(&self) -> Option<HandshakeStyle> {
        let mut switches = self.lock();
        let Switches { faults, rng, .. } = &mut *switches;
        let fault = faults.tls_handshake.as_ref()?;
        let hits = fault.probability >= 1.0 || rng.f64() < fault.probability;
        let style = fault.style;
        drop(switches);
        hits.then(|| {
            self.counters.count_fault(Kind::TlsHandshake);
            style
        })
    }

    /// After how many answers a connection is closed.
    pub(super) fn close_after(&self) -> Option<u64> {
        self.lock().faults.close_after
    }

    /// The node's present sight of its chain.
    pub(super) fn view(&self, now: Instant) -> View<'_> {
        let switches = self.lock();
        View::new(&self.chain, &switches.faults, switches.frozen_at, now)
    }

    pub(super) fn stats(&self, now: Instant, listening: bool) -> Stats {
        self.counters
            .snapshot(self.seed, self.view(now).claimed, listening)
    }

    fn lock(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
