//! The pool, its nodes, those who use it, and what is known of them.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
    task::Poll,
    time::Duration,
};

use pool_core::*;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    account::{Seen, opened, seen},
    callers::{Acquire, Answer, Bell, Caller, Rank, Recorder},
    changes::Members,
};
use crate::common::*;

const AGEING: Duration = Duration::from_secs(1);

/// What has ended on an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) successes: u64,
    pub(crate) failures: u64,
}

pub(crate) struct Held {
    pub(crate) lease: Lease<Fake>,
    pub(crate) id: EndpointId,
    key: usize,
}

pub(crate) struct World {
    pub(crate) pool: Pool<Fake>,
    pub(crate) nodes: [Node; 5],
    /// Who belongs to the pool.
    pub(crate) members: Members,
    /// The same as the pool tells them: in the order of their places.
    pub(crate) in_order: Vec<EndpointId>,
    pub(crate) config: PoolConfig,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) rng: fastrand::Rng,
    /// Whoever is woken runs at once.
    pub(crate) prompt: bool,
    pub(crate) callers: Vec<Caller>,
    pub(crate) held: Vec<Held>,
    /// Operations that run on their own.
    pub(crate) runs: Vec<JoinHandle<()>>,
    /// Rung with any caller's bell.
    told: Arc<Notify>,
    asked: u64,
    /// The newest height of any node.
    pub(crate) height: u64,
    pub(crate) tallies: HashMap<EndpointId, Tally>,
    pub(crate) failed_connects: u64,
    pub(crate) perhaps_failed: u64,
    pub(crate) timeouts: u64,
    pub(crate) rejections: u64,
    /// Served from the line in this operation, and where.
    pub(crate) served: Vec<(Rank, EndpointId)>,
    /// Served in this operation without having waited.
    pub(crate) at_once: Vec<EndpointId>,
    pub(crate) most_open: HashMap<EndpointId, i64>,
    /// At most so much was open of endpoints of this name that have left.
    pub(crate) open_before: HashMap<EndpointId, i64>,
    pub(crate) most_in_all: i64,
    pub(crate) most_taken: HashMap<EndpointId, u64>,
    /// No endpoint has left on which something may still be under way.
    pub(crate) nobody_left: bool,
    pub(crate) closed: bool,
}

impl World {
    pub(crate) async fn new(seed: u64) -> Self {
        let nodes = nodes::<5>();
        let mut rng = fastrand::Rng::with_seed(seed);
        let prompt = rng.u8(..4) > 0;
        if !prompt && rng.bool() {
            nodes[1].set(|script| script.lanes = 3);
        }
        let mut config = PoolConfig::default();
        config.max_waiters = 10;
        config.acquire_timeout = s(8);
        config.connect_timeout = s(1);
        config.idle_timeout = s(5);
        config.max_lifetime = s(40);
        config.priority_ageing = AGEING;
        config.breaker.consecutive_failures = 3;
        config.breaker.probe_lease = s(4);
        config.breaker.open_max = s(6);
        let recorder = Recorder::new(seed);
        let mut builder = Pool::builder(PoolId::new("model").unwrap())
            .config(config.clone())
            .balancer(recorder.clone())
            .seed(seed);
        let mut members = Members::default();
        for node in &nodes[..3] {
            let settings = EndpointConfig::default().max_connections(2);
            builder = builder.endpoint(node.id(), Fake(node.clone()), settings.clone());
            members.insert(node.id(), settings);
        }
        let pool = builder.build().unwrap();
        settle().await;
        Self {
            pool,
            in_order: members.keys().cloned().collect(),
            nodes,
            members,
            config,
            recorder,
            rng,
            prompt,
            callers: Vec::new(),
            held: Vec::new(),
            runs: Vec::new(),
            told: Arc::default(),
            asked: 0,
            height: 100,
            tallies: HashMap::new(),
            failed_connects: 0,
            perhaps_failed: 0,
            timeouts: 0,
            rejections: 0,
            served: Vec::new(),
            at_once: Vec::new(),
            most_open: HashMap::new(),
            open_before: HashMap::new(),
            most_in_all: 0,
            most_taken: HashMap::new(),
            nobody_left: true,
            closed: false,
        }
    }

