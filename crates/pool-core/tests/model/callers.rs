//! Those who ask, as the account knows them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use pool_core::*;
use tokio::{sync::Notify, time::Instant};

use crate::common::*;

pub(crate) type Answer = Result<Lease<Fake>, AcquireError<Oops>>;
pub(crate) type Acquire = std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Takes at random, also what there is not, and writes down what it hears.
#[derive(Default)]
pub(crate) struct Recorder {
    rng: Mutex<fastrand::Rng>,
    heard: Mutex<Vec<(usize, Feedback)>>,
    /// Keys and the endpoints that they name, as far as it was told since the last reconfiguration.
    names: Mutex<Vec<(usize, EndpointId)>>,
}

impl Recorder {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let rng = fastrand::Rng::with_seed(seed);
        Arc::new(Self {
            rng: Mutex::new(rng),
            ..Self::default()
        })
    }

    pub(crate) fn heard(&self) -> Vec<(usize, Feedback)> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    pub(crate) fn name(&self, key: usize) -> Option<EndpointId> {
        let names = self.names.lock().unwrap();
        let named = names.iter().find(|(other, _)| *other == key);
        named.map(|(_, id)| id.clone())
    }

    pub(crate) fn learn(&self, key: usize, id: &EndpointId) {
        let mut names = self.names.lock().unwrap();
        match names.iter().find(|(other, _)| *other == key) {
            Some((_, known)) => assert_eq!(known, id, "a key names one endpoint"),
            None => names.push((key, id.clone())),
        }
    }

    pub(crate) fn forget_names(&self) {
        self.names.lock().unwrap().clear();
    }
}

impl Balancer for Recorder {
    fn pick(&self, among: &Candidates<'_>, _: &PickCx<'_>) -> Option<usize> {
        for candidate in among.iter() {
            self.learn(candidate.key(), candidate.id());
        }
        let mut rng = self.rng.lock().unwrap();
        match rng.u8(..8) {
            0 => None,
            1 => Some(among.len() + rng.usize(..3)),
            _ => (!among.is_empty()).then(|| rng.usize(..among.len())),
        }
    }

    fn observe(&self, key: usize, what: &Feedback) {
        self.heard.lock().unwrap().push((key, *what));
    }
}

/// Set when a caller is woken; whoever lets time pass is told.
pub(crate) struct Bell {
    pub(crate) woken: AtomicBool,
    pub(crate) told: Arc<Notify>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.told.notify_one();
    }
}

/// When somebody came, aged by its priority; then the number.
pub(crate) type Rank = (Instant, u64);

pub(crate) struct Caller {
    pub(crate) acquire: Acquire,
    pub(crate) bell: Arc<Bell>,
    pub(crate) rank: Rank,
    pub(crate) deadline: Instant,
    pub(crate) min_position: Option<u64>,
    pub(crate) avoid: Vec<EndpointId>,
    /// The key of the endpoint on which it has a slot and gets a connection; in line if none.
    pub(crate) slot: Option<usize>,
    /// It has not run yet.
    pub(crate) fresh: bool,
    /// Whether it has been in line since before this operation.
    pub(crate) waits_since: bool,
    /// What it avoids is not known for sure any more: keys have changed hands, or one is not known by name.
    pub(crate) opaque: bool,
    /// The endpoint on which it gets a connection may have left: then that ends without having been an attempt.
    pub(crate) unsure: bool,
    /// Its last connect failed.
    pub(crate) failed: bool,
}

impl Caller {
    pub(crate) fn is_woken(&self) -> bool {
        self.bell.woken.load(SeqCst)
    }

    /// Lets it run. What it did with slots is in what the balancer heard. Returns the connects that failed,
    /// too: for sure, and perhaps.
    pub(crate) fn poll(&mut self, recorder: &Recorder) -> (Poll<Answer>, [u64; 2]) {
        self.bell.woken.store(false, SeqCst);
        recorder.heard();
        let waker = Waker::from(Arc::clone(&self.bell));
        let polled = self.acquire.as_mut().poll(&mut Context::from_waker(&waker));
        let mut failed = [0; 2];
        for (key, what) in recorder.heard() {
            match what {
                Feedback::Started => {
                    assert_eq!(self.slot.replace(key), None, "two slots at once");
                    // should it come back to the line, it was not there all the time
                    self.waits_since = false;
                }
                Feedback::NoConnection | Feedback::Cancelled => {
                    assert_eq!(self.slot.take(), Some(key), "a slot that it did not have");
                    let unsure = std::mem::take(&mut self.unsure);
                    match recorder.name(key).filter(|_| !unsure) {
                        Some(id) => self.avoid.push(id),
                        None => self.opaque = true,
                    }
                    self.failed = what == Feedback::NoConnection;
                    // those of the same moment may come before it now
                    self.rank.1 = u64::MAX;
                    failed[usize::from(unsure)] += u64::from(self.failed);
                }
                other => panic!("{other:?} before there was a lease"),
            }
        }
        (polled, failed)
    }
}
