//! What each balancer picks, on endpoints whose state is set by hand.

use super::{
    testing::{Field, members, ms},
    *,
};
use crate::ErrorType;

#[test]
fn none_one_two_for_each() {
    for kind in BalancerKind::ALL {
        let balancer = kind.build();
        for key in [None, Some(7)] {
            let with_key = |mut field: Field| {
                field.key = key;
                field
            };
            assert_eq!(with_key(members(&[])).pick(&balancer), None, "{kind}");
            assert_eq!(with_key(members(&[(0.5, 3)])).tally(&balancer, 9), [9], "{kind}");
            let mut two = with_key(members(&[(1.0, 2), (1.0, 2)]));
            let counts = two.tally(&balancer, 1000);
            // one key stays on one endpoint; all others share
            let fair = counts.iter().all(|count| (300..=700).contains(count));
            let sticks = kind == BalancerKind::BoundedHash && key.is_some();
            assert_eq!(fair, !sticks, "{kind}, key {key:?}: {counts:?}");
            assert!(
                two.pick_of(&balancer, &[1]) == Some(0),
                "{kind}: an index, not a key"
            );
        }
    }
}

#[test]
fn none_one_two_in_tiers() {
    for kind in BalancerKind::ALL {
        let balancer = Tiered::new(kind.build());
        assert_eq!(members(&[]).pick(&balancer), None, "{kind}");
        assert_eq!(Field::new([(1.0, 0, 9)]).tally(&balancer, 9), [9], "{kind}");
        assert_eq!(
            Field::new([(1.0, 0, 1), (1.0, 15, 0)]).tally(&balancer, 9),
            [0, 9],
            "{kind}"
        );
    }
}

#[test]
fn whoever_is_full_is_left_for_the_next_tier_and_taken_again() {
    let balancer = Tiered::new(LeastRequests::new());
    let mut field = Field::new([(1.0, 0, 2), (1.0, 16, 0), (1.0, 15, 0), (1.0, 3, 1)]);
    assert_eq!(field.pick(&balancer), Some(2));
    field.members[2].slot_taken();
    assert_eq!(field.pick(&balancer), Some(3), "overflow");
    assert_eq!(field.pick_of(&balancer, &[0, 1, 2]), Some(0), "tier 1 is down");
    (0..13).for_each(|_| field.members[3].slot_taken());
    (0..16).for_each(|_| field.members[0].slot_taken());
    assert!(field.pick(&balancer).is_some(), "all are full");
    field.members[1].slot_freed();
    assert_eq!(field.pick(&balancer), Some(1), "fail-back");
}

