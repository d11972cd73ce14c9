//! Every query of every dashboard, for those who run them.

use super::{super::panels::Trouble, BOARDS, layout::LETTERS};
use crate::spec::Spec;

/// A query of a panel, as it stands in the generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DashboardQuery {
    /// The dashboard's file, relative to the output root.
    pub path: &'static str,
    /// The panel's title; unique within the dashboard.
    pub panel: String,
    /// The query's letter.
    pub ref_id: String,
    /// The expression, with Grafana's variables in it.
    pub expr: String,
    /// What must go wrong before it has data; `None`: it has data as long as a relayer works.
    pub empty_until: Option<Trouble>,
}

/// Every query of every dashboard, with what it takes to give it data.
pub fn dashboard_queries(spec: &Spec) -> Vec<DashboardQuery> {
    let mut queries = Vec::new();
    for board in &BOARDS {
        let drafts = (board.sections)(spec).into_iter().flat_map(|(_, drafts)| drafts);
        for draft in drafts {
            for (query, letter) in draft.queries.into_iter().zip(LETTERS) {
                queries.push(DashboardQuery {
                    path: board.path,
                    panel: draft.title.to_string(),
                    ref_id: letter.to_string(),
                    expr: query.expr,
                    empty_until: query.empty_until,
                });
            }
        }
    }
    queries
}
