//! What nodes do on their own, and what operators do.

use pool_core::*;

use super::{account::opened, world::World};
use crate::common::*;

impl World {
    pub(crate) fn disturb(&mut self) {
        let acts = [
            Act::Ok,
            Act::Ok,
            Act::Error(ErrorType::Connect),
            Act::Slow(ms(300)),
            Act::Hang,
        ];
        let act = acts[self.rng.usize(..acts.len())];
        let which = self.rng.u8(..7);
        self.height += 1;
        let height = self.height;
        let node = &self.nodes[self.rng.usize(..self.nodes.len())];
        node.set(|script| match which {
            0 => script.connect = act,
            1 => script.open = act,
            2 => script.recycle = act,
            3 => script.check = act,
            4 | 5 => script.position = Some(height),
            _ => script.unfit = (act == Act::Hang).then_some(Unfit::Syncing),
        });
    }

    pub(crate) fn endpoint_config(&mut self) -> EndpointConfig {
        let rng = &mut self.rng;
        let connections = rng.u32(1..5);
        let config = EndpointConfig::default()
            .max_connections(connections)
            .weight([0.5, 1.0, 1.0, 3.0][rng.usize(..4)])
            .tier(u8::from(rng.u8(..6) == 0));
        if rng.u8(..3) == 0 {
            config.min_idle(rng.u32(..=connections))
        } else {
            config
        }
    }

    /// Endpoints join, leave, are replaced, get other limits and weights; so does the pool.
    pub(crate) fn reconfigure(&mut self) {
        let rng = &mut self.rng;
        if rng.bool() {
            self.config.max_waiters = rng.u32(5..15);
        }
        if rng.u8(..3) == 0 {
            self.config.max_connections = rng.bool().then(|| rng.u32(2..12));
        }
        let mut update = PoolUpdate::new(self.config.clone());
        let mut expected = Applied::default();
        let mut members = Members::default();
        let stays = self.rng.usize(..self.nodes.len());
        for at in 0..self.nodes.len() {
            let (node, id) = (self.nodes[at].clone(), self.nodes[at].id());
            let config = self.endpoint_config();
            let old = self.members.get(&id).cloned();
            let fate = if at == stays { 9 } else { self.rng.u8(..10) };
            match (old, fate) {
                (Some(_), 0) => expected.removed.push(id),
                (None, 0..4) => {}
                (Some(_), 1) => {
                    update = update.endpoint(id.clone(), Fake(node), config.clone());
                    expected.replaced.push(id.clone());
                    members.insert(id, config);
                }
                (None, _) => {
                    update = update.endpoint(id.clone(), Fake(node), config.clone());
                    expected.added.push(id.clone());
                    members.insert(id, config);
                }
                (Some(old), fate) => {
                    let config = if fate < 5 { config } else { old.clone() };
                    update = update.keep(id.clone(), config.clone());
                    if config != old {
                        expected.changed.push(id.clone());
                    }
                    members.insert(id, config);
                }
            }
        }
        let mut applied = self.pool.apply(update).unwrap();
        // in the order of the places that become free
        applied.removed.sort_unstable();
        assert_eq!(
            (
                &applied.added,
                &applied.replaced,
                &applied.changed,
                &applied.removed
            ),
            (
                &expected.added,
                &expected.replaced,
                &expected.changed,
                &expected.removed
            )
        );
        for id in expected.removed.iter().chain(&expected.replaced) {
            self.open_before.insert(id.clone(), opened(self.node(id)));
        }
        let moved =
            !(expected.added.is_empty() && expected.replaced.is_empty() && expected.removed.is_empty());
        if moved {
            self.recorder.forget_names();
            for caller in self.callers.iter_mut().filter(|caller| !caller.avoid.is_empty()) {
                caller.opaque = true;
            }
            for caller in &mut self.callers {
                caller.unsure = caller.slot.is_some();
            }
            self.nobody_left = false;
        }
        self.members = members;
    }
}

pub(crate) type Members = std::collections::BTreeMap<EndpointId, EndpointConfig>;
