//! What a server of a replicated database must be.

use pool_core::{Report, Unfit};

/// Which servers of a replicated database a health check accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Both: for reads. Writes on a replica fail with an error that sends them elsewhere.
    #[default]
    Any,
    /// Only a primary: for writes. After a failover the old primary is left and the promoted replica is found, as soon as
    /// each has been checked.
    Primary,
    /// Only a replica: to keep reads off the primary.
    Replica,
}

impl Role {
    /// The report on a server that is, or is not, a replica.
    pub(super) fn judge(self, is_replica: bool, position: Option<u64>) -> Report {
        let wrong = match (self, is_replica) {
            (Self::Primary, true) => "is a replica, a primary is needed",
            (Self::Replica, false) => "is a primary, a replica is needed",
            _ => return Report::fit(position),
        };
        Report::unfit(position, Unfit::Other(wrong.to_owned()))
    }
}
