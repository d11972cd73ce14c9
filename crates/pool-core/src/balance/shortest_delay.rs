//! Shortest expected delay: the endpoint on which a request would be answered first, as far as answers so far tell. The
//! rule is that of Linux Virtual Server's scheduler of this name ((requests + 1) / capacity); here the capacity is learned.
//!
//! What requests on an endpoint take on average is known, and how many were under way on it then. With as many under way
//! one more will take as long; with twice as many, up to twice. So an endpoint that works on many requests at once without
//! getting slower draws more of them in, and one that queues them gets less, though nobody has told how many each can bear.
//! An endpoint with fewer under way than half of the mean of all is taken as if that were its usual load: so who has been
//! out, or is new, is no stranger for ever.
//!
//! Of several equals one is drawn at random. The weight is a handicap.

use super::{Balancer, Candidates, PickCx};

/// Endpoints that are looked at; of more, so many are drawn.
const LOOKS: usize = 16;

/// The share of the mean load that every endpoint is thought to bear.
const EVENING: f64 = 0.5;

/// Takes the endpoint on which a request will probably be answered first.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShortestDelay;

/// What is compared.
#[derive(Clone, Copy, Default)]
struct Look {
    index: usize,
    in_flight: f64,
    mean: f64,
    crowd: f64,
    weight: f64,
}

impl ShortestDelay {
    /// The balancer.
    pub const fn new() -> Self {
        Self
    }
}

/// Looks at all candidates from a random one on, or at some. Returns how many.
fn look(among: &Candidates<'_>, cx: &PickCx<'_>, looks: &mut [Look; LOOKS]) -> usize {
    let len = among.len();
    let (start, tick) = (cx.below(len), among.tick(cx.now()));
    let mut count = 0;
    for step in 0..len.min(LOOKS) {
        let index = if len <= LOOKS {
            (start + step) % len
        } else {
            cx.below(len)
        };
        let Some(candidate) = among.get(index) else {
            continue;
        };
        let (mean, crowd) = candidate.expectation_at(tick);
        looks[count] = Look {
            index,
            in_flight: candidate.in_flight() as f64,
            mean: mean * candidate.handicap_at(among.now()),
            crowd,
            weight: candidate.weight(),
        };
        count += 1;
    }
    count
}

/// The first that has the shortest expected delay, and how many have it.
fn shortest(among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<(usize, usize)> {
    let mut looks = [Look::default(); LOOKS];
    let count = look(among, cx, &mut looks);
    let looks = &looks[..count];
    let usual = looks.iter().map(|look| look.crowd).sum::<f64>() / count as f64;
    let mut best: Option<(usize, usize, f64)> = None;
    for look in looks {
        let load = (look.in_flight + 1.0) / (look.crowd.max(EVENING * usual) + 1.0);
        let delay = look.mean * load / look.weight;
        match &mut best {
            Some((_, _, least)) if delay > *least => {}
            Some((_, equals, least)) if delay == *least => *equals += 1,
            _ => best = Some((look.index, 1, delay)),
        }
    }
    best.map(|(index, equals, _)| (index, equals))
}

impl Balancer for ShortestDelay {
    fn observes(&self) -> bool {
        false
    }

    fn pick(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        shortest(among, cx).map(|(index, _)| index)
    }

    fn peek(&self, among: &Candidates<'_>, cx: &PickCx<'_>) -> Option<usize> {
        // it keeps nothing; equals, and more than it looks at, are drawn
        let (index, equals) = shortest(among, cx)?;
        (equals == 1 && among.len() <= LOOKS).then_some(index)
    }
}
