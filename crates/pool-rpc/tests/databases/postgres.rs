//! Trials with PostgreSQL.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{
    Manager,
    tokio_postgres::{Client, Error, error::SqlState},
};
use libtest_mimic::Trial;
use pool_core::{
    AcquireError, EndpointConfig, EndpointId, ErrorType, Fault, Lease, Operation, Pool, PoolConfig, PoolId,
    Request, RunError, Verdict, operation,
};
use pool_rpc::database::{DeadpoolConn, DeadpoolEndpoint, Role, postgres::position};

use crate::{
    not_run,
    postgres_server::{MOST_CONNECTIONS, Postgres, Programs},
    server::block_on,
};

type Endpoint = DeadpoolEndpoint<Manager>;
type Conn = DeadpoolConn<Manager>;

pub(crate) fn trials() -> Vec<Trial> {
    let programs = match Programs::find() {
        Ok(programs) => programs,
        Err(reason) => return vec![not_run("postgres", &reason)],
    };
    macro_rules! trial {
        ($name:ident) => {{
            let programs = programs.clone();
            Trial::test(concat!("postgres::", stringify!($name)), move || {
                block_on($name(programs));
                Ok(())
            })
        }};
    }
    vec![
        trial!(a_callers_mistakes_never_trip_the_breaker),
        trial!(callers_in_each_others_way_are_not_the_servers_fault),
        trial!(an_open_transaction_is_not_handed_on),
        trial!(a_full_server_is_left_alone_for_a_moment),
        trial!(the_replica_takes_over_and_the_primary_comes_back),
        trial!(readers_see_what_was_written),
    ]
}

fn id(name: &str) -> EndpointId {
    EndpointId::new(name).unwrap()
}

async fn pool<const N: usize>(endpoints: [(&str, Endpoint); N]) -> Pool<Endpoint> {
    let mut config = PoolConfig::default();
    config.health.interval = Duration::from_millis(200);
    config.health.rise = 1;
    config.health.fall = 1;
    let mut builder = Pool::builder(PoolId::new("orders").unwrap()).config(config);
    for (tier, (name, endpoint)) in (0..).zip(endpoints) {
        let config = EndpointConfig::default().max_connections(4).tier(tier);
        builder = builder.endpoint(id(name), endpoint, config);
    }
    let pool = builder.build().unwrap();
    until(async || {
        let snapshot = pool.snapshot();
        let healthy = |e: &pool_core::EndpointSnapshot| e.health == pool_core::health::HealthStatus::Healthy;
        snapshot.endpoints.iter().all(healthy).then_some(())
    })
    .await;
    pool
}

fn endpoint(server: &Postgres, role: Role) -> Endpoint {
    DeadpoolEndpoint::postgres(server.manager(), role)
}

/// Asks again until there is an answer, at the most half a minute.
async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came");
}

/// Statements without parameters.
fn execute(sql: &'static str) -> impl Operation<Endpoint, Output = ()> {
    operation(move |conn: &mut Conn| Box::pin(async move { Ok(conn.batch_execute(sql).await?) }))
}

/// Whether a replica answers, and whether it sees the order.
fn look_for(order: i32) -> impl Operation<Endpoint, Output = (bool, bool)> {
    operation(move |conn: &mut Conn| {
        Box::pin(async move {
            let sql = "SELECT pg_is_in_recovery(), EXISTS (SELECT FROM orders WHERE id = $1)";
            let row = conn.query_one(sql, &[&order]).await?;
            Ok((row.get(0), row.get(1)))
        })
    })
}

/// Writes the order, and tells the position that readers must demand.
fn write(order: i32) -> impl Operation<Endpoint, Output = u64> {
    operation(move |conn: &mut Conn| {
        Box::pin(async move {
            conn.execute("INSERT INTO orders VALUES ($1, 'new')", &[&order])
                .await?;
            Ok(position(conn).await?.unwrap_or_default())
        })
    })
}

async fn pid(client: &Client) -> i32 {
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
    row.get(0)
}

/// What the pool makes of the error.
fn judged<T: std::fmt::Debug>(lease: Lease<Endpoint>, result: Result<T, Error>) -> Verdict {
    lease.fail(&result.unwrap_err().into())
}