    pub(crate) fn node(&self, id: &EndpointId) -> &Node {
        self.nodes.iter().find(|node| node.id() == *id).unwrap()
    }

    fn view(&self) -> Vec<Seen> {
        seen(&self.pool.snapshot())
    }

    pub(crate) async fn step(&mut self) {
        let before = self.view();
        match self.rng.u8(..64) {
            0..16 => {
                if self.callers.len() < 20 {
                    self.ask();
                }
            }
            16..30 => self.poll_any(),
            30..36 => self.cancel(),
            36..50 => self.release(),
            50..54 => self.disturb(),
            54 => {
                if !self.closed {
                    self.reconfigure();
                }
            }
            55 | 56 => self.run(),
            _ => {
                let longest = if self.rng.u8(..4) == 0 { 2_000 } else { 100 };
                let until = Instant::now() + Duration::from_millis(self.rng.u64(..longest));
                return self.pass_time(until, before).await;
            }
        }
        self.quiesce().await;
        self.check(&before);
    }

    /// Lets time pass; each moment at which somebody is woken is looked at by itself.
    async fn pass_time(&mut self, until: Instant, mut before: Vec<Seen>) {
        loop {
            tokio::select! {
                biased;
                () = self.told.notified(), if self.prompt => {}
                () = sleep_until(until) => {}
            }
            self.quiesce().await;
            self.check(&before);
            if Instant::now() >= until {
                return;
            }
            before = self.view();
        }
    }

    /// The background's work of this moment is done, and prompt callers have run.
    async fn quiesce(&mut self) {
        let mut quiet = 0;
        while quiet < 4 {
            tokio::task::yield_now().await;
            quiet += 1;
            if !self.prompt {
                continue;
            }
            while let Some(at) = self.callers.iter().position(Caller::is_woken) {
                quiet = 0;
                self.poll(at);
            }
        }
        self.in_order = {
            let snapshot = self.pool.snapshot();
            let ids: Vec<_> = snapshot
                .endpoints
                .into_iter()
                .map(|endpoint| endpoint.id)
                .collect();
            let mut sorted = ids.clone();
            sorted.sort_unstable();
            assert!(
                sorted.iter().eq(self.members.keys()),
                "{ids:?} belong to the pool"
            );
            ids
        };
    }

    fn ask(&mut self) {
        let pool = self.pool.clone();
        let within = Duration::from_millis(self.rng.u64(1..8_000));
        let priority = [Priority::High, Priority::Normal, Priority::Low][self.rng.usize(..3)];
        let mut request = Request::new().timeout(within).priority(priority);
        if self.rng.u8(..3) == 0 {
            request = request.min_position(self.rng.u64(100..=self.height + 3));
        }
        if self.rng.u8(..4) == 0 {
            let avoided = self.nodes[self.rng.usize(..self.nodes.len())].id();
            // one that is no member names no place
            if self.members.contains_key(&avoided) {
                request = request.avoid(avoided);
            }
        }
        let now = Instant::now();
        self.asked += 1;
        let (min_position, avoid) = (
            request.requirements.min_position,
            request.requirements.avoid.clone(),
        );
        let acquire: Acquire = Box::pin(async move { pool.acquire_with(&request).await });
        self.callers.push(Caller {
            acquire,
            bell: Arc::new(Bell {
                woken: AtomicBool::new(false),
                told: Arc::clone(&self.told),
            }),
            rank: (now + AGEING * priority as u32, self.asked),
            deadline: now + within,
            min_position,
            avoid,
            slot: None,
            fresh: true,
            waits_since: false,
            opaque: false,
            unsure: false,
            failed: false,
        });
        self.poll(self.callers.len() - 1);
    }

    fn poll_any(&mut self) {
        if !self.callers.is_empty() {
            let at = self.rng.usize(..self.callers.len());
            self.poll(at);
        }
    }

