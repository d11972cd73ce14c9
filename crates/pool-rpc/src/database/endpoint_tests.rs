//! The adapter against a manager that remembers what became of its objects.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use deadpool::managed::{Hook, HookError, Manager, Metrics, RecycleError, RecycleResult};
use pool_core::{
    AcquireError, CheckCx, ConnectCx, Endpoint, EndpointConfig, EndpointId, ErrorType, Fault, Pool,
    PoolConfig, PoolId, Report, Verdict,
};

use super::{DeadpoolEndpoint, DeadpoolError, unknown_error};

#[derive(Default)]
struct Memory {
    created: u32,
    living: BTreeSet<u32>,
    /// Which was recycled, and how often it had been before.
    recycled: Vec<(u32, usize)>,
    /// Not recycled any more.
    bad: BTreeSet<u32>,
    down: bool,
}

#[derive(Clone, Default)]
struct Numbers(Arc<Mutex<Memory>>);

impl Numbers {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }
}

impl Manager for Numbers {
    type Type = u32;
    type Error = io::Error;

    async fn create(&self) -> Result<u32, io::Error> {
        let mut memory = self.memory();
        if memory.down {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        memory.created += 1;
        let number = memory.created;
        memory.living.insert(number);
        Ok(number)
    }

    async fn recycle(&self, number: &mut u32, metrics: &Metrics) -> RecycleResult<io::Error> {
        let mut memory = self.memory();
        memory.recycled.push((*number, metrics.recycle_count));
        if memory.bad.contains(number) {
            return Err(RecycleError::message("bad"));
        }
        Ok(())
    }

    fn detach(&self, number: &mut u32) {
        assert!(self.memory().living.remove(number), "{number} was detached twice");
    }
}

fn id() -> EndpointId {
    EndpointId::new("one").unwrap()
}

/// A pool of one connection whose health check, and so connection number 1, is done.
async fn pool(endpoint: DeadpoolEndpoint<Numbers>) -> Pool<DeadpoolEndpoint<Numbers>> {
    let config = EndpointConfig::default().max_connections(1);
    let pool = Pool::builder(PoolId::new("numbers").unwrap())
        .endpoint(id(), endpoint, config)
        .config(PoolConfig::default())
        .build()
        .unwrap();
    assert!(pool.ready(Duration::from_secs(1)).await);
    pool
}

const CHECK: CheckCx = CheckCx::new(Duration::from_secs(1));
const CONNECT: ConnectCx = ConnectCx::new(Duration::from_secs(1));

#[tokio::test(start_paused = true)]
async fn whatever_leaves_is_detached() {
    let numbers = Numbers::default();
    let pool = pool(DeadpoolEndpoint::new(numbers.clone())).await;
    let lease = pool.acquire().await.unwrap();
    assert_eq!((**lease, numbers.memory().living.len()), (2, 2));
    // looked at and dropped: an operation may be under way on it
    drop(lease);
    assert_eq!(numbers.memory().living, BTreeSet::from([1]));
    pool.acquire().await.unwrap().succeed();
    assert_eq!(numbers.memory().living, BTreeSet::from([1, 3]));
    pool.close(Duration::from_secs(1)).await;
    drop(pool);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(numbers.memory().living.is_empty());
    assert_eq!(numbers.memory().created, 3);
}

#[tokio::test(start_paused = true)]
async fn a_returned_connection_is_recycled_and_counted() {
    let numbers = Numbers::default();
    let pool = pool(DeadpoolEndpoint::new(numbers.clone())).await;
    for _ in 0..3 {
        let lease = pool.acquire().await.unwrap();
        assert_eq!(**lease, 2);
        lease.succeed();
    }
    assert_eq!(numbers.memory().recycled, [(2, 0), (2, 1)]);
    let lease = pool.acquire().await.unwrap();
    assert_eq!(lease.metrics().recycle_count, 3);
    lease.neutral();
}

#[tokio::test(start_paused = true)]
async fn a_clean_connection_is_handed_on_as_it_is_unless_it_is_closed() {
    let numbers = Numbers::default();
    let memory = numbers.clone();
    let endpoint = DeadpoolEndpoint::new(numbers.clone())
        .with_is_clean(|_| true)
        .with_is_open(move |number| !memory.memory().bad.contains(number));
    let pool = pool(endpoint).await;
    for _ in 0..3 {
        let lease = pool.acquire().await.unwrap();
        assert_eq!(**lease, 2);
        lease.succeed();
    }
    numbers.memory().bad.insert(2);
    let lease = pool.acquire().await.unwrap();
    assert_eq!(**lease, 3);
    lease.succeed();
    // closed is known without a look at the network
    assert!(numbers.memory().recycled.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_manager_refuses_is_replaced() {
    let numbers = Numbers::default();
    let pool = pool(DeadpoolEndpoint::new(numbers.clone())).await;
    pool.acquire().await.unwrap().succeed();
    numbers.memory().bad.insert(2);
    let lease = pool.acquire().await.unwrap();
    assert_eq!(**lease, 3);
    lease.succeed();
    assert!(!numbers.memory().living.contains(&2));
}

#[tokio::test(start_paused = true)]
async fn hooks_run_and_can_refuse() {
    let numbers = Numbers::default();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = |what: &'static str| {
        let told = Arc::clone(&told);
        Hook::sync_fn(move |number: &mut u32, _| {
            told.lock().unwrap().push((what, *number));
            Ok(())
        })
    };
    let endpoint = DeadpoolEndpoint::new(numbers.clone())
        .post_create(tell("created"))
        .pre_recycle(tell("before"))
        .post_recycle(tell("after"))
        .post_recycle(Hook::async_fn(|number: &mut u32, _| {
            Box::pin(async move {
                match *number {
                    2 => Err(HookError::message("not this one")),
                    _ => Ok(()),
                }
            })
        }));
    let pool = pool(endpoint).await;
    pool.acquire().await.unwrap().succeed();
    let lease = pool.acquire().await.unwrap();
    assert_eq!(**lease, 3);
    lease.succeed();
    assert_eq!(
        *told.lock().unwrap(),
        [
            ("created", 1),
            ("created", 2),
            ("before", 2),
            ("after", 2),
            ("created", 3)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_a_hook_refuses_is_detached_and_fails_the_connect() {
    let numbers = Numbers::default();
    let refuse = Hook::sync_fn(|_: &mut u32, _: &Metrics| Err(HookError::message("no")));
    let endpoint = DeadpoolEndpoint::new(numbers.clone()).post_create(refuse);
    let error = endpoint.connect(&CONNECT).await.unwrap_err();
    assert!(matches!(error, DeadpoolError::Refused(_)), "{error}");
    assert_eq!(endpoint.classify(&error).error_type, ErrorType::Connect);
    assert!(numbers.memory().living.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_check_keeps_its_connection_only_while_it_passes() {
    let numbers = Numbers::default();
    let memory = numbers.clone();
    let endpoint = DeadpoolEndpoint::new(numbers.clone()).with_check(move |number| {
        let down = memory.memory().down;
        Box::pin(async move {
            if down {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(Report::fit(Some(u64::from(*number))))
        })
    });
    for _ in 0..3 {
        assert_eq!(endpoint.check(&CHECK).await.unwrap(), Report::fit(Some(1)));
    }
    assert_eq!(numbers.memory().recycled, [(1, 0), (1, 1)]);

    // cancelled in the middle: what is left of it is unknown
    let cancelled = tokio::time::timeout(Duration::from_millis(1), endpoint.check(&CHECK)).await;
    assert!(cancelled.is_err() && numbers.memory().living.is_empty());
    assert_eq!(endpoint.check(&CHECK).await.unwrap(), Report::fit(Some(2)));

    // failed
    numbers.memory().down = true;
    assert!(matches!(
        endpoint.check(&CHECK).await,
        Err(DeadpoolError::Backend(_))
    ));
    assert!(numbers.memory().living.is_empty());
    assert!(matches!(
        endpoint.check(&CHECK).await,
        Err(DeadpoolError::Connect(_))
    ));

    // found dead by the manager
    numbers.memory().down = false;
    assert_eq!(endpoint.check(&CHECK).await.unwrap(), Report::fit(Some(3)));
    numbers.memory().bad.insert(3);
    assert_eq!(endpoint.check(&CHECK).await.unwrap(), Report::fit(Some(4)));
}

#[tokio::test(start_paused = true)]
async fn a_transport_carries_its_connection_once() {
    let endpoint = DeadpoolEndpoint::new(Numbers::default());
    let transport = Arc::new(endpoint.connect(&CONNECT).await.unwrap());
    assert_eq!(endpoint.lanes(&transport), 1);
    let conn = endpoint.open(&transport).await.unwrap();
    assert_eq!(endpoint.lanes(&transport), 1);
    let again = endpoint.open(&transport).await.unwrap_err();
    assert!(matches!(again, DeadpoolError::Taken));
    drop(conn);
    assert_eq!(endpoint.lanes(&transport), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_connect_is_never_the_callers_fault() {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let plain = DeadpoolEndpoint::new(Numbers::default());
    assert_eq!(
        plain.classify(&DeadpoolError::Connect(refused())),
        Verdict::of(ErrorType::Connect)
    );
    assert_eq!(
        plain.classify(&DeadpoolError::Backend(refused())),
        unknown_error()
    );
    assert!(!unknown_error().counts_for_breaker && !unknown_error().keep_connection);

    let callers =
        DeadpoolEndpoint::new(Numbers::default()).with_classify(|_| Verdict::of(ErrorType::InvalidRequest));
    let working = callers.classify(&DeadpoolError::Backend(refused()));
    assert_eq!(working.fault(), Fault::Caller);
    let connecting = callers.classify(&DeadpoolError::Connect(refused()));
    assert_eq!(connecting, Verdict::of(ErrorType::Connect));

    let busy =
        DeadpoolEndpoint::new(Numbers::default()).with_classify(|_| Verdict::of(ErrorType::RateLimited));
    let connecting = busy.classify(&DeadpoolError::Connect(refused()));
    assert_eq!(connecting.error_type, ErrorType::RateLimited);
    assert!(connecting.throttle.is_some() && !connecting.maybe_executed && !connecting.keep_connection);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_down_is_noticed_by_the_breaker() {
    let numbers = Numbers::default();
    let pool = pool(DeadpoolEndpoint::new(numbers.clone())).await;
    numbers.memory().down = true;
    let error = pool.acquire().await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect { .. }), "{error}");
    for _ in 0..10 {
        let _refused = pool.acquire_within(Duration::from_millis(1)).await;
    }
    assert_eq!(pool.snapshot().endpoints[0].breaker_opened, 1);
}