async fn a_callers_mistakes_never_trip_the_breaker(programs: Programs) {
    let server = Postgres::primary(&programs).await;
    let pool = pool([("primary", endpoint(&server, Role::Primary))]).await;
    pool.run(&write(1), &Request::new()).await.unwrap();
    for _ in 0..10 {
        for sql in [
            "SELECT 1/0",
            "SELEC",
            "SELECT * FROM nowhere",
            "SELECT * FROM pg_authid",
            "INSERT INTO orders VALUES (1, 'twice')",
            "DO $$ BEGIN RAISE 'no'; END $$",
            "SELECT pg_current_wal_lsn() = 'x'",
        ] {
            let error = pool.run(&execute(sql), &Request::new()).await.unwrap_err();
            let RunError::Failed {
                attempts, verdict, ..
            } = &error
            else {
                panic!("{sql}: {error}");
            };
            assert_eq!((verdict.fault(), *attempts), (Fault::Caller, 1), "{sql}: {error}");
        }
        // what the driver itself refuses
        let lease = pool.acquire().await.unwrap();
        let result = lease.query("SELECT $1::int", &[]).await;
        assert_eq!(judged(lease, result).error_type, ErrorType::InvalidRequest);
        let lease = pool.acquire().await.unwrap();
        let row = lease.query_one("SELECT 1", &[]).await.unwrap();
        assert_eq!(
            judged(lease, row.try_get::<_, String>(0)).error_type,
            ErrorType::InvalidRequest
        );
    }
    let snapshot = &pool.snapshot().endpoints[0];
    assert_eq!(snapshot.breaker_opened, 0);
    assert_eq!(
        snapshot.connections_created, 1,
        "a connection was thrown away for nothing"
    );

    // a statement that was prepared before its table changed: cured by another connection, unseen by the caller
    let cached = operation(|conn: &mut Conn| {
        Box::pin(async move {
            let statement = conn.prepare_cached("SELECT * FROM orders").await?;
            Ok(conn.query(&statement, &[]).await?.len())
        })
    });
    assert_eq!(pool.run(&cached, &Request::new()).await.unwrap(), 1);
    let alter = "ALTER TABLE orders ADD COLUMN price int";
    server.admin().await.batch_execute(alter).await.unwrap();
    assert_eq!(pool.run(&cached, &Request::new()).await.unwrap(), 1);
    assert_eq!(pool.snapshot().retries, 1);
}

