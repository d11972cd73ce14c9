//! What an endpoint must be or offer to serve a caller at all.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    EndpointId, NotUsable, Requirements,
    need::{Need, NeedSet},
};

/// A caller's terms. Endpoints are named by their ids: an endpoint that joins while the caller waits is judged like any
/// other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Mostly there are none, and then they cost next to nothing.
    names: Option<Arc<Names>>,
    pub(crate) need: Option<Need>,
}

/// Endpoints by name.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    /// Only these; any when empty.
    only: Vec<EndpointId>,
    never: Vec<EndpointId>,
}

impl Terms {
    /// Any endpoint will do.
    pub(crate) const NONE: Self = Self {
        names: None,
        need: None,
    };

    #[inline]
    pub(crate) fn new(only: &[EndpointId], never: &[EndpointId], need: Option<Need>) -> Self {
        let named = !only.is_empty() || !never.is_empty();
        let names = || {
            Arc::new(Names {
                only: only.to_vec(),
                never: never.to_vec(),
            })
        };
        Self {
            names: named.then(names),
            need,
        }
    }

    /// The same names, and this need.
    pub(super) fn with_need(&self, need: Option<Need>) -> Self {
        Self {
            names: self.names.clone(),
            need,
        }
    }

    /// Whether any endpoint will do.
    #[inline]
    pub(crate) const fn are_none(&self) -> bool {
        self.names.is_none() && self.need.is_none()
    }

    /// Whether they name endpoints.
    #[inline]
    pub(crate) const fn name_endpoints(&self) -> bool {
        self.names.is_some()
    }

    /// Whether the endpoint of this id may serve the caller, whatever it offers.
    #[inline]
    pub(crate) fn allow(&self, id: &EndpointId) -> bool {
        self.names
            .as_deref()
            .is_none_or(|Names { only, never }| (only.is_empty() || only.contains(id)) && !never.contains(id))
    }
}

impl From<&Requirements> for Terms {
    #[inline]
    fn from(requirements: &Requirements) -> Self {
        Self::new(&requirements.only, &requirements.never, requirements.need)
    }
}

/// What an endpoint is known not to offer.
#[derive(Debug, Default)]
pub(crate) struct Lacks {
    /// What it has been asked about.
    asked: NeedSet,
    /// What it lacks now.
    lacking: NeedSet,
    /// What it was found to lack, and when that is forgotten. What it says itself is not in here, and stays.
    found: Vec<(Need, Instant)>,
}

impl Lacks {
    pub(super) const fn has(&self, need: Need) -> bool {
        self.lacking.has(need)
    }

    pub(super) const fn was_asked(&self, need: Need) -> bool {
        self.asked.has(need)
    }

    /// It was asked whether it offers this.
    pub(super) fn told(&mut self, need: Need, offers: bool) {
        self.asked.set(need, true);
        if !offers {
            self.found.retain(|(found, _)| *found != need);
            self.lacking.set(need, true);
        }
    }

    /// It was found to lack this, which is to be forgotten then.
    pub(super) fn find(&mut self, need: Need, until: Instant) {
        match self.found.iter_mut().find(|(found, _)| *found == need) {
            Some((_, old)) => *old = until,
            None if !self.lacking.has(need) => {
                self.lacking.set(need, true);
                self.found.push((need, until));
            }
            None => {}
        }
    }

    /// Forgets what it was found to lack, of what is chosen. Returns what that was.
    pub(super) fn forget(&mut self, which: impl Fn(Need, Instant) -> bool) -> Vec<Need> {
        let gone: Vec<Need> = self
            .found
            .iter()
            .filter(|(need, until)| which(*need, *until))
            .map(|(need, _)| *need)
            .collect();
        for need in &gone {
            self.found.retain(|(found, _)| found != need);
            self.lacking.set(*need, false);
        }
        gone
    }

    /// When it is asked for this again; `None` if never.
    pub(super) fn until(&self, need: Need) -> Option<Instant> {
        self.found
            .iter()
            .find(|(found, _)| *found == need)
            .map(|(_, until)| *until)
    }

    /// When time alone changes something next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.found.iter().map(|(_, until)| *until).min()
    }
}

impl super::Gate {
    /// Whether it may ever serve a caller of these terms, as far as is known.
    #[inline]
    pub(crate) fn suits(&self, terms: &Terms) -> bool {
        terms.need.is_none_or(|need| !self.lacks.has(need)) && terms.allow(&self.stats.id)
    }

    /// The same, and it has got so far.
    #[inline]
    pub(crate) fn meets(&self, min_position: Option<u64>, terms: &Terms) -> bool {
        self.reaches(min_position) && self.suits(terms)
    }

    /// Why it does not suit; `None` when it does.
    pub(super) fn why_unsuited(&self, terms: &Terms, now: Instant) -> Option<NotUsable> {
        if !terms.allow(&self.stats.id) {
            return Some(NotUsable::Excluded);
        }
        let need = terms.need.filter(|need| self.lacks.has(*need))?;
        let until = self.lacks.until(need);
        Some(NotUsable::Lacks {
            wait: until.map(|until| until.saturating_duration_since(now)),
        })
    }

    /// When it suits; `None` if never.
    pub(super) fn suits_from(&self, terms: &Terms, now: Instant) -> Option<Instant> {
        if !terms.allow(&self.stats.id) {
            return None;
        }
        match terms.need.filter(|need| self.lacks.has(*need)) {
            Some(need) => self.lacks.until(need),
            None => Some(now),
        }
    }
}
