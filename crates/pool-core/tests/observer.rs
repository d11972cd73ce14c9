//! Observers: what they are told, and that a broken one breaks nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use common::*;
use pool_core::*;

#[derive(Default)]
struct Notes {
    events: Mutex<Vec<String>>,
    attempts: Mutex<Vec<(Duration, Option<ErrorType>)>>,
    source: Mutex<Option<Weak<dyn Source>>>,
}

struct Recorder {
    notes: Arc<Notes>,
    panics: bool,
}

struct Attempts(Arc<Notes>);

impl Observer for Recorder {
    fn attached(&self, _: &PoolId, source: Weak<dyn Source>) {
        *self.notes.source.lock().unwrap() = Some(source);
    }

    fn endpoint(&self, _: &PoolId, _: &EndpointId) -> Arc<dyn EndpointObserver> {
        Arc::new(Attempts(Arc::clone(&self.notes)))
    }

    fn event(&self, _: &PoolId, event: &Event) {
        let name = match event {
            Event::Breaker { to, .. } => format!("breaker closed: {}", to.is_closed()),
            Event::Health { to, .. } => format!("health {to:?}"),
            Event::Throttled { wait, .. } => format!("throttled {wait:?}"),
            Event::Closed => "closed".to_owned(),
            other => panic!("{other:?}"),
        };
        self.notes.events.lock().unwrap().push(name);
        assert!(!self.panics, "the observer is broken");
    }
}

impl EndpointObserver for Attempts {
    fn attempt_ended(&self, elapsed: Duration, error: Option<ErrorType>) {
        self.0.attempts.lock().unwrap().push((elapsed, error));
    }
}

async fn observed(node: &Node, panics: bool) -> (Pool<Fake>, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let recorder = Recorder {
        notes: Arc::clone(&notes),
        panics,
    };
    let mut config = PoolConfig::default();
    config.health.interval = s(24 * 3600);
    let pool = Pool::builder(PoolId::new("observed").unwrap())
        .config(config)
        .observer(Arc::new(recorder))
        .seed(5)
        .endpoint(
            node.id(),
            Fake(node.clone()),
            EndpointConfig::default().max_connections(1),
        )
        .build()
        .unwrap();
    settle().await;
    (pool, notes)
}

#[tokio::test(start_paused = true)]
async fn each_change_and_each_attempt_is_told_once() {
    let node = Node::new("e0");
    let (pool, notes) = observed(&node, false).await;
    node.set(|script| script.call = Act::Slow(ms(30)));
    pool.run(&Call, &Request::new()).await.unwrap();
    drop(pool.acquire().await.unwrap());
    for _ in 0..5 {
        let lease = pool.acquire().await.unwrap();
        lease.fail(&Oops(Verdict::of(ErrorType::NodeInternal)));
    }
    for _ in 0..2 {
        pool.acquire().await.unwrap().succeed();
    }
    pool.close(Duration::ZERO).await;
    assert_eq!(
        *notes.events.lock().unwrap(),
        [
            "health Healthy",
            "breaker closed: false",
            "breaker closed: false",
            "breaker closed: true",
            "closed"
        ]
    );
    let attempts = notes.attempts.lock().unwrap();
    assert_eq!(attempts.len(), 8, "the cancelled one is not told: {attempts:?}");
    assert!(attempts[0].0 >= ms(30) && attempts[0].1.is_none());
    let failed = attempts
        .iter()
        .filter(|(_, error)| *error == Some(ErrorType::NodeInternal));
    assert_eq!(failed.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_source_lives_as_long_as_the_pool() {
    let node = Node::new("e0");
    let (pool, notes) = observed(&node, false).await;
    let source = notes.source.lock().unwrap().clone().unwrap();
    assert_eq!(source.upgrade().unwrap().snapshot().endpoints.len(), 1);
    drop(pool);
    settle().await;
    assert!(source.upgrade().is_none(), "its series go with it");
}

#[tokio::test(start_paused = true)]
async fn a_broken_observer_breaks_nothing() {
    let node = Node::new("e0");
    let (pool, notes) = observed(&node, true).await;
    for _ in 0..5 {
        let lease = pool.acquire().await.unwrap();
        lease.fail(&Oops(Verdict::of(ErrorType::NodeInternal)));
    }
    // only the pool's own task can open the breaker half and serve those who wait
    for _ in 0..3 {
        pool.acquire().await.unwrap().succeed();
    }
    assert!(notes.events.lock().unwrap().len() >= 4);
    all_returned(&pool, &[node], "afterwards");
}
