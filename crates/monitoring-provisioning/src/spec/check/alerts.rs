//! Overrides of the alerts.

use super::Checker;
use crate::{
    alert::{DEFINITIONS, Definition, LOOK_BACK_SCRAPES, number},
    spec::AlertOverride,
};

impl Checker<'_> {
    pub(super) fn alerts(&mut self) {
        let spec = self.spec;
        for definition in &DEFINITIONS {
            if let Some(given) = spec.alerts.get(&definition.name) {
                let path = format!("alerts/{}", definition.name);
                self.unused(&path, definition, given);
                self.limits(&path, definition, given);
                self.window(&path, definition, given);
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
        let usable: Vec<String> = ["enabled", "for", "labels"]
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
            if is_given && !is_usable {
                self.report(
                    &format!("{path}/{key}"),
                    format!("`{}` has no `{key}`", definition.name),
                    format!("it can have {}", usable.join(", ")),
                );
            }
        }
    }

    fn limits(&mut self, path: &str, definition: &Definition, given: &AlertOverride) {
        if let (Some(value), Some(limit)) = (given.threshold, definition.threshold)
            && !(value > limit.above && value < limit.below)
        {
            self.report(
                &format!("{path}/threshold"),
                format!("a threshold of {}", number(value)),
                format!("allowed: {}", limit.unit),
            );
        }
        if given
            .min_rate
            .is_some_and(|rate| !(rate > 0.0 && rate.is_finite()))
        {
            self.report(
                &format!("{path}/min_rate"),
                "`min_rate` must be above 0",
                "without a floor on traffic, one failed attempt is an error rate of 100 %",
            );
        }
        if given
            .min_count
            .is_some_and(|count| !(count >= 1.0 && count.is_finite()))
        {
            self.report(
                &format!("{path}/min_count"),
                "`min_count` must be at least 1",
                "the default is 20",
            );
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
        let starved = DEFINITIONS.iter().find(|definition| {
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
