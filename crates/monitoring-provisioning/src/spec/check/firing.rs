//! Settings that are each allowed but together keep an alert from ever firing, or from reaching anybody.
//!
//! All times are those of the spec: `time_scale` divides every one of them alike.

use super::Checker;
use crate::{
    alert::{Alert, alerts},
    duration::PromDuration,
    spec::Spec,
};

/// A scrape that may not take even this long, after `time_scale`, never ends in time.
const LEAST_SCRAPE_TIMEOUT: PromDuration = PromDuration::from_millis(10);

impl Checker<'_> {
    pub(super) fn firing(&mut self) {
        let spec = self.spec;
        for alert in alerts(spec).filter(|alert| alert.enabled) {
            self.memory(&alert);
            self.evaluations(&alert);
            self.history(&alert);
        }
        let timeout = spec.scaled(spec.prometheus.scrape_timeout);
        if timeout < LEAST_SCRAPE_TIMEOUT && spec.prometheus.scrape_timeout != PromDuration::ZERO {
            self.report(
                "prometheus/scrape_timeout",
                format!("a scrape would have to end within {timeout}: every target would be down"),
                format!(
                    "allowed: {LEAST_SCRAPE_TIMEOUT} or more after division by `time_scale` ({})",
                    spec.time_scale
                ),
            );
        }
    }

    /// An alert that remembers one event must outlast `for`, and the wait of its notification, while it remembers.
    fn memory(&mut self, alert: &Alert<'_>) {
        if !alert.definition.remembers {
            return;
        }
        let (name, spec) = (alert.definition.name, self.spec);
        let plain = self.unscaled();
        let route = plain.route_of(alert.severity, alert.team(spec));
        let group_wait = route.map_or(PromDuration::ZERO, |route| route.group_wait);
        let route = route.map(|route| route.place()).unwrap_or_default();
        // The event is seen by the next scrape, and the alert by the next evaluation, pending and then firing.
        let unavoidable = spec
            .prometheus
            .evaluation_interval
            .times(2)
            .plus(spec.prometheus.scrape_interval)
            .plus(group_wait);
        let needed = alert.for_.plus(unavoidable);
        if needed <= alert.window {
            return;
        }
        let most = alert.window.minus(unavoidable);
        let remedy = if unavoidable > alert.window {
            format!("allowed: a `window` of {needed} or more, or shorter intervals and `group_wait`")
        } else {
            format!("allowed: a `for` of {most} or less, or a `window` of {needed} or more")
        };
        let place = self.first_given(&[
            &format!("alerts/{name}/for"),
            &format!("alerts/{name}/window"),
            "prometheus/evaluation_interval",
            "prometheus/scrape_interval",
            &format!("{route}/group_wait"),
            &format!("notifications/{}/group_wait", alert.severity),
        ]);
        self.report(
            &place,
            format!(
                "`{name}` would never be told: its window ({}) forgets an event before `for` ({}), two evaluations, a \
                 scrape and `group_wait` ({group_wait}) have passed",
                alert.window, alert.for_
            ),
            remedy,
        );
    }

    /// What lies between two evaluations is never looked at, and a `for` that ends between them says nothing.
    fn evaluations(&mut self, alert: &Alert<'_>) {
        let name = alert.definition.name;
        let every = self.spec.prometheus.evaluation_interval;
        let (what, limit) = if alert.definition.window.is_some() && every > alert.window {
            ("window", alert.window)
        } else if alert.for_ != PromDuration::ZERO && every > alert.for_ {
            ("for", alert.for_)
        } else {
            return;
        };
        let place = self.first_given(&["prometheus/evaluation_interval", &format!("alerts/{name}/{what}")]);
        self.report(
            &place,
            format!(
                "the rules would be evaluated every {every}, less often than the `{what}` of `{name}` ({limit}) lasts"
            ),
            format!("allowed: an `evaluation_interval` of {limit} or less, or a longer `alerts.{name}.{what}`"),
        );
    }

    /// Nothing older than the retention is there to look at; it alone isn't divided by `time_scale`.
    fn history(&mut self, alert: &Alert<'_>) {
        let (name, retention) = (alert.definition.name, self.spec.retention());
        for (what, span) in [("window", alert.window), ("for", alert.for_)] {
            if self.spec.scaled(span) > retention && retention != PromDuration::ZERO {
                let place = self.first_given(&[&format!("alerts/{name}/{what}"), "prometheus/retention"]);
                self.report(
                    &place,
                    format!("the `{what}` of `{name}` is longer than samples are kept ({retention})"),
                    "shorten it, or raise `prometheus.retention`",
                );
            }
        }
    }

    /// The same spec at its own pace, without what rounding does to scaled times.
    pub(super) fn unscaled(&self) -> Spec {
        Spec {
            time_scale: 1.0,
            ..self.spec.clone()
        }
    }

    /// Of several settings that contradict each other, the first one that is written down.
    pub(super) fn first_given(&self, paths: &[&str]) -> String {
        paths
            .iter()
            .find(|path| self.document.find(path).is_some())
            .or(paths.first())
            .map(|path| (*path).to_owned())
            .unwrap_or_default()
    }
}
