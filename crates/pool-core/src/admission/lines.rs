//! Lines that demand a position, in a tree ordered by it, so that the oldest caller within a range of positions is found
//! in logarithmic time however many different positions are demanded.
//!
//! A treap: a search tree by position and a heap by a hash of it, which balances without rotations or randomness. Each
//! node knows the oldest caller of its whole subtree.

use slab::Slab;
use tokio::time::Instant;

/// Who is served first: the smaller. The moment from which on nobody who comes overtakes; then the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(super) due: Instant,
    pub(super) seq: u64,
}

pub(super) type Link = Option<u32>;

/// The line of one requirement class and priority.
#[derive(Debug)]
pub(super) struct Line {
    /// The group that it belongs to: priority and what is avoided.
    pub(super) group: u32,
    pub(super) min_position: Option<u64>,
    /// First and last caller.
    pub(super) ends: Option<(u32, u32)>,
    /// The first caller's rank.
    pub(super) first: Option<Rank>,
    /// Nobody in it gives up before this moment.
    pub(super) patience: Option<Instant>,
    left: Link,
    right: Link,
    /// The line with the oldest caller of the subtree.
    oldest: Option<(Rank, u32)>,
}

impl Line {
    pub(super) const fn new(group: u32, min_position: Option<u64>) -> Self {
        Self {
            group,
            min_position,
            ends: None,
            first: None,
            patience: None,
            left: None,
            right: None,
            oldest: None,
        }
    }

    /// Somebody in it waits until this moment.
    #[inline]
    pub(super) fn expect_until(&mut self, deadline: Instant) {
        self.patience = Some(self.patience.map_or(deadline, |patience| patience.min(deadline)));
    }
}

/// All lines. The trees' roots are kept by the groups.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) all: Slab<Line>,
    /// Steps taken through trees: what a test of the cost counts.
    #[cfg(test)]
    pub(super) steps: std::cell::Cell<u64>,
}

/// Mixes the bits of a position, so that neighbours do not lie in a row.
const fn height(position: u64) -> u64 {
    let mixed = (position ^ (position >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Lines {
    pub(super) const fn new() -> Self {
        Self {
            all: Slab::new(),
            #[cfg(test)]
            steps: std::cell::Cell::new(0),
        }
    }

    #[inline]
    pub(super) fn at(&self, id: u32) -> &Line {
        &self.all[id as usize]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, id: u32) -> &mut Line {
        &mut self.all[id as usize]
    }

    fn position(&self, id: u32) -> u64 {
        self.at(id).min_position.unwrap_or(0)
    }

    fn step(&self) {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
    }

    /// The line of exactly this position.
    pub(super) fn find(&self, mut tree: Link, position: u64) -> Link {
        while let Some(id) = tree {
            self.step();
            tree = match position.cmp(&self.position(id)) {
                std::cmp::Ordering::Equal => return Some(id),
                std::cmp::Ordering::Less => self.at(id).left,
                std::cmp::Ordering::Greater => self.at(id).right,
            };
        }
        None
    }

    /// The line with the oldest caller among those that demand more than `above` and at most `up_to`.
    pub(super) fn oldest(&self, tree: Link, above: Option<u64>, up_to: Option<u64>) -> Option<(Rank, u32)> {
        let id = tree?;
        self.step();
        let line = self.at(id);
        if above.is_none() && up_to.is_none() {
            return line.oldest;
        }
        let position = self.position(id);
        if above.is_some_and(|above| position <= above) {
            return self.oldest(line.right, above, up_to);
        }
        if up_to.is_some_and(|up_to| position > up_to) {
            return self.oldest(line.left, above, up_to);
        }
        let own = line.first.map(|rank| (rank, id));
        let within = [
            own,
            self.oldest(line.left, above, None),
            self.oldest(line.right, None, up_to),
        ];
        within.into_iter().flatten().min()
    }

    /// Adds a line, and returns the tree's root.
    pub(super) fn insert(&mut self, tree: Link, id: u32) -> u32 {
        let Some(root) = tree else {
            self.update(id);
            return id;
        };
        self.step();
        let position = self.position(id);
        if height(position) > height(self.position(root)) {
            (self.at_mut(id).left, self.at_mut(id).right) = self.split(tree, position);
            self.update(id);
            return id;
        }
        if position < self.position(root) {
            self.at_mut(root).left = Some(self.insert(self.at(root).left, id));
        } else {
            self.at_mut(root).right = Some(self.insert(self.at(root).right, id));
        }
        self.update(root);
        root
    }

    /// Takes the line of a position out, and returns the tree's root.
    pub(super) fn remove(&mut self, tree: Link, position: u64) -> Link {
        let root = tree?;
        self.step();
        let (left, right) = (self.at(root).left, self.at(root).right);
        match position.cmp(&self.position(root)) {
            std::cmp::Ordering::Equal => return self.merge(left, right),
            std::cmp::Ordering::Less => self.at_mut(root).left = self.remove(left, position),
            std::cmp::Ordering::Greater => self.at_mut(root).right = self.remove(right, position),
        }
        self.update(root);
        tree
    }

    /// The first caller of the line of a position has changed.
    pub(super) fn changed(&mut self, tree: Link, position: u64) {
        let Some(root) = tree else { return };
        self.step();
        match position.cmp(&self.position(root)) {
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Less => self.changed(self.at(root).left, position),
            std::cmp::Ordering::Greater => self.changed(self.at(root).right, position),
        }
        self.update(root);
    }

    /// All lines of a tree.
    pub(super) fn each(&self, tree: Link, visit: &mut impl FnMut(u32)) {
        if let Some(root) = tree {
            self.each(self.at(root).left, visit);
            visit(root);
            self.each(self.at(root).right, visit);
        }
    }

    /// What lies below the position, and what above.
    fn split(&mut self, tree: Link, position: u64) -> (Link, Link) {
        let Some(root) = tree else { return (None, None) };
        self.step();
        if self.position(root) < position {
            let (low, high) = self.split(self.at(root).right, position);
            self.at_mut(root).right = low;
            self.update(root);
            (tree, high)
        } else {
            let (low, high) = self.split(self.at(root).left, position);
            self.at_mut(root).left = high;
            self.update(root);
            (low, tree)
        }
    }

    /// One tree of two, all of the first below all of the second.
    fn merge(&mut self, low: Link, high: Link) -> Link {
        let (Some(a), Some(b)) = (low, high) else {
            return low.or(high);
        };
        self.step();
        if height(self.position(a)) > height(self.position(b)) {
            self.at_mut(a).right = self.merge(self.at(a).right, high);
            self.update(a);
            low
        } else {
            self.at_mut(b).left = self.merge(low, self.at(b).left);
            self.update(b);
            high
        }
    }

    fn update(&mut self, id: u32) {
        let line = self.at(id);
        let below = |link: Link| link.and_then(|child| self.at(child).oldest);
        let own = line.first.map(|rank| (rank, id));
        let oldest = [own, below(line.left), below(line.right)];
        self.at_mut(id).oldest = oldest.into_iter().flatten().min();
    }
}
