//! The options, and what a run does with them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::{
    frame::{Effort, Finding, digest, document, machine::Machine},
    suites,
};

/// Measure our crates beside their peers, and write docs/benchmarks.md.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench",
    bin_name = "cargo xtask bench",
    version,
    max_term_width = 110
)]
pub struct Options {
    /// Fewer rounds and shorter ones: shows that it works, writes no file unless --json asks for one
    #[arg(long)]
    pub quick: bool,
    /// Only this suite; may be repeated
    #[arg(long, value_name = "SUITE", value_parser = suites::names())]
    pub only: Vec<String>,
    /// Write all figures there as well, as one JSON document
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Rounds [default: 7; 3 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,
    /// Seed of everything that is drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Only what has this in its name, within the suites (scenarios of `trace`); writes no page
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Measure nothing: write the README's figures from docs/benchmarks.md
    #[arg(long)]
    pub readme: bool,
    /// Measure nothing: fail if the README's figures are not those of docs/benchmarks.md
    #[arg(long, conflicts_with = "readme")]
    pub check: bool,
    /// Write page, pictures and README below this folder instead, whatever the effort: for tests
    #[arg(long, hide = true, value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// Exit with 1 when a measure is not reached
    #[arg(long)]
    pub strict: bool,
    /// Do this part of the one suite alone and measure nothing: for callgrind
    #[arg(long, hide = true, requires = "operations")]
    pub case: Option<String>,
    /// How often
    #[arg(long, hide = true)]
    pub operations: Option<u64>,
}

/// The page that the suites write, below the workspace.
pub const PAGE: &str = "docs/benchmarks.md";

/// Runs what is asked for, prints it, and writes page, README and JSON. Returns whether every measure was reached.
///
/// # Errors
/// When a suite can't run, or a file can't be written; then nothing has been written of that suite.
pub fn run(options: &Options) -> Result<bool> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the package has no workspace around it")?;
    let root = options.into.as_deref().unwrap_or(workspace);
    let chosen: Vec<_> = suites::all()
        .into_iter()
        .filter(|suite| options.only.is_empty() || options.only.iter().any(|name| name == suite.name()))
        .collect();
    if let (Some(case), Some(operations)) = (&options.case, options.operations) {
        for suite in &chosen {
            suite.case(case, operations)?;
        }
        return Ok(true);
    }
    if options.check {
        let digest = digest::check(root, PAGE, &lines())?;
        println!("The README's figures are those of {PAGE}.{}", missing(&digest));
        return Ok(true);
    }
    if options.readme {
        write_readme(root)?;
        return Ok(true);
    }
    let effort = Effort::new(
        options.quick,
        options.rounds,
        options.seed,
        options.filter.clone(),
    );
    let mut packages: Vec<_> = chosen
        .iter()
        .flat_map(|suite| suite.packages())
        .copied()
        .collect();
    packages.sort_unstable();
    packages.dedup();
    let machine = Machine::here(workspace, packages);
    // a page is only worth what was measured in full
    let full = !options.quick && options.filter.is_none() && effort.rounds >= Effort::ROUNDS;
    let publish = full || options.into.is_some();
    let mut figures = Map::new();
    let mut met = true;
    println!("{machine}\n");
    for suite in chosen {
        let begun = Instant::now();
        let Finding {
            text,
            value,
            images,
            met: reached,
        } = suite
            .run(&effort)
            .with_context(|| format!("suite {}", suite.name()))?;
        println!("## {}\n\n{text}", suite.title());
        println!("({}: {:.0} s)\n", suite.name(), begun.elapsed().as_secs_f64());
        figures.insert(suite.name().to_owned(), value);
        met &= reached;
        if publish {
            let machine = Machine::here(workspace, suite.packages().iter().copied());
            document::publish(root, PAGE, suite.name(), &machine, &text, &images)?;
        }
    }
    if publish {
        write_readme(root)?;
    }
    if let Some(path) = &options.json {
        let all = json!({
            "machine": machine,
            "seed": options.seed,
            "rounds": effort.rounds,
            "quick": options.quick,
            "suites": Value::Object(figures),
        });
        let text = serde_json::to_string_pretty(&all)? + "\n";
        document::replace(path, text.as_bytes())?;
    }
    Ok(met)
}

/// What each suite has to say in the README.
pub fn lines() -> Vec<(&'static str, Vec<digest::Line>)> {
    let suites = suites::all();
    suites
        .iter()
        .map(|suite| (suite.name(), suite.digest()))
        .collect()
}

/// Writes the README's figures from the page.
fn write_readme(root: &Path) -> Result<()> {
    let read =
        |name: &str| std::fs::read_to_string(root.join(name)).with_context(|| format!("can't read {name}"));
    let digest = digest::digest(&read("README.md")?, &read(PAGE)?, &lines())?;
    document::replace(&root.join("README.md"), digest.readme.as_bytes())?;
    println!("README.md has the figures of {PAGE}.{}", missing(&digest));
    Ok(())
}

fn missing(digest: &digest::Digest) -> String {
    if digest.unmeasured.is_empty() {
        String::new()
    } else {
        format!(" Not measured: {}.", digest.unmeasured.join(", "))
    }
}
