//! The README's figures are those of docs/benchmarks.md.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::Path;

use benches::{cli, frame::digest, suites};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn the_readme_says_what_the_page_says() {
    let digest = digest::check(root(), cli::PAGE, &cli::lines()).unwrap_or_else(|error| panic!("{error:#}"));
    // what nobody has measured must be called so; it may not be left out
    for suite in &digest.unmeasured {
        let link = format!("| [{suite}](");
        let mut rows = digest
            .readme
            .lines()
            .filter(|line| line.contains(&link))
            .peekable();
        assert!(rows.peek().is_some(), "{suite} has no line");
        for row in rows {
            assert!(row.contains(digest::NOT_MEASURED), "{row}");
        }
    }
}

#[test]
fn every_suite_has_its_place_on_the_page_and_tells_the_readme_something() {
    let page = std::fs::read_to_string(root().join(cli::PAGE)).unwrap();
    for (suite, lines) in cli::lines() {
        for mark in [
            format!("<!-- bench {suite}: begin"),
            format!("<!-- bench {suite}: end"),
        ] {
            assert_eq!(page.matches(&mark).count(), 1, "{mark}");
        }
        assert!(
            (1..=3).contains(&lines.len()),
            "{suite} has {} lines in the README",
            lines.len()
        );
    }
    // a part of the page that no suite writes would go stale
    let suites = suites::names();
    for line in page.lines().filter_map(|line| line.strip_prefix("<!-- bench ")) {
        let name = line.split(':').next().unwrap();
        assert!(suites.contains(&name), "no suite is called {name}");
    }
}
