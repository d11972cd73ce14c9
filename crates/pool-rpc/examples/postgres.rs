//! Orders in PostgreSQL: writes on the primary, reads wherever they are due.
//!
//! ```text
//! PRIMARY=postgres://app@10.0.0.1/orders REPLICA=postgres://app@10.0.0.2/orders \
//!     cargo run -p pool-rpc --features postgres --example postgres
//! ```

use std::{error::Error, time::Duration};

use deadpool_postgres::{Manager, tokio_postgres::NoTls};
use pool_core::{EndpointConfig, EndpointId, Pool, PoolConfig, PoolId, Request, operation};
use pool_rpc::database::{DeadpoolConn, DeadpoolEndpoint, Role, postgres::position};

type Endpoint = DeadpoolEndpoint<Manager>;
type Conn = DeadpoolConn<Manager>;

/// An endpoint of the server that the environment variable names.
fn endpoint(variable: &str) -> Result<Endpoint, Box<dyn Error>> {
    let url = std::env::var(variable).map_err(|_| format!("{variable} must hold a postgres:// URL"))?;
    // the parser's own error may quote the URL, and so the password
    let config = url
        .parse()
        .map_err(|_| format!("{variable} is not a postgres:// URL"))?;
    Ok(DeadpoolEndpoint::postgres(Manager::new(config, NoTls), Role::Any))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = PoolConfig::default();
    // positions are known from health checks alone: how long may a reader wait for its own write?
    config.health.interval = Duration::from_millis(200);
    let primary = EndpointId::new("primary")?;
    let replica = EndpointId::new("replica")?;
    let pool = Pool::builder(PoolId::new("orders")?)
        .config(config)
        // the replica is asked when the primary can't be, and wherever a request says so
        .endpoint(primary.clone(), endpoint("PRIMARY")?, EndpointConfig::default())
        .endpoint(
            replica.clone(),
            endpoint("REPLICA")?,
            EndpointConfig::default().tier(1),
        )
        .build()?;
    if !pool.ready(Duration::from_secs(5)).await {
        return Err("no server is healthy".into());
    }

    let create = operation(|conn: &mut Conn| {
        Box::pin(async move {
            let sql = "CREATE TABLE IF NOT EXISTS example_orders (id bigserial PRIMARY KEY, note text)";
            Ok(conn.batch_execute(sql).await?)
        })
    });
    pool.run(&create, &Request::new()).await?;

    // one transaction, and then the position that a reader must demand to see it
    let insert = operation(|conn: &mut Conn| {
        Box::pin(async move {
            let transaction = conn.transaction().await?;
            let sql = "INSERT INTO example_orders (note) VALUES ('swap 1 ETH') RETURNING id";
            let id: i64 = transaction.query_one(sql, &[]).await?.get(0);
            transaction.commit().await?;
            Ok((id, position(conn).await?.unwrap_or_default()))
        })
    });
    let (id, written) = pool.run(&insert, &Request::new().idempotent(false)).await?;
    println!("order {id} is written at {written}");

    // reads keep off the primary while a replica can be had that has got so far
    let read = operation(move |conn: &mut Conn| {
        Box::pin(async move {
            let sql = "SELECT note, pg_is_in_recovery() FROM example_orders WHERE id = $1";
            let row = conn.query_one(sql, &[&id]).await?;
            Ok((row.get::<_, String>(0), row.get::<_, bool>(1)))
        })
    });
    let (note, by_replica) = pool
        .run(&read, &Request::new().min_position(written).avoid(primary))
        .await?;
    let server = if by_replica { "the replica" } else { "the primary" };
    println!("order {id}, read from {server}: {note}");
    pool.close(Duration::from_secs(1)).await;
    Ok(())
}
