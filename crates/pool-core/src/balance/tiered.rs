//! Priority tiers: the paid provider first, the public one only when it must be. Envoy's priority levels and eRPC's
//! `preferTag('!tier:fallback')` do the like; here a tier is left when all its endpoints are full or may not be picked
//! (overflow), and taken again as soon as one has room (fail-back).

use super::{Balancer, Candidates, PickCx, scratch::with_list};

/// Any balancer, over the lowest tier that has a slot free.
///
/// A pool puts it around its balancer by itself when its endpoints are of more than one
/// [tier](crate::EndpointConfig::tier).
#[derive(Clone, Copy, Debug, Default)]
pub struct Tiered<B> {
    within: B,
}

impl<B: Balancer> Tiered<B> {
    /// The lowest tier with a free slot, and in it whom `within` picks.
    pub const fn new(within: B) -> Self {
        Self { within }
    }
}

impl<B: Balancer> Tiered<B> {
    /// The index, in `among`, of whom `choose` chooses in the lowest tier that has room.
    fn choose(among: &Candidates<'_>, choose: impl Fn(&Candidates<'_>) -> Option<usize>) -> Option<usize> {
        let free = |tier: Option<u8>| {
            let all = (0..among.len()).filter_map(|index| Some((index, among.get(index)?)));
            all.filter(move |(_, candidate)| {
                !candidate.is_full() && tier.is_none_or(|tier| candidate.tier() == tier)
            })
        };
        let Some(lowest) = free(None).map(|(_, candidate)| candidate.tier()).min() else {
            // nobody has room; whoever is picked, the caller stands in line
            return choose(among);
        };
        with_list(|keys| {
            keys.extend(free(Some(lowest)).map(|(_, candidate)| candidate.key() as u32));
            let picked = choose(&among.only(keys))?;
            let key = *keys.get(picked)? as usize;
            (0..among.len()).find(|index| among.get(*index).is_some_and(|candidate| candidate.key() == key))
        })
    }
}

impl<B: Balancer> Balancer for Tiered<B> {
    fn observes(&self) -> bool {
        self.within.observes()
    }

    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        Self::choose(among, |tier| self.within.pick(tier, cx))
    }

    fn peek(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        Self::choose(among, |tier| self.within.peek(tier, cx))
    }

    fn observe(&self, key: usize, what: &super::Feedback) {
        self.within.observe(key, what);
    }
}
