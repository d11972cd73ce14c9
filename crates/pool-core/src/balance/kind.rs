//! The balancers by name.

use std::{fmt, sync::Arc};

use super::{
    Balancer, BoundedHash, LeastRequests, P2c, PeakEwma, Prequal, Random, RoundRobin, SampledLeastRequests,
    ShortestDelay,
};

/// A balancer by its name in a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(rename_all = "snake_case")
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum BalancerKind {
    /// [`LeastRequests`]: the one with the fewest requests under way for its weight. Slow nodes get less on their own.
    LeastRequests,
    /// [`SampledLeastRequests`]: the same among three drawn at random.
    SampledLeastRequests,
    /// [`RoundRobin`]: one after the other, by weight.
    RoundRobin,
    /// [`Random`]: at random, by weight.
    Random,
    /// [`P2c`]: the less loaded of two drawn at random.
    P2c,
    /// [`PeakEwma`]: of two drawn at random, the one that will probably answer first.
    PeakEwma,
    /// [`Prequal`]: the fastest that is not too loaded.
    Prequal,
    /// [`ShortestDelay`]: the one that will probably answer first, by what it takes at its usual load.
    #[default]
    ShortestDelay,
    /// [`BoundedHash`]: by the request's key, within a bound on the load.
    BoundedHash,
}

impl BalancerKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::LeastRequests,
        Self::SampledLeastRequests,
        Self::RoundRobin,
        Self::Random,
        Self::P2c,
        Self::PeakEwma,
        Self::Prequal,
        Self::ShortestDelay,
        Self::BoundedHash,
    ];

    /// The name in a configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeastRequests => "least_requests",
            Self::SampledLeastRequests => "sampled_least_requests",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::P2c => "p2c",
            Self::PeakEwma => "peak_ewma",
            Self::Prequal => "prequal",
            Self::ShortestDelay => "shortest_delay",
            Self::BoundedHash => "bounded_hash",
        }
    }

    /// The balancer, with its defaults.
    pub fn build(self) -> Arc<dyn Balancer> {
        match self {
            Self::LeastRequests => Arc::new(LeastRequests::new()),
            Self::SampledLeastRequests => Arc::new(SampledLeastRequests::new()),
            Self::RoundRobin => Arc::new(RoundRobin::new()),
            Self::Random => Arc::new(Random::new()),
            Self::P2c => Arc::new(P2c::new()),
            Self::PeakEwma => Arc::new(PeakEwma::new()),
            Self::Prequal => Arc::new(Prequal::new()),
            Self::ShortestDelay => Arc::new(ShortestDelay::new()),
            Self::BoundedHash => Arc::new(BoundedHash::new()),
        }
    }
}

impl fmt::Display for BalancerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use serde::{
        Deserialize,
        de::{
            IntoDeserializer,
            value::{Error, StrDeserializer},
        },
    };

    use super::*;

    #[test]
    fn the_names_are_those_that_serde_reads() {
        for kind in BalancerKind::ALL {
            let name: StrDeserializer<'_, Error> = kind.as_str().into_deserializer();
            assert_eq!(BalancerKind::deserialize(name), Ok(kind));
        }
    }
}
