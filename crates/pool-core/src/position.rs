//! How far a pool's endpoints have got, and who is behind.

/// The position that the pool holds its endpoints against: sorted descending, the one at index ⌊N/2⌋ counted from 0.
///
/// So a strict majority must lie before a wrong reference results: one node that lies high among three, or two among
/// five, does not make the honest ones look late. With two nodes it is the lower one (nobody can tell which is right),
/// with one it is the node itself.
///
/// Positions of other endpoints are a little older than that of the endpoint in question, which only makes the
/// reference lower: age never makes an endpoint look late.
pub fn reference(positions: &mut [u64]) -> Option<u64> {
    positions.sort_unstable_by(|a, b| b.cmp(a));
    positions.get(positions.len() / 2).copied()
}

/// The [`reference()`] with one vote for each provider: what its endpoints say together, found in the same way. An endpoint
/// without a provider votes for itself.
///
/// The endpoints of a provider share a back end, and its mistakes: without this, two of three endpoints with one provider
/// that lies high would make the third look late.
///
/// It takes a look at each endpoint, and for those with a provider at each provider.
pub(crate) fn reference_by<P: PartialEq>(said: impl Iterator<Item = (Option<P>, u64)>) -> Option<u64> {
    let (mut votes, mut providers) = (Vec::new(), Vec::<(P, Vec<u64>)>::new());
    for (provider, position) in said {
        let Some(provider) = provider else {
            votes.push(position);
            continue;
        };
        match providers.iter_mut().find(|(known, _)| *known == provider) {
            Some((_, positions)) => positions.push(position),
            None => providers.push((provider, vec![position])),
        }
    }
    let theirs = providers.iter_mut();
    votes.extend(theirs.filter_map(|(_, positions)| reference(positions)));
    reference(&mut votes)
}

#[cfg(test)]
mod tests {
    use super::{reference, reference_by};

    #[test]
    fn a_provider_has_one_vote() {
        let votes = |said: &[(Option<&'static str>, u64)]| reference_by(said.iter().copied());
        let (liar, honest) = (Some("liar"), Some("honest"));
        assert_eq!(votes(&[]), None);
        assert_eq!(votes(&[(liar, 900), (liar, 901), (None, 7)]), Some(7));
        assert_eq!(
            votes(&[(liar, 900), (liar, 901), (liar, 902), (None, 7), (honest, 8)]),
            Some(8)
        );
        assert_eq!(
            votes(&[(None, 900), (None, 901), (None, 7)]),
            Some(900),
            "no provider is none in common"
        );
        assert_eq!(
            votes(&[(honest, 7), (honest, 8), (honest, 900)]),
            Some(8),
            "within it the same"
        );
    }

    #[test]
    fn a_minority_cannot_move_it_up() {
        assert_eq!(reference(&mut []), None);
        assert_eq!(reference(&mut [7]), Some(7));
        assert_eq!(reference(&mut [7, 900]), Some(7));
        assert_eq!(reference(&mut [100, u64::MAX, 99]), Some(100));
        assert_eq!(reference(&mut [100, u64::MAX, u64::MAX, 99, 98]), Some(100));
    }

    #[test]
    fn a_minority_cannot_move_it_down() {
        assert_eq!(reference(&mut [100, 100, 3]), Some(100));
    }
}
