//! The burn-rate alerts: both windows of a pace above the limit, and enough traffic; one of the two paces is enough.
//!
//! The recorded series are given, one sample per minute (fast) or per ten minutes (slow). Shares are made of whole numbers, so
//! that a limit is met exactly. A history of a hundred times the traffic without an error keeps the longer pace silent where
//! only the shorter one is meant.

use super::Case;
use crate::{recording::Recording, spec::AlertName};

/// Two windows, in samples, and the share of bad attempts that the objective of 99.9 % allows there.
struct Pace {
    long: u64,
    short: u64,
    bad: f64,
    of: f64,
}

/// One of the four alerts.
struct Burn {
    alert: AlertName,
    severity: &'static str,
    bad: Recording,
    /// The latency objective allows ten times as much as the other.
    scale: f64,
    /// Seconds between two samples.
    step: u64,
    quick: Pace,
    steady: Pace,
    /// From how many bad ones per sample of `quick.of` it fires after how many samples.
    first: (f64, u64),
    says: (&'static str, &'static str),
}

/// Evaluations are ten samples apart, or it would take hours.
const SAMPLES_PER_EVALUATION: u64 = 10;

/// A stretch of samples with so many attempts and so many bad ones.
type Stretch = (u64, f64, f64);

impl Burn {
    /// Samples end exactly at an evaluation: the first stretch is made longer until they do.
    fn case(&self, name: &str, stretches: &[Stretch]) -> (Case, u64) {
        let samples: u64 = stretches.iter().map(|(samples, ..)| samples).sum();
        let more = (SAMPLES_PER_EVALUATION + 1 - samples % SAMPLES_PER_EVALUATION) % SAMPLES_PER_EVALUATION;
        let series = |value: &dyn Fn(&Stretch) -> f64| {
            let parts: Vec<String> = stretches
                .iter()
                .enumerate()
                .map(|(index, stretch)| {
                    let samples = stretch.0 + if index == 0 { more } else { 0 };
                    let value = (value(stretch) * 1e6).round() / 1e6;
                    format!("{value}x{}", samples - 1)
                })
                .collect();
            parts.join(" ")
        };
        let case = Case::new(self.alert, self.severity, name)
            .every(self.step, self.step * SAMPLES_PER_EVALUATION)
            .given(Recording::Attempts.name(), "i/p", series(&|stretch| stretch.1))
            .given(self.bad.name(), "i/p", series(&|stretch| stretch.2 * self.scale));
        (case, (samples + more - 1) * self.step)
    }

    fn silent(&self, name: &str, stretches: &[Stretch]) -> Case {
        let (case, end) = self.case(name, stretches);
        case.silent(format!("{end}s"))
    }

    fn fires(&self, name: &str, stretches: &[Stretch]) -> Case {
        let (case, end) = self.case(name, stretches);
        case.fires(format!("{end}s"), ["i/p"])
    }

    /// Long ago, with much traffic and no error.
    fn history(&self) -> Stretch {
        (self.steady.long, self.quick.of * 100.0, 0.0)
    }

    fn cases(&self) -> Vec<Case> {
        let mut all = self.firsts();
        all.extend(self.quick_pace());
        all.extend(self.steady_pace());
        all.extend(self.floors());
        all
    }

    fn firsts(&self) -> Vec<Case> {
        let (bad, samples) = self.first;
        let before = self.steady.long;
        // The evaluation before and the one after the sample that exceeds the limit.
        let evaluation = self.step * SAMPLES_PER_EVALUATION;
        let fires = ((before + samples) * self.step).div_ceil(evaluation) * evaluation;
        let series = |value: f64| format!("{value}x{}", before + 100);
        let trouble = Case::new(
            self.alert,
            self.severity,
            "trouble begins, at one pool among several",
        )
        .every(self.step, evaluation)
        .given(Recording::Attempts.name(), "i/p", series(self.quick.of))
        .given(
            self.bad.name(),
            "i/p",
            format!("0x{before} {}x100", bad * self.scale),
        )
        .given(Recording::Attempts.name(), "i/q", series(self.quick.of))
        .given(self.bad.name(), "i/q", series(0.0))
        .given(Recording::Attempts.name(), "j/p", series(self.quick.of))
        .given(self.bad.name(), "j/p", series(0.0))
        .silent(format!("{}s", fires - evaluation))
        .fires(format!("{fires}s"), ["i/p"]);
        let (two_percent, end) = self.case("one in fifty (latency: one in five)", &[(21, 1000.0, 20.0)]);
        vec![
            trouble,
            two_percent.says(format!("{end}s"), "i/p", self.says.0, self.says.1),
            self.silent("no traffic", &[(21, 0.0, 0.0)]),
            self.silent("no error", &[(21, 1000.0, 0.0)]),
        ]
    }

    fn quick_pace(&self) -> Vec<Case> {
        let Pace { long, short, bad, of } = self.quick;
        let clean = (long, of, 0.0);
        vec![
            self.fires(
                "a little above the limit",
                &[self.history(), (long + 10, of, bad * 1.0045)],
            ),
            self.silent(
                "the long window at the limit, the short one above",
                &[
                    self.history(),
                    (long, of, bad),
                    (2 * short, of, bad - 1.0),
                    (2 * short, of, bad + 1.0),
                ],
            ),
            self.silent(
                "the short window at the limit, the long one above",
                &[self.history(), (long + 20, of, bad + 1.0), (2 * short, of, bad)],
            ),
            self.silent(
                "it is over",
                &[
                    self.history(),
                    clean,
                    (long / 2, of, bad * 3.0),
                    (short + 2, of, 0.0),
                ],
            ),
            self.silent(
                "it has only begun",
                &[self.history(), clean, (short + 1, of, bad * 3.0)],
            ),
        ]
    }

