//! Every query of every dashboard has data, or is declared empty while all is well: then it is seen empty, its trouble is
//! caused, and it has data.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use e2e::{
    grafana::{self, Choice, Dashboard, Query, Values},
    http, place, wait,
};
use monitoring_provisioning::{DashboardQuery, Spec, Trouble, dashboard_queries};
use serde_json::json;

use crate::stack::Stack;

/// Within this time each query must show what it is to show.
const WITHIN: Duration = Duration::from_secs(60);

/// A query, ready to be asked.
struct Asked {
    dashboard: String,
    query: Query,
    /// With everything put in.
    expr: String,
    empty_until: Option<Trouble>,
}

/// The dashboards of a running stack.
struct Dashboards {
    prometheus: u16,
    /// Between two scrapes.
    step: f64,
    begun: f64,
    asked: Vec<Asked>,
}

impl Dashboards {
    /// Reads what `monitoring-up` gave Grafana to read, and asks for the variables.
    fn open(stack: &Stack, begun: f64) -> Result<Self> {
        let spec = Spec::load(&stack.path("monitoring.yaml"))?;
        let mut dashboards = Self {
            prometheus: stack.ports.prometheus,
            step: spec.scrape_interval().as_secs_f64(),
            begun,
            asked: Vec::new(),
        };
        let folder = provisioned(stack)?;
        let declared = dashboard_queries(&spec);
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let dashboard = Dashboard::read(&std::fs::read_to_string(&path)?)?;
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            for choice in [Choice::All, Choice::First] {
                dashboards.ask(&name, &dashboard, choice, &declared)?;
            }
        }
        let files: HashSet<&str> = declared.iter().map(|one| one.path).collect();
        let read: HashSet<&str> = dashboards
            .asked
            .iter()
            .map(|asked| asked.dashboard.as_str())
            .collect();
        ensure!(
            read.len() == files.len(),
            "{read:?} were provisioned, of {files:?}"
        );
        ensure!(
            dashboards.asked.len() >= 2 * declared.len(),
            "{} queries in two choices, {} are declared",
            dashboards.asked.len(),
            declared.len()
        );
        Ok(dashboards)
    }

    fn ask(
        &mut self,
        name: &str,
        dashboard: &Dashboard,
        choice: Choice,
        declared: &[DashboardQuery],
    ) -> Result<()> {
        let seen = || dashboard.values(self.prometheus, choice);
        let values: Values = wait::until(
            &format!("the variables of {name} have values"),
            WITHIN,
            || seen().ok(),
            || format!("{:?}", seen()),
        )?;
        println!("  {values:?}");
        for query in dashboard.queries() {
            let is_it = |one: &&DashboardQuery| {
                one.path.ends_with(name) && one.panel == query.panel && one.ref_id == query.ref_id
            };
            self.asked.push(Asked {
                expr: grafana::expand(&query.expr, &values, self.step),
                // what is in no list must have data
                empty_until: declared.iter().find(is_it).and_then(|one| one.empty_until),
                dashboard: name.to_owned(),
                query,
            });
        }
        Ok(())
    }

    /// Whether Grafana would draw something now.
    fn has_data(&self, asked: &Asked) -> Result<bool> {
        let answer = if asked.empty_until == Some(Trouble::Deployment) {
            // it happened when the relayer was first seen
            http::query_range(self.prometheus, &asked.expr, self.begun, now()?, self.step)?
        } else if asked.query.is_instant {
            http::query(self.prometheus, &asked.expr)?
        } else {
            let now = now()?;
            let from = now - 4.0 * self.step;
            http::query_range(self.prometheus, &asked.expr, from, now, self.step)?
        };
        Ok(grafana::has_data(&answer))
    }

    /// Waits until every endpoint is in use again.
    fn all_is_well(&self) -> Result<()> {
        let well = "sum(fusion_connection_pool_health_status) + sum(fusion_connection_pool_circuit_breaker_status) == 0";
        let seen = || http::query(self.prometheus, well).unwrap_or_default();
        wait::until(
            "both endpoints are in use again",
            WITHIN,
            || (!seen().is_empty()).then_some(()),
            || "an endpoint is unhealthy or its breaker open".to_owned(),
        )
    }

    /// Waits until each of the queries that `which` names has been seen with data, or without.
    fn each_is_seen(&self, what: &str, with_data: bool, which: impl Fn(&Asked) -> bool) -> Result<usize> {
        let mut left: Vec<&Asked> = self.asked.iter().filter(|asked| which(asked)).collect();
        let all = left.len();
        let names = |left: &[&Asked]| {
            let lines = left.iter().map(|asked| {
                let Query { panel, ref_id, .. } = &asked.query;
                format!("\n  {} · {panel} · {ref_id}: {}", asked.dashboard, asked.expr)
            });
            lines.collect::<String>()
        };
        let mut fault = None;
        let done = wait::until(
            &format!("{all} queries {what}"),
            WITHIN,
            || {
                left.retain(|asked| match self.has_data(asked) {
                    Ok(has_data) => has_data != with_data,
                    Err(error) => {
                        fault = Some(error);
                        true
                    }
                });
                left.is_empty().then_some(())
            },
            String::new,
        );
        done.with_context(|| format!("these don't: {}\n{fault:?}", names(&left)))?;
        Ok(all)
    }
}

