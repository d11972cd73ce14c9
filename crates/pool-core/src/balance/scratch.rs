//! Lists of keys that are needed for one pick only, kept by each thread so that a pick does not allocate.

use std::cell::RefCell;

thread_local! {
    static LISTS: RefCell<Vec<Vec<u32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends an empty list. A list that a panic keeps from coming back is replaced by a new one.
pub(crate) fn with_list<T>(use_it: impl FnOnce(&mut Vec<u32>) -> T) -> T {
    let mut list = LISTS.with_borrow_mut(Vec::pop).unwrap_or_default();
    list.clear();
    let result = use_it(&mut list);
    LISTS.with_borrow_mut(|lists| lists.push(list));
    result
}
