//! Alert rules.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::duration::PromDuration;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleFile {
    pub(crate) groups: Vec<Group>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<PromDuration>,
    /// From Prometheus 2.53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) query_offset: Option<PromDuration>,
    pub(crate) rules: Vec<Rule>,
}

/// An alert, or a recording rule: one of the two has a name.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) record: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) alert: String,
    pub(crate) expr: String,
    #[serde(rename = "for", default, skip_serializing_if = "is_zero")]
    pub(crate) for_: PromDuration,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub(crate) labels: IndexMap<String, String>,
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub(crate) annotations: IndexMap<String, String>,
}

impl RuleFile {
    /// Rules of one group.
    pub(crate) fn of(rules: Vec<Rule>) -> Self {
        Self {
            groups: vec![Group {
                name: "rules".to_owned(),
                interval: None,
                query_offset: None,
                rules,
            }],
        }
    }
}

impl Rule {
    pub(crate) fn name(&self) -> &str {
        if self.alert.is_empty() {
            &self.record
        } else {
            &self.alert
        }
    }
}

fn is_zero(duration: &PromDuration) -> bool {
    *duration == PromDuration::ZERO
}
