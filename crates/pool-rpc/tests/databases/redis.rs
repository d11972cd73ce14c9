//! Trials with Redis.

use std::{path::PathBuf, time::Duration};

use deadpool_redis::{
    Manager,
    redis::{AsyncCommands, Cmd, RedisError, cmd},
};
use libtest_mimic::Trial;
use pool_core::{
    CheckCx, Endpoint as _, EndpointConfig, EndpointId, ErrorType, Fault, Operation, Pool, PoolConfig,
    PoolId, Request, RunError, operation,
};
use pool_rpc::database::{DeadpoolConn, DeadpoolEndpoint, Role, redis::position};

use crate::{
    not_run,
    redis_server::Redis,
    server::{User, block_on},
};

type Endpoint = DeadpoolEndpoint<Manager>;
type Conn = DeadpoolConn<Manager>;
type Programs = (PathBuf, User);

pub(crate) fn trials() -> Vec<Trial> {
    let programs = match Redis::find() {
        Ok(programs) => programs,
        Err(reason) => return vec![not_run("redis", &reason)],
    };
    macro_rules! trial {
        ($name:ident) => {{
            let programs = programs.clone();
            Trial::test(concat!("redis::", stringify!($name)), move || {
                block_on($name(programs));
                Ok(())
            })
        }};
    }
    vec![
        trial!(a_callers_mistakes_never_trip_the_breaker),
        trial!(an_open_multi_is_not_handed_on),
        trial!(the_replica_takes_over_and_the_primary_comes_back),
        trial!(readers_see_what_was_written),
        trial!(a_server_that_loads_its_data_is_not_used),
    ]
}

fn id(name: &str) -> EndpointId {
    EndpointId::new(name).unwrap()
}

fn endpoint(server: &Redis, role: Role) -> Endpoint {
    DeadpoolEndpoint::redis(server.manager(), role)
}

async fn pool<const N: usize>(endpoints: [(&str, Endpoint); N]) -> Pool<Endpoint> {
    let mut config = PoolConfig::default();
    config.health.interval = Duration::from_millis(200);
    config.health.rise = 1;
    config.health.fall = 1;
    let mut builder = Pool::builder(PoolId::new("cursors").unwrap()).config(config);
    for (tier, (name, endpoint)) in (0..).zip(endpoints) {
        let config = EndpointConfig::default().max_connections(2).tier(tier);
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

fn command(words: &'static [&'static str]) -> impl Operation<Endpoint, Output = ()> {
    operation(move |conn: &mut Conn| {
        Box::pin(async move {
            let mut command = Cmd::new();
            for word in words {
                command.arg(word);
            }
            Ok(command.query_async(&mut **conn).await?)
        })
    })
}

/// Writes the cursor, and tells the position that readers must demand.
fn write(cursor: u64) -> impl Operation<Endpoint, Output = u64> {
    operation(move |conn: &mut Conn| {
        Box::pin(async move {
            let () = conn.set("cursor", cursor).await?;
            Ok(position(conn).await?.unwrap_or_default())
        })
    })
}

/// The port of the server that answers, and the cursor there.
fn read() -> impl Operation<Endpoint, Output = (u16, Option<u64>)> {
    operation(|conn: &mut Conn| {
        Box::pin(async move {
            let (_, port): (String, u16) = cmd("CONFIG")
                .arg("GET")
                .arg("port")
                .query_async(&mut **conn)
                .await?;
            Ok((port, conn.get("cursor").await?))
        })
    })
}

async fn client_id(conn: &mut Conn) -> u64 {
    cmd("CLIENT").arg("ID").query_async(&mut **conn).await.unwrap()
}

async fn a_callers_mistakes_never_trip_the_breaker(programs: Programs) {
    let server = Redis::primary(&programs).await;
    let pool = pool([("primary", endpoint(&server, Role::Primary))]).await;
    pool.run(&write(1), &Request::new()).await.unwrap();
    for _ in 0..10 {
        for words in [
            &["LPUSH", "cursor", "x"] as &'static [&'static str],
            &["NOSUCHCOMMAND"],
            &["SET", "cursor"],
            &["EVALSHA", "0000000000000000000000000000000000000000", "0"],
            &["EXEC"],
        ] {
            let error = pool.run(&command(words), &Request::new()).await.unwrap_err();
            let RunError::Failed {
                attempts, verdict, ..
            } = &error
            else {
                panic!("{words:?}: {error}");
            };
            assert_eq!(
                (verdict.fault(), *attempts),
                (Fault::Caller, 1),
                "{words:?}: {error}"
            );
        }
        // what the driver itself refuses
        let mut lease = pool.acquire().await.unwrap();
        let () = lease.set("text", "x").await.unwrap();
        let wrong: Result<u64, RedisError> = lease.get("text").await;
        let verdict = lease.fail(&wrong.unwrap_err().into());
        assert_eq!(verdict.fault(), Fault::Caller);
    }
    let snapshot = &pool.snapshot().endpoints[0];
    assert_eq!(snapshot.breaker_opened, 0);
    assert_eq!(
        snapshot.connections_created, 1,
        "a connection was thrown away for nothing"
    );
}