#[test]
fn round_robin_spreads_the_picks_of_a_heavy_endpoint() {
    let balancer = RoundRobin::new();
    let mut field = members(&[(5.0, 0), (1.0, 0), (1.0, 0)]);
    assert_eq!(field.tally(&balancer, 700), [500, 100, 100]);
    let row: Vec<_> = (0..7).filter_map(|_| field.pick(&balancer)).collect();
    assert_eq!(row, [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(members(&[(1.0, 0), (1.0, 9)]).tally(&balancer, 10), [5, 5]);
}

#[test]
fn least_requests_goes_round_in_a_tie_and_counts_weight() {
    let balancer = LeastRequests::new();
    assert_eq!(members(&[(1.0, 3), (1.0, 2)]).tally(&balancer, 4), [0, 4]);
    assert_eq!(members(&[(1.0, 0); 3]).tally(&balancer, 9), [3, 3, 3]);
    let counts = members(&[(4.0, 2), (1.0, 0)]).tally(&balancer, 4);
    assert_eq!(counts, [4, 0], "(2+1)/4 is less than (0+1)/1");
}

#[test]
fn p2c_takes_the_less_loaded_for_its_weight() {
    assert_eq!(members(&[(1.0, 3), (1.0, 2)]).tally(&P2c, 100), [0, 100]);
    assert_eq!(members(&[(2.0, 3), (1.0, 2)]).tally(&P2c, 100), [100, 0]);
    let counts = members(&[(1.0, 0), (1.0, 9), (1.0, 4)]).tally(&P2c, 300);
    assert_eq!(
        counts[1], 0,
        "whoever is the most loaded is never the better of two"
    );
}

#[test]
fn peak_ewma_takes_the_faster_unless_it_is_busier() {
    let mut field = members(&[(1.0, 0), (1.0, 0)]);
    field.latency(0, 100, None);
    field.latency(1, 40, None);
    assert_eq!(field.tally(&PeakEwma, 100), [0, 100]);
    // 100 x 1 against 40 x 3
    (0..2).for_each(|_| field.members[1].slot_taken());
    assert_eq!(field.tally(&PeakEwma, 100), [100, 0]);
    let mut handicap = members(&[(4.0, 0), (1.0, 0)]);
    handicap.latency(0, 100, None);
    handicap.latency(1, 40, None);
    assert_eq!(handicap.tally(&PeakEwma, 100), [100, 0]);
}

#[test]
fn prequal_takes_the_fastest_that_is_not_hot() {
    let mut field = members(&[(1.0, 9), (1.0, 4), (1.0, 4), (1.0, 0)]);
    for (member, latency) in [40, 200, 100, 300].into_iter().enumerate() {
        field.latency(member, latency, None);
    }
    let balancer = Prequal::new();
    assert_eq!(field.tally(&balancer, 20), [0, 0, 20, 0], "the fastest is hot");
    let latency_only = Prequal::with_quantile(1.0).unwrap();
    assert_eq!(field.tally(&latency_only, 20), [20, 0, 0, 0]);
    let load_only = Prequal::with_quantile(0.0).unwrap();
    assert_eq!(field.tally(&load_only, 20), [0, 0, 0, 20]);
    field.latency(2, 1, Some(ErrorType::NodeInternal));
    assert_eq!(field.tally(&balancer, 20), [0, 20, 0, 0], "it fails");
    assert_eq!(field.pick_of(&balancer, &[2]), Some(0), "there is no other");
    field.now += ms(60_000);
    (0..4).for_each(|_| field.members[2].slot_freed());
    for member in [0, 1, 3] {
        field.latency(member, 300, None);
    }
    assert_eq!(
        field.tally(&balancer, 20),
        [0, 0, 20, 0],
        "after a minute it is tried again"
    );
    assert!(Prequal::with_quantile(1.1).is_err() && Prequal::with_quantile(f64::NAN).is_err());
}

/// With two endpoints the one that fails at once has nothing under way whenever the other has.
#[test]
fn prequal_leaves_a_failing_endpoint_of_two_aside() {
    let mut field = members(&[(1.0, 0), (1.0, 7)]);
    field.latency(0, 1, Some(ErrorType::Transport));
    field.latency(1, 40, None);
    assert_eq!(field.tally(&Prequal::new(), 100), [0, 100]);
}

#[test]
fn a_key_keeps_its_endpoint_until_that_is_too_busy() {
    let balancer = BoundedHash::new();
    let mut field = members(&[(1.0, 4); 5]);
    let home = |field: &mut Field, key| {
        field.key = Some(key);
        field.pick(&balancer).unwrap()
    };
    let before: Vec<_> = (0..500).map(|key| home(&mut field, key)).collect();
    let again: Vec<_> = (0..500).map(|key| home(&mut field, key)).collect();
    assert_eq!(before, again);
    // without endpoint 2 only its keys move
    for (key, before) in before.iter().enumerate() {
        field.key = Some(key as u64);
        let after = field.pick_of(&balancer, &[0, 1, 3, 4]).map(|i| [0, 1, 3, 4][i]);
        assert!(*before == 2 || after == Some(*before), "key {key}");
    }
    // 21 requests with the new one, 1.25 times: at most 6 each; so 5 and 1 more are room, 6 and 1 more are not
    let at_home = |field: &mut Field| {
        (0..500)
            .filter(|key| before[*key as usize] == 2 && home(field, *key) == 2)
            .count()
    };
    field.members[2].slot_taken();
    assert!(at_home(&mut field) > 50);
    (0..2).for_each(|_| field.members[2].slot_taken());
    assert_eq!(at_home(&mut field), 0);
    assert!(BoundedHash::with_bound(1.0).is_err() && BoundedHash::with_bound(f64::NAN).is_err());
}

#[test]
fn a_recovering_endpoint_gets_less_of_every_weighted_balancer() {
    let kinds = [
        BalancerKind::RoundRobin,
        BalancerKind::Random,
        BalancerKind::P2c,
        BalancerKind::SampledLeastRequests,
    ];
    for kind in kinds {
        let mut field = members(&[(1.0, 0); 3]);
        field.members[1].recovered(field.now);
        let counts = field.tally(&kind.build(), 2_100);
        // a tenth of another's share; sampled ones draw by weight too
        assert!((50..=150).contains(&counts[1]), "{kind}: {counts:?}");
        field.now += ms(10_000);
        let counts = field.tally(&kind.build(), 2_100);
        assert!((550..=850).contains(&counts[1]), "{kind}: {counts:?}");
    }
}

#[test]
fn chance_repeats_with_its_seed_and_fills_its_range() {
    let cx = |seed| PickCx::new(tokio::time::Instant::now(), Ask::default(), &[3], seed);
    let (a, b, other) = (cx(1), cx(1), cx(2));
    let row = |cx: &PickCx<'_>| (0..50).map(|_| cx.below(7)).collect::<Vec<_>>();
    let first = row(&a);
    assert_eq!(first, row(&b));
    assert_ne!(first, row(&other));
    assert!((0..7).all(|n| first.contains(&n)), "{first:?}");
    assert!((0..1000).all(|_| (0.0..1.0).contains(&a.share())));
    assert_eq!((a.below(0), a.below(1), a.tried()), (0, 0, 1));
    assert!(a.has_tried(3) && !a.has_tried(2));
}

#[test]
fn a_peek_tells_the_next_pick_and_changes_nothing() {
    let told = [
        BalancerKind::LeastRequests,
        BalancerKind::RoundRobin,
        BalancerKind::Prequal,
        BalancerKind::ShortestDelay,
        BalancerKind::BoundedHash,
    ];
    for kind in BalancerKind::ALL {
        let balancers: [Arc<dyn Balancer>; 2] = [Arc::new(kind.build()), Arc::new(Tiered::new(kind.build()))];
        for balancer in balancers {
            assert_eq!(members(&[]).peek(&balancer), None, "{kind}");
            for weights in [[1.0, 1.0, 1.0], [3.0, 1.0, 2.0]] {
                let mut field = members(&weights.map(|weight| (weight, 0)));
                field.key = Some(7);
                for (member, millis) in [(0, 100), (1, 20), (2, 80)] {
                    field.latency(member, millis, None);
                }
                for round in 0..20 {
                    let peeks = [field.peek(&balancer), field.peek(&balancer)];
                    let picked = field.pick(&balancer);
                    let expected = if told.contains(&kind) { picked } else { None };
                    assert_eq!(peeks, [expected; 2], "{kind}, round {round}, {weights:?}");
                }
            }
        }
    }
    let mut without_key = members(&[(1.0, 0); 3]);
    assert_eq!(without_key.peek(&BoundedHash::new()), None, "it draws");
    assert_eq!(without_key.peek(&ShortestDelay::new()), None, "all are equal");
}

#[test]
fn the_shortest_delay_is_where_more_is_borne_without_queueing() {
    let answers = |field: &Field, member: usize, millis, among| {
        for _ in 0..40 {
            field.members[member].latency.answered_among(among);
            field.latency(member, millis, None);
        }
    };
    let balancer = ShortestDelay::new();
    // as fast, and used to four times as much
    let mut field = members(&[(1.0, 2), (1.0, 4)]);
    answers(&field, 0, 40, 2);
    answers(&field, 1, 40, 8);
    assert_eq!(field.tally(&balancer, 100), [0, 100]);
    // it begins to queue
    answers(&field, 1, 160, 8);
    assert_eq!(field.tally(&balancer, 100), [100, 0]);
    // of equals with equal loads one is drawn
    let mut equal = members(&[(1.0, 1), (1.0, 1)]);
    answers(&equal, 0, 40, 1);
    answers(&equal, 1, 40, 1);
    assert!(equal.tally(&balancer, 1_000).iter().all(|count| *count > 400));
}

#[test]
fn who_is_full_is_no_choice_while_others_are_not() {
    // the one with 16 slots taken is by far the fastest
    let mut field = members(&[(1.0, 16), (1.0, 4), (1.0, 8)]);
    for (member, millis, among) in [(0, 40, 16), (1, 90, 4), (2, 40, 8)] {
        field.members[member].latency.answered_among(among);
        field.latency(member, millis, None);
    }
    assert_eq!(field.tally(&ShortestDelay::new(), 100), [0, 0, 100]);
    assert!(members(&[(1.0, 16); 3]).pick(&ShortestDelay::new()).is_some());
}

#[test]
fn who_is_new_is_taken_for_as_good_as_the_best_until_it_has_answered() {
    let mut field = members(&[(1.0, 0); 3]);
    field.latency(0, 40, None);
    field.latency(1, 400, None);
    let counts = field.tally(&ShortestDelay::new(), 1_000);
    assert!(counts[0] > 400 && counts[1] == 0 && counts[2] > 400, "{counts:?}");
    field.latency(2, 200, None);
    assert_eq!(field.tally(&ShortestDelay::new(), 100), [100, 0, 0]);
}

#[test]
fn who_was_slow_is_tried_by_one_request_at_a_time() {
    let mut field = members(&[(1.0, 1), (1.0, 0)]);
    field.latency(0, 40, None);
    field.latency(1, 400, None);
    field.now += ms(60_000);
    field.latency(0, 40, None);
    assert_eq!(field.tally(&ShortestDelay::new(), 100), [0, 100]);
    field.members[1].slot_taken();
    assert_eq!(field.tally(&ShortestDelay::new(), 100), [100, 0]);
}

#[test]
fn an_endpoint_that_fails_at_once_has_no_short_delay() {
    let mut field = members(&[(1.0, 0), (1.0, 3)]);
    field.latency(1, 40, None);
    (0..3).for_each(|_| field.latency(0, 1, Some(ErrorType::HttpStatus)));
    assert_eq!(field.tally(&ShortestDelay::new(), 100), [0, 100]);
}
