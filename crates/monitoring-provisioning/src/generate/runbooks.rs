//! The runbooks: what an alert is and when it fires is generated at the head of its page, the rest is written by hand.
//! Where there is no page yet, a skeleton is made, with commands that work and places to fill in.

use std::path::Path;

use crate::{
    alert::{Alert, alerts},
    explain::explain,
    generate::kept::Kept,
    problem::Problem,
    spec::{OwnAlert, Spec},
};

/// The folder of the pages, relative to the output root.
pub(crate) const FOLDER: &str = "monitoring/runbooks";
/// The sections that every page has, in this order.
pub(crate) const SECTIONS: [&str; 6] = ["Meaning", "Impact", "Confirm", "Causes", "What to do", "Silence"];
/// Stands in a skeleton where a person has to write.
pub(crate) const TO_BE_WRITTEN: &str = "_To be written._";

const BEGIN: &str = "<!-- generated: head -->";
const END: &str = "<!-- end of generated: head -->";

/// One alert, ours or the operator's, as far as a page tells of it.
struct Subject {
    name: String,
    rows: Vec<(&'static str, String)>,
    /// Labels that tell one instance of the alert from another, for the silence.
    labels: Vec<&'static str>,
    /// What to ask Prometheus to see the alert's parts: in words, and as an expression.
    parts: Vec<(String, String)>,
}

/// The page of every alert, with its path.
pub(super) fn pages(spec: &Spec, kept: &Kept) -> Vec<(String, Result<String, Problem>)> {
    let ours = alerts(spec).map(|alert| subject(spec, &alert));
    // An alert whose runbook stands elsewhere has none here.
    let own = spec
        .more_alerts
        .iter()
        .filter(|(_, alert)| alert.runbook_url.is_none())
        .map(|(name, alert)| own(spec, name, alert));
    ours.chain(own)
        .map(|subject| {
            let path = format!("{FOLDER}/{}.md", subject.name);
            let page = match kept.get(Path::new(&path)) {
                Some(page) => refreshed(Path::new(&path), page, &subject),
                None => Ok(skeleton(spec, &subject)),
            };
            (path, page)
        })
        .collect()
}

fn subject(spec: &Spec, alert: &Alert<'_>) -> Subject {
    let definition = alert.definition;
    let mut rows = vec![("severity", definition.severity.to_owned())];
    if !alert.enabled {
        rows.push(("state", "off in `monitoring.yaml`".to_owned()));
    }
    rows.push(("about", definition.subject.word().to_owned()));
    rows.push(("fires when", alert.fill(spec, definition.condition)));
    rows.push(("for", spec.scaled(alert.for_).to_string()));
    rows.push(("looks back over", alert.window_text()));
    if definition.threshold.is_some() {
        rows.push(("limit", alert.threshold_text()));
    }
    let labels = definition.subject.labels();
    rows.push(("labels", code_list(labels)));
    let parts = explain(spec, definition.name).map(|explanation| {
        let parts = explanation.parts.into_iter();
        parts
            .map(|part| (format!("{}, which must {}", part.words, part.must), part.expr))
            .collect()
    });
    Subject {
        name: definition.name.to_string(),
        rows,
        labels: labels
            .iter()
            .copied()
            .filter(|label| *label != "instance" && *label != "job")
            .collect(),
        parts: parts.unwrap_or_default(),
    }
}

fn own(spec: &Spec, name: &str, alert: &OwnAlert) -> Subject {
    let expr = alert.expr.split_whitespace().collect::<Vec<_>>().join(" ");
    Subject {
        name: name.to_owned(),
        rows: vec![
            ("severity", alert.severity.clone()),
            ("fires when", format!("`{expr}`")),
            ("for", spec.scaled(alert.for_).to_string()),
        ],
        labels: Vec::new(),
        parts: vec![("the whole condition".to_owned(), expr)],
    }
}

fn code_list(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn head(subject: &Subject) -> String {
    let mut head = format!("{BEGIN}\n\n| | |\n| --- | --- |\n");
    for (name, value) in &subject.rows {
        head.push_str(&format!("| {name} | {} |\n", value.replace('|', "\\|")));
    }
    head + "\n" + END
}

/// A page with a fresh head; everything else is as it was.
fn refreshed(path: &Path, page: &str, subject: &Subject) -> Result<String, Problem> {
    let title = format!("# {}\n", subject.name);
    let Some(rest) = page.strip_prefix(&title) else {
        return Err(
            Problem::new(path, format!("doesn't begin with `{}`", title.trim_end()))
                .at(1, 1)
                .remedy("make it the first line"),
        );
    };
    let body = match (rest.split_once(BEGIN), rest.split_once(END)) {
        (Some((before, _)), Some((_, after))) if before.trim().is_empty() => after,
        (None, None) => rest,
        _ => {
            let line = page
                .lines()
                .position(|line| line == BEGIN || line == END)
                .unwrap_or(0)
                + 1;
            return Err(Problem::new(path, "the markers of the generated head are torn")
                .at(line, 1)
                .remedy(format!(
                    "put `{BEGIN}` right after the title and `{END}` after the table, or delete both"
                )));
        }
    };
    Ok(format!(
        "{title}\n{}\n\n{}",
        head(subject),
        body.trim_start_matches('\n')
    ))
}

fn skeleton(spec: &Spec, subject: &Subject) -> String {
    let mut page = format!("# {}\n\n{}\n", subject.name, head(subject));
    for section in SECTIONS {
        page.push_str(&format!("\n## {section}\n\n"));
        match section {
            "Confirm" => page.push_str(&confirm(spec, subject)),
            "Silence" => page.push_str(&silence(spec, subject)),
            _ => page.push_str(&format!("{TO_BE_WRITTEN}\n")),
        }
    }
    page
}

fn confirm(spec: &Spec, subject: &Subject) -> String {
    let mut text = String::from(
        "`cargo xtask monitoring-status` shows whether the targets are up and which alerts fire. By hand; the value is the\n\
         second element of each `value`.\n",
    );
    let alerts = format!("ALERTS{{alertname=\"{}\"}}", subject.name);
    let firing = ("Where it fires, or is about to".to_owned(), alerts);
    for (words, expr) in std::iter::once(&firing).chain(&subject.parts) {
        let mut letters = words.chars();
        let first = letters
            .next()
            .map(|letter| letter.to_uppercase().to_string())
            .unwrap_or_default();
        let expr = expr.replace('\'', "'\\''");
        text.push_str(&format!(
            "\n{first}{}:\n\n```sh\ncurl -sG http://127.0.0.1:{}/api/v1/query --data-urlencode \\\n  'query={expr}'\n```\n",
            letters.as_str(),
            spec.ports.prometheus,
        ));
    }
    text
}

fn silence(spec: &Spec, subject: &Subject) -> String {
    let labels: String = subject
        .labels
        .iter()
        .map(|label| format!(" {label}=<{label}>"))
        .collect();
    let add = format!(
        "silence add \\\n  alertname={}{labels} --duration=2h --author=\"$USER\" --comment='<why>'",
        subject.name
    );
    format!(
        "While somebody works on it, and for no longer than that:\n\n\
         ```sh\namtool --alertmanager.url=http://127.0.0.1:{} {add}\n```\n\n\
         In the container:\n\n\
         ```sh\ndocker exec fusion-alertmanager amtool --alertmanager.url=http://127.0.0.1:9093 {add}\n```\n",
        spec.ports.alertmanager
    )
}
