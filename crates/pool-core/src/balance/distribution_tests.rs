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
    for kind in [
        BalancerKind::PeakEwma,
        BalancerKind::Prequal,
        BalancerKind::ShortestDelay,
    ] {
        for count in [2, 3, 7] {
            let counts = field(&vec![1.0; count]).tally(&kind.build(), ROUNDS);
            fits(kind.as_str(), &counts, &vec![1.0; count]);
        }
    }
    // more than Prequal looks at
    let counts = field(&[1.0; 40]).tally(&Prequal::new(), ROUNDS);
    fits("prequal of 40", &counts, &[1.0; 40]);
}

/// One request at a time, and so long between two. Latencies are log-normal with this spread, and one in a hundred is four
/// times as long, as those of the nodes in the fault traces are; without a spread none is.
fn quiet(field: &mut Field, rng: &mut fastrand::Rng, spread: f64, pause: u64) -> [usize; 5] {
    const ROUNDS: usize = 2_500;
    let medians = [40.0, 41.0, 42.0, 43.0, 44.0];
    let mut counts = [0; 5];
    for _ in 0..ROUNDS {
        let picked = field.pick(&ShortestDelay::new()).unwrap();
        counts[picked] += 1;
        let normal = (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
        let tail = if spread > 0.0 && rng.u8(..100) == 0 {
            4.0
        } else {
            1.0
        };
        let millis = medians[picked] * (spread * normal).exp() * tail;
        field.now += super::testing::ms(pause);
        field.members[picked].latency.answered_among(1);
        field.latency(picked, millis as u64, None);
    }
    println!(
        "{counts:?}, spread {spread}, one each {pause} ms, seed {}",
        seed()
    );
    counts
}

/// Who is a millisecond ahead gets no more than the others; without equals it would get nearly all.
#[test]
fn a_quiet_pool_uses_all_that_are_about_as_fast() {
    let mut rng = fastrand::Rng::with_seed(seed());
    let counts = quiet(&mut field(&[1.0; 5]), &mut rng, 0.0, 45);
    fits("a tenth apart", &counts, &[1.0; 5]);
    // where requests are rare, what is known of each fades between two of them, in turn
    for pause in [360, 3_000] {
        let counts = quiet(&mut field(&[1.0; 5]), &mut rng, 0.0, pause);
        let even = counts.iter().all(|count| (350..=650).contains(count));
        assert!(even, "{counts:?}, seed {}", seed());
    }
}

/// Nor does chance favour one for long: none gets less than a quarter of its share, or more than twice as much.
#[test]
fn a_quiet_pool_uses_all_however_their_answers_spread() {
    let mut rng = fastrand::Rng::with_seed(seed());
    let mut field = field(&[1.0; 5]);
    for pause in [45, 360, 3_000, 45, 360, 3_000] {
        let counts = quiet(&mut field, &mut rng, 0.35, pause);
        let even = counts.iter().all(|count| (125..=1_000).contains(count));
        assert!(even, "{counts:?}, seed {}", seed());
    }
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

/// Random weights, some of them far apart.
fn random_weights(rng: &mut fastrand::Rng) -> Vec<f64> {
    let count = rng.usize(2..=12);
    let weight = |rng: &mut fastrand::Rng| match rng.u8(..3) {
        0 => f64::from(rng.u8(1..=5)),
        1 => f64::from(rng.u8(1..=100)),
        _ => 0.01 + 50.0 * rng.f64(),
    };
    (0..count).map(|_| weight(rng)).collect()
}

/// At no moment has an endpoint been picked a whole pick more often than its share: what it owes is less than the sum of
/// the weights, because whoever pays was the richest. And nobody is left behind: by simulation the worst is 1.15 picks
/// with up to 12 endpoints. So the picks of a heavy endpoint are spread, and no row of them is longer than 2 / (1 - share).
#[test]
fn weighted_round_robin_has_no_bursts() {
    let mut rng = fastrand::Rng::with_seed(seed());
    for round in 0..150 {
        let weights = random_weights(&mut rng);
        let sum: f64 = weights.iter().sum();
        let (balancer, mut field) = (RoundRobin::new(), field(&weights));
        let mut counts = vec![0_usize; weights.len()];
        let (mut last, mut row) = (usize::MAX, 0);
        for picks in 1..=400 {
            let picked = field.pick(&balancer).unwrap();
            counts[picked] += 1;
            row = if picked == last { row + 1 } else { 1 };
            last = picked;
            let what = || {
                format!(
                    "{weights:?} after {picks}, round {round}, seed {}: {counts:?}",
                    seed()
                )
            };
            for (count, weight) in counts.iter().zip(&weights) {
                let ahead = *count as f64 - f64::from(picks) * weight / sum;
                assert!((-1.5..1.0).contains(&ahead), "{ahead} ahead: {}", what());
            }
            let share = weights[picked] / sum;
            assert!(f64::from(row) * (1.0 - share) < 2.0, "{row} in a row: {}", what());
        }
    }
}

/// Whole weights are met exactly in each period, however it is cut out of the sequence.
#[test]
fn weighted_round_robin_repeats_after_the_sum_of_weights() {
    let mut rng = fastrand::Rng::with_seed(seed());
    for _ in 0..100 {
        let whole: Vec<usize> = (0..rng.usize(2..8)).map(|_| rng.usize(1..10)).collect();
        let weights: Vec<f64> = whole.iter().map(|weight| *weight as f64).collect();
        let (balancer, mut field) = (RoundRobin::new(), field(&weights));
        let period: usize = whole.iter().sum();
        let row: Vec<_> = (0..3 * period).map(|_| field.pick(&balancer).unwrap()).collect();
        for start in 0..2 * period {
            let mut counts = vec![0; whole.len()];
            row[start..start + period]
                .iter()
                .for_each(|picked| counts[*picked] += 1);
            assert_eq!(counts, whole, "from {start}, seed {}", seed());
        }
    }
}

/// The full scan takes nobody that is not the least loaded for its weight, and those that are in turn.
#[test]
fn least_requests_is_exact_and_ties_share_equally() {
    let mut rng = fastrand::Rng::with_seed(seed());
    for _ in 0..200 {
        let count = rng.usize(2..9);
        let loads: Vec<(f64, u64)> = (0..count)
            .map(|_| ([0.5, 1.0, 2.0][rng.usize(..3)], rng.u64(..4)))
            .collect();
        let load = |(weight, load): &(f64, u64)| (load + 1) as f64 / weight;
        let least = loads.iter().map(load).fold(f64::INFINITY, f64::min);
        let tied = loads.iter().filter(|one| load(one) == least).count();
        let counts = members(&loads).tally(&LeastRequests::new(), 60 * tied);
        for (one, count) in loads.iter().zip(&counts) {
            let expected = if load(one) == least { 60 } else { 0 };
            assert_eq!(*count, expected, "{loads:?}: {counts:?}, seed {}", seed());
        }
    }
}

/// Of three drawn, with all loads different, whoever has rank `r` of `n` is the best in `(n-r)^3 - (n-r-1)^3` of `n^3`.
#[test]
fn sampled_and_peak_ewma_share_by_rank() {
    let loads = [(1.0, 3), (1.0, 0), (1.0, 2), (1.0, 1)];
    let mut field = members(&loads);
    field.seed = seed();
    let counts = field.tally(&SampledLeastRequests::new(), ROUNDS);
    fits("sampled by rank", &counts, &[1.0, 37.0, 7.0, 19.0]);
    // two drawn, never the same: by cost, which is latency times load
    let mut field = members(&[(1.0, 0); 4]);
    field.seed = seed();
    for (member, millis) in [(0, 400), (1, 100), (2, 300), (3, 200)] {
        field.latency(member, millis, None);
    }
    let counts = field.tally(&PeakEwma, ROUNDS);
    assert_eq!(counts[0], 0);
    fits("peak EWMA by rank", &counts[1..], &[3.0, 1.0, 2.0]);
}

/// The power of two choices: as many requests as endpoints, none of which ends. The fullest endpoint of a random choice
/// has about ln n / ln ln n of them, of two choices ln ln n / ln 2 and a constant (Mitzenmacher 2001).
#[test]
fn two_choices_keep_the_fullest_endpoint_low() {
    let fullest = |balancer: &dyn Balancer| {
        let mut field = field(&[1.0; 2_000]);
        let keys: Vec<u32> = (0..2_000).collect();
        for _ in 0..2_000 {
            let picked = field.pick_of(balancer, &keys).unwrap();
            field.members[picked].slot_taken();
        }
        let loads = field.members.iter().map(|member| member.in_flight());
        loads.max().unwrap()
    };
    let (random, p2c, three) = (
        fullest(&Random),
        fullest(&P2c),
        fullest(&SampledLeastRequests::new()),
    );
    println!(
        "fullest: random {random}, two {p2c}, three {three}, seed {}",
        seed()
    );
    assert!(random >= 5 && p2c <= 4 && three <= 4, "{random}, {p2c}, {three}");
}

/// An endpoint that leaves takes its own keys with it, and no others; they are its share by weight, within chance, and go
/// to the others by weight. When it returns, all are where they were.
#[test]
fn keys_move_by_an_endpoints_share_and_no_more() {
    const KEYS: u64 = 20_000;
    let uneven = [4.0, 2.0, 1.0, 1.0];
    for weights in [&[1.0; 2][..], &[1.0; 3], &[1.0; 10], &[1.0; 50], &uneven] {
        let mut field = field(weights);
        let balancer = BoundedHash::with_bound(100.0).unwrap();
        let all: Vec<u32> = (0..weights.len() as u32).collect();
        let mut homes = |keys: &[u32]| -> Vec<u32> {
            let home = |key| {
                field.key = Some(key);
                keys[field.pick_of(&balancer, keys).unwrap()]
            };
            (0..KEYS).map(home).collect()
        };
        let before = homes(&all);
        let (gone, rest) = all.split_first().unwrap();
        let after = homes(rest);
        let mut moved = vec![0; weights.len()];
        for (was, is) in before.iter().zip(&after) {
            assert!(was == gone || was == is, "a key moved that did not have to");
            moved[*is as usize] += usize::from(was != is);
        }
        let left: usize = moved.iter().sum();
        let share = weights[0] / weights.iter().sum::<f64>();
        let stayed = KEYS as usize - left;
        fits("keys that move", &[left, stayed], &[share, 1.0 - share]);
        if rest.len() > 1 {
            fits("where they move to", &moved[1..], &weights[1..]);
        }
        assert_eq!(homes(&all), before, "all are back");
    }
}

/// Whatever the balancer: never a tier above the lowest that has room, and when its room is back it is taken again.
#[test]
fn no_tier_is_skipped_or_left_too_early() {
    let mut rng = fastrand::Rng::with_seed(seed());
    for kind in BalancerKind::ALL {
        let balancer = Tiered::new(kind.build());
        for _ in 0..300 {
            let count = rng.usize(1..8);
            let one = |rng: &mut fastrand::Rng| {
                let load = if rng.bool() { 16 } else { rng.u64(..16) };
                ([0.5, 1.0, 3.0][rng.usize(..3)], load, rng.u8(..3))
            };
            let mut field = Field::new((0..count).map(|_| one(&mut rng)).collect::<Vec<_>>());
            field.seed = rng.u64(..);
            field.key = rng.bool().then(|| rng.u64(..100));
            for _ in 0..40 {
                let room = |member: &&Arc<crate::stats::Stats>| member.in_flight() < member.slots_max();
                let lowest = field
                    .members
                    .iter()
                    .filter(room)
                    .map(|member| member.tier())
                    .min();
                let picked = field.pick(&balancer).expect("there are candidates");
                let member = &field.members[picked];
                let Some(lowest) = lowest else {
                    break;
                };
                let what = || format!("{kind}, seed {}: {:?}", seed(), field.members);
                assert_eq!(member.tier(), lowest, "{}", what());
                assert!(room(&member), "{}", what());
                member.slot_taken();
                // now and then one comes back, perhaps of a lower tier
                let other = &field.members[rng.usize(..count)];
                if rng.bool() && other.in_flight() > 0 {
                    other.slot_freed();
                }
            }
        }
    }
}