    fn poll(&mut self, at: usize) {
        let before = self.view();
        let caller = &mut self.callers[at];
        let (slot, fresh) = (caller.slot, std::mem::take(&mut caller.fresh));
        let (polled, failed) = caller.poll(&self.recorder);
        self.failed_connects += failed[0];
        self.perhaps_failed += failed[1];
        let again = failed != [0; 2];
        let place = caller.slot;
        let (rank, opaque) = (caller.rank, caller.opaque);
        let id = match &polled {
            Poll::Ready(Ok(lease)) => {
                let key = place.expect("whoever has a connection has a slot");
                self.recorder.learn(key, lease.endpoint());
                Some(lease.endpoint().clone())
            }
            _ => place.and_then(|key| self.recorder.name(key)),
        };
        let got = place.is_some() && place != slot;
        if let Some(id) = id.filter(|_| got) {
            if fresh && !again && self.prompt {
                let caller = &self.callers[at];
                let mut could = caller.may_use(&before).into_iter();
                let wants = (caller.min_position, &caller.avoid);
                assert!(
                    opaque || could.any(|one| one.id == id),
                    "{id} is not for {wants:?}"
                );
            }
            if fresh || again {
                self.at_once.push(id);
            } else if slot.is_none() {
                let number = if rank.1 == u64::MAX { 0 } else { rank.1 };
                self.served.push(((rank.0, number), id));
            }
        }
        if let Poll::Ready(answer) = polled {
            let caller = self.callers.swap_remove(at);
            self.answered(&caller, answer, &before);
        }
    }

    fn answered(&mut self, caller: &Caller, answer: Answer, before: &[Seen]) {
        let now = Instant::now();
        match answer {
            Ok(lease) => {
                let (id, key) = (lease.endpoint().clone(), caller.slot.unwrap());
                self.held.push(Held { lease, id, key });
                return;
            }
            Err(AcquireError::Closed { .. }) => assert!(self.closed),
            Err(AcquireError::QueueFull { .. }) => {
                self.rejections += 1;
                let waiting = self.callers.iter().filter(|caller| caller.slot.is_none()).count();
                assert!(
                    !self.prompt || waiting >= self.config.max_waiters as usize,
                    "{waiting} wait"
                );
            }
            Err(AcquireError::QueueTimeout { .. }) => {
                self.timeouts += 1;
                assert!(now >= caller.deadline, "too early");
            }
            Err(AcquireError::NoHealthyEndpoint { .. }) => {
                self.timeouts += 1;
                let reach = |one: &Seen| caller.min_position.is_none() || one.position >= caller.min_position;
                let usable = before.iter().find(|one| one.eligible && reach(one));
                // at its deadline it may run before the pool's task has seen who becomes usable at this very moment
                let late = caller.failed || now >= caller.deadline;
                assert!(usable.is_none() || late, "{usable:?} may be used");
            }
            Err(AcquireError::Deadline { .. }) => assert!(now >= caller.deadline, "too early"),
            Err(error) => assert!(error.is_connect() && caller.failed, "{error}"),
        }
        assert_eq!(caller.slot, None, "its slot is lost");
    }

    /// Somebody goes away, wherever it is.
    fn cancel(&mut self) {
        if self.callers.is_empty() {
            return;
        }
        let caller = self.callers.swap_remove(self.rng.usize(..self.callers.len()));
        self.recorder.heard();
        let slot = caller.slot;
        drop(caller);
        let heard = self.recorder.heard();
        let expected: Vec<_> = slot.map(|key| (key, Feedback::Cancelled)).into_iter().collect();
        if self.prompt {
            assert_eq!(heard, expected);
        }
    }

