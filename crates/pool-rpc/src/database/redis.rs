//! Redis and its kin through deadpool-redis.
//!
//! # What happens to a connection between two callers
//! The driver matches answers to requests in order and in a task of its own, so a request whose future was dropped leaves
//! the protocol in step. deadpool-redis recycles by `UNWATCH` and `PING`: inside a `MULTI` begun by hand these are queued
//! instead of answered, and the connection is closed. A database chosen by `SELECT` and subscriptions survive a return;
//! operations that use them must undo them.
//!
//! A lease that is dropped in the middle of an operation closes its connection.
//!
//! Callers who send nothing but single commands and pipelines spare the round trip: `.with_is_clean(|_| true)`.
//!
//! A connection can be cloned; a clone that is used after the lease was returned works beside the next caller. Don't.

mod classify;

use deadpool_redis::{
    Manager,
    redis::{RedisError, aio::MultiplexedConnection, pipe},
};
use pool_core::{Report, Unfit};

use super::{DeadpoolEndpoint, Role};

pub use classify::{CROWDED_PAUSE, classify};

impl DeadpoolEndpoint<Manager> {
    /// A Redis server: its errors are [classified](classify), and its health check is [`check`].
    pub fn redis(manager: Manager, role: Role) -> Self {
        Self::new(manager)
            .with_classify(classify)
            .with_check(move |conn| Box::pin(check(conn, role)))
    }
}

/// Checks that the server takes requests and has the role, and reports its [`position`]. A replica whose data is being
/// replaced as a whole is unfit; one that has lost its primary is not.
///
/// # Errors
/// The driver's: `PING` is refused while the server loads its data, and on a replica that must not serve stale data.
pub async fn check(conn: &mut MultiplexedConnection, role: Role) -> Result<Report, RedisError> {
    let state = state(conn).await?;
    let report = role.judge(state.is_replica, state.position);
    if report.unfit.is_none() && state.is_syncing {
        return Ok(Report::unfit(state.position, Unfit::Syncing));
    }
    Ok(report)
}

/// How far the server has got, in bytes of the replication stream: on a primary what is written, on a replica what is
/// applied.
///
/// Taken on the primary after a write it is what [`min_position`](pool_core::Request::min_position) needs for reading that
/// write anywhere. It begins anew when another server becomes the primary without having followed this one.
///
/// # Errors
/// The driver's, when the server could not be asked.
pub async fn position(conn: &mut MultiplexedConnection) -> Result<Option<u64>, RedisError> {
    Ok(state(conn).await?.position)
}

#[derive(Debug, PartialEq, Eq)]
struct State {
    is_replica: bool,
    is_syncing: bool,
    position: Option<u64>,
}

impl State {
    /// From what `INFO replication` says: unlike `ROLE` it tells a replica's offset also while its primary is away.
    fn of(info: &str) -> Self {
        let field = |name: &str| {
            info.lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.trim())
        };
        let is_replica = field("role") == Some("slave");
        let offset = if is_replica {
            "slave_repl_offset"
        } else {
            "master_repl_offset"
        };
        Self {
            is_replica,
            is_syncing: field("master_sync_in_progress") == Some("1"),
            position: field(offset).and_then(|offset| offset.parse().ok()),
        }
    }
}

async fn state(conn: &mut MultiplexedConnection) -> Result<State, RedisError> {
    let mut ask = pipe();
    ask.cmd("PING").ignore().cmd("INFO").arg("replication");
    let (info,): (String,) = ask.query_async(conn).await?;
    Ok(State::of(&info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primary_replica_and_orphan_are_told_apart() {
        let primary = "# Replication\r\nrole:master\r\nconnected_slaves:1\r\nmaster_repl_offset:42\r\n";
        assert_eq!(
            State::of(primary),
            State {
                is_replica: false,
                is_syncing: false,
                position: Some(42)
            }
        );
        // a replica's master_repl_offset is what it could hand to replicas of its own
        let replica = "role:slave\r\nmaster_link_status:down\r\nmaster_sync_in_progress:1\r\nslave_repl_offset:7\r\nmaster_repl_offset:9\r\n";
        assert_eq!(
            State::of(replica),
            State {
                is_replica: true,
                is_syncing: true,
                position: Some(7)
            }
        );
        let never_synced = "role:slave\r\nslave_repl_offset:-1\r\n";
        assert_eq!(State::of(never_synced).position, None);
    }
}
