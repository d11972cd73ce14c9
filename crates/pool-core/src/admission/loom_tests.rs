//! Every interleaving of two or three threads over admission: queue, slots, breaker, resize, close and cancellation.
//!
//! `RUSTFLAGS="--cfg pool_loom" cargo test -p pool-core --lib loom_tests`
//!
//! Covered: the lock, the hint of how many wait, the published list of eligible endpoints and the connections that lie
//! ready, in the scenarios below, exhaustively within loom's memory model: asking, looking, leaving and releasing against
//! each other, against a breaker that opens and time that passes, a check that ends, a limit (of the endpoint, of the
//! pool) that is lowered or raised, an endpoint that leaves, and a close; and a clock that rings or stops against those who
//! come, leave and are served (`loom_clock_tests.rs`), with the real handling of timers and a model of the timer.
//! Connections are models that notice when their slot is free before they are back.
//!
//! Bounded: one endpoint, one or two slots, at most two that wait and three threads; time is an argument. Longer
//! histories, several endpoints, tiers, priorities beyond one pair and demands beyond one are the model tests' part
//! (`tests.rs` here, `tests/model.rs`). Not covered: the counters of `Stats` (they synchronise nothing), deadpool, tokio
//! and its timers, and the connects, which are tasks.

use std::{
    sync::{Arc, atomic::AtomicBool},
    task::Wake,
};

use loom::thread;

use tokio::time::Instant;

use super::*;
use crate::{BreakerConfig, EndpointId, HealthConfig, Priority, stats::Stats};

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Line = Arc<Admission<Returned>>;

/// A connection that must be back before its slot is free, unless it lay ready and was put back by somebody.
#[derive(Debug)]
struct Returned {
    stats: Arc<Stats>,
    put_back: bool,
}

impl Drop for Returned {
    fn drop(&mut self) {
        assert!(
            self.put_back || self.stats.in_flight() > 0,
            "the slot was free before its connection was back"
        );
    }
}

/// The task that looks after idle connections; returns how many lay ready.
fn put_back(ready: Vec<Returned>) -> usize {
    let count = ready.len();
    ready.into_iter().for_each(|mut object| object.put_back = true);
    count
}

fn stats(line: &Line) -> Arc<Stats> {
    Arc::clone(&line.lock().gates[0].stats)
}

struct Waiter {
    line: Line,
    /// What it was given without waiting.
    at_once: Option<Grant<Returned>>,
    place: Option<Place>,
    want: Want,
    flag: Arc<Flag>,
    now: Instant,
}

fn apply(effects: Effects) {
    drop(effects.wake_all());
}

fn line(slots: u32, now: Instant) -> Line {
    line_of(&[slots], None, now)
}

fn line_of(slots: &[u32], panic_below: Option<f64>, now: Instant) -> Line {
    let breaker = BreakerConfig {
        consecutive_failures: 1,
        ..BreakerConfig::default()
    };
    let gate = |slots: &u32| {
        let stats = Arc::new(Stats::new(EndpointId::new("e").unwrap(), 1.0, *slots));
        Gate::new(stats, *slots, &HealthConfig::default(), breaker.clone(), now)
    };
    let rules = Rules {
        max_waiters: 8,
        ageing: Duration::from_secs(1),
        limit: u32::MAX,
        panic_below,
    };
    let line = Arc::new(Admission::new(slots.iter().map(gate).collect(), rules, 1));
    for key in 0..slots.len() as u32 {
        let passed = Checked {
            age: None,
            position: None,
            outcome: Settle::Neutral,
            throttle: None,
            result: Ok(()),
        };
        apply(line.check_ended(key.into(), None, passed, now));
    }
    line
}

fn take(line: &Line, now: Instant) -> Grant<Returned> {
    let (asked, effects) = line.ask(Some(0), &Want::anything(now), Waker::noop(), now);
    apply(effects);
    let Ok(Asked::Go(grant)) = asked else {
        panic!("a slot is free")
    };
    connected(line, grant)
}

/// As the holder of a slot connects who was given no connection with it.
fn connected(line: &Line, mut grant: Grant<Returned>) -> Grant<Returned> {
    let (stats, put_back) = (stats(line), false);
    grant.object.get_or_insert(Returned { stats, put_back });
    grant
}

fn give_back(line: &Line, grant: Grant<Returned>, outcome: Settle, now: Instant) {
    apply(line.give_back(grant, outcome, None, now));
}

