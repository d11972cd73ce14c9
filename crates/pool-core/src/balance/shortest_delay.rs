//! Shortest expected delay: the endpoint on which a request would be answered first, as far as answers so far tell. The
//! rule is that of Linux Virtual Server's scheduler of this name ((requests + 1) / capacity); here the capacity is learned.
//!
//! What requests on an endpoint take on average is known, and how many were under way on it then. With as many under way
//! one more will take as long; with twice as many, up to twice. So an endpoint that works on many requests at once without
//! getting slower draws more of them in, and one that queues them gets less, though nobody has told how many each can bear.
//! An endpoint with fewer under way than half of the mean of all is taken as if that were its usual load: so who has been
//! out, or is new, is no stranger for ever.
//!
//! Averages of a few answers differ by chance. Endpoints whose delays overlap within that are equals, and one of them is
//! drawn: a quiet pool spreads its requests over all that are about as fast, and their quotas with them, instead of giving
//! nearly all to the one that is a millisecond ahead. One that is slower by more gets a request now and then, one at a time,
//! when what is known of it has faded; and one that is not known yet is taken for as good as the best.
//!
//! Endpoints that are full are left out while others are not: the pool would not follow the pick, and take the one with the
//! fewest requests, which is just the one that bears the fewest. The weight is a handicap.

use super::{Balancer, Candidates, PickCx};

/// Endpoints that are looked at; of more, so many are drawn.
const LOOKS: usize = 16;

/// Most pools have no more endpoints: for so few less has to be made ready.
const FEW: usize = 4;

/// The share of the mean load that every endpoint is thought to bear.
const EVENING: f32 = 0.5;

/// Delays up to so many times the shortest are as good as it. Means that move by 0.15 towards each answer keep 28 % of the
/// answers' own spread (the square root of 0.15 / 1.85); answers of remote nodes spread by about half of their mean, so two
/// equal endpoints differ by a fifth from chance alone.
const ALIKE: f32 = 1.25;

/// Takes the endpoint on which a request will probably be answered first.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShortestDelay;

/// What is compared, candidate by candidate: one array for each figure, and short figures, so that a pick among few costs
/// little.
struct Looks<const N: usize> {
    count: usize,
    /// Of how many something is known, and what their crowds come to.
    known: u32,
    crowds: f32,
    /// Where it stands among the candidates.
    index: [u32; N],
    /// Requests that would be under way on it, for its weight; infinite on one that is full.
    load: [f32; N],
    /// What requests on it take on average; 0 where nothing is known.
    mean: [f32; N],
    /// Requests under way that go with it.
    crowd: [f32; N],
}

impl ShortestDelay {
    /// The balancer.
    pub const fn new() -> Self {
        Self
    }
}

/// Looks at all candidates, or at some.
#[inline]
fn look<const N: usize>(among: &Candidates<'_>, cx: &PickCx<'_>) -> Looks<N> {
    let (len, tick, now) = (among.len(), among.tick(cx.now()), among.now());
    let mut looks = Looks {
        count: 0,
        known: 0,
        crowds: 0.0,
        index: [0; N],
        load: [0.0; N],
        mean: [0.0; N],
        crowd: [0.0; N],
    };
    while looks.count < len.min(N) {
        let at = looks.count;
        let index = if len <= N { at } else { cx.below(len) };
        let Some(candidate) = among.get(index) else { break };
        looks.index[at] = index as u32;
        looks.load[at] = if candidate.is_full() {
            f32::INFINITY
        } else {
            candidate.load_at(now) as f32
        };
        if let Some(known) = candidate.expectation_at(tick) {
            (looks.mean[at], looks.crowd[at]) = (known.mean, known.crowd);
            looks.known += 1;
            looks.crowds += known.crowd;
        }
        looks.count += 1;
    }
    looks
}

/// The expected delay on each, and the shortest of them; infinite where all are full.
#[inline]
fn delays<const N: usize>(looks: &Looks<N>) -> ([f32; N], f32) {
    let count = looks.count.min(N);
    let bears = EVENING * looks.crowds / looks.known.max(1) as f32;
    let (mut delays, mut least, mut best) = ([0.0; N], f32::INFINITY, f32::INFINITY);
    // comparisons by hand: min() and max() look for NaN first, and there is none
    for (at, delay) in delays.iter_mut().enumerate().take(count) {
        let crowd = looks.crowd[at];
        let pace = looks.mean[at] / (if crowd > bears { crowd } else { bears } + 1.0);
        if pace > 0.0 {
            *delay = looks.load[at] * pace;
            best = if pace < best { pace } else { best };
            least = if *delay < least { *delay } else { least };
        }
    }
    if (looks.known as usize) < count {
        // who is unknown may be as good as the best; its first answer will tell
        let best = if looks.known > 0 { best } else { 1.0 };
        for at in (0..count).filter(|at| looks.mean[*at] == 0.0) {
            delays[at] = looks.load[at] * best;
            least = if delays[at] < least { delays[at] } else { least };
        }
    }
    (delays, least)
}

/// One of those with about the shortest expected delay, drawn by `draw` where there are several.
#[inline]
fn shortest<const N: usize>(
    among: &Candidates<'_>,
    cx: &PickCx<'_>,
    draw: impl FnOnce(usize) -> Option<usize>,
) -> Option<usize> {
    let looks = look::<N>(among, cx);
    let (delays, least) = delays(&looks);
    let delays = &delays[..looks.count];
    // where all are full that is infinite, and it does not matter who
    let most = ALIKE * least;
    let mut equals = 0;
    let mut index = [0_u32; N];
    for (delay, at) in delays.iter().zip(looks.index) {
        if *delay <= most {
            index[equals] = at;
            equals += 1;
        }
    }
    let drawn = if equals == 1 { 0 } else { draw(equals)? };
    index[..equals].get(drawn).map(|index| *index as usize)
}

impl Balancer for ShortestDelay {
    fn observes(&self) -> bool {
        false
    }

    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        if among.len() <= FEW {
            shortest::<FEW>(among, cx, |equals| Some(cx.below(equals)))
        } else {
            shortest::<LOOKS>(among, cx, |equals| Some(cx.below(equals)))
        }
    }

    fn peek(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        // it keeps nothing; equals, and more than it looks at, are drawn
        let told = among.len() <= LOOKS;
        told.then(|| shortest::<LOOKS>(among, cx, |_| None)).flatten()
    }
}
