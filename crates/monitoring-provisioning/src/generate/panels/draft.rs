//! Building blocks of panels: queries that fold the jobs, and the look of each panel type.

use pool_metrics::catalogue::Metric;
use serde_json::{Map, Value, json};

use crate::{
    alert::Subject,
    model::dashboard::{FieldConfig, FieldConfigSource, ThresholdStep, Thresholds},
};

/// A panel without id and place.
pub(crate) struct Draft {
    pub(crate) kind: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) field_config: FieldConfigSource,
    pub(crate) options: Map<String, Value>,
    pub(crate) instant: bool,
    /// Expression and legend.
    pub(crate) queries: Vec<(String, String)>,
}

impl Draft {
    pub(super) fn query(mut self, expr: impl Into<String>, legend: &str) -> Self {
        self.queries.push((expr.into(), legend.to_owned()));
        self
    }

    /// Three to a line instead of two.
    pub(super) fn narrow(mut self) -> Self {
        self.width = 8;
        self
    }
}

/// Matchers of the dashboard's variables.
fn selector(metric: &Metric) -> &'static str {
    if metric.has_label("endpoint") {
        "instance=~\"$instance\",pool=~\"$pool\",endpoint=~\"$endpoint\""
    } else {
        "instance=~\"$instance\",pool=~\"$pool\""
    }
}

/// A gauge per endpoint, jobs folded.
pub(super) fn by_endpoint(metric: &Metric) -> String {
    format!(
        "max by ({}) ({}{{{}}})",
        Subject::Endpoint.by(),
        metric.name,
        selector(metric)
    )
}

/// A gauge per pool, jobs folded.
pub(super) fn by_pool(metric: &Metric) -> String {
    format!(
        "max by ({}) ({}{{{}}})",
        Subject::Pool.by(),
        metric.name,
        selector(metric)
    )
}

/// A counter's rate, jobs folded.
pub(super) fn rate(metric: &Metric, subject: Subject) -> String {
    rate_of("", metric, &subject.by())
}

/// The rate of a counter, or of a histogram's part named by `suffix`, jobs folded.
pub(super) fn rate_of(suffix: &str, metric: &Metric, by: &str) -> String {
    format!(
        "max by ({by}) (rate({}{suffix}{{{}}}[$__rate_interval]))",
        metric.name,
        selector(metric)
    )
}

/// A counter's increase, jobs folded.
pub(super) fn increase(metric: &Metric, subject: Subject) -> String {
    format!(
        "max by ({}) (increase({}{{{}}}[$__rate_interval]))",
        subject.by(),
        metric.name,
        selector(metric)
    )
}

/// What 0 and 1 of a flag mean.
pub(super) type Flag = [(&'static str, &'static str); 2];
pub(super) const FLAG_HEALTH: Flag = [("healthy", "green"), ("unhealthy", "red")];
pub(super) const FLAG_BREAKER: Flag = [("closed", "green"), ("open", "red")];

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Green at the bottom, then the given steps.
fn thresholds(steps: &[(f64, &str)]) -> Thresholds {
    let base = ThresholdStep {
        color: "green".to_owned(),
        value: None,
    };
    let more = steps.iter().map(|(value, color)| ThresholdStep {
        color: (*color).to_owned(),
        value: Some(*value),
    });
    Thresholds {
        mode: "absolute".to_owned(),
        steps: std::iter::once(base).chain(more).collect(),
    }
}

fn draft(
    kind: &'static str,
    title: &'static str,
    description: &'static str,
    defaults: FieldConfig,
    options: Value,
) -> Draft {
    Draft {
        kind,
        title,
        description,
        width: 12,
        height: 8,
        field_config: FieldConfigSource {
            defaults,
            overrides: Vec::new(),
        },
        options: object(options),
        instant: false,
        queries: Vec::new(),
    }
}