fn reconfigure(line: &Line, plan: Reconfiguration<'_>, now: Instant) {
    let (effects, left) = line.reconfigure(plan, now);
    apply(effects);
    put_back(left);
}

impl Waiter {
    fn enqueue(line: &Line, now: Instant) -> Result<Self, Refusal> {
        Self::with(line, Want::anything(now + Duration::from_secs(60)), now)
    }

    fn with(line: &Line, want: Want, now: Instant) -> Result<Self, Refusal> {
        Self::asking(line, want, now).0
    }

    /// It finds no slot, and its deadline is on a clock; perhaps that is to be set.
    fn on_a_clock(line: &Line, want: Want, now: Instant) -> (Self, Option<ClockId>) {
        let (waiter, clock) = Self::asking(line, want, now);
        (waiter.expect("there is room"), clock)
    }

    fn asking(line: &Line, want: Want, now: Instant) -> (Result<Self, Refusal>, Option<ClockId>) {
        let flag = Arc::<Flag>::default();
        let waker = Waker::from(Arc::clone(&flag));
        let (asked, effects) = line.ask(None, &want, &waker, now);
        let clock = effects.clock;
        apply(effects);
        (
            asked.map(|asked| Self::holding(line, asked, want, flag, now)),
            clock,
        )
    }

    fn holding(line: &Line, asked: Asked<Returned>, want: Want, flag: Arc<Flag>, now: Instant) -> Self {
        let (at_once, place) = match asked {
            Asked::Go(grant) => (Some(grant), None),
            Asked::Stand(place) => (None, Some(place)),
        };
        Self {
            line: Arc::clone(line),
            at_once,
            place,
            want,
            flag,
            now,
        }
    }

    fn look(&mut self) -> Turn<Returned> {
        if let Some(grant) = self.at_once.take() {
            return Turn::Go(grant);
        }
        let place = self.place.as_mut().expect("it has not ended");
        let waker = Waker::from(Arc::clone(&self.flag));
        let (turn, effects) = self.line.look(place, &waker, &self.want, self.now);
        apply(effects);
        if !matches!(turn, Turn::Wait) {
            self.place = None;
        }
        turn
    }

    /// All has been done that will be: it must have been woken, and find its turn.
    fn must_be_served(mut self, already: Turn<Returned>) -> Grant<Returned> {
        match already {
            Turn::Go(grant) => return grant,
            Turn::Wait => {}
            other => panic!("{other:?}"),
        }
        assert!(self.flag.0.load(Ordering::SeqCst), "a wake-up was lost");
        match self.look() {
            Turn::Go(grant) => grant,
            other => panic!("woken in vain: {other:?}"),
        }
    }

    fn leave(mut self) {
        if let Some(grant) = self.at_once.take() {
            return give_back(&self.line, grant, Settle::Neutral, self.now);
        }
        let place = self.place.take().expect("it has not ended");
        if let Some(grant) = self.line.leave(place) {
            give_back(&self.line, grant, Settle::Neutral, self.now);
        }
    }
}

fn ends_free(line: &Line) {
    assert_eq!(line.taken(), 0, "a slot was lost");
    assert_eq!(stats(line).in_flight(), 0);
    assert_eq!(line.waiting.load(Ordering::SeqCst), 0);
    put_back(line.end_stash());
}

#[test]
fn a_release_meets_one_who_joins_the_line() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let held = take(&line, now);
        let releaser = {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, held, Settle::Success, now))
        };
        let mut waiter = Waiter::enqueue(&line, now).expect("there is room");
        let first = waiter.look();
        releaser.join().unwrap();
        let grant = waiter.must_be_served(first);
        give_back(&line, grant, Settle::Success, now);
        ends_free(&line);
    });
}

#[test]
fn a_release_meets_one_who_leaves_and_one_is_behind() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let held = take(&line, now);
        let mut leaver = Waiter::enqueue(&line, now).expect("there is room");
        let mut stayer = Waiter::enqueue(&line, now).expect("there is room");
        assert!(matches!(leaver.look(), Turn::Wait));
        let first = stayer.look();
        let releaser = {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, held, Settle::Success, now))
        };
        let leaving = thread::spawn(move || leaver.leave());
        releaser.join().unwrap();
        leaving.join().unwrap();
        let grant = stayer.must_be_served(first);
        give_back(&line, grant, Settle::Success, now);
        ends_free(&line);
    });
}

