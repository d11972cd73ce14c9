//! The objectives: how much of each error budget is left, and how fast it burns.

use super::{
    Draft, POOL_LEGEND, Section, Trouble,
    colours::{BAD, GOOD, WATCH},
    errors, limit,
    looks::{gauge, stat, steps_from, timeseries},
    pool_legend,
    queries::whole_pool,
};
use crate::{
    alert::number,
    duration::PromDuration,
    generate::rules::{FAST, Pace, SLOW},
    recording::Recording,
    spec::{AlertName, Spec},
};

/// What the objectives are kept over.
const PERIOD: PromDuration = PromDuration::from_secs(30 * 86_400);

pub(crate) fn sections(spec: &Spec) -> Vec<Section> {
    let availability = Objective {
        spec,
        word: "Availability",
        bad: Recording::NodeErrors,
        share: spec.slo.availability,
        spent_by: Trouble::NodeDown,
        alerts: [
            AlertName::PoolAvailabilityBurnFast,
            AlertName::PoolAvailabilityBurnSlow,
        ],
    };
    let latency = Objective {
        spec,
        word: "Latency",
        bad: Recording::Slow,
        share: spec.slo.latency,
        spent_by: Trouble::Saturation,
        alerts: [AlertName::PoolLatencyBurnFast, AlertName::PoolLatencyBurnSlow],
    };
    let both = [&availability, &latency];
    vec![
        (
            "Budgets now",
            both.iter().flat_map(|objective| objective.now()).collect(),
        ),
        ("How fast the availability budget burns", availability.burning()),
        ("How fast the latency budget burns", latency.burning()),
        ("Who spends them", spenders(spec)),
    ]
}

/// One objective, by pool.
struct Objective<'a> {
    spec: &'a Spec,
    word: &'static str,
    /// What counts against it.
    bad: Recording,
    /// Share of the attempts that must be good.
    share: f64,
    /// What makes attempts bad.
    spent_by: Trouble,
    /// The one for pages first.
    alerts: [AlertName; 2],
}

fn recorded(recording: Recording) -> String {
    format!("{}{{instance=~\"$instance\",pool=~\"$pool\"}}", recording.name())
}

