//! Drawing candidates at random, in proportion to their weights.
//!
//! By stochastic acceptance (Lipowski and Lipowska, Physica A 391, 2012): draw uniformly, accept with a probability of
//! weight over the heaviest weight, else draw again. With equal weights the first draw is accepted, so the cost does not
//! grow with the number of candidates. Very uneven weights would draw often; after a few draws one pass over all
//! candidates decides exactly.

use super::{Candidate, Candidates, PickCx};

/// Draws before the exact pass.
const TRIES: u32 = 16;

/// One candidate, but not the one at `except`; `None` if there is no other.
// a third of what a P2C pick costs would be handing the candidate over
#[inline(always)]
pub(super) fn weighted<'a>(
    among: &Candidates<'a>,
    except: Option<usize>,
    cx: &PickCx<'_>,
) -> Option<(usize, Candidate<'a>)> {
    let index = uniform(among.len(), except, cx)?;
    let candidate = among.get(index)?;
    if accepts(among, &candidate, cx) {
        return Some((index, candidate));
    }
    again(among, except, cx)
}

#[inline]
fn accepts(among: &Candidates<'_>, candidate: &Candidate<'_>, cx: &PickCx<'_>) -> bool {
    let weight = candidate.weight();
    weight >= among.heaviest() || cx.share() * among.heaviest() < weight
}

#[cold]
fn again<'a>(
    among: &Candidates<'a>,
    except: Option<usize>,
    cx: &PickCx<'_>,
) -> Option<(usize, Candidate<'a>)> {
    for _ in 1..TRIES {
        let index = uniform(among.len(), except, cx)?;
        let candidate = among.get(index)?;
        if accepts(among, &candidate, cx) {
            return Some((index, candidate));
        }
    }
    exactly(among, except, cx)
}

/// An index below `len`, but not `except`; each as likely as the other.
#[inline]
pub(super) fn uniform(len: usize, except: Option<usize>, cx: &PickCx<'_>) -> Option<usize> {
    let others = len.checked_sub(usize::from(except.is_some()))?;
    if others == 0 {
        return None;
    }
    let index = cx.below(others);
    Some(index + usize::from(except.is_some_and(|except| index >= except)))
}

fn exactly<'a>(
    among: &Candidates<'a>,
    except: Option<usize>,
    cx: &PickCx<'_>,
) -> Option<(usize, Candidate<'a>)> {
    let all = || {
        let numbered = (0..among.len()).filter_map(|index| Some((index, among.get(index)?)));
        numbered.filter(move |(index, _)| Some(*index) != except)
    };
    let sum: f64 = all().map(|(_, candidate)| candidate.weight()).sum();
    let mut left = cx.share() * sum;
    let mut last = None;
    for (index, candidate) in all() {
        left -= candidate.weight();
        last = Some((index, candidate));
        if left < 0.0 {
            break;
        }
    }
    last
}