#[test]
fn two_releases_meet_two_who_wait() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(2, now);
        let held = [take(&line, now), take(&line, now)];
        let mut first = Waiter::enqueue(&line, now).expect("there is room");
        let early = first.look();
        let releasers = held.map(|grant| {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, grant, Settle::Success, now))
        });
        let mut second = Waiter::enqueue(&line, now).expect("there is room");
        let late = second.look();
        for releaser in releasers {
            releaser.join().unwrap();
        }
        let grants = [first.must_be_served(early), second.must_be_served(late)];
        assert_eq!(line.taken(), 2);
        for grant in grants {
            give_back(&line, grant, Settle::Success, now);
        }
        ends_free(&line);
    });
}

#[test]
fn a_close_meets_one_who_joins_the_line() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let held = take(&line, now);
        let closer = {
            let line = Arc::clone(&line);
            thread::spawn(move || apply(line.close()))
        };
        match Waiter::enqueue(&line, now) {
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Closed);
                closer.join().unwrap();
            }
            Ok(mut waiter) => {
                let first = waiter.look();
                closer.join().unwrap();
                if matches!(first, Turn::Wait) {
                    assert!(waiter.flag.0.load(Ordering::SeqCst), "nobody told it");
                    assert!(matches!(waiter.look(), Turn::Closed));
                } else {
                    assert!(matches!(first, Turn::Closed));
                }
            }
        }
        give_back(&line, held, Settle::Neutral, now);
        ends_free(&line);
    });
}

/// The failure opens the breaker while somebody joins; the task that lets time pass opens it half and serves.
#[test]
fn a_breaker_that_opens_meets_one_who_joins_and_time_that_passes() {
    loom::model(|| {
        let now = Instant::now();
        let later = now + Duration::from_secs(2);
        let line = line(1, now);
        let held = take(&line, now);
        let failing = {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, held, Settle::Failure, now))
        };
        let ticking = {
            let line = Arc::clone(&line);
            thread::spawn(move || apply(line.tick(later).1))
        };
        let mut waiter = Waiter::enqueue(&line, now).expect("there is room");
        let first = waiter.look();
        failing.join().unwrap();
        ticking.join().unwrap();
        // the failure asked for another tick
        apply(line.tick(later).1);
        waiter.now = later;
        let grant = waiter.must_be_served(first);
        give_back(&line, grant, Settle::Success, later);
        ends_free(&line);
    });
}

/// A grant whose endpoint goes bad before its caller looks: it stands again, and is served when all is well. Whoever looks
/// when that is known is not given the slot, with or without the lock.
#[test]
fn a_grant_that_goes_bad_meets_its_caller() {
    loom::model(|| {
        let now = Instant::now();
        let later = now + Duration::from_secs(2);
        let line = line(2, now);
        let (good, bad) = (take(&line, now), take(&line, now));
        let mut waiter = Waiter::enqueue(&line, now).expect("there is room");
        let first = waiter.look();
        assert!(matches!(first, Turn::Wait));
        give_back(&line, good, Settle::Success, now);
        let failed = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let failing = {
            let (line, failed) = (Arc::clone(&line), Arc::clone(&failed));
            thread::spawn(move || {
                give_back(&line, bad, Settle::Failure, now);
                failed.store(true, Ordering::SeqCst);
            })
        };
        let known = failed.load(Ordering::SeqCst);
        let second = waiter.look();
        assert!(
            !known || !matches!(second, Turn::Go(_)),
            "it was taken all the same"
        );
        failing.join().unwrap();
        apply(line.tick(later).1);
        waiter.now = later;
        let grant = match second {
            Turn::Go(grant) => grant,
            other => waiter.must_be_served(other),
        };
        give_back(&line, grant, Settle::Success, later);
        ends_free(&line);
    });
}

