//! Selectors: whether the series exists, has the labels it is asked for, and is read in a way that fits its type.

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::VectorSelector,
};

use super::{
    super::known::{Part, Series, series},
    Flow, Labels,
};
use crate::{alert::LOOK_BACK_SCRAPES, duration::PromDuration};

impl Flow<'_> {
    pub(super) fn selector(&mut self, selector: &VectorSelector) -> (String, Labels) {
        let by_matcher = || {
            selector
                .matchers
                .find_matchers("__name__")
                .into_iter()
                .find(|m| m.op == MatchOp::Equal)
        };
        let Some(name) = selector
            .name
            .clone()
            .or_else(|| by_matcher().map(|matcher| matcher.value))
        else {
            self.find("{", "a selector without a metric's name", "name the metric");
            return (String::new(), Labels::Any);
        };
        let found = match series(&name) {
            Ok(found) => found,
            Err((what, remedy)) => {
                self.find(&name, what, remedy);
                return (name, Labels::Any);
            }
        };
        let labels = found.labels().map_or(Labels::Any, Labels::Set);
        for matcher in selector.matchers.matchers.iter().filter(|m| m.name != "__name__") {
            if labels.has(&matcher.name) {
                self.matcher(&name, found, matcher);
            } else {
                self.find(
                    &matcher.name,
                    format!("`{name}` has no label `{}`", matcher.name),
                    format!("it has {}", labels.list()),
                );
            }
        }
        (name, labels)
    }

    /// A matcher on a label whose values are known must be able to match one of them.
    fn matcher(&mut self, name: &str, found: Series, matcher: &Matcher) {
        let Series::Own { metric, part } = found else {
            return;
        };
        let wants_more = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRe(_));
        if matcher.name == "le" && part == Part::Bucket && !wants_more {
            return self.bucket(name, metric.buckets, matcher);
        }
        if matcher.name == "job" && !wants_more && !matcher.is_match(pool_metrics::catalogue::JOB_POOLS) {
            return self.find(
                &matcher.value,
                format!("`{name}` isn't kept under that job"),
                format!("it is scraped under `{}`", pool_metrics::catalogue::JOB_POOLS),
            );
        }
        let Some(label) = metric
            .labels
            .iter()
            .find(|label| label.name == matcher.name && !label.values.is_empty())
        else {
            return;
        };
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let alternatives: Vec<&str> = match matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => vec![&matcher.value],
            MatchOp::Re(_) | MatchOp::NotRe(_) => {
                matcher.value.split('|').filter(|text| plain(text)).collect()
            }
        };
        for value in alternatives
            .into_iter()
            .filter(|value| !value.is_empty() && !label.values.contains(value))
        {
            self.find(
                value,
                format!("`{}` never is `{value}`", label.name),
                format!("allowed: {}", label.values.join(", ")),
            );
        }
    }

    /// Prometheus 3 stores `le="1000"` as `1000.0`, 2.x as it is exposed: a matcher must take both.
    fn bucket(&mut self, name: &str, buckets: &[f64], matcher: &Matcher) {
        let takes_both = |bound: &f64| {
            let short = bound.to_string();
            let long = if bound.fract() == 0.0 {
                format!("{short}.0")
            } else {
                short.clone()
            };
            matcher.is_match(&short) && matcher.is_match(&long)
        };
        if !matcher.is_match("+Inf") && !buckets.iter().any(takes_both) {
            self.find(
                &matcher.value,
                format!(
                    "no bucket of `{name}` matches `le` {} in every supported Prometheus",
                    matcher.value
                ),
                "3.x stores 1000 as `1000.0`: write `le=~\"1000(\\\\.0)?\"` with a bound from the catalogue",
            );
        }
    }

    /// A selector without a range.
    pub(super) fn instant(&mut self, name: &str) {
        match series(name).ok().and_then(Series::is_counter) {
            Some(true) => self.find(
                name,
                format!("the raw value of the counter `{name}` says nothing"),
                "it restarts with the process: read it through `rate` or `increase`",
            ),
            Some(false) if !self.bare_gauges => self.find(
                name,
                format!("`{name}` is read as it stands under a `for`"),
                "one failed scrape would start the `for` anew: read it through `last_over_time` of four scrapes",
            ),
            _ => {}
        }
    }

    pub(super) fn range(&mut self, name: &str, range: std::time::Duration) {
        let least = self.spec.prometheus.scrape_interval.times(LOOK_BACK_SCRAPES);
        // One percent for the rounding of scaled durations to milliseconds.
        let seconds = range.as_secs_f64() * self.spec.time_scale * 1.01;
        if matches!(series(name), Ok(Series::Own { .. })) && seconds < least.as_secs_f64() {
            let range = PromDuration::from_millis(range.as_millis() as u64);
            self.find(
                name,
                format!("the range [{range}] holds fewer than four scrapes of `{name}`"),
                format!("allowed: {} or more", self.spec.scaled(least)),
            );
        }
    }
}
