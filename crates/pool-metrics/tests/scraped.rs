//! What Prometheus makes of what is exposed: every prometheus that is found scrapes a real server, and its own account of
//! series and metadata is held against the exposition and the catalogue. Where there is none the trial is reported as
//! ignored, and the reason is printed.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]
#![allow(
    clippy::disallowed_methods,
    reason = "the test's own thread waits for a process, and no worker"
)]

#[path = "export/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the export")]
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use libtest_mimic::{Arguments, Trial};
use pool_metrics::{
    MetricsServer, PrometheusBridge,
    catalogue::{Kind, METRICS, PREFIX},
};
use serde_json::Value;

use support::{Exposition, FakePool};

fn programs() -> Vec<PathBuf> {
    let named = ["MONITORING_BIN_DIR", "MONITORING_NEWEST_BIN_DIR"]
        .into_iter()
        .filter_map(std::env::var_os);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .map(|folder| folder.join("prometheus"))
        .find(|file| file.is_file());
    let mut found: Vec<_> = named
        .map(|folder| PathBuf::from(folder).join("prometheus"))
        .filter(|file| file.is_file())
        .chain(on_path)
        .collect();
    found.dedup();
    found
}

fn main() {
    let arguments = Arguments::from_args();
    let name = "prometheus_has_exactly_what_the_catalogue_says";
    let mut trials: Vec<Trial> = programs()
        .into_iter()
        .map(|prometheus| {
            Trial::test(format!("{name} ({})", prometheus.display()), move || {
                prometheus_has_exactly_what_the_catalogue_says(&prometheus);
                Ok(())
            })
        })
        .collect();
    if trials.is_empty() {
        println!(
            "NOT RUN {name}: no prometheus in $MONITORING_BIN_DIR, $MONITORING_NEWEST_BIN_DIR or on PATH"
        );
        trials.push(Trial::test(name, || Ok(())).with_ignored_flag(true));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Ends the process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Asks until the answer has data, for half a minute at the most.
fn data(port: u16, query: &str) -> Value {
    let url = format!("http://127.0.0.1:{port}/api/v1/{query}");
    for _ in 0..300 {
        if let Ok(mut answer) = ureq::get(&url).call() {
            let text = answer.body_mut().read_to_string().unwrap();
            let answer: Value = serde_json::from_str(&text).unwrap();
            let data = &answer["data"];
            let some = data.as_array().is_some_and(|all| !all.is_empty())
                || data.as_object().is_some_and(|all| !all.is_empty());
            if some {
                return data.clone();
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("Prometheus has no {query} after half a minute");
}

type Series = BTreeMap<String, String>;

/// Bounds in one notation: Prometheus 3 writes 1000 as 1000.0.
fn plain((name, value): (&String, &str)) -> (String, String) {
    let bound = value.parse::<f64>().ok().filter(|_| name == "le");
    (
        name.clone(),
        bound.map_or_else(|| value.to_owned(), |bound| bound.to_string()),
    )
}

fn prometheus_has_exactly_what_the_catalogue_says(prometheus: &Path) {
    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["alchemy", "infura"]);
    let observers = pool.register(bridge.metrics());
    observers[0].attempt_ended(Duration::from_millis(1), None);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let local = "127.0.0.1:0".parse().unwrap();
    let server = runtime
        .block_on(MetricsServer::bind(&[local], bridge.registry().clone()))
        .unwrap();
    let target = server.local_addrs()[0];
    runtime.spawn(server.serve(std::future::pending()));

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: connection-pools, static_configs: [{{targets: ['{target}']}}]}}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let port = free_port();
    let running = Command::new(prometheus)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(running);

    let series = data(port, &format!("series?match[]={{__name__=~%22{PREFIX}.%2B%22}}"));
    let series = series.as_array().unwrap().iter().map(|series| {
        let labels = series.as_object().unwrap().iter();
        let own = labels.filter(|(name, _)| *name != "job" && *name != "instance");
        own.map(|(name, value)| plain((name, value.as_str().unwrap())))
            .collect()
    });
    let series: BTreeSet<Series> = series.collect();
    let exposed = Exposition::of(&bridge);
    let samples = exposed.0.values().flat_map(|family| &family.samples);
    let expected = samples.map(|sample| {
        let labels = sample.labels.iter();
        let labels = labels.map(|(name, value)| plain((name, value)));
        labels
            .chain([("__name__".to_owned(), sample.name.clone())])
            .collect()
    });
    assert_eq!(series, expected.collect::<BTreeSet<Series>>());

    let metadata = data(port, "metadata");
    let metadata = metadata.as_object().unwrap();
    let mut told: BTreeSet<&str> = metadata.keys().map(String::as_str).collect();
    told.retain(|name| name.starts_with(PREFIX));
    for metric in METRICS {
        // a family of counters is named without the suffix in OpenMetrics, and there a gauge may not have it
        let bare = metric.name.trim_end_matches("_total");
        let name = if told.contains(metric.name) {
            metric.name
        } else {
            bare
        };
        assert!(told.remove(name), "{} has no metadata", metric.name);
        let entry = &metadata[name][0];
        let kind = entry["type"].as_str().unwrap();
        let allowed: &[&str] = match metric.kind {
            Kind::Gauge if metric.name.ends_with("_total") => &["gauge", "unknown"],
            Kind::Gauge => &["gauge"],
            Kind::Counter => &["counter"],
            Kind::Histogram => &["histogram"],
        };
        assert!(allowed.contains(&kind), "{}: {kind}", metric.name);
        assert_eq!(entry["help"], metric.help, "{}", metric.name);
    }
    assert!(told.is_empty(), "not in the catalogue: {told:?}");
}
