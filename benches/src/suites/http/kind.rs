//! Who takes part, over which HTTP, and how many connections he may open.

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Bare connections of hyper's, each owned by one task: what nobody who speaks HTTP by hyper can do without.
    Hyper,
    /// hyper-util's legacy client, which keeps connections.
    HyperUtil,
    /// reqwest.
    Reqwest,
    /// alloy's `RpcClient` over its HTTP transport, which is reqwest's.
    Alloy,
    /// Ours, with everything that it does.
    Ours,
}

/// Which HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// A contestant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) who: Who,
    pub(super) version: Version,
}

/// Streams on one connection.
pub(super) const STREAMS: u32 = 100;

impl Kind {
    /// All of them; of each version the floor is the first.
    pub(super) fn all() -> Vec<Self> {
        let who = [Who::Hyper, Who::HyperUtil, Who::Reqwest, Who::Alloy, Who::Ours];
        [Version::One, Version::Two]
            .into_iter()
            .flat_map(|version| who.map(|who| Self { who, version }))
            .collect()
    }

    /// What it is held against: bare hyper of the same version.
    pub(super) const fn floor(self) -> Self {
        Self {
            who: Who::Hyper,
            version: self.version,
        }
    }

    /// Its name, as in the tables.
    pub(super) fn name(self) -> String {
        let who = match self.who {
            Who::Hyper => "hyper, owned connections",
            Who::HyperUtil => "hyper-util",
            Who::Reqwest => "reqwest",
            Who::Alloy => "alloy",
            Who::Ours => "**pool-rpc**",
        };
        let version = match self.version {
            Version::One => "HTTP/1.1",
            Version::Two => "HTTP/2",
        };
        format!("{who}, {version}")
    }

    /// Connections that it may open: ours as many as bare hyper has, but at least one for each of its endpoints. The others
    /// have no limit.
    pub(super) fn limit(self, in_flight: u32) -> Option<u32> {
        let (least, streams) = (super::clients::ENDPOINTS, in_flight.div_ceil(STREAMS));
        match (self.who, self.version) {
            (Who::Hyper, Version::One) => Some(in_flight),
            (Who::Hyper, Version::Two) => Some(streams.max(least).min(in_flight)),
            (Who::Ours, Version::One) => Some(in_flight.max(least)),
            (Who::Ours, Version::Two) => Some(streams.max(least)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_all_contestants_apart_and_each_has_its_floor() {
        let all = Kind::all();
        let mut names: Vec<_> = all.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
        for kind in all.iter().copied() {
            assert!(all.contains(&kind.floor()) && kind.floor().version == kind.version);
        }
    }

    #[test]
    fn ours_may_open_no_more_than_bare_hyper_and_one_for_each_endpoint() {
        for kind in Kind::all().into_iter().filter(|kind| kind.who == Who::Ours) {
            assert_eq!(kind.limit(1), Some(2));
            assert_eq!(kind.limit(16), kind.floor().limit(16));
            assert_eq!(kind.limit(128), kind.floor().limit(128));
        }
    }
}
