//! Every command that a runbook names, against the running demonstration: a command that doesn't work is found here, not
//! at three in the morning.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    sync::PoisonError,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use e2e::{
    http, place,
    runbook::{self, commands},
    wait,
};
use serde_json::Value;

use crate::{docker::ENGINE, stack::Stack};

/// Fewer pages or commands than that were not found by mistake.
const PAGES_AT_LEAST: usize = 24;
const COMMANDS_AT_LEAST: usize = 120;

/// What fails for longer is wrong.
const MOMENT: Duration = Duration::from_secs(15);

/// A command with its place.
struct Named {
    page: String,
    command: runbook::Command,
}

/// All commands of all pages, in order.
fn named() -> Result<Vec<Named>> {
    let folder = place::workspace().join("monitoring/runbooks");
    let mut pages: Vec<PathBuf> = std::fs::read_dir(&folder)
        .context("reading the runbooks")?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    pages.sort();
    ensure!(pages.len() >= PAGES_AT_LEAST, "only {} pages", pages.len());
    let mut all = Vec::new();
    for page in pages {
        let name = page
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let found = commands(&std::fs::read_to_string(&page)?);
        ensure!(found.len() >= 3, "{name} names only {} commands", found.len());
        all.extend(found.into_iter().map(|command| Named {
            page: name.clone(),
            command,
        }));
    }
    ensure!(all.len() >= COMMANDS_AT_LEAST, "only {} commands", all.len());
    Ok(all)
}

fn is_for_docker(named: &Named) -> bool {
    named.command.text.starts_with("docker ")
}

/// All but those that need containers, on the demonstration as processes.
pub(crate) fn every_command_works(binaries: Option<&Path>) -> Result<()> {
    let mut stack = Stack::new(binaries)?;
    copy_runbooks(&stack)?;
    let relayer = place::program("relayer")?.display().to_string();
    let up = [
        "--runtime",
        "native",
        "--without",
        "grafana",
        "--demo",
        "--relayer-bin",
        &relayer,
    ];
    stack.up(&up)?;
    stack.both_jobs_are_up()?;
    let all = named()?;
    known_names(&stack, &all)?;
    let shell = Shell::new(&stack, binaries, &up)?;
    let (docker, native): (Vec<Named>, Vec<Named>) = all.into_iter().partition(is_for_docker);
    shell.run_all(&native)?;
    println!(
        "  {} commands ran; {} need containers and are run by runbook_commands_work_in_docker",
        native.len(),
        docker.len()
    );
    stack.down(&["--purge"])
}

/// Those that need containers, on a stack in Docker.
pub(crate) fn commands_in_containers(binaries: Option<&Path>) -> Result<()> {
    let _alone = ENGINE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stack = Stack::new(binaries)?;
    let relayer = place::program("relayer")?.display().to_string();
    let config = stack.path("pools.yaml").display().to_string();
    let up = [
        "--runtime",
        "docker",
        "--without",
        "grafana",
        "--relayer-config",
        &config,
        "--relayer-bin",
        &relayer,
        "--timeout",
        "120s",
    ];
    stack.up(&up)?;
    stack.both_jobs_are_up()?;
    let shell = Shell::new(&stack, binaries, &up)?;
    amtool_in_the_container(&shell, binaries)?;
    let docker: Vec<Named> = named()?.into_iter().filter(is_for_docker).collect();
    ensure!(docker.len() >= PAGES_AT_LEAST, "only {} commands", docker.len());
    shell.run_all(&docker)?;
    println!("  {} commands ran in containers", docker.len());
    stack.down(&["--purge"])
}

/// The official image has it. One that was put together here may not: it is copied in, and that is said.
fn amtool_in_the_container(shell: &Shell, binaries: Option<&Path>) -> Result<()> {
    if shell
        .shell("docker exec fusion-alertmanager amtool --version")
        .is_ok()
    {
        return Ok(());
    }
    let beside = binaries
        .map(|folder| folder.join("amtool"))
        .filter(|path| path.is_file());
    let amtool = beside
        .or_else(|| place::on_path(&["amtool"]))
        .context("no amtool to copy into the container")?;
    println!("  the image has no amtool; this machine's is copied into the container");
    shell.shell(&format!(
        "docker cp '{}' fusion-alertmanager:/bin/amtool && docker exec fusion-alertmanager amtool --version",
        amtool.display()
    ))?;
    Ok(())
}

