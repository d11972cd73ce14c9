//! Ids and places on the grid.

use super::{
    super::panels::{Draft, Section},
    datasource,
    links::Sites,
};
use crate::model::dashboard::{GridPos, Panel, Target};

/// Columns of Grafana's grid.
const GRID_WIDTH: u32 = 24;

/// The names of a panel's queries, in order.
pub(super) const LETTERS: std::ops::RangeInclusive<char> = 'A'..='Z';

/// Each section a row, its panels from left to right in lines; the last panel of a section fills its line.
pub(super) fn lay_out(sections: Vec<Section>, sites: &Sites<'_>) -> Vec<Panel> {
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
            panels.push(panel(panels.len() as u32 + 1, draft, place, sites));
        }
        if let Some(last) = panels.last_mut() {
            last.grid_pos.w = GRID_WIDTH - last.grid_pos.x;
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
        links: Vec::new(),
        interval: None,
        transformations: Vec::new(),
        field_config: None,
        options: None,
        targets: Vec::new(),
    }
}

fn panel(id: u32, mut draft: Draft, grid_pos: GridPos, sites: &Sites<'_>) -> Panel {
    let instant = draft.instant;
    let format = draft.format;
    draft.field_config.defaults.links = sites.of_series(draft.leads);
    Panel {
        id,
        kind: draft.kind.to_owned(),
        title: draft.title.to_string(),
        description: Some(draft.description.to_string()),
        grid_pos,
        collapsed: None,
        panels: None,
        datasource: Some(datasource()),
        links: sites.of_panel(&draft),
        interval: draft.least_step.map(str::to_owned),
        transformations: draft.transformations,
        field_config: Some(draft.field_config),
        options: Some(draft.options),
        targets: draft
            .queries
            .into_iter()
            .zip(LETTERS)
            .map(|(query, letter)| Target {
                ref_id: letter.to_string(),
                datasource: datasource(),
                editor_mode: "code".to_owned(),
                expr: query.expr,
                legend_format: query.legend,
                format: format.map(str::to_owned),
                range: !instant,
                instant,
            })
            .collect(),
    }
}
