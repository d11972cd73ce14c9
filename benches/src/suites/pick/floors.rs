//! What no choice can do without.

use std::{
    cell::Cell,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use anyhow::Result;

use super::{Make, Picker, on_threads};

pub(super) const PICKERS: [(&str, Make); 3] = [
    ("floor: next index", next),
    ("floor: the better of two", better_of_two),
    ("floor: least of all", least_of_all),
];

fn loads(endpoints: usize) -> Vec<AtomicU64> {
    (0..endpoints).map(|_| AtomicU64::new(0)).collect()
}

fn picker(threads: usize, pick: impl Fn() + Send + Sync + 'static) -> Picker {
    let pick: Arc<dyn Fn() + Send + Sync> = Arc::new(pick);
    Box::new(move |picks| on_threads(threads, picks, &pick))
}

fn next(endpoints: usize, threads: usize) -> Result<Picker> {
    let at = AtomicUsize::new(0);
    Ok(picker(threads, move || {
        black_box(at.fetch_add(1, Relaxed) % endpoints);
    }))
}

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) };
}

/// Xorshift: the cheapest chance there is.
fn draw() -> u64 {
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        x
    })
}

fn better_of_two(endpoints: usize, threads: usize) -> Result<Picker> {
    let loads = loads(endpoints);
    Ok(picker(threads, move || {
        let drawn = draw();
        let one = (drawn >> 32) as usize % endpoints;
        let other = drawn as u32 as usize % endpoints;
        let better = if loads[one].load(Relaxed) <= loads[other].load(Relaxed) {
            one
        } else {
            other
        };
        black_box(better);
    }))
}

fn least_of_all(endpoints: usize, threads: usize) -> Result<Picker> {
    let loads = loads(endpoints);
    Ok(picker(threads, move || {
        black_box(
            loads
                .iter()
                .enumerate()
                .min_by_key(|(_, load)| load.load(Relaxed)),
        );
    }))
}
