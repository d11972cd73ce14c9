//! The variables at the top of a dashboard.

use pool_metrics::catalogue::{self, Metric};

use super::datasource;
use crate::model::dashboard::{Variable, VariableOption};

/// A variable that lists the values of a label.
#[derive(Clone, Copy)]
pub(super) struct Label {
    name: &'static str,
    label: &'static str,
    description: &'static str,
    /// Whose label values are listed.
    of: &'static Metric,
    /// The variables before it, which narrow it.
    within: &'static [&'static str],
    /// Whether several can be chosen, and all.
    many: bool,
}

pub(super) const JOB: Label = Label {
    name: "job",
    label: "Job",
    description: "The scrape job that carries the pools' series.",
    of: &catalogue::SLOTS_USABLE,
    within: &[],
    many: true,
};
pub(super) const INSTANCE: Label = Label {
    name: "instance",
    label: "Relayer",
    description: "A relayer process.",
    of: &catalogue::SLOTS_USABLE,
    within: &["job"],
    many: true,
};
pub(super) const POOL: Label = Label {
    name: "pool",
    label: "Pool",
    description: "A pool of endpoints, usually one per chain.",
    of: &catalogue::SLOTS_USABLE,
    within: &["job", "instance"],
    many: true,
};
pub(super) const ENDPOINT: Label = Label {
    name: "endpoint",
    label: "Endpoint",
    description: "One provider's node within a pool.",
    of: &catalogue::HEALTH_STATUS,
    within: &["job", "instance", "pool"],
    many: true,
};

/// The same, of which exactly one is chosen.
pub(super) const fn one(label: Label) -> Label {
    Label { many: false, ..label }
}

impl Label {
    /// Whether several can be chosen, and all.
    pub(super) const fn takes_many(&self) -> bool {
        self.many
    }
}

/// The datasource and these labels.
pub(super) fn list(labels: &[Label]) -> Vec<Variable> {
    std::iter::once(prometheus())
        .chain(labels.iter().map(label_variable))
        .collect()
}

fn prometheus() -> Variable {
    Variable {
        name: "datasource".to_owned(),
        label: "Data source".to_owned(),
        description: "The Prometheus that scrapes the relayers.".to_owned(),
        kind: "datasource".to_owned(),
        query: "prometheus".to_owned(),
        definition: None,
        datasource: None,
        refresh: 1,
        sort: None,
        multi: false,
        include_all: false,
        all_value: None,
        current: None,
        regex: None,
    }
}

fn label_variable(label: &Label) -> Variable {
    let matchers: Vec<String> = label
        .within
        .iter()
        .map(|name| format!("{name}=~\"${name}\""))
        .collect();
    let selector = match matchers.as_slice() {
        [] => label.of.name.to_owned(),
        matchers => format!("{}{{{}}}", label.of.name, matchers.join(",")),
    };
    let query = format!("label_values({selector}, {})", label.name);
    let all = VariableOption {
        text: "All".to_owned(),
        value: "$__all".to_owned(),
    };
    Variable {
        name: label.name.to_owned(),
        label: label.label.to_owned(),
        description: label.description.to_owned(),
        kind: "query".to_owned(),
        query: query.clone(),
        definition: Some(query),
        datasource: Some(datasource()),
        // On every change of the time range: a pool that is new appears, one that is gone disappears.
        refresh: 2,
        sort: Some(1),
        multi: label.many,
        include_all: label.many,
        all_value: label.many.then(|| ".+".to_owned()),
        current: label.many.then_some(all),
        regex: None,
    }
}
