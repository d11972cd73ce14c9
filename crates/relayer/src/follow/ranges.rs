//! Which blocks still need looking at: a pure bookkeeping of ranges.
//!
//! Logs must be complete: an order that is missed is money locked. So every block up to the head is handed out exactly
//! once, a range that failed comes back, and what is missing below what is known can be told at any time.

use std::{collections::VecDeque, fmt};

/// Ranges that may wait at once. A node that lies about its height can't fill the memory; the rest is planned when these
/// are done.
const MOST_WAITING: usize = 256;

/// Blocks from `from` to `to`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockRange {
    /// The first block.
    pub from: u64,
    /// The last block, not below `from`.
    pub to: u64,
}

impl BlockRange {
    /// How many blocks it has.
    pub const fn blocks(self) -> u64 {
        self.to - self.from + 1
    }
}

impl fmt::Display for BlockRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(f, "block {}", self.from)
        } else {
            write!(f, "blocks {} to {}", self.from, self.to)
        }
    }
}

/// What a new look at the head told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadMove {
    /// The first one.
    First,
    /// So many new blocks.
    Advanced(u64),
    /// No new block.
    Same,
    /// The node that answered is so many blocks behind what another has shown.
    Behind(u64),
}

/// The bookkeeping.
#[derive(Debug)]
pub struct Ranges {
    longest: u64,
    confirmations: u64,
    lookback: u64,
    head: Option<u64>,
    /// The first block that has not been planned.
    next: Option<u64>,
    /// The first block of all.
    first: u64,
    waiting: VecDeque<BlockRange>,
    /// Asked for again at the next look at the head, not at once: what just failed is likely to fail again.
    failed: Vec<BlockRange>,
    /// What has failed at least once and is not done yet, sorted.
    missing: Vec<BlockRange>,
    /// What is done, sorted, neighbours merged.
    done: Vec<BlockRange>,
}

