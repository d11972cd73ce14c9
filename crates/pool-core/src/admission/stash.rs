//! Clean connections that lie ready, so that whoever takes a slot gets a connection under the same lock.
//!
//! The storage (deadpool) stays their owner: for it what lies here is in use, so its limit counts it. Going through the
//! storage for each request would cost more than all that is done here.
//!
//! *The storage always has room for who needs it.* Connections out of the storage are with those who hold a slot, or lie
//! here; let `out` be their number and `bare` that of the slots taken whose holder has none yet. Then `out + bare` is at
//! most the slots taken plus what lies here, and that sum never exceeds the slots there have been:
//!
//! - who takes a slot takes a connection from here if there is one, so then the sum stays; else nothing lies here, and
//!   the slots taken are at most all;
//! - who frees a slot leaves its connection here or not: the sum stays or falls.
//!
//! Slots that become fewer do not matter, because the storage's limit is never lowered. Whoever takes connections out of
//! here to put them back ([`Admission::take_stash`] and the like) has them in hand for a moment, and a caller who comes
//! just then looks again.
//!
//! Nothing is dropped under the lock.

use super::{Admission, State};

/// See the module's text.
#[derive(Debug)]
pub(super) struct Stash<O> {
    /// By the endpoint's key; the one that came last is on top.
    ready: Vec<Vec<O>>,
    /// The pool is no more: nothing is taken in.
    ended: bool,
}

impl<O> Stash<O> {
    pub(super) const fn new() -> Self {
        Self {
            ready: Vec::new(),
            ended: false,
        }
    }

    /// The connection that has rested least.
    #[inline]
    pub(super) fn pop(&mut self, key: u32) -> Option<O> {
        self.ready.get_mut(key as usize)?.pop()
    }

    #[inline]
    fn push(&mut self, key: u32, object: O) {
        match self.ready.get_mut(key as usize) {
            Some(ready) => ready.push(object),
            None => self.push_first(key as usize, object),
        }
    }

    #[cold]
    fn push_first(&mut self, key: usize, object: O) {
        self.ready.resize_with(key + 1, Vec::new);
        self.ready[key].push(object);
    }

    #[inline]
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// All of one endpoint, the one that has rested longest first.
    pub(super) fn take(&mut self, key: u32) -> Vec<O> {
        self.take_while(key, |_| true)
    }

    fn take_while(&mut self, key: u32, take: impl FnMut(&O) -> bool) -> Vec<O> {
        let Some(ready) = self.ready.get_mut(key as usize) else {
            return Vec::new();
        };
        let mut take = take;
        let kept = ready.iter().position(|object| !take(object));
        // the list keeps its capacity, so that it is not allocated again
        ready.drain(..kept.unwrap_or(ready.len())).collect()
    }

    #[cfg(test)]
    pub(super) fn of(&self, key: u32) -> &[O] {
        self.ready.get(key as usize).map_or(&[], Vec::as_slice)
    }
}

impl<O> Admission<O> {
    /// Lays a connection away whose slot is becoming free. If that cannot be it is left where it was, to be put back
    /// before the slot is free; then the answer is `false`.
    #[inline]
    pub(super) fn stow(state: &mut State<O>, key: u32, object: &mut Option<O>) -> bool {
        if object.is_none() {
            return true;
        }
        if !state.takes_back() || !state.gates[key as usize].is_member() {
            return false;
        }
        if let Some(object) = object.take() {
            state.stash.push(key, object);
        }
        true
    }

    /// A connection that lies ready, for the holder of a slot who has none.
    pub(crate) fn take_one(&self, key: u32) -> Option<O> {
        self.lock().stash.pop(key)
    }

    /// What lies ready of an endpoint, the one that has rested longest first; to be put back into the storage.
    pub(crate) fn take_stash(&self, key: u32) -> Vec<O> {
        self.lock().stash.take(key)
    }

    /// The same, only as long as this is true. It is asked under the lock.
    pub(crate) fn take_rested(&self, key: u32, rested: impl FnMut(&O) -> bool) -> Vec<O> {
        self.lock().stash.take_while(key, rested)
    }

    /// What lies ready of all endpoints. From now on nothing is laid away any more.
    pub(crate) fn end_stash(&self) -> Vec<O> {
        let mut state = self.lock();
        state.stash.ended = true;
        std::mem::take(&mut state.stash.ready)
            .into_iter()
            .flatten()
            .collect()
    }

    /// Looks at what lies ready of an endpoint, under the lock.
    pub(crate) fn each_ready(&self, key: u32, each: impl FnMut(&O)) {
        if let Some(ready) = self.lock().stash.ready.get(key as usize) {
            ready.iter().for_each(each);
        }
    }
}
