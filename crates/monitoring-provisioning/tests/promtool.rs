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
    for rule in proof::rule_names() {
        let name = format!("{rule} fires when it should, and only then");
        trials(&mut all, "promtool", &name, || {
            Box::new(move |program| rule_cases(program, rule))
        });
    }
    libtest_mimic::run(&Arguments::from_args(), all).exit();
}
