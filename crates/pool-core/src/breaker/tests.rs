//! Each test is named after the property it holds.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn config() -> BreakerConfig {
    BreakerConfig {
        jitter: 0.0,
        ..BreakerConfig::default()
    }
}

fn tripped(t0: Instant) -> Breaker {
    let mut breaker = Breaker::new(config(), t0);
    for _ in 0..5 {
        let ticket = breaker.admit(t0).unwrap();
        breaker.fail(ticket, t0, 0.0);
    }
    assert_eq!(breaker.state(), BreakerState::Open { until: t0 + s(1) });
    breaker
}

fn half_open(t0: Instant) -> (Breaker, Instant) {
    let mut breaker = tripped(t0);
    let now = t0 + s(1);
    assert!(breaker.poll(now).is_some());
    (breaker, now)
}

#[test]
fn opens_on_failures_in_a_row_and_a_success_breaks_the_row() {
    let t0 = Instant::now();
    let mut breaker = Breaker::new(
        BreakerConfig {
            failure_ratio: 1.0,
            ..config()
        },
        t0,
    );
    for round in 0..20 {
        let ticket = breaker.admit(t0).unwrap();
        let moved = if round % 5 == 4 {
            breaker.succeed(ticket, t0)
        } else {
            breaker.fail(ticket, t0, 0.0)
        };
        assert_eq!(moved, None, "round {round}");
    }
    for _ in 0..5 {
        let ticket = breaker.admit(t0).unwrap();
        breaker.fail(ticket, t0, 0.0);
    }
    assert!(!breaker.state().is_closed());
}

#[test]
fn opens_on_the_ratio_only_above_the_minimum_volume() {
    let t0 = Instant::now();
    let mut breaker = Breaker::new(
        BreakerConfig {
            consecutive_failures: 0,
            ..config()
        },
        t0,
    );
    let mut outcomes = 0;
    while breaker.state().is_closed() {
        let ticket = breaker.admit(t0).unwrap();
        outcomes += 1;
        if outcomes % 3 == 0 {
            breaker.succeed(ticket, t0);
        } else {
            breaker.fail(ticket, t0, 0.0);
        }
        assert!(
            outcomes <= 20,
            "two thirds fail, so it must be open by the minimum volume"
        );
    }
    assert_eq!(outcomes, 20);
}

#[test]
fn open_time_doubles_up_to_the_maximum_and_starts_over_after_a_long_closed_spell() {
    let t0 = Instant::now();
    let (mut breaker, mut now) = half_open(t0);
    for expected in [2, 4, 8, 16, 32, 60, 60] {
        let probe = breaker.admit(now).unwrap();
        breaker.fail(probe, now, 0.0);
        assert_eq!(
            breaker.state(),
            BreakerState::Open {
                until: now + s(expected)
            }
        );
        now += s(expected);
        breaker.poll(now);
    }
    for _ in 0..2 {
        let probe = breaker.admit(now).unwrap();
        breaker.succeed(probe, now);
    }
    assert!(breaker.state().is_closed());
    now += s(60);
    for _ in 0..5 {
        let ticket = breaker.admit(now).unwrap();
        breaker.fail(ticket, now, 0.0);
    }
    assert_eq!(breaker.state(), BreakerState::Open { until: now + s(1) });
}

#[test]
fn jitter_only_lengthens() {
    let t0 = Instant::now();
    let mut breaker = Breaker::new(
        BreakerConfig {
            consecutive_failures: 1,
            ..BreakerConfig::default()
        },
        t0,
    );
    let ticket = breaker.admit(t0).unwrap();
    breaker.fail(ticket, t0, 0.5);
    assert_eq!(
        breaker.state(),
        BreakerState::Open {
            until: t0 + Duration::from_millis(1100)
        }
    );
}

#[test]
fn half_open_lets_one_probe_through_and_two_successes_close_it() {
    let (mut breaker, now) = half_open(Instant::now());
    let first = breaker.admit(now).unwrap();
    assert!(
        breaker.admit(now).is_none() && !breaker.admits(now),
        "one probe at a time"
    );
    assert_eq!(breaker.succeed(first, now), None);
    let second = breaker.admit(now).unwrap();
    assert_eq!(
        breaker.succeed(second, now).map(|t| t.to),
        Some(BreakerState::Closed)
    );
}

#[test]
fn a_cancelled_probe_gives_its_permit_back() {
    let (mut breaker, now) = half_open(Instant::now());
    for _ in 0..1000 {
        let probe = breaker.admit(now).expect("the permit is back");
        breaker.cancel(probe);
    }
}

#[test]
fn a_probe_that_never_reports_loses_its_lease_and_its_late_report_is_void() {
    let (mut breaker, now) = half_open(Instant::now());
    let lost = breaker.admit(now).unwrap();
    assert_eq!(breaker.probe_expires_at(), Some(now + s(30)));
    let later = now + s(30);
    let fresh = breaker.admit(later).expect("the lease has ended");
    assert_eq!(breaker.fail(lost, later, 0.0), None);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    breaker.cancel(fresh);
}

#[test]
fn a_straggler_from_before_the_trip_is_ignored() {
    let t0 = Instant::now();
    let mut breaker = Breaker::new(config(), t0);
    let straggler = breaker.admit(t0).unwrap();
    for _ in 0..5 {
        let ticket = breaker.admit(t0).unwrap();
        breaker.fail(ticket, t0, 0.0);
    }
    let now = t0 + s(1);
    breaker.poll(now);
    assert_eq!(breaker.fail(straggler, now, 0.0), None);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(breaker.admit(now).is_some(), "and it took no probe's permit");
}

