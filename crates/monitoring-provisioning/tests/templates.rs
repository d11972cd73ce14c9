//! The texts of notifications, rendered by the real amtool of every version that is found, as a phone shows them.
//!
//! `UPDATE_SNAPSHOTS=1` writes the snapshots anew; look at what changed.

mod tools;

use std::path::Path;

use libtest_mimic::{Arguments, Failed};
use monitoring_provisioning::Spec;
use serde_json::{Value, json};
use tools::{Check, output, trials, written};

const TEXTS: [&str; 4] = [
    "fusion.text",
    "fusion.text.slack",
    "fusion.text.discord",
    "fusion.text.teams",
];
/// Most characters of title and text together.
const MOST: usize = 1000;

/// Alerts as Alertmanager hands them to its templates.
struct Situation {
    name: &'static str,
    firing: usize,
    resolved: usize,
    alert: fn(usize) -> Value,
}

const SITUATIONS: [Situation; 9] = [
    Situation {
        name: "one firing",
        firing: 1,
        resolved: 0,
        alert: errors,
    },
    Situation {
        name: "one resolved",
        firing: 0,
        resolved: 1,
        alert: errors,
    },
    Situation {
        name: "50 firing",
        firing: 50,
        resolved: 0,
        alert: errors,
    },
    Situation {
        name: "50 resolved",
        firing: 0,
        resolved: 50,
        alert: errors,
    },
    Situation {
        name: "3 firing, 2 resolved",
        firing: 3,
        resolved: 2,
        alert: errors,
    },
    Situation {
        name: "relayer down",
        firing: 1,
        resolved: 0,
        alert: relayer,
    },
    Situation {
        name: "dead man's switch",
        firing: 1,
        resolved: 0,
        alert: heartbeat,
    },
    Situation {
        name: "names without end",
        firing: 50,
        resolved: 50,
        alert: endless,
    },
    Situation {
        name: "one name without end",
        firing: 1,
        resolved: 0,
        alert: endless,
    },
];

const RUNBOOKS: &str = "https://github.com/fusion-relayers/connection-pool/blob/main/monitoring/runbooks";
const DASHBOARD: &str = "https://grafana.example.org/d/fusion-connection-pool/connection-pools";

fn alert(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Value {
    let map = |pairs: &[(&str, &str)]| -> Value {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "status": "firing",
        "labels": map(labels),
        "annotations": map(annotations),
        "startsAt": "2026-11-29T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": "0",
    })
}

fn errors(index: usize) -> Value {
    let endpoint = format!("provider-{index}");
    let share = format!("{}.5%", 6 + index);
    alert(
        &[
            ("alertname", "ConnectionPoolHighErrorRate"),
            ("severity", "warning"),
            ("team", "relayer"),
            ("instance", "10.0.0.5:9090"),
            ("pool", "ethereum"),
            ("endpoint", &endpoint),
        ],
        &[
            (
                "summary",
                &format!("Endpoint {endpoint} of pool ethereum fails too often."),
            ),
            (
                "description",
                &format!(
                    "{share} of the attempts on endpoint {endpoint} of pool ethereum on 10.0.0.5:9090 failed through the node's \
                     fault within 5m (limit 5 %)."
                ),
            ),
            ("value", &format!("{share} failed")),
            (
                "runbook_url",
                &format!("{RUNBOOKS}/ConnectionPoolHighErrorRate.md"),
            ),
            (
                "dashboard_url",
                &format!(
                    "{DASHBOARD}?var-instance=10.0.0.5%3A9090&var-pool=ethereum&var-endpoint={endpoint}"
                ),
            ),
        ],
    )
}

fn relayer(_: usize) -> Value {
    alert(
        &[
            ("alertname", "RelayerDown"),
            ("severity", "critical"),
            ("team", "relayer"),
            ("instance", "10.0.0.5:9090"),
        ],
        &[
            ("summary", "Relayer 10.0.0.5:9090 is down."),
            (
                "description",
                "No scrape of 10.0.0.5:9090 has succeeded for 1m: the process is gone or can't be reached, and what its pools do is \
                 not known.",
            ),
            ("runbook_url", &format!("{RUNBOOKS}/RelayerDown.md")),
            (
                "dashboard_url",
                &format!("{DASHBOARD}?var-instance=10.0.0.5%3A9090"),
            ),
        ],
    )
}

fn heartbeat(_: usize) -> Value {
    alert(
        &[
            ("alertname", "DeadMansSwitch"),
            ("severity", "heartbeat"),
            ("team", "relayer"),
        ],
        &[
            ("summary", "The monitoring works."),
            ("description", "This alert always fires."),
            ("runbook_url", &format!("{RUNBOOKS}/DeadMansSwitch.md")),
            ("dashboard_url", DASHBOARD),
        ],
    )
}

