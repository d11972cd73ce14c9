//! The filters that were made through a transport, and where each lives.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use pool_core::EndpointId;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::client::Client;

/// Filters that are known at a time. Nobody must end a filter, and nodes forget one that is not asked for minutes; so
/// do we, by and by.
const MOST: usize = 4096;

/// Never given twice, so that an id of another transport is not mistaken for one of ours.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A filter on a node.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    /// Where it lives.
    pub(super) endpoint: EndpointId,
    /// The node behind that name: the endpoint may be replaced by another of the same name.
    pub(super) node: Weak<Client>,
    /// Its id there.
    pub(super) id: Box<RawValue>,
}

/// Our ids, and the filters that they stand for.
#[derive(Debug, Default)]
pub(super) struct Filters {
    known: Mutex<HashMap<u64, (Filter, Instant)>>,
}

impl Filters {
    fn known(&self) -> MutexGuard<'_, HashMap<u64, (Filter, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a filter; the id for its user, as JSON.
    pub(super) fn insert(&self, filter: Filter, now: Instant) -> Box<RawValue> {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut known = self.known();
        if known.len() >= MOST
            && let Some(oldest) = known
                .iter()
                .min_by_key(|(_, (_, asked))| *asked)
                .map(|(id, _)| *id)
        {
            known.remove(&oldest);
        }
        known.insert(id, (filter, now));
        drop(known);
        match RawValue::from_string(format!("\"0x{id:x}\"")) {
            Ok(id) => id,
            Err(_) => unreachable!("a quantity in quotes is JSON"),
        }
    }

    /// The filter that an id stands for.
    pub(super) fn find(&self, id: u64, now: Instant) -> Option<Filter> {
        let mut known = self.known();
        let (filter, asked) = known.get_mut(&id)?;
        *asked = now;
        Some(filter.clone())
    }

    pub(super) fn forget(&self, id: u64) {
        self.known().remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn number(id: &RawValue) -> u64 {
        let text: String = serde_json::from_str(id.get()).unwrap();
        u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
    }

    #[test]
    fn equal_ids_of_two_nodes_are_two_filters_and_the_longest_unasked_goes_first() {
        let (filters, now) = (Filters::default(), Instant::now());
        let filter = |endpoint: &str| Filter {
            endpoint: EndpointId::new(endpoint).unwrap(),
            node: Weak::new(),
            id: RawValue::from_string("\"0x1\"".to_owned()).unwrap(),
        };
        let one = number(&filters.insert(filter("a"), now));
        let other = number(&filters.insert(filter("b"), now));
        let at = |id, now| filters.find(id, now).map(|filter| filter.endpoint.to_string());
        assert_eq!(at(one, now + Duration::from_secs(1)).as_deref(), Some("a"));
        assert_eq!(filters.known().len(), 2);
        for _ in 2..=MOST {
            filters.insert(filter("c"), now + Duration::from_secs(2));
        }
        assert_eq!(filters.known().len(), MOST);
        assert_eq!((at(one, now).as_deref(), at(other, now)), (Some("a"), None));
        filters.forget(one);
        assert_eq!(at(one, now), None);
    }
}
