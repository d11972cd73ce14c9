//! What a pool is made of at one moment: its settings, endpoints and balancer. Replaced as a whole by a reconfiguration.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    Balancer, Endpoint, EndpointConfig, PoolConfig, Tiered,
    admission::{Rules, Toll, View},
    member::Member,
    stats::Stats,
};

/// See the module's text. Keys are places in the lists; an endpoint that leaves keeps its place until the last request
/// on it has ended.
pub(crate) struct Setup<E: Endpoint> {
    pub(crate) config: PoolConfig,
    pub(crate) seats: Vec<Option<Seat<E>>>,
    /// By key, also of those that have left: who reads the list of those that may be picked may be late.
    pub(crate) stats: Vec<Arc<Stats>>,
    pub(crate) balancer: Arc<dyn Balancer>,
    /// The same without the tiers.
    pub(crate) plain: Arc<dyn Balancer>,
    /// The same for the roster.
    pub(crate) view: Arc<View>,
}

/// An endpoint of the pool.
pub(crate) struct Seat<E: Endpoint> {
    pub(crate) member: Arc<Member<E>>,
    pub(crate) config: EndpointConfig,
    /// Removed; what is under way on it may end.
    pub(crate) leaving: bool,
    /// What requests on it pay.
    pub(crate) toll: Toll,
}

impl<E: Endpoint> Clone for Seat<E> {
    fn clone(&self) -> Self {
        Self {
            member: Arc::clone(&self.member),
            config: self.config.clone(),
            leaving: self.leaving,
            toll: self.toll.clone(),
        }
    }
}

impl<E: Endpoint> Seat<E> {
    /// Its own quota becomes what its settings say.
    pub(crate) fn configure_quota(&self, now: Instant) {
        if let Some(own) = &self.toll.own {
            own.configure(self.config.quota.as_ref(), now);
        }
    }
}

impl<E: Endpoint> Setup<E> {
    /// The balancer is put over tiers if there are several.
    pub(crate) fn new(
        config: PoolConfig,
        seats: Vec<Option<Seat<E>>>,
        stats: Vec<Arc<Stats>>,
        balancer: Arc<dyn Balancer>,
    ) -> Self {
        let belonging = || seats.iter().flatten().filter(|seat| !seat.leaving);
        let heaviest = belonging().map(|seat| seat.config.weight).fold(0.0, f64::max);
        let mut tiers = belonging().map(|seat| seat.config.tier);
        let first = tiers.next();
        let several = tiers.any(|tier| Some(tier) != first);
        let plain = Arc::clone(&balancer);
        let balancer = if several {
            Arc::new(Tiered::new(balancer))
        } else {
            balancer
        };
        let view = Arc::new(View {
            stats: stats.clone(),
            balancer: Arc::clone(&balancer),
            heaviest,
        });
        Self {
            config,
            seats,
            stats,
            balancer,
            plain,
            view,
        }
    }

    /// The endpoint at this place, leaving or not.
    pub(crate) fn member(&self, key: u32) -> Option<&Arc<Member<E>>> {
        let seat = self.seats.get(key as usize)?.as_ref()?;
        Some(&seat.member)
    }

    /// What requests on the endpoint at this place pay.
    pub(crate) fn toll(&self, key: u32) -> Option<&Toll> {
        Some(&self.seats.get(key as usize)?.as_ref()?.toll)
    }

    /// Whether an endpoint belongs to the provider of one of these.
    pub(crate) fn is_kin(&self, key: u32, avoid: &[u32]) -> bool {
        let kin = |other: &u32| {
            self.toll(key)
                .zip(self.toll(*other))
                .is_some_and(|(one, other)| one.is_of_same(other))
        };
        avoid.iter().any(kin)
    }

    /// The endpoints that belong to the pool, with their keys.
    pub(crate) fn members(&self) -> impl Iterator<Item = (u32, &Seat<E>)> {
        let seats = self.seats.iter().zip(0..);
        let taken = seats.filter_map(|(seat, key)| Some((key, seat.as_ref()?)));
        taken.filter(|(_, seat)| !seat.leaving)
    }

    /// All endpoints, also those that are leaving.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Member<E>>> {
        self.seats.iter().flatten().map(|seat| &seat.member)
    }

    /// What holds for all endpoints together.
    ///
    /// Where each request has a connection of its own, the limit on connections is one on requests as well; where a
    /// connection carries several it is not.
    pub(crate) fn rules(&self) -> Rules {
        let exclusive = |seat: &Seat<E>| seat.config.slots() <= seat.config.max_connections;
        let all_exclusive = self.members().all(|(_, seat)| exclusive(seat));
        let limit = self.config.max_connections.filter(|_| all_exclusive);
        Rules {
            max_waiters: self.config.max_waiters as usize,
            ageing: self.config.priority_ageing,
            limit: limit.unwrap_or(u32::MAX),
            panic_below: self.config.panic_threshold,
        }
    }
}
