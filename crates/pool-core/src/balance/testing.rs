//! Endpoints and picks without a pool.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Ask, Balancer, Candidates, PickCx};
use crate::{EndpointConfig, EndpointId, ErrorType, stats::Stats};

/// Endpoints with 16 slots, and a clock.
pub(super) struct Field {
    pub(super) members: Vec<Arc<Stats>>,
    pub(super) now: Instant,
    pub(super) seed: u64,
    pub(super) key: Option<u64>,
}

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Weights and requests under way.
pub(super) fn members(weights_and_load: &[(f64, u64)]) -> Field {
    Field::new(weights_and_load.iter().map(|(weight, load)| (*weight, *load, 0)))
}

impl Field {
    pub(super) fn new(weight_load_tier: impl IntoIterator<Item = (f64, u64, u8)>) -> Self {
        let now = Instant::now();
        let member = |(i, (weight, load, tier)): (usize, (f64, u64, u8))| {
            let id = EndpointId::new(format!("e{i}")).unwrap();
            let stats = Stats::new(id, weight, 16).starting_at(now);
            let config = EndpointConfig::default().weight(weight).tier(tier);
            stats.configure(&config, ms(10_000));
            (0..load).for_each(|_| stats.slot_taken());
            Arc::new(stats)
        };
        Self {
            members: weight_load_tier.into_iter().enumerate().map(member).collect(),
            now,
            seed: 1,
            key: None,
        }
    }

    /// The endpoint has answered, or failed, so often that this is all that is known of it.
    pub(super) fn latency(&self, member: usize, millis: u64, error: Option<ErrorType>) {
        let latency = &self.members[member].latency;
        latency.ended(error, ms(millis), self.now);
    }

    pub(super) fn pick(&mut self, balancer: &dyn Balancer) -> Option<usize> {
        let keys: Vec<u32> = (0..self.members.len() as u32).collect();
        self.pick_of(balancer, &keys)
    }

    /// Whom the balancer says it would pick.
    pub(super) fn peek(&mut self, balancer: &dyn Balancer) -> Option<usize> {
        let keys: Vec<u32> = (0..self.members.len() as u32).collect();
        self.ask(&keys, |among, cx| balancer.peek(among, cx))
    }

    pub(super) fn pick_of(&mut self, balancer: &dyn Balancer, keys: &[u32]) -> Option<usize> {
        self.ask(keys, |among, cx| balancer.pick(among, cx))
    }

    fn ask(
        &mut self,
        keys: &[u32],
        balancer: impl Fn(&Candidates<'_>, &PickCx<'_>) -> Option<usize>,
    ) -> Option<usize> {
        let weights = self.members.iter().map(|member| member.configured_weight());
        let heaviest = weights.fold(0.0, f64::max);
        let among = Candidates::new(keys, &self.members, heaviest, self.now);
        let ask = Ask {
            key: self.key,
            ..Ask::default()
        };
        self.seed += 1;
        let cx = PickCx::new(self.now, ask, &[], crate::chance::mix(self.seed));
        balancer(&among, &cx)
    }

    /// How often each is picked in so many rounds; loads stay as they are.
    pub(super) fn tally(&mut self, balancer: &dyn Balancer, rounds: usize) -> Vec<usize> {
        let mut counts = vec![0; self.members.len()];
        for _ in 0..rounds {
            counts[self.pick(balancer).expect("there are candidates")] += 1;
        }
        counts
    }
}