/// Two of different priority wait; the higher is served first although it came later, by whichever release comes first.
#[test]
fn a_release_meets_a_high_priority_that_joins_behind_a_low_one() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let held = take(&line, now);
        let wanting = |priority| Want {
            priority,
            ..Want::anything(now + Duration::from_secs(60))
        };
        let mut low = Waiter::with(&line, wanting(Priority::Low), now).expect("there is room");
        assert!(matches!(low.look(), Turn::Wait));
        let releaser = {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, held, Settle::Success, now))
        };
        let mut high = Waiter::with(&line, wanting(Priority::High), now).expect("there is room");
        let first = high.look();
        releaser.join().unwrap();
        let low_first = low.flag.0.load(Ordering::SeqCst);
        if low_first {
            // the release came before the high one
            let grant = low.must_be_served(Turn::Wait);
            give_back(&line, grant, Settle::Success, now);
            let grant = high.must_be_served(first);
            give_back(&line, grant, Settle::Success, now);
        } else {
            let grant = high.must_be_served(first);
            assert!(!low.flag.0.load(Ordering::SeqCst));
            give_back(&line, grant, Settle::Success, now);
            let grant = low.must_be_served(Turn::Wait);
            give_back(&line, grant, Settle::Success, now);
        }
        ends_free(&line);
    });
}

/// A check reports a new height while somebody joins who demands it.
#[test]
fn a_rising_position_meets_one_who_joins_and_demands_it() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let rising = {
            let line = Arc::clone(&line);
            thread::spawn(move || {
                let risen = Checked {
                    age: None,
                    position: Some(100),
                    outcome: Settle::Neutral,
                    throttle: None,
                    result: Ok(()),
                };
                apply(line.check_ended(0.into(), None, risen, now));
            })
        };
        let want = Want {
            min_position: Some(100),
            ..Want::anything(now + Duration::from_secs(60))
        };
        let mut waiter = Waiter::with(&line, want, now).expect("there is room");
        let first = waiter.look();
        rising.join().unwrap();
        let grant = waiter.must_be_served(first);
        give_back(&line, grant, Settle::Success, now);
        ends_free(&line);
    });
}

/// A limit that is lowered while a slot comes back and another is asked for is never passed, and nobody is forgotten.
#[test]
fn a_lowered_limit_is_kept_and_serves_who_waits() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(2, now);
        let (first, second) = (take(&line, now), take(&line, now));
        let lowering = thread::spawn({
            let line = Arc::clone(&line);
            move || {
                let rules = Rules {
                    max_waiters: 8,
                    ageing: Duration::from_secs(1),
                    limit: u32::MAX,
                    panic_below: None,
                };
                reconfigure(
                    &line,
                    Reconfiguration {
                        rules,
                        health: &HealthConfig::default(),
                        breaker: &BreakerConfig::default(),
                        kept: vec![(0, 1)],
                        tolls: Vec::new(),
                        joining: Vec::new(),
                        view: &Arc::default(),
                    },
                    now,
                );
            }
        });
        let returning = thread::spawn({
            let line = Arc::clone(&line);
            move || {
                apply(line.give_back(first, Settle::Success, None, now));
                apply(line.give_back(second, Settle::Success, None, now));
            }
        });
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        let want = Want::anything(now + Duration::from_secs(9));
        let (asked, effects) = line.ask(Some(0), &want, &waker, now);
        apply(effects);
        lowering.join().unwrap();
        returning.join().unwrap();
        let grant = match asked.unwrap() {
            Asked::Go(grant) => grant,
            Asked::Stand(mut place) => match line.look(&mut place, &waker, &want, now).0 {
                Turn::Go(grant) => grant,
                _ => panic!("both slots are back, and the one who waits has none"),
            },
        };
        assert_eq!(line.taken(), 1);
        let (again, effects) = line.ask_at_once(None, &want, now);
        apply(effects);
        assert!(again.is_none(), "the limit is 1");
        apply(line.give_back(grant, Settle::Success, None, now));
        ends_free(&line);
    });
}

fn resize(line: &Line, slots: u32, limit: u32, now: Instant) {
    let plan = Reconfiguration {
        rules: Rules {
            max_waiters: 8,
            ageing: Duration::from_secs(1),
            limit,
            panic_below: None,
        },
        health: &HealthConfig::default(),
        breaker: &BreakerConfig::default(),
        kept: vec![(0, slots)],
        tolls: Vec::new(),
        joining: Vec::new(),
        view: &Arc::default(),
    };
    reconfigure(line, plan, now);
}

