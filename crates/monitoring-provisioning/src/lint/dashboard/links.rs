//! Links: Grafana leaves what it can't replace in an address as it stands, and the reader lands nowhere.

use super::super::{Checked, Lint, Read};
use crate::model::dashboard::{Dashboard, Link, Panel};

/// How a link names a label of the series, or a column of the row, that it was clicked on.
const LABELS: [&str; 2] = ["__field.labels.", "__data.fields."];

impl Lint<'_> {
    /// Those in a panel's head, and those of its series.
    pub(super) fn panel_links(
        &mut self,
        file: &Read<'_, Dashboard>,
        variables: &[&str],
        panel: &Panel,
        queries: &[Checked],
        path: &str,
    ) {
        for (index, link) in panel.links.iter().enumerate() {
            self.link(file, variables, None, link, &format!("{path}/links/{index}"));
        }
        let of_series = panel
            .field_config
            .iter()
            .flat_map(|config| &config.defaults.links);
        for (index, link) in of_series.enumerate() {
            let path = format!("{path}/fieldConfig/defaults/links/{index}");
            self.link(file, variables, Some(queries), link, &path);
        }
    }

    /// Every `${...}` of a link must be something that Grafana knows there: a variable of the dashboard, a word of its own,
    /// or a label that every query of the panel leaves.
    pub(super) fn link(
        &mut self,
        file: &Read<'_, Dashboard>,
        variables: &[&str],
        queries: Option<&[Checked]>,
        link: &Link,
        path: &str,
    ) {
        for (field, text) in [("title", &link.title), ("url", &link.url)] {
            let place = file.document.place(&format!("{path}/{field}"));
            for name in names(text) {
                if let Some(label) = LABELS.iter().find_map(|prefix| name.strip_prefix(prefix)) {
                    let all = queries.unwrap_or_default();
                    if let Some(without) = all.iter().find(|query| !query.labels.has(label)) {
                        let what = format!("the link names the label `{label}`, which a query doesn't leave");
                        let remedy = format!("it leaves {}", without.labels.list());
                        self.report(file.path, place, what, remedy);
                    } else if queries.is_none() {
                        let what = format!("the link names the label `{label}` where there is no series");
                        self.report(file.path, place, what, "only the links of series know labels");
                    }
                } else if !name.starts_with("__") && !variables.contains(&name) {
                    let what = format!("there is no variable `${name}`");
                    let remedy = format!("the dashboard has {}", variables.join(", "));
                    self.report(file.path, place, what, remedy);
                }
            }
        }
    }
}

/// What stands in the `${...}` of a text, without the format behind a colon.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).map(|rest| {
        let inside = rest.split('}').next().unwrap_or(rest);
        inside.split(':').next().unwrap_or(inside)
    })
}
