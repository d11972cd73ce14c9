//! Metric families as OpenMetrics 1.0 text.
//!
//! No name of a sample differs from the text format 0.0.4. What differs is how types are declared:
//!
//! - A counter `x_total` is declared as `# TYPE x counter`; its sample is still `x_total`.
//! - A counter whose name does not end in `_total` could only be a counter under another name. It keeps its name and is
//!   declared `unknown`, as is a counter `x_total` beside another metric `x`, with which its declaration would clash.
//! - A gauge may end in `_total` (`connections_total` does): OpenMetrics only forbids it beside a counter `connections`.
//! - Bounds of buckets are canonical floats (`le="1000.0"`), which is also how Prometheus 3 stores those of the text
//!   format. Timestamps are seconds.

use std::{collections::HashSet, fmt::Write as _};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// Writes all families that have samples, and the end mark.
pub(super) fn encode(families: &[MetricFamily]) -> String {
    let names: HashSet<&str> = families.iter().map(MetricFamily::name).collect();
    let lines: usize = families.iter().map(|family| family.get_metric().len()).sum();
    let mut out = String::with_capacity(lines * 160 + 64);
    for family in families.iter().filter(|family| !family.get_metric().is_empty()) {
        let (declared, kind) = declaration(family, &names);
        declare(&mut out, declared, kind, family.help());
        for metric in family.get_metric() {
            samples(&mut out, family, metric);
        }
    }
    out.push_str("# EOF\n");
    out
}

fn declaration<'a>(family: &'a MetricFamily, names: &HashSet<&str>) -> (&'a str, &'static str) {
    let name = family.name();
    match family.get_field_type() {
        MetricType::COUNTER => match name.strip_suffix("_total") {
            Some(stem) if !stem.is_empty() && !names.contains(stem) => (stem, "counter"),
            _ => (name, "unknown"),
        },
        MetricType::GAUGE => (name, "gauge"),
        MetricType::HISTOGRAM => (name, "histogram"),
        MetricType::SUMMARY => (name, "summary"),
        MetricType::UNTYPED => (name, "unknown"),
    }
}

fn declare(out: &mut String, name: &str, kind: &str, help: &str) {
    if !help.is_empty() {
        out.push_str("# HELP ");
        out.push_str(name);
        out.push(' ');
        escape(out, help);
        out.push('\n');
    }
    out.push_str("# TYPE ");
    out.push_str(name);
    out.push(' ');
    out.push_str(kind);
    out.push('\n');
}

fn samples(out: &mut String, family: &MetricFamily, metric: &Metric) {
    let name = family.name();
    let labels = labels(metric.get_label());
    let mut line = |suffix: &str, extra: Option<(&str, f64)>, value: f64| {
        out.push_str(name);
        out.push_str(suffix);
        label_set(out, &labels, extra);
        out.push(' ');
        number(out, value);
        if metric.timestamp_ms() != 0 {
            let _infallible = write!(out, " {}", metric.timestamp_ms() as f64 / 1e3);
        }
        out.push('\n');
    };
    match family.get_field_type() {
        MetricType::COUNTER => line("", None, metric.get_counter().get_value()),
        MetricType::GAUGE => line("", None, metric.get_gauge().get_value()),
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let all = histogram.get_sample_count() as f64;
            let finite = histogram
                .get_bucket()
                .iter()
                .filter(|bucket| bucket.upper_bound() < f64::INFINITY);
            for bucket in finite {
                let count = bucket.cumulative_count() as f64;
                line("_bucket", Some(("le", bucket.upper_bound())), count);
            }
            line("_bucket", Some(("le", f64::INFINITY)), all);
            line("_count", None, all);
            line("_sum", None, histogram.get_sample_sum());
        }
        MetricType::SUMMARY => {
            let summary = metric.get_summary();
            for quantile in summary.get_quantile() {
                line("", Some(("quantile", quantile.quantile())), quantile.value());
            }
            line("_count", None, summary.sample_count() as f64);
            line("_sum", None, summary.sample_sum());
        }
        // the registry's model has no value for it
        MetricType::UNTYPED => {}
    }
}

/// `a="x",b="y"`, once for all lines of a metric.
fn labels(pairs: &[LabelPair]) -> String {
    let mut out = String::with_capacity(64);
    for pair in pairs {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(pair.name());
        out.push_str("=\"");
        escape(&mut out, pair.value());
        out.push('"');
    }
    out
}

fn label_set(out: &mut String, labels: &str, extra: Option<(&str, f64)>) {
    if labels.is_empty() && extra.is_none() {
        return;
    }
    out.push('{');
    out.push_str(labels);
    if let Some((name, value)) = extra {
        if !labels.is_empty() {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        // with a point, as the standard wants it where a number is a label
        if value.is_finite() {
            let _infallible = write!(out, "{value:?}");
        } else {
            number(out, value);
        }
        out.push('"');
    }
    out.push('}');
}

fn number(out: &mut String, value: f64) {
    /// Below it a float holds every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let _infallible = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if value.fract() == 0.0 && value.abs() < EXACT {
        write!(out, "{}", value as i64)
    } else {
        write!(out, "{value:?}")
    };
}