/// A limit is raised while the pool is closed: whoever waits is served or told, and a slot that was given all the same
/// comes back.
#[test]
fn a_close_meets_a_raised_limit() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let held = take(&line, now);
        let mut waiter = Waiter::enqueue(&line, now).expect("there is room");
        let raising = {
            let line = Arc::clone(&line);
            thread::spawn(move || resize(&line, 2, u32::MAX, now))
        };
        let closing = {
            let line = Arc::clone(&line);
            thread::spawn(move || apply(line.close()))
        };
        let first = waiter.look();
        raising.join().unwrap();
        closing.join().unwrap();
        let turn = match first {
            Turn::Wait => {
                assert!(waiter.flag.0.load(Ordering::SeqCst), "nobody told it");
                waiter.look()
            }
            other => other,
        };
        match turn {
            Turn::Go(grant) => give_back(&line, grant, Settle::Success, now),
            Turn::Closed => {}
            other => panic!("{other:?}"),
        }
        give_back(&line, held, Settle::Success, now);
        ends_free(&line);
        let refused = Waiter::enqueue(&line, now).err();
        assert_eq!(refused, Some(Refusal::Closed));
    });
}

/// A slot is handed to one who goes away while the pool is closed: it is nobody's, and not lost.
#[test]
fn a_close_meets_a_release_and_one_who_leaves() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let held = take(&line, now);
        let mut leaver = Waiter::enqueue(&line, now).expect("there is room");
        assert!(matches!(leaver.look(), Turn::Wait));
        let releasing = {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, held, Settle::Success, now))
        };
        let closing = {
            let line = Arc::clone(&line);
            thread::spawn(move || apply(line.close()))
        };
        leaver.leave();
        releasing.join().unwrap();
        closing.join().unwrap();
        ends_free(&line);
    });
}

/// The limit over all endpoints is lowered below what is taken while a slot comes back and somebody waits: it is given
/// on only within the limit, and the one who waits is served by the last release at the latest.
#[test]
fn a_lowered_limit_of_the_pool_meets_two_releases() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(2, now);
        let held = [take(&line, now), take(&line, now)];
        let mut waiter = Waiter::enqueue(&line, now).expect("there is room");
        let first = waiter.look();
        let lowering = {
            let line = Arc::clone(&line);
            thread::spawn(move || resize(&line, 2, 1, now))
        };
        let releasing = {
            let line = Arc::clone(&line);
            thread::spawn(move || held.map(|grant| give_back(&line, grant, Settle::Success, now)))
        };
        lowering.join().unwrap();
        releasing.join().unwrap();
        let grant = waiter.must_be_served(first);
        assert_eq!(line.taken(), 1);
        let (again, effects) = line.ask_at_once(None, &Want::anything(now), now);
        apply(effects);
        assert!(again.is_none(), "the limit is 1");
        give_back(&line, grant, Settle::Success, now);
        ends_free(&line);
    });
}

/// An endpoint leaves while a slot on it is asked for and another comes back: its place is empty exactly when nothing is
/// under way on it any more.
#[test]
fn a_place_is_given_away_only_when_its_last_slot_is_back() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let grant = take(&line, now);
        let leaving = thread::spawn({
            let line = Arc::clone(&line);
            move || {
                reconfigure(
                    &line,
                    Reconfiguration {
                        rules: Rules {
                            max_waiters: 8,
                            ageing: Duration::from_secs(1),
                            limit: u32::MAX,
                            panic_below: None,
                        },
                        health: &HealthConfig::default(),
                        breaker: &BreakerConfig::default(),
                        kept: Vec::new(),
                        tolls: Vec::new(),
                        joining: Vec::new(),
                        view: &Arc::default(),
                    },
                    now,
                );
                line.vacate()
            }
        });
        let returning = thread::spawn({
            let line = Arc::clone(&line);
            move || apply(line.give_back(grant, Settle::Success, None, now))
        });
        let (taken, effects) = line.ask_at_once(Some(0), &Want::anything(now), now);
        apply(effects);
        returning.join().unwrap();
        let gone = leaving.join().unwrap();
        if let Some(grant) = taken {
            assert!(gone.is_empty(), "the place of a slot that is out");
            apply(line.give_back(grant, Settle::Success, None, now));
        }
        let all: Vec<_> = gone.into_iter().chain(line.vacate()).collect();
        assert_eq!(all, [0]);
        assert_eq!(put_back(line.end_stash()), 0, "it left, and something lies ready");
    });
}

