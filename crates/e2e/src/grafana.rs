//! What Grafana does with a dashboard before Prometheus sees it: variables are asked for and put in.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http;

/// A dashboard's JSON, as Grafana reads it.
#[derive(Debug)]
pub struct Dashboard(Value);

/// One thing that a dashboard asks Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The panel's title, or the annotation's name.
    pub panel: String,
    /// The query's letter, or `annotation`.
    pub ref_id: String,
    /// With variables in it.
    pub expr: String,
    /// Asked for one moment only.
    pub is_instant: bool,
}

/// The values of a dashboard's variables, in order.
pub type Values = Vec<(String, String)>;

/// What the reader has chosen at the top of a dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// As it stands when it is opened: all, where all can be chosen.
    All,
    /// The first value of every variable.
    First,
}

impl Dashboard {
    /// Reads it.
    ///
    /// # Errors
    /// It isn't JSON.
    pub fn read(text: &str) -> Result<Self> {
        Ok(Self(serde_json::from_str(text).context("a dashboard is JSON")?))
    }

    /// Everything that it asks when it is opened.
    pub fn queries(&self) -> Vec<Query> {
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let marks = list(&self.0["annotations"]["list"]).map(|mark| Query {
            panel: text(mark, "name"),
            ref_id: "annotation".to_owned(),
            expr: text(mark, "expr"),
            is_instant: false,
        });
        let panels = list(&self.0["panels"]).flat_map(|panel| {
            // those of a folded row lie within it
            std::iter::once(panel).chain(list(&panel["panels"]))
        });
        let panels = panels.flat_map(|panel| {
            list(&panel["targets"]).map(move |target| Query {
                panel: text(panel, "title"),
                ref_id: text(target, "refId"),
                expr: text(target, "expr"),
                is_instant: target["instant"] == true,
            })
        });
        marks.chain(panels).collect()
    }

    /// The values of the variables.
    ///
    /// # Errors
    /// A variable that finds nothing, or whose query isn't `label_values(selector, label)`.
    pub fn values(&self, prometheus: u16, choice: Choice) -> Result<Values> {
        let mut values = Values::new();
        for variable in list(&self.0["templating"]["list"]).filter(|one| one["type"] == "query") {
            let name = variable["name"].as_str().context("a variable's name")?;
            let query = variable["query"].as_str().context("a variable's query")?;
            let (selector, label) = query
                .strip_prefix("label_values(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|inside| inside.rsplit_once(", "))
                .with_context(|| format!("`{query}` is no label_values"))?;
            let found = http::label_values(prometheus, &expand(selector, &values, 0.0), label)?;
            ensure!(!found.is_empty(), "the variable {name} finds nothing: {query}");
            let all = variable["allValue"].as_str().filter(|_| choice == Choice::All);
            let value = all.map_or_else(|| found[0].clone(), str::to_owned);
            values.push((name.to_owned(), value));
        }
        Ok(values)
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Puts in the values, and Grafana's own: `$__rate_interval` is four scrapes, `$__range` an hour.
pub fn expand(expr: &str, values: &Values, scrape_seconds: f64) -> String {
    let window = format!("{}ms", (scrape_seconds * 4_000.0).round());
    let with_own = expr
        .replace("$__rate_interval", &window)
        .replace("$__range", "1h");
    values.iter().fold(with_own, |expr, (name, value)| {
        expr.replace(&format!("${name}"), value)
    })
}

/// Whether an answer of Prometheus, instant or over a range, would be drawn: a number that is one.
pub fn has_data(answer: &[Value]) -> bool {
    let drawn = |sample: &Value| sample[1].as_str().is_some_and(|value| value != "NaN");
    answer
        .iter()
        .any(|series| drawn(&series["value"]) || list(&series["values"]).any(drawn))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_of_nothing_but_nan_is_no_data() {
        assert!(!has_data(&[]));
        assert!(!has_data(&[
            json!({ "value": [1, "NaN"] }),
            json!({ "values": [[1, "NaN"]] })
        ]));
        assert!(has_data(&[json!({ "value": [1, "0"] })]));
        assert!(has_data(&[json!({ "values": [[1, "NaN"], [2, "0.5"]] })]));
    }

    #[test]
    fn variables_are_put_in() {
        let values = vec![("pool".to_owned(), ".+".to_owned())];
        let expanded = expand("rate(x{pool=~\"$pool|\"}[$__rate_interval])", &values, 0.25);
        assert_eq!(expanded, "rate(x{pool=~\".+|\"}[1000ms])");
    }
}
