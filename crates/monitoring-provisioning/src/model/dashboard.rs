//! Grafana's dashboard JSON, as far as we write it. Panel options differ by panel type and are kept as JSON; Grafana's
//! own schemas judge them in the tests.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Dashboard {
    pub(crate) description: String,
    pub(crate) uid: String,
    pub(crate) title: String,
    pub(crate) tags: Vec<String>,
    pub(crate) timezone: String,
    pub(crate) editable: bool,
    pub(crate) graph_tooltip: u8,
    pub(crate) time: TimeRange,
    pub(crate) refresh: String,
    pub(crate) schema_version: u32,
    pub(crate) version: u32,
    pub(crate) templating: Templating,
    pub(crate) annotations: Annotations,
    #[serde(default)]
    pub(crate) links: Vec<Link>,
    pub(crate) panels: Vec<Panel>,
}

/// A link of a dashboard, of a panel (in its title) or of a series (in its menu). Grafana's schema wants every field in
/// all three places; Grafana itself writes those that it needs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Link {
    pub(crate) title: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) icon: String,
    pub(crate) tooltip: String,
    pub(crate) url: String,
    pub(crate) tags: Vec<String>,
    pub(crate) as_dropdown: bool,
    pub(crate) target_blank: bool,
    pub(crate) include_vars: bool,
    pub(crate) keep_time: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimeRange {
    pub(crate) from: String,
    pub(crate) to: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Templating {
    pub(crate) list: Vec<Variable>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) description: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) definition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) datasource: Option<DatasourceRef>,
    pub(crate) refresh: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sort: Option<u8>,
    pub(crate) multi: bool,
    pub(crate) include_all: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) all_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<VariableOption>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) regex: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VariableOption {
    pub(crate) text: String,
    pub(crate) value: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Annotations {
    pub(crate) list: Vec<Annotation>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Annotation {
    pub(crate) name: String,
    pub(crate) datasource: DatasourceRef,
    pub(crate) enable: bool,
    pub(crate) icon_color: String,
    pub(crate) expr: String,
    #[serde(default)]
    pub(crate) step: String,
    pub(crate) title_format: String,
    pub(crate) text_format: String,
    pub(crate) tag_keys: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatasourceRef {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) uid: String,
}

/// A panel, or a row (`type: row`), which heads the panels after it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Panel {
    pub(crate) id: u32,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) grid_pos: GridPos,
    /// Rows only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) collapsed: Option<bool>,
    /// Rows only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) panels: Option<Vec<Self>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) datasource: Option<DatasourceRef>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) transformations: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) field_config: Option<FieldConfigSource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) targets: Vec<Target>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GridPos {
    pub(crate) h: u32,
    pub(crate) w: u32,
    pub(crate) x: u32,
    pub(crate) y: u32,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldConfigSource {
    pub(crate) defaults: FieldConfig,
    pub(crate) overrides: Vec<Value>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct FieldConfig {
    /// Empty only where somebody removed it.
    #[serde(default)]
    pub(crate) unit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decimals: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mappings: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thresholds: Option<Thresholds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) color: Option<Map<String, Value>>,
    /// Shown in place of "No data".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) no_value: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) custom: Option<Map<String, Value>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Thresholds {
    pub(crate) mode: String,
    pub(crate) steps: Vec<ThresholdStep>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThresholdStep {
    pub(crate) color: String,
    pub(crate) value: Option<f64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) ref_id: String,
    pub(crate) datasource: DatasourceRef,
    pub(crate) editor_mode: String,
    pub(crate) expr: String,
    pub(crate) legend_format: String,
    /// `table` or `heatmap`; time series without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
    pub(crate) range: bool,
    pub(crate) instant: bool,
}
