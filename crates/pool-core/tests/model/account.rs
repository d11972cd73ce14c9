//! What the pool says of itself, held against what it must be.

use pool_core::*;

use super::{callers::Caller, world::World};
use crate::common::*;

/// What bears on who may be served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) id: EndpointId,
    pub(crate) eligible: bool,
    pub(crate) position: Option<u64>,
    pub(crate) free: u64,
}

pub(crate) fn seen(snapshot: &PoolSnapshot) -> Vec<Seen> {
    let endpoints = snapshot.endpoints.iter().map(|endpoint| Seen {
        id: endpoint.id.clone(),
        eligible: endpoint.weight > 0.0,
        position: endpoint.position,
        free: endpoint.slots_max.saturating_sub(endpoint.slots_active),
    });
    endpoints.collect()
}

impl Caller {
    /// Which endpoints it may use, as plainly as it can be said.
    pub(crate) fn may_use<'a>(&self, seen: &'a [Seen]) -> Vec<&'a Seen> {
        let all: Vec<_> = seen
            .iter()
            .filter(|one| one.eligible && (self.min_position.is_none() || one.position >= self.min_position))
            .collect();
        let others: Vec<_> = all
            .iter()
            .copied()
            .filter(|one| !self.avoid.contains(&one.id))
            .collect();
        if others.is_empty() { all } else { others }
    }

    fn may_use_this(&self, id: &EndpointId, seen: &[Seen]) -> bool {
        self.may_use(seen).iter().any(|one| one.id == *id)
    }
}

/// Sockets of a node that are open or being opened.
pub(crate) fn opened(node: &Node) -> i64 {
    node.sockets() + node.counts().connecting.load(std::sync::atomic::Ordering::SeqCst)
}

impl World {
    /// All that must hold after each operation; `before` is what was seen before it.
    pub(crate) fn check(&mut self, before: &[Seen]) {
        let snapshot = self.pool.snapshot();
        let after = seen(&snapshot);
        self.check_limits(&snapshot);
        self.check_counters(&snapshot);
        if self.prompt {
            self.check_line(&snapshot, before, &after);
        }
        for caller in &mut self.callers {
            caller.waits_since = caller.slot.is_none();
        }
        self.served.clear();
        self.at_once.clear();
    }

    /// Never more than the limits, except for what was there when a limit was lowered; that only ever becomes less.
    fn check_limits(&mut self, snapshot: &PoolSnapshot) {
        let mut sum = 0;
        for node in &self.nodes {
            let open = opened(node);
            let limit = self
                .members
                .get(&node.id())
                .map_or(0, |config| config.max_connections);
            // what an endpoint of this name had open when it left comes on top, and only ever becomes less
            let before = self.open_before.entry(node.id()).or_default();
            *before = open.min(*before);
            let most = self.most_open.entry(node.id()).or_default();
            *most = open.min(*most).max(i64::from(limit) + *before);
            assert!(open <= *most, "{}: {open} open, at most {most}", node.id());
            sum += open;
        }
        let limit = self.config.max_connections.map_or(i64::MAX, i64::from);
        self.most_in_all = sum.min(self.most_in_all).max(limit);
        assert!(
            sum <= self.most_in_all,
            "{sum} open, at most {}",
            self.most_in_all
        );
        for endpoint in &snapshot.endpoints {
            let most = self.most_taken.entry(endpoint.id.clone()).or_default();
            *most = endpoint.slots_active.min(*most).max(endpoint.slots_max);
            assert!(endpoint.slots_active <= *most, "{endpoint:?}: at most {most}");
            assert!(endpoint.connections_active <= endpoint.connections_total());
        }
    }

