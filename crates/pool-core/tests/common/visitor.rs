//! Somebody who uses the pool from another thread while a hook of the test's is being called: what a hook that takes
//! its time would keep waiting if it were called under one of the pool's locks.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Waker},
    thread::{self, JoinHandle},
    time::Duration,
};

use pool_core::{Endpoint, Pool};

/// What a synchronous hook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Right,
    /// Its answer is of no use.
    Wrong,
    /// It takes so long that others use the pool meanwhile.
    Busy,
    Panic,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Right, Self::Wrong, Self::Busy, Self::Panic];
}

/// See the module's text. It has a thread of its own until it is dropped.
#[derive(Debug)]
pub(crate) struct Visitor {
    calls: Mutex<Option<mpsc::Sender<mpsc::Sender<()>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The hooks that a visit calls behave.
    inside: AtomicBool,
    visits: AtomicU64,
    /// A visit was kept waiting.
    blocked: AtomicBool,
}

impl Visitor {
    pub(crate) fn new() -> Self {
        Self {
            calls: Mutex::new(None),
            thread: Mutex::new(None),
            inside: AtomicBool::new(false),
            visits: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
        }
    }

    /// From now on it visits this pool.
    pub(crate) fn begin<E: Endpoint>(&self, pool: &Pool<E>) {
        let (sender, calls) = mpsc::channel::<mpsc::Sender<()>>();
        let (pool, runtime) = (pool.clone(), tokio::runtime::Handle::current());
        let thread = thread::spawn(move || {
            let _within = runtime.enter();
            for done in calls {
                let _snapshot = pool.snapshot();
                let _reasons = pool.explain();
                // where a validation panics, it does so for whoever asked
                let _either = catch_unwind(AssertUnwindSafe(|| {
                    let mut acquire = pin!(pool.acquire());
                    acquire
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()))
                        .is_ready()
                }));
                let _nobody_waits_any_more = done.send(());
            }
        });
        *self.calls.lock().unwrap() = Some(sender);
        *self.thread.lock().unwrap() = Some(thread);
    }

    /// Does what a hook does. Only the hook itself can be wrong.
    pub(crate) fn act(&self, way: Way) {
        match way {
            Way::Right | Way::Wrong => {}
            Way::Busy => self.visit(),
            Way::Panic => panic!("scripted panic"),
        }
    }

    fn visit(&self) {
        let Some(calls) = self.calls.lock().unwrap().clone() else {
            return;
        };
        // one is enough to tell
        if self.blocked.load(SeqCst) || self.inside.swap(true, SeqCst) {
            return;
        }
        let (done, told) = mpsc::channel();
        calls.send(done).unwrap();
        if told.recv_timeout(Duration::from_secs(20)).is_err() {
            self.blocked.store(true, SeqCst);
        }
        self.visits.fetch_add(1, SeqCst);
        self.inside.store(false, SeqCst);
    }

    /// Ends its thread. Returns how often it has visited.
    pub(crate) fn end(&self, what: &str) -> u64 {
        *self.calls.lock().unwrap() = None;
        if let Some(thread) = self.thread.lock().unwrap().take() {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
        assert!(
            !self.blocked.load(SeqCst),
            "{what}: a hook was called under a lock"
        );
        self.visits.load(SeqCst)
    }
}
