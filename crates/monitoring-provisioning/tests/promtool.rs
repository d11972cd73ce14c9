//! The real promtool and amtool judge what is generated, and promtool runs the unit tests of every alert.

mod tools;

use std::path::Path;

use libtest_mimic::{Arguments, Failed, Trial};
use monitoring_provisioning::{Spec, proof};
use tools::{programs, run, trials, version, written};

/// A spec that uses every kind of receiver; the secret files are made beside it.
fn full_spec(folder: &Path) -> Result<Spec, Failed> {
    for name in ["u", "k", "p", "t"] {
        std::fs::write(folder.join(name), "https://example.org/x")?;
    }
    Ok(Spec::parse(FULL, &folder.join("monitoring.yaml"))?)
}

/// Every kind that the oldest Alertmanager takes.
const FULL: &str = "receivers:
  slack: { ops: { channel: '#x', api_url_file: u } }
  pagerduty: { page: { routing_key_file: k } }
  email: { mail: { to: a@b.c, from: c@d.e, smarthost: 'h:25', auth_username: u, auth_password_file: p } }
  webhook: { hook: { url: 'https://h/x', credentials_file: t } }
  opsgenie: { genie: { api_key_file: k, region: eu, teams: [chain, ops] } }
alerts:
  RelayerDown: { labels: { team: platform } }
  ScrapeTargetDown: { labels: { team: platform } }
notifications:
  critical: { receivers: [ops, page, mail, hook, genie] }
  warning: { receivers: [ops], mute_times: [nights, holidays] }
  teams:
    platform: { critical: { receivers: [page], group_wait: 5s }, warning: { mute_times: [nights] } }
mute_times:
  nights:
    - times: [{ start_time: 22:00, end_time: 24:00 }, { start_time: 00:00, end_time: '06:00' }]
      location: Europe/Berlin
    - weekdays: [saturday:saturday, sunday]
  holidays:
    - { days_of_month: ['24:26', '-1'], months: [december, '4'], years: ['2026:2027', '2030'] }
";

/// What newer versions take as well; each line by itself.
const NEWER: [&str; 6] = [
    "receivers: { webhook: { a: { url_file: u } } }",
    "receivers: { discord: { a: { webhook_url_file: u } } }",
    "receivers: { telegram: { a: { bot_token_file: u, chat_id: -100 } } }",
    "receivers: { telegram: { a: { bot_token_file: u, chat_id: -100, message_thread_id: 4 } } }",
    "receivers: { msteams: { a: { webhook_url_file: u } } }",
    "receivers: { webhook: { a: { url: 'https://h/x' } } }\nnotifications: { named_inhibitions: true, warning: { receivers: [a] } }",
];

