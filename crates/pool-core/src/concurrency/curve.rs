//! How long answers of one endpoint took, by how many requests were under way on it when each was asked for.
//!
//! That is noted with every answer, so it costs one addition and takes no lock: of each number of requests how many answers there
//! were, the sum of the logarithms of what they took, and the sum of their squares lie in one word. Logarithms, because answers
//! of remote nodes spread by factors. At each look all of it is taken out.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Numbers of requests that are told apart: each below 32, then eight for each doubling, and all from 480 on as one.
pub(super) const PLACES: usize = 63;

/// From here on several numbers share a place.
const EXACT: u64 = 32;

/// Where the parts of a word begin: the squares at 0, then the sum, then the number.
const SUM: u32 = 32;
const NUMBER: u32 = 52;

/// No more answers are noted of one number of requests between two looks: they tell enough, and threads that share a busy endpoint
/// then only read the word, instead of taking it from each other. Nor can any part of a word run over: each logarithm is below 256,
/// and a few threads may add at the same moment.
const MOST: u64 = 250;

/// Logarithms have so many binary places: what they are short of is little beside what answers spread by.
const FRACTION: u32 = 3;

/// The place of a number of requests.
#[inline]
const fn place(requests: u32) -> usize {
    let requests = requests as u64;
    if requests < EXACT {
        return requests.saturating_sub(1) as usize;
    }
    let doubling = requests.ilog2();
    let eighth = (requests >> (doubling - 3)) & 7;
    let place = EXACT as usize - 1 + 8 * (doubling - EXACT.ilog2()) as usize + eighth as usize;
    if place < PLACES { place } else { PLACES - 1 }
}

/// The smallest number of requests in a place.
pub(super) const fn least(place: usize) -> u32 {
    if place < EXACT as usize - 1 {
        return place as u32 + 1;
    }
    let beyond = place + 1 - EXACT as usize;
    let doubling = EXACT.ilog2() as usize + beyond / 8;
    ((8 + beyond % 8) << (doubling - 3)) as u32
}

/// About the binary logarithm of the microseconds, with [`FRACTION`] binary places: the bits of a floating point number are that,
/// up to 0.09 too little between two powers of two.
#[inline]
fn logarithm(latency: Duration) -> u64 {
    // as_micros() would count in 128 bits, and an attempt never takes so long that this runs over
    let micros = latency.as_secs().wrapping_mul(1_000_000) + u64::from(latency.subsec_micros());
    let bits = (micros.max(1) as i64 as f32).to_bits() >> (23 - FRACTION);
    u64::from(bits - (127 << FRACTION)).min(255)
}

/// The answers. See the module's text.
pub(super) struct Curve([AtomicU64; PLACES]);

impl fmt::Debug for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Curve").finish_non_exhaustive()
    }
}

impl Default for Curve {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; PLACES])
    }
}

impl Curve {
    /// An answer came after so long; so many requests were under way when it was asked for, itself among them.
    #[inline]
    pub(super) fn answered(&self, among: u32, latency: Duration) {
        let word = &self.0[place(among)];
        if word.load(Relaxed) >> NUMBER < MOST {
            let logarithm = logarithm(latency);
            word.fetch_add(
                (1 << NUMBER) + (logarithm << SUM) + logarithm * logarithm,
                Relaxed,
            );
        }
    }

    /// Takes out what has come since the last look.
    pub(super) fn take(&self) -> Answers {
        let mut answers = Answers::default();
        for (word, seen) in self.0.iter().zip(&mut answers.0) {
            if word.load(Relaxed) != 0 {
                *seen = Seen::of(word.swap(0, Relaxed));
            }
        }
        answers
    }
}

/// Answers to requests of which equally many were under way: their number, and sums of the natural logarithms of what they took
/// in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) squares: f64,
}

impl Seen {
    fn of(word: u64) -> Self {
        const SCALE: f64 = std::f64::consts::LN_2 / (1 << FRACTION) as f64;
        Self {
            count: (word >> NUMBER) as f64,
            sum: (word >> SUM & ((1 << (NUMBER - SUM)) - 1)) as f64 * SCALE,
            squares: (word & ((1 << SUM) - 1)) as f64 * SCALE * SCALE,
        }
    }
}

/// The answers of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Curves {
    /// All of them.
    pub(super) all: Curve,
    /// Those to requests that had waited in line.
    pub(super) waited: Curve,
}

impl Curves {
    /// An answer came after so long; so many requests were under way when it was asked for, itself among them.
    #[inline]
    pub(crate) fn answered(&self, among: u32, waited: bool, latency: Duration) {
        self.all.answered(among, latency);
        if waited {
            self.waited.answered(among, latency);
        }
    }
}

/// What came between two looks, place by place.
#[derive(Clone, Debug)]
pub(super) struct Answers(pub(super) [Seen; PLACES]);

impl Default for Answers {
    fn default() -> Self {
        Self([Seen::default(); PLACES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_and_places_rise() {
        for requests in 1..40 {
            assert!(least(place(requests)) <= requests, "{requests}");
        }
        let firsts: Vec<_> = (0..PLACES).map(least).collect();
        assert!(firsts.is_sorted_by(|a, b| a < b), "{firsts:?}");
        for (at, first) in firsts.iter().enumerate() {
            assert_eq!(
                (place(*first), place(first - 1)),
                (at, at.saturating_sub(1)),
                "{first}"
            );
        }
        assert_eq!(firsts[PLACES - 1], 480);
        assert_eq!(place(u32::MAX), PLACES - 1);
    }

    #[test]
    fn what_was_noted_comes_out_once() {
        let curve = Curve::default();
        for micros in [1_000, 2_000, 4_000] {
            curve.answered(3, Duration::from_micros(micros));
        }
        curve.answered(0, Duration::ZERO);
        let answers = curve.take();
        let Seen { count, sum, squares } = answers.0[2];
        let expected = 2_000_f64.ln();
        assert_eq!(count, 3.0);
        assert!((sum / count - expected).abs() < 0.1, "{sum}");
        let spread = squares / count - (sum / count).powi(2);
        assert!((spread - 2.0 / 3.0 * 2_f64.ln().powi(2)).abs() < 0.05, "{spread}");
        assert_eq!(
            answers.0[0],
            Seen {
                count: 1.0,
                sum: 0.0,
                squares: 0.0
            }
        );
        assert!(curve.take().0.iter().all(|seen| *seen == Seen::default()));
    }

    #[test]
    fn no_part_of_a_word_runs_over() {
        let curve = Curve::default();
        for _ in 0..10_000 {
            curve.answered(1, Duration::from_secs(3_600 * 24));
        }
        let seen = curve.take().0[0];
        assert_eq!(seen.count, MOST as f64);
        let longest = 255.0 / 8.0 * std::f64::consts::LN_2;
        assert!((seen.sum / seen.count - longest).abs() < 1e-6);
        assert!((seen.squares / seen.count - longest * longest).abs() < 1e-6);
    }
}