async fn callers_in_each_others_way_are_not_the_servers_fault(programs: Programs) {
    let server = Postgres::primary(&programs).await;
    let pool = pool([("primary", endpoint(&server, Role::Primary))]).await;
    let insert = execute("INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
    pool.run(&insert, &Request::new()).await.unwrap();

    let (one, two) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let lock = |row: i32| format!("UPDATE orders SET note = 'locked' WHERE id = {row}");
    one.batch_execute(&format!("BEGIN; {}", lock(1))).await.unwrap();
    two.batch_execute(&format!("BEGIN; {}", lock(2))).await.unwrap();
    let (first, second) = (lock(2), lock(1));
    let (first, second) = tokio::join!(one.batch_execute(&first), two.batch_execute(&second));
    let (victim, result, winner) = if first.is_err() {
        (one, first, two)
    } else {
        (two, second, one)
    };
    let deadlock = judged(victim, result);
    assert_eq!(
        (deadlock.error_type, deadlock.retry_here),
        (ErrorType::Reverted, true)
    );
    winner.batch_execute("COMMIT").await.unwrap();
    winner.succeed();

    let (one, two) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM orders";
    for lease in [&one, &two] {
        lease.batch_execute(begin).await.unwrap();
    }
    one.batch_execute(&format!("{}; COMMIT", lock(1))).await.unwrap();
    one.succeed();
    let result = two.batch_execute(&lock(1)).await;
    assert_eq!(judged(two, result).error_type, ErrorType::Reverted);

    let lease = pool.acquire().await.unwrap();
    let result = lease
        .batch_execute("SET statement_timeout = 50; SELECT pg_sleep(60)")
        .await;
    let slow = judged(lease, result);
    assert_eq!(
        (slow.error_type, slow.counts_for_breaker),
        (ErrorType::Timeout, false)
    );

    let lease = pool.acquire().await.unwrap();
    let terminate = format!("SELECT pg_terminate_backend({})", pid(&lease).await);
    let admin = server.admin().await;
    let (result, _) = tokio::join!(lease.batch_execute("SELECT pg_sleep(60)"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        admin.batch_execute(&terminate).await.unwrap();
    });
    let ended = judged(lease, result);
    assert_eq!(
        (ended.error_type, ended.keep_connection),
        (ErrorType::Transport, false)
    );
    assert_eq!(pool.snapshot().endpoints[0].breaker_opened, 0);
}

async fn an_open_transaction_is_not_handed_on(programs: Programs) {
    let server = Postgres::primary(&programs).await;
    let one_connection = || async {
        let mut config = PoolConfig::default();
        // what was used a moment ago must be looked at as well
        config.validate_after_idle = Duration::from_secs(60);
        let builder = Pool::builder(PoolId::new("orders").unwrap()).config(config);
        let limits = EndpointConfig::default().max_connections(1);
        let primary = endpoint(&server, Role::Primary);
        let pool = builder.endpoint(id("primary"), primary, limits).build().unwrap();
        assert!(pool.ready(Duration::from_secs(10)).await);
        pool
    };
    let pool = one_connection().await;
    for left in [
        "BEGIN; INSERT INTO orders VALUES (1, 'forgotten')",
        "BEGIN; SELECT 1",
        "BEGIN; SAVEPOINT here",
    ] {
        let lease = pool.acquire().await.unwrap();
        let before = pid(&lease).await;
        lease.batch_execute(left).await.unwrap();
        lease.succeed();
        let lease = pool.acquire().await.unwrap();
        assert_ne!(pid(&lease).await, before, "{left}");
        lease.neutral();
    }
    let lease = pool.acquire().await.unwrap();
    let before = pid(&lease).await;
    let _failed = lease.batch_execute("BEGIN; SELECT 1/0").await.unwrap_err();
    lease.succeed();
    let lease = pool.acquire().await.unwrap();
    assert_ne!(pid(&lease).await, before);
    lease.succeed();

    // the driver rolls back what it began itself, so the connection stays
    let mut lease = pool.acquire().await.unwrap();
    let before = pid(&lease).await;
    let transaction = lease.transaction().await.unwrap();
    transaction
        .execute("INSERT INTO orders VALUES (2, 'dropped')", &[])
        .await
        .unwrap();
    drop(transaction);
    lease.succeed();
    let lease = pool.acquire().await.unwrap();
    assert_eq!(pid(&lease).await, before);
    lease.succeed();

    // dropped in the middle: the connection goes, and its locks with it
    let lease = pool.acquire().await.unwrap();
    let before = pid(&lease).await;
    let middle = "BEGIN; LOCK TABLE orders; SELECT pg_sleep(1)";
    let cut = tokio::time::timeout(Duration::from_millis(300), lease.batch_execute(middle)).await;
    assert!(cut.is_err());
    drop(lease);
    let lease = pool.acquire().await.unwrap();
    assert_ne!(pid(&lease).await, before);
    let rows = lease.query("SELECT * FROM orders", &[]).await.unwrap();
    assert!(rows.is_empty(), "{rows:?}");
    lease.succeed();
}

async fn a_full_server_is_left_alone_for_a_moment(programs: Programs) {
    let server = Postgres::primary(&programs).await;
    let pool = pool([("primary", endpoint(&server, Role::Primary))]).await;
    let mut others = Vec::new();
    while let Ok(client) = server.connect("app").await {
        others.push(client);
    }
    // one is the health check's
    assert_eq!(others.len(), MOST_CONNECTIONS - 1);
    for _ in 0..10 {
        let error = pool.acquire().await.unwrap_err();
        let AcquireError::Connect { verdict, source, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(
            (verdict.error_type, verdict.maybe_executed),
            (ErrorType::RateLimited, false),
            "{error}"
        );
        let code = source.driver().and_then(Error::code);
        assert_eq!(code, Some(&SqlState::TOO_MANY_CONNECTIONS), "{source}");
    }
    let snapshot = &pool.snapshot().endpoints[0];
    assert_eq!((snapshot.breaker_opened, snapshot.health_check_failures), (0, 0));
    drop(others);
    let lease = until(async || pool.acquire().await.ok()).await;
    lease.neutral();
}

async fn the_replica_takes_over_and_the_primary_comes_back(programs: Programs) {
    let mut primary = Postgres::primary(&programs).await;
    let replica = primary.replica().await;
    let endpoints = [
        ("primary", endpoint(&primary, Role::Any)),
        ("replica", endpoint(&replica, Role::Any)),
    ];
    let pool = pool(endpoints).await;
    let read = || async { pool.run(&look_for(1), &Request::new()).await.unwrap().0 };
    assert!(!read().await, "the primary is of the first tier");

    pool.run(&write(1), &Request::new().idempotent(false))
        .await
        .unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (pool, stop) = (pool.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let request = Request::new().timeout(Duration::from_secs(10));
                let mut by_replica = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    let (replica, _) = pool.run(&look_for(1), &request).await?;
                    by_replica += u32::from(replica);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok::<_, RunError<_>>(by_replica)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    tokio::task::block_in_place(|| primary.kill());
    until(async || read().await.then_some(())).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        let by_replica = reader.await.unwrap().unwrap();
        assert!(by_replica > 0);
    }
    assert!(pool.snapshot().endpoints[1].breaker_opened == 0);

    primary.start().await;
    until(async || (!read().await).then_some(())).await;
    pool.run(&write(2), &Request::new()).await.unwrap();
}

async fn readers_see_what_was_written(programs: Programs) {
    let primary = Postgres::primary(&programs).await;
    let replica = primary.replica().await;
    let endpoints = [
        ("replica", endpoint(&replica, Role::Replica)),
        ("primary", endpoint(&primary, Role::Primary)),
    ];
    let pool = pool(endpoints).await;

    // a write that comes to a replica was not executed there, and goes on to the primary
    let write_once = Request::new().idempotent(false);
    pool.run(&write(0), &write_once).await.unwrap();
    let snapshot = pool.snapshot();
    let unsupported = |endpoint: usize| snapshot.endpoints[endpoint].errors[ErrorType::Unsupported.index()];
    assert_eq!((unsupported(0), unsupported(1), snapshot.retries), (1, 0, 1));
    let to_primary = write_once.avoid(id("replica"));

    let on_replica = replica.admin().await;
    on_replica
        .batch_execute("SELECT pg_wal_replay_pause()")
        .await
        .unwrap();
    until(async || {
        let state = "SELECT pg_get_wal_replay_pause_state()";
        let row = on_replica.query_one(state, &[]).await.unwrap();
        (row.get::<_, &str>(0) == "paused").then_some(())
    })
    .await;
    let written = pool.run(&write(1), &to_primary).await.unwrap();
    let demanding = Request::new().min_position(written);
    let anywhere = pool.run(&look_for(1), &Request::new()).await.unwrap();
    assert_eq!(anywhere, (true, false), "the replica is behind, and preferred");
    let demanded = pool.run(&look_for(1), &demanding).await.unwrap();
    assert_eq!(demanded, (false, true));

    on_replica
        .batch_execute("SELECT pg_wal_replay_resume()")
        .await
        .unwrap();
    until(async || {
        let (by_replica, seen) = pool.run(&look_for(1), &demanding).await.unwrap();
        assert!(seen, "a reader did not see what was written");
        by_replica.then_some(())
    })
    .await;
    for order in 2..20 {
        let written = pool.run(&write(order), &to_primary).await.unwrap();
        let request = Request::new().min_position(written);
        let (_, seen) = pool.run(&look_for(order), &request).await.unwrap();
        assert!(seen, "a reader did not see order {order}");
    }

    // a reader in the way of what is replayed
    let to_replica = Request::new().avoid(id("primary"));
    let lease = pool.acquire_with(&to_replica).await.unwrap();
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders";
    lease.batch_execute(begin).await.unwrap();
    let vacuum = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let admin = primary.admin().await;
        admin.batch_execute("DELETE FROM orders").await.unwrap();
        admin.batch_execute("VACUUM orders").await.unwrap();
    };
    let (result, ()) = tokio::join!(lease.batch_execute("SELECT pg_sleep(60)"), vacuum);
    let conflict = judged(lease, result);
    assert_eq!(
        (
            conflict.error_type,
            conflict.retry_elsewhere,
            conflict.counts_for_breaker
        ),
        (ErrorType::Unavailable, true, false)
    );
}
