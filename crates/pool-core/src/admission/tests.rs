//! A model test: random operations on admission alone, checked against a plain account of who has what, who may use what
//! and who comes before whom.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::Wake,
};

use tokio::time::Instant;

use super::*;
use crate::{
    BreakerConfig, EndpointId, HealthConfig, Need, Priority, Provider, ProviderConfig, ProviderId,
    QuotaConfig, Unfit, WallClock, quota::Meter, stats::Stats,
};

const SLOTS: [u32; 3] = [1, 2, 3];
const MAX_WAITERS: usize = 12;
const AGEING: Duration = Duration::from_secs(1);
/// Requests cost less than this.
const TOO_DEAR: u32 = 4;
/// Units a second and at once: of the provider of the first two endpoints, and of the third one's own quota.
const QUOTAS: [(f64, u32); 2] = [(2.0, 4), (4.0, 3)];

/// What was taken of a quota and has not come back yet, as plainly as it can be said.
struct Account {
    quota: (f64, u32),
    out: f64,
    at: Instant,
}

impl Account {
    fn pass(&mut self, now: Instant) {
        let came = self.quota.0 * now.duration_since(self.at).as_secs_f64();
        (self.out, self.at) = ((self.out - came).max(0.0), now);
    }

    fn pay(&mut self, units: u32, now: Instant) {
        self.pass(now);
        self.out += f64::from(units);
        // all of a burst but one unit, and then the dearest request
        let most = self.quota.1 - 1 + TOO_DEAR - 1;
        let most = most.max(self.quota.1);
        assert!(
            self.out <= f64::from(most) + 1e-3,
            "{} of {most} units are out",
            self.out
        );
    }

    fn get_back(&mut self, units: u32, now: Instant) {
        self.pass(now);
        self.out = (self.out - f64::from(units)).max(0.0);
    }
}

/// A connection of the storage. It must be back before its slot is free, or lie ready from then on.
#[derive(Debug)]
struct Object {
    number: u64,
    key: u32,
    stats: Arc<Stats>,
    out: Arc<AtomicU64>,
    /// It has been taken out of those that lie ready, and no slot belongs to it.
    put_back: bool,
}

/// What lies in a locker.
struct Lying {
    key: u32,
    paid: u32,
    number: Option<u64>,
}

impl Admission<Object> {
    /// Those who were given something and have not looked: rank, and what.
    fn given(&self, state: &State<Object>) -> Vec<(Rank, Lying)> {
        let lying = |place: Place| {
            let look = |(key, paid, object): (u32, u32, Option<&Object>)| Lying {
                key,
                paid,
                number: object.map(|object| object.number),
            };
            Some((place.rank, self.lockers.peek(place.key, look)?))
        };
        state.queue.given().into_iter().filter_map(lying).collect()
    }
}

