//! PostgreSQL through deadpool-postgres.
//!
//! # What happens to a connection between two callers
//! tokio-postgres answers each request on a channel of its own, so a query whose future was dropped leaves the protocol in
//! step; and a dropped `Transaction` sends its own `ROLLBACK` before whatever comes next. What no driver undoes is a
//! transaction begun by hand (`BEGIN`): the next caller would work inside it, and nothing would be committed.
//! deadpool-postgres doesn't look for it, whatever its `RecyclingMethod`. So [`DeadpoolEndpoint::postgres`] asks the server
//! on each recycling whether a transaction is open (one round trip), and closes the connection then; the server rolls
//! back.
//!
//! A lease that is dropped in the middle of an operation closes its connection. The server notices that only when it
//! next writes to it: set `statement_timeout`, and `client_connection_check_interval` on the server, where abandoned
//! queries must not run on.
//!
//! Session settings, temporary tables, advisory locks and the like survive a return unless the manager's
//! `RecyclingMethod` is `Clean`.
//!
//! Callers who are sure to leave nothing behind spare the round trip:
//! `.with_is_clean(|client| !client.is_closed())`.

mod classify;
mod sqlstate;

use deadpool::managed::{Hook, HookError};
use deadpool_postgres::{
    ClientWrapper, Manager,
    tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow, types::PgLsn},
};
use pool_core::Report;

use super::{DeadpoolEndpoint, Role};

pub use classify::{CROWDED_PAUSE, classify};

/// Whether it is a replica, and how far it has got.
const STATE: &str = "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
                     ELSE pg_current_wal_lsn() END";

/// A statement outside of a transaction begins one of its own, which takes the statement's time. In an open one now() is
/// earlier, and in a failed one the statement is an error. Unlike the other ways to tell it writes nothing to the
/// server's log.
const NOT_IN_TRANSACTION: &str = "SELECT now() = statement_timestamp()";

impl DeadpoolEndpoint<Manager> {
    /// A PostgreSQL server: its errors are [classified](classify), its health check is [`check`], and a connection that was
    /// left in a transaction is not handed on.
    pub fn postgres(manager: Manager, role: Role) -> Self {
        Self::new(manager)
            .with_is_open(|client: &ClientWrapper| !client.is_closed())
            .with_classify(classify)
            .with_check(move |client| Box::pin(check(client, role)))
            .post_recycle(Hook::async_fn(|client: &mut ClientWrapper, _| {
                Box::pin(async move {
                    let row = first_row(client, NOT_IN_TRANSACTION)
                        .await
                        .map_err(HookError::Backend)?;
                    match row.as_ref().and_then(|row| row.get(0)) {
                        Some("t") => Ok(()),
                        _ => Err(HookError::message("it was left in a transaction")),
                    }
                })
            }))
    }
}

/// Checks that the server has the role, and reports its [`position`].
///
/// # Errors
/// The driver's, when the server could not be asked.
pub async fn check(client: &Client, role: Role) -> Result<Report, Error> {
    let (is_replica, position) = state(client).await?;
    Ok(role.judge(is_replica, position))
}

/// How far the server has got, in bytes of the write-ahead log: on a primary what is written, on a replica what is
/// replayed. `None` on a replica that has not replayed anything.
///
/// Taken on the primary after a commit it is what [`min_position`](pool_core::Request::min_position) needs for reading
/// that commit anywhere. With `synchronous_commit = off` the commit itself may not be written yet; use
/// `pg_current_wal_insert_lsn()` there. Positions of two primaries of which one was promoted while the other went on
/// cannot be compared.
///
/// # Errors
/// The driver's, when the server could not be asked.
pub async fn position(client: &Client) -> Result<Option<u64>, Error> {
    state(client).await.map(|(_, position)| position)
}

async fn state(client: &Client) -> Result<(bool, Option<u64>), Error> {
    let row = first_row(client, STATE).await?;
    let text = |column| row.as_ref().and_then(|row| row.get(column));
    let position = text(1).and_then(|lsn| lsn.parse::<PgLsn>().ok()).map(u64::from);
    Ok((text(0) == Some("t"), position))
}

/// By the simple protocol: one round trip, nothing is prepared.
async fn first_row(client: &Client, sql: &str) -> Result<Option<SimpleQueryRow>, Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    }))
}
