#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicBool as Flag, AtomicUsize, Ordering::SeqCst},
    },
    task::Wake,
    time::Duration,
};

use super::*;
use crate::admission::{Asked, Place, Rules, Want};

type Line = Admission<()>;

/// Nobody is ever served.
fn line() -> Arc<Line> {
    let rules = Rules {
        max_waiters: 100_000,
        ageing: Duration::ZERO,
        limit: 1,
        panic_below: None,
    };
    Arc::new(Admission::new(Vec::new(), rules, 1))
}

#[derive(Default)]
struct Woke(Flag);

impl Wake for Woke {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl Woke {
    fn is(&self) -> bool {
        self.0.load(SeqCst)
    }
}

/// What a timer of these tests does when it is set, and what it was set to.
#[derive(Default)]
struct Script {
    set: StdMutex<Vec<Instant>>,
    rings_at_once: Flag,
    cannot: Flag,
    panics: Flag,
    alive: AtomicUsize,
}

struct Played {
    script: Arc<Script>,
    bell: Box<dyn Fn() + Send>,
}

impl Timer for Played {
    fn set(&mut self, at: Instant, by_caller: bool) -> bool {
        self.script.set.lock().unwrap().push(at);
        assert!(
            !(by_caller && self.script.panics.load(SeqCst)),
            "the runtime ends"
        );
        if self.script.rings_at_once.swap(false, SeqCst) {
            (self.bell)();
        }
        !self.script.cannot.load(SeqCst)
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.script.alive.fetch_sub(1, SeqCst);
    }
}

struct Rig {
    line: Arc<Line>,
    alarms: Arc<Alarms<Played>>,
    script: Arc<Script>,
    now: Instant,
    /// The newest clock.
    clock: StdMutex<Option<ClockId>>,
}

impl Rig {
    fn new() -> Self {
        Self {
            line: line(),
            alarms: Arc::default(),
            script: Arc::default(),
            now: Instant::now(),
            clock: StdMutex::default(),
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.now + Duration::from_secs(seconds)
    }

    fn join(&self, deadline: u64) -> (Place, Arc<Woke>) {
        let woke = Arc::<Woke>::default();
        let want = Want::anything(self.at(deadline));
        let (asked, effects) = self
            .line
            .ask(None, &want, &Waker::from(Arc::clone(&woke)), self.now);
        let clock = effects.clock;
        drop(effects.wake_all());
        let Ok(Asked::Stand(place)) = asked else {
            panic!("there is no slot: {asked:?}")
        };
        if let Some(clock) = clock {
            *self.clock.lock().unwrap() = Some(clock);
            let make = || {
                self.script.alive.fetch_add(1, SeqCst);
                let (line, alarms, now) = (Arc::clone(&self.line), Arc::clone(&self.alarms), self.now);
                Played {
                    script: Arc::clone(&self.script),
                    bell: Box::new(move || alarms.ring((&*line, clock), || now)),
                }
            };
            self.alarms.set((&*self.line, clock), make, || self.now);
        }
        (place, woke)
    }

    fn ring(&self, at: u64) {
        let clock = self.clock.lock().unwrap().unwrap();
        self.alarms.ring((&*self.line, clock), || self.at(at));
    }

    fn set(&self) -> Vec<Instant> {
        self.script.set.lock().unwrap().clone()
    }

    fn alive(&self) -> usize {
        self.script.alive.load(SeqCst)
    }
}

#[test]
fn one_timer_is_set_to_the_earliest() {
    let rig = Rig::new();
    let (_, thirty) = rig.join(30);
    let (_, forty) = rig.join(40);
    let (_, ten) = rig.join(10);
    let (_, twenty) = rig.join(20);
    assert_eq!(rig.set(), [rig.at(30), rig.at(10)]);
    rig.ring(20);
    assert!(ten.is() && twenty.is() && !thirty.is() && !forty.is());
    assert_eq!(rig.set()[2..], [rig.at(30)]);
    rig.ring(29);
    assert!(!thirty.is());
    rig.ring(40);
    assert!(thirty.is() && forty.is());
    assert_eq!(
        (rig.alarms.len(), rig.alive()),
        (0, 0),
        "nobody is on the clock any more"
    );
    let (_, late) = rig.join(50);
    rig.ring(50);
    assert!(late.is());
}

#[test]
fn a_timer_rings_once_in_vain_however_many_were_served() {
    let rig = Rig::new();
    for _ in 0..10_000 {
        let (place, _) = rig.join(30);
        assert!(rig.line.leave(place).is_none());
    }
    let (_, last) = rig.join(60);
    assert_eq!(rig.set(), [rig.at(30)]);
    rig.ring(30);
    assert_eq!(rig.set(), [rig.at(30), rig.at(60)]);
    assert!(!last.is());
}

/// As tokio does when the moment has passed: in the middle of being set.
#[test]
fn a_timer_that_rings_while_it_is_set_is_set_again() {
    let rig = Rig::new();
    rig.join(30);
    rig.script.rings_at_once.store(true, SeqCst);
    rig.join(10);
    assert_eq!(rig.set(), [rig.at(30), rig.at(10), rig.at(10)]);
}

#[test]
fn when_a_timer_cannot_be_set_all_who_rely_on_it_are_woken() {
    let rig = Rig::new();
    let (place, mut first) = rig.join(30);
    let (_, second) = rig.join(40);
    rig.script.cannot.store(true, SeqCst);
    rig.ring(5);
    assert!(first.is() && second.is());
    assert_eq!((rig.alarms.len(), rig.alive()), (0, 0));
    // who is still there finds another clock when it looks
    rig.script.cannot.store(false, SeqCst);
    first = Arc::default();
    let waker = Waker::from(Arc::clone(&first));
    let want = Want::anything(rig.at(30));
    let (_, effects) = rig.line.look(&mut place.clone(), &waker, &want, rig.now);
    let clock = effects.clock.expect("it is to be set");
    assert_ne!(Some(clock), *rig.clock.lock().unwrap());
    let make = || {
        rig.script.alive.fetch_add(1, SeqCst);
        Played {
            script: Arc::clone(&rig.script),
            bell: Box::new(|| ()),
        }
    };
    rig.alarms.set((&*rig.line, clock), make, || rig.now);
    assert_eq!(rig.set().last(), Some(&rig.at(30)));
    rig.alarms.ring((&*rig.line, clock), || rig.at(30));
    assert!(first.is());
}

#[test]
fn when_setting_a_timer_panics_the_others_are_woken_and_nothing_stays() {
    let rig = Rig::new();
    let (_, first) = rig.join(30);
    rig.script.panics.store(true, SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(|| rig.join(10))).is_err());
    assert!(first.is());
    assert_eq!((rig.alarms.len(), rig.alive()), (0, 0));
    rig.script.panics.store(false, SeqCst);
    let (_, next) = rig.join(20);
    rig.ring(20);
    assert!(next.is());
}