impl Object {
    fn new(model: &Model, key: u32) -> Self {
        let out = Arc::clone(&model.out[key as usize]);
        out.fetch_add(1, SeqCst);
        Self {
            number: model.objects.fetch_add(1, SeqCst),
            key,
            stats: Arc::clone(&model.stats[key as usize]),
            out,
            put_back: false,
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let out = self.out.fetch_sub(1, SeqCst);
        assert!(
            self.put_back || self.stats.in_flight() > 0,
            "{}: it was dropped with no slot",
            self.stats.id
        );
        assert!(
            out <= self.stats.slots_max(),
            "{}: more are out than the storage has room for",
            self.stats.id
        );
    }
}

/// They go back into the storage; returns how many there are.
fn put_back(objects: Vec<Object>) -> usize {
    let count = objects.len();
    objects.into_iter().for_each(|mut object| object.put_back = true);
    count
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

fn id(key: u32) -> EndpointId {
    EndpointId::new(format!("e{key}")).unwrap()
}

struct Waiter {
    place: Place,
    want: Want,
    flag: Arc<Flag>,
}

struct Model {
    admission: Admission<Object>,
    stats: Vec<Arc<Stats>>,
    out: Vec<Arc<AtomicU64>>,
    /// How many connections there have been.
    objects: AtomicU64,
    rng: fastrand::Rng,
    begun: Instant,
    now: Instant,
    held: Vec<Grant<Object>>,
    line: Vec<Waiter>,
    given_before: BTreeSet<u64>,
    /// Checks under way, with their tickets.
    checking: [Option<Option<Ticket>>; 3],
    /// Whose newest answered check was well.
    fit: [bool; 3],
    panic_below: Option<f64>,
    /// What endpoints probably bear, and by how much that grows for each who waits.
    limits: [u32; 3],
    growth: f64,
    timeouts: u64,
    closed: bool,
    /// The pool's task was told that the next change by time may have moved.
    rearm: bool,
    /// When it wakes by itself.
    next_tick: Option<Instant>,
    provider: Provider,
    /// Nobody pays anything.
    gratis: bool,
    accounts: [Account; 2],
    /// What those paid who were given something and have not looked yet, by their numbers.
    paid: std::collections::BTreeMap<u64, u32>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let breaker = BreakerConfig {
            consecutive_failures: 2,
            open_max: Duration::from_secs(8),
            probe_lease: Duration::from_secs(5),
            ..BreakerConfig::default()
        };
        let stats: Vec<_> = SLOTS
            .iter()
            .enumerate()
            .map(|(key, slots)| Arc::new(Stats::new(id(key as u32), 1.0, *slots)))
            .collect();
        let [theirs, own] = QUOTAS.map(|(rate, burst)| QuotaConfig::per_second(rate).burst(burst));
        let clock = WallClock::new(|| Duration::ZERO);
        let provider = ProviderConfig::default().quota(theirs);
        let provider =
            Provider::with_clock(ProviderId::new("acme").unwrap(), &provider, clock.clone()).unwrap();
        let own = Arc::new(Meter::new(Some(&own), clock, now));
        let gratis = seed / 4 % 2 == 1;
        let gates = SLOTS.iter().zip(&stats).enumerate().map(|(key, (slots, stats))| {
            let (stats, health) = (Arc::clone(stats), HealthConfig::default());
            let mut gate = Gate::new(stats, *slots, &health, breaker.clone(), now);
            let (own, provider) = if key == 2 {
                (Some(Arc::clone(&own)), None)
            } else {
                (None, Some(provider.clone()))
            };
            let toll = Toll { own, provider };
            gate.toll = toll.boxed().filter(|_| !gratis);
            gate
        });
        let panic_below = [None, Some(0.5), Some(1.0)][(seed % 3) as usize];
        let rules = Rules {
            max_waiters: MAX_WAITERS,
            ageing: AGEING,
            limit: u32::MAX,
            panic_below,
        };
        let mut model = Self {
            admission: Admission::new(gates.collect(), rules, seed),
            stats,
            out: SLOTS.map(|_| Arc::default()).into(),
            objects: AtomicU64::new(0),
            rng: fastrand::Rng::with_seed(seed),
            begun: now,
            now,
            held: Vec::new(),
            line: Vec::new(),
            given_before: BTreeSet::new(),
            timeouts: 0,
            checking: [None; 3],
            fit: [false; 3],
            panic_below,
            limits: SLOTS,
            growth: 0.0,
            closed: false,
            rearm: true,
            next_tick: None,
            provider,
            gratis,
            accounts: QUOTAS.map(|quota| Account {
                quota,
                out: 0.0,
                at: now,
            }),
            paid: Default::default(),
        };
        for key in 0..3 {
            model.check(key, Ok(()));
        }
        model
    }

    fn apply(&mut self, effects: Effects) {
        self.rearm |= effects.rearm;
        drop(effects.wake_all());
    }

    fn check(&mut self, key: u32, result: Result<(), HealthReason>) {
        self.check_begins(key);
        self.check_ends(key, result);
    }

    fn check_begins(&mut self, key: u32) {
        let (ticket, effects) = self.admission.check_begins(key.into(), 1, self.now, self.now);
        self.apply(effects);
        self.checking[key as usize] = Some(ticket);
    }

    fn check_ends(&mut self, key: u32, result: Result<(), HealthReason>) {
        let Some(ticket) = self.checking[key as usize].take() else {
            return;
        };
        self.fit[key as usize] = match &result {
            Ok(()) => true,
            Err(HealthReason::Unfit(_)) => false,
            Err(_) => self.fit[key as usize],
        };
        let outcome = match &result {
            Ok(()) => Settle::Success,
            Err(HealthReason::Unfit(_)) => Settle::Neutral,
            Err(_) => Settle::Failure,
        };
        // heights rise, now and then fall, and are not always told
        let height = 100 + self.now.duration_since(self.begun).as_secs() / 4;
        let position = (self.rng.u8(..8) > 0).then(|| height + self.rng.u64(..8));
        let checked = Checked {
            age: None,
            position,
            outcome,
            throttle: None,
            result,
        };
        let effects = self.admission.check_ended(key.into(), ticket, checked, self.now);
        self.apply(effects);
        let next = self.now + Duration::from_secs(5);
        let (_, effects) = self.admission.check_planned(key.into(), next, self.now);
        self.apply(effects);
    }

    /// Which endpoints a caller may use, as plainly as it can be said.
    fn may_use(state: &State<Object>, avoid: &[u32], min_position: Option<u64>, terms: &Terms) -> Vec<u32> {
        let reached = |key: &u32| {
            let position = state.gates[*key as usize].position;
            let reached =
                min_position.is_none_or(|min| position.is_some_and(|(position, _)| position >= min));
            reached && state.gates[*key as usize].suits(terms)
        };
        let all: Vec<u32> = state.eligible.iter().copied().filter(reached).collect();
        let others: Vec<u32> = all.iter().copied().filter(|key| !avoid.contains(key)).collect();
        if others.is_empty() { all } else { others }
    }

    fn want(&mut self) -> Want {
        let rng = &mut self.rng;
        let height = 100 + self.now.duration_since(self.begun).as_secs() / 4;
        Want {
            avoid: (0..3).filter(|_| rng.u8(..6) == 0).collect(),
            min_position: (rng.u8(..3) == 0).then(|| height + rng.u64(..8)),
            priority: [Priority::High, Priority::Normal, Priority::Low][rng.usize(..3)],
            deadline: self.now + Duration::from_millis(rng.u64(..20_000)),
            terms: Terms::new(
                &[],
                &(0..3).filter(|_| rng.u8(..12) == 0).map(id).collect::<Vec<_>>(),
                (rng.u8(..2) == 0).then(|| Need::new(rng.u32(..2)).unwrap()),
            ),
            cost: rng.u32(..TOO_DEAR).into(),
            rank: None,
            ask: crate::balance::Ask::NOTHING,
        }
    }

    fn acquire(&mut self) {
        let want = self.want();
        let preferred = self.rng.bool().then(|| self.rng.u32(..4));
        let theirs: Vec<(Rank, Vec<u32>)> = {
            let state = self.admission.lock();
            let line = state.queue.line().into_iter();
            let line =
                line.map(|(rank, avoid, min, terms)| (rank, Self::may_use(&state, &avoid, min, &terms)));
            line.collect()
        };
        let flag = Arc::<Flag>::default();
        let waker = Waker::from(Arc::clone(&flag));
        let short = preferred.filter(|_| self.rng.bool());
        let short = short.and_then(|key| self.admission.take_free(key, Some(&want), self.now));
        let asked = if let Some(grant) = short {
            assert!(
                theirs.is_empty() && !self.closed,
                "that is the long way's business"
            );
            Ok(Asked::Go(grant))
        } else {
            let (asked, effects) = self.admission.ask(preferred, &want, &waker, self.now);
            self.apply(effects);
            asked
        };
        match asked {
            Ok(Asked::Go(grant)) => {
                for (rank, keys) in theirs {
                    assert!(!keys.contains(&grant.key), "a newcomer overtook {rank:?}");
                }
                let state = self.admission.lock();
                let position = state.gates[grant.key as usize]
                    .position
                    .map(|(position, _)| position);
                let gate = &state.gates[grant.key as usize];
                assert!(gate.suits(&want.terms), "{want:?}");
                assert!(
                    gate.still_good(grant.ticket, self.now),
                    "it was let in where nobody may"
                );
                drop(state);
                assert!(want.min_position <= position || want.min_position.is_none());
                let units = self.price(&want);
                let now = self.now;
                assert_eq!(grant.paid, units);
                self.account(grant.key).pay(units, now);
                self.hold(grant);
            }
            Ok(Asked::Stand(place)) => self.line.push(Waiter { place, want, flag }),
            Err(refusal) => {
                self.timeouts += u64::from(refusal == Refusal::Hopeless);
                assert_eq!(refusal == Refusal::Closed, self.closed, "{refusal:?}");
            }
        }
    }

    fn price(&self, want: &Want) -> u32 {
        if self.gratis { 0 } else { want.cost.plain() }
    }

    fn account(&mut self, key: u32) -> &mut Account {
        &mut self.accounts[key as usize / 2]
    }

    /// Gives back what was not used.
    fn give_back(&mut self, grant: Grant<Object>) {
        let (now, units) = (self.now, grant.paid);
        self.account(grant.key).get_back(units, now);
        let effects = self.admission.refund(grant.key, units, self.now);
        self.apply(effects);
        // who was served from what came back has paid by now
        self.note_paid();
        let effects = self.admission.give_back(grant, Settle::Neutral, None, self.now);
        self.apply(effects);
    }

    /// Those pay who are given something.
    fn note_paid(&mut self) {
        let given: Vec<(u64, u32, u32)> = {
            let state = self.admission.lock();
            let given = self.admission.given(&state).into_iter();
            given
                .map(|(rank, grant)| (rank.seq, grant.key, grant.paid))
                .collect()
        };
        for (seq, key, paid) in given {
            if !self.paid.contains_key(&seq) {
                let waiter = self.line.iter().find(|waiter| waiter.place.rank.seq == seq);
                let units = self.price(&waiter.expect("who is given something waits").want);
                assert_eq!(units, paid);
                self.paid.insert(seq, units);
                let now = self.now;
                self.account(key).pay(units, now);
            }
        }
    }

    /// Another pool's request, or the provider's answer to one.
    fn elsewhere(&mut self) {
        if self.rng.u8(..4) == 0 {
            let wait = Duration::from_millis(self.rng.u64(..2_000));
            self.provider.cool_down_from(self.now, wait);
            // which wakes the pool
            self.rearm = true;
            return;
        }
        let units = self.rng.u32(..TOO_DEAR);
        if self.provider.meter().take(units, self.now) {
            self.accounts[0].pay(units, self.now);
        }
    }

    fn hold(&mut self, mut grant: Grant<Object>) {
        let foreign = grant.object.as_ref().filter(|object| object.key != grant.key);
        assert!(
            foreign.is_none(),
            "{foreign:?} came with a slot of e{}",
            grant.key
        );
        if grant.object.is_none() {
            let bare = self.admission.lock().stash.of(grant.key).is_empty();
            assert!(bare, "it was given none of those that lie ready");
            grant.object = Some(Object::new(self, grant.key));
        }
        self.held.push(grant);
    }

    /// What housekeeping does: some of what lies ready goes back into the storage, those that have rested longest.
    fn put_back(&mut self) {
        let key = self.rng.u32(..4);
        let before: Vec<u64> = {
            let state = self.admission.lock();
            state.stash.of(key).iter().map(|object| object.number).collect()
        };
        let mut some = self.rng.usize(..4);
        let taken = match self.rng.u8(..3) {
            0 => self.admission.take_stash(key),
            1 => self.admission.take_rested(key, |_| {
                some = some.saturating_sub(1);
                some > 0
            }),
            _ => Vec::new(),
        };
        let numbers: Vec<u64> = taken.iter().map(|object| object.number).collect();
        assert!(before.starts_with(&numbers), "{numbers:?} of {before:?}");
        put_back(taken);
    }

    fn look(&mut self) {
        if self.line.is_empty() {
            return;
        }
        self.note_paid();
        let at = self.rng.usize(..self.line.len());
        let seq = self.line[at].place.rank.seq;
        let before = self.paid.remove(&seq);
        let was_given = {
            let state = self.admission.lock();
            let given = self.admission.given(&state);
            given
                .iter()
                .find(|(rank, _)| rank.seq == seq)
                .map(|(_, grant)| grant.key)
        };
        assert_eq!(before.is_some(), was_given.is_some());
        let waiter = &mut self.line[at];
        waiter.flag.0.store(false, SeqCst);
        let waker = Waker::from(Arc::clone(&waiter.flag));
        let (turn, effects) = self
            .admission
            .look(&mut waiter.place, &waker, &waiter.want, self.now);
        self.apply(effects);
        if let (Some(key), Some(units), false) = (was_given, before, matches!(turn, Turn::Go(_))) {
            // it was of no use any more
            let now = self.now;
            self.account(key).get_back(units, now);
        }
        match turn {
            Turn::Wait => return,
            Turn::Go(grant) => {
                let terms = &self.line[at].want.terms;
                assert!(self.admission.suits(grant.key, terms), "{terms:?}");
                let state = self.admission.lock();
                let good = state.gates[grant.key as usize].still_good(grant.ticket, self.now);
                drop(state);
                assert!(good, "what has gone bad meanwhile was taken");
                assert_eq!(Some(grant.paid), before);
                self.hold(grant);
            }
            Turn::Hopeless => self.timeouts += 1,
            Turn::Closed => assert!(self.closed),
        }
        self.line.remove(at);
    }

    /// It goes away, or its time is over.
    fn leave(&mut self) {
        if self.line.is_empty() {
            return;
        }
        self.note_paid();
        let waiter = self.line.swap_remove(self.rng.usize(..self.line.len()));
        let units = self.paid.remove(&waiter.place.rank.seq);
        let given = if self.rng.bool() {
            self.admission.leave(waiter.place)
        } else {
            let (given, good) = self.admission.time_out(waiter.place, &waiter.want, self.now);
            self.timeouts += u64::from(!good);
            if good {
                self.hold(given.expect("what is good is there"));
                return;
            }
            given
        };
        if let Some(grant) = given {
            assert_eq!(Some(grant.paid), units);
            self.give_back(grant);
        }
    }

    fn release(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let mut grant = self.held.swap_remove(self.rng.usize(..self.held.len()));
        if self.rng.u8(..4) == 0 {
            // destroyed, which comes before the release
            grant.object = None;
        }
        if self.rng.u8(..6) == 0 {
            return self.give_back(grant);
        }
        let outcome = match self.rng.u8(..8) {
            0..4 => Settle::Success,
            4..6 => Settle::Failure,
            _ => Settle::Neutral,
        };
        let throttle = (self.rng.u8(..10) == 0).then(|| Duration::from_millis(self.rng.u64(1..3_000)));
        let key = grant.key as usize;
        let (over, taken, eligible) = {
            let state = self.admission.lock();
            let taken = state.gates[key].taken;
            let over = taken > self.open(&state, state.queue.waiting(), key);
            (over, taken, state.eligible.clone())
        };
        let effects = self.admission.give_back(grant, outcome, throttle, self.now);
        self.apply(effects);
        let state = self.admission.lock();
        // where fewer or more share the load, the limits are others
        if over && state.eligible == eligible {
            let now = state.gates[key].taken;
            assert_eq!(
                now,
                taken - 1,
                "e{key} has more than it bears, and was given more"
            );
        }
    }

    /// An endpoint is found to lack something, or says so itself.
    fn lacks(&mut self) {
        let (key, need) = (self.rng.u32(..3), Need::new(self.rng.u32(..2)).unwrap());
        let effects = if self.rng.u8(..20) == 0 {
            self.admission.told(key.into(), need, false, self.now)
        } else {
            let until = self.now + Duration::from_millis(self.rng.u64(1..6_000));
            self.admission.found_lacking(key, need, until, self.now)
        };
        self.apply(effects);
    }

    fn step(&mut self) {
        match self.rng.u8(..20) {
            18.. => self.elsewhere(),
            16 => self.put_back(),
            0..5 => self.acquire(),
            5..9 => self.look(),
            9 => self.leave(),
            10..13 => self.release(),
            13 => self.now += Duration::from_millis(self.rng.u64(..2_000)),
            14 => {
                let key = self.rng.u32(..3);
                let result = match self.rng.u8(..6) {
                    0 => Err(HealthReason::Unfit(Unfit::Syncing)),
                    1 => Err(HealthReason::CheckFailed("no".to_owned())),
                    _ => Ok(()),
                };
                if self.checking[key as usize].is_some() {
                    self.check_ends(key, result);
                } else {
                    self.check_begins(key);
                }
            }
            15 if self.rng.bool() => self.eject(),
            15 if self.rng.bool() => self.learn(),
            17 => self.lacks(),
            _ => {
                let effects = self.admission.failed_unasked(self.rng.u32(..3).into(), self.now);
                self.apply(effects);
            }
        }
        // what the pool's task does, and only when it would
        if self.rearm || self.next_tick.is_some_and(|at| self.now >= at) {
            self.tick();
        }
    }

    fn learn(&mut self) {
        let effects = if self.rng.u8(..4) == 0 {
            self.limits = SLOTS;
            self.admission.lift_limits(self.now)
        } else {
            let rng = &mut self.rng;
            self.limits = SLOTS.map(|slots| rng.u32(1..=slots));
            self.growth = f64::from(rng.u8(..4));
            // more than is configured is no more than that, and who has left has none
            let limits = self.limits.iter().zip(SLOTS).zip(0..);
            let limits = limits
                .map(|((limit, slots), key)| (GateId::from(key), if *limit == slots { 99 } else { *limit }));
            let left = GateId { key: 0, serial: 9 };
            let limits: Vec<_> = limits.chain([(left, 1)]).collect();
            self.admission.limit(&limits, self.growth, self.now)
        };
        self.apply(effects);
    }

    fn eject(&mut self) {
        let key = self.rng.u32(..3);
        let most_out = self.rng.usize(..4);
        let usable = |model: &Self| {
            let state = model.admission.lock();
            let gates = state.gates.iter();
            gates.map(|gate| gate.is_sound(model.now)).collect::<Vec<_>>()
        };
        let before = usable(self);
        let out = before.iter().filter(|usable| !**usable).count();
        let ejection = Ejection {
            until: self.now + Duration::from_millis(self.rng.u64(1..9_000)),
            why: Outlier::Failing {
                success_permille: 700,
                others_permille: 1_000,
            },
        };
        let (ejected, effects) = self.admission.eject(key.into(), ejection, |_| most_out, self.now);
        self.apply(effects);
        assert_eq!(
            ejected,
            before[key as usize] && out < most_out && out < 2,
            "e{key}, {before:?}, {most_out} may be out"
        );
        assert_eq!(usable(self)[key as usize], before[key as usize] && !ejected);
    }

    fn tick(&mut self) {
        self.rearm = false;
        let (next, effects) = self.admission.tick(self.now);
        self.apply(effects);
        assert!(
            next.is_none_or(|at| at > self.now),
            "a moment in the past would be waited for again and again"
        );
        self.next_tick = next;
        if self.rearm {
            // what was served may have taken the last of a quota
            self.tick();
        }
    }

    fn invariants(&mut self) {
        self.note_paid();
        let state = self.admission.lock();
        let given = self.admission.given(&state);
        let line = state.queue.line();
        let mut numbers = BTreeSet::new();
        let held = self.held.iter().filter_map(|grant| grant.object.as_ref());
        let lie_ready = (0..3).flat_map(|key| state.stash.of(key));
        let seen = held.chain(lie_ready).map(|object| object.number);
        for number in seen.chain(given.iter().filter_map(|(_, seen)| seen.number)) {
            assert!(numbers.insert(number), "connection {number} is in two hands");
        }
        let out: u64 = self.out.iter().map(|out| out.load(SeqCst)).sum();
        assert_eq!(out, numbers.len() as u64, "a connection is lost");
        for (key, gate) in state.gates.iter().enumerate() {
            assert!(gate.taken <= gate.slots, "e{key} has more than its slots taken");
            let ready = state.stash.of(key as u32);
            assert!(ready.iter().all(|object| object.key as usize == key));
            assert!(
                gate.taken as usize + ready.len() <= gate.slots as usize,
                "the storage of e{key} has no room for those whose slots have no connection"
            );
            let held = self.held.iter().filter(|grant| grant.key as usize == key);
            let granted = given.iter().filter(|(_, grant)| grant.key as usize == key);
            assert_eq!(
                gate.taken as usize,
                held.count() + granted.count(),
                "a slot of e{key} is lost"
            );
            assert_eq!(u64::from(gate.taken), self.stats[key].in_flight());
        }
        self.limits(&state, line.len());
        assert_eq!(self.admission.waiting.load(SeqCst), line.len());
        // who was given a slot that went bad comes back to its place, so as many more can stand there as there are slots
        assert!(line.len() + given.len() <= MAX_WAITERS + SLOTS.iter().sum::<u32>() as usize);
        state.queue.check();
        let kept = self.held.iter().filter(|grant| grant.kept != Kept::NONE).count();
        assert_eq!(
            state.queue.places(),
            self.line.len() + kept,
            "a place in line is lost"
        );
        assert_eq!(state.timeouts, self.timeouts);
        let usable: Vec<_> = (0..3_u32)
            .filter(|key| state.gates[*key as usize].eligible(self.now))
            .collect();
        // what another pool has spent is seen when it is looked at
        let may = |key: &&u32| state.gates[**key as usize].eligible(self.now);
        assert_eq!(
            usable,
            state.eligible.iter().filter(may).copied().collect::<Vec<_>>()
        );
        self.who_may_be_picked(&state);
        for (rank, avoid, min, terms) in &line {
            let could = Self::may_use(&state, avoid, *min, terms);
            let mut could = could.iter().filter(may);
            let could = could.find(|key| state.gates[**key as usize].free() > 0);
            assert_eq!(could, None, "{rank:?} waits although a slot is free");
        }
        let is_waited_for = |(key, gate): &(usize, &Gate)| {
            let works = gate.health.status() == HealthStatus::Healthy && gate.breaker.admits(self.now);
            let mut line = line.iter();
            let wanted =
                line.any(|(_, avoid, min, terms)| gate.meets(*min, terms) && !avoid.contains(&(*key as u32)));
            works && gate.ejected.is_none() && gate.free() > 0 && wanted
        };
        let waited_for = state.gates.iter().enumerate().filter(is_waited_for);
        let over = waited_for.filter_map(|(_, gate)| gate.throttled(self.now)).min();
        if let Some(over) = over {
            assert!(
                self.next_tick.is_some_and(|at| at <= over),
                "a throttle ends and nobody looks: {:?}, {over:?}",
                self.next_tick
            );
        }
        for (rank, grant) in &given {
            if self.given_before.contains(&rank.seq) {
                continue;
            }
            // whoever avoids the endpoint may have had others a moment ago
            let before = line.iter().find(|(other, avoid, min, terms)| {
                let gate = &state.gates[grant.key as usize];
                other < rank && !avoid.contains(&grant.key) && gate.meets(*min, terms)
            });
            assert_eq!(before, None, "{rank:?} was served before");
        }
        let now_given: BTreeSet<u64> = given.iter().map(|(rank, _)| rank.seq).collect();
        for waiter in &self.line {
            if now_given.contains(&waiter.place.rank.seq) {
                assert!(waiter.flag.0.load(SeqCst), "it was given something and not woken");
            }
        }
        drop(given);
        self.given_before = now_given;
    }

    /// The rule for limits that are learned, as plainly as it can be said.
    fn open(&self, state: &State<Object>, waiting: usize, key: usize) -> u32 {
        let sum: u32 = state.eligible.iter().map(|key| self.limits[*key as usize]).sum();
        let grown = self.growth * waiting as f64 / f64::from(sum + 1);
        let eighths = if self.limits == SLOTS {
            0
        } else {
            (grown * 8.0) as u32
        };
        let limit = self.limits[key];
        SLOTS[key].min(limit + limit * eighths / 8)
    }

    fn limits(&self, state: &State<Object>, waiting: usize) {
        for (key, gate) in state.gates.iter().enumerate() {
            let open = self.open(state, waiting, key);
            assert_eq!(gate.free(), open.saturating_sub(gate.taken), "{gate:?}");
            assert_eq!(gate.unused(), SLOTS[key] - gate.taken);
            assert_eq!(gate.stats.limit(), u64::from(self.limits[key]));
        }
    }

    /// The rules for ejections and panic, as plainly as they can be said.
    fn who_may_be_picked(&self, state: &State<Object>) {
        // a quota that comes back by itself makes nobody else more welcome
        let relied_on = |gate: &Gate| {
            gate.health.status() == HealthStatus::Healthy
                && gate.rests(self.now).is_none()
                && gate.breaker.admits(self.now)
        };
        let proper = |gate: &Gate| relied_on(gate) && gate.throttled(self.now).is_none();
        let closed =
            |gate: &Gate| relied_on(gate) && gate.breaker.state().is_closed() && gate.ejected.is_none();
        let usable = state.gates.iter().filter(|gate| closed(gate)).count();
        let short = self
            .panic_below
            .is_some_and(|share| (usable as f64) < share * 3.0);
        let any = state
            .gates
            .iter()
            .any(|gate| relied_on(gate) && gate.ejected.is_none());
        for (gate, fit) in state.gates.iter().zip(self.fit) {
            let key = &gate.stats.id;
            let throttled = gate.throttled(self.now).is_some();
            let expected = proper(gate) && gate.ejected.is_none() || short && fit && !throttled;
            assert_eq!(gate.eligible(self.now), expected, "{key}: {gate:?}");
            assert!(
                any || !relied_on(gate),
                "{key} is left out although nobody else is left"
            );
        }
    }

    /// Everything is returned, time passes, checks pass: then everything can be had again.
    fn recovers(mut self) {
        while !self.line.is_empty() {
            self.leave();
        }
        while let Some(grant) = self.held.pop() {
            let effects = self.admission.give_back(grant, Settle::Neutral, None, self.now);
            self.apply(effects);
        }
        assert_eq!(self.admission.taken(), 0);
        for _ in 0..8 {
            self.now += Duration::from_secs(60);
            self.tick();
            self.now += Duration::from_secs(60);
            for key in 0..3 {
                self.check(key, Ok(()));
            }
        }
        // what the checks took has come back
        self.now += Duration::from_secs(60);
        self.tick();
        let effects = self.admission.lift_limits(self.now);
        self.apply(effects);
        let all: u32 = SLOTS.iter().sum();
        for _ in 0..all {
            let (asked, effects) =
                self.admission
                    .ask(None, &Want::anything(self.now), Waker::noop(), self.now);
            self.apply(effects);
            let Ok(Asked::Go(grant)) = asked else {
                panic!("not every slot can be had")
            };
            self.hold(grant);
        }
        let (more, effects) = self
            .admission
            .ask(None, &Want::anything(self.now), Waker::noop(), self.now);
        self.apply(effects);
        assert!(matches!(more, Ok(Asked::Stand(_))), "there are no more slots");
    }
}

fn replay(seed: u64, steps: usize) {
    let mut model = Model::new(seed);
    for _ in 0..steps {
        model.step();
        model.invariants();
    }
    if seed.is_multiple_of(4) {
        model.closed = true;
        let effects = model.admission.close();
        model.apply(effects);
        let untold = model.line.iter().find(|waiter| !waiter.flag.0.load(SeqCst));
        assert!(untold.is_none(), "who waited was not told");
        let ended = seed.is_multiple_of(8);
        if ended {
            put_back(model.admission.end_stash());
        }
        for _ in 0..200 {
            model.step();
            model.invariants();
        }
        let ready = put_back(model.admission.end_stash());
        assert!(!ended || ready == 0, "something was laid away after the end");
        return;
    }
    model.recovers();
}

/// Seeds of runs that have found something that most runs don't: somebody asked and found that another pool had spent a quota, fewer
/// shared the load, limits grew, and the newcomer took what that opened.
#[test]
fn runs_that_have_found_something_are_run_again() {
    for seed in [8_687_054_593_128_685_256, 6_803_490_124_681_508_768] {
        replay(seed, 2_000);
    }
}

/// `POOL_CORE_SEED=7 cargo test -p pool-core admission::tests` replays one run; `POOL_CORE_RUNS` sets how many there are.
#[test]
fn random_operations_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("POOL_CORE_SEED") {
        return replay(seed, 2_000);
    }
    let first = fastrand::u64(..u64::MAX / 2);
    for seed in first..first + number("POOL_CORE_RUNS").unwrap_or(150) {
        let run = std::panic::catch_unwind(|| replay(seed, 2_000));
        assert!(run.is_ok(), "failed with POOL_CORE_SEED={seed}");
    }
}

