//! A quick run of real suites writes a page, a README and a JSON document that are well formed.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

struct Folder(tempfile::TempDir);

impl Folder {
    /// Page and README as they are.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        fs::create_dir(folder.path().join("docs")).unwrap();
        for file in ["README.md", "docs/benchmarks.md"] {
            fs::copy(root.join(file), folder.path().join(file)).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn bench(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_benches"));
        command.arg("--into").arg(self.0.path()).args(arguments);
        command.output().unwrap()
    }
}

/// What stands between a suite's marks, and all that doesn't.
fn split(page: &str, suite: &str) -> (String, String) {
    let begin = format!("<!-- bench {suite}: begin, written by `cargo xtask bench` -->");
    let end = format!("<!-- bench {suite}: end -->");
    let (head, rest) = page.split_once(&begin).unwrap();
    let (body, tail) = rest.split_once(&end).unwrap();
    assert!(
        !head.contains(&end) && !tail.contains(&begin),
        "marks out of order"
    );
    (body.to_owned(), format!("{head}{tail}"))
}

/// Every row of a table has as many cells as its heading. Returns how many tables there are.
fn tables(text: &str) -> usize {
    let (mut count, mut width) = (0, None);
    for line in text.lines() {
        let row = line
            .strip_prefix("| ")
            .or_else(|| line.strip_prefix("|  "))
            .map(|_| line.matches('|').count());
        match (row, width) {
            (Some(cells), None) => {
                count += 1;
                width = Some(cells);
            }
            (Some(cells), Some(width)) => assert_eq!(cells, width, "{line}"),
            (None, _) => width = None,
        }
    }
    count
}

fn quick(suite: &str, path: Option<&str>, least_tables: usize) {
    let folder = Folder::new();
    let (old, json) = (folder.read("docs/benchmarks.md"), folder.path("figures.json"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_benches"));
    command
        .arg("--into")
        .arg(folder.0.path())
        .arg("--json")
        .arg(&json);
    command.args(["--quick", "--rounds", "1", "--only", suite]);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let page = folder.read("docs/benchmarks.md");
    let (body, rest) = split(&page, suite);
    assert_eq!(rest, split(&old, suite).1, "only its own part");
    assert!(
        body.starts_with("\n\nMeasured 20") && body.ends_with("\n\n"),
        "{body}"
    );
    assert!(tables(&body) >= least_tables, "{body}");
    assert!(!body.contains("NaN"), "{body}");

    let figures: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(figures["quick"], true);
    assert_eq!(figures["rounds"], 1);
    assert!(figures["suites"][suite].is_object(), "{figures}");
    assert!(figures["machine"]["date"].is_string(), "{figures}");

    // the README has followed
    let checked = folder.bench(&["--check"]);
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    assert_eq!(tables(&split(&folder.read("README.md"), "figures").0), 1);
}

/// Ours alone where promtool is not here, and then the page says so.
#[test]
fn the_validators_quick_run_writes_its_part() {
    quick("validate", None, 1);
}

/// Without valgrind, so that nothing is counted: that takes a minute.
#[test]
fn the_quick_run_over_http_writes_its_part() {
    let nowhere = tempfile::tempdir().unwrap();
    quick("http", nowhere.path().to_str(), 4);
}

#[test]
fn a_readme_that_differs_is_found_and_corrected() {
    let folder = Folder::new();
    assert!(folder.bench(&["--check"]).status.success());
    let readme = folder.read("README.md");
    let (table, _) = split(&readme, "figures");
    let row = table.lines().find(|line| line.contains("[pool]")).unwrap();
    let wrong = row.replacen(" | ", " | 1", 1);
    fs::write(folder.path("README.md"), readme.replace(row, &wrong)).unwrap();
    let output = folder.bench(&["--check"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains(&wrong) && told.contains(row), "{told}");
    assert!(folder.bench(&["--readme"]).status.success());
    assert_eq!(folder.read("README.md"), readme);
}

#[test]
fn a_quick_run_leaves_the_page_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = || fs::read(root.join("docs/benchmarks.md")).unwrap();
    let before = page();
    let output = Command::new(env!("CARGO_BIN_EXE_benches"))
        .args(["--quick", "--rounds", "1", "--only", "validate"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(page() == before);
}
