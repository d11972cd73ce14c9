//! Which lane a thread records in.
//!
//! Threads get the lowest number that is free when they record for the first time, and give it back when they end. So those
//! that last, a runtime's workers, have low numbers, each its own, however many short-lived ones have come and gone.

use std::{
    cell::Cell,
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// No number yet.
const NONE: usize = usize::MAX;

thread_local! {
    // without a destructor, so that to read it is to read a word
    static OWN: Cell<usize> = const { Cell::new(NONE) };
    // gives the number back; looked at only when there is none
    static HELD: Held = Held(Numbers::lock().take());
}

/// This thread's number.
#[inline]
pub(super) fn own() -> usize {
    let own = OWN.get();
    if own == NONE { first() } else { own }
}

#[cold]
#[inline(never)]
fn first() -> usize {
    let taken = HELD.try_with(|held| {
        OWN.set(held.0);
        held.0
    });
    // what is recorded while the thread ends goes where others may be, too
    taken.unwrap_or(0)
}

/// A number, as long as its thread runs.
struct Held(usize);

impl Drop for Held {
    fn drop(&mut self) {
        OWN.set(NONE);
        Numbers::lock().give_back(self.0);
    }
}

/// The numbers that nobody has.
struct Numbers {
    given_back: BinaryHeap<Reverse<usize>>,
    /// None from here on was ever taken.
    next: usize,
}

impl Numbers {
    fn lock() -> MutexGuard<'static, Self> {
        static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers::new());
        // nothing under the lock can fail half-way
        NUMBERS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn new() -> Self {
        Self {
            given_back: BinaryHeap::new(),
            next: 0,
        }
    }

    fn take(&mut self) -> usize {
        if let Some(Reverse(number)) = self.given_back.pop() {
            return number;
        }
        self.next += 1;
        self.next - 1
    }

    fn give_back(&mut self, number: usize) {
        self.given_back.push(Reverse(number));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_lowest_number_that_is_free() {
        let mut numbers = Numbers::new();
        assert_eq!([(); 4].map(|()| numbers.take()), [0, 1, 2, 3]);
        numbers.give_back(2);
        numbers.give_back(0);
        assert_eq!([(); 3].map(|()| numbers.take()), [0, 2, 4]);
    }

    #[test]
    fn a_thread_keeps_its_number_and_shares_it_with_nobody_who_lives() {
        let mine = own();
        assert_eq!(own(), mine);
        for _ in 0..100 {
            let other = thread::spawn(own).join().unwrap();
            assert_ne!(other, mine);
            // other tests' threads take numbers, too; but not one for each thread that ever was
            assert!(other < 90, "{other} was not given back");
        }
    }

    /// What records in the destructor of a thread's own data comes after the number is gone.
    #[test]
    fn a_thread_that_ends_may_still_record() {
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                assert!(own() < NONE);
            }
        }
        thread_local!(static LATE: Late = const { Late });
        let ended = thread::spawn(|| {
            LATE.with(|_| ());
            own()
        });
        assert!(ended.join().is_ok());
    }
}
