//! Edits made in Grafana come back: answers of its API in every form, and the patches that come of them.
//!
//! No Grafana was at hand. The answers in `answers/` are built from its documented formats (HTTP API of 10 to 13, the
//! schemas of classic dashboards and of v2); `grafana.rs` does the same to the dashboards that are generated today.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

mod generation;
mod grafana;

use std::path::Path;

use monitoring_provisioning::{
    GeneratedFile, Runtime, Spec,
    edits::{self, PullError, patch_path, pull},
    generate,
};
use serde_json::{Value, json};

fn answer(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/edits/answers")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn base() -> String {
    answer("generated.json")
}

/// Every dashboard that is generated today.
fn dashboards() -> Vec<GeneratedFile> {
    let files = generate(&Spec::default(), Runtime::Docker).unwrap();
    let dashboards: Vec<GeneratedFile> = files
        .into_iter()
        .filter(|file| patch_path(&file.path).is_some())
        .collect();
    assert!(!dashboards.is_empty());
    dashboards
}

/// The operations without the tests that guard them, one a line.
fn changes(patch: &str) -> Vec<String> {
    let operations: Vec<Value> = serde_json::from_str(patch).unwrap();
    operations
        .iter()
        .filter(|one| one["op"] != "test")
        .map(|one| {
            let value = match &one["value"] {
                Value::Null => String::new(),
                value if value.to_string().len() > 60 => " ...".to_owned(),
                value => format!(" {value}"),
            };
            format!(
                "{} {}{value}",
                one["op"].as_str().unwrap(),
                one["path"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn an_unedited_dashboard_gives_no_patch() {
    for name in [
        "classic-untouched.json",
        "classic-saved.json",
        "v1-saved.json",
        "v2-saved.json",
        "v2beta1-saved.json",
    ] {
        let edit = pull(&base(), &answer(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(edit.patch.as_deref().map(changes), None, "{name}");
        assert_eq!(
            (edit.changes, edit.edited.trim_end()),
            (0, base().trim_end()),
            "{name}"
        );
    }
}

#[test]
fn none_of_todays_dashboards_gives_a_patch_unedited() {
    for file in dashboards() {
        let dashboard: Value = serde_json::from_str(&file.contents).unwrap();
        let saved = grafana::saved(&dashboard);
        let uid = &dashboard["uid"];
        for (form, answer) in [
            ("classic", grafana::legacy(dashboard.clone())),
            ("saved", grafana::legacy(saved.clone())),
            ("v1", grafana::resource("v1", uid, saved.clone())),
            ("v2", grafana::resource("v2", uid, grafana::v2(&saved))),
            (
                "v2 untouched",
                grafana::resource("v2", uid, grafana::v2(&dashboard)),
            ),
        ] {
            let edit = pull(&file.contents, &answer).unwrap_or_else(|error| panic!("{form}: {error}"));
            let patch = edit.patch.as_deref().map(changes);
            assert_eq!(patch, None, "{} as {form}", file.path.display());
        }
    }
}

#[test]
fn edits_of_a_classic_dashboard_are_what_somebody_did() {
    let edit = pull(&base(), &answer("classic-edited.json")).unwrap();
    let patch = edit.patch.unwrap();
    assert_eq!(
        changes(&patch),
        [
            "replace /tags [\"fusion\",\"connection-pool\",\"oncall\"]",
            "replace /templating/list/2/label \"Chain\"",
            "remove /panels/2",
            "replace /panels/1/title \"Sick endpoints\"",
            "add /panels/2 ...",
            "replace /panels/4/fieldConfig/defaults/custom/lineWidth 2",
            "add /panels/4/fieldConfig/defaults/decimals 1",
            "replace /panels/4/options/legend/placement \"right\"",
        ]
    );
    assert_eq!(edit.changes, 8);
    assert!(!patch.contains("pluginVersion"), "stamped by Grafana: {patch}");
}

#[test]
fn edits_of_a_v2_dashboard_become_classic() {
    let edit = pull(&base(), &answer("v2-edited.json")).unwrap();
    assert_eq!(
        changes(&edit.patch.unwrap()),
        [
            "add /templating/list/1/hide 2",
            "replace /panels/1/gridPos/h 6",
            "replace /panels/2/gridPos/h 6",
            "replace /panels/3/title \"How fast\"",
            "replace /panels/3/gridPos/y 7",
            "replace /panels/4/gridPos/y 8",
            "replace /panels/4/fieldConfig/defaults/custom/lineWidth 2",
            "replace /panels/4/targets/0/legendFormat \"{{pool}}\"",
            "add /panels/4/transformations [{\"id\":\"limit\",\"options\":{\"limitField\":10}}]",
            "add /panels/4/interval \"30s\"",
            "replace /panels/5/gridPos/y 8",
        ]
    );
}

/// What was pulled is what Grafana shows: pulling the edited dashboard against itself finds nothing.
#[test]
fn a_patch_applied_is_the_edited_dashboard() {
    for name in ["classic-edited.json", "v2-edited.json"] {
        let edit = pull(&base(), &answer(name)).unwrap();
        let again = pull(&edit.edited, &answer(name)).unwrap();
        assert_eq!(again.patch, None, "{name}");
        // And by any other implementation of RFC 6902: the text has no extension of ours.
        let operations: Vec<Value> = serde_json::from_str(&edit.patch.unwrap()).unwrap();
        for operation in operations {
            let names: Vec<&String> = operation.as_object().unwrap().keys().collect();
            assert!(
                names
                    .iter()
                    .all(|name| ["op", "path", "value", "from"].contains(&name.as_str())),
                "{names:?}"
            );
        }
    }
}

#[test]
fn panels_that_change_places_are_moved_not_rewritten() {
    let mut edited: Value = serde_json::from_str(&base()).unwrap();
    let y = edited["panels"][4]["gridPos"]["x"].take();
    edited["panels"][4]["gridPos"]["x"] = edited["panels"][5]["gridPos"]["x"].take();
    edited["panels"][5]["gridPos"]["x"] = y;
    let edit = pull(&base(), &grafana::legacy(edited)).unwrap();
    assert_eq!(
        changes(&edit.patch.unwrap()),
        [
            "move /panels/4",
            "replace /panels/4/gridPos/x 0",
            "replace /panels/5/gridPos/x 12"
        ]
    );
}

#[test]
fn what_grafana_shows_by_default_is_seen_when_switched_off() {
    let mut edited: Value = serde_json::from_str(&base()).unwrap();
    edited["panels"][4]["options"]["legend"]["showLegend"] = json!(false);
    edited["panels"][1]["options"]
        .as_object_mut()
        .unwrap()
        .remove("colorMode");
    edited["panels"][1]["options"]
        .as_object_mut()
        .unwrap()
        .remove("graphMode");
    let edit = pull(&base(), &grafana::legacy(edited)).unwrap();
    // `colorMode: value` is the default, `graphMode: none` isn't.
    assert_eq!(
        changes(&edit.patch.unwrap()),
        [
            "remove /panels/1/options/graphMode",
            "replace /panels/4/options/legend/showLegend false"
        ]
    );
}

/// A variable for which generation chooses nothing is saved with what somebody looked at.
#[test]
fn what_is_looked_at_is_no_edit() {
    let mut base: Value = serde_json::from_str(&base()).unwrap();
    base["templating"]["list"][2]
        .as_object_mut()
        .unwrap()
        .remove("current");
    let mut edited = base.clone();
    let chosen = json!({ "selected": true, "text": "ethereum", "value": "ethereum" });
    edited["templating"]["list"][2]["current"] = chosen.clone();
    let pulled = |edited: Value| pull(&base.to_string(), &grafana::legacy(edited)).unwrap();
    assert_eq!(pulled(edited.clone()).patch, None);
    // Where it does choose, another choice is an edit.
    edited["templating"]["list"][3]["current"] = chosen;
    assert_eq!(pulled(edited).changes, 2);
}

fn inexpressible(name: &str) -> Vec<String> {
    match pull(&base(), &answer(name)) {
        Err(PullError::NotClassic(all)) => all.iter().map(ToString::to_string).collect(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn what_classic_cant_express_is_named_all_of_it() {
    assert_eq!(
        inexpressible("v2-inexpressible.json"),
        [
            "spec/variables/4: a classic dashboard has no SwitchVariable",
            "spec/layout/spec/rows/0/spec/conditionalRendering: a classic dashboard has no place for `conditionalRendering`",
            "spec/layout/spec/rows/1/spec/layout: a classic dashboard has no automatic grid; choose the layout `Custom`",
        ]
    );
    assert_eq!(
        inexpressible("v2-tabs.json"),
        ["spec/layout: a classic dashboard has no tabs; group by rows"]
    );
    let mut answer: Value = serde_json::from_str(&answer("v2-edited.json")).unwrap();
    let panel = answer["spec"]["elements"]["panel-5"]["spec"]
        .as_object_mut()
        .unwrap();
    panel.insert("subtitle".to_owned(), json!("by pool"));
    panel["vizConfig"]["spec"]["fieldConfig"]["defaults"]["thresholds"]["steps"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "color": "red", "value": 0, "valueExpr": "$limit" }));
    let error = pull(&base(), &answer.to_string()).unwrap_err().to_string();
    assert!(
        error
            .contains("spec/elements/panel-5/spec/subtitle: a classic dashboard has no place for `subtitle`"),
        "{error}"
    );
    assert!(
        error.contains("/valueExpr: a classic threshold is a number, not an expression"),
        "{error}"
    );
    assert!(error.contains("undo it in Grafana"), "{error}");
}

#[test]
fn answers_that_are_no_dashboard_say_what_they_are() {
    let refused = pull(&base(), &answer("refused.json")).unwrap_err();
    assert_eq!(refused.to_string(), "Grafana refuses: Dashboard not found");
    let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"dashboards.dashboard.grafana.app \"x\" not found","code":404}"#;
    assert!(matches!(pull(&base(), status), Err(PullError::Refused(_))));
    assert!(matches!(
        pull(&base(), "<html>login</html>"),
        Err(PullError::NotJson(_))
    ));
    let other = r#"{"status":"success","data":{}}"#;
    let error = pull(&base(), other).unwrap_err().to_string();
    assert!(error.ends_with("it has status, data"), "{error}");
    let converted = pull(&base(), &answer("v1-converted.json")).unwrap_err();
    assert_eq!(
        converted,
        PullError::Converted {
            stored: "v2".to_owned()
        }
    );
    let old = answer("v2-saved.json").replace("dashboard.grafana.app/v2", "dashboard.grafana.app/v2alpha1");
    assert!(matches!(pull(&base(), &old), Err(PullError::NotADashboard(_))));
    let copy =
        answer("classic-saved.json").replace("\"uid\": \"fusion-connection-pool\"", "\"uid\": \"copy\"");
    let error = pull(&base(), &copy).unwrap_err().to_string();
    assert_eq!(
        error,
        "the answer is the dashboard with uid `copy`, not `fusion-connection-pool`"
    );
}

#[test]
fn patches_stand_beside_their_dashboards() {
    let of = |path: &str| patch_path(Path::new(path));
    assert_eq!(
        of("monitoring/grafana/dashboards/slo.json").as_deref(),
        Some(Path::new("monitoring/grafana/patches/slo.json"))
    );
    assert_eq!(
        of("monitoring/grafana/provisioning/dashboards/connection-pool.yml"),
        None
    );
    assert_eq!(of("docs/slo.json"), None);
    assert_eq!(edits::stored_version(&json!({})), None);
}
