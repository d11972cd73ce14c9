//! The forms in which Grafana's API answers a dashboard.

use serde_json::Value;

use super::{PullError, v2};

/// The dashboard in an answer, in classic form.
pub(super) fn classic(base: &Value, answer: &str) -> Result<Value, PullError> {
    let mut answer: Value =
        serde_json::from_str(answer).map_err(|error| PullError::NotJson(error.to_string()))?;
    if let Some(message) = refusal(&answer) {
        return Err(PullError::Refused(message));
    }
    let expected = base["uid"].as_str().unwrap_or_default();
    let same = |found: &Value| match found.as_str() {
        Some(found) if found == expected => Ok(()),
        found => Err(PullError::AnotherDashboard {
            expected: expected.to_owned(),
            found: found.unwrap_or_default().to_owned(),
        }),
    };
    // /api/dashboards/uid/<uid>, of every version.
    if answer["dashboard"].is_object() {
        let dashboard = answer["dashboard"].take();
        if dashboard["elements"].is_object() {
            same(&answer["meta"]["uid"]).or_else(|_| same(&dashboard["uid"]))?;
            return v2::classic(base, dashboard).map_err(PullError::NotClassic);
        }
        same(&dashboard["uid"])?;
        return Ok(dashboard);
    }
    // /apis/dashboard.grafana.app/<version>/namespaces/<namespace>/dashboards/<uid>, from 12.
    let Some(version) = answer["apiVersion"]
        .as_str()
        .and_then(|version| version.strip_prefix("dashboard.grafana.app/"))
        .map(str::to_owned)
    else {
        return Err(PullError::NotADashboard(describe(&answer)));
    };
    if !answer["spec"].is_object() {
        return Err(PullError::NotADashboard(describe(&answer)));
    }
    same(&answer["metadata"]["name"])?;
    let is_v2 = |version: &str| version.starts_with("v2");
    if let Some(stored) = stored_version(&answer)
        && is_v2(&stored) != is_v2(&version)
    {
        return Err(PullError::Converted { stored });
    }
    let mut spec = answer["spec"].take();
    match version.as_str() {
        "v2" | "v2beta1" => v2::classic(base, spec).map_err(PullError::NotClassic),
        version if version.starts_with("v0") || version.starts_with("v1") => {
            // The uid is the resource's name here.
            spec["uid"] = base["uid"].clone();
            Ok(spec)
        }
        other => Err(PullError::NotADashboard(format!("version {other}"))),
    }
}

/// The form in which the dashboard of a converted answer is stored.
pub fn stored_version(answer: &Value) -> Option<String> {
    let stored = answer["status"]["conversion"]["storedVersion"].as_str()?;
    (!stored.is_empty()).then(|| stored.to_owned())
}

/// `{"message": ...}` of the old API, `{"kind": "Status", "status": "Failure", ...}` of the new one.
fn refusal(answer: &Value) -> Option<String> {
    let failed = answer["kind"] == "Status" || (answer["dashboard"].is_null() && answer["spec"].is_null());
    let message = answer["message"].as_str()?;
    failed.then(|| message.to_owned())
}

/// Tells an answer by the names in it, never by its values.
fn describe(answer: &Value) -> String {
    match answer.as_object() {
        Some(fields) => {
            let names: Vec<&str> = fields.keys().take(8).map(String::as_str).collect();
            format!("it has {}", names.join(", "))
        }
        None => "it is no object".to_owned(),
    }
}
