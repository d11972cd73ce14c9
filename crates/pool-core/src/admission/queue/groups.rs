//! Lines and groups, which come and go with those who stand in them.

use super::{Queue, Want};
use crate::{
    Priority,
    admission::{
        Terms,
        lines::{Line, Link},
    },
};

/// The groups that avoid nothing and have no terms stay for good, at the index of their priority, and so do their plain
/// lines.
pub(super) const LASTING: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// Lines of one priority and the same terms that avoid the same endpoints.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) avoid: Vec<u32>,
    pub(super) terms: Terms,
    pub(super) priority: Priority,
    /// The line of those who demand no position.
    pub(super) plain: Link,
    /// The tree of the lines that demand one.
    pub(super) tree: Link,
    pub(super) waiting: usize,
}

/// Which lines of a group an endpoint may serve.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Reach {
    /// Those who demand no position.
    pub(in super::super) plain: bool,
    /// Those who demand more than this...
    pub(in super::super) above: Option<u64>,
    /// ...and at most this; none if the endpoint's position is not known.
    pub(in super::super) up_to: Option<u64>,
}

impl Reach {
    /// None at all.
    pub(in super::super) const NOBODY: Self = Self {
        plain: false,
        above: None,
        up_to: None,
    };
}

/// Lines and groups, which come and go with those who stand in them.
impl<G> Queue<G> {
    /// The line for what is wanted, perhaps a new one.
    #[inline]
    pub(super) fn line_for(&mut self, want: &Want) -> u32 {
        if want.avoid.is_empty() && want.takes_anything() {
            return want.priority as u32;
        }
        self.special_line_for(want)
    }

    #[inline(never)]
    fn special_line_for(&mut self, want: &Want) -> u32 {
        let id = self.group(want);
        let group = &self.groups[id as usize];
        let there = match want.min_position {
            None => group.plain,
            Some(position) => self.lines.find(group.tree, position),
        };
        there.unwrap_or_else(|| {
            let line = self.lines.all.insert(Line::new(id, want.min_position)) as u32;
            let group = &mut self.groups[id as usize];
            if want.min_position.is_none() {
                group.plain = Some(line);
            } else {
                group.tree = Some(self.lines.insert(group.tree, line));
            }
            line
        })
    }

    fn group(&mut self, want: &Want) -> u32 {
        let need = want.terms.need.filter(|need| self.routed.has(*need));
        if want.avoid.is_empty() && need.is_none() && !want.terms.name_endpoints() {
            return want.priority as u32;
        }
        let terms = want.terms.with_need(need);
        let alike = |group: &Group| {
            group.priority == want.priority
                && group.terms == terms
                && group.avoid.iter().all(|key| want.avoid.contains(key))
                && want.avoid.iter().all(|key| group.avoid.contains(key))
        };
        let there = self.groups.iter().find(|(_, group)| alike(group));
        let id = there.map(|(id, _)| id);
        let new = || Group::new(want.avoid.clone(), terms, want.priority);
        id.unwrap_or_else(|| self.groups.insert(new())) as u32
    }

    /// Somebody else is the first of the line, or nobody.
    pub(super) fn head_changed(&mut self, id: u32) {
        let line = self.lines.at_mut(id);
        let first = line.ends.map(|(first, _)| self.nodes[first as usize].rank);
        line.first = first;
        if first.is_none() {
            line.patience = None;
        }
        let (group_id, position) = (line.group, line.min_position);
        let group = &mut self.groups[group_id as usize];
        if let Some(position) = position {
            if first.is_some() {
                self.lines.changed(group.tree, position);
            } else {
                group.tree = self.lines.remove(group.tree, position);
                self.lines.all.remove(id as usize);
            }
        }
        if group.waiting == 0 && group_id as usize >= LASTING.len() {
            let gone = self.groups.remove(group_id as usize);
            if let Some(plain) = gone.plain {
                self.lines.all.remove(plain as usize);
            }
        }
    }
}

impl Group {
    pub(super) const fn new(avoid: Vec<u32>, terms: Terms, priority: Priority) -> Self {
        Self {
            avoid,
            terms,
            priority,
            plain: None,
            tree: None,
            waiting: 0,
        }
    }
}
