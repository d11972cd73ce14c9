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

#[cfg(test)]
mod tests {
    use super::reference;

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
