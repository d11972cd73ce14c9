//! Variables.

use serde_json::{Map, Value};

use super::{
    panel::{self, LEGACY_TEXT},
    reader::Reader,
};

const HIDE: [&str; 4] = ["dontHide", "hideLabel", "hideVariable", "inControlsMenu"];
const REFRESH: [&str; 3] = ["never", "onDashboardLoad", "onTimeRangeChanged"];
const SORT: [&str; 9] = [
    "disabled",
    "alphabeticalAsc",
    "alphabeticalDesc",
    "numericalAsc",
    "numericalDesc",
    "alphabeticalCaseInsensitiveAsc",
    "alphabeticalCaseInsensitiveDesc",
    "naturalAsc",
    "naturalDesc",
];

/// A variable in classic form; reported and `None` where there is none.
pub(super) fn classic(mut kind: Reader<'_>) -> Option<Value> {
    let found = kind.kind();
    let Some((_, word)) = KINDS.iter().find(|(name, _)| *name == found) else {
        kind.problems
            .report(&kind.path, format!("a classic dashboard has no {found}"));
        return None;
    };
    let mut out = Map::new();
    out.insert("type".to_owned(), (*word).into());
    let mut spec = kind.reader("spec")?;
    // Ad hoc filters and groupings name their data source beside the spec.
    if matches!(*word, "adhoc" | "groupby") {
        let mut datasource = Map::new();
        kind.keep("group", "type", &mut datasource);
        if let Some(mut reference) = kind.reader("datasource") {
            reference.keep("name", "uid", &mut datasource);
            reference.finish();
        }
        out.insert("datasource".to_owned(), datasource.into());
    }
    kind.finish();
    common(&mut spec, &mut out);
    own(word, &mut spec, &mut out);
    spec.finish();
    Some(out.into())
}

const KINDS: [(&str, &str); 8] = [
    ("QueryVariable", "query"),
    ("DatasourceVariable", "datasource"),
    ("CustomVariable", "custom"),
    ("ConstantVariable", "constant"),
    ("IntervalVariable", "interval"),
    ("TextVariable", "textbox"),
    ("AdhocVariable", "adhoc"),
    ("GroupByVariable", "groupby"),
];

fn common(spec: &mut Reader<'_>, out: &mut Map<String, Value>) {
    for name in [
        "name",
        "label",
        "description",
        "skipUrlSync",
        "current",
        "options",
        "multi",
        "includeAll",
        "allValue",
        "allowCustomValue",
        "regex",
        "regexApplyTo",
        "definition",
        "staticOptions",
        "staticOptionsOrder",
    ] {
        spec.keep(name, name, out);
    }
    for (name, names) in [("hide", &HIDE[..]), ("refresh", &REFRESH), ("sort", &SORT)] {
        if let Some(number) = spec.choice(name, names) {
            out.insert(name.to_owned(), number.into());
        }
    }
}

fn own(word: &str, spec: &mut Reader<'_>, out: &mut Map<String, Value>) {
    match word {
        "query" => {
            if let Some((datasource, mut query)) = spec.reader("query").and_then(panel::query) {
                out.insert("datasource".to_owned(), datasource);
                let text = query.remove(LEGACY_TEXT).filter(Value::is_string);
                out.insert("query".to_owned(), text.unwrap_or_else(|| query.into()));
            }
        }
        "datasource" => spec.keep("pluginId", "query", out),
        "interval" => {
            for name in ["query", "auto", "auto_min", "auto_count"] {
                spec.keep(name, name, out);
            }
        }
        "adhoc" => {
            for name in ["baseFilters", "filters", "defaultKeys"] {
                spec.keep(name, name, out);
            }
        }
        "groupby" => spec.keep("defaultValue", "defaultValue", out),
        _ => spec.keep("query", "query", out),
    }
}
