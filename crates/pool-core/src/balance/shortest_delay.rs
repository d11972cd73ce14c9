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
use crate::expectation::Outlook;

/// Endpoints that are looked at; of more, so many are drawn.
const LOOKS: usize = 16;

/// The share of the mean load that every endpoint is thought to bear.
const EVENING: f64 = 0.5;

/// Delays up to so many times the shortest are as good as it. Means that move by 0.15 towards each answer keep 28 % of the
/// answers' own spread (the square root of 0.15 / 1.85); answers of remote nodes spread by about half of their mean, so two
/// equal endpoints differ by a fifth from chance alone.
const ALIKE: f64 = 1.25;

/// Takes the endpoint on which a request will probably be answered first.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShortestDelay;

/// What is compared.
#[derive(Clone, Copy, Default)]
struct Look {
    index: usize,
    /// Requests that would be under way on it, for its weight.
    load: f64,
    known: Option<Outlook>,
    full: bool,
}

impl ShortestDelay {
    /// The balancer.
    pub const fn new() -> Self {
        Self
    }
}

/// Looks at all candidates, or at some. Returns how many.
fn look(among: &Candidates<'_>, cx: &PickCx<'_>, looks: &mut [Look; LOOKS]) -> usize {
    let (len, tick) = (among.len(), among.tick(cx.now()));
    let mut count = 0;
    for step in 0..len.min(LOOKS) {
        let index = if len <= LOOKS { step } else { cx.below(len) };
        let Some(candidate) = among.get(index) else {
            continue;
        };
        looks[count] = Look {
            index,
            load: candidate.load_at(among.now()),
            known: candidate.expectation_at(tick),
            full: candidate.is_full(),
        };
        count += 1;
    }
    count
}

/// Those with about the shortest expected delay: how many, and their indices.
fn shortest(among: &Candidates<'_>, cx: &PickCx<'_>) -> (usize, [usize; LOOKS]) {
    let mut looks = [Look::default(); LOOKS];
    let count = look(among, cx, &mut looks);
    let looks = &looks[..count];
    let known = || looks.iter().filter_map(|look| look.known);
    let (crowds, of) = known().fold((0.0, 0.0), |(sum, of), one| (sum + one.crowd, of + 1.0));
    let usual = if of > 0.0 { crowds / of } else { 0.0 };
    let pace = |one: Outlook| one.mean / (one.crowd.max(EVENING * usual) + 1.0);
    // who is unknown may be as good as the best; its first answer will tell
    let best = known().map(pace).fold(f64::INFINITY, f64::min);
    let best = if best.is_finite() { best } else { 1.0 };
    let delay = |look: &Look| look.load * look.known.map_or(best, pace);
    let free = || looks.iter().filter(|look| !look.full);
    let least = free().map(delay).fold(f64::INFINITY, f64::min);
    let (mut equals, mut indices) = (0, [0; LOOKS]);
    for look in looks {
        // where all are full it does not matter who
        if least == f64::INFINITY || !look.full && delay(look) <= ALIKE * least {
            indices[equals] = look.index;
            equals += 1;
        }
    }
    (equals, indices)
}

impl Balancer for ShortestDelay {
    fn observes(&self) -> bool {
        false
    }

    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        match shortest(among, cx) {
            (0, _) => None,
            (1, [only, ..]) => Some(only),
            (equals, indices) => indices.get(cx.below(equals)).copied(),
        }
    }

    fn peek(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        // it keeps nothing; equals, and more than it looks at, are drawn
        match shortest(among, cx) {
            (1, [only, ..]) if among.len() <= LOOKS => Some(only),
            _ => None,
        }
    }
}
