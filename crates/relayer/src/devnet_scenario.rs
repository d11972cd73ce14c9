//! What goes wrong in a devnet, and when: a pure function of seed and time.
//!
//! Every node always has the latency and the rare error of its provider. On top of that, pool by pool, one node at a time
//! has an *episode*: an outage, a brown-out, a rate limit, a head that lags. A pool is never without nodes that work, so
//! what an operator sees is what the pool is for: one node's trouble that no caller notices.
//!
//! Time is cut into *turns* of two minutes. Each has a victim, a kind of episode and, between a quiet beginning and a
//! quiet end, its stretch of trouble. Pools begin their turns at different moments.

use std::time::Duration;

use devnet::{Delay, Faults, HttpBody, HttpError, Latency, RpcError, Tail, TooManyRequests, When};

/// Length of a turn at normal speed: an episode lasts long enough for the alerts that wait a minute.
const TURN: Duration = Duration::from_secs(120);

/// Where in its turn an episode begins, and where it ends.
const TROUBLE: std::ops::Range<f64> = 0.25..0.85;

/// How a provider's node behaves on a good day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Half of the answers come within so many milliseconds.
    pub median_ms: f64,
    /// How wildly the latency varies: the deviation of its logarithm.
    pub sigma: f64,
    /// Share of answers that take a quarter of a second longer.
    pub slow: f64,
    /// Share of requests that fail inside the node.
    pub errors: f64,
}

/// What happens to a node for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Episode {
    /// The gateway answers 503 to everything: the breaker opens, checks fail.
    Outage,
    /// Slow answers, and a third of them errors.
    BrownOut,
    /// The quota is spent: most requests get 429 with `Retry-After`.
    RateLimited,
    /// The head stays behind; a health check notices.
    Lagging,
}

const EPISODES: [Episode; 4] = [
    Episode::Outage,
    Episode::RateLimited,
    Episode::BrownOut,
    Episode::Lagging,
];

/// The scenario of a devnet.
#[derive(Clone, Debug)]
pub struct Scenario {
    seed: u64,
    speed: f64,
}

impl Scenario {
    /// A scenario that runs `speed` times as fast as normal.
    pub const fn new(seed: u64, speed: f64) -> Self {
        Self { seed, speed }
    }

