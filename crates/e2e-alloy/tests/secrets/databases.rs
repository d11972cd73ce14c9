//! Databases that can't be reached or don't let us in.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::NoTls;
use pool_core::{CheckCx, ConnectCx, Endpoint, EndpointConfig, EndpointId, Pool, PoolConfig, PoolId};
use pool_rpc::database::{DeadpoolEndpoint, Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{marks::DATABASE, shown::Shown};

/// Answers whatever is sent with these bytes and closes.
async fn answering(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    port
}

pub(crate) async fn drive(shown: &Shown) {
    // what PostgreSQL says to a wrong password, after it was asked for in plain text
    let refusal = b"R\0\0\0\x08\0\0\0\x03E\0\0\0\x42SFATAL\0C28P01\0Mpassword authentication failed for user \"relayer\"\0\0\0";
    let ask = b"R\0\0\0\x08\0\0\0\x03";
    for (what, port) in [
        ("refused", 1),
        ("wrong password", answering(refusal).await),
        ("hung up after the password", answering(ask).await),
        (
            "no database",
            answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
        ),
        (
            "no user",
            answering(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n").await,
        ),
    ] {
        let config: deadpool_postgres::tokio_postgres::Config =
            format!("postgres://relayer:{DATABASE}@127.0.0.1:{port}/orders?connect_timeout=1")
                .parse()
                .unwrap();
        let manager = deadpool_postgres::Manager::new(config, NoTls);
        use_it(shown, what, DeadpoolEndpoint::postgres(manager, Role::Any)).await;
        let url = format!("redis://relayer:{DATABASE}@127.0.0.1:{port}/0");
        let manager = deadpool_redis::Manager::new(url).unwrap();
        use_it(shown, what, DeadpoolEndpoint::redis(manager, Role::Primary)).await;
    }
}

async fn use_it<E>(shown: &Shown, what: &str, endpoint: E)
where
    E: Endpoint + std::fmt::Debug,
    E::Error: std::error::Error + Send + Sync + 'static,
{
    shown.debug(what, &endpoint);
    let second = Duration::from_secs(1);
    if let Err(error) = endpoint.connect(&ConnectCx::new(second)).await {
        shown.error(what, error);
    }
    let cx = CheckCx::new(second);
    if let Ok(Err(error)) = tokio::time::timeout(second, endpoint.check(&cx)).await {
        shown.error(what, error);
    }
    let mut config = PoolConfig::default();
    config.acquire_timeout = Duration::from_millis(100);
    let id = EndpointId::new("database").unwrap();
    let pool = Pool::builder(PoolId::new("database").unwrap())
        .config(config)
        .endpoint(id, endpoint, EndpointConfig::default());
    shown.debug(what, &pool);
    let pool = pool.build().unwrap();
    if let Err(error) = pool.acquire().await {
        shown.error(what, error);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    shown.debug(what, &pool.snapshot());
    shown.debug(what, &pool.explain());
}
