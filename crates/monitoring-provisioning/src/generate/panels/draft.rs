//! A panel before it has its place: what it asks, and what leads on from it.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{
    PanelQuery, Trouble,
    colours::{BAD, WATCH},
};
use crate::{
    model::dashboard::{FieldConfig, FieldConfigSource, Thresholds},
    spec::AlertName,
};

/// What the series of a panel are about; it decides where their links lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    Nowhere,
    /// To the pool's objectives, and to the pool alone.
    ToPool,
    /// To the endpoint in depth.
    ToEndpoint,
    /// To the runbook of the alert in the row.
    ToRunbook,
}

/// A panel without id and place.
pub(crate) struct Draft {
    pub(crate) kind: &'static str,
    pub(crate) title: Cow<'static, str>,
    pub(crate) description: Cow<'static, str>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) field_config: FieldConfigSource,
    pub(crate) options: Map<String, Value>,
    pub(crate) transformations: Vec<Value>,
    pub(crate) instant: bool,
    /// Least time between two points; Grafana's choice without.
    pub(crate) least_step: Option<&'static str>,
    /// Grafana's format of the answer where it isn't time series.
    pub(crate) format: Option<&'static str>,
    pub(crate) queries: Vec<PanelQuery>,
    /// The alerts that watch what the panel shows.
    pub(crate) alerts: Vec<AlertName>,
    pub(crate) leads: Leads,
}

impl Draft {
    pub(super) fn new(
        kind: &'static str,
        title: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
        defaults: FieldConfig,
        options: Value,
    ) -> Self {
        Self {
            kind,
            title: title.into(),
            description: description.into(),
            width: 12,
            height: 8,
            field_config: FieldConfigSource {
                defaults,
                overrides: Vec::new(),
            },
            options: object(options),
            transformations: Vec::new(),
            instant: false,
            least_step: None,
            format: None,
            queries: Vec::new(),
            alerts: Vec::new(),
            leads: Leads::Nowhere,
        }
    }

    /// One query more.
    pub(super) fn query(mut self, expr: impl Into<String>, legend: &str) -> Self {
        self.queries.push(PanelQuery {
            expr: expr.into(),
            legend: legend.to_owned(),
            empty_until: None,
        });
        self
    }

    /// The last query is empty while all is well; `trouble` gives it data.
    pub(super) fn empty_until(mut self, trouble: Trouble) -> Self {
        if let Some(query) = self.queries.last_mut() {
            query.empty_until = Some(trouble);
        }
        self
    }

    /// The alerts that watch over it.
    pub(super) fn watched_by(mut self, alerts: &[AlertName]) -> Self {
        self.alerts.extend(alerts);
        self
    }

    /// Its series are pools.
    pub(super) fn of_pools(mut self) -> Self {
        self.leads = Leads::ToPool;
        self
    }

    /// Its series are endpoints.
    pub(super) fn of_endpoints(mut self) -> Self {
        self.leads = Leads::ToEndpoint;
        self
    }

    /// Its rows are alerts: severities have their colours, and each leads to its runbook.
    pub(super) fn of_alerts(mut self) -> Self {
        self.leads = Leads::ToRunbook;
        self.field_config.defaults.mappings = vec![json!({ "type": "value", "options": {
            "critical": { "text": "critical", "color": BAD, "index": 0 },
            "warning": { "text": "warning", "color": WATCH, "index": 1 },
        }})];
        self.field_config.overrides.push(json!({
            "matcher": { "id": "byRegexpOrNames", "options": { "pattern": "", "names": ["severity"] } },
            "properties": [{ "id": "custom.cellOptions", "value": { "type": "color-text" } }],
        }));
        self
    }

    /// Its size on the grid of 24 columns.
    pub(super) fn size(mut self, width: u32, height: u32) -> Self {
        (self.width, self.height) = (width, height);
        self
    }

    /// Other colours than those of the panel's kind.
    pub(super) fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.field_config.defaults.thresholds = Some(thresholds);
        self
    }

    /// What stands there in place of a number, or of "No data".
    pub(super) fn no_value(mut self, text: &str) -> Self {
        self.field_config.defaults.no_value = Some(text.to_owned());
        self
    }

    /// Least time between two points of an expensive query.
    pub(super) fn least_step(mut self, step: &'static str) -> Self {
        self.least_step = Some(step);
        self
    }

    /// Digits behind the point.
    pub(super) fn decimals(mut self, decimals: u32) -> Self {
        self.field_config.defaults.decimals = Some(decimals);
        self
    }

    /// Values may be below 0.
    pub(super) fn signed(mut self) -> Self {
        self.field_config.defaults.min = None;
        self
    }

    /// Values lie between 0 and 1.
    pub(super) fn share(mut self) -> Self {
        self.field_config.defaults.max = Some(1.0);
        self
    }

    /// The areas of the series stand on each other.
    pub(super) fn stacked(mut self) -> Self {
        let custom = self.field_config.defaults.custom.get_or_insert_default();
        custom.insert("stacking".to_owned(), json!({ "mode": "normal", "group": "A" }));
        custom.insert("fillOpacity".to_owned(), json!(40));
        self
    }

    /// The series whose legends end in ` <last>` are dashed: a limit is told from what it limits without colours.
    pub(super) fn dashed(mut self, last: &str) -> Self {
        self.field_config.overrides.push(json!({
            // Grafana's schema wants objects for a matcher's options and a property's value: this is the matcher by name
            // that has them
            "matcher": { "id": "byRegexpOrNames", "options": { "pattern": format!("/ {last}$/"), "names": [] } },
            "properties": [{ "id": "custom.lineStyle", "value": { "fill": "dash", "dash": [8, 6] } }],
        }));
        self
    }
}

/// JSON that was written as an object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
