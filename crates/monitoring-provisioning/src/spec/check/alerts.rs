//! Overrides of the alerts.

use super::{Checker, expressions::SEVERITIES};
use crate::{
    alert::{Definition, LOOK_BACK_SCRAPES, definitions, number},
    spec::{AlertName, AlertOverride},
};

/// Attempts per second that no endpoint serves.
const MOST_RATE: f64 = 100_000.0;
/// Connections that no endpoint opens within a window.
const MOST_COUNT: f64 = 1_000_000.0;

/// A number as it stands in a rule. `0.9999999` is written as 1 there, and nothing is more than the whole.
fn written(value: f64) -> f64 {
    number(value).parse().unwrap_or(f64::NAN)
}

impl Checker<'_> {
    pub(super) fn alerts(&mut self) {
        let spec = self.spec;
        for definition in definitions() {
            if let Some(given) = spec.alerts.get(&definition.name) {
                let path = format!("alerts/{}", definition.name);
                self.unused(&path, definition, given);
                self.limits(&path, definition, given);
                self.pools(&path, given);
                self.window(&path, definition, given);
                self.severity(&path, definition, given);
                for name in given.labels.keys() {
                    self.label_name(&format!("{path}/labels/{name}"), name, &["severity"]);
                }
            }
        }
        self.defaults_against_scrapes();
    }

    /// A setting that would have no effect is refused rather than ignored.
    fn unused(&mut self, path: &str, definition: &Definition, given: &AlertOverride) {
        let settings = [
            ("window", given.window.is_some(), definition.window.is_some()),
            (
                "threshold",
                given.threshold.is_some(),
                definition.threshold.is_some(),
            ),
            ("pools", !given.pools.is_empty(), definition.has_pools()),
            (
                "min_rate",
                given.min_rate.is_some(),
                definition.min_rate.is_some(),
            ),
            (
                "min_count",
                given.min_count.is_some(),
                definition.min_count.is_some(),
            ),
        ];
        let usable: Vec<String> = [
            "enabled",
            "severity",
            "silenced",
            "for",
            "expr",
            "labels",
            "annotations",
        ]
        .into_iter()
        .chain(
            settings
                .iter()
                .filter(|(_, _, usable)| *usable)
                .map(|(key, ..)| *key),
        )
        .map(|key| format!("`{key}`"))
        .collect();
        for (key, is_given, is_usable) in settings {
            if is_given && is_usable && given.expr.is_some() {
                self.report(
                    &format!("{path}/{key}"),
                    format!("`{key}` has no effect beside `expr`"),
                    "write it into the expression",
                );
            } else if is_given && !is_usable {
                self.report(
                    &format!("{path}/{key}"),
                    format!("`{}` has no `{key}`", definition.name),
                    format!("it can have {}", usable.join(", ")),
                );
            }
        }
    }

    /// Others' runbooks, routes and dashboards rely on the severities of the first ten.
    fn severity(&mut self, path: &str, definition: &Definition, given: &AlertOverride) {
        let Some(severity) = &given.severity else { return };
        let path = format!("{path}/severity");
        if definition.name.is_frozen() || definition.name.always_fires() {
            if severity != definition.severity {
                self.report(
                    &path,
                    format!(
                        "the severity of `{}` is fixed: `{}`",
                        definition.name, definition.severity
                    ),
                    "drop the line; to tell other people, give the alert a `team` label and the team a route",
                );
            }
        } else if !SEVERITIES.contains(&severity.as_str()) {
            self.report(
                &path,
                format!("no route takes the severity `{severity}`"),
                format!("allowed: {}", SEVERITIES.join(", ")),
            );
        }
    }

    /// A limit in seconds is divided by `time_scale`, and must not become 0 by that.
    fn survives(&self, definition: &Definition, value: f64) -> bool {
        definition.name != AlertName::ConnectionPoolHighChurn || written(value / self.spec.time_scale) > 0.0
    }

    fn limits(&mut self, path: &str, definition: &Definition, given: &AlertOverride) {
        let thresholds = given.threshold.map(|value| (format!("{path}/threshold"), value));
        let by_pool = given
            .pools
            .iter()
            .map(|(pool, own)| (format!("{path}/pools/{pool}/threshold"), own.threshold));
        for (path, value) in thresholds.into_iter().chain(by_pool) {
            if let Some(limit) = definition.threshold
                && !(written(value) > limit.above
                    && written(value) < limit.below
                    && self.survives(definition, value))
            {
                self.report(
                    &path,
                    format!("a threshold of {}", number(value)),
                    format!("allowed: {}", limit.unit),
                );
            }
        }
        if given
            .min_rate
            .is_some_and(|rate| !(written(rate) > 0.0 && rate <= MOST_RATE))
        {
            self.report(
                &format!("{path}/min_rate"),
                format!("`min_rate` must be above 0 and at most {MOST_RATE}"),
                "without a floor on traffic, one failed attempt is an error rate of 100 %; above a floor that no endpoint \
                 reaches, nothing ever fires",
            );
        }
        if given
            .min_count
            .is_some_and(|count| !(1.0..=MOST_COUNT).contains(&count))
        {
            self.report(
                &format!("{path}/min_count"),
                format!("`min_count` must be from 1 to {MOST_COUNT}"),
                "the default is 20; above what an endpoint ever opens, nothing ever fires",
            );
        }
    }

    /// A pool's name stands in the expression and in a template.
    fn pools(&mut self, path: &str, given: &AlertOverride) {
        let fits = |c: char| !c.is_control() && !matches!(c, '"' | '\\' | '{' | '}' | '/');
        for pool in given.pools.keys() {
            if pool.trim().is_empty() || !pool.chars().all(fits) {
                self.report(
                    &format!("{path}/pools"),
                    format!("`{}` can't name a pool here", pool.escape_debug()),
                    "the pool's name as its metrics show it, without quotes, braces, slashes and line breaks",
                );
            }
        }
    }

    fn window(&mut self, path: &str, definition: &Definition, given: &AlertOverride) {
        let least = self.spec.prometheus.scrape_interval.times(LOOK_BACK_SCRAPES);
        if definition.window.is_some() && given.window.is_some_and(|window| window < least) {
            self.report(
                &format!("{path}/window"),
                "the window holds fewer than four scrapes",
                format!("allowed: {least} or more, or a shorter `prometheus.scrape_interval`"),
            );
        }
    }

    /// A long scrape interval starves the windows that nobody has written down.
    fn defaults_against_scrapes(&mut self) {
        let least = self.spec.prometheus.scrape_interval.times(LOOK_BACK_SCRAPES);
        let starved = definitions().find(|definition| {
            let given = self
                .spec
                .alerts
                .get(&definition.name)
                .and_then(|given| given.window);
            given.is_none() && definition.window.is_some_and(|window| window < least)
        });
        if let Some(definition) = starved {
            self.report(
                "prometheus/scrape_interval",
                format!(
                    "four scrapes take {least}, longer than the window of `{}` ({})",
                    definition.name,
                    definition.window.unwrap_or_default()
                ),
                format!("scrape more often, or set `alerts.{}.window`", definition.name),
            );
        }
    }
}
