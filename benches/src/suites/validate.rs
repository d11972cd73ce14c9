//! What a check of the generated files costs, beside promtool's and amtool's of the same files.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use monitoring_provisioning::{Runtime, Spec, generate, validate};
use serde_json::json;
use tokio::time::Instant;

use crate::frame::{Effort, Entry, Finding, Series, Suite, Table, interleave};

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Validation;

/// Pools with limits of their own, which make expressions longer; with a hundred the linter finds them too long.
const POOLS: [usize; 2] = [0, 20];

/// Their program and arguments, and the generated file that is appended.
const THEIRS: [(&str, &[&str], &str); 3] = [
    (
        "promtool",
        &["check", "rules"],
        "monitoring/prometheus/alerts/connection-pool.yml",
    ),
    (
        "promtool",
        &["check", "config", "--syntax-only"],
        "monitoring/prometheus/prometheus.yml",
    ),
    ("amtool", &["check-config"], "monitoring/alertmanager/config.yml"),
];

impl Suite for Validation {
    fn name(&self) -> &'static str {
        "validate"
    }

    fn title(&self) -> &'static str {
        "Checking the generated files"
    }

    fn run(&self, effort: &Effort) -> Result<Finding> {
        let mut table = Table::new(["", "files", "milliseconds", "ratio to promtool"]);
        let mut values = Vec::new();
        let mut missing = Vec::new();
        for pools in POOLS {
            let folder = tempfile::tempdir()?;
            write(pools, folder.path())?;
            let here: Vec<_> = THEIRS.iter().filter(|(program, ..)| is_here(program)).collect();
            missing = THEIRS
                .iter()
                .filter(|(program, ..)| !is_here(program))
                .map(|(name, ..)| *name)
                .collect();
            let failed = RefCell::new(None);
            let mut entries = vec![entry("ours, all files".to_owned(), &failed, move || ours(pools))];
            for (program, arguments, file) in here {
                let path = folder.path().join(file);
                let name = format!("{program} {}", arguments.join(" "));
                entries.push(entry(name, &failed, move || theirs(program, arguments, &path)));
            }
            let names: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
            let figures = interleave(&mut entries, effort.rounds);
            drop(entries);
            if let Some(error) = failed.into_inner() {
                return Err(error);
            }
            let rules = names
                .iter()
                .position(|name| name.starts_with("promtool check rules"));
            for (name, series) in names.iter().zip(&figures) {
                let ratio = rules.map_or(f64::NAN, |rules| series.ratio_to(&figures[rules]).median());
                table.row([
                    name.clone(),
                    if pools == 0 {
                        "as generated".to_owned()
                    } else {
                        format!("{pools} pools with limits of their own")
                    },
                    cell(series),
                    format!("{ratio:.2}"),
                ]);
                values.push(
                    json!({ "who": name, "pools": pools, "milliseconds": series.rounds(), "ratio": ratio }),
                );
            }
        }
        let mut text = format!(
            "Whole processes; behind the median stand the least and the greatest. Ours \
             makes all the files and checks them in one process: types, every expression against the catalogue, the labels that routes and texts \
             need. The ratio is to `promtool check rules`, which checks the syntax of the rules.\n\n{table}"
        );
        if !missing.is_empty() {
            text += &format!(
                "\n**Not measured**: {} (not here; `cargo xtask test` installs them).\n",
                missing.join(", ")
            );
        }
        Ok(Finding {
            text,
            value: json!({ "rows": values, "missing": missing }),
            images: Vec::new(),
            met: missing.is_empty(),
        })
    }

    fn case(&self, pools: &str, operations: u64) -> Result<()> {
        let pools = pools.parse().context("a case is a number of pools")?;
        for _ in 0..operations {
            let spec = spec(pools)?;
            let problems = validate(&spec, &generate(&spec, Runtime::Docker)?);
            ensure!(problems.is_empty(), "{}", problems[0]);
        }
        Ok(())
    }
}

fn entry<'a>(
    name: String,
    failed: &'a RefCell<Option<anyhow::Error>>,
    measure: impl Fn() -> Result<f64> + 'a,
) -> Entry<'a> {
    let shown = name.clone();
    Entry {
        name,
        measure: Box::new(move || {
            measure().unwrap_or_else(|error| {
                failed.borrow_mut().get_or_insert(error.context(shown.clone()));
                f64::NAN
            })
        }),
    }
}

fn cell(series: &Series) -> String {
    let (least, greatest) = series.spread();
    format!("{:.1} ({least:.1}-{greatest:.1})", series.median())
}

/// The spec as it comes, and with limits of so many pools' own.
fn spec(pools: usize) -> Result<Spec> {
    let own: String = (0..pools)
        .map(|number| format!("      chain{number}: {{ threshold: {} }}\n", 2_000 + number))
        .collect();
    let text = if pools == 0 {
        String::new()
    } else {
        format!("alerts:\n  ConnectionPoolHighLatency:\n    pools:\n{own}")
    };
    Ok(Spec::parse(&text, Path::new("monitoring.yaml"))?)
}

fn write(pools: usize, folder: &Path) -> Result<()> {
    for file in generate(&spec(pools)?, Runtime::Docker)? {
        let path = folder.join(&file.path);
        let parent = path.parent().context("a file without a folder")?;
        std::fs::create_dir_all(parent)?;
        std::fs::write(&path, &file.contents)?;
    }
    Ok(())
}

fn ours(pools: usize) -> Result<f64> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "--only",
        "validate",
        "--case",
        &pools.to_string(),
        "--operations",
        "1",
    ]);
    milliseconds(&mut command)
}

fn theirs(program: &str, arguments: &[&str], file: &PathBuf) -> Result<f64> {
    milliseconds(Command::new(program).args(arguments).arg(file))
}

fn milliseconds(command: &mut Command) -> Result<f64> {
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let took = begun.elapsed();
    if !output.status.success() {
        bail!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(took.as_secs_f64() * 1e3)
}

fn is_here(program: &str) -> bool {
    let told = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    told.is_ok()
}
