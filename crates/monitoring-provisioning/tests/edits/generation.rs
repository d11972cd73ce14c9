//! Generation applies the patches again, or says why it can't.

use std::path::Path;

use monitoring_provisioning::{Kept, Runtime, Spec, edits::pull, generate, generate_keeping, validate};
use serde_json::{Value, json};

use super::{dashboards, grafana};

const PATCH: &str = "monitoring/grafana/patches/connection-pool.json";
const DASHBOARD: &str = "monitoring/grafana/dashboards/connection-pool.json";

fn generated() -> String {
    let file = dashboards()
        .into_iter()
        .find(|file| file.path == Path::new(DASHBOARD));
    file.unwrap().contents
}

/// The first panel that is no row: its place.
fn some_panel(dashboard: &Value) -> usize {
    let panels = dashboard["panels"].as_array().unwrap();
    panels
        .iter()
        .position(|panel| panel["type"] == "timeseries")
        .unwrap()
}

fn patch_of(edit: impl FnOnce(&mut Value)) -> (String, String) {
    let mut edited: Value = serde_json::from_str(&generated()).unwrap();
    edit(&mut edited);
    let edit = pull(&generated(), &grafana::legacy(grafana::saved(&edited))).unwrap();
    (edit.patch.unwrap(), edit.edited)
}

fn with(patch: &str) -> Result<Vec<monitoring_provisioning::GeneratedFile>, String> {
    let kept = Kept::default().with(PATCH, patch);
    generate_keeping(&Spec::default(), Runtime::Docker, &kept).map_err(|problems| problems.to_string())
}

#[test]
fn a_pulled_patch_is_applied_by_generation_in_both_runtimes_and_passes_the_lint() {
    let (patch, edited) = patch_of(|dashboard| {
        let at = some_panel(dashboard);
        let panel = &mut dashboard["panels"][at];
        panel["fieldConfig"]["defaults"]["custom"]["lineWidth"] = json!(3);
        // Fields of Grafana that we never write ourselves.
        panel["transparent"] = json!(true);
        panel["transformations"] = json!([{ "id": "limit", "options": { "limitField": 10 } }]);
        panel["targets"][0]["exemplar"] = json!(true);
    });
    let files = with(&patch).unwrap();
    let file = files
        .iter()
        .find(|file| file.path == Path::new(DASHBOARD))
        .unwrap();
    assert_eq!(file.contents, edited);
    assert!(file.contents.contains("\"lineWidth\": 3"));
    // The bare skeletons of the runbooks are another matter.
    let of_dashboards: Vec<String> = validate(&Spec::default(), &files)
        .iter()
        .filter(|problem| problem.file.starts_with("monitoring/grafana"))
        .map(ToString::to_string)
        .collect();
    assert_eq!(of_dashboards, Vec::<String>::new());
    let native = Runtime::Native {
        root: Path::new("/srv/stack"),
    };
    let kept = Kept::default().with(PATCH, patch.as_str());
    let files = generate_keeping(&Spec::default(), native, &kept).unwrap();
    assert!(files.iter().any(|file| file.contents == edited));
    assert!(
        !files
            .iter()
            .any(|file| file.path.starts_with("monitoring/runbooks"))
    );
}

#[test]
fn slips_in_a_patched_dashboard_are_still_found() {
    let (patch, _) = patch_of(|dashboard| {
        let at = some_panel(dashboard);
        dashboard["panels"][at]["targets"][0]["expr"] =
            json!("rate(fusion_connection_pool_reqests_total[5m])");
    });
    let problems = validate(&Spec::default(), &with(&patch).unwrap());
    assert!(
        problems
            .iter()
            .any(|problem| problem.to_string().contains("did you mean")
                && problem.file == Path::new(DASHBOARD)),
        "{problems:?}"
    );
}

#[test]
fn a_patch_that_no_longer_applies_says_where_and_what_to_do() {
    let (patch, _) = patch_of(|dashboard| {
        let at = some_panel(dashboard);
        dashboard["panels"][at]["fieldConfig"]["defaults"]["custom"]["lineWidth"] = json!(3);
    });
    let at = some_panel(&serde_json::from_str(&generated()).unwrap());
    let path = format!("/panels/{at}/fieldConfig/defaults/custom/lineWidth");
    // The generator has come to another width by itself.
    let other = patch.replacen("\"value\": 1", "\"value\": 2", 1);
    assert_ne!(other, patch);
    let error = with(&other).unwrap_err();
    assert!(
        error.starts_with(&format!(
            "{PATCH}:7:3: operation 2 (`test` at {path}) no longer applies to the generated dashboard: it was made on 2, \
             generated is 1; correct the path"
        )),
        "{error}"
    );
    assert!(
        error.ends_with("`cargo xtask dashboard pull connection-pool`"),
        "{error}"
    );
    // The panel has moved on.
    let moved = patch.replace(&format!("/panels/{at}/"), &format!("/panels/{}/", at - 1));
    let error = with(&moved).unwrap_err();
    assert!(
        error.contains(&format!("now stands at /panels/{at}: correct the path")),
        "{error}"
    );
    // The panel is gone.
    let gone = patch.replace(&format!("/panels/{at}/"), "/panels/999/");
    let error = with(&gone).unwrap_err();
    assert!(
        error.contains("the generated dashboard has nothing there"),
        "{error}"
    );
}

#[test]
fn patches_that_are_none_or_of_no_dashboard_are_refused() {
    for (text, says) in [
        ("{}", "this is no JSON Patch (RFC 6902)"),
        ("[{\"op\": \"change\", \"path\": \"/title\"}]", "1:1"),
        ("[", "this is no JSON Patch (RFC 6902)"),
    ] {
        let error = with(text).unwrap_err();
        assert!(
            error.starts_with(PATCH) && error.contains("no JSON Patch"),
            "{error} ({says})"
        );
        assert!(error.ends_with("or delete the file"), "{error}");
    }
    let kept = Kept::default().with("monitoring/grafana/patches/conection-pool.json", "[]");
    let error = generate_keeping(&Spec::default(), Runtime::Docker, &kept).unwrap_err();
    assert_eq!(
        error.to_string(),
        "monitoring/grafana/patches/conection-pool.json: no dashboard `conection-pool.json` is generated; name the patch as \
         its dashboard, or delete it"
    );
}

#[test]
fn without_patches_the_dashboards_are_the_bare_ones() {
    let bare = generate(&Spec::default(), Runtime::Docker).unwrap();
    let keeping = generate_keeping(&Spec::default(), Runtime::Docker, &Kept::default()).unwrap();
    assert!(bare.iter().all(|file| keeping.contains(file)));
}
