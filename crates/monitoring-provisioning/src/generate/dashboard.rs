//! The dashboards: what each is for, and its frame. The panels themselves are in `panels`.

mod annotations;
mod catalogue;
mod layout;
mod links;
mod variables;

use super::{
    panels::{self, Section},
    paths,
};
use crate::{
    model::{
        HEAD,
        dashboard::{Annotations, Dashboard, DatasourceRef, Templating, TimeRange},
    },
    spec::Spec,
};
use links::Sites;

pub use catalogue::{DashboardQuery, dashboard_queries};

/// The stable id of the connection pools' dashboard; alerts link to it.
pub(crate) const UID: &str = "fusion-connection-pool";

/// One dashboard, before it is filled.
#[derive(Clone, Copy)]
pub(crate) struct Board {
    /// Where its file is.
    pub(crate) path: &'static str,
    pub(crate) uid: &'static str,
    pub(crate) title: &'static str,
    /// The operator's question that it answers.
    pub(crate) question: &'static str,
    /// Last part of its address.
    slug: &'static str,
    /// How far back it looks at first.
    from: &'static str,
    refresh: &'static str,
    variables: &'static [variables::Label],
    sections: fn(&Spec) -> Vec<Section>,
}

/// All dashboards, the one to begin with first.
pub(crate) const BOARDS: [Board; 3] = [
    Board {
        path: paths::DASHBOARD,
        uid: UID,
        title: "Connection pools",
        question: "Is anything wrong, where, and since when?",
        slug: "connection-pools",
        from: "now-1h",
        refresh: "10s",
        variables: &[
            variables::JOB,
            variables::INSTANCE,
            variables::POOL,
            variables::ENDPOINT,
        ],
        sections: panels::sections,
    },
    Board {
        path: paths::ENDPOINT_DASHBOARD,
        uid: "fusion-endpoint",
        title: "Endpoint",
        question: "What is the matter with this one endpoint?",
        slug: "endpoint",
        from: "now-1h",
        refresh: "10s",
        variables: &[
            variables::JOB,
            variables::one(variables::INSTANCE),
            variables::one(variables::POOL),
            variables::one(variables::ENDPOINT),
        ],
        sections: panels::endpoint::sections,
    },
    Board {
        path: paths::SLO_DASHBOARD,
        uid: "fusion-slo",
        title: "Objectives",
        question: "Do the pools keep what was promised, and how much may still go wrong?",
        slug: "objectives",
        from: "now-24h",
        refresh: "1m",
        variables: &[variables::JOB, variables::INSTANCE, variables::POOL],
        sections: panels::slo::sections,
    },
];

impl Board {
    /// The address within Grafana, without its parameters.
    fn address(&self) -> String {
        format!("/d/{}/{}", self.uid, self.slug)
    }

    /// The titles of its rows.
    pub(crate) fn rows(&self, spec: &Spec) -> Vec<&'static str> {
        (self.sections)(spec)
            .into_iter()
            .map(|(title, _)| title)
            .collect()
    }

    /// The dashboard.
    pub(super) fn dashboard(&self, spec: &Spec) -> Dashboard {
        let sites = Sites::new(spec);
        Dashboard {
            description: format!("{} {HEAD}", self.question),
            uid: self.uid.to_owned(),
            title: self.title.to_owned(),
            tags: vec!["fusion".to_owned(), "connection-pool".to_owned()],
            timezone: "browser".to_owned(),
            editable: true,
            graph_tooltip: 1,
            time: TimeRange {
                from: self.from.to_owned(),
                to: "now".to_owned(),
            },
            refresh: self.refresh.to_owned(),
            schema_version: 42,
            version: 1,
            templating: Templating {
                list: variables::list(self.variables),
            },
            annotations: Annotations {
                list: annotations::list(spec).map(|(annotation, _)| annotation).into(),
            },
            links: sites.of_board(self),
            panels: layout::lay_out((self.sections)(spec), &sites),
        }
    }
}

/// The datasource chosen on the dashboard.
fn datasource() -> DatasourceRef {
    DatasourceRef {
        kind: "prometheus".to_owned(),
        uid: "${datasource}".to_owned(),
    }
}
