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

use std::{
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, PoisonError, TryLockError, Weak, atomic::Ordering::AcqRel},
    task::{Context, Wake, Waker},
};

use tokio::time::{Instant, Sleep};

use crate::{
    Endpoint,
    admission::{Admission, ClockId},
    core::Core,
    foreign,
    sync::{AtomicBool, Mutex},
};

/// Rings once at the moment that it is set to.
pub(crate) trait Timer {
    /// Whether it will ring. It will not if the moment has passed, or its runtime ends.
    fn set(&mut self, at: Instant) -> bool;
}

/// The timer of one clock.
#[derive(Debug)]
pub(crate) struct Alarm<T> {
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
    pub(crate) fn look(&self, mut look: impl FnMut(&mut Option<T>)) {
        self.asked.swap(true, AcqRel);
        loop {
            {
                let mut timer = match self.timer.try_lock() {
                    Ok(timer) => timer,
                    Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                    Err(TryLockError::WouldBlock) => return,
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

/// Takes the wakers of those who have waited too long and sets the timer to the next deadline. It is gone when there is
/// none, and when it cannot be set any more; then all who rely on it are woken.
pub(crate) fn look<O, T: Timer>(
    (line, clock): (&Admission<O>, ClockId),
    timer: &mut Option<T>,
    make: impl Fn() -> Option<T>,
    now: impl Fn() -> Instant,
    wakers: &mut Vec<Waker>,
) {
    while let Some(next) = line.ring(clock, now(), wakers) {
        if timer.is_none() {
            *timer = make();
        }
        if timer.as_mut().is_some_and(|timer| timer.set(next)) {
            return;
        }
        if timer.is_none() || next > now() {
            line.stop_clock(clock, wakers);
        }
    }
    *timer = None;
}

/// Tokio's timer.
struct Tokio {
    sleep: Pin<Box<Sleep>>,
    bell: Waker,
    /// It is being set by a caller on its runtime, who is to hear that the runtime ends as everybody who sleeps there
    /// does: by a panic. When the timer rings nobody is there to hear.
    told: bool,
}

impl Timer for Tokio {
    fn set(&mut self, at: Instant) -> bool {
        self.sleep.as_mut().reset(at);
        if self.sleep.is_elapsed() && !self.told {
            return false;
        }
        // whatever the caller has left of its share of time: half set, it would never ring
        let sleep = pin!(tokio::task::unconstrained(self.sleep.as_mut()));
        sleep.poll(&mut Context::from_waker(&self.bell)).is_pending()
    }
}

/// What a timer rings. It does not keep the pool.
struct Bell<E: Endpoint> {
    core: Weak<Core<E>>,
    clock: ClockId,
}

impl<E: Endpoint> Wake for Bell<E> {
    fn wake(self: Arc<Self>) {
        let ring = || {
            if let Some(core) = self.core.upgrade() {
                core.clock_rings(self.clock);
            }
        };
        // if this was the last hold on the pool, its connections go here; the time driver must not see them panic
        if catch_unwind(AssertUnwindSafe(ring)).is_err() {
            tracing::error!("a connection panicked while it was dropped");
        }
    }
}

/// The timers of a pool.
#[derive(Default)]
pub(crate) struct Alarms {
    all: std::sync::Mutex<Vec<(ClockId, Arc<Alarm<Tokio>>)>>,
}

impl fmt::Debug for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarms").finish_non_exhaustive()
    }
}

impl Alarms {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(ClockId, Arc<Alarm<Tokio>>)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, clock: ClockId) -> Option<Arc<Alarm<Tokio>>> {
        let all = self.lock();
        let found = all.iter().find(|(id, _)| *id == clock);
        found.map(|(_, alarm)| Arc::clone(alarm))
    }

    fn find_or_make(&self, clock: ClockId) -> Arc<Alarm<Tokio>> {
        let mut all = self.lock();
        let at = all.iter().position(|(id, _)| *id == clock);
        let at = at.unwrap_or_else(|| {
            all.push((clock, Arc::default()));
            all.len() - 1
        });
        Arc::clone(&all[at].1)
    }

    /// The clock is gone for good, and so is its timer.
    fn remove(&self, clock: ClockId) {
        let gone: Vec<_> = {
            let mut all = self.lock();
            all.extract_if(.., |(id, _)| *id == clock).collect()
        };
        drop(gone);
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

/// A clock whose timer is being set by a caller. If that panics, the others who rely on it are told.
struct Setting<'a, E: Endpoint> {
    core: &'a Core<E>,
    clock: Option<ClockId>,
}

impl<E: Endpoint> Drop for Setting<'_, E> {
    fn drop(&mut self) {
        if let Some(clock) = self.clock.take() {
            let mut woken = Woken::default();
            self.core.admission.stop_clock(clock, &mut woken.0);
            self.core.alarms.remove(clock);
        }
    }
}

impl<E: Endpoint> Core<E> {
    /// Sets the timer of a clock, on the runtime that it belongs to.
    ///
    /// # Panics
    /// As tokio's own timers do: outside a runtime, on one without time, on one that ends.
    #[cold]
    pub(crate) fn set_clock(self: &Arc<Self>, clock: ClockId) {
        let mut setting = Setting {
            core: self,
            clock: Some(clock),
        };
        let make = || {
            let bell = Bell {
                core: Arc::downgrade(self),
                clock,
            };
            Some(Tokio {
                sleep: Box::pin(tokio::time::sleep_until(Instant::now())),
                bell: Waker::from(Arc::new(bell)),
                told: true,
            })
        };
        self.look_at(clock, &self.alarms.find_or_make(clock), make, true);
        setting.clock = None;
    }

    fn clock_rings(&self, clock: ClockId) {
        if let Some(alarm) = self.alarms.find(clock) {
            self.look_at(clock, &alarm, || None, false);
        }
    }

    fn look_at(&self, clock: ClockId, alarm: &Alarm<Tokio>, make: impl Fn() -> Option<Tokio>, told: bool) {
        let mut woken = Woken::default();
        let mut gone = false;
        alarm.look(|timer| {
            if let Some(timer) = timer {
                timer.told = told;
            }
            let line = (&self.admission, clock);
            look(line, timer, &make, Instant::now, &mut woken.0);
            gone = timer.is_none();
        });
        if gone {
            self.alarms.remove(clock);
        }
    }
}