/// The whole of what Prometheus may be told, but for what its oldest version lacks.
const STACK: &str = "relayers: ['10.0.0.5:9090']
discovery:
  files: [targets/*.yml]
  dns:
    - { names: [_metrics._tcp.relayers.example.org] }
    - { names: [relayers.example.org], type: A, port: 9090 }
  docker:
    - { labels: ['fusion.relayer=true'], network: fusion }
    - { host: 'tcp://10.0.0.6:2375', port: 9191, labels: [relayer], network: fusion }
prometheus:
  remote_write:
    - { url: 'https://metrics.example.org/api/v1/push', credentials_file: t }
    - { url: 'https://other.example.org/write', username: u, password_file: p }
";

/// Debian builds its older Prometheus without Kubernetes, so this stands by itself.
const KUBERNETES: &str = "discovery:
  kubernetes:
    - { namespaces: [swaps], selector: 'app=relayer,tier!=test' }
    - { selector: app=relayer, port_name: http-metrics, kubeconfig_file: k }
";

/// A spec with everything that is found and sent elsewhere, with its files beside it.
fn stack_spec(folder: &Path, text: &str) -> Result<Spec, Failed> {
    for name in ["t", "p"] {
        std::fs::write(folder.join(name), "secret")?;
    }
    std::fs::write(folder.join("k"), "apiVersion: v1\nkind: Config\n")?;
    std::fs::create_dir_all(folder.join("targets"))?;
    std::fs::write(folder.join("targets/a.yml"), "- targets: ['10.0.0.9:9090']\n")?;
    Ok(Spec::parse(text, &folder.join("monitoring.yaml"))?)
}

fn check_stack(promtool: &Path, text: &str) -> Result<(), Failed> {
    let secrets = tempfile::tempdir()?;
    let folder = written(&stack_spec(secrets.path(), text)?, true)?;
    let config = "monitoring/prometheus/prometheus.yml";
    run(promtool, folder.path(), &["check", "config", config])
}

/// Whether a promtool was built with Kubernetes.
fn knows_kubernetes(promtool: &Path) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = "scrape_configs: [{ job_name: a, kubernetes_sd_configs: [{ role: pod }] }]\n";
    std::fs::write(folder.path().join("p.yml"), config).expect("a file");
    run(promtool, folder.path(), &["check", "config", "p.yml"]).is_ok()
}

/// One trial for each promtool; ignored, and said so, for one that was built without Kubernetes.
fn kubernetes(all: &mut Vec<Trial>) {
    for promtool in programs("promtool") {
        let is_known = knows_kubernetes(&promtool);
        let reason = if is_known {
            ""
        } else {
            " [not run: built without Kubernetes]"
        };
        let name = format!("Kubernetes discovery ({}){reason}", promtool.display());
        all.push(Trial::test(name, move || check_stack(&promtool, KUBERNETES)).with_ignored_flag(!is_known));
    }
}

/// With this promtool's version as the target, the spec refuses exactly the settings that promtool refuses.
fn newer_settings(promtool: &Path) -> Result<(), Failed> {
    let version = version(promtool)?;
    for setting in [
        "scrape_protocols: [OpenMetricsText1.0.0, PrometheusText0.0.4]",
        "scrape_protocols: [PrometheusText1.0.0]",
        "query_offset: 5s",
        "retention: 20d",
    ] {
        let text = format!("prometheus: {{ {setting} }}\n");
        let folder = written(&Spec::parse(&text, Path::new("m.yaml"))?, true)?;
        let config = ["check", "config", "monitoring/prometheus/prometheus.yml"];
        let is_taken = run(promtool, folder.path(), &config).is_ok();
        let target =
            format!("{text}target: {{ prometheus: {version} }}\nimages: {{ prometheus: 'p@sha256:00' }}\n");
        let is_refused = Spec::parse(&target, Path::new("m.yaml")).is_err();
        if is_taken == is_refused {
            return Err(format!(
                "{setting}: promtool {version} takes it: {is_taken}; the spec refuses it: {is_refused}"
            )
            .into());
        }
    }
    Ok(())
}

fn check_config(promtool: &Path, native: bool, scale: f64) -> Result<(), Failed> {
    let spec = Spec {
        time_scale: scale,
        ..Spec::default()
    };
    let folder = written(&spec, native)?;
    run(
        promtool,
        folder.path(),
        &["check", "config", "monitoring/prometheus/prometheus.yml"],
    )?;
    run(
        promtool,
        folder.path(),
        &[
            "check",
            "rules",
            "--lint-fatal",
            "monitoring/prometheus/alerts/connection-pool.yml",
        ],
    )
}

fn check_alertmanager(amtool: &Path, full: bool) -> Result<(), Failed> {
    let secrets = tempfile::tempdir()?;
    let spec = if full {
        full_spec(secrets.path())?
    } else {
        Spec::default()
    };
    let folder = written(&spec, true)?;
    run(
        amtool,
        folder.path(),
        &["check-config", "monitoring/alertmanager/config.yml"],
    )
}

/// Every severity and team reaches its receiver, and the dead man's switch goes to its own and nowhere else.
fn routes(amtool: &Path) -> Result<(), Failed> {
    let secrets = tempfile::tempdir()?;
    let folder = written(&full_spec(secrets.path())?, true)?;
    for (severity, team, receivers) in [
        ("heartbeat", "relayer", "heartbeat"),
        ("critical", "relayer", "notification-log,critical"),
        ("warning", "relayer", "notification-log,warning"),
        ("critical", "platform", "notification-log,critical-platform"),
        ("warning", "platform", "notification-log,warning-platform"),
        ("heartbeat", "platform", "heartbeat"),
    ] {
        run(
            amtool,
            folder.path(),
            &[
                "config",
                "routes",
                "test",
                "--config.file=monitoring/alertmanager/config.yml",
                &format!("--verify.receivers={receivers}"),
                &format!("severity={severity}"),
                &format!("team={team}"),
                "alertname=Any",
            ],
        )?;
    }
    Ok(())
}

/// With this promtool's version as the target, the spec refuses exactly the expressions that promtool refuses.
fn newer_promql(promtool: &Path) -> Result<(), Failed> {
    let version = version(promtool)?;
    let folder = tempfile::tempdir()?;
    for expr in [
        "max by (instance) (fusion_connection_pool_queue_size) > 3",
        "max by (instance) (fusion_connection_pool_queue_size) > 5m",
        "max by (instance, \"pool\") (fusion_connection_pool_queue_size) > 3",
        "max by (instance) (histogram_avg(fusion_connection_pool_queue_size)) > 3",
        "max by (instance) (histogram_stddev(fusion_connection_pool_queue_size)) > 3",
        "max by (instance) (histogram_stdvar(fusion_connection_pool_queue_size)) > 3",
    ] {
        let rules = format!("groups: [{{ name: a, rules: [{{ alert: A, expr: '{expr}' }}] }}]");
        std::fs::write(folder.path().join("rules.yml"), rules)?;
        let is_taken = run(promtool, folder.path(), &["check", "rules", "rules.yml"]).is_ok();
        let spec = format!(
            "target: {{ prometheus: {version} }}\nimages: {{ prometheus: 'prometheus@sha256:00' }}\n\
             more_alerts: {{ A: {{ severity: warning, summary: a, description: b, expr: '{expr}' }} }}"
        );
        let problems = Spec::parse(&spec, Path::new("m.yaml")).err();
        let is_refused = problems.is_some_and(|problems| problems.to_string().contains("doesn't know"));
        if is_taken == is_refused {
            return Err(format!(
                "{expr}: promtool {version} takes it: {is_taken}; the spec refuses it: {is_refused}"
            )
            .into());
        }
    }
    Ok(())
}

/// The same for receivers and inhibitions, with amtool.
fn newer_receivers(amtool: &Path) -> Result<(), Failed> {
    let version = version(amtool)?;
    let secrets = tempfile::tempdir()?;
    std::fs::write(secrets.path().join("u"), "https://example.org/x")?;
    for receiver in NEWER {
        let route = if receiver.contains("notifications") {
            ""
        } else {
            "notifications: { warning: { receivers: [a] } }"
        };
        let text = format!("{receiver}\n{route}\n");
        let path = secrets.path().join("m.yaml");
        let folder = written(&Spec::parse(&text, &path)?, true)?;
        let config = ["check-config", "monitoring/alertmanager/config.yml"];
        let is_taken = run(amtool, folder.path(), &config).is_ok();
        let target = format!(
            "target: {{ alertmanager: {version} }}\nimages: {{ alertmanager: 'a@sha256:00' }}\n{text}"
        );
        let is_refused = Spec::parse(&target, &path).is_err();
        if is_taken == is_refused {
            return Err(format!(
                "{receiver}: amtool {version} takes it: {is_taken}; the spec refuses it: {is_refused}"
            )
            .into());
        }
    }
    Ok(())
}

/// The unit tests of one alert or recording.
fn rule_cases(promtool: &Path, rule: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for file in proof::unit_tests()? {
        std::fs::write(folder.path().join(&file.path), file.contents)?;
    }
    run(
        promtool,
        folder.path(),
        &["test", "rules", &proof::test_file(rule)],
    )
}

fn main() {
    let mut all = Vec::new();
    for native in [false, true] {
        for scale in [1.0, 60.0] {
            let name = format!("check config and rules, native {native}, scale {scale}");
            trials(&mut all, "promtool", &name, || {
                Box::new(move |program| check_config(program, native, scale))
            });
        }
    }
    for full in [false, true] {
        let name = format!("check-config, all receivers {full}");
        trials(&mut all, "amtool", &name, || {
            Box::new(move |program| check_alertmanager(program, full))
        });
    }
    trials(&mut all, "amtool", "every severity is routed", || {
        Box::new(routes)
    });
    trials(
        &mut all,
        "promtool",
        "the target knows what promtool knows",
        || Box::new(newer_promql),
    );
    trials(&mut all, "amtool", "the target knows what amtool knows", || {
        Box::new(newer_receivers)
    });
    trials(&mut all, "promtool", "discovery and remote write", || {
        Box::new(|promtool| check_stack(promtool, STACK))
    });
    kubernetes(&mut all);
    trials(
        &mut all,
        "promtool",
        "the target knows which settings promtool knows",
        || Box::new(newer_settings),
    );
    for rule in proof::rule_names() {
        let name = format!("{rule} fires when it should, and only then");
        trials(&mut all, "promtool", &name, || {
            Box::new(move |program| rule_cases(program, rule))
        });
    }
    libtest_mimic::run(&Arguments::from_args(), all).exit();
}