#[test]
fn what_another_pool_brings_about_is_seen_by_who_has_been_given_something() {
    let mut model = Model::new(0);
    // what the checks took has come back
    model.now += Duration::from_secs(60);
    model.tick();
    let now = model.now;
    let want = Want::anything(now + Duration::from_secs(60));
    let mut place = loop {
        let (asked, effects) = model.admission.ask(None, &want, Waker::noop(), now);
        model.apply(effects);
        match asked.expect("there is room in line") {
            Asked::Go(grant) => model.hold(grant),
            Asked::Stand(place) => break place,
        }
    };
    let at = model.held.iter().position(|grant| grant.key == 0);
    let back = model.held.swap_remove(at.expect("all slots are held"));
    // so that it does not take the last of the quota
    let now = now + Duration::from_secs(1);
    let effects = model.admission.give_back(back, Settle::Success, None, now);
    model.apply(effects);
    model.provider.cool_down_from(now, Duration::from_secs(1));
    let (turn, effects) = model.admission.look(&mut place, Waker::noop(), &want, now);
    model.apply(effects);
    put_back(model.admission.end_stash());
    assert!(
        matches!(turn, Turn::Wait),
        "its provider wants to be left alone: {turn:?}"
    );
}

#[test]
fn what_was_begun_for_one_that_left_says_nothing_of_its_successor() {
    let mut model = Model::new(1);
    let (now, old) = (model.now, GateId::from(0));
    let (health, breaker) = (HealthConfig::default(), BreakerConfig::default());
    let (ticket, effects) = model.admission.check_begins(old, 1, now, now);
    model.apply(effects);
    let view = Arc::default();
    let plan = |kept: &[(u32, u32)], joining| Reconfiguration {
        rules: Rules {
            max_waiters: 1,
            ageing: AGEING,
            limit: 9,
            panic_below: None,
        },
        health: &health,
        breaker: &breaker,
        kept: kept.to_vec(),
        tolls: Vec::new(),
        joining,
        view: &view,
    };
    let (effects, _) = model.admission.reconfigure(plan(&[(1, 2)], Vec::new()), now);
    model.apply(effects);
    assert_eq!(model.admission.vacate(), [0, 2]);
    let places = model.admission.places(3);
    assert_eq!(places.iter().map(|id| id.key).collect::<Vec<_>>(), [0, 2, 3]);
    let gate = Gate::new(Arc::clone(&model.stats[0]), 1, &health, breaker.clone(), now);
    let (effects, _) = model
        .admission
        .reconfigure(plan(&[(1, 2)], vec![(places[0], gate)]), now);
    model.apply(effects);

    let well = || Checked {
        age: None,
        position: Some(7),
        outcome: Settle::Success,
        throttle: Some(Duration::from_secs(9)),
        result: Ok(()),
    };
    let effects = model.admission.check_ended(old, ticket, well(), now);
    assert!(effects.is_empty(), "{effects:?}");
    assert!(model.admission.check_planned(old, now, now).1.is_empty());
    for _ in 0..100 {
        assert!(model.admission.failed_unasked(old, now).wake_all().0.is_empty());
    }
    let health_of_new = || model.admission.lock().gates[0].health.status();
    assert_eq!(health_of_new(), HealthStatus::Unknown);
    let effects = model.admission.check_ended(places[0], None, well(), now);
    let (changes, _) = effects.wake_all();
    assert_eq!(changes.len(), 2, "throttled and healthy: {changes:?}");
    assert_eq!(health_of_new(), HealthStatus::Healthy);
}
