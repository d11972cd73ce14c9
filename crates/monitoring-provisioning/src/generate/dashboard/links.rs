//! Where a dashboard, a panel and a series lead: to the other dashboards, runbooks, Prometheus and Alertmanager.

use super::{BOARDS, Board};
use crate::{
    alert::LOOK_BACK_SCRAPES,
    generate::panels::{Draft, Leads, PanelQuery},
    model::dashboard::Link,
    spec::{AlertName, Spec},
};

/// The tabs of Prometheus' page.
const GRAPH: u8 = 0;
const TABLE: u8 = 1;

/// The addresses of everything that is linked, as a browser finds them.
pub(super) struct Sites<'a> {
    spec: &'a Spec,
    prometheus: String,
    alertmanager: String,
    runbooks: &'a str,
}

impl<'a> Sites<'a> {
    pub(super) fn new(spec: &'a Spec) -> Self {
        Self {
            spec,
            prometheus: spec.prometheus_url(),
            alertmanager: spec.alertmanager_url(),
            runbooks: spec.links.runbook_base_url.trim_end_matches('/'),
        }
    }

    /// In a dashboard's head.
    pub(super) fn of_board(&self, here: &Board) -> Vec<Link> {
        let others = BOARDS
            .iter()
            .filter(|board| board.uid != here.uid)
            .map(|board| Link {
                // One endpoint alone can't take over a choice of several: whoever goes there chooses, or comes by a series.
                url: format!("{}?${{datasource:queryparam}}", board.address()),
                icon: "dashboard".to_owned(),
                include_vars: board.variables.iter().all(super::variables::Label::takes_many),
                keep_time: true,
                target_blank: false,
                ..link(board.title, board.question, String::new())
            });
        let outside = [
            (
                "Runbooks",
                "What to do about each alert",
                self.runbooks.to_owned(),
            ),
            (
                "Prometheus",
                "Which alerts are pending, and which fire",
                self.graph(TABLE, &["ALERTS".to_owned()]),
            ),
            (
                "Alertmanager",
                "What is notified, silenced and inhibited",
                format!("{}/#/alerts", self.alertmanager),
            ),
        ];
        others
            .chain(outside.map(|(title, tooltip, url)| link(title, tooltip, url)))
            .collect()
    }

    /// In a panel's head: what its alerts say elsewhere, and its queries in Prometheus.
    pub(super) fn of_panel(&self, draft: &Draft) -> Vec<Link> {
        let alerts = draft.alerts.iter().flat_map(|alert| self.of_alert(*alert));
        alerts.chain([self.query(&draft.queries)]).collect()
    }

    fn of_alert(&self, alert: AlertName) -> [Link; 3] {
        let filter = encode(&format!("{{alertname=\"{alert}\"}}"));
        [
            link(
                &format!("Runbook of {alert}"),
                "Meaning, causes, what to do",
                format!("{}/{alert}.md", self.runbooks),
            ),
            link(
                &format!("{alert} in Prometheus"),
                "Where it is pending, and where it fires",
                self.graph(TABLE, &[format!("ALERTS{{alertname=\"{alert}\"}}")]),
            ),
            link(
                &format!("{alert} in Alertmanager"),
                "Who was told; silence it",
                format!("{}/#/alerts?filter={filter}", self.alertmanager),
            ),
        ]
    }

    /// The queries in Prometheus' own page, for all relayers, pools and endpoints: the dashboard's choice can't be put into
    /// an expression within an address.
    fn query(&self, queries: &[PanelQuery]) -> Link {
        let expressions: Vec<String> = queries.iter().map(|query| self.for_all(&query.expr)).collect();
        link(
            "Query in Prometheus",
            "The same for all relayers, pools and endpoints",
            self.graph(GRAPH, &expressions),
        )
    }

