//! The options, and what a run does with them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Map, Value, json};

use crate::{
    frame::{Effort, Finding, document, machine},
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

/// The suites that are read by a page in docs/, in the order of the page.
const PAGE: &str = "docs/benchmarks.md";

/// Runs what is asked for, prints it, and writes pages and JSON. Returns whether every measure was reached.
///
/// # Errors
/// When a suite can't run, or a file can't be written; then nothing has been written of that suite.
pub fn run(options: &Options) -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the package has no workspace around it")?;
    let effort = Effort::new(
        options.quick,
        options.rounds,
        options.seed,
        options.filter.clone(),
    );
    let machine = machine::Machine::here(root);
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
    // a page is only worth what was measured in full
    let publish = !options.quick && options.filter.is_none() && effort.rounds >= Effort::ROUNDS;
    let mut figures = Map::new();
    let mut met = true;
    println!("{machine}\n");
    for suite in chosen {
        let Finding {
            text,
            value,
            images,
            met: reached,
        } = suite
            .run(&effort)
            .with_context(|| format!("suite {}", suite.name()))?;
        println!("## {}\n\n{text}", suite.title());
        figures.insert(suite.name().to_owned(), value);
        met &= reached;
        if publish {
            document::publish(root, PAGE, suite.name(), &machine, &text, &images)?;
        }
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