    /// Which node of a pool of so many has an episode, after so long. A pool of one node has none.
    pub fn episode(&self, pool: usize, nodes: usize, elapsed: Duration) -> Option<(usize, Episode)> {
        if nodes < 2 {
            return None;
        }
        // the first pool's first episode begins soon, the others follow: a demo shows something at once
        let offset = pool as f64 / 3.0;
        let turns = elapsed.as_secs_f64() * self.speed / TURN.as_secs_f64() - offset + TROUBLE.start * 0.75;
        if turns < 0.0 || !TROUBLE.contains(&turns.fract()) {
            return None;
        }
        let turn = turns.floor() as u64;
        let mut rng = fastrand::Rng::with_seed(
            self.seed ^ (turn + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (pool as u64) << 48,
        );
        let victim = rng.usize(..nodes);
        // in rotation, so that each is seen; the seed decides which is first
        let first = fastrand::Rng::with_seed(self.seed).usize(..EPISODES.len());
        let episode = EPISODES[(first + pool + turn as usize) % EPISODES.len()];
        Some((victim, episode))
    }

    /// The faults of a node after so long.
    pub fn faults(
        &self,
        pool: usize,
        node: usize,
        nodes: usize,
        profile: Profile,
        elapsed: Duration,
    ) -> Faults {
        let everyday = everyday(profile);
        match self.episode(pool, nodes, elapsed) {
            Some((victim, episode)) if victim == node => with(everyday, profile, episode),
            _ => everyday,
        }
    }
}

/// A node on a good day.
pub fn everyday(profile: Profile) -> Faults {
    let mut latency = Latency::new(Delay::LogNormal {
        median_ms: profile.median_ms,
        sigma: profile.sigma,
    });
    latency.tail = Some(Tail {
        probability: profile.slow,
        extra_ms: 250.0,
    });
    let mut error = RpcError::new(-32603, "internal error");
    error.when = When::sometimes(profile.errors);
    Faults {
        latency: Some(latency),
        rpc_errors: vec![error],
        ..Faults::default()
    }
}

fn with(mut faults: Faults, profile: Profile, episode: Episode) -> Faults {
    match episode {
        Episode::Outage => faults.http_errors.push(HttpError {
            status: 503,
            body: HttpBody::Html,
            when: When::always(),
        }),
        Episode::BrownOut => {
            faults.latency = Some(Latency::new(Delay::LogNormal {
                median_ms: profile.median_ms * 8.0,
                sigma: 0.8,
            }));
            let mut error = RpcError::new(-32603, "backend overloaded");
            error.when = When::sometimes(0.35);
            faults.rpc_errors = vec![error];
        }
        Episode::RateLimited => {
            faults.too_many_requests = Some(TooManyRequests {
                retry_after_s: Some(2),
                body: HttpBody::RpcError,
                when: When::sometimes(0.7),
            });
        }
        Episode::Lagging => faults.lag_blocks = 30,
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PROFILE: Profile = Profile {
        median_ms: 20.0,
        sigma: 0.4,
        slow: 0.01,
        errors: 0.005,
    };

    fn moments() -> impl Iterator<Item = Duration> {
        (0..3_600).map(Duration::from_secs)
    }

    #[test]
    fn never_more_than_one_node_of_a_pool_is_in_trouble() {
        for seed in 0..20 {
            let scenario = Scenario::new(seed, 1.0);
            for (elapsed, pool) in moments().flat_map(|at| (0..3).map(move |pool| (at, pool))) {
                let everyday = everyday(PROFILE);
                let troubled =
                    (0..3).filter(|&node| scenario.faults(pool, node, 3, PROFILE, elapsed) != everyday);
                assert!(troubled.count() <= 1, "seed {seed}, pool {pool}, {elapsed:?}");
                assert_eq!(scenario.episode(pool, 1, elapsed), None);
            }
        }
    }

    #[test]
    fn an_hour_shows_every_episode_on_every_node_and_quiet_times() {
        let scenario = Scenario::new(1, 1.0);
        for pool in 0..3 {
            let seen: Vec<_> = moments().map(|at| scenario.episode(pool, 3, at)).collect();
            let victims: HashSet<_> = seen.iter().flatten().map(|(node, _)| *node).collect();
            let episodes: HashSet<_> = seen.iter().flatten().map(|(_, episode)| *episode).collect();
            assert_eq!(
                (victims.len(), episodes.len()),
                (3, EPISODES.len()),
                "pool {pool}"
            );
            let quiet = seen.iter().filter(|episode| episode.is_none()).count();
            assert!(
                (1_000..2_000).contains(&quiet),
                "{quiet} quiet seconds in pool {pool}"
            );
        }
    }

    #[test]
    fn seeds_repeat_and_differ_and_speed_is_time() {
        let course = |seed, speed, step: f64| -> Vec<_> {
            let scenario = Scenario::new(seed, speed);
            (0..720)
                .map(|i| scenario.episode(0, 3, Duration::from_secs_f64(f64::from(i) * step)))
                .collect()
        };
        assert_eq!(course(1, 1.0, 5.0), course(1, 1.0, 5.0));
        assert_ne!(course(1, 1.0, 5.0), course(2, 1.0, 5.0));
        assert_eq!(course(1, 1.0, 5.0), course(1, 10.0, 0.5));
    }

    #[test]
    fn the_first_episode_comes_soon() {
        let scenario = Scenario::new(1, 1.0);
        let first = moments().find(|&at| scenario.episode(0, 3, at).is_some());
        assert!(first.is_some_and(|at| at <= Duration::from_secs(15)), "{first:?}");
    }

    #[tokio::test]
    async fn a_node_takes_all_of_it() {
        let chain = devnet::Chain::new(devnet::ChainConfig::evm(1, Duration::from_secs(1))).unwrap();
        let node = devnet::Node::start(chain.into(), devnet::NodeConfig::default())
            .await
            .unwrap();
        for episode in EPISODES {
            node.set_faults(with(everyday(PROFILE), PROFILE, episode))
                .unwrap();
        }
    }
}
