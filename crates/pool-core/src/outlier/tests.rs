use super::*;

const NOBODY: [u32; 0] = [];

/// Endpoints whose counters the test moves.
struct Field {
    detector: Detector,
    seen: Vec<Seen>,
}

impl Field {
    fn new(endpoints: u32, tune: impl FnOnce(&mut OutlierConfig)) -> Self {
        let mut config = OutlierConfig {
            consecutive: 1,
            ..OutlierConfig::default()
        };
        tune(&mut config);
        config.validate().unwrap();
        let seen = |key: u32| Seen {
            id: key.into(),
            totals: Totals::default(),
            usable: true,
        };
        let mut field = Self {
            detector: Detector::new(config),
            seen: (0..endpoints).map(seen).collect(),
        };
        assert!(
            field.detector.look(&field.seen).is_empty(),
            "nothing to judge yet"
        );
        field
    }

    /// A look after so many more successes (of so many milliseconds each) and failures on each.
    fn after(&mut self, did: &[(u64, u64, u64)]) -> Vec<u32> {
        for (seen, (succeeded, failed, millis)) in self.seen.iter_mut().zip(did) {
            seen.totals.succeeded += succeeded;
            seen.totals.failed += failed;
            seen.totals.took += succeeded * millis * 1_000;
        }
        let found = self.detector.look(&self.seen);
        found.into_iter().map(|(id, _)| id.key).collect()
    }
}

const GOOD: (u64, u64, u64) = (100, 0, 50);

#[test]
fn one_of_three_that_errs_is_found_and_said_why() {
    let mut field = Field::new(3, |_| {});
    assert_eq!(field.after(&[GOOD, (70, 30, 50), (99, 1, 50)]), [1]);
    field.seen[1].totals.succeeded += 70;
    field.seen[1].totals.failed += 30;
    field.seen[0].totals.succeeded += 100;
    field.seen[2].totals.succeeded += 100;
    let found = field.detector.look(&field.seen);
    assert_eq!(
        found[0].1.to_string(),
        "70.0 % of its requests succeed, 100.0 % of the others'"
    );
}

#[test]
fn a_single_bad_look_is_forgiven_by_default() {
    let mut field = Field::new(3, |config| {
        config.consecutive = OutlierConfig::default().consecutive;
    });
    let bad = [GOOD, (70, 30, 50), GOOD];
    assert_eq!(field.after(&bad), NOBODY);
    assert_eq!(field.after(&[GOOD; 3]), NOBODY);
    assert_eq!(field.after(&bad), NOBODY, "the row was broken");
    // too little to judge neither breaks the row nor lengthens it
    assert_eq!(field.after(&[GOOD, (1, 5, 50), GOOD]), NOBODY);
    assert_eq!(field.after(&bad), [1]);
}

#[test]
fn small_samples_accuse_nobody() {
    let mut field = Field::new(3, |_| {});
    for _ in 0..10 {
        assert_eq!(field.after(&[GOOD, (13, 6, 50), GOOD]), NOBODY, "19 requests");
        assert_eq!(
            field.after(&[(15, 4, 50), (0, 500, 50), GOOD]),
            NOBODY,
            "two with enough"
        );
    }
    // what lies within three standard errors is chance, however good the others were; 300 requests tell more
    assert_eq!(field.after(&[(20, 0, 50), (18, 2, 50), (20, 0, 50)]), NOBODY);
    assert_eq!(field.after(&[(300, 0, 50), (270, 30, 50), (300, 0, 50)]), [1]);
}

#[test]
fn small_differences_accuse_nobody() {
    let mut field = Field::new(5, |_| {});
    let perfect = (100_000, 0, 50);
    let did = [perfect, perfect, (91_000, 9_000, 50), perfect, perfect];
    assert_eq!(
        field.after(&did),
        NOBODY,
        "nine points are below the floor of ten"
    );
    field.detector.config.minimum_difference = 0.05;
    assert_eq!(field.after(&did), [2]);
    field.detector.config.minimum_difference = 1.0;
    assert_eq!(
        field.after(&[GOOD, GOOD, (0, 100, 50), GOOD, GOOD]),
        NOBODY,
        "off"
    );
}

#[test]
fn where_all_are_bad_or_differ_widely_nobody_stands_out() {
    let mut field = Field::new(4, |_| {});
    assert_eq!(field.after(&[(50, 50, 50); 4]), NOBODY);
    assert_eq!(field.after(&[(0, 100, 50); 4]), NOBODY);
    // the others' spread: 100, 85, 70
    let spread = [(100, 0, 50), (85, 15, 50), (70, 30, 50), (65, 35, 50)];
    assert_eq!(
        field.after(&spread),
        NOBODY,
        "20 below their mean, within 1.9 of 12"
    );
    field.detector.config.stdev_factor = 1.0;
    assert_eq!(field.after(&spread), [3]);
}

#[test]
fn who_is_out_is_neither_judged_nor_a_measure() {
    let mut field = Field::new(4, |_| {});
    field.seen[0].usable = false;
    assert_eq!(field.after(&[(0, 100, 50), (70, 30, 50), GOOD, GOOD]), [1]);
    field.seen[2].usable = false;
    assert_eq!(
        field.after(&[(0, 100, 50), (70, 30, 50), GOOD, GOOD]),
        NOBODY,
        "two are left"
    );
}