    /// Expressions in Prometheus. `/graph` is the one page that all have: 3.x leads on to `/query`, Debian's 2.x to
    /// `/classic/graph`, which has no `/alerts`.
    fn graph(&self, tab: u8, expressions: &[String]) -> String {
        let parameters: Vec<String> = expressions
            .iter()
            .enumerate()
            .map(|(index, expr)| {
                let expr = encode(expr);
                format!("g{index}.expr={expr}&g{index}.tab={tab}&g{index}.range_input=1h")
            })
            .collect();
        format!("{}/graph?{}", self.prometheus, parameters.join("&"))
    }

    fn for_all(&self, expr: &str) -> String {
        let window = self
            .spec
            .scaled(self.spec.prometheus.scrape_interval.times(LOOK_BACK_SCRAPES));
        ["job", "instance", "pool", "endpoint"]
            .iter()
            .fold(expr.to_owned(), |expr, name| {
                expr.replace(&format!("${name}"), ".+")
            })
            .replace("$__rate_interval", &window.to_string())
            .replace("$__range", "1h")
    }

    /// In a series' menu.
    pub(super) fn of_series(&self, leads: Leads) -> Vec<Link> {
        let [pools, endpoint, slo] = BOARDS;
        let to = |title: &str, board: Board, labels: &[&str]| {
            let mut url = format!(
                "{}?${{datasource:queryparam}}&${{job:queryparam}}",
                board.address()
            );
            for label in labels {
                url.push_str(&format!("&var-{label}=${{__field.labels.{label}}}"));
            }
            url.push_str("&${__url_time_range}");
            Link {
                target_blank: false,
                ..link(title, board.question, url)
            }
        };
        let pool = ["instance", "pool"];
        match leads {
            Leads::Nowhere => Vec::new(),
            Leads::ToRunbook => vec![link(
                "Runbook of ${__data.fields.alertname}",
                "Meaning, causes, what to do",
                format!("{}/${{__data.fields.alertname}}.md", self.runbooks),
            )],
            Leads::ToPool => vec![
                to("${__field.labels.pool} alone", pools, &pool),
                to("Objectives of ${__field.labels.pool}", slo, &pool),
            ],
            Leads::ToEndpoint => vec![
                to(
                    "${__field.labels.endpoint} in depth",
                    endpoint,
                    &["instance", "pool", "endpoint"],
                ),
                to("${__field.labels.pool} alone", pools, &pool),
            ],
        }
    }
}

/// A link that opens beside the dashboard.
fn link(title: &str, tooltip: &str, url: String) -> Link {
    Link {
        title: title.to_owned(),
        kind: "link".to_owned(),
        icon: "external link".to_owned(),
        tooltip: tooltip.to_owned(),
        url,
        tags: Vec::new(),
        as_dropdown: false,
        target_blank: true,
        include_vars: false,
        keep_time: false,
    }
}

/// For a parameter of an address: everything but letters, digits and `-._~` becomes `%XX`, so that neither browser nor
/// Grafana sees anything in it.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_expression_comes_back_and_holds_nothing_special() {
        let text = "max by (a) (x{pool=~\".+|\"}[20s] offset 1m) > 50 % · [[b]]";
        let encoded = encode(text);
        assert!(
            encoded
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)),
            "{encoded}"
        );
        let mut bytes = Vec::new();
        let mut rest = encoded.as_str();
        while let Some(first) = rest.chars().next() {
            let (byte, length) = if first == '%' {
                (u8::from_str_radix(&rest[1..3], 16).expect("two hex digits"), 3)
            } else {
                (first as u8, 1)
            };
            bytes.push(byte);
            rest = &rest[length..];
        }
        assert_eq!(String::from_utf8(bytes).expect("UTF-8"), text);
    }

    #[test]
    fn queries_in_prometheus_have_no_variable_left() {
        let spec = Spec::default();
        let sites = Sites::new(&spec);
        for board in &BOARDS {
            for (_, drafts) in (board.sections)(&spec) {
                for query in drafts.iter().flat_map(|draft| &draft.queries) {
                    assert!(!sites.for_all(&query.expr).contains('$'), "{}", query.expr);
                }
            }
        }
    }
}
