//! A cursor in Redis: written on the primary, read wherever it has arrived.
//!
//! ```text
//! PRIMARY=redis://10.0.0.1 REPLICA=redis://10.0.0.2 cargo run -p pool-rpc --features redis --example redis
//! ```

use std::{error::Error, time::Duration};

use deadpool_redis::{Manager, redis::AsyncCommands};
use pool_core::{EndpointConfig, EndpointId, Pool, PoolConfig, PoolId, Request, operation};
use pool_rpc::database::{DeadpoolConn, DeadpoolEndpoint, Role, redis::position};

type Endpoint = DeadpoolEndpoint<Manager>;
type Conn = DeadpoolConn<Manager>;

/// An endpoint of the server that the environment variable names.
fn endpoint(variable: &str) -> Result<Endpoint, Box<dyn Error>> {
    let url = std::env::var(variable).map_err(|_| format!("{variable} must hold a redis:// URL"))?;
    // the parser's own error may quote the URL, and so the password
    let manager = Manager::new(url).map_err(|_| format!("{variable} is not a redis:// URL"))?;
    let endpoint = DeadpoolEndpoint::redis(manager, Role::Any);
    // single commands leave nothing behind, so a connection needs no look between two of them
    Ok(endpoint.with_is_clean(|_| true))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = PoolConfig::default();
    // positions are known from health checks alone: how long may a reader wait for its own write?
    config.health.interval = Duration::from_millis(200);
    let primary = EndpointId::new("primary")?;
    let pool = Pool::builder(PoolId::new("cursors")?)
        .config(config)
        .endpoint(primary.clone(), endpoint("PRIMARY")?, EndpointConfig::default())
        .endpoint(
            EndpointId::new("replica")?,
            endpoint("REPLICA")?,
            EndpointConfig::default().tier(1),
        )
        .build()?;
    if !pool.ready(Duration::from_secs(5)).await {
        return Err("no server is healthy".into());
    }

    let write = operation(|conn: &mut Conn| {
        Box::pin(async move {
            let () = conn.set("example:cursor", 19_000_000).await?;
            Ok(position(conn).await?.unwrap_or_default())
        })
    });
    let written = pool.run(&write, &Request::new()).await?;
    println!("the cursor is written at {written}");

    let read =
        operation(|conn: &mut Conn| Box::pin(async move { Ok(conn.get::<_, u64>("example:cursor").await?) }));
    let request = Request::new().min_position(written).avoid(primary);
    println!("the cursor is {}", pool.run(&read, &request).await?);
    pool.close(Duration::from_secs(1)).await;
    Ok(())
}