fn reduce() -> Value {
    json!({ "values": false, "calcs": ["lastNotNull"], "fields": "" })
}

/// One number.
pub(super) fn stat(
    title: &'static str,
    description: &'static str,
    unit: &str,
    steps: &[(f64, &str)],
) -> Draft {
    let defaults = FieldConfig {
        unit: unit.to_owned(),
        thresholds: Some(thresholds(steps)),
        color: Some(object(json!({ "mode": "thresholds" }))),
        ..FieldConfig::default()
    };
    let options = json!({
        "graphMode": "none",
        "colorMode": "value",
        "justifyMode": "auto",
        "textMode": "auto",
        "wideLayout": true,
        "showPercentChange": false,
        "percentChangeColorMode": "standard",
        "orientation": "auto",
        "reduceOptions": reduce(),
    });
    Draft {
        width: 4,
        height: 4,
        instant: true,
        ..draft("stat", title, description, defaults, options)
    }
}

/// A share between 0 and 1, red from `red`.
pub(super) fn gauge(title: &'static str, description: &'static str, red: f64) -> Draft {
    let defaults = FieldConfig {
        unit: "percentunit".to_owned(),
        min: Some(0.0),
        max: Some(1.0),
        thresholds: Some(thresholds(&[(red * 0.75, "orange"), (red, "red")])),
        color: Some(object(json!({ "mode": "thresholds" }))),
        ..FieldConfig::default()
    };
    let options = json!({
        "showThresholdLabels": false,
        "showThresholdMarkers": true,
        "sizing": "auto",
        "minVizWidth": 75,
        "minVizHeight": 75,
        "orientation": "auto",
        "reduceOptions": reduce(),
    });
    Draft {
        width: 24,
        height: 7,
        instant: true,
        ..draft("gauge", title, description, defaults, options)
    }
}

/// Lines over time. With limits, the area above them is shaded.
pub(super) fn timeseries(
    title: &'static str,
    description: &'static str,
    unit: &str,
    limits: &[(f64, &str)],
) -> Draft {
    let style = if limits.is_empty() { "off" } else { "line" };
    let defaults = FieldConfig {
        unit: unit.to_owned(),
        min: Some(0.0),
        thresholds: Some(thresholds(limits)),
        color: Some(object(json!({ "mode": "palette-classic" }))),
        custom: Some(object(json!({
            "drawStyle": "line",
            "lineInterpolation": "linear",
            "lineWidth": 1,
            "fillOpacity": 10,
            "showPoints": "never",
            "spanNulls": false,
            "thresholdsStyle": { "mode": style },
        }))),
        ..FieldConfig::default()
    };
    let options = json!({
        "legend": {
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": true,
            "calcs": ["lastNotNull", "max"],
        },
        "tooltip": { "mode": "multi", "sort": "desc" },
    });
    draft("timeseries", title, description, defaults, options)
}

/// A flag over time, one line per series.
pub(super) fn state_timeline(title: &'static str, description: &'static str, flag: Flag) -> Draft {
    let [(zero, zero_color), (one, one_color)] = flag;
    let defaults = FieldConfig {
        unit: "none".to_owned(),
        mappings: vec![json!({
            "type": "value",
            "options": {
                "0": { "text": zero, "color": zero_color, "index": 0 },
                "1": { "text": one, "color": one_color, "index": 1 },
            },
        })],
        thresholds: Some(thresholds(&[(1.0, one_color)])),
        color: Some(object(json!({ "mode": "thresholds" }))),
        custom: Some(object(
            json!({ "lineWidth": 0, "fillOpacity": 70, "spanNulls": false }),
        )),
        ..FieldConfig::default()
    };
    let options = json!({
        "showValue": "never",
        "rowHeight": 0.9,
        "mergeValues": true,
        "alignValue": "left",
        "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
        "tooltip": { "mode": "single", "sort": "none" },
    });
    draft("state-timeline", title, description, defaults, options)
}