impl Ranges {
    /// Begins `lookback` blocks before the first head, hands out at most `longest` blocks at once and stays
    /// `confirmations` blocks behind the head.
    pub fn new(longest: u64, confirmations: u64, lookback: u64) -> Self {
        Self {
            longest: longest.max(1),
            confirmations,
            lookback,
            head: None,
            next: None,
            first: 0,
            waiting: VecDeque::new(),
            failed: Vec::new(),
            missing: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Takes note of a head, and plans what became reachable. The head never falls: nodes of one chain differ by a few
    /// blocks, and what one has shown exists.
    pub fn head(&mut self, height: u64) -> HeadMove {
        let moved = match self.head {
            None => HeadMove::First,
            Some(best) if height > best => HeadMove::Advanced(height - best),
            Some(best) if height == best => HeadMove::Same,
            Some(best) => HeadMove::Behind(best - height),
        };
        let head = self.head.map_or(height, |best| best.max(height));
        self.head = Some(head);
        for range in std::mem::take(&mut self.failed) {
            self.waiting.push_front(range);
        }
        let Some(reachable) = head.checked_sub(self.confirmations) else {
            return moved;
        };
        let mut next = self.next.unwrap_or_else(|| {
            self.first = reachable.saturating_sub(self.lookback);
            self.first
        });
        while next <= reachable && self.waiting.len() < MOST_WAITING {
            let to = reachable.min(next.saturating_add(self.longest - 1));
            self.waiting.push_back(BlockRange { from: next, to });
            next = to + 1;
        }
        self.next = Some(next);
        moved
    }

    /// The next range to ask for. It must come back to [`done`](Self::done) or [`failed`](Self::failed).
    pub fn take(&mut self) -> Option<BlockRange> {
        self.waiting.pop_front()
    }

    /// The range was looked at completely.
    pub fn done(&mut self, range: BlockRange) {
        self.missing.retain(|missing| *missing != range);
        let at = self.done.partition_point(|known| known.from < range.from);
        self.done.insert(at, range);
        self.done.dedup_by(|right, left| {
            let joined = left.to.saturating_add(1) >= right.from;
            if joined {
                left.to = left.to.max(right.to);
            }
            joined
        });
    }

    /// The range failed and comes back after the next look at the head; in halves if it was too long for the node.
    pub fn failed(&mut self, range: BlockRange, too_long: bool) {
        self.missing.retain(|missing| *missing != range);
        let before = self.failed.len();
        if too_long && range.blocks() > 1 {
            let middle = range.from + (range.to - range.from) / 2;
            // the later half first, because failed ranges are put before the others one by one
            self.failed.push(BlockRange {
                from: middle + 1,
                to: range.to,
            });
            self.failed.push(BlockRange {
                from: range.from,
                to: middle,
            });
        } else {
            self.failed.push(range);
        }
        self.missing.extend(&self.failed[before..]);
        self.missing.sort_unstable();
    }

    /// The last block up to which everything was looked at.
    pub fn complete_to(&self) -> Option<u64> {
        self.done
            .first()
            .filter(|range| range.from == self.first)
            .map(|range| range.to)
    }

    /// The ranges that failed while later blocks have been looked at: what a reader of the logs would miss. Oldest
    /// first.
    pub fn gaps(&self) -> Vec<BlockRange> {
        let highest = self.done.last().map_or(0, |range| range.to);
        let missing = self.missing.iter().copied();
        missing.filter(|range| range.from < highest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: u64, to: u64) -> BlockRange {
        BlockRange { from, to }
    }

    fn taken(ranges: &mut Ranges) -> Vec<BlockRange> {
        std::iter::from_fn(|| ranges.take()).collect()
    }

    #[test]
    fn every_block_is_handed_out_once_and_in_order() {
        let mut ranges = Ranges::new(10, 0, 0);
        assert_eq!(ranges.head(100), HeadMove::First);
        assert_eq!(taken(&mut ranges), [range(100, 100)]);
        assert_eq!(ranges.head(100), HeadMove::Same);
        assert_eq!(taken(&mut ranges), []);
        assert_eq!(ranges.head(125), HeadMove::Advanced(25));
        assert_eq!(ranges.head(120), HeadMove::Behind(5));
        assert_eq!(
            taken(&mut ranges),
            [range(101, 110), range(111, 120), range(121, 125)]
        );
    }

    #[test]
    fn confirmations_and_lookback_move_the_edges() {
        let mut ranges = Ranges::new(100, 5, 20);
        ranges.head(100);
        assert_eq!(taken(&mut ranges), [range(75, 95)]);
        let mut young = Ranges::new(100, 5, 20);
        young.head(4);
        assert_eq!(taken(&mut young), []);
        young.head(7);
        assert_eq!(taken(&mut young), [range(0, 2)]);
    }

    #[test]
    fn a_failed_range_is_a_gap_until_it_is_done() {
        let mut ranges = Ranges::new(10, 0, 0);
        ranges.head(0);
        ranges.done(ranges.waiting[0]);
        ranges.take();
        ranges.head(30);
        let all = taken(&mut ranges);
        assert_eq!(all, [range(1, 10), range(11, 20), range(21, 30)]);
        ranges.done(all[2]);
        assert_eq!(ranges.gaps(), [], "under way is not missing");
        ranges.failed(all[1], false);
        assert_eq!(
            (ranges.complete_to(), ranges.gaps()),
            (Some(0), vec![range(11, 20)])
        );
        ranges.done(all[0]);
        assert_eq!(
            (ranges.complete_to(), ranges.gaps()),
            (Some(10), vec![range(11, 20)])
        );
        assert_eq!(ranges.take(), None, "not before the next look at the head");
        ranges.head(30);
        assert_eq!(taken(&mut ranges), [range(11, 20)]);
        assert_eq!(ranges.gaps(), [range(11, 20)], "asked for again is still missing");
        ranges.done(range(11, 20));
        assert_eq!((ranges.complete_to(), ranges.gaps()), (Some(30), vec![]));
    }

    #[test]
    fn a_range_that_is_too_long_comes_back_in_halves() {
        let mut ranges = Ranges::new(10, 0, 9);
        ranges.head(9);
        let whole = ranges.take().unwrap();
        ranges.failed(whole, true);
        ranges.head(10);
        assert_eq!(taken(&mut ranges), [range(0, 4), range(5, 9), range(10, 10)]);
        ranges.failed(range(10, 10), true);
        ranges.head(10);
        assert_eq!(taken(&mut ranges), [range(10, 10)], "one block can't be halved");
    }

    #[test]
    fn a_head_far_off_does_not_fill_the_memory() {
        let mut ranges = Ranges::new(1, 0, 0);
        ranges.head(0);
        ranges.head(u64::MAX);
        assert_eq!(ranges.waiting.len(), MOST_WAITING);
        let first = taken(&mut ranges);
        ranges.head(u64::MAX);
        assert_eq!(
            ranges.take().map(|range| range.from),
            first.last().map(|range| range.to + 1)
        );
    }

    /// Random orders of success and failure against a plain list of blocks.
    #[test]
    fn nothing_is_lost_whatever_fails() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut ranges = Ranges::new(7, 2, 11);
        let (mut head, mut out, mut looked_at) = (1_000, Vec::new(), vec![0; 3_000]);
        for step in 0..2_000 {
            let last = step >= 1_500;
            if !last {
                head += rng.u64(0..2);
            }
            ranges.head(head - if last { 0 } else { rng.u64(0..4) });
            out.extend(std::iter::from_fn(|| ranges.take()));
            while !out.is_empty() && (last || rng.bool()) {
                let range = out.swap_remove(rng.usize(..out.len()));
                if !last && rng.bool() {
                    ranges.failed(range, rng.bool());
                } else {
                    ranges.done(range);
                    for block in range.from..=range.to {
                        looked_at[block as usize] += 1;
                    }
                }
            }
        }
        let first = ranges.first as usize;
        let end = ranges.complete_to().unwrap() as usize;
        assert_eq!(end as u64, head - 2);
        assert!(looked_at[first..=end].iter().all(|times| *times == 1));
        assert_eq!(ranges.gaps(), []);
    }
}