    fn steady_pace(&self) -> Vec<Case> {
        let Pace { long, short, bad, of } = self.steady;
        vec![
            self.fires(
                "slowly, a little above the limit",
                &[(long + 100, of, bad * 1.0045)],
            ),
            self.silent(
                "slowly, the long window at the limit, the short one above",
                &[
                    (long + 40, of, bad),
                    (2 * short, of, bad - 1.0),
                    (2 * short, of, bad + 1.0),
                ],
            ),
            self.silent(
                "slowly, the short window at the limit, the long one above",
                &[(long + 40, of, bad + 1.0), (short + 10, of, bad)],
            ),
            self.silent(
                "slowly, it is over",
                &[(long + 40, of, bad + 1.0), (short + 5, of, 0.0)],
            ),
            self.silent(
                "slowly, it has only begun",
                &[(long + 40, of, 0.0), (short + 4, of, bad + 1.0)],
            ),
        ]
    }

    /// Below 0.1 attempts a second nothing is said, however bad it is.
    fn floors(&self) -> Vec<Case> {
        let quick = |attempts: f64| (self.quick.long + 4, attempts, attempts / self.scale);
        // Above the limit of the steady pace, below that of the quick one.
        let share = self.steady.bad / self.steady.of * 1.5;
        let steady = |samples: u64, attempts: f64| (samples, attempts, attempts * share);
        let half = |samples: u64, attempts: f64| (samples / 2, attempts, attempts / self.scale);
        let (quick_long, steady_long) = (self.quick.long, self.steady.long);
        vec![
            self.fires("at the floor", &[self.history(), quick(0.1)]),
            self.fires("a little above the floor", &[self.history(), quick(0.1005)]),
            self.silent("a little below the floor", &[self.history(), quick(0.0995)]),
            self.silent(
                "more traffic of late",
                &[self.history(), half(quick_long + 4, 0.05), half(quick_long, 0.14)],
            ),
            self.fires(
                "less traffic at first",
                &[self.history(), half(quick_long + 4, 0.08), half(quick_long, 0.14)],
            ),
            self.fires(
                "few errors, and enough traffic",
                &[self.history(), (quick_long + 4, 1.0, 0.02)],
            ),
            self.fires("slowly, at the floor", &[steady(31, 0.1)]),
            self.fires(
                "slowly, a little above the floor",
                &[steady(steady_long + 4, 0.1005)],
            ),
            self.silent(
                "slowly, a little below the floor",
                &[self.history(), steady(steady_long + 4, 0.0995)],
            ),
            self.silent(
                "slowly, more traffic of late",
                &[
                    self.history(),
                    steady(steady_long / 2 + 2, 0.05),
                    steady(steady_long / 2, 0.14),
                ],
            ),
            self.fires(
                "slowly, less traffic at first",
                &[
                    self.history(),
                    steady(steady_long / 2 + 2, 0.08),
                    steady(steady_long / 2, 0.14),
                ],
            ),
        ]
    }
}

fn fast(alert: AlertName, bad: Recording, scale: f64, says: (&'static str, &'static str)) -> Burn {
    Burn {
        alert,
        severity: "critical",
        bad,
        scale,
        step: 60,
        quick: Pace {
            long: 60,
            short: 5,
            bad: 9.0,
            of: 625.0,
        },
        steady: Pace {
            long: 360,
            short: 30,
            bad: 3.0,
            of: 500.0,
        },
        first: (20.0, 28),
        says,
    }
}

fn slow(alert: AlertName, bad: Recording, scale: f64, says: (&'static str, &'static str)) -> Burn {
    Burn {
        alert,
        severity: "warning",
        bad,
        scale,
        step: 600,
        quick: Pace {
            long: 144,
            short: 12,
            bad: 3.0,
            of: 1000.0,
        },
        steady: Pace {
            long: 432,
            short: 36,
            bad: 1.0,
            of: 1000.0,
        },
        first: (25.0, 18),
        says,
    }
}

pub(super) fn cases() -> Vec<Case> {
    [
        fast(
            AlertName::PoolAvailabilityBurnFast,
            Recording::NodeErrors,
            1.0,
            (
                "Pool p uses up its error budget within days.",
                "2% of the attempts of pool p on i failed through nodes over the last 1 h or 6 h (objective 99.9 %): the budget of \
                 30 days would last 2 to 5 days.",
            ),
        ),
        slow(
            AlertName::PoolAvailabilityBurnSlow,
            Recording::NodeErrors,
            1.0,
            (
                "Pool p will miss its availability objective.",
                "2% of the attempts of pool p on i failed through nodes over the last day or three (objective 99.9 %): the budget \
                 of 30 days won't last.",
            ),
        ),
        fast(
            AlertName::PoolLatencyBurnFast,
            Recording::Slow,
            10.0,
            (
                "Pool p uses up its latency budget within days.",
                "20% of the attempts of pool p on i took more than 1000 ms over the last 1 h or 6 h (objective: 99 % within it): the \
                 budget of 30 days would last 2 to 5 days.",
            ),
        ),
        slow(
            AlertName::PoolLatencyBurnSlow,
            Recording::Slow,
            10.0,
            (
                "Pool p will miss its latency objective.",
                "20% of the attempts of pool p on i took more than 1000 ms over the last day or three (objective: 99 % within it): \
                 the budget of 30 days won't last.",
            ),
        ),
    ]
    .iter()
    .flat_map(Burn::cases)
    .collect()
}
