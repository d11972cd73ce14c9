//! Transactions that were submitted to a chain.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::digest::Hash;

/// How many submitted transactions a chain remembers; the oldest are forgotten first, so that a long soak test
/// doesn't grow without bound.
const REMEMBERED: usize = 50_000;

/// One submitted transaction and the block that includes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submitted {
    pub(crate) hash: Hash,
    pub(crate) raw: Vec<u8>,
    /// The block after the head at the time of submission.
    pub(crate) height: u64,
    /// Its place among the submitted ones of that block.
    pub(crate) index: usize,
}

#[derive(Debug, Default)]
struct State {
    by_hash: HashMap<Hash, (u64, usize)>,
    by_height: BTreeMap<u64, Vec<Submitted>>,
    forgotten: u64,
}

/// Everything submitted so far. The lock is never held across an await.
#[derive(Debug, Default)]
pub(crate) struct Mempool(Mutex<State>);

impl Mempool {
    /// Takes a transaction for the block after `head`; `false` when it is known already.
    pub(crate) fn submit(&self, hash: Hash, raw: Vec<u8>, head: u64) -> bool {
        let mut state = self.lock();
        if state.by_hash.contains_key(&hash) {
            return false;
        }
        let height = head + 1;
        let block = state.by_height.entry(height).or_default();
        let index = block.len();
        block.push(Submitted {
            hash,
            raw,
            height,
            index,
        });
        state.by_hash.insert(hash, (height, index));
        while state.by_hash.len() > REMEMBERED {
            let Some((_, oldest)) = state.by_height.pop_first() else {
                break;
            };
            state.forgotten += oldest.len() as u64;
            for transaction in oldest {
                state.by_hash.remove(&transaction.hash);
            }
        }
        true
    }

    /// Those that block `height` includes.
    pub(crate) fn included_in(&self, height: u64) -> Vec<Submitted> {
        self.lock().by_height.get(&height).cloned().unwrap_or_default()
    }

    /// A transaction by its hash.
    pub(crate) fn find(&self, hash: &Hash) -> Option<Submitted> {
        let state = self.lock();
        let (height, index) = state.by_hash.get(hash)?;
        state.by_height.get(height)?.get(*index).cloned()
    }

    /// How many were included up to and with block `height`.
    pub(crate) fn count_up_to(&self, height: u64) -> u64 {
        let state = self.lock();
        state.forgotten
            + state
                .by_height
                .range(..=height)
                .map(|(_, block)| block.len() as u64)
                .sum::<u64>()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_taken_once_and_found_in_its_block() {
        let pool = Mempool::default();
        assert!(pool.submit([1; 32], vec![1], 10));
        assert!(pool.submit([2; 32], vec![2], 10));
        assert!(!pool.submit([1; 32], vec![1], 11));
        assert_eq!(pool.included_in(11).len(), 2);
        assert_eq!(pool.find(&[2; 32]).unwrap().index, 1);
        assert_eq!((pool.count_up_to(10), pool.count_up_to(11)), (0, 2));
    }

    #[test]
    fn the_oldest_are_forgotten_but_still_counted() {
        let pool = Mempool::default();
        for number in 0..=REMEMBERED as u64 {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_be_bytes());
            assert!(pool.submit(hash, vec![], number));
        }
        assert_eq!(pool.find(&[0; 32]), None);
        assert_eq!(pool.count_up_to(u64::MAX), REMEMBERED as u64 + 1);
    }
}