impl Objective<'_> {
    /// Share of the attempts within a window that were bad.
    fn bad_share(&self, window: &str) -> String {
        format!(
            "sum_over_time({}[{window}]) / (sum_over_time({}[{window}]) > 0)",
            recorded(self.bad),
            recorded(Recording::Attempts)
        )
    }

    /// The budget's share that is gone when a window is the whole period; else how many times too fast it burns.
    fn burn(&self, window: &str) -> String {
        format!("({}) / {}", self.bad_share(window), number(1.0 - self.share))
    }

    /// What the budget is reckoned over: the period, or as much of it as Prometheus keeps.
    fn period(&self) -> PromDuration {
        self.spec.scaled(PERIOD).min(self.spec.retention())
    }

    fn percent(&self) -> String {
        format!("{} %", number(self.share * 100.0))
    }

    /// What the objective says.
    fn demand(&self) -> String {
        match self.bad {
            Recording::Slow => format!(
                "{} of the attempts must end within {} ms",
                self.percent(),
                number(self.spec.slo.latency_ms)
            ),
            _ => format!("{} of the attempts must not fail through a node", self.percent()),
        }
    }

    fn now(&self) -> Vec<Draft> {
        let period = self.period();
        let demand = self.demand();
        let left = format!("1 - {}", self.burn(&period.to_string()));
        let lasting = format!(
            "clamp_min({left}, 0) * {} / ({} > 0)",
            number(period.std().as_secs_f64()),
            self.burn(&self.spec.scaled(PromDuration::from_secs(3_600)).to_string())
        );
        let title = |text: &str| format!("{}{text}", self.word);
        vec![
            gauge(
                title(": budget left"),
                format!(
                    "Share of the error budget of the last {period} that is left ({demand}). The budget is \
over 30 days, or as long as Prometheus keeps its data; at 0 nothing more may go wrong."
                ),
                1.0,
            )
            .query(left, POOL_LEGEND)
            .thresholds(steps_from(BAD, &[(0.1, WATCH), (0.5, GOOD)]))
            .watched_by(&self.alerts)
            .of_pools()
            .size(10, 7),
            stat(
                title(" within the time chosen"),
                format!("Share of the attempts within the dashboard's time range that were good; {demand}."),
                "percentunit",
                &[],
            )
            .query(format!("1 - {}", self.bad_share("$__range")), POOL_LEGEND)
            .thresholds(steps_from(BAD, &[(self.share, GOOD)]))
            .decimals(3)
            .of_pools()
            .size(7, 7),
            stat(
                title(": the budget lasts"),
                "How long what is left of the budget lasts at the pace of the last hour.",
                "s",
                &[],
            )
            .query(lasting, POOL_LEGEND)
            .empty_until(self.spent_by)
            .no_value("not burning")
            .thresholds(steps_from(BAD, &[(86_400.0, WATCH), (7.0 * 86_400.0, GOOD)]))
            .of_pools()
            .size(7, 7),
        ]
    }

    fn burning(&self) -> Vec<Draft> {
        let [fast, slow] = self.alerts;
        let paces = FAST
            .iter()
            .map(|pace| (fast, pace))
            .chain(SLOW.iter().map(|pace| (slow, pace)));
        let mut drafts: Vec<Draft> = paces.map(|(alert, pace)| self.pace(alert, *pace)).collect();
        let period = self.period();
        drafts.push(
            timeseries(
                format!("{} budget over time", self.word),
                format!(
                    "What was left of the budget at each moment, reckoned over the {period} before it. \
Below 0: overspent."
                ),
                "percentunit",
                &[],
            )
            .query(format!("1 - {}", self.burn(&period.to_string())), POOL_LEGEND)
            .thresholds(steps_from(BAD, &[(0.0, WATCH), (0.5, GOOD)]))
            .signed()
            .least_step("5m")
            .of_pools()
            .size(24, 8),
        );
        drafts
    }

    /// The two windows of which both must burn too fast.
    fn pace(&self, alert: AlertName, (long, short, factor): Pace) -> Draft {
        let [long, short] = [long, short].map(PromDuration::from_secs);
        let now = |window| self.spec.scaled(window).to_string();
        timeseries(
            format!("{} burn rate over {long} and {short}", self.word),
            format!(
                "How many times too fast the budget burns: at 1 it is spent in just 30 days. {alert} \
fires when both windows ({}, {}) are above {factor}, the line, with at least {} \
attempts/s.",
                now(long),
                now(short),
                number(self.spec.slo.min_rate),
            ),
            "suffix:×",
            &[(factor, BAD)],
        )
        .query(self.burn(&now(long)), &pool_legend("long"))
        .query(self.burn(&now(short)), &pool_legend("short"))
        .dashed("short")
        .watched_by(&[alert])
        .of_pools()
    }
}

fn spenders(spec: &Spec) -> Vec<Draft> {
    let floor = spec.slo.min_rate;
    let slow = limit(spec, AlertName::ConnectionPoolHighLatency);
    let quantile = super::queries::quantile(
        "0.99",
        &pool_metrics::catalogue::REQUEST_DURATION_MS,
        crate::alert::Subject::Endpoint,
    );
    vec![
        timeseries(
            "Node errors by endpoint and type",
            "Attempts per second that failed through a node: each costs availability.",
            "reqps",
            &[],
        )
        .query(
            whole_pool(&errors::through_node()),
            "{{pool}} · {{endpoint}} · {{instance}} {{error_type}}",
        )
        .stacked()
        .of_endpoints(),
        timeseries(
            "Latency p99 by endpoint",
            "One attempt in 100 is slower. Whoever stays above the objective costs latency budget.",
            "ms",
            &[(spec.slo.latency_ms.min(slow), BAD)],
        )
        .query(whole_pool(&quantile), "{{pool}} · {{endpoint}} · {{instance}}")
        .of_endpoints(),
        timeseries(
            "Attempts, bad and all",
            format!(
                "What is recorded once a minute: all attempts per second, those that failed through a \
node, those that were too slow. Below {} per second the alerts keep silent.",
                number(floor)
            ),
            "reqps",
            &[],
        )
        .query(recorded(Recording::Attempts), &pool_legend("all"))
        .query(recorded(Recording::NodeErrors), &pool_legend("failed"))
        .query(recorded(Recording::Slow), &pool_legend("too slow"))
        .dashed("all")
        .of_pools()
        .size(24, 8),
    ]
}