#[test]
fn the_worst_comes_first_and_failing_before_slow() {
    let mut field = Field::new(8, |config| config.stdev_factor = 0.0);
    let did = [
        GOOD,
        (80, 20, 50),
        GOOD,
        (100, 0, 9_000),
        (60, 40, 50),
        GOOD,
        GOOD,
        (100, 0, 5_000),
    ];
    assert_eq!(field.after(&did), [4, 1, 3, 7]);
}

#[test]
fn a_slow_one_needs_both_the_factor_and_the_floor() {
    let mut field = Field::new(3, |_| {});
    assert_eq!(
        field.after(&[GOOD, (100, 0, 900), GOOD]),
        NOBODY,
        "18 times as slow, below 1 s"
    );
    assert_eq!(
        field.after(&[(100, 0, 400), (100, 0, 1_500), (100, 0, 400)]),
        NOBODY,
        "not 4 times"
    );
    assert_eq!(field.after(&[GOOD, (100, 0, 1_100), GOOD]), [1]);
    let slow = [(100, 0, 3_000); 3];
    assert_eq!(field.after(&slow), NOBODY, "all are");
    // failures have no latency, so those who fail more are not judged by what little succeeded
    assert_eq!(field.after(&[GOOD, (19, 1, 9_000), GOOD]), NOBODY);
    field.detector.config.latency_factor = 0.0;
    assert_eq!(field.after(&[GOOD, (100, 0, 9_000), GOOD]), NOBODY, "off");
}

#[test]
fn times_grow_with_each_ejection_and_are_forgiven_look_by_look() {
    let mut field = Field::new(3, |_| {});
    let s = Duration::from_secs;
    assert_eq!(field.detector.sentence(1.into(), 0.0), s(30));
    assert_eq!(field.detector.sentence(1.into(), 1.0), s(36), "with jitter");
    for _ in 0..2 {
        field.detector.ejected(1.into());
    }
    assert_eq!(field.detector.sentence(1.into(), 0.0), s(90));
    assert_eq!(field.after(&[GOOD; 3]), NOBODY);
    assert_eq!(field.detector.sentence(1.into(), 0.0), s(60));
    assert_eq!(field.after(&[GOOD, (1, 0, 50), GOOD]), NOBODY);
    assert_eq!(
        field.detector.sentence(1.into(), 0.0),
        s(60),
        "without traffic nothing was shown"
    );
    for _ in 0..100 {
        field.detector.ejected(1.into());
    }
    assert_eq!(field.detector.sentence(1.into(), 0.0), s(300), "bounded");
    assert_eq!(field.detector.sentence(0.into(), 0.0), s(30), "each has its own");
}

#[test]
fn an_endpoint_that_takes_anothers_place_starts_afresh() {
    let mut field = Field::new(3, |_| {});
    field.after(&[GOOD, (70, 30, 50), GOOD]);
    field.detector.ejected(1.into());
    field.seen[1].totals = Totals::default();
    assert_eq!(field.after(&[GOOD, (0, 25, 50), GOOD]), NOBODY, "its first look");
    assert_eq!(field.detector.sentence(1.into(), 0.0), Duration::from_secs(30));
    assert_eq!(field.after(&[GOOD, (0, 25, 50), GOOD]), [1]);
    let gone = field.seen.remove(1);
    field.detector.ejected(gone.id);
    field.after(&[GOOD, GOOD]);
    assert_eq!(
        field.detector.sentence(1.into(), 0.0),
        Duration::from_secs(30),
        "forgotten"
    );
}

#[test]
fn only_what_tells_of_the_node_counts() {
    let with = |class: ErrorType| {
        let mut errors = [0; ErrorType::ALL.len()];
        errors[class.index()] = 30;
        Totals::of(100, &errors, 0)
    };
    for class in [
        ErrorType::Connect,
        ErrorType::Timeout,
        ErrorType::NodeInternal,
        ErrorType::Malformed,
    ] {
        assert_eq!((with(class).succeeded, with(class).failed), (70, 30), "{class:?}");
    }
    for class in [
        ErrorType::RateLimited,
        ErrorType::Unavailable,
        ErrorType::Unsupported,
        ErrorType::Reverted,
        ErrorType::InvalidRequest,
        ErrorType::Deadline,
        ErrorType::Local,
    ] {
        assert_eq!((with(class).succeeded, with(class).failed), (70, 0), "{class:?}");
    }
}

#[test]
fn the_cap_is_a_share_rounded_down() {
    let config = OutlierConfig::default();
    let caps = [0, 1, 2, 3, 5, 6, 9, 50].map(|endpoints| config.most_out(endpoints));
    assert_eq!(caps, [0, 0, 0, 1, 1, 2, 3, 17]);
}

#[test]
fn impossible_settings_are_refused() {
    let bad: [fn(&mut OutlierConfig); 12] = [
        |c| c.interval = Duration::ZERO,
        |c| c.interval = Duration::MAX,
        |c| c.ejection_base = Duration::ZERO,
        |c| c.ejection_base = c.ejection_max * 2,
        |c| c.minimum_latency = Duration::MAX,
        |c| c.minimum_requests = 0,
        |c| c.minimum_endpoints = 1,
        |c| c.consecutive = 0,
        |c| c.max_ejected_share = f64::NAN,
        |c| c.minimum_difference = -0.1,
        |c| c.stdev_factor = f64::INFINITY,
        |c| c.latency_factor = 0.5,
    ];
    for (i, spoil) in bad.into_iter().enumerate() {
        let mut config = OutlierConfig::default();
        spoil(&mut config);
        assert!(config.validate().is_err(), "{i}");
    }
    assert_eq!(OutlierConfig::default().validate(), Ok(()));
}