/// `validate` reads them where the stack's files are.
fn copy_runbooks(stack: &Stack) -> Result<()> {
    let (from, to) = (
        place::workspace().join("monitoring/runbooks"),
        stack.path("out/monitoring/runbooks"),
    );
    std::fs::create_dir_all(&to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// A query about a name that nobody exposes succeeds and says nothing: the names are looked for.
fn known_names(stack: &Stack, all: &[Named]) -> Result<()> {
    let url = format!(
        "http://127.0.0.1:{}/api/v1/label/__name__/values",
        stack.ports.prometheus
    );
    let unknown = || {
        let answer = http::json(&url).unwrap_or_default();
        let known: BTreeSet<&str> = answer["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut unknown = Vec::new();
        for Named { page, command } in all {
            for name in runbook::queries(&command.text).flat_map(runbook::names) {
                if !known.contains(name.as_str()) {
                    unknown.push(format!("{page}:{}: {name}", command.line));
                }
            }
        }
        unknown
    };
    wait::until(
        "every series that a runbook asks for exists",
        Duration::from_secs(30),
        || unknown().is_empty().then_some(()),
        || format!("nobody exposes {:#?}", unknown()),
    )
}

/// Runs commands as an operator of this stack would type them.
struct Shell {
    path: String,
    /// What stands in a page, and what stands in its place here.
    expand: Vec<(String, String)>,
    alertmanager: u16,
}

impl Shell {
    fn new(stack: &Stack, binaries: Option<&Path>, up: &[&str]) -> Result<Self> {
        let ports = &stack.ports;
        let known = || {
            let series = http::query(ports.prometheus, "fusion_connection_pool_health_status").ok()?;
            Some(series.first()?["metric"].clone())
        };
        let first = wait::until("an endpoint is known", MOMENT, known, String::new)?;
        let mut expand = vec![
            (
                "127.0.0.1:9090".to_owned(),
                format!("127.0.0.1:{}", ports.relayer),
            ),
            (
                "127.0.0.1:9091".to_owned(),
                format!("127.0.0.1:{}", ports.prometheus),
            ),
            ("<why>".to_owned(), "a test".to_owned()),
            ("<provider>".to_owned(), "localhost".to_owned()),
        ];
        // In the container Alertmanager has its own port.
        expand.push((
            "127.0.0.1:9093".to_owned(),
            format!("127.0.0.1:{}", ports.alertmanager),
        ));
        for name in ["instance", "pool", "endpoint"] {
            let value = first[name].as_str().context("an endpoint has its labels")?;
            expand.push((format!("<{name}>"), value.to_owned()));
        }
        let bin = stack.path("bin");
        shim(stack, &bin, up)?;
        let mut path = vec![bin];
        path.extend(binaries.map(Path::to_owned));
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let path = std::env::join_paths(path)?.into_string();
        Ok(Self {
            path: path.map_err(|path| anyhow::anyhow!("{path:?} is no text"))?,
            expand,
            alertmanager: ports.alertmanager,
        })
    }

    /// Runs each once; one that stands on several pages is the same on all.
    fn run_all(&self, all: &[Named]) -> Result<()> {
        let (mut failed, mut done) = (Vec::new(), BTreeSet::new());
        for Named { page, command } in all {
            if !done.insert(command.text.as_str()) {
                continue;
            }
            if let Err(error) = self.run(&command.text) {
                let (line, text) = (command.line, &command.text);
                failed.push(format!("{page}:{line}: {text}\n    {error:#}"));
            }
        }
        ensure!(
            failed.is_empty(),
            "{} of {} commands fail:\n{}",
            failed.len(),
            done.len(),
            failed.join("\n")
        );
        Ok(())
    }

    fn run(&self, text: &str) -> Result<()> {
        let in_container = text.starts_with("docker exec ");
        let mut command = text.to_owned();
        for (from, to) in &self.expand {
            if !(in_container && from == "127.0.0.1:9093") {
                command = command.replace(from, to);
            }
        }
        let left = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        if let Some((name, _)) = left {
            bail!("nothing is known to put for <{name}>");
        }
        // The scaled scrapes have 200 ms: on a busy machine one fails now and then, and for a moment targets are down and
        // gauges are gone. A command that is wrong stays wrong.
        let begun = Instant::now();
        loop {
            let judged = self.shell(&command).and_then(|said| self.judge(&command, &said));
            let asks_now = !command.contains("silence");
            if judged.is_ok() || !asks_now || begun.elapsed() > MOMENT {
                return judged;
            }
            thread::sleep(Duration::from_millis(500));
        }
    }

    fn shell(&self, command: &str) -> Result<String> {
        let output = Command::new("sh")
            .args(["-c", command])
            .env("PATH", &self.path)
            .env("USER", "somebody")
            .output()
            .context("starting a shell")?;
        ensure!(output.status.success(), "{}", e2e::process::said(&output));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Success of the program isn't enough: curl is content with any answer.
    fn judge(&self, command: &str, said: &str) -> Result<()> {
        ensure!(!said.trim().is_empty(), "it says nothing");
        if command.contains("/api/v1/") {
            let answer: Value = serde_json::from_str(said).with_context(|| said.to_owned())?;
            ensure!(answer["status"] == "success", "Prometheus answers {answer}");
            if command.contains("__name__") {
                let result = answer["data"]["result"].as_array();
                ensure!(
                    result.is_some_and(|result| !result.is_empty()),
                    "no series: {answer}"
                );
            }
        } else if command.contains("/api/v2/") {
            let answer: Value = serde_json::from_str(said).with_context(|| said.to_owned())?;
            ensure!(answer.is_array(), "Alertmanager answers {answer}");
        } else if command.contains("%{http_code}") {
            ensure!(said.starts_with("200 "), "it says {said}");
        } else if command.contains("silence add") {
            let id = said.trim();
            let url = format!("http://127.0.0.1:{}/api/v2/silence/{id}", self.alertmanager);
            let silence = http::json(&url).with_context(|| format!("no silence {id}"))?;
            ensure!(silence["status"]["state"] == "active", "the silence is {silence}");
            self.shell(&format!(
                "amtool --alertmanager.url=http://127.0.0.1:{} silence expire {id} && echo done",
                self.alertmanager
            ))?;
        }
        Ok(())
    }
}

/// `cargo xtask` for this stack; `monitoring-up` as it was started.
fn shim(stack: &Stack, bin: &Path, up: &[&str]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(bin)?;
    let quoted = |path: &Path| format!("'{}'", path.display());
    let up: Vec<String> = up.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = xtask ] || {{ echo 'only cargo xtask is known here' >&2; exit 127; }}\nshift\n\
         [ \"$1\" = monitoring-up ] && set -- \"$@\" {}\n\
         exec {} --spec {} --state-dir {} --out {} \"$@\"\n",
        up.join(" "),
        quoted(&place::program("xtask")?),
        quoted(&stack.path("monitoring.yaml")),
        quoted(&stack.path("state")),
        quoted(&stack.path("out")),
    );
    let path = bin.join("cargo");
    std::fs::write(&path, script)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
