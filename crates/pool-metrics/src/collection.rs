//! One snapshot per pool for a whole collection.
//!
//! The SDK runs one callback per instrument and has none for several instruments together. If each callback took its
//! own snapshot, `connections_total` would come from another moment than `connections_active`. So the first callback
//! of a collection takes the snapshots and the others read the same ones.
//!
//! Nothing announces a collection, but two properties of the SDK tell: a collection runs its callbacks on one thread,
//! one after the other, and in the order in which the instruments were created. So the snapshots are kept per thread,
//! and a callback whose position is not above the one before begins a new collection. That needs no lock and no
//! clock, holds for any number of threads that collect at once, and survives a collection that stopped half-way.
//!
//! One thing is beyond it. The SDK lets each callback write into *all* readers of its provider, so with two readers
//! on one provider, one's collection can change single values in the other's. Give each reader its own provider:
//! [`PoolMetrics::also`](crate::PoolMetrics::also).

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use opentelemetry::{KeyValue, StringValue};
use pool_core::PoolSnapshot;

use crate::{instruments::OBSERVED, registrations::Registrations};

/// All pools at one moment.
pub(crate) struct View {
    pub(crate) pools: Vec<PoolView>,
}

/// A pool at one moment, with the labels of its series.
pub(crate) struct PoolView {
    pub(crate) snapshot: PoolSnapshot,
    pub(crate) labels: [KeyValue; 1],
    /// Labels of `snapshot.endpoints`, in the same order; by name, since the SDK keeps a second entry for each series whose
    /// labels come in another order.
    pub(crate) endpoints: Vec<[KeyValue; 2]>,
}

impl PoolView {
    fn new(snapshot: PoolSnapshot) -> Self {
        let pool = KeyValue::new("pool", text(snapshot.id.as_str()));
        let endpoint = |id: &str| [KeyValue::new("endpoint", text(id)), pool.clone()];
        let endpoints = snapshot
            .endpoints
            .iter()
            .map(|e| endpoint(e.id.as_str()))
            .collect();
        Self {
            endpoints,
            labels: [pool],
            snapshot,
        }
    }
}

/// A label value that is cheap to clone.
pub(crate) fn text(value: &str) -> StringValue {
    StringValue::from(Arc::<str>::from(value))
}

/// Gives the callbacks of one provider their view.
pub(crate) struct Collector {
    id: u64,
    registrations: Arc<Registrations>,
}

/// A collection that runs on this thread.
struct Running {
    collector: u64,
    position: usize,
    view: Arc<View>,
}

thread_local! {
    // A handful of providers at most, so a list.
    static RUNNING: RefCell<Vec<Running>> = const { RefCell::new(Vec::new()) };
}

impl Collector {
    pub(crate) fn new(registrations: Arc<Registrations>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            registrations,
        }
    }

    /// The pools, for the callback at this position of [`OBSERVED`].
    pub(crate) fn view(&self, position: usize) -> Arc<View> {
        let begun = RUNNING.with_borrow_mut(|all| {
            let at = all.iter().position(|running| running.collector == self.id)?;
            let running = all.swap_remove(at);
            (running.position < position).then_some(running.view)
        });
        // Not under the borrow: snapshots run the pool's code.
        let view = begun.unwrap_or_else(|| {
            let pools = self
                .registrations
                .snapshots()
                .into_iter()
                .map(PoolView::new)
                .collect();
            Arc::new(View { pools })
        });
        if position + 1 < OBSERVED.len() {
            let running = Running {
                collector: self.id,
                position,
                view: Arc::clone(&view),
            };
            RUNNING.with_borrow_mut(|all| all.push(running));
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collector() -> Collector {
        Collector::new(Arc::new(Registrations::default()))
    }

    #[test]
    fn one_view_until_the_positions_begin_again() {
        let collector = collector();
        let first: Vec<_> = (0..OBSERVED.len()).map(|at| collector.view(at)).collect();
        assert!(first.iter().all(|view| Arc::ptr_eq(view, &first[0])));
        assert!(!Arc::ptr_eq(&collector.view(0), &first[0]));
    }

    #[test]
    fn a_collection_that_stopped_half_way_leaves_nothing_behind() {
        let collector = collector();
        let stopped = collector.view(0);
        collector.view(1);
        let next = collector.view(0);
        assert!(!Arc::ptr_eq(&stopped, &next));
        assert!(Arc::ptr_eq(&next, &collector.view(1)));
    }

    #[test]
    fn a_finished_collection_is_let_go() {
        let collector = collector();
        let mut views: Vec<_> = (0..OBSERVED.len()).map(|at| collector.view(at)).collect();
        let last = views.pop().unwrap();
        drop(views);
        assert_eq!(Arc::strong_count(&last), 1);
    }

    #[test]
    fn collectors_and_threads_do_not_share() {
        let (one, two) = (collector(), collector());
        let view = one.view(0);
        assert!(!Arc::ptr_eq(&view, &two.view(1)));
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| one.view(1)).join().unwrap());
        assert!(!Arc::ptr_eq(&view, &elsewhere));
        assert!(Arc::ptr_eq(&view, &one.view(1)));
    }
}