    fn release(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let Held { mut lease, id, key } = self.held.swap_remove(self.rng.usize(..self.held.len()));
        if self.rng.bool() {
            lease.number += 1;
        }
        let error_type = ErrorType::ALL[self.rng.usize(..ErrorType::ALL.len())];
        self.recorder.heard();
        let tally = self.tallies.entry(id).or_default();
        let expected = match self.rng.u8(..8) {
            0..4 => {
                lease.succeed();
                tally.successes += 1;
                Some(Outcome::Success)
            }
            4..6 => {
                lease.fail(&Oops(Verdict::of(error_type)));
                tally.failures += 1;
                Some(Outcome::Failure(error_type))
            }
            6 => {
                lease.neutral();
                None
            }
            _ => {
                drop(lease);
                None
            }
        };
        let heard = self.recorder.heard();
        let outcome = match heard[..] {
            [(at, Feedback::Done { outcome, .. })] if at == key => Some(outcome),
            [(at, Feedback::Cancelled)] if at == key => None,
            _ => panic!("{heard:?}, not one telling of {key}"),
        };
        assert_eq!(outcome, expected);
    }

    /// An operation on its own, or the end of one: only where the account is not of every slot.
    fn run(&mut self) {
        if self.prompt {
            return;
        }
        self.runs.retain(|run| !run.is_finished());
        if self.runs.len() > 5 || (!self.runs.is_empty() && self.rng.bool()) {
            return self.runs[self.rng.usize(..self.runs.len())].abort();
        }
        let pool = self.pool.clone();
        let request = Request::new().timeout(Duration::from_millis(self.rng.u64(1..3_000)));
        self.runs.push(tokio::spawn(async move {
            let _either = pool.run(&Call, &request).await;
        }));
    }

    /// The end: closed in the middle of everything, or everything comes back and can be had again.
    pub(crate) async fn ends(mut self) {
        if self.rng.u8(..4) == 0 {
            self.closed = true;
            let before = self.view();
            for caller in &mut self.callers {
                caller.unsure = caller.slot.is_some();
            }
            let report = self.pool.close(Duration::ZERO).await;
            let idle = self.held.is_empty() && self.callers.iter().all(|caller| caller.slot.is_none());
            assert!(!self.prompt || (report.unfinished == 0) == idle, "{report:?}");
            self.quiesce().await;
            self.check(&before);
            for _ in 0..100 {
                Box::pin(self.step()).await;
            }
        }
        self.callers.clear();
        self.runs.iter().for_each(JoinHandle::abort);
        self.held.clear();
        for node in &self.nodes {
            node.set(|script| {
                (script.connect, script.open) = (Act::Ok, Act::Ok);
                (script.recycle, script.check) = (Act::Ok, Act::Ok);
                script.unfit = None;
            });
        }
        tokio::time::sleep(s(60)).await;
        self.all_returned();
        if self.closed {
            assert!(self.nodes.iter().all(|node| opened(node) == 0));
            assert_eq!(self.pool.snapshot().slots_free, 0);
            return;
        }
        let slots: u32 = self.members.values().map(|config| config.max_connections).sum();
        let slots = slots.min(self.config.max_connections.unwrap_or(u32::MAX));
        let snapshot = self.pool.snapshot();
        assert_eq!(snapshot.slots_free, u64::from(slots), "{:?}", self.pool.explain());
        let mut leases = Vec::new();
        for _ in 0..slots {
            leases.push(self.pool.acquire_within(ms(1)).await.unwrap());
        }
        let more = self.pool.acquire_within(ms(1)).await;
        assert!(more.is_err(), "more than there are");
        leases.into_iter().for_each(Lease::succeed);
        self.all_returned();
    }

    fn all_returned(&self) {
        let snapshot = self.pool.snapshot();
        assert_eq!(snapshot.queue_size, 0);
        for endpoint in &snapshot.endpoints {
            assert_eq!(
                (endpoint.slots_active, endpoint.connections_active),
                (0, 0),
                "{endpoint:?}"
            );
            assert!(
                endpoint.connections_total() <= endpoint.connections_max,
                "{endpoint:?}"
            );
        }
        for node in &self.nodes {
            let limit = self
                .members
                .get(&node.id())
                .map_or(0, |config| config.max_connections);
            assert!(
                opened(node) <= limit.into(),
                "{}: {} open, {limit} may be; {snapshot:?}",
                node.id(),
                opened(node)
            );
        }
    }
}
