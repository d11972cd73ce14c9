//! How much the machine had to do, and how late it was: what the figures can't be more exact than.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// A thread of its own sleeps so long, and looks how late it wakes.
const TICK: Duration = Duration::from_millis(5);

/// Watches from [`watch`](Self::watch) on.
#[derive(Debug)]
pub(super) struct Machine {
    begun: Instant,
    used: Duration,
    ends: Arc<AtomicBool>,
    late: Arc<Mutex<Vec<Duration>>>,
    ruler: Option<JoinHandle<()>>,
}

/// What it saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Strain {
    took: Duration,
    /// Of all threads that the machine has.
    share: f64,
    threads: usize,
    /// The median, the 99th percentile, the worst.
    late_ms: [f64; 3],
}

impl Machine {
    pub(super) fn watch() -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let late = Arc::new(Mutex::new(Vec::new()));
        let (end, lateness) = (Arc::clone(&ends), Arc::clone(&late));
        let ruler = std::thread::spawn(move || {
            while !end.load(Relaxed) {
                let begun = Instant::now();
                std::thread::sleep(TICK);
                let late = begun.elapsed().saturating_sub(TICK);
                lateness.lock().unwrap_or_else(PoisonError::into_inner).push(late);
            }
        });
        Self {
            begun: Instant::now(),
            used: used(),
            ends,
            late,
            ruler: Some(ruler),
        }
    }

    pub(super) fn strain(mut self) -> Strain {
        self.ends.store(true, Relaxed);
        if let Some(ruler) = self.ruler.take() {
            // it can't panic, and there would be nothing to do about it
            let _ended = ruler.join();
        }
        let took = self.begun.elapsed();
        let threads = std::thread::available_parallelism().map_or(1, Into::into);
        let mut late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        late.sort_unstable();
        let at = |share: f64| {
            let rank = (share * late.len() as f64) as usize;
            let late = late.get(rank.min(late.len().saturating_sub(1)));
            late.map_or(f64::NAN, |late| late.as_secs_f64() * 1_000.0)
        };
        Strain {
            took,
            share: (used() - self.used).as_secs_f64() / (took.as_secs_f64() * threads as f64),
            threads,
            late_ms: [at(0.5), at(0.99), at(1.0)],
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.ends.store(true, Relaxed);
    }
}

impl fmt::Display for Strain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p99, worst] = self.late_ms;
        write!(
            f,
            "It took {:.0} s, in which contestants and nodes together used {:.0} % of {} threads. A thread that slept for 5 ms woke {median:.1} ms late \
             by the median, {p99:.1} ms at the 99th percentile and {worst:.0} ms at the worst: differences of that size say nothing.",
            self.took.as_secs_f64(),
            100.0 * self.share,
            self.threads,
        )
    }
}

/// Processor time of this process.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_shows() {
        let machine = Machine::watch();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(60) {
            std::hint::spin_loop();
        }
        let strain = machine.strain();
        assert!(
            strain.share > 0.0 && strain.took >= Duration::from_millis(60),
            "{strain:?}"
        );
        assert!(strain.late_ms.is_sorted(), "{strain:?}");
    }
}