/// Escapes as label values and help texts need it.
fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\n', '"']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            _ => "\\\"",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use prometheus::{
        CounterVec, Gauge, Histogram, HistogramOpts, IntCounter, Opts, Registry,
        core::{Collector, Desc},
    };

    use super::*;

    fn text(collectors: Vec<Box<dyn Collector>>) -> String {
        let registry = Registry::new();
        for collector in collectors {
            registry.register(collector).unwrap();
        }
        encode(&registry.gather())
    }

    #[test]
    fn nothing_is_an_end_mark() {
        assert_eq!(text(Vec::new()), "# EOF\n");
    }

    #[test]
    fn counters_are_declared_without_their_suffix_or_as_unknown() {
        let counter = |name| Box::new(IntCounter::new(name, "Help.").unwrap());
        assert_eq!(
            text(vec![counter("served_total"), counter("served_plain")]),
            "# HELP served_plain Help.\n# TYPE served_plain unknown\nserved_plain 0\n\
             # HELP served Help.\n# TYPE served counter\nserved_total 0\n# EOF\n"
        );
        // `# TYPE served counter` would declare the gauge's name a second time
        let gauge = Box::new(Gauge::new("served", "Help.").unwrap());
        assert_eq!(
            text(vec![counter("served_total"), gauge]),
            "# HELP served Help.\n# TYPE served gauge\nserved 0\n\
             # HELP served_total Help.\n# TYPE served_total unknown\nserved_total 0\n# EOF\n"
        );
    }

    #[test]
    fn bounds_are_canonical_and_infinity_is_there() {
        let options = HistogramOpts::new("took_ms", "Took.").buckets(vec![0.5, 1.0, 1000.0, 1e17]);
        let histogram = Histogram::with_opts(options.const_label("pool", "eth")).unwrap();
        histogram.observe(0.75);
        histogram.observe(2000.5);
        let expected = "\
# HELP took_ms Took.
# TYPE took_ms histogram
took_ms_bucket{pool=\"eth\",le=\"0.5\"} 0
took_ms_bucket{pool=\"eth\",le=\"1.0\"} 1
took_ms_bucket{pool=\"eth\",le=\"1000.0\"} 1
took_ms_bucket{pool=\"eth\",le=\"1e17\"} 2
took_ms_bucket{pool=\"eth\",le=\"+Inf\"} 2
took_ms_count{pool=\"eth\"} 2
took_ms_sum{pool=\"eth\"} 2001.25
# EOF
";
        assert_eq!(text(vec![Box::new(histogram)]), expected);
    }

    #[test]
    fn text_is_escaped() {
        let options = Opts::new("odd_total", "a \"b\"\\c\nd");
        let odd = CounterVec::new(options, &["said"]).unwrap();
        odd.with_label_values(&["x\"y\\z\nü"]).inc_by(0.25);
        assert_eq!(
            text(vec![Box::new(odd)]),
            "# HELP odd a \\\"b\\\"\\\\c\\nd\n# TYPE odd counter\nodd_total{said=\"x\\\"y\\\\z\\nü\"} 0.25\n# EOF\n"
        );
    }

    #[test]
    fn odd_numbers_are_written_as_the_standard_wants_them() {
        for (value, expected) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (-3.0, "-3"),
            (1e300, "1e300"),
            (0.000_000_1, "1e-7"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
        ] {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn summaries_and_timestamps() {
        struct Given(Vec<MetricFamily>);
        impl Collector for Given {
            fn desc(&self) -> Vec<&Desc> {
                Vec::new()
            }
            fn collect(&self) -> Vec<MetricFamily> {
                self.0.clone()
            }
        }
        let mut quantile = prometheus::proto::Quantile::default();
        quantile.set_quantile(0.5);
        quantile.set_value(7.0);
        let mut summary = prometheus::proto::Summary::default();
        summary.set_quantile(vec![quantile]);
        summary.set_sample_count(3);
        summary.set_sample_sum(20.5);
        let mut metric = Metric::default();
        metric.set_summary(summary);
        metric.set_timestamp_ms(1_500);
        let mut family = MetricFamily::default();
        family.set_name("took".to_owned());
        family.set_field_type(MetricType::SUMMARY);
        family.set_metric(vec![metric]);
        assert_eq!(
            text(vec![Box::new(Given(vec![family]))]),
            "# TYPE took summary\ntook{quantile=\"0.5\"} 7 1.5\ntook_count 3 1.5\ntook_sum 20.5 1.5\n# EOF\n"
        );
    }
}