#[test]
fn a_health_check_probes_only_when_no_request_does() {
    let (mut breaker, now) = half_open(Instant::now());
    assert!(breaker.admit_check(now).is_none(), "traffic has its chance first");
    let check = breaker.admit_check(now + s(1)).expect("nobody came");
    breaker.cancel(check);
    let request = breaker.admit(now + s(1)).unwrap();
    breaker.cancel(request);
    assert!(
        breaker
            .admit_check(now + s(2) - Duration::from_millis(1))
            .is_none(),
        "traffic is there"
    );
    assert!(
        breaker.admit_check(now + s(2)).is_some(),
        "traffic ceased in the middle of the recovery; without a check the breaker would never close"
    );
}

/// A probe that never reports must not leave a moment in the past to wait for: whoever sleeps until then would spin.
#[test]
fn a_lost_probe_is_forgotten_when_time_passes() {
    let (mut breaker, now) = half_open(Instant::now());
    let lost = breaker.admit(now).unwrap();
    let expiry = breaker.probe_expires_at().expect("all permits are out");
    assert!(expiry > now);
    breaker.poll(expiry);
    assert_eq!(breaker.probe_expires_at(), None);
    assert_eq!(breaker.succeed(lost, expiry), None, "its report comes too late");
}

#[test]
fn impossible_settings_are_refused_with_the_field_named() {
    let bad = [
        BreakerConfig {
            failure_ratio: 1.5,
            ..config()
        },
        BreakerConfig {
            failure_ratio: f64::NAN,
            ..config()
        },
        BreakerConfig {
            jitter: -0.1,
            ..config()
        },
        BreakerConfig {
            window: Duration::ZERO,
            ..config()
        },
        BreakerConfig {
            minimum_volume: 0,
            ..config()
        },
        BreakerConfig {
            open_min: s(61),
            ..config()
        },
        BreakerConfig {
            half_open_probes: 0,
            ..config()
        },
        BreakerConfig {
            close_after: 0,
            ..config()
        },
        BreakerConfig {
            probe_lease: Duration::ZERO,
            ..config()
        },
    ];
    for config in bad {
        let error = config.validate().expect_err(&format!("{config:?}"));
        assert!(error.to_string().contains("breaker."), "{error}");
    }
    assert_eq!(BreakerConfig::default().validate(), Ok(()));
}

#[test]
fn slow_calls_open_it_above_their_share_and_only_if_asked_to() {
    for (slow_call, failed, slow, fast, opens) in [
        (Some(1), 0, 17, 3, true),
        (Some(1), 0, 16, 4, false),
        (Some(1), 8, 9, 3, true),
        (Some(1), 8, 8, 4, false),
        (Some(1), 0, 19, 0, false),
        (None, 0, 20, 0, false),
    ] {
        let config = BreakerConfig {
            slow_call: slow_call.map(Duration::from_secs),
            consecutive_failures: 0,
            ..BreakerConfig::default()
        };
        let t0 = Instant::now();
        let mut breaker = Breaker::new(config, t0);
        for _ in 0..fast {
            let ticket = breaker.admit(t0).unwrap();
            breaker.succeed(ticket, t0);
        }
        for _ in 0..failed {
            let ticket = breaker.admit(t0).unwrap();
            breaker.fail(ticket, t0, 0.0);
        }
        for _ in 0..slow {
            let ticket = breaker.admit(t0).unwrap();
            breaker.succeed_slowly(ticket, t0, 0.0);
        }
        let what = format!("{failed} failed, {slow} slow, {fast} fast, slow at {slow_call:?}");
        assert_eq!(!breaker.state().is_closed(), opens, "{what}");
    }
}

#[test]
fn a_slow_probe_has_failed() {
    let config = BreakerConfig {
        slow_call: Some(Duration::from_secs(1)),
        ..BreakerConfig::default()
    };
    let t0 = Instant::now();
    let mut breaker = Breaker::new(config, t0);
    for _ in 0..5 {
        let ticket = breaker.admit(t0).unwrap();
        breaker.fail(ticket, t0, 0.0);
    }
    let now = t0 + Duration::from_secs(2);
    breaker.poll(now);
    let probe = breaker.admit(now).unwrap();
    let moved = breaker.succeed_slowly(probe, now, 0.0).unwrap();
    assert!(matches!(moved.to, BreakerState::Open { .. }), "{moved:?}");
}

#[test]
fn what_goes_past_an_open_breaker_changes_nothing() {
    let start = Instant::now();
    let mut breaker = tripped(start);
    let open = breaker.state();
    assert!(Ticket::BYPASS.is_bypass() && !open.is_closed());
    for _ in 0..20 {
        assert_eq!(breaker.succeed(Ticket::BYPASS, start), None);
        assert_eq!(breaker.fail(Ticket::BYPASS, start, 0.0), None);
    }
    assert_eq!(breaker.state(), open);
    let later = start + s(5);
    breaker.poll(later);
    // half-open: no permit is taken, and none is given back that was not
    let probe = breaker.admit(later).unwrap();
    assert!(!probe.is_bypass());
    breaker.cancel(Ticket::BYPASS);
    assert!(breaker.admit(later).is_none());
    assert_eq!(breaker.succeed(Ticket::BYPASS, later), None);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(!breaker.is_current(Ticket::BYPASS));
}