/// The folder that Grafana is told to read dashboards from.
fn provisioned(stack: &Stack) -> Result<PathBuf> {
    let config = stack.path("state/config");
    let provider = config.join("monitoring/grafana/provisioning/dashboards/connection-pool.yml");
    let text = std::fs::read_to_string(&provider).with_context(|| provider.display().to_string())?;
    let path = text.lines().find_map(|line| line.trim().strip_prefix("path: "));
    Ok(PathBuf::from(path.context("the provider names a folder")?))
}

fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

/// The demonstration, as somebody sees it who tries this for the first time.
pub(crate) fn show_data_of_the_demo() -> Result<()> {
    let begun = now()?;
    let mut stack = Stack::new(None)?;
    let relayer = place::program("relayer")?.display().to_string();
    stack.up(&[
        "--runtime",
        "native",
        "--without",
        "grafana",
        "--demo",
        "--relayer-bin",
        &relayer,
    ])?;
    stack.both_jobs_are_up()?;
    let dashboards = Dashboards::open(&stack, begun)?;
    let always = |asked: &Asked| asked.empty_until.is_none();
    dashboards.each_is_seen("show data", true, always)?;
    stack.down(&["--purge"])
}

/// A calm stack, and then one trouble after the other.
pub(crate) fn show_trouble(binaries: Option<&Path>) -> Result<()> {
    let begun = now()?;
    let mut stack = Stack::new(binaries)?;
    std::fs::write(stack.path("pools.yaml"), pools(&stack))?;
    let relayer = stack.start_relayer()?;
    stack.up(&["--runtime", "native", "--without", "grafana"])?;
    stack.both_jobs_are_up()?;
    let dashboards = Dashboards::open(&stack, begun)?;
    let under = |trouble| move |asked: &Asked| asked.empty_until == Some(trouble);

    dashboards.each_is_seen("show data while all is well", true, |asked| {
        asked.empty_until.is_none()
    })?;
    dashboards.each_is_seen("mark the deployment", true, under(Trouble::Deployment))?;
    let quiet = dashboards.each_is_seen("are empty while all is well, as declared", false, |asked| {
        !matches!(asked.empty_until, None | Some(Trouble::Deployment))
    })?;

    let mut seen = 0;
    stack.tell_node(0, "POST", "/stop", &json!({}))?;
    seen += dashboards.each_is_seen("show that a node is down", true, under(Trouble::NodeDown))?;
    stack.tell_node(0, "POST", "/start", &json!({}))?;
    dashboards.all_is_well()?;

    // a health check asks several questions on one connection and must come to its end
    for which in [0, 1] {
        stack.tell_node(which, "PATCH", "/faults", &json!({ "close_after": 8 }))?;
    }
    seen += dashboards.each_is_seen("show lost connections", true, under(Trouble::ConnectionsLost))?;

    let slow = json!({ "latency": { "delay": { "kind": "constant", "ms": 1_500.0 } } });
    for which in [0, 1] {
        stack.tell_node(which, "PUT", "/faults", &slow)?;
    }
    seen += dashboards.each_is_seen("show that callers queue", true, under(Trouble::Saturation))?;
    for which in [0, 1] {
        stack.tell_node(which, "DELETE", "/faults", &json!({}))?;
    }
    dashboards.all_is_well()?;

    relayer.kill()?;
    let _again = stack.start_relayer()?;
    seen += dashboards.each_is_seen("mark the restart", true, under(Trouble::Restart))?;
    ensure!(
        seen == quiet,
        "{quiet} queries are declared empty, {seen} were filled"
    );
    stack.down(&["--purge"])
}

/// Few places, so that slow nodes make callers queue; patient checks, so that slow nodes stay in use; nodes in turn, so that one
/// that goes down fails somebody before a check tells of it.
fn pools(stack: &Stack) -> String {
    let [first, second] = stack.ports.nodes;
    format!(
        "pools:\n- id: ethereum\n  dialect: evm\n  chain_id: 1\n  balancer: round_robin\n  endpoints:\n  \
         - id: first\n    url: http://127.0.0.1:{first}\n    max_connections: 2\n  \
         - id: second\n    url: http://127.0.0.1:{second}\n    max_connections: 2\n  \
         settings:\n    health: {{ interval: 500ms, timeout: 5s }}\n  \
         follow: {{ poll_interval: 200ms, requests_per_second: 50 }}\n"
    )
}
