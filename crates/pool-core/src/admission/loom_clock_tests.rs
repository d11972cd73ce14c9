//! Every interleaving of a clock that rings with those who come, leave and are served, the timer being a model.
//!
//! What must hold: who waits is on a timer that is set to its deadline or less, or has been woken; and who ran out of time
//! while it was being served has been given the slot, or has not, but the slot is not lost.

use std::sync::{Mutex as StdMutex, atomic::AtomicU64};

use super::*;
use crate::alarm::{Alarms, Timer};

/// What the timers of a scenario are set to.
type Set = Arc<StdMutex<Vec<(u64, Instant)>>>;

struct Model {
    id: u64,
    set: Set,
    now: Instant,
}

impl Timer for Model {
    fn set(&mut self, at: Instant, _by_caller: bool) -> bool {
        self.unset();
        let rings = at > self.now;
        if rings {
            self.set.lock().unwrap().push((self.id, at));
        }
        rings
    }
}

impl Model {
    fn unset(&self) {
        self.set.lock().unwrap().retain(|(id, _)| *id != self.id);
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.unset();
    }
}

#[derive(Clone)]
struct Rig {
    line: Line,
    alarms: Arc<Alarms<Model>>,
    set: Set,
    timers: Arc<AtomicU64>,
    began: Instant,
}

impl Rig {
    fn new() -> Self {
        let began = Instant::now();
        Self {
            line: line(1, began),
            alarms: Arc::default(),
            set: Set::default(),
            timers: Arc::default(),
            began,
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.began + Duration::from_secs(seconds)
    }

    /// Stands in line, and sets the timer if that is to be done, as a caller does.
    fn join(&self, now: u64, deadline: u64) -> (Waiter, Option<ClockId>) {
        let (waiter, clock) = Waiter::on_a_clock(&self.line, Want::anything(self.at(deadline)), self.at(now));
        self.set_timer(clock, now);
        (waiter, clock)
    }

    fn set_timer(&self, clock: Option<ClockId>, now: u64) {
        let now = self.at(now);
        let make = || Model {
            id: self.timers.fetch_add(1, Ordering::Relaxed),
            set: Arc::clone(&self.set),
            now,
        };
        if let Some(clock) = clock {
            self.alarms.set((&*self.line, clock), make, || now);
        }
    }

    fn ring(&self, clock: ClockId, now: u64) {
        self.alarms.ring((&*self.line, clock), || self.at(now));
    }

    /// A timer rings by then.
    fn rings_by(&self, seconds: u64) {
        let set = self.set.lock().unwrap();
        let by = self.at(seconds);
        assert!(set.iter().any(|(_, at)| *at <= by), "{set:?}");
    }

    fn release(&self, held: Grant<Returned>) {
        give_back(&self.line, held, Settle::Success, self.began);
    }
}

impl Waiter {
    /// As a task does that was woken: a slot, or the time is over.
    fn woken(mut self, rig: &Rig, now: u64) -> Option<Grant<Returned>> {
        self.now = rig.at(now);
        match self.look() {
            Turn::Go(grant) => return Some(grant),
            Turn::Wait => {}
            other => panic!("{other:?}"),
        }
        let place = self.place.take().expect("it has not ended");
        let (given, good) = self.line.time_out(place, &self.want, self.now);
        if let Some(grant) = given {
            assert!(good);
            return Some(grant);
        }
        None
    }

