//! Real Prometheus scrapes the server, with OpenMetrics preferred and with the text format, in the clear and over TLS with
//! a token: every one that is found. Where there is none the trial is reported as ignored, and the reason is printed.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real processes live in real time"
)]

#[path = "export/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the export")]
mod support;

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Trial};
use pool_metrics::{
    Auth, MetricsServer, PrometheusBridge, RoutesBuilder, Tls,
    catalogue::{Kind, METRICS, Metric, PREFIX},
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;

use support::FakePool;

const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "prometheus-shows-this";

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
    let name = "scrapes_are_understood";
    let mut trials: Vec<Trial> = programs()
        .into_iter()
        .map(|program| {
            Trial::test(format!("{name} ({})", program.display()), move || {
                scrapes_are_understood(&program);
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

/// Killed when dropped.
struct Prometheus {
    child: Child,
    api: String,
    log: PathBuf,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Prometheus {
    fn start(program: &Path, folder: &Path, config: &str) -> Self {
        let file = folder.join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let log = folder.join("log");
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            api: format!("http://127.0.0.1:{port}/api/v1"),
            log,
        }
    }

    fn get(&self, path: &str) -> Option<Value> {
        let mut answer = ureq::get(format!("{}/{path}", self.api)).call().ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        let mut answer: Value = serde_json::from_str(&text).ok()?;
        Some(answer["data"].take())
    }

    fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited for {what}; targets: {}; log: {}",
                self.get("targets").unwrap_or_default(),
                fs::read_to_string(&self.log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Names of our metrics that this job has, as stored.
    fn names(&self, job: &str) -> BTreeSet<String> {
        let query =
            format!("query?query=count+by+(__name__)+(%7Bjob=%22{job}%22,__name__=~%22{PREFIX}.%2B%22%7D)");
        let found = self.get(&query).unwrap_or_default();
        let series = found["result"].as_array().cloned().unwrap_or_default();
        let name = |series: &Value| series["metric"]["__name__"].as_str().unwrap().to_owned();
        series.iter().map(name).collect()
    }
}

/// The metrics of the catalogue that are exposed now; `scraped.rs` holds these against the catalogue both ways.
fn exposed(bridge: &PrometheusBridge) -> Vec<&'static Metric> {
    let families = bridge.registry().gather();
    let is_exposed = |metric: &&Metric| families.iter().any(|family| family.name() == metric.name);
    let exposed: Vec<_> = METRICS.iter().filter(is_exposed).collect();
    assert!(exposed.len() > 30, "{exposed:?}");
    exposed
}

/// What must be stored of these, whatever the format.
fn stored(exposed: &[&Metric]) -> BTreeSet<String> {
    let names = exposed.iter().flat_map(|metric| match metric.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"]
            .map(|suffix| format!("{}{suffix}", metric.name))
            .to_vec(),
        Kind::Counter | Kind::Gauge => vec![metric.name.to_owned()],
    });
    names.collect()
}

fn scrapes_are_understood(program: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("crt"), cert.pem()).unwrap();
    fs::write(path("key"), signing_key.serialize_pem()).unwrap();
    fs::write(path("token"), TOKEN).unwrap();

    let bridge = PrometheusBridge::new().unwrap();
    let pool = FakePool::new("eth", &["alchemy", "infura"]);
    let endpoints = pool.register(bridge.metrics());
    for endpoint in &endpoints {
        endpoint.attempt_ended(Duration::from_millis(20), None);
    }
    pool.set(|now| {
        now.endpoints[0].position = Some(7);
        now.endpoints[1].position = Some(8);
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (open, guarded) = runtime.block_on(async {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let open = MetricsServer::bind(&[any], &bridge).await.unwrap();
        let routes = RoutesBuilder::from(&bridge)
            .auth(Auth::bearer(TOKEN).unwrap())
            .build();
        let guarded = MetricsServer::bind(&[any], routes).await.unwrap();
        let guarded = guarded.tls(Tls::from_files(path("crt"), path("key")).unwrap());
        let addrs = (open.local_addrs()[0], guarded.local_addrs()[0]);
        tokio::spawn(open.serve(std::future::pending()));
        tokio::spawn(guarded.serve(std::future::pending()));
        addrs
    });

    let config = format!(
        "
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: open
    static_configs: [{{targets: ['{open}']}}]
  - job_name: guarded
    scheme: https
    tls_config: {{ca_file: {crt}, server_name: localhost}}
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ['{guarded}']}}]
  - job_name: stranger
    scheme: https
    tls_config: {{ca_file: {crt}, server_name: localhost}}
    static_configs: [{{targets: ['{guarded}']}}]
",
        crt = path("crt").display(),
        token = path("token").display(),
    );
    let prometheus = Prometheus::start(program, folder.path(), &config);
    let exposed = exposed(&bridge);
    let expected = stored(&exposed);
    for job in ["open", "guarded"] {
        prometheus.until(job, |prometheus| {
            (prometheus.names(job) == expected).then_some(())
        });
    }
    let health = |job: &str| {
        let targets = prometheus.get("targets")?["activeTargets"].as_array()?.clone();
        let target = targets
            .into_iter()
            .find(|target| target["labels"]["job"] == job)?;
        Some((
            target["health"].as_str()?.to_owned(),
            target["lastError"].as_str()?.to_owned(),
        ))
    };
    prometheus.until("the stranger's refusal", |_| {
        let (health, error) = health("stranger")?;
        (health == "down" && error.contains("401")).then_some(())
    });
    for job in ["open", "guarded"] {
        assert_eq!(health(job), Some(("up".to_owned(), String::new())), "{job}");
    }
    // both versions ask for OpenMetrics first, in which a counter is declared without its suffix
    let metadata = prometheus.get("metadata").unwrap();
    for metric in exposed {
        let (name, kind) = match metric.kind {
            Kind::Counter => (metric.name.strip_suffix("_total").unwrap(), "counter"),
            Kind::Gauge => (metric.name, "gauge"),
            Kind::Histogram => (metric.name, "histogram"),
        };
        assert_eq!(metadata[name][0]["type"], kind, "{name}: {metadata}");
    }
    // bounds are stored alike by both versions then
    let bounds = prometheus.get("label/le/values").unwrap();
    let bounds = bounds.as_array().unwrap();
    assert!(
        bounds.contains(&"1000.0".into()) && !bounds.contains(&"1000".into()),
        "{bounds:?}"
    );
}
