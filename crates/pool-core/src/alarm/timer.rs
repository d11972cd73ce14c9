//! Tokio's timer, and what it rings.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::{Context, Wake, Waker},
};

use tokio::time::{Instant, Sleep};

use super::Timer;
use crate::{Endpoint, admission::ClockId, core::Core};

/// Tokio's timer of one runtime.
pub(crate) struct Sleeper {
    sleep: Pin<Box<Sleep>>,
    bell: Waker,
}

impl fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleeper").finish_non_exhaustive()
    }
}

impl Timer for Sleeper {
    fn set(&mut self, at: Instant, by_caller: bool) -> bool {
        self.sleep.as_mut().reset(at);
        // on a runtime that ends, the next call would panic: a caller hears so what everybody hears who sleeps there; but
        // when the timer rings nobody is there to hear
        if self.sleep.is_elapsed() && !by_caller {
            return false;
        }
        // whatever the caller has left of its share of time: it would be set only when that is renewed
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
                core.alarms.ring((&core.admission, self.clock), Instant::now);
            }
        };
        // if this was the last hold on the pool, its connections go here; the time driver must not see them panic
        if catch_unwind(AssertUnwindSafe(ring)).is_err() {
            tracing::error!("a connection panicked while it was dropped");
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
        let make = || {
            let core = Arc::downgrade(self);
            Sleeper {
                sleep: Box::pin(tokio::time::sleep_until(Instant::now())),
                bell: Waker::from(Arc::new(Bell { core, clock })),
            }
        };
        self.alarms.set((&self.admission, clock), make, Instant::now);
    }
}
