//! What a request needs that not every endpoint offers: in the pool's terms a number.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Something that a request needs and that not every endpoint offers, such as a method. What the number stands for is
/// between the caller and its endpoints: [`Endpoint::offers`](crate::Endpoint::offers) knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Need(u16);

impl Need {
    /// So many different needs are told apart.
    pub const LIMIT: u32 = 512;

    /// The need of this number; `None` from [`LIMIT`](Self::LIMIT) on.
    pub const fn new(number: u32) -> Option<Self> {
        if number < Self::LIMIT {
            Some(Self(number as u16))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    #[inline]
    const fn bit(self) -> (usize, u64) {
        (self.0 as usize / 64, 1 << (self.0 % 64))
    }
}

const WORDS: usize = Need::LIMIT as usize / 64;

/// A set of needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NeedSet([u64; WORDS]);

impl NeedSet {
    #[inline]
    pub(crate) const fn has(&self, need: Need) -> bool {
        let (word, bit) = need.bit();
        self.0[word] & bit != 0
    }

    pub(crate) const fn set(&mut self, need: Need, there: bool) {
        let (word, bit) = need.bit();
        if there {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
    }
}

/// The same, read without a lock: a hint.
#[derive(Debug, Default)]
pub(crate) struct NeedHint([AtomicU64; WORDS]);

impl NeedHint {
    #[inline]
    pub(crate) fn has(&self, need: Need) -> bool {
        let (word, bit) = need.bit();
        self.0[word].load(Relaxed) & bit != 0
    }

    pub(crate) fn set(&self, need: Need, there: bool) {
        let (word, bit) = need.bit();
        if there {
            self.0[word].fetch_or(bit, Relaxed);
        } else {
            self.0[word].fetch_and(!bit, Relaxed);
        }
    }

    pub(crate) fn clear(&self) {
        for word in &self.0 {
            word.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let (mut set, hint) = (NeedSet::default(), NeedHint::default());
        let needs = [0, 63, 64, 511].map(|number| Need::new(number).unwrap());
        assert_eq!(Need::new(Need::LIMIT), None);
        for need in needs {
            set.set(need, true);
            hint.set(need, true);
        }
        assert!(needs.iter().all(|need| set.has(*need) && hint.has(*need)));
        set.set(needs[1], false);
        hint.set(needs[1], false);
        let left: Vec<u32> = (0..Need::LIMIT)
            .filter_map(Need::new)
            .filter(|need| set.has(*need) && hint.has(*need))
            .map(Need::number)
            .collect();
        assert_eq!(left, [0, 64, 511]);
        hint.clear();
        assert!(!hint.has(needs[0]));
    }
}
