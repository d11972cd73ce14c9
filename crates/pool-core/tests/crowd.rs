//! 100,000 callers in line: what each costs, that serving them all takes as many steps as there are callers, and that
//! the memory is used again.
//!
//! A test binary of its own, because the counter replaces the allocator.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use allocation_counter::measure;
use common::*;
use pool_core::*;

const CROWD: usize = 100_000;

type Waiting = Pin<Box<dyn Future<Output = Result<Lease<Fake>, AcquireError<Oops>>>>>;

/// Counts how often anybody is woken, and remembers who was last.
#[derive(Default)]
struct Woken {
    times: AtomicU64,
    last: AtomicU64,
}

struct Bell(u64, Arc<Woken>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.1.times.fetch_add(1, SeqCst);
        self.1.last.store(self.0, SeqCst);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

/// What each of them wants.
type Wants = fn(usize, &[Node]) -> Request;

fn anything(_: usize, _: &[Node]) -> Request {
    Request::new()
}

/// Three priorities, a thousand different heights, and something to avoid, in turn.
fn all_sorts(number: usize, nodes: &[Node]) -> Request {
    let priorities = [Priority::High, Priority::Normal, Priority::Low];
    let request = Request::new().priority(priorities[number / 3 % 3]);
    match number % 3 {
        0 => request,
        1 => request.min_position(1 + number as u64 % 1_000),
        _ => request.avoid(nodes[1].id()),
    }
}

struct Crowd {
    pool: Pool<Fake>,
    held: Vec<Lease<Fake>>,
    woken: Arc<Woken>,
}

impl Crowd {
    async fn new() -> (Self, [Node; 2]) {
        let nodes = nodes::<2>();
        nodes[0].set(|script| script.position = Some(5_000));
        // it never works, so that avoiding it means something and changes nothing
        nodes[1].set(|script| script.unfit = Some(Unfit::Syncing));
        let pool = pool(&nodes, 1, |config| {
            config.max_waiters = CROWD as u32;
            config.health.interval = s(24 * 3600);
        })
        .await;
        let held = vec![pool.acquire().await.unwrap()];
        let woken = Arc::default();
        (Self { pool, held, woken }, nodes)
    }

    fn callers(&self, nodes: &[Node], wants: Wants) -> Vec<(Waiting, Waker)> {
        let caller = |number: usize| {
            let (pool, request) = (self.pool.clone(), wants(number, nodes).timeout(s(3_600)));
            let waiting: Waiting = Box::pin(async move { pool.acquire_with(&request).await });
            let bell = Bell(number as u64, Arc::clone(&self.woken));
            (waiting, Waker::from(Arc::new(bell)))
        };
        (0..CROWD).map(caller).collect()
    }

    /// Lets all of them stand in line.
    fn stand(callers: &mut [(Waiting, Waker)]) {
        for (waiting, waker) in callers {
            let polled = waiting.as_mut().poll(&mut Context::from_waker(waker));
            assert!(polled.is_pending());
        }
    }

    /// Serves them one after the other, each when it is woken. Returns the order.
    fn drain(&mut self, callers: &mut [(Waiting, Waker)]) -> Vec<u64> {
        let before = self.woken.times.load(SeqCst);
        let mut order = Vec::with_capacity(CROWD);
        for served in 1..=CROWD as u64 {
            self.held.pop().unwrap().succeed();
            let times = self.woken.times.load(SeqCst) - before;
            assert_eq!(times, served, "one is woken by each release, and nobody else");
            let who = self.woken.last.load(SeqCst);
            let (waiting, waker) = &mut callers[who as usize];
            let Poll::Ready(lease) = waiting.as_mut().poll(&mut Context::from_waker(waker)) else {
                panic!("{who} was woken in vain");
            };
            self.held.push(lease.unwrap());
            order.push(who);
        }
        order
    }
}

/// Bytes for each caller: in the pool's line, and in its own future.
fn costs(wants: Wants) -> (u64, u64, Vec<u64>) {
    let runtime = runtime();
    let (mut crowd, nodes) = runtime.block_on(Crowd::new());
    let mut callers = Vec::new();
    let futures = measure(|| runtime.block_on(async { callers = crowd.callers(&nodes, wants) }));
    let line = measure(|| runtime.block_on(async { Crowd::stand(&mut callers) }));
    assert_eq!(crowd.pool.snapshot().queue_size as usize, CROWD);
    let mut order = Vec::new();
    let draining = measure(|| {
        runtime.block_on(async { order = crowd.drain(&mut callers) });
    });
    assert_eq!(crowd.pool.snapshot().queue_size, 0);
    // nothing is allocated while they are served, but for the test's list and lines that come and go
    assert!(draining.bytes_max <= 16 * CROWD as u64, "{draining:?}");
    drop(callers);
    // as many again stand where these stood
    let mut again = runtime.block_on(async { crowd.callers(&nodes, wants) });
    let second = measure(|| runtime.block_on(async { Crowd::stand(&mut again) }));
    assert!(
        second.bytes_max <= line.bytes_max / 2 + 4096,
        "the second crowd costs as much as the first: {second:?} after {line:?}"
    );
    drop(again);
    let each = |bytes: u64| bytes.div_ceil(CROWD as u64);
    (each(line.bytes_max), each(futures.bytes_max), order)
}

#[test]
fn a_hundred_thousand_callers_cost_little_and_drain_one_by_one() {
    let (line, own, order) = costs(anything);
    println!("alike: {line} bytes each in line, {own} in the callers' own futures");
    assert!(order.is_sorted(), "first come, first served");
    // while the list of places grows, the old one and the new one are there together
    assert!(line <= 320, "{line} bytes");
    let (line, own, order) = costs(all_sorts);
    println!("all sorts: {line} bytes each in line, {own} in the callers' own futures");
    assert!(line <= 480, "{line} bytes");
    // all came at the same moment: by priority, and within each in order
    let priority = |number: &u64| number / 3 % 3;
    assert!(order.is_sorted_by_key(|number| (priority(number), *number)));
}
