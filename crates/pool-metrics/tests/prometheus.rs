//! What Prometheus makes of what is exposed: every prometheus that is found scrapes a real server, in the clear and over TLS
//! with a token, as OpenMetrics, and in the text format if it can be told to. Its own account of series and metadata is held
//! against the exposition and the catalogue, both ways. Where there is none the trial is reported as ignored, and the reason
//! is printed.

#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real processes live in real time"
)]

#[path = "export/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the export")]
mod support;
mod tools;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use pool_metrics::{
    Auth, MetricsServer, PrometheusBridge, RoutesBuilder, Tls,
    catalogue::{Kind, METRICS, PREFIX},
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;

use support::{Exposition, FakePool};

const PATIENCE: Duration = Duration::from_secs(60);
const TOKEN: &str = "prometheus-shows-this";

fn main() {
    tools::run(
        "prometheus",
        "prometheus_has_exactly_what_the_catalogue_says",
        prometheus_has_exactly_what_the_catalogue_says,
    );
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

    /// The series of our metrics that this job has, as stored.
    fn series(&self, job: &str) -> BTreeSet<Series> {
        let query = format!("series?match[]=%7Bjob=%22{job}%22,__name__=~%22{PREFIX}.%2B%22%7D");
        let found = self.get(&query).unwrap_or_default();
        let series = found.as_array().cloned().unwrap_or_default();
        let labels = |series: &Value| {
            let labels = series.as_object().unwrap().iter();
            let own = labels.filter(|(name, _)| *name != "job" && *name != "instance");
            own.map(|(name, value)| plain(name, value.as_str().unwrap()))
                .collect()
        };
        series.iter().map(labels).collect()
    }

    /// What this job's target told of our metrics: type and help by name.
    fn metadata(&self, job: &str) -> BTreeMap<String, (String, String)> {
        let query = format!("targets/metadata?match_target=%7Bjob=%22{job}%22%7D");
        let found = self.get(&query).unwrap_or_default();
        let entries = found.as_array().cloned().unwrap_or_default();
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
        let entries = entries
            .iter()
            .map(|entry| (text(entry, "metric"), (text(entry, "type"), text(entry, "help"))));
        entries.filter(|(name, _)| name.starts_with(PREFIX)).collect()
    }

    /// Health and last error of this job's target.
    fn health(&self, job: &str) -> Option<(String, String)> {
        let targets = self.get("targets")?["activeTargets"].as_array()?.clone();
        let is_its = |target: &Value| target["labels"]["job"] == job;
        let target = targets.into_iter().find(is_its)?;
        let text = |name: &str| Some(target[name].as_str()?.to_owned());
        Some((text("health")?, text("lastError")?))
    }
}

type Series = BTreeMap<String, String>;

/// Bounds in one notation: Prometheus 3 and OpenMetrics write 1000 as 1000.0.
fn plain(name: &str, value: &str) -> (String, String) {
    let bound = value.parse::<f64>().ok().filter(|_| name == "le");
    let value = bound.map_or_else(|| value.to_owned(), |bound| bound.to_string());
    (name.to_owned(), value)
}

/// The series that are exposed.
fn exposed(bridge: &PrometheusBridge) -> BTreeSet<Series> {
    let exposed = Exposition::of(bridge);
    let samples = exposed.0.values().flat_map(|family| &family.samples);
    let labels = |sample: &support::Sample| {
        let labels = sample.labels.iter().map(|(name, value)| plain(name, value));
        labels
            .chain([("__name__".to_owned(), sample.name.clone())])
            .collect()
    };
    samples.map(labels).collect()
}

/// Type and help of every metric of the catalogue, under the name that the format gives to a family of counters.
fn catalogue(open_metrics: bool) -> BTreeMap<String, (String, String)> {
    let entries = METRICS.iter().map(|metric| {
        let (name, kind) = match metric.kind {
            Kind::Counter if open_metrics => (metric.name.strip_suffix("_total").unwrap(), "counter"),
            Kind::Counter => (metric.name, "counter"),
            Kind::Gauge => (metric.name, "gauge"),
            Kind::Histogram => (metric.name, "histogram"),
        };
        (name.to_owned(), (kind.to_owned(), metric.help.to_owned()))
    });
    entries.collect()
}

/// Whether it can be told which format to ask for: since 2.49.
fn takes_protocols(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let version = text.split("version ").nth(1).expect(&text);
    let mut numbers = version
        .split('.')
        .map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(2), Some(49))
}

fn prometheus_has_exactly_what_the_catalogue_says(program: &Path) {
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

    let mut config = format!(
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
    let mut jobs = vec![("open", true), ("guarded", true)];
    if takes_protocols(program) {
        config += &format!(
            "
  - job_name: text
    scrape_protocols: [PrometheusText0.0.4]
    static_configs: [{{targets: ['{open}']}}]
"
        );
        jobs.push(("text", false));
    }
    let prometheus = Prometheus::start(program, folder.path(), &config);
    let expected = exposed(&bridge);
    assert!(expected.len() > 200, "{}", expected.len());
    for (job, open_metrics) in jobs {
        prometheus.until(job, |prometheus| {
            let up = prometheus.health(job)?.0 == "up";
            (up && prometheus.series(job).len() >= expected.len()).then_some(())
        });
        assert_eq!(prometheus.series(job), expected, "{job}");
        assert_eq!(prometheus.metadata(job), catalogue(open_metrics), "{job}");
        assert_eq!(
            prometheus.health(job),
            Some(("up".to_owned(), String::new())),
            "{job}"
        );
    }
    prometheus.until("the stranger's refusal", |prometheus| {
        let (health, error) = prometheus.health("stranger")?;
        (health == "down" && error.contains("401")).then_some(())
    });
    assert_eq!(prometheus.series("stranger"), BTreeSet::new());
    // bounds are stored alike by both versions where OpenMetrics is spoken
    let bounds = prometheus
        .get("label/le/values?match[]=%7Bjob=%22open%22%7D")
        .unwrap();
    let bounds = bounds.as_array().unwrap();
    assert!(
        bounds.contains(&"1000.0".into()) && !bounds.contains(&"1000".into()),
        "{bounds:?}"
    );
}