    fn check_counters(&self, snapshot: &PoolSnapshot) {
        let ids = snapshot.endpoints.iter().map(|endpoint| &endpoint.id);
        assert!(ids.eq(self.in_order.iter()), "{:?}", snapshot.endpoints);
        let (mut requests, mut ended) = (0, 0);
        for endpoint in &snapshot.endpoints {
            let node = self.node(&endpoint.id);
            let what = || format!("{endpoint:?}");
            assert_eq!(endpoint.connections_total() as i64, node.sockets(), "{}", what());
            assert_eq!(
                endpoint.connections_created - endpoint.connections_destroyed,
                endpoint.connections_total(),
                "{}",
                what()
            );
            let tally = self.tallies.get(&endpoint.id).copied().unwrap_or_default();
            let errors: u64 = endpoint.errors.iter().sum();
            if self.prompt {
                assert_eq!(endpoint.requests - errors, tally.successes, "{}", what());
            }
            assert!(
                errors >= tally.failures && endpoint.requests >= errors,
                "{}",
                what()
            );
            requests += endpoint.requests;
            ended += tally.successes + tally.failures;
            let held = self.held.iter().filter(|held| held.id == endpoint.id).count() as u64;
            if self.prompt {
                assert_eq!(endpoint.connections_active, held, "{}: {held} held", what());
            }
        }
        let asking = (self.callers.len() + self.runs.len()) as u64;
        assert!(snapshot.queue_size <= asking, "{asking} ask");
        let taken: u64 = snapshot
            .endpoints
            .iter()
            .map(|endpoint| endpoint.slots_active)
            .sum();
        assert!(taken <= self.held.len() as u64 + asking, "a slot that nobody has");
        if self.prompt {
            if snapshot.endpoints.len() == self.nodes.len() {
                let least = ended + self.failed_connects;
                let told = least..=least + self.perhaps_failed;
                assert!(
                    told.contains(&requests),
                    "{requests} requests, {told:?} attempts ended"
                );
            }
            assert_eq!(snapshot.queue_timeouts, self.timeouts);
            assert_eq!(snapshot.queue_rejections, self.rejections);
        }
    }

    /// Who waits, that nobody waits in vain, and who was served before whom.
    fn check_line(&self, snapshot: &PoolSnapshot, before: &[Seen], after: &[Seen]) {
        let line = || self.callers.iter().filter(|caller| caller.slot.is_none());
        let connecting = self.callers.iter().filter(|caller| caller.slot.is_some()).count();
        assert_eq!(snapshot.queue_size as usize, line().count(), "who waits");
        let taken = self.held.len() + connecting;
        let on_members: u64 = snapshot
            .endpoints
            .iter()
            .map(|endpoint| endpoint.slots_active)
            .sum();
        assert!(
            on_members as usize <= taken,
            "{on_members} slots are taken, {taken} are held"
        );
        if self.nobody_left {
            assert_eq!(on_members as usize, taken, "a slot is lost");
        }
        let limit = self
            .config
            .max_connections
            .map_or(usize::MAX, |most| most as usize);
        for id in self.served.iter().map(|(_, id)| id).chain(&self.at_once) {
            let over = |endpoint: &&EndpointSnapshot| endpoint.slots_active > endpoint.slots_max;
            let there = snapshot.endpoints.iter().find(|endpoint| endpoint.id == *id);
            assert!(there.filter(over).is_none(), "{id} was given out above its limit");
            assert!(taken <= limit, "{id} was given out above the pool's limit");
        }
        let clear = || line().filter(|caller| !caller.opaque);
        if taken < limit && !self.closed {
            for caller in clear() {
                let could = caller.may_use(after).into_iter().find(|one| one.free > 0);
                assert_eq!(could, None, "{:?} waits although a slot is free", caller.rank);
            }
        }
        // whoever was given a slot that went bad before it could take it has its place again, but was away meanwhile
        let still = |one: &Seen| after.iter().any(|now| now.id == one.id && now.eligible);
        // and one that turned usable for a single probe within this moment changed what others were to avoid
        let probed = |one: &Seen| after.iter().any(|now| now.id == one.id && now.free < one.free);
        if before
            .iter()
            .any(|one| if one.eligible { !still(one) } else { probed(one) })
        {
            return;
        }
        for caller in clear().filter(|caller| caller.waits_since) {
            let could = |id: &EndpointId| caller.may_use_this(id, before) && caller.may_use_this(id, after);
            let overtaken = self
                .served
                .iter()
                .find(|(rank, id)| caller.rank < *rank && could(id));
            assert_eq!(
                overtaken,
                None,
                "{:?}, who wants {:?}, was overtaken in line: {before:?}, then {after:?}",
                caller.rank,
                (caller.min_position, &caller.avoid)
            );
            let overtaken = self.at_once.iter().find(|id| could(id));
            assert_eq!(overtaken, None, "{:?} was overtaken by a newcomer", caller.rank);
        }
    }
}
