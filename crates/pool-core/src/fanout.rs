//! What callers need who ask several endpoints side by side: who could serve a request, and what each offers.

use tokio::time::Instant;

use crate::{Endpoint, EndpointId, Request, acquire::Wish, admission::Terms, core::Core, need::Need};

impl<E: Endpoint> Core<E> {
    /// The endpoints that may be picked for this request now, the balancer's first choice first.
    pub(crate) fn candidates(&self, request: &Request) -> Vec<EndpointId> {
        let now = Instant::now();
        let wish = self.wish(request, now);
        self.consult(wish.terms.need);
        let mut keys = self.could_serve(&wish);
        // read after the keys: who may be picked is always in it
        let roster = self.admission.roster();
        let mut ranked = Vec::with_capacity(keys.len());
        while !keys.is_empty() {
            let picked = self.choose(&keys, &roster.view, &wish, now).unwrap_or(keys[0]);
            keys.retain(|key| *key != picked);
            ranked.extend(
                roster
                    .view
                    .stats
                    .get(picked as usize)
                    .map(|stats| stats.id.clone()),
            );
        }
        // those with nothing to give come last, and those to avoid after them
        let full = self.admission.full();
        let avoided = |id: &EndpointId| request.requirements.avoid.contains(id);
        ranked.sort_by_key(|id| (avoided(id), full.contains(id)));
        ranked
    }

    fn could_serve(&self, wish: &Wish) -> Vec<u32> {
        self.admission.eligible_for(wish.min_position, &wish.terms)
    }

    /// Asks those endpoints whether they offer what is needed that have not been asked. Returns whether there were any.
    #[inline]
    pub(crate) fn consult(&self, need: Option<Need>) -> bool {
        need.filter(|need| !self.admission.knows(*need))
            .is_some_and(|need| self.consult_all(need))
    }

    #[cold]
    fn consult_all(&self, need: Need) -> bool {
        let unasked = self.admission.unasked(need);
        // whoever belongs to the pool is in the setup before admission knows of it
        for id in &unasked {
            let member = self.setup.load().member(id.key).cloned();
            if let Some(member) = member {
                // foreign code, outside all locks
                let offers = || member.endpoint.offers(need);
                // who panics over it is taken to offer it: a call tells
                let offers = self.endpoints_bugs.call(&self.id, offers) != Some(false);
                let effects = self.admission.told(*id, need, offers, Instant::now());
                self.apply(effects);
            }
        }
        // notes that all have been asked
        self.admission.unasked(need);
        !unasked.is_empty()
    }

    /// Whether an endpoint that has got so far and suits these terms may be picked now, apart from these.
    pub(crate) fn another(&self, avoid: &[u32], min_position: Option<u64>, terms: &Terms) -> bool {
        let other = |key: &u32| !avoid.contains(key);
        if min_position.is_none() && !self.admission.restricts(terms) {
            self.admission.roster().keys.iter().any(other)
        } else {
            self.admission.eligible_for(min_position, terms).iter().any(other)
        }
    }
}
