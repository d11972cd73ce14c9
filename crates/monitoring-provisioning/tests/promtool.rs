//! The real promtool and amtool judge what is generated, and promtool runs the unit tests of every alert.
//!
//! Both are looked for in `$MONITORING_BIN_DIR`, `$MONITORING_NEWEST_BIN_DIR` and on `PATH`; each one found is used, so that the oldest and the newest
//! version can be tried in one run. Where neither is found the trials are ignored, and the reason is shown.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::{Arguments, Failed, Trial};
use monitoring_provisioning::{Runtime, Spec, generate, proof};

/// Every program of that name: in the folders that the environment names, then the first on `PATH`.
fn programs(name: &str) -> Vec<PathBuf> {
    let named = ["MONITORING_BIN_DIR", "MONITORING_NEWEST_BIN_DIR"];
    let own = named
        .into_iter()
        .filter_map(std::env::var_os)
        .map(|dir| Path::new(&dir).join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file());
    let mut programs: Vec<PathBuf> = own.filter(|program| program.is_file()).chain(on_path).collect();
    programs.dedup();
    programs
}

/// Writes the generated files to a fresh folder.
fn written(spec: &Spec, native: bool) -> Result<tempfile::TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    let runtime = if native {
        Runtime::Native { root: folder.path() }
    } else {
        Runtime::Docker
    };
    for file in generate(spec, runtime)? {
        let path = folder.path().join(&file.path);
        std::fs::create_dir_all(path.parent().ok_or("a file without folder")?)?;
        std::fs::write(path, file.contents)?;
    }
    Ok(folder)
}

fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Result<(), Failed> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{} {}: {}\n{}{}",
        program.display(),
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
    .into())
}

/// A spec that uses every kind of receiver; the secret files are made beside it.
fn full_spec(folder: &Path) -> Result<Spec, Failed> {
    for name in ["u", "k", "p", "t"] {
        std::fs::write(folder.join(name), "https://example.org/x")?;
    }
    let text = "receivers:\n  slack: { ops: { channel: '#x', api_url_file: u } }\n  pagerduty: { page: { routing_key_file: k } }\n  \
        email: { mail: { to: a@b.c, from: c@d.e, smarthost: 'h:25', auth_username: u, auth_password_file: p } }\n  \
        webhook: { hook: { url: 'https://h/x', credentials_file: t } }\n\
        notifications: { critical: { receivers: [ops, page, mail, hook] }, warning: { receivers: [ops] } }\n";
    Ok(Spec::parse(text, &folder.join("monitoring.yaml"))?)
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

/// Every severity reaches its receiver, and the dead man's switch goes to its own and nowhere else.
fn routes(amtool: &Path) -> Result<(), Failed> {
    let secrets = tempfile::tempdir()?;
    let folder = written(&full_spec(secrets.path())?, true)?;
    for (severity, receivers) in [
        ("heartbeat", "heartbeat"),
        ("critical", "notification-log,critical"),
        ("warning", "notification-log,warning"),
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
                "alertname=Any",
            ],
        )?;
    }
    Ok(())
}

/// The `major.minor` that a tool of Prometheus says it has.
fn version(program: &Path) -> Result<String, Failed> {
    let output = Command::new(program).arg("--version").output()?;
    // Older ones print it to the standard error.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let version = text
        .split_once("version ")
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    let mut numbers = version.split('.');
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => Ok(format!("{major}.{minor}")),
        _ => Err(format!("{}: no version in {text:?}", program.display()).into()),
    }
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

/// The same for a webhook's address in a file.
fn webhook_file(amtool: &Path) -> Result<(), Failed> {
    let version = version(amtool)?;
    let secrets = tempfile::tempdir()?;
    std::fs::write(secrets.path().join("u"), "https://example.org/x")?;
    let text =
        "receivers: { webhook: { a: { url_file: u } } }\nnotifications: { warning: { receivers: [a] } }\n";
    let path = secrets.path().join("m.yaml");
    let folder = written(&Spec::parse(text, &path)?, true)?;
    let config = ["check-config", "monitoring/alertmanager/config.yml"];
    let is_taken = run(amtool, folder.path(), &config).is_ok();
    let target =
        format!("target: {{ alertmanager: {version} }}\nimages: {{ alertmanager: 'a@sha256:00' }}\n{text}");
    let is_refused = Spec::parse(&target, &path).is_err();
    if is_taken == is_refused {
        return Err(
            format!("amtool {version} takes it: {is_taken}; the spec refuses it: {is_refused}").into(),
        );
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

type Check = Box<dyn FnOnce(&Path) -> Result<(), Failed> + Send>;

/// One trial per program found; an ignored one that says why if there is none.
fn trials(trials: &mut Vec<Trial>, program: &str, name: &str, check: impl Fn() -> Check) {
    let found = programs(program);
    if found.is_empty() {
        let reason = format!(
            "{name} [not run: no {program} in $MONITORING_BIN_DIR, $MONITORING_NEWEST_BIN_DIR or on PATH]"
        );
        trials.push(Trial::test(reason, || Ok(())).with_ignored_flag(true));
    }
    for path in found {
        let check = check();
        trials.push(Trial::test(format!("{name} ({})", path.display()), move || {
            check(&path)
        }));
    }
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
        Box::new(webhook_file)
    });
    for rule in proof::rule_names() {
        let name = format!("{rule} fires when it should, and only then");
        trials(&mut all, "promtool", &name, || {
            Box::new(move |program| rule_cases(program, rule))
        });
    }
    libtest_mimic::run(&Arguments::from_args(), all).exit();
}