/// What nobody would choose: long names, in letters of several bytes, with everything that a markup knows.
fn endless(index: usize) -> Value {
    let long = |text: &str| text.repeat(120);
    alert(
        &[
            ("alertname", &long("Überlauf")),
            ("severity", "critical"),
            ("instance", &format!("{}{index}", long("ホスト"))),
            ("pool", &long("<!channel>&*_`[x](y)")),
            ("endpoint", &long("ü")),
        ],
        &[
            ("summary", &long("Ä<b>")),
            ("description", &long("<&>語")),
            ("value", &long("9")),
            // As long as one may be, and one longer.
            ("runbook_url", &format!("https://h/{}", "r".repeat(240))),
            (
                "dashboard_url",
                &format!("https://h/{}", "d".repeat(240 + index % 2)),
            ),
        ],
    )
}

/// What Alertmanager makes of a group of alerts: those that fire first, with what all have in common.
fn data(situation: &Situation) -> Value {
    let total = situation.firing + situation.resolved;
    let alerts: Vec<Value> = (0..total)
        .map(|index| {
            let mut alert = (situation.alert)(index);
            if index >= situation.firing {
                alert["status"] = "resolved".into();
                alert["endsAt"] = "2026-11-29T08:30:00Z".into();
            }
            alert
        })
        .collect();
    let common = |key: &str| -> Value {
        let first = alerts[0][key].as_object().cloned().unwrap_or_default();
        first
            .into_iter()
            .filter(|(name, value)| alerts.iter().all(|alert| alert[key][name] == *value))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "receiver": "critical",
        "status": if situation.firing > 0 { "firing" } else { "resolved" },
        "groupLabels": {},
        "commonLabels": common("labels"),
        "commonAnnotations": common("annotations"),
        "externalURL": "http://localhost:9093",
        "alerts": alerts,
    })
}

fn render(amtool: &Path, folder: &Path, template: &str) -> Result<String, Failed> {
    let text = format!("{{{{ template \"{template}\" . }}}}");
    let arguments = [
        "template",
        "render",
        "--template.glob=monitoring/alertmanager/templates/*.tmpl",
        &format!("--template.text={text}"),
        "--template.data=data.json",
    ];
    let rendered = output(amtool, folder, &arguments)?;
    // amtool ends what it prints with a line break.
    Ok(rendered.strip_suffix('\n').unwrap_or(&rendered).to_owned())
}

/// Every text of every situation: at most as long as promised, with all that it must have, and as it was looked at.
fn texts(amtool: &Path) -> Result<(), Failed> {
    let folder = written(&Spec::default(), true)?;
    for situation in &SITUATIONS {
        std::fs::write(folder.path().join("data.json"), data(situation).to_string())?;
        let title = render(amtool, folder.path(), "fusion.title")?;
        let mut shown = String::new();
        for template in TEXTS {
            let text = render(amtool, folder.path(), template)?;
            let length = title.chars().count() + 1 + text.chars().count();
            if length > MOST {
                return Err(format!(
                    "{}: {template} has {length} characters:\n{title}\n{text}",
                    situation.name
                )
                .into());
            }
            counted(situation, &text)
                .map_err(|why| format!("{}: {template}: {why}:\n{text}", situation.name))?;
            shown.push_str(&format!(
                "=== {template}, {length} characters with the title\n{title}\n{text}\n\n"
            ));
        }
        snapshot(situation.name, &shown)?;
    }
    Ok(())
}

/// Each alert has its line, or is counted among those that have none.
fn counted(situation: &Situation, text: &str) -> Result<(), String> {
    let (mut firing, mut resolved) = (0, 0);
    for line in text.lines() {
        let Some(item) = line.strip_prefix("- ").or(line.strip_prefix("• ")) else {
            continue;
        };
        let (list, item) = match item.strip_prefix("resolved: ") {
            Some(item) => (&mut resolved, item),
            None => (&mut firing, item),
        };
        let more = item
            .strip_prefix("and ")
            .and_then(|rest| rest.strip_suffix(" more"));
        *list += more
            .map_or(Ok(1), str::parse)
            .map_err(|_| format!("a strange line {line:?}"))?;
    }
    if (firing, resolved) == (situation.firing, situation.resolved) {
        Ok(())
    } else {
        Err(format!("{firing} firing and {resolved} resolved are told of"))
    }
}

fn snapshot(name: &str, shown: &str) -> Result<(), Failed> {
    let file = name.replace([' ', '\''], "-").replace(',', "");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{file}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        std::fs::write(&path, shown)?;
        return Ok(());
    }
    let kept = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    if kept == shown {
        return Ok(());
    }
    Err(format!("{} was otherwise:\n{kept}\nand is now:\n{shown}", path.display()).into())
}

fn main() {
    let mut all = Vec::new();
    trials(&mut all, "amtool", "texts fit a phone", || -> Check {
        Box::new(texts)
    });
    libtest_mimic::run(&Arguments::from_args(), all).exit();
}
