//! What Grafana writes although nobody edited it.
//!
//! Paths are written as patterns: `*` for a place in a list, panels within a collapsed row as panels.

use serde_json::Value;

/// Counted, stamped or migrated by Grafana; `editable` has to be changed before anything else can be.
const VOLATILE: [&str; 13] = [
    "id",
    "uid",
    "version",
    "iteration",
    "editable",
    "schemaVersion",
    "revision",
    "gnetId",
    "__inputs",
    "__requires",
    "__elements",
    "panels/*/pluginVersion",
    "templating/list/*/options",
];

/// Defaults that Grafana writes out, as JSON: of panels of one type (any, where it is empty), of the values at the paths
/// that end so. What isn't listed has an empty default: null, false, "", [], {}.
#[rustfmt::skip]
const DEFAULTS: &[(&str, &str, &str)] = &[
    // The dashboard.
    ("", "timezone", r#""browser""#),
    ("", "graphTooltip", "0"),
    ("", "fiscalYearStartMonth", "0"),
    ("", "weekStart", r#""browser""#),
    ("", "weekStart", r#""""#),
    ("", "timepicker/refresh_intervals", r#"["5s","10s","30s","1m","5m","15m","30m","1h","2h","1d"]"#),
    ("", "templating/list/*/hide", "0"),
    ("", "templating/list/*/sort", "0"),
    ("", "templating/list/*/allowCustomValue", "true"),
    ("", "templating/list/*/regexApplyTo", r#""value""#),
    ("", "annotations/list/*/enable", "true"),
    ("", "annotations/list/*/builtIn", "0"),
    ("", "annotations/list/*/filter/exclude", "false"),
    // Every panel.
    ("", "panels/*/repeatDirection", r#""h""#),
    ("", "targets/*/format", r#""time_series""#),
    ("", "targets/*/editorMode", r#""code""#),
    ("", "targets/*/range", "true"),
    ("", "targets/*/intervalFactor", "1"),
    ("", "defaults/thresholds", r#"{"mode":"absolute","steps":[{"color":"green","value":null},{"color":"red","value":80}]}"#),
    ("", "defaults/thresholds", r#"{"mode":"absolute","steps":[{"color":"green","value":null}]}"#),
    ("", "defaults/color", r#"{"mode":"thresholds"}"#),
    ("timeseries", "defaults/color", r#"{"mode":"palette-classic"}"#),
    ("", "orientation", r#""auto""#),
    ("", "reduceOptions/calcs", r#"["lastNotNull"]"#),
    ("", "legend/displayMode", r#""list""#),
    ("", "legend/placement", r#""bottom""#),
    ("", "legend/showLegend", "true"),
    ("", "legend/enableFacetedFilter", "false"),
    ("", "tooltip/mode", r#""single""#),
    ("", "tooltip/sort", r#""none""#),
    // What a field looks like: of all panels with axes, then of those that differ.
    ("", "custom/axisColorMode", r#""text""#),
    ("", "custom/axisPlacement", r#""auto""#),
    ("", "custom/barAlignment", "0"),
    ("", "custom/barWidthFactor", "0.6"),
    ("", "custom/drawStyle", r#""line""#),
    ("timeseries", "custom/fillOpacity", "0"),
    ("", "custom/gradientMode", r#""none""#),
    ("", "custom/lineInterpolation", r#""linear""#),
    ("timeseries", "custom/lineWidth", "1"),
    ("", "custom/pointSize", "5"),
    ("", "custom/scaleDistribution/type", r#""linear""#),
    ("", "custom/showPoints", r#""auto""#),
    ("", "custom/stacking/group", r#""A""#),
    ("", "custom/stacking/mode", r#""none""#),
    ("", "custom/thresholdsStyle/mode", r#""off""#),
    ("state-timeline", "custom/lineWidth", "0"),
    ("state-timeline", "custom/fillOpacity", "70"),
    ("status-history", "custom/lineWidth", "1"),
    ("status-history", "custom/fillOpacity", "70"),
    ("table", "custom/align", r#""auto""#),
    ("table", "custom/cellOptions/type", r#""auto""#),
    ("table", "custom/footer/reducers", "[]"),
    // Panels' own options.
    ("stat", "options/graphMode", r#""area""#),
    ("stat", "options/colorMode", r#""value""#),
    ("stat", "options/justifyMode", r#""auto""#),
    ("stat", "options/textMode", r#""auto""#),
    ("stat", "options/wideLayout", "true"),
    ("stat", "options/percentChangeColorMode", r#""standard""#),
    ("gauge", "options/showThresholdMarkers", "true"),
    ("gauge", "options/sizing", r#""auto""#),
    ("gauge", "options/minVizWidth", "75"),
    ("gauge", "options/minVizHeight", "75"),
    ("gauge", "options/barShape", r#""flat""#),
    ("gauge", "options/barWidthFactor", "0.5"),
    ("gauge", "options/endpointMarker", r#""point""#),
    ("gauge", "options/segmentCount", "1"),
    ("gauge", "options/segmentSpacing", "0.3"),
    ("gauge", "options/shape", r#""gauge""#),
    ("gauge", "options/sparkline", "true"),
    ("gauge", "options/textMode", r#""auto""#),
    ("bargauge", "options/displayMode", r#""gradient""#),
    ("bargauge", "options/valueMode", r#""color""#),
    ("bargauge", "options/namePlacement", r#""auto""#),
    ("bargauge", "options/showUnfilled", "true"),
    ("bargauge", "options/sizing", r#""auto""#),
    ("bargauge", "options/minVizWidth", "8"),
    ("bargauge", "options/minVizHeight", "16"),
    ("bargauge", "options/maxVizHeight", "300"),
    ("state-timeline", "options/showValue", r#""auto""#),
    ("state-timeline", "options/rowHeight", "0.9"),
    ("state-timeline", "options/mergeValues", "true"),
    ("state-timeline", "options/alignValue", r#""left""#),
    ("state-timeline", "options/perPage", "20"),
    ("status-history", "options/showValue", r#""auto""#),
    ("status-history", "options/rowHeight", "0.9"),
    ("status-history", "options/colWidth", "0.9"),
    ("status-history", "options/perPage", "20"),
    ("table", "options/showHeader", "true"),
    ("table", "options/cellHeight", r#""sm""#),
    ("table", "options/frameIndex", "0"),
];

/// Whether a difference here is none.
pub(super) fn is_volatile(pattern: &str) -> bool {
    VOLATILE.contains(&pattern)
}

/// Whether Grafana shows the same when the value isn't there.
pub(super) fn is_default(pattern: &str, panel: &str, value: &Value) -> bool {
    if value.is_null() {
        return true;
    }
    let listed: Vec<Value> = DEFAULTS
        .iter()
        .filter(|(kind, end, _)| (kind.is_empty() || *kind == panel) && ends(pattern, end))
        .filter_map(|(.., json)| serde_json::from_str(json).ok())
        .collect();
    if !listed.is_empty() {
        return listed.iter().any(|default| same(default, value));
    }
    match value {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, value)| is_default(&format!("{pattern}/{name}"), panel, value)),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(is) => !is,
        _ => false,
    }
}

/// A whole path, or the end of one at a name's beginning.
fn ends(pattern: &str, end: &str) -> bool {
    let is_whole = !end.contains('/') && !matches!(end, "orientation");
    pattern == end
        || (!is_whole
            && pattern
                .strip_suffix(end)
                .is_some_and(|before| before.ends_with('/')))
}

/// Equal, with numbers compared by value: 1 and 1.0 are the same.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_default_is_json_and_reachable() {
        for (kind, end, json) in DEFAULTS {
            let value: Value = serde_json::from_str(json).expect("valid JSON");
            assert!(is_default(end, kind, &value), "{kind} {end}");
        }
    }

    #[test]
    fn what_a_default_of_true_hides_is_seen() {
        assert!(!is_default(
            "panels/*/options/legend/showLegend",
            "timeseries",
            &json!(false)
        ));
        assert!(is_default(
            "panels/*/options/legend/isVisible",
            "timeseries",
            &json!(false)
        ));
        assert!(!is_default("panels/*/options/textMode", "stat", &json!("name")));
        // The default of one type of panel is none of another.
        assert!(!is_default("panels/*/options/graphMode", "gauge", &json!("area")));
        // `timezone` of the dashboard, not of a panel.
        assert!(!is_default(
            "panels/*/options/timezone",
            "table",
            &json!("browser")
        ));
    }
}
