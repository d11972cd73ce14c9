//! The look of each kind of panel.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{
    colours::{BAD, GOOD, WATCH},
    draft::{Draft, object},
};
use crate::model::dashboard::{FieldConfig, ThresholdStep, Thresholds};

/// What 0 and 1 of a flag mean, and their colours.
pub(super) type Flag = [(&'static str, &'static str); 2];
pub(super) const HEALTH: Flag = [("healthy", GOOD), ("unhealthy", BAD)];
pub(super) const BREAKER: Flag = [("closed", GOOD), ("open", BAD)];
pub(super) const UP: Flag = [("down", BAD), ("up", GOOD)];

/// Good at the bottom, then the given steps.
pub(super) fn steps(steps: &[(f64, &str)]) -> Thresholds {
    steps_from(GOOD, steps)
}

/// A colour at the bottom, then the given steps.
pub(super) fn steps_from(base: &str, steps: &[(f64, &str)]) -> Thresholds {
    let base = ThresholdStep {
        color: base.to_owned(),
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

/// Texts in place of values.
fn texts(texts: &[(f64, &str, &str)]) -> Vec<Value> {
    let options: serde_json::Map<String, Value> = texts
        .iter()
        .enumerate()
        .map(|(index, (value, text, color))| {
            let shown = json!({ "text": text, "color": color, "index": index });
            (value.to_string(), shown)
        })
        .collect();
    vec![json!({ "type": "value", "options": options })]
}

fn flag_texts([(zero, zero_color), (one, one_color)]: Flag) -> Vec<Value> {
    texts(&[(0.0, zero, zero_color), (1.0, one, one_color)])
}

fn reduce() -> Value {
    json!({ "values": false, "calcs": ["lastNotNull"], "fields": "" })
}

fn by_thresholds(unit: &str, limits: &[(f64, &str)]) -> FieldConfig {
    FieldConfig {
        unit: unit.to_owned(),
        thresholds: Some(steps(limits)),
        color: Some(object(json!({ "mode": "thresholds" }))),
        ..FieldConfig::default()
    }
}

/// One number now.
pub(super) fn stat(
    title: impl Into<Cow<'static, str>>,
    description: impl Into<Cow<'static, str>>,
    unit: &str,
    limits: &[(f64, &str)],
) -> Draft {
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
    let mut draft = Draft::new("stat", title, description, by_thresholds(unit, limits), options).size(4, 4);
    draft.instant = true;
    draft
}

/// How many of something bad there are: a word when there is none.
pub(super) fn count_of_bad(
    title: impl Into<Cow<'static, str>>,
    description: impl Into<Cow<'static, str>>,
    none: &str,
) -> Draft {
    let mut draft = stat(title, description, "none", &[(1.0, BAD)]);
    draft.field_config.defaults.mappings = texts(&[(0.0, none, GOOD)]);
    draft
}

/// A flag now, in words.
pub(super) fn flag_now(
    title: impl Into<Cow<'static, str>>,
    description: impl Into<Cow<'static, str>>,
    flag: Flag,
) -> Draft {
    let [(_, zero_color), (_, one_color)] = flag;
    let mut draft =
        stat(title, description, "none", &[]).thresholds(steps_from(zero_color, &[(1.0, one_color)]));
    draft.field_config.defaults.mappings = flag_texts(flag);
    draft
}

/// Shares between 0 and 1 now, as gauges; bad from `bad`.
pub(super) fn gauge(
    title: impl Into<Cow<'static, str>>,
    description: impl Into<Cow<'static, str>>,
    bad: f64,
) -> Draft {
    let defaults = FieldConfig {
        min: Some(0.0),
        max: Some(1.0),
        ..by_thresholds("percentunit", &[(bad * 0.75, WATCH), (bad, BAD)])
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
    let mut draft = Draft::new("gauge", title, description, defaults, options).size(12, 7);
    draft.instant = true;
    draft
}

/// Shares between 0 and 1 now, as bars.
pub(super) fn bars(
    title: impl Into<Cow<'static, str>>,
    description: impl Into<Cow<'static, str>>,
    limits: &[(f64, &str)],
) -> Draft {
    let defaults = FieldConfig {
        min: Some(0.0),
        max: Some(1.0),
        ..by_thresholds("percentunit", limits)
    };
    let options = json!({
        "displayMode": "basic",
        "valueMode": "text",
        "namePlacement": "auto",
        "showUnfilled": true,
        "sizing": "auto",
        "minVizWidth": 8,
        "minVizHeight": 16,
        "maxVizHeight": 300,
        "orientation": "horizontal",
        "legend": { "displayMode": "list", "placement": "bottom", "showLegend": false, "calcs": [] },
        "reduceOptions": reduce(),
    });
    let mut draft = Draft::new("bargauge", title, description, defaults, options);
    draft.instant = true;
    draft
}

/// Lines over time, each with the colour of its name, on every panel the same. Limits are drawn as lines.
pub(super) fn timeseries(
    title: impl Into<Cow<'static, str>>,
    description: impl Into<Cow<'static, str>>,
    unit: &str,
    limits: &[(f64, &str)],
) -> Draft {
    let style = if limits.is_empty() { "off" } else { "line" };
    let defaults = FieldConfig {
        unit: unit.to_owned(),
        min: Some(0.0),
        thresholds: Some(steps(limits)),
        color: Some(object(json!({ "mode": "palette-classic-by-name" }))),
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
    Draft::new("timeseries", title, description, defaults, options)
}

/// A flag over time, one line for each series, its meaning written into it.
pub(super) fn state_timeline(
    title: impl Into<Cow<'static, str>>,
    description: impl Into<Cow<'static, str>>,
    flag: Flag,
) -> Draft {
    let [(_, zero_color), (_, one_color)] = flag;
    let defaults = FieldConfig {
        unit: "none".to_owned(),
        mappings: flag_texts(flag),
        thresholds: Some(steps_from(zero_color, &[(1.0, one_color)])),
        color: Some(object(json!({ "mode": "thresholds" }))),
        custom: Some(object(
            json!({ "lineWidth": 0, "fillOpacity": 70, "spanNulls": false }),
        )),
        ..FieldConfig::default()
    };
    let options = json!({
        "showValue": "auto",
        "rowHeight": 0.9,
        "mergeValues": true,
        "alignValue": "left",
        "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
        "tooltip": { "mode": "single", "sort": "none" },
    });
    Draft::new("state-timeline", title, description, defaults, options)
}

/// Where the values of a histogram lay over time: the darker, the more.
pub(super) fn heatmap(
    title: impl Into<Cow<'static, str>>,
    description: impl Into<Cow<'static, str>>,
    unit: &str,
) -> Draft {
    let defaults = FieldConfig {
        unit: unit.to_owned(),
        thresholds: Some(steps(&[])),
        custom: Some(object(json!({
            "scaleDistribution": { "type": "linear" },
            "hideFrom": { "legend": false, "tooltip": false, "viz": false },
        }))),
        ..FieldConfig::default()
    };
    let options = json!({
        "calculate": false,
        // one hue, by lightness: it reads without telling colours apart
        "color": { "mode": "scheme", "scheme": "Blues", "fill": GOOD, "scale": "exponential", "exponent": 0.5, "steps": 64, "reverse": false },
        "rowsFrame": { "layout": "auto" },
        "cellGap": 1,
        "filterValues": { "le": 1e-9 },
        "showValue": "never",
        "yAxis": { "axisPlacement": "left", "reverse": false, "unit": unit },
        "legend": { "show": true },
        "tooltip": { "mode": "single", "yHistogram": true, "showColorScale": false },
        "exemplars": { "color": BAD },
    });
    let mut draft = Draft::new("heatmap", title, description, defaults, options);
    draft.format = Some("heatmap");
    draft
}

/// A table of what there is now: these labels as columns, in this order.
pub(super) fn table(
    title: impl Into<Cow<'static, str>>,
    description: impl Into<Cow<'static, str>>,
    columns: &[&str],
    hidden: &[&str],
) -> Draft {
    let defaults = FieldConfig {
        custom: Some(object(
            json!({ "align": "auto", "inspect": false, "filterable": true }),
        )),
        ..by_thresholds("none", &[])
    };
    let options = json!({ "frameIndex": 0, "showHeader": true, "cellHeight": "sm" });
    let order = columns
        .iter()
        .enumerate()
        .map(|(index, name)| ((*name).to_owned(), json!(index)));
    let out = hidden.iter().map(|name| ((*name).to_owned(), json!(true)));
    let organize = json!({
        "id": "organize",
        "options": {
            "excludeByName": out.collect::<serde_json::Map<_, _>>(),
            "indexByName": order.collect::<serde_json::Map<_, _>>(),
            "renameByName": {},
        },
    });
    let mut draft = Draft::new("table", title, description, defaults, options);
    draft.transformations = vec![organize];
    draft.instant = true;
    draft.format = Some("table");
    draft
}
