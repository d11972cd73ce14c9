//! The expressions of the alerts that aren't frozen.

use pool_metrics::catalogue::{self, JOB_POOLS, JOB_RELAYER};

use super::Expressions;
use crate::{
    alert::number,
    recording::Recording,
    spec::{AlertName, Spec},
};

impl Expressions<'_> {
    /// The expression of an alert that isn't frozen.
    pub(super) fn more(&self) -> String {
        match self.alert.definition.name {
            AlertName::RelayerDown => self.relayer_down(),
            AlertName::PoolMetricsMissing => self.pool_metrics_missing(),
            AlertName::NoRelayerScraped => {
                format!("absent_over_time(up{{job=\"{JOB_POOLS}\"}}[{}])", self.window())
            }
            AlertName::ScrapeTargetDown => format!(
                "last_over_time(up{{job!~\"{JOB_RELAYER}|{JOB_POOLS}\"}}[{}]) == 0",
                self.window()
            ),
            AlertName::ConnectionLeak => {
                format!("{} > 0", self.over("increase", &catalogue::LEASE_LEAKS_TOTAL))
            }
            AlertName::RetryBudgetExhausted => format!(
                "{} > {}",
                self.judged("increase", &catalogue::RETRY_BUDGET_EXHAUSTED_TOTAL),
                number(self.threshold)
            ),
            AlertName::EndpointBlockLag => format!(
                "{} > {}",
                self.judged("min_over_time", &catalogue::BLOCK_LAG),
                number(self.threshold)
            ),
            AlertName::EndpointThrottled => format!(
                "{} > {}",
                self.judged("avg_over_time", &catalogue::THROTTLE_STATUS),
                number(self.threshold)
            ),
            AlertName::ReconfigurationFailed => format!(
                "max by ({}) (increase({}{{result=\"refused\"}}[{}])) > 0",
                self.by(),
                catalogue::RECONFIGURATIONS_TOTAL.name,
                self.window()
            ),
            AlertName::PoolAvailabilityBurnFast => burn(
                self.spec,
                Recording::NodeErrors,
                self.spec.slo.availability,
                &FAST,
            ),
            AlertName::PoolAvailabilityBurnSlow => burn(
                self.spec,
                Recording::NodeErrors,
                self.spec.slo.availability,
                &SLOW,
            ),
            AlertName::PoolLatencyBurnFast => burn(self.spec, Recording::Slow, self.spec.slo.latency, &FAST),
            AlertName::PoolLatencyBurnSlow => burn(self.spec, Recording::Slow, self.spec.slo.latency, &SLOW),
            _ => "vector(1)".to_owned(),
        }
    }

    /// Of two jobs that scrape a relayer, one that succeeds is enough.
    fn relayer_down(&self) -> String {
        format!(
            "max by ({}) (last_over_time(up{{job=~\"{JOB_RELAYER}|{JOB_POOLS}\"}}[{}])) == 0",
            self.by(),
            self.window()
        )
    }

    /// Per relayer: a global `absent()` would miss one of two.
    fn pool_metrics_missing(&self) -> String {
        format!(
            "last_over_time(up{{job=\"{JOB_POOLS}\"}}[{window}]) == 1\nunless on ({by})\npresent_over_time({metric}[{window}])",
            by = self.by(),
            metric = catalogue::SLOTS_USABLE.name,
            window = self.window(),
        )
    }
}

/// A window, the shorter one that ends the alert soon after the trouble, and how many times too fast the budget may burn.
pub(crate) type Pace = (u64, u64, f64);

const HOUR: u64 = 3_600;
/// Two to five percent of the budget of 30 days are gone.
pub(crate) const FAST: [Pace; 2] = [(HOUR, 300, 14.4), (6 * HOUR, 1_800, 6.0)];
/// Ten percent of it are.
pub(crate) const SLOW: [Pace; 2] = [(24 * HOUR, 2 * HOUR, 3.0), (72 * HOUR, 6 * HOUR, 1.0)];

/// The multi-window, multi-burn-rate alert of Google's SRE workbook, with a floor on traffic.
fn burn(spec: &Spec, bad: Recording, objective: f64, paces: &[Pace]) -> String {
    let (bad, all) = (bad.name(), Recording::Attempts.name());
    let span = |seconds| spec.scaled(crate::PromDuration::from_secs(seconds));
    let ways: Vec<String> = paces
        .iter()
        .map(|(long, short, factor)| {
            let limit = number(factor * (1.0 - objective));
            let share =
                |window| format!("sum_over_time({bad}[{window}]) / sum_over_time({all}[{window}]) > {limit}");
            format!(
                "(\n  {}\n  and\n  {}\n  and\n  avg_over_time({all}[{}]) >= {}\n)",
                share(span(*long)),
                share(span(*short)),
                span(*long),
                number(spec.slo.min_rate)
            )
        })
        .collect();
    ways.join("\nor\n")
}
