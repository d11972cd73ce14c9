//! Chance that depends on nothing but the seed and what it is drawn for.
//!
//! What a call takes on a node is drawn from the call's number and the node's, not from a stream: so every contestant meets
//! the same luck, whatever it did before.

/// Spreads every bit of a number over all (the finaliser of `SplitMix64`; Steele, Lea and Flood 2014).
const fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in `0.0..1.0`, the same for the same seed, call, node and purpose.
pub(crate) fn share(seed: u64, call: u64, node: u64, purpose: u64) -> f64 {
    let mut state = seed;
    for part in [call, node, purpose] {
        state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ part.wrapping_mul(0xd134_2543_de82_ef95));
    }
    (mix(state) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number from the standard normal distribution, after Box and Muller (1958).
pub(crate) fn normal(seed: u64, call: u64, node: u64, purpose: u64) -> f64 {
    let radius = (-2.0 * (1.0 - share(seed, call, node, purpose)).ln()).sqrt();
    radius * (std::f64::consts::TAU * share(seed, call, node, purpose + 1)).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_independent_of_order() {
        let draws: Vec<f64> = (0..10_000).map(|call| share(7, call, 3, 0)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert_eq!(share(7, 42, 3, 0), draws[42]);
        assert_ne!(share(8, 42, 3, 0), draws[42]);
    }

    #[test]
    fn the_normal_distribution_has_its_quantiles() {
        let beyond = (0..100_000).filter(|call| normal(1, *call, 0, 0) > 1.96).count();
        // 2.5 % of them
        assert!((2_300..2_700).contains(&beyond), "{beyond}");
    }
}
