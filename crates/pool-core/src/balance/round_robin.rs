//! Smooth weighted round robin, as nginx has it (`ngx_http_upstream_round_robin.c`, 2012): at each pick every candidate
//! gains its weight, the richest is picked and pays the sum of all weights. The picks of a heavy endpoint are spread
//! out instead of coming in a burst. With equal weights it is plain round robin, and then costs one atomic addition.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use super::{Balancer, Candidates, PickCx};

/// Takes the endpoints in turn, in proportion to their weights.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: AtomicUsize,
    /// What each endpoint has gained and not yet paid, by its key; used only when weights differ.
    credit: Mutex<Vec<f64>>,
}

impl RoundRobin {
    /// A balancer that starts with the first endpoint.
    pub fn new() -> Self {
        Self::default()
    }

    /// The richest after a round of gains, and what everybody has then.
    fn weighted(among: &Candidates<'_>, credit: &mut Vec<f64>) -> Option<usize> {
        let mut best: Option<(usize, usize, f64)> = None;
        let mut sum = 0.0;
        for (index, candidate) in among.iter().enumerate() {
            if credit.len() <= candidate.key() {
                credit.resize(candidate.key() + 1, 0.0);
            }
            let own = &mut credit[candidate.key()];
            *own += candidate.weight();
            sum += candidate.weight();
            if best.is_none_or(|(_, _, richest)| *own > richest) {
                best = Some((index, candidate.key(), *own));
            }
        }
        let (index, key, _) = best?;
        credit[key] -= sum;
        Some(index)
    }
}

/// Whether all weigh the same; `None` if there are none.
fn equal(among: &Candidates<'_>) -> Option<bool> {
    let first = among.get(0)?.weight();
    Some(among.iter().all(|candidate| candidate.weight() == first))
}

impl Balancer for RoundRobin {
    fn observes(&self) -> bool {
        false
    }

    fn pick(&self, among: &Candidates<'_>, _: &PickCx<'_>) -> Option<usize> {
        if equal(among)? {
            return Some(self.next.fetch_add(1, Ordering::Relaxed) % among.len());
        }
        let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
        Self::weighted(among, &mut credit)
    }

    fn peek(&self, among: &Candidates<'_>, _: &PickCx<'_>) -> Option<usize> {
        if equal(among)? {
            return Some(self.next.load(Ordering::Relaxed) % among.len());
        }
        let mut copy = self.credit.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self::weighted(among, &mut copy)
    }
}
