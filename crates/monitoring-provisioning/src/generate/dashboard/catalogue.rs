//! Every query of every dashboard, for those who run them.

use super::{super::panels::Trouble, BOARDS, annotations, layout::LETTERS};
use crate::spec::Spec;

/// A query of a panel, or of the marks on all panels, as it stands in the generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DashboardQuery {
    /// The dashboard's file, relative to the output root.
    pub path: &'static str,
    /// The title of the panel, or the name of the annotation; unique within the dashboard.
    pub panel: String,
    /// The query's letter; `annotation` for the marks.
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
        for (annotation, trouble) in annotations::list(spec) {
            queries.push(DashboardQuery {
                path: board.path,
                panel: annotation.name,
                ref_id: "annotation".to_owned(),
                expr: annotation.expr,
                empty_until: Some(trouble),
            });
        }
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
