//! The tables of the operator's guide. The guide itself is written by hand; only what stands between the markers is ours.

use std::path::Path;

use pool_metrics::catalogue::METRICS;

use super::{dashboard::BOARDS, metrics_doc};
use crate::{
    alert::{alerts, number},
    problem::Problem,
    spec::Spec,
};

/// The guide as it stands in the repository; everything outside the markers is kept.
const GUIDE: &str = include_str!("../../../../monitoring/README.md");

/// The guide's path.
pub(crate) const PATH: &str = "monitoring/README.md";

/// The guide with fresh tables.
///
/// # Errors
/// A marker is missing.
pub(super) fn guide(spec: &Spec) -> Result<String, Problem> {
    let guide = replace(GUIDE, "metrics", &metrics())?;
    let guide = replace(&guide, "dashboards", &dashboards(spec))?;
    replace(&guide, "alerts", &alert_table(spec))
}

fn replace(text: &str, section: &str, table: &str) -> Result<String, Problem> {
    let begin = format!("<!-- generated: {section} -->\n");
    let end = format!("<!-- end of generated: {section} -->");
    let missing = |marker: &str| {
        Problem::new(
            Path::new(PATH),
            format!("the marker `{}` is missing", marker.trim_end()),
        )
        .remedy("put it back, alone on its line, around the generated table")
    };
    let (before, rest) = text.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
    Ok(format!("{before}{begin}\n{table}\n{end}{after}"))
}

fn metrics() -> String {
    let mut table =
        String::from("| metric | type | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n");
    for metric in METRICS {
        let labels: Vec<&str> = metric.labels.iter().map(|label| label.name).collect();
        table.push_str(&format!(
            "| `{}` | {} | {} | {} | {} |\n",
            metric.name,
            metrics_doc::kind(metric),
            metrics_doc::unit(metric),
            labels.join(", "),
            metric.help
        ));
    }
    table
}

fn dashboards(spec: &Spec) -> String {
    let mut table = String::from("| dashboard | question | rows |\n| --- | --- | --- |\n");
    for board in &BOARDS {
        let file = board.path.trim_start_matches("monitoring/");
        table.push_str(&format!(
            "| [{}]({file}) | {} | {} |\n",
            board.title,
            board.question,
            board.rows(spec).join(", ").to_lowercase()
        ));
    }
    table
}

fn alert_table(spec: &Spec) -> String {
    let mut table = String::from(
        "| alert | severity | about | limit | window | for |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for alert in alerts(spec) {
        let definition = alert.definition;
        let about = definition.subject.word();
        let mut limit = definition
            .threshold
            .map_or(String::from("-"), |_| alert.threshold_text());
        if definition.min_rate.is_some() {
            limit.push_str(&format!(", from {} attempts/s", number(alert.min_rate)));
        }
        if definition.min_count.is_some() {
            limit.push_str(&format!(", from {} opened and closed", number(alert.min_count)));
        }
        let state = if alert.enabled { "" } else { " (off)" };
        table.push_str(&format!(
            "| [{name}](runbooks/{name}.md){state} | {severity} | {about} | {limit} | {window} | {for_} |\n",
            name = definition.name,
            severity = alert.severity,
            window = alert.window_text(),
            for_ = alert.for_,
        ));
    }
    table
}
