//! Leases that are held too long are told of, once, and again when they come back.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::sync::{Arc, Mutex};

use common::*;
use pool_core::*;

/// Notes leaks: what, for how long, where.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<(&'static str, std::time::Duration, String)>>);

impl Notes {
    fn take(&self) -> Vec<(&'static str, std::time::Duration, String)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Notes {
    fn endpoint(&self, _: &PoolId, _: &EndpointId) -> Arc<dyn EndpointObserver> {
        Arc::new(Deaf)
    }

    fn event(&self, _: &PoolId, event: &Event) {
        let note = match event {
            Event::Leak { held, location, .. } => ("leak", *held, location.to_string()),
            Event::LeakReturned { held, location, .. } => ("returned", *held, location.to_string()),
            _ => return,
        };
        self.0.lock().unwrap().push(note);
    }
}

struct Deaf;

impl EndpointObserver for Deaf {
    fn attempt_ended(&self, _: std::time::Duration, _: Option<ErrorType>) {}
}

async fn watched(leak_after: Option<std::time::Duration>) -> (Pool<Fake>, Arc<Notes>, [Node; 1]) {
    let (nodes, notes) = (nodes::<1>(), Arc::new(Notes::default()));
    let mut config = PoolConfig::default();
    config.leak_after = leak_after;
    let pool = Pool::builder(PoolId::new("test").unwrap())
        .config(config)
        .observer(Arc::clone(&notes) as Arc<dyn Observer>)
        .endpoint(nodes[0].id(), Fake(nodes[0].clone()), EndpointConfig::default())
        .build()
        .unwrap();
    settle().await;
    (pool, notes, nodes)
}

#[tokio::test(start_paused = true)]
async fn told_once_with_the_place_and_again_when_it_comes_back() {
    let (pool, notes, nodes) = watched(Some(s(10))).await;
    let here = line!() + 1;
    let lease = pool.acquire().await.unwrap();
    tokio::time::sleep(ms(9_900)).await;
    assert_eq!(notes.take(), []);
    tokio::time::sleep(ms(1_200)).await;
    let told = notes.take();
    assert_eq!(told.len(), 1);
    let (what, held, location) = &told[0];
    assert_eq!(*what, "leak");
    assert!(*held >= s(10) && *held <= s(11), "{held:?}");
    assert!(
        location.contains(&format!("leak.rs:{here}:")),
        "{location}, line {here}"
    );
    tokio::time::sleep(s(60)).await;
    assert_eq!(notes.take(), [], "once");
    assert_eq!(pool.snapshot().leaks, 1);
    lease.succeed();
    let back = notes.take();
    assert_eq!((back.len(), back[0].0, &back[0].2), (1, "returned", location));
    assert!(back[0].1 >= s(71), "{:?}", back[0].1);
    assert_eq!(pool.snapshot().leaks, 1);
    all_returned(&pool, &nodes, "afterwards");
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_back_in_time_is_not_told_of() {
    let (pool, notes, _nodes) = watched(Some(s(2))).await;
    for _ in 0..20 {
        let (a, b) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
        tokio::time::sleep(ms(1_000)).await;
        a.neutral();
        drop(b);
    }
    assert_eq!((notes.take(), pool.snapshot().leaks), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_looks_by_default() {
    let (pool, notes, _nodes) = watched(None).await;
    let lease = pool.acquire().await.unwrap();
    tokio::time::sleep(s(24 * 3600)).await;
    lease.succeed();
    assert_eq!((notes.take(), pool.snapshot().leaks), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_runs_too_long_is_told_of_by_its_caller() {
    let (pool, notes, nodes) = watched(Some(s(5))).await;
    nodes[0].set(|script| script.call = Act::Slow(s(20)));
    let here = line!() + 1;
    pool.run(&Call, &Request::new()).await.unwrap();
    let told = notes.take();
    let (first, second) = (&told[0], &told[1]);
    assert_eq!((told.len(), first.0, second.0), (2, "leak", "returned"));
    assert!(first.2.contains(&format!("leak.rs:{here}:")), "{}", first.2);
}

#[tokio::test(start_paused = true)]
async fn also_when_the_pool_has_gone_meanwhile() {
    let (pool, notes, _nodes) = watched(Some(s(1))).await;
    let lease = pool.acquire().await.unwrap();
    tokio::time::sleep(s(3)).await;
    drop(pool);
    settle().await;
    drop(lease);
    let what: Vec<_> = notes.take().into_iter().map(|note| note.0).collect();
    assert_eq!(what, ["leak", "returned"]);
}