    fn was_woken(&self) -> bool {
        self.flag.0.load(Ordering::SeqCst)
    }
}

#[test]
fn a_ring_meets_a_release() {
    loom::model(|| {
        let rig = Rig::new();
        let held = take(&rig.line, rig.began);
        let (waiter, clock) = rig.join(0, 10);
        let clock = clock.expect("it is the first");
        let ringing = {
            let rig = rig.clone();
            thread::spawn(move || {
                rig.ring(clock, 10);
                assert!(waiter.was_woken());
                waiter.woken(&rig, 10)
            })
        };
        rig.release(held);
        let served = ringing.join().unwrap();
        let timed_out = rig.line.lock().timeouts;
        assert_eq!(u64::from(served.is_some()) + timed_out, 1, "one of them wins");
        if let Some(grant) = served {
            rig.release(grant);
        }
        ends_free(&rig.line);
        let wakers = &mut Vec::new();
        assert_eq!(
            rig.line.ring(clock, rig.at(99), wakers),
            None,
            "the clock is gone"
        );
    });
}

#[test]
fn a_ring_meets_one_who_leaves_and_one_is_behind() {
    loom::model(|| {
        let rig = Rig::new();
        let held = take(&rig.line, rig.began);
        let (leaver, clock) = rig.join(0, 10);
        let (stayer, none) = rig.join(0, 30);
        assert_eq!(none, None, "it rings sooner");
        let clock = clock.expect("it is the first");
        let leaving = thread::spawn(move || leaver.leave());
        let ringing = {
            let rig = rig.clone();
            thread::spawn(move || rig.ring(clock, 10))
        };
        rig.release(held);
        leaving.join().unwrap();
        ringing.join().unwrap();
        let grant = stayer.must_be_served(Turn::Wait);
        rig.release(grant);
        ends_free(&rig.line);
    });
}

/// The ring sets the timer to what is left; a newcomer who gives up before that must not be overlooked.
#[test]
fn a_ring_meets_one_who_gives_up_sooner_than_the_others() {
    loom::model(|| {
        let rig = Rig::new();
        let held = take(&rig.line, rig.began);
        let (first, clock) = rig.join(0, 10);
        let (last, _) = rig.join(0, 30);
        first.leave();
        let clock = clock.expect("it is the first");
        let ringing = {
            let rig = rig.clone();
            thread::spawn(move || rig.ring(clock, 10))
        };
        let (newcomer, _) = rig.join(10, 20);
        ringing.join().unwrap();
        rig.rings_by(20);
        newcomer.leave();
        last.leave();
        rig.release(held);
        ends_free(&rig.line);
    });
}

#[test]
fn a_ring_that_finds_nobody_meets_one_who_comes() {
    loom::model(|| {
        let rig = Rig::new();
        let held = take(&rig.line, rig.began);
        let (first, clock) = rig.join(0, 10);
        first.leave();
        let clock = clock.expect("it is the first");
        let ringing = {
            let rig = rig.clone();
            thread::spawn(move || rig.ring(clock, 10))
        };
        let (newcomer, _) = rig.join(10, 20);
        ringing.join().unwrap();
        rig.rings_by(20);
        newcomer.leave();
        rig.release(held);
        ends_free(&rig.line);
    });
}

#[test]
fn two_who_come_first_set_one_timer_to_the_sooner() {
    loom::model(|| {
        let rig = Rig::new();
        let held = take(&rig.line, rig.began);
        let other = {
            let rig = rig.clone();
            thread::spawn(move || rig.join(0, 10).0)
        };
        let (waiter, _) = rig.join(0, 20);
        let other = other.join().unwrap();
        rig.rings_by(10);
        assert_eq!(rig.set.lock().unwrap().len(), 1);
        waiter.leave();
        other.leave();
        rig.release(held);
        ends_free(&rig.line);
    });
}

/// Nobody waits for the timer's lock: who finds it taken relies on the holder.
#[test]
fn three_who_come_with_falling_deadlines_end_with_the_soonest() {
    loom::model(|| {
        let rig = Rig::new();
        let held = take(&rig.line, rig.began);
        let (first, _) = rig.join(0, 30);
        let second = {
            let rig = rig.clone();
            thread::spawn(move || rig.join(0, 20).0)
        };
        let (third, _) = rig.join(0, 10);
        let second = second.join().unwrap();
        rig.rings_by(10);
        for waiter in [first, second, third] {
            waiter.leave();
        }
        rig.release(held);
        ends_free(&rig.line);
    });
}

/// The runtime ends: whoever relied on its clock is woken, and whoever comes meanwhile too, or is on another.
#[test]
fn a_clock_that_stops_meets_one_who_comes() {
    loom::model(|| {
        let rig = Rig::new();
        let held = take(&rig.line, rig.began);
        let (first, clock) = rig.join(0, 10);
        let clock = clock.expect("it is the first");
        let stopping = {
            let rig = rig.clone();
            thread::spawn(move || {
                let mut wakers = Vec::new();
                rig.line.stop_clock(clock, &mut wakers);
                wakers.into_iter().for_each(Waker::wake);
            })
        };
        let (newcomer, _) = rig.join(0, 20);
        stopping.join().unwrap();
        assert!(first.was_woken());
        if !newcomer.was_woken() {
            rig.rings_by(20);
        }
        first.leave();
        newcomer.leave();
        rig.release(held);
        ends_free(&rig.line);
    });
}
