//! Shares against what they should be, by Pearson's chi-square test.
//!
//! A right balancer fails at most once in 1,000,000 seeds: the limit is by Wilson and Hilferty's approximation, which is
//! too high rather than too low here. Runs are seeded, so they repeat. `POOL_CORE_SEED=7 cargo test -p pool-core distribution` takes another seed.

use super::{
    testing::{Field, members},
    *,
};

const ROUNDS: usize = 60_000;

fn seed() -> u64 {
    let seed = std::env::var("POOL_CORE_SEED").ok();
    seed.and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// The value that chi-square with so many degrees of freedom exceeds at most once in a million times.
fn limit(freedom: f64) -> f64 {
    let z = 4.753;
    let a = 2.0 / (9.0 * freedom);
    freedom * (1.0 - a + z * a.sqrt()).powi(3)
}

fn chi_square(counts: &[usize], shares: &[f64]) -> f64 {
    let rounds: usize = counts.iter().sum();
    let sum: f64 = shares.iter().sum();
    let terms = counts.iter().zip(shares).map(|(count, share)| {
        let expected = rounds as f64 * share / sum;
        (*count as f64 - expected).powi(2) / expected
    });
    terms.sum()
}

#[track_caller]
fn fits(what: &str, counts: &[usize], shares: &[f64]) {
    let chi = chi_square(counts, shares);
    let limit = limit(counts.len() as f64 - 1.0);
    println!(
        "{what}: {counts:?}, chi-square {chi:.1}, limit {limit:.1}, seed {}",
        seed()
    );
    assert!(
        chi < limit,
        "{what}: {counts:?} for {shares:?}: {chi:.1} is above {limit:.1}, seed {}",
        seed()
    );
}

fn field(weights: &[f64]) -> Field {
    let idle: Vec<_> = weights.iter().map(|weight| (*weight, 0)).collect();
    let mut field = members(&idle);
    field.seed = seed().wrapping_mul(1_000_003);
    field
}

#[test]
fn the_limit_is_right_and_can_be_exceeded() {
    // exact for two degrees of freedom: -2 ln(1e-6) = 27.63
    assert!((27.63..31.0).contains(&limit(2.0)), "{}", limit(2.0));
    assert!(chi_square(&[600, 400], &[1.0, 1.0]) > limit(1.0));
}

#[test]
fn idle_endpoints_share_by_weight() {
    let equal = [1.0; 5];
    let uneven = [4.0, 2.0, 1.0, 0.5];
    let extreme = [1000.0, 1.0, 1.0];
    for weights in [&equal[..], &uneven, &extreme] {
        let counts = field(weights).tally(&Random, ROUNDS);
        fits("random", &counts, weights);
        let counts = field(weights).tally(&P2c, ROUNDS);
        fits("p2c", &counts, weights);
        let sampled = SampledLeastRequests::new();
        fits("sampled", &field(weights).tally(&sampled, ROUNDS), weights);
    }
}

/// The heavy endpoint is away, so hardly any draw is accepted and the exact pass decides.
#[test]
fn the_light_ones_share_by_weight_too() {
    let mut field = field(&[1e6, 3.0, 2.0, 1.0]);
    let mut counts = [0; 3];
    for _ in 0..ROUNDS {
        counts[field.pick_of(&Random, &[1, 2, 3]).unwrap()] += 1;
    }
    fits("random", &counts, &[3.0, 2.0, 1.0]);
}

#[test]
fn idle_endpoints_of_equal_latency_share_equally() {
    for kind in [BalancerKind::PeakEwma, BalancerKind::Prequal] {
        for count in [2, 3, 7] {
            let counts = field(&vec![1.0; count]).tally(&kind.build(), ROUNDS);
            fits(kind.as_str(), &counts, &vec![1.0; count]);
        }
    }
    // more than Prequal looks at
    let counts = field(&[1.0; 40]).tally(&Prequal::new(), ROUNDS);
    fits("prequal of 40", &counts, &[1.0; 40]);
}

/// Of two drawn the busier is never taken: among n, whoever has k that are less loaded gets the pairs with the others.
#[test]
fn p2c_shares_by_rank() {
    let mut field = members(&[(1.0, 3), (1.0, 0), (1.0, 2), (1.0, 1)]);
    field.seed = seed();
    let counts = field.tally(&P2c, ROUNDS);
    assert_eq!(counts[0], 0);
    fits("p2c by rank", &counts[1..], &[3.0, 1.0, 2.0]);
}

#[test]
fn keys_share_by_weight() {
    for weights in [&[1.0; 5][..], &[4.0, 2.0, 1.0]] {
        let mut field = field(weights);
        let mut counts = vec![0; weights.len()];
        // nobody is too busy: the bound alone would move keys
        let balancer = BoundedHash::with_bound(100.0).unwrap();
        for key in 0..ROUNDS as u64 {
            field.key = Some(key);
            counts[field.pick(&balancer).unwrap()] += 1;
        }
        fits("keys one after the other", &counts, weights);
    }
}

/// The load bound holds at every step: nobody has more than 1.25 times the mean, rounded up.
#[test]
fn the_bound_holds_under_random_keys() {
    let mut field = Field::new([(1.0, 0, 0); 6]);
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut held = Vec::new();
    for step in 0..20_000 {
        if held.len() < 60 && (held.is_empty() || rng.bool()) {
            // few keys, so that some endpoints are wanted far too much
            field.key = Some(rng.u64(..3));
            let picked = field.pick(&BoundedHash::new()).unwrap();
            field.members[picked].slot_taken();
            held.push(picked);
            let share = (1.25 * held.len() as f64 / 6.0).ceil() as u64;
            let load = field.members[picked].in_flight();
            assert!(
                load <= share,
                "step {step}, seed {}: {load} of {}",
                seed(),
                held.len()
            );
        } else {
            let gone = held.swap_remove(rng.usize(..held.len()));
            field.members[gone].slot_freed();
        }
    }
}
