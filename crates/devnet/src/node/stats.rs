//! What a node counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::faults::Kind;

/// How many methods are counted by name; a client that makes names up can't fill the memory.
const NAMED_METHODS: usize = 256;

/// What a node has seen and done since it was started; a stop and restart doesn't reset it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// The seed of the node's chance.
    pub seed: u64,
    /// The height the node claims now.
    pub height: u64,
    /// Whether new connections are accepted now.
    pub listening: bool,
    /// Connections accepted so far.
    pub connections_opened: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// HTTP requests read; a batch is one.
    pub http_requests: u64,
    /// Calls by method, those of batches included. "" is a request that couldn't be read, "other" collects names
    /// after the first 256.
    pub requests: BTreeMap<String, u64>,
    /// Faults injected, by the field of [`crate::Faults`]. Faults of the head, the chain id and the sync state
    /// are a standing condition and not counted, connections refused are never seen.
    pub faults: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    opened: AtomicU64,
    closed: AtomicU64,
    http_requests: AtomicU64,
    named: Mutex<Named>,
}

#[derive(Debug, Default)]
struct Named {
    requests: BTreeMap<String, u64>,
    faults: BTreeMap<Kind, u64>,
}

impl Counters {
    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_request(&self, methods: &[&str], injected: &[Kind]) {
        self.http_requests.fetch_add(1, Ordering::Relaxed);
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        for method in methods {
            let full = named.requests.len() >= NAMED_METHODS && !named.requests.contains_key(*method);
            let name = if full { "other" } else { method };
            *named.requests.entry(name.to_owned()).or_default() += 1;
        }
        for kind in injected {
            *named.faults.entry(*kind).or_default() += 1;
        }
    }

    pub(super) fn count_fault(&self, kind: Kind) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        *named.faults.entry(kind).or_default() += 1;
    }

    pub(super) fn snapshot(&self, seed: u64, height: u64, listening: bool) -> Stats {
        // Closed is read first, so that a connection opened meanwhile can't make the difference negative.
        let closed = self.closed.load(Ordering::Acquire);
        let opened = self.opened.load(Ordering::Acquire);
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        Stats {
            seed,
            height,
            listening,
            connections_opened: opened,
            connections_open: opened.saturating_sub(closed),
            http_requests: self.http_requests.load(Ordering::Relaxed),
            requests: named.requests.clone(),
            faults: named
                .faults
                .iter()
                .map(|(kind, count)| (kind.name().to_owned(), *count))
                .collect(),
        }
    }
}
