//! The dashboard's frame: variables, annotations, layout. The panels themselves are in `panels`.

use pool_metrics::catalogue;

use super::panels::{self, Draft};
use crate::{
    model::{
        HEAD,
        dashboard::{
            Annotation, Annotations, Dashboard, DatasourceRef, GridPos, Panel, Target, Templating, TimeRange,
            Variable, VariableOption,
        },
    },
    spec::Spec,
};

/// The dashboard's stable id; alerts link to it.
pub(crate) const UID: &str = "fusion-connection-pool";

/// Columns of Grafana's grid.
const GRID_WIDTH: u32 = 24;

/// The dashboard.
pub(super) fn dashboard(spec: &Spec) -> Dashboard {
    Dashboard {
        description: format!("Connection pools of the relayers' RPC nodes. {HEAD}"),
        uid: UID.to_owned(),
        title: "Connection pools".to_owned(),
        tags: vec!["fusion".to_owned(), "connection-pool".to_owned()],
        timezone: "browser".to_owned(),
        editable: false,
        graph_tooltip: 1,
        time: TimeRange {
            from: "now-1h".to_owned(),
            to: "now".to_owned(),
        },
        refresh: "10s".to_owned(),
        schema_version: 42,
        version: 1,
        templating: Templating { list: variables() },
        annotations: Annotations {
            list: vec![firing_alerts()],
        },
        panels: lay_out(panels::sections(spec)),
    }
}

/// The datasource chosen on the dashboard.
fn datasource() -> DatasourceRef {
    DatasourceRef {
        kind: "prometheus".to_owned(),
        uid: "${datasource}".to_owned(),
    }
}

fn variables() -> Vec<Variable> {
    let pools = catalogue::SLOTS_USABLE.name;
    let endpoints = catalogue::HEALTH_STATUS.name;
    vec![
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
        },
        label_variable(
            "instance",
            "Relayer",
            "A relayer process.",
            &format!("label_values({pools}, instance)"),
        ),
        label_variable(
            "pool",
            "Pool",
            "A pool of endpoints, usually one per chain.",
            &format!("label_values({pools}{{instance=~\"$instance\"}}, pool)"),
        ),
        label_variable(
            "endpoint",
            "Endpoint",
            "One provider's node within a pool.",
            &format!("label_values({endpoints}{{instance=~\"$instance\",pool=~\"$pool\"}}, endpoint)"),
        ),
    ]
}

fn label_variable(name: &str, label: &str, description: &str, query: &str) -> Variable {
    Variable {
        name: name.to_owned(),
        label: label.to_owned(),
        description: description.to_owned(),
        kind: "query".to_owned(),
        query: query.to_owned(),
        definition: Some(query.to_owned()),
        datasource: Some(datasource()),
        // On every change of the time range: a pool that is new appears, one that is gone disappears.
        refresh: 2,
        sort: Some(1),
        multi: true,
        include_all: true,
        all_value: Some(".+".to_owned()),
        current: Some(VariableOption {
            text: "All".to_owned(),
            value: "$__all".to_owned(),
        }),
        regex: None,
    }
}

fn firing_alerts() -> Annotation {
    Annotation {
        name: "Firing alerts".to_owned(),
        datasource: datasource(),
        enable: true,
        icon_color: "red".to_owned(),
        expr: "ALERTS{alertstate=\"firing\",instance=~\"$instance\",pool=~\"$pool\"}".to_owned(),
        title_format: "{{alertname}}".to_owned(),
        text_format: "{{pool}} {{endpoint}}".to_owned(),
        tag_keys: "severity".to_owned(),
    }
}

/// Gives ids and places: each section a row, its panels from left to right in lines.
fn lay_out(sections: Vec<(&'static str, Vec<Draft>)>) -> Vec<Panel> {
    let mut panels = Vec::new();
    let mut y = 0;
    for (title, drafts) in sections {
        panels.push(row(panels.len() as u32 + 1, title, y));
        y += 1;
        let (mut x, mut line_height) = (0, 0);
        for draft in drafts {
            if x + draft.width > GRID_WIDTH {
                y += line_height;
                (x, line_height) = (0, 0);
            }
            let place = GridPos {
                h: draft.height,
                w: draft.width,
                x,
                y,
            };
            x += draft.width;
            line_height = line_height.max(draft.height);
            panels.push(panel(panels.len() as u32 + 1, draft, place));
        }
        y += line_height;
    }
    panels
}

fn row(id: u32, title: &str, y: u32) -> Panel {
    Panel {
        id,
        kind: "row".to_owned(),
        title: title.to_owned(),
        description: None,
        grid_pos: GridPos {
            h: 1,
            w: GRID_WIDTH,
            x: 0,
            y,
        },
        collapsed: Some(false),
        panels: Some(Vec::new()),
        datasource: None,
        field_config: None,
        options: None,
        targets: Vec::new(),
    }
}

fn panel(id: u32, draft: Draft, grid_pos: GridPos) -> Panel {
    let instant = draft.instant;
    Panel {
        id,
        kind: draft.kind.to_owned(),
        title: draft.title.to_owned(),
        description: Some(draft.description.to_owned()),
        grid_pos,
        collapsed: None,
        panels: None,
        datasource: Some(datasource()),
        field_config: Some(draft.field_config),
        options: Some(draft.options),
        targets: draft
            .queries
            .into_iter()
            .zip('A'..='Z')
            .map(|((expr, legend), letter)| Target {
                ref_id: letter.to_string(),
                datasource: datasource(),
                editor_mode: "code".to_owned(),
                expr,
                legend_format: legend,
                range: !instant,
                instant,
            })
            .collect(),
    }
}
