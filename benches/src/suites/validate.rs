//! What a check of the generated files costs, beside promtool's and amtool's of the same files.

use std::{
    cell::RefCell,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use monitoring_provisioning::{Runtime, Spec, generate, validate};
use serde_json::json;
use tokio::time::Instant;

use crate::frame::{
    Effort, Entry, Finding, Series, Suite, Table,
    digest::{Cell, Line, NOT_MEASURED},
    interleave,
};

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Validation;

const OURS: &str = "**ours**, all files";

/// Pools with limits of their own, which make expressions longer; with a hundred the linter finds them too long.
const COLUMNS: [(usize, &str); 2] = [(0, "as generated"), (20, "20 pools' own limits")];

/// A program and its arguments, and the generated file that is appended.
type Theirs = (&'static str, &'static [&'static str], &'static str);

/// What ours is held against; the first is the yardstick.
const THEIRS: [Theirs; 3] = [
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

    fn packages(&self) -> &'static [&'static str] {
        &["promql-parser"]
    }

    fn digest(&self) -> Vec<Line> {
        let line = |what, column| {
            Line::new(what, "ms", Cell::at(OURS, column))
                .beside("promtool check rules", Cell::at(name(THEIRS[0]), column))
        };
        vec![line("making and checking all monitoring files", COLUMNS[0].1)]
    }

    fn run(&self, effort: &Effort) -> Result<Finding> {
        let (here, missing): (Vec<_>, Vec<_>) =
            THEIRS.into_iter().partition(|(program, ..)| is_here(program));
        let mut columns = Vec::new();
        for (pools, column) in COLUMNS {
            columns.push((column, measured(pools, &here, effort)?));
        }
        let names: Vec<String> = std::iter::once(OURS.to_owned())
            .chain(here.iter().copied().map(name))
            .collect();
        let yardstick = names.iter().position(|own| *own == name(THEIRS[0]));
        let mut table = Table::new(std::iter::once("").chain(columns.iter().map(|(name, _)| *name)));
        let mut values = Vec::new();
        for (row, name) in names.iter().enumerate() {
            let mut cells = vec![name.clone()];
            for (column, figures) in &columns {
                let ratios = yardstick.map(|yardstick| figures[row].ratio_to(&figures[yardstick]));
                cells.push(cell(&figures[row], ratios.as_ref()));
                let ratio = ratios.map(|ratios| ratios.median());
                values.push(json!({
                    "who": name, "files": column, "milliseconds": figures[row].rounds(), "ratio": ratio,
                }));
            }
            table.row(cells);
        }
        for program in &missing {
            table.row(std::iter::once(name(*program)).chain(columns.iter().map(|_| NOT_MEASURED.to_owned())));
        }
        let mut versions: Vec<String> = here.iter().filter_map(|(program, ..)| version(program)).collect();
        versions.dedup();
        let mut versions = versions.join("; ");
        if versions.is_empty() {
            versions.push_str("none of their programs is here");
        }
        let mut text = format!(
            "Milliseconds of whole processes, by files: *as generated*, and with limits of their own for 20 pools, which makes expressions \
             longer. Ours makes all files and checks them in one process: types, every expression against the catalogue, the labels \
             that routes and texts need. Ratios are to `promtool check rules`, which checks the syntax of the rules, round by round; \
             behind the median stand their least and greatest. {versions}.\n\n{table}"
        );
        let missing: Vec<String> = missing.into_iter().map(name).collect();
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

fn cell(series: &Series, ratios: Option<&Series>) -> String {
    let median = series.median();
    let Some(ratios) = ratios else {
        return format!("{median:.1}");
    };
    let (least, greatest) = ratios.spread();
    format!("{median:.1} ({:.2}; {least:.2}-{greatest:.2})", ratios.median())
}

/// Ours, then theirs, on files with limits of so many pools' own.
fn measured(pools: usize, theirs: &[Theirs], effort: &Effort) -> Result<Vec<Series>> {
    let folder = tempfile::tempdir()?;
    write(pools, folder.path())?;
    let failed = RefCell::new(None);
    let mut entries = vec![entry(OURS.to_owned(), &failed, move || ours(pools))];
    for program in theirs {
        let path = folder.path().join(program.2);
        entries.push(entry(name(*program), &failed, move || check(*program, &path)));
    }
    let figures = interleave(&mut entries, effort.rounds);
    drop(entries);
    failed.into_inner().map_or(Ok(figures), Err)
}

fn name((program, arguments, _): Theirs) -> String {
    format!("{program} {}", arguments.join(" "))
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

fn check((program, arguments, _): Theirs, file: &Path) -> Result<f64> {
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
    version(program).is_some()
}

/// What it says of itself: the first line, up to the build's own details.
fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    // amtool of old tells it on the other stream
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    let line = told.lines().next()?;
    Some(line.split(" (").next().unwrap_or(line).to_owned())
}
