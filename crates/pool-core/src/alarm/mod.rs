//! The timers of those who wait in line: one for each runtime that they wait on, set to the earliest of their deadlines.
//!
//! When it rings, the runtime's time driver calls our own waker, which looks who has waited too long and sets the timer
//! anew. No task is needed for that, so nobody's deadline hangs on one. A timer is not set later or taken back when its
//! caller is served: it rings once in vain, and is set to the next deadline then.
//!
//! Who sets a timer may make it ring at once, in the middle of setting it; a ring and a caller with an earlier deadline may
//! meet; and both must end with the timer at the earliest deadline there is. So there is no value that is handed from the
//! line to the timer: whoever has changed something asks for a look ([`Alarm::look`]), and whoever looks reads the line
//! after it was asked. Nobody waits for the timer's lock: who finds it taken has left word, and the holder looks again.
//! The line's lock is taken under the timer's, never the other way round; callers are woken under neither.

mod timer;

use std::{
    mem,
    sync::{Arc, atomic::Ordering::AcqRel},
    task::Waker,
};

pub(crate) use timer::Sleeper;
use tokio::time::Instant;

use crate::{
    admission::{Admission, ClockId},
    foreign,
    sync::{AtomicBool, Mutex},
};

/// Rings once at the moment that it is set to.
pub(crate) trait Timer {
    /// Whether it will ring. It will not if the moment has passed, or its runtime ends; of that a caller who sets it
    /// himself may be told by a panic.
    fn set(&mut self, at: Instant, by_caller: bool) -> bool;
}

/// The timer of one clock.
#[derive(Debug)]
struct Alarm<T> {
    /// Something has changed since the last look.
    asked: AtomicBool,
    timer: Mutex<Option<T>>,
}

impl<T> Default for Alarm<T> {
    fn default() -> Self {
        Self {
            asked: AtomicBool::new(false),
            timer: Mutex::new(None),
        }
    }
}

impl<T> Alarm<T> {
    /// Something has changed: looks, unless somebody does who will look again.
    fn look(&self, mut look: impl FnMut(&mut Option<T>)) {
        self.asked.swap(true, AcqRel);
        loop {
            {
                let Some(mut timer) = self.timer.try_lock() else {
                    return;
                };
                if self.asked.swap(false, AcqRel) {
                    look(&mut timer);
                }
            }
            // as a write, so that either this sees who has just left word, or he sees that the lock is free
            if !self.asked.fetch_or(false, AcqRel) {
                return;
            }
        }
    }
}

/// Wakes those whose wakers were put here when it is dropped, whatever has happened.
#[derive(Default)]
struct Woken(Vec<Waker>);

impl Drop for Woken {
    fn drop(&mut self) {
        foreign::wake(mem::take(&mut self.0));
    }
}

/// A pool's line, and the clock that is looked at.
pub(crate) type Clock<'a, O> = (&'a Admission<O>, ClockId);

/// The timers of a pool.
#[derive(Debug)]
pub(crate) struct Alarms<T> {
    all: Mutex<Vec<(ClockId, Arc<Alarm<T>>)>>,
}

impl<T> Default for Alarms<T> {
    fn default() -> Self {
        Self {
            all: Mutex::new(Vec::new()),
        }
    }
}

impl<T: Timer> Alarms<T> {
    /// Sets the timer of a clock, on the runtime that the clock belongs to. If that panics, all who rely on the clock are
    /// woken.
    pub(crate) fn set<O>(&self, clock: Clock<'_, O>, make: impl Fn() -> T, now: impl Fn() -> Instant) {
        let mut setting = Setting {
            alarms: self,
            clock: Some(clock),
        };
        let alarm = self.find_or_make(clock.1);
        self.look(clock, &alarm, || Some(make()), now, true);
        setting.clock = None;
    }

    /// The timer of a clock has rung.
    pub(crate) fn ring<O>(&self, clock: Clock<'_, O>, now: impl Fn() -> Instant) {
        let alarm = {
            let all = self.all.lock();
            let found = all.iter().find(|(id, _)| *id == clock.1);
            found.map(|(_, alarm)| Arc::clone(alarm))
        };
        if let Some(alarm) = alarm {
            self.look(clock, &alarm, || None, now, false);
        }
    }

    fn look<O>(
        &self,
        clock: Clock<'_, O>,
        alarm: &Alarm<T>,
        make: impl Fn() -> Option<T>,
        now: impl Fn() -> Instant,
        by_caller: bool,
    ) {
        let mut woken = Woken::default();
        let mut gone = false;
        alarm.look(|timer| {
            gone = !Self::keeps(clock, timer, (&make, by_caller), &now, &mut woken.0);
        });
        if gone {
            self.remove(clock.1);
        }
    }

    /// Takes the wakers of those who have waited too long and sets the timer to the next deadline. Whether it is needed any
    /// more: not when there is no other deadline, nor when it cannot be set; then all who rely on it are woken.
    fn keeps<O>(
        (line, clock): Clock<'_, O>,
        timer: &mut Option<T>,
        (make, by_caller): (&impl Fn() -> Option<T>, bool),
        now: &impl Fn() -> Instant,
        wakers: &mut Vec<Waker>,
    ) -> bool {
        while let Some(next) = line.ring(clock, now(), wakers) {
            if timer.is_none() {
                *timer = make();
            }
            let timer = timer.as_mut();
            let there = timer.is_some();
            if timer.is_some_and(|timer| timer.set(next, by_caller)) {
                return true;
            }
            if !there || next > now() {
                line.stop_clock(clock, wakers);
            }
        }
        *timer = None;
        false
    }

    fn find_or_make(&self, clock: ClockId) -> Arc<Alarm<T>> {
        let mut all = self.all.lock();
        let at = all.iter().position(|(id, _)| *id == clock);
        let at = at.unwrap_or_else(|| {
            all.push((clock, Arc::default()));
            all.len() - 1
        });
        Arc::clone(&all[at].1)
    }

    /// The clock is gone for good, and so is its timer.
    fn remove(&self, clock: ClockId) {
        let gone: Vec<_> = self.all.lock().extract_if(.., |(id, _)| *id == clock).collect();
        drop(gone);
    }
}

/// What tests look at.
#[cfg(all(test, not(pool_loom)))]
impl<T> Alarms<T> {
    pub(crate) fn len(&self) -> usize {
        self.all.lock().len()
    }
}

/// A clock whose timer is being set by a caller.
struct Setting<'a, O, T: Timer> {
    alarms: &'a Alarms<T>,
    /// Gone once it is set.
    clock: Option<Clock<'a, O>>,
}

impl<O, T: Timer> Drop for Setting<'_, O, T> {
    fn drop(&mut self) {
        if let Some((line, clock)) = self.clock.take() {
            let mut woken = Woken::default();
            line.stop_clock(clock, &mut woken.0);
            self.alarms.remove(clock);
        }
    }
}

#[cfg(all(test, not(pool_loom)))]
mod tests;