/// One returns its connection, one comes, and what lies ready is put back: the one connection is in one place, and it
/// is never out of the storage without a slot and not lying ready.
#[test]
fn a_release_meets_one_who_comes_and_one_who_puts_back_what_lies_ready() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(1, now);
        let held = take(&line, now);
        let releaser = {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, held, Settle::Success, now))
        };
        let housekeeper = {
            let line = Arc::clone(&line);
            thread::spawn(move || put_back(line.take_stash(0)))
        };
        let mut waiter = Waiter::enqueue(&line, now).expect("there is room");
        let first = waiter.look();
        releaser.join().unwrap();
        let cleared = housekeeper.join().unwrap();
        let grant = waiter.must_be_served(first);
        let got = usize::from(grant.object.is_some());
        assert_eq!(cleared + got, 1, "it is with the caller or in the storage");
        assert!(
            put_back(line.take_stash(0)) == 0,
            "it was given out and lies ready"
        );
        give_back(&line, connected(&line, grant), Settle::Success, now);
        ends_free(&line);
    });
}

/// The pool ends while connections come back: nothing is laid away after the end.
#[test]
fn a_release_meets_the_end() {
    loom::model(|| {
        let now = Instant::now();
        let line = line(2, now);
        let releasers = [take(&line, now), take(&line, now)].map(|grant| {
            let line = Arc::clone(&line);
            thread::spawn(move || give_back(&line, grant, Settle::Success, now))
        });
        put_back(line.end_stash());
        for releaser in releasers {
            releaser.join().unwrap();
        }
        assert_eq!(put_back(line.end_stash()), 0, "it was laid away after the end");
        ends_free(&line);
    });
}

/// An endpoint is left out while its slot comes back: who waits gets it either before, or when the time is over.
#[test]
fn an_ejection_meets_a_release_and_one_who_waits() {
    loom::model(|| {
        let now = Instant::now();
        let later = now + Duration::from_secs(2);
        let line = line_of(&[1, 1], None, now);
        let take_on = |key: u32| {
            let (taken, effects) = line.ask_at_once(Some(key), &Want::anything(now), now);
            apply(effects);
            let mut grant = taken.expect("a slot is free");
            let stats = Arc::clone(&line.lock().gates[grant.key as usize].stats);
            let put_back = false;
            grant.object.get_or_insert(Returned { stats, put_back });
            grant
        };
        let (stays, returns) = (take_on(0), take_on(1));
        let mut waiter = Waiter::enqueue(&line, now).expect("there is room");
        let first = waiter.look();
        let ejecting = thread::spawn({
            let line = Arc::clone(&line);
            move || {
                let why = crate::Outlier::Failing {
                    success_permille: 700,
                    others_permille: 1_000,
                };
                let (ejected, effects) = line.eject(1.into(), Ejection { until: later, why }, |_| 1, now);
                apply(effects);
                assert!(ejected);
            }
        });
        give_back(&line, returns, Settle::Success, now);
        ejecting.join().unwrap();
        // given before the ejection, and looked at after it: it stands again
        let second = match first {
            Turn::Wait => waiter.look(),
            other => other,
        };
        assert!(matches!(second, Turn::Wait), "{second:?}");
        waiter.now = later;
        apply(line.tick(later).1);
        let grant = waiter.must_be_served(second);
        assert_eq!(grant.key, 1);
        give_back(&line, grant, Settle::Success, later);
        give_back(&line, stays, Settle::Success, later);
        put_back(line.end_stash());
        assert_eq!(line.taken(), 0);
    });
}

/// A failure opens the only breaker, which begins a panic, while somebody joins: it is served past the breaker.
#[test]
fn a_panic_that_begins_meets_one_who_joins() {
    loom::model(|| {
        let now = Instant::now();
        let line = line_of(&[1], Some(1.0), now);
        let held = take(&line, now);
        let failing = thread::spawn({
            let line = Arc::clone(&line);
            move || give_back(&line, held, Settle::Failure, now)
        });
        let mut waiter = Waiter::enqueue(&line, now).expect("there is room");
        let first = waiter.look();
        failing.join().unwrap();
        // the failure asked for another tick
        apply(line.tick(now).1);
        let grant = waiter.must_be_served(first);
        assert!(grant.ticket.is_bypass());
        give_back(&line, grant, Settle::Success, now);
        assert!(!line.lock().gates[0].breaker.state().is_closed());
        ends_free(&line);
    });
}

#[path = "loom_clock_tests.rs"]
mod clocks;

#[path = "loom_free_tests.rs"]
mod free;