async fn an_open_multi_is_not_handed_on(programs: Programs) {
    let server = Redis::primary(&programs).await;
    let pool = pool([("primary", endpoint(&server, Role::Primary))]).await;
    let mut lease = pool.acquire().await.unwrap();
    let before = client_id(&mut lease).await;
    lease.succeed();
    let mut lease = pool.acquire().await.unwrap();
    assert_eq!(client_id(&mut lease).await, before);
    let () = cmd("MULTI").query_async(&mut **lease).await.unwrap();
    lease.succeed();
    let mut lease = pool.acquire().await.unwrap();
    assert_ne!(client_id(&mut lease).await, before);
    lease.succeed();
}

async fn the_replica_takes_over_and_the_primary_comes_back(programs: Programs) {
    let mut primary = Redis::primary(&programs).await;
    let replica = primary.replica().await;
    let endpoints = [
        ("primary", endpoint(&primary, Role::Any)),
        ("replica", endpoint(&replica, Role::Any)),
    ];
    let pool = pool(endpoints).await;
    let port = || async { pool.run(&read(), &Request::new()).await.unwrap().0 };
    assert_eq!(port().await, primary.port());

    pool.run(&write(7), &Request::new().idempotent(false))
        .await
        .unwrap();

    tokio::task::block_in_place(|| primary.kill());
    for _ in 0..100 {
        assert_eq!(port().await, replica.port(), "the primary is dead");
    }
    primary.start(&[]).await;
    until(async || (port().await == primary.port()).then_some(())).await;
}

async fn readers_see_what_was_written(programs: Programs) {
    let primary = Redis::primary(&programs).await;
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
    until(async || {
        let (port, cursor) = pool.run(&read(), &Request::new()).await.unwrap();
        (port == replica.port() && cursor == Some(0)).then_some(())
    })
    .await;

    // the replica goes on with what it has
    replica.follow(super::server::free_port()).await;
    let written = pool.run(&write(1), &to_primary).await.unwrap();
    let demanding = Request::new().min_position(written);
    let anywhere = pool.run(&read(), &Request::new()).await.unwrap();
    assert_eq!(
        anywhere,
        (replica.port(), Some(0)),
        "the replica is behind, and preferred"
    );
    let demanded = pool.run(&read(), &demanding).await.unwrap();
    assert_eq!(demanded, (primary.port(), Some(1)));

    replica.follow(primary.port()).await;
    until(async || {
        let (port, cursor) = pool.run(&read(), &demanding).await.unwrap();
        assert_eq!(cursor, Some(1), "a reader did not see what was written");
        (port == replica.port()).then_some(())
    })
    .await;
    for cursor in 2..20 {
        let written = pool.run(&write(cursor), &to_primary).await.unwrap();
        let request = Request::new().min_position(written);
        let (_, seen) = pool.run(&read(), &request).await.unwrap();
        assert_eq!(seen, Some(cursor));
    }
}

async fn a_server_that_loads_its_data_is_not_used(programs: Programs) {
    let mut server = Redis::primary(&programs).await;
    let populate = cmd("DEBUG").arg("POPULATE").arg(3000).to_owned();
    server.ask::<()>(&populate).await.unwrap();
    server.ask::<()>(&cmd("SAVE")).await.unwrap();
    tokio::task::block_in_place(|| server.kill());
    // 3,000 keys at a millisecond each; requests are looked at every kilobyte
    let slowly = [
        ("key-load-delay", "1000"),
        ("loading-process-events-interval-bytes", "1024"),
    ];
    server.start(&slowly).await;
    let loading = endpoint(&server, Role::Any);
    let cx = CheckCx::new(Duration::from_secs(3));
    let error = loading.check(&cx).await.unwrap_err();
    let verdict = loading.classify(&error);
    assert_eq!(
        (verdict.error_type, verdict.maybe_executed),
        (ErrorType::Unavailable, false),
        "{error}"
    );
    let mut conn = server.connect().await.unwrap();
    let refused: Result<Option<String>, RedisError> = conn.get("cursor").await;
    let verdict = loading.classify(&refused.unwrap_err().into());
    assert_eq!(verdict.error_type, ErrorType::Unavailable);
    assert!(verdict.retry_elsewhere && verdict.counts_for_breaker);
    let report = until(async || loading.check(&cx).await.ok()).await;
    assert_eq!(report.unfit, None);
}
